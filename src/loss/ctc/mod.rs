//! The loss for sequences with known labels at unknown steps.

mod pass;

use crate::error::{Error, Need, Result, check_len, check_room, check_shape};
use crate::kernel::Walk;
use crate::kernel::alignment::{PAD, PLANES, WIDE};
use crate::layer::Sequences;
use crate::layer::buffer::{add, mul};
use crate::layer::embedding::check_ids;
use crate::simd::{Isa, dispatch};
use pass::Pass;

/// Connectionist temporal classification (Graves et al. 2006): the negative log-probability of the labels of
/// a sequence, over all ways to place them on steps.
///
/// At each step the model predicts one of the labels or the blank. An alignment chooses a label or the blank
/// at each step. To read its labels, merge equal neighbours and then drop blanks. The loss of a sequence sums
/// the probabilities of all alignments that give its labels:
///
/// ```text
/// loss = -log(sum over alignments a of (product over steps t of softmax(logits_t)_(a_t)))
/// dlogits_tj = softmax(logits_t)_j - (part of that sum with a_t = j)
/// ```
///
/// This is PyTorch's `ctc_loss` of `log_softmax`; the softmax is included here. The mean is PyTorch's, too:
/// the loss of each sequence is divided by its number of labels, if there are any, and then the mean is taken
/// over sequences. Sums use numbers with separate exponents instead of logarithms, so that thousands of steps
/// lose no digits.
///
/// A sequence that is too short for its labels has no alignment: `n` labels, `r` of which equal the label
/// before, need `n + r` steps. Then the loss is infinite and the gradient NaN, as in PyTorch. With
/// [`zero_infinity`](Self::zero_infinity) both are zero. A logit may be minus infinity (a class that is ruled
/// out). NaN or infinity gives a loss and gradients of NaN.
///
/// [`CtcGreedy`](crate::CtcGreedy) and [`CtcBeam`](crate::CtcBeam) decode outputs to labels.
///
/// ```
/// use recurrent::{Ctc, CtcBatch, Sequences};
/// const CTC: Ctc = Ctc::new(3);
/// // Four steps of one sequence, which says 1, blank, 2, 2.
/// let logits = [0.0, 9.0, 0.0, /**/ 9.0, 0.0, 0.0, /**/ 0.0, 0.0, 9.0, /**/ 0.0, 0.0, 9.0];
/// let (mut dlogits, mut scratch) = ([0.0; 12], [0.0; CTC.scratch_len(4, 2)]);
/// let mut loss = |targets: &[u32]| {
///     CTC.loss(CtcBatch {
///         sequences: Sequences::new(4, 1), logits: &logits, targets, target_lengths: &[targets.len()],
///         dlogits: Some(&mut dlogits), scratch: &mut scratch, ..Default::default()
///     })
/// };
/// assert!(loss(&[1, 2])? < 0.01);
/// assert!(loss(&[2, 1])? > 5.0);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ctc {
    classes: usize,
    blank: u32,
    zero_infinity: bool,
    reduction: Reduction,
    isa: Option<Isa>,
}

/// How the losses of the sequences of a batch are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean, as [`Ctc`] defines it.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// Arguments of [`Ctc::loss`].
#[derive(Debug, Default)]
pub struct CtcBatch<'a> {
    /// Steps `T`, batch rows `B`, and the steps of each row: lengths and masks count.
    pub sequences: Sequences<'a>,
    /// The outputs of the model, `[T, B, classes]`.
    pub logits: &'a [f32],
    /// The labels of all rows, one row after the other, without padding.
    pub targets: &'a [u32],
    /// The number of labels of each row, `[B]`.
    pub target_lengths: &'a [usize],
    /// If given, takes the gradient, as long as `logits`.
    pub dlogits: Option<&'a mut [f32]>,
    /// If given, takes the loss of each row, `[B]`, before any division.
    pub losses: Option<&'a mut [f32]>,
    /// At least [`scratch_len`](Ctc::scratch_len) elements, for the row with the most labels.
    pub scratch: &'a mut [f32],
}

/// Length of a row of states: one blank more than there are labels, rounded up to whole vectors.
const fn width(labels: usize) -> usize {
    mul(add(labels, WIDE) / WIDE, WIDE)
}

