//! The loss of classification: softmax and negative log-likelihood in one.

use crate::error::{Error, Result, check_len};
use crate::kernel::Walk;
use crate::kernel::softmax::{BLOCK, exp_sum, max};
use crate::kernel::walk::Rows;
use crate::layer::Sequences;
use crate::layer::embedding::check_ids;
use crate::simd::{Isa, Op, Simd, dispatch};

/// The mean negative log-likelihood of the targets, in nats, and the gradient of the mean if asked for:
/// [`CrossEntropy`] over all rows.
///
/// `logits` and `dlogits` are `[rows, classes]`, `targets` `[rows]`.
///
/// # Errors
/// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for a target that is not below `classes`.
///
/// ```
/// use recurrent::cross_entropy;
/// let mut dlogits = [0.0; 4];
/// let loss = cross_entropy(2, &[0.0, 0.0, 100.0, -100.0], &[1, 0], Some(&mut dlogits))?;
/// assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-6);
/// assert_eq!(dlogits, [0.25, -0.25, 0.0, 0.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn cross_entropy(
    classes: usize,
    logits: &[f32],
    targets: &[u32],
    dlogits: Option<&mut [f32]>,
) -> Result<f32> {
    CrossEntropy::new(classes).loss(logits, targets, dlogits)
}

/// The mean negative log-likelihood of targets, in nats, over the rows that count.
///
/// ```text
/// loss = mean over rows of (log(sum over j of exp(l_j)) - l_target)
/// dlogits_j = (softmax(l)_j - [j = target]) / rows
/// ```
///
/// This is PyTorch's `cross_entropy` with the reduction `mean`, computed relative to each row's greatest logit, so that no
/// logit is too large; losses are summed in f64, so that many rows stay exact. A logit may be minus infinity (a class that
/// is ruled out); NaN or infinity gives a loss of NaN. Rows that do not count are not read, and their gradient is zero.
/// If no row counts the loss is 0, where PyTorch gives NaN.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a> {
    classes: usize,
    ignored: Option<u32>,
    sequences: Option<Sequences<'a>>,
    class_weights: Option<&'a [f32]>,
    smoothing: f32,
    isa: Option<Isa>,
}

impl<'a> CrossEntropy<'a> {
    /// Over so many classes. All rows count.
    pub const fn new(classes: usize) -> Self {
        CrossEntropy {
            classes,
            ignored: None,
            sequences: None,
            class_weights: None,
            smoothing: 0.0,
            isa: None,
        }
    }

    /// Rows with this target do not count, as PyTorch's `ignore_index`. It may be a class or not.
    pub const fn ignore(mut self, target: u32) -> Self {
        self.ignored = Some(target);
        self
    }

