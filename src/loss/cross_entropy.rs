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
    isa: Option<Isa>,
}

impl<'a> CrossEntropy<'a> {
    /// Over so many classes. All rows count.
    pub const fn new(classes: usize) -> Self {
        CrossEntropy { classes, ignored: None, sequences: None, isa: None }
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

    /// Pins the instruction set, as [`Dense::on`](crate::Dense::on).
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The loss, and its gradient if asked for: `logits` and `dlogits` are `[rows, classes]`, `targets` `[rows]`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (also of the sequences' lists); [`Error::Index`] for
    /// a target of a row that counts and is not below `classes`, or a length above the steps.
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
        let CrossEntropy { classes, ignored, .. } = *self;
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
        let sum = dispatch(isa, Pass { classes, logits, targets, rows, ignored, count, dlogits });
        Ok((sum / count as f64) as f32)
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