/// Length of what is kept of a step: the emissions `m e` of the labels, the emission of the blank with the
/// scale of the softmax, and the states after the step.
const fn step_len(width: usize) -> usize {
    add(add(mul(width, 2), 3), mul(add(width, PAD), PLANES))
}

impl Ctc {
    /// A loss over `classes` classes. The blank is class 0.
    pub const fn new(classes: usize) -> Self {
        Ctc { classes, blank: 0, zero_infinity: false, reduction: Reduction::Mean, isa: None }
    }

    /// The same with this class as the blank.
    pub const fn blank(mut self, class: u32) -> Self {
        self.blank = class;
        self
    }

    /// The same, but sequences whose labels have no alignment have a loss and gradients of zero. They still
    /// count in the mean.
    pub const fn zero_infinity(mut self) -> Self {
        self.zero_infinity = true;
        self
    }

    /// The same with another reduction than the mean.
    pub const fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Pins the instruction set, as [`Dense::on`](crate::Dense::on).
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Length of the scratch for `steps` steps and at most `labels` labels in a row. It does not depend on
    /// the batch: rows are computed one after the other.
    pub const fn scratch_len(&self, steps: usize, labels: usize) -> usize {
        let width = width(labels);
        // The list of skips, the backward states, and the parts of the labels; then what is kept of each
        // step, with one entry before the first step.
        let once = add(mul(add(width, PAD), 1 + PLANES), width);
        add(once, mul(step_len(width), add(steps, 1)))
    }

    /// The loss of a batch, and its gradient if asked for.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (or of a list in the sequences),
    /// also for `targets` whose number is not the sum of `target_lengths`; [`Error::Index`] for a target that
    /// is not below `classes`, or a length above the steps; [`Error::Value`] for a blank that is not below
    /// `classes`, and for a target that is the blank.
    pub fn loss(&self, batch: CtcBatch<'_>) -> Result<f32> {
        let walk = batch.sequences.walk(false)?;
        let classes = self.classes;
        let CtcBatch { sequences, logits, targets, target_lengths, dlogits, losses, scratch } = batch;
        let longest = self.check_targets(sequences, targets, target_lengths)?;
        check_shape("logits", Need::ROWS_CLASSES, mul(walk.rows(), classes), logits.len())?;
        if let Some(dlogits) = &dlogits {
            check_len("dlogits", logits.len(), dlogits.len())?;
        }
        if let Some(losses) = &losses {
            check_len("losses", sequences.batch(), losses.len())?;
        }
        check_room("scratch", self.scratch_len(sequences.steps(), longest), scratch.len())?;
        let isa = self.isa.unwrap_or_else(Isa::detect);
        let batch = CtcBatch { sequences, logits, targets, target_lengths, dlogits, losses, scratch };
        Ok(dispatch(isa, Pass { ctc: self, walk: &walk, batch })? as f32)
    }

    /// Rejects targets that do not fit. Returns the greatest number of labels in a row.
    pub(crate) fn check_targets(
        &self,
        sequences: Sequences<'_>,
        targets: &[u32],
        lengths: &[usize],
    ) -> Result<usize> {
        let (classes, blank) = (self.classes, self.blank);
        check_blank(classes, blank)?;
        check_len("target_lengths", sequences.batch(), lengths.len())?;
        check_len("targets", lengths.iter().fold(0, |sum, n| add(sum, *n)), targets.len())?;
        check_ids("targets", targets, classes)?;
        if targets.contains(&blank) {
            return Err(Error::Value { argument: "targets", expected: "labels other than the blank" });
        }
        Ok(lengths.iter().copied().max().unwrap_or(0))
    }

    /// The divisor of the loss of a row with `labels` labels, in a batch of `rows` rows.
    fn divisor(&self, rows: usize, labels: usize) -> f64 {
        match self.reduction {
            Reduction::Mean => rows as f64 * labels.max(1) as f64,
            Reduction::Sum => 1.0,
        }
    }

    fn row_of<'a>(&self, walk: &Walk<'_>, of: &'a [f32], t: usize, b: usize) -> &'a [f32] {
        &of[walk.row(t, b) * self.classes..][..self.classes]
    }
}

/// Rejects a blank that is not a class.
pub(crate) fn check_blank(classes: usize, blank: u32) -> Result<()> {
    match u64::from(blank) < classes as u64 {
        true => Ok(()),
        false => Err(Error::Value { argument: "blank", expected: "below the number of classes" }),
    }
}