    /// The rows are those of a padded batch, in its order: those past the end of a sequence and those that are masked do
    /// not count, whatever their targets. Resets make no difference.
    pub const fn over(mut self, sequences: Sequences<'a>) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// Rows count as much as the class of their target is worth here, `[classes]`, as PyTorch's `weight`: for classes that are rare.
    ///
    /// ```text
    /// loss = sum over rows of w_target (log(sum over j of exp(l_j)) - l_target) / sum over rows of w_target
    /// ```
    pub const fn class_weights(mut self, weights: &'a [f32]) -> Self {
        self.class_weights = Some(weights);
        self
    }

    /// Of each target this part is spread evenly over all classes, as PyTorch's `label_smoothing` (Szegedy et al. 2016, arXiv:1512.00567): for
    /// models that should not become too certain. With class weights each class takes its part times its weight.
    pub const fn smoothing(mut self, part: f32) -> Self {
        self.smoothing = part;
        self
    }

    /// Pins the instruction set, as [`Dense::on`](crate::Dense::on).
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The loss, and its gradient if asked for: `logits` and `dlogits` are `[rows, classes]`, `targets` `[rows]`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (also of the sequences' lists); [`Error::Index`] for
    /// a target of a row that counts and is not below `classes`, or a length above the steps; [`Error::Value`] for class weights that are negative,
    /// infinite or NaN, and for a smoothing that is not in 0 to 1.
    ///
    /// ```
    /// use recurrent::{CrossEntropy, Sequences};
    /// // Two sequences of two steps and of one: logits [T, B, classes], targets [T, B].
    /// let logits = [0.0, 0.0, /**/ 9.0, 9.0, /**/ 5.0, 5.0, /**/ f32::NAN, f32::NAN];
    /// let sequences = Sequences::new(2, 2).lengths(&[2, 1]);
    /// let mut dlogits = [0.0; 8];
    /// let loss = CrossEntropy::new(2).over(sequences).loss(&logits, &[0, 1, 1, 77], Some(&mut dlogits))?;
    /// assert!((loss - 2f32.ln()).abs() < 1e-6);
    /// assert_eq!(dlogits[6..], [0.0; 2]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn loss(&self, logits: &[f32], targets: &[u32], dlogits: Option<&mut [f32]>) -> Result<f32> {
        let CrossEntropy { classes, ignored, class_weights, smoothing, .. } = *self;
        if let Some(weights) = class_weights {
            check_len("class_weights", classes, weights.len())?;
            if !weights.iter().all(|w| *w >= 0.0 && w.is_finite()) {
                let expected = "finite numbers that are not negative";
                return Err(Error::Value { argument: "class_weights", expected });
            }
        }
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::Value { argument: "smoothing", expected: "from 0 to 1" });
        }
        let walk = self.walk()?;
        let (rows, count) = self.rows(walk.as_ref(), targets)?;
        check_len("logits", targets.len().saturating_mul(classes), logits.len())?;
        if let Some(dlogits) = &dlogits {
            check_len("dlogits", logits.len(), dlogits.len())?;
        }
        let mut dlogits = dlogits;
        if count < targets.len()
            && let Some(dlogits) = dlogits.as_deref_mut()
        {
            dlogits.fill(0.0);
        }
        if count == 0 {
            return Ok(0.0);
        }
        let isa = self.isa.unwrap_or_else(Isa::detect);
        let Some(weights) = class_weights.or((smoothing > 0.0).then_some(&[])) else {
            let sum = dispatch(isa, Pass { classes, logits, targets, rows, ignored, count, dlogits });
            return Ok((sum / count as f64) as f32);
        };
        let of = |row: &usize| weights.get(targets[*row] as usize).map_or(1.0, |w| f64::from(*w));
        let counted = |row: &usize| Some(targets[*row]) != ignored;
        let total: f64 = rows.iter().filter(counted).map(|row| of(&row)).sum();
        if total == 0.0 {
            if let Some(dlogits) = dlogits {
                dlogits.fill(0.0);
            }
            return Ok(0.0);
        }
        let pass = Pass { classes, logits, targets, rows, ignored, count, dlogits };
        Ok((dispatch(isa, Weighted { pass, weights, smoothing, total }) / total) as f32)
    }

    /// The part of the rows that count whose greatest logit is that of the target, the first of several; 0 if no row counts. It says more to people than the
    /// loss, and so does the perplexity, which is the exponential of the loss.
    ///
    /// # Errors
    /// As [`loss`](Self::loss).
    ///
    /// ```
    /// use recurrent::CrossEntropy;
    /// let logits = [3.0, 0.0, /**/ 0.0, 3.0, /**/ 3.0, 0.0];
    /// assert_eq!(CrossEntropy::new(2).ignore(9).accuracy(&logits, &[0, 0, 9])?, 0.5);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn accuracy(&self, logits: &[f32], targets: &[u32]) -> Result<f32> {
        let walk = self.walk()?;
        let (rows, count) = self.rows(walk.as_ref(), targets)?;
        check_len("logits", targets.len().saturating_mul(self.classes), logits.len())?;
        let right = |row: &usize| {
            let (mut best, mut most) = (None, f32::NEG_INFINITY);
            for (class, &logit) in logits[row * self.classes..][..self.classes].iter().enumerate() {
                if logit > most {
                    (best, most) = (Some(class), logit);
                }
            }
            Some(targets[*row]) != self.ignored && best == Some(targets[*row] as usize)
        };
        Ok(rows.iter().filter(right).count() as f32 / count.max(1) as f32)
    }

    /// How many rows count: those that take part, without those that are ignored. The loss is a mean over them, so that of several batches
    /// each has to be weighed by its count.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss) that are about the targets.
    ///
    /// ```
    /// use recurrent::CrossEntropy;
    /// assert_eq!(CrossEntropy::new(3).ignore(9).count(&[0, 9, 2, 9])?, 2);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn count(&self, targets: &[u32]) -> Result<usize> {
        Ok(self.rows(self.walk()?.as_ref(), targets)?.1)
    }

    fn walk(&self) -> Result<Option<Walk<'a>>> {
        self.sequences.map(|sequences| sequences.walk(false)).transpose()
    }

    /// The rows that take part, and how many of them count.
    fn rows<'w>(&self, walk: Option<&'w Walk<'w>>, targets: &[u32]) -> Result<(Rows<'w>, usize)> {
        let CrossEntropy { classes, ignored, .. } = *self;
        let rows = match walk {
            Some(walk) => {
                check_len("targets", walk.rows(), targets.len())?;
                Rows::present(walk)
            }
            None => Rows::all(targets.len()),
        };
        let mut count = rows.count();
        if ignored.is_none() && walk.is_none_or(Walk::is_dense) {
            check_ids("targets", targets, classes)?;
            return Ok((rows, count));
        }
        for row in rows.iter() {
            if Some(targets[row]) == ignored {
                count -= 1;
            } else if let Err(Error::Index { buffer, id, limit, .. }) =
                check_ids("targets", &targets[row..=row], classes)
            {
                return Err(Error::Index { buffer, position: row, id, limit });
            }
        }
        Ok((rows, count))
    }
}

