//! The loss of classification: softmax and negative log-likelihood in one.

use super::classes::{Pass, Settings};
use crate::error::{Error, Need, Result, check_len, check_shape};
use crate::kernel::Walk;
use crate::kernel::taken::Rows;
use crate::layer::Sequences;
use crate::layer::embedding::check_ids;
use crate::simd::{Isa, dispatch};

/// The mean negative log-likelihood of the targets, in nats, and the gradient of the mean if asked for:
/// [`CrossEntropy`] over all rows.
///
/// `logits` and `dlogits` are `[rows, classes]`, `targets` `[rows]`.
///
/// # Errors
/// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for a target that
/// is not below `classes`.
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
/// This is PyTorch's `cross_entropy` with the reduction `mean`. The exponentials are computed relative to
/// each row's greatest logit, so that large logits do not overflow. Losses are summed in f64, so that many
/// rows stay exact. A logit may be minus infinity (a class that is ruled out). NaN or infinity gives a loss
/// of NaN. Rows that do not count are not read, and their gradient is zero. If no row counts, the loss is 0;
/// PyTorch gives NaN.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a> {
    of: Settings<'a>,
    sequences: Option<Sequences<'a>>,
    isa: Option<Isa>,
}

impl<'a> CrossEntropy<'a> {
    /// A loss over `classes` classes. All rows count.
    pub const fn new(classes: usize) -> Self {
        let of = Settings { classes, ignored: None, class_weights: None, row_weights: None, smoothing: 0.0 };
        CrossEntropy { of, sequences: None, isa: None }
    }

    /// The number of classes.
    pub(crate) const fn classes(&self) -> usize {
        self.of.classes
    }