/// All arguments have been checked: there are rows that count, and so there are classes.
struct Pass<'a> {
    classes: usize,
    logits: &'a [f32],
    targets: &'a [u32],
    rows: Rows<'a>,
    ignored: Option<u32>,
    count: usize,
    dlogits: Option<&'a mut [f32]>,
}

impl Op for Pass<'_> {
    /// The sum of the rows' losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Pass { classes, logits, targets, rows, ignored, count, mut dlogits } = self;
        let count = count as f64;
        let mut loss = 0.0;
        for row in rows.iter() {
            if Some(targets[row]) == ignored {
                continue;
            }
            let (logits, target) = (&logits[row * classes..][..classes], targets[row] as usize);
            let mut d = dlogits.as_deref_mut().map(|d| &mut d[row * classes..][..classes]);
            let most = max(s, logits);
            let mut sum = 0.0;
            for (i, block) in logits.chunks(BLOCK).enumerate() {
                let terms = d.as_deref_mut().map(|d| &mut d[i * BLOCK..]);
                sum += exp_sum(s, block, most, None, terms);
            }
            loss += libm::log(sum) + (f64::from(most) - f64::from(logits[target]));
            if let Some(d) = d {
                let scale = 1.0 / (sum * count);
                let of_target = f64::from(d[target]) * scale - 1.0 / count;
                for d in d.iter_mut() {
                    *d *= scale as f32;
                }
                d[target] = of_target as f32;
            }
        }
        loss
    }
}

/// With class weights, smoothing, or both. Without weights, which are then empty, each is 1.
struct Weighted<'a> {
    pass: Pass<'a>,
    weights: &'a [f32],
    smoothing: f32,
    /// The sum of the targets' weights, which is not zero.
    total: f64,
}

impl Op for Weighted<'_> {
    /// The sum of the rows' losses, each times its weight.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Weighted { pass, weights, smoothing, total } = self;
        let Pass { classes, logits, targets, rows, ignored, mut dlogits, .. } = pass;
        let weight = |class: usize| weights.get(class).map_or(1.0, |w| f64::from(*w));
        let each = f64::from(smoothing) / classes as f64;
        let everywhere = each * (0..classes).map(weight).sum::<f64>();
        let mut loss = 0.0;
        for row in rows.iter() {
            if Some(targets[row]) == ignored {
                continue;
            }
            let (logits, target) = (&logits[row * classes..][..classes], targets[row] as usize);
            let mut d = dlogits.as_deref_mut().map(|d| &mut d[row * classes..][..classes]);
            let most = max(s, logits);
            let mut sum = 0.0;
            for (i, block) in logits.chunks(BLOCK).enumerate() {
                let terms = d.as_deref_mut().map(|d| &mut d[i * BLOCK..]);
                sum += exp_sum(s, block, most, None, terms);
            }
            let norm = libm::log(sum);
            let at_target = (1.0 - f64::from(smoothing)) * weight(target);
            let unlikely = |logit: f32| norm + (f64::from(most) - f64::from(logit));
            loss += at_target * unlikely(logits[target]);
            if each > 0.0 {
                let spread = |(class, logit): (usize, &f32)| weight(class) * unlikely(*logit);
                loss += each * logits.iter().enumerate().map(spread).sum::<f64>();
            }
            if let Some(d) = d {
                let scale = (at_target + everywhere) / (sum * total);
                for (class, d) in d.iter_mut().enumerate() {
                    let mut less = each * weight(class);
                    if class == target {
                        less += at_target;
                    }
                    *d = (f64::from(*d) * scale - less / total) as f32;
                }
            }
        }
        loss
    }
}