    /// Weights of the rows, if there are any.
    #[cfg(feature = "std")]
    pub(crate) const fn weights(&self) -> Option<&'a [f32]> {
        self.of.row_weights
    }

    /// Rows with this target do not count, as with PyTorch's `ignore_index`. It need not be a valid class.
    pub const fn ignore(mut self, target: u32) -> Self {
        self.of.ignored = Some(target);
        self
    }

    /// The rows are those of a padded batch, in its order. Rows past the end of a sequence and masked rows do
    /// not count, whatever their targets are. Resets make no difference.
    pub const fn over(mut self, sequences: Sequences<'a>) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// Weighs each row by the weight of its target's class, `[classes]`, as PyTorch's `weight` does. Use it
    /// if some classes are rare.
    ///
    /// ```text
    /// loss = sum over rows of w_target (log(sum over j of exp(l_j)) - l_target) / sum over rows of w_target
    /// ```
    pub const fn class_weights(mut self, weights: &'a [f32]) -> Self {
        self.of.class_weights = Some(weights);
        self
    }

    /// Weighs each row, `[rows]`, in addition to the weight of its class. The mean is divided by the sum of
    /// all weights. A row with a weight of 0 is not read.
    pub const fn row_weights(mut self, weights: &'a [f32]) -> Self {
        self.of.row_weights = Some(weights);
        self
    }

    /// Spreads this part of each target evenly over all classes, as PyTorch's `label_smoothing` does (Szegedy
    /// et al. 2016, arXiv:1512.00567). This keeps models from becoming too certain. With class weights, the
    /// part of each class is multiplied by its weight.
    pub const fn smoothing(mut self, part: f32) -> Self {
        self.of.smoothing = part;
        self
    }

    /// Pins the instruction set, as [`Dense::on`](crate::Dense::on).
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The loss, and its gradient if asked for: `logits` and `dlogits` are `[rows, classes]`, `targets`
    /// `[rows]`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (or of a list in the sequences,
    /// or of the weights); [`Error::Index`] for a target of a row that counts and is not below `classes`, or
    /// a length above the steps; [`Error::Value`] for weights that are negative, infinite or NaN, and for a
    /// smoothing that is not in 0 to 1.
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
        let walk = self.walk()?;
        let (rows, count) = self.rows(walk.as_ref(), targets)?;
        check_shape(
            "logits",
            Need::ROWS_CLASSES,
            targets.len().saturating_mul(self.of.classes),
            logits.len(),
        )?;
        if let Some(dlogits) = &dlogits {
            check_len("dlogits", logits.len(), dlogits.len())?;
        }
        let total = self.of.total(&rows, count, targets);
        let mut dlogits = dlogits;
        if (count < targets.len() || total == 0.0)
            && let Some(dlogits) = dlogits.as_deref_mut()
        {
            dlogits.fill(0.0);
        }
        if total == 0.0 {
            return Ok(0.0);
        }
        let isa = self.isa.unwrap_or_else(Isa::detect);
        Ok((dispatch(isa, Pass { of: &self.of, logits, targets, rows, total, dlogits }) / total) as f32)
    }

    /// The accuracy: the share of rows whose greatest logit is that of the target. If several logits are
    /// equal, the first one counts as the greatest. Only rows that count are included. Row weights apply,
    /// class weights do not. The result is 0 if no row counts.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss).
    ///
    /// ```
    /// use recurrent::CrossEntropy;
    /// let logits = [3.0, 0.0, /**/ 0.0, 3.0, /**/ 3.0, 0.0];
    /// assert_eq!(CrossEntropy::new(2).ignore(9).accuracy(&logits, &[0, 0, 9])?, 0.5);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn accuracy(&self, logits: &[f32], targets: &[u32]) -> Result<f32> {
        let plain = self.plain();
        let walk = self.walk()?;
        let (rows, count) = self.rows(walk.as_ref(), targets)?;
        check_shape(
            "logits",
            Need::ROWS_CLASSES,
            targets.len().saturating_mul(self.of.classes),
            logits.len(),
        )?;
        let total = plain.of.total(&rows, count, targets);
        let right = |row: &usize| {
            let (mut best, mut most) = (None, f32::NEG_INFINITY);
            for (class, &logit) in logits[row * self.of.classes..][..self.of.classes].iter().enumerate() {
                if logit > most {
                    (best, most) = (Some(class), logit);
                }
            }
            Some(targets[*row]) != self.of.ignored && best == Some(targets[*row] as usize)
        };
        let sum: f64 = rows.iter().filter(right).map(|row| plain.of.of_row(row)).sum();
        Ok(if total == 0.0 { 0.0 } else { (sum / total) as f32 })
    }

    /// The exponential of the mean negative log-likelihood, without smoothing and class weights. A model with
    /// this perplexity is as uncertain as if it had to choose between this number of equally likely classes.
    /// 1 if no row counts.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss).
    ///
    /// ```
    /// use recurrent::CrossEntropy;
    /// let perplexity = CrossEntropy::new(4).smoothing(0.1).perplexity(&[0.5; 8], &[0, 3])?;
    /// assert!((perplexity - 4.0).abs() < 1e-5);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn perplexity(&self, logits: &[f32], targets: &[u32]) -> Result<f32> {
        self.check(targets.len())?;
        Ok(libm::exp(f64::from(self.plain().loss(logits, targets, None)?)) as f32)
    }

    /// The number of rows that count: those that take part and are not ignored.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss) that are not about the logits.
    ///
    /// ```
    /// use recurrent::CrossEntropy;
    /// assert_eq!(CrossEntropy::new(3).ignore(9).count(&[0, 9, 2, 9])?, 2);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn count(&self, targets: &[u32]) -> Result<usize> {
        Ok(self.rows(self.walk()?.as_ref(), targets)?.1)
    }

    /// The divisor of the mean: the [count](Self::count), or the sum of the weights of the rows that count.
    /// To combine the means of several batches, weigh each mean by this number.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss) that are not about the logits.
    ///
    /// ```
    /// use recurrent::CrossEntropy;
    /// assert_eq!(CrossEntropy::new(2).class_weights(&[0.5, 2.0]).weight(&[0, 0, 1])?, 3.0);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn weight(&self, targets: &[u32]) -> Result<f64> {
        Ok(self.counted(targets)?.1)
    }

    /// Returns the count and the weight.
    pub(super) fn counted(&self, targets: &[u32]) -> Result<(usize, f64)> {
        let walk = self.walk()?;
        let (rows, count) = self.rows(walk.as_ref(), targets)?;
        Ok((count, self.of.total(&rows, count, targets)))
    }

    /// The same without smoothing and class weights.
    pub(super) const fn plain(self) -> Self {
        CrossEntropy { of: Settings { class_weights: None, smoothing: 0.0, ..self.of }, ..self }
    }

    fn walk(&self) -> Result<Option<Walk<'a>>> {
        self.sequences.map(|sequences| sequences.walk(false)).transpose()
    }

    /// Checks the settings for this number of rows.
    fn check(&self, rows: usize) -> Result<()> {
        let Settings { classes, class_weights, row_weights, smoothing, .. } = self.of;
        if let Some(weights) = class_weights {
            check_weights("class_weights", classes, weights)?;
        }
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::Value { argument: "smoothing", expected: "from 0 to 1" });
        }
        row_weights.map_or(Ok(()), |weights| check_weights("row_weights", rows, weights))
    }

    /// Checks everything but the logits. Returns the rows that take part, and how many of them count.
    fn rows<'w>(&self, walk: Option<&'w Walk<'w>>, targets: &[u32]) -> Result<(Rows<'w>, usize)> {
        let Settings { classes, ignored, .. } = self.of;
        let rows = match walk {
            Some(walk) => {
                check_len("targets", walk.rows(), targets.len())?;
                Rows::present(walk)
            }
            None => Rows::all(targets.len()),
        };
        self.check(targets.len())?;
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

/// Rejects weights that are negative, infinite or NaN, or that are not `len`.
pub(super) fn check_weights(argument: &'static str, len: usize, weights: &[f32]) -> Result<()> {
    check_len(argument, len, weights.len())?;
    match weights.iter().all(|w| *w >= 0.0 && w.is_finite()) {
        true => Ok(()),
        false => Err(Error::Value { argument, expected: "finite numbers that are not negative" }),
    }
}
