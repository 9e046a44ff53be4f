//! A loss with its targets, as a model takes it.

use super::cross_entropy::CrossEntropy;
use super::ctc::{Ctc, CtcBatch};
use super::own::{Own, OwnBatch, clear_absent};
use super::regression::Elementwise;
use crate::error::{Error, Result, check_len};
use crate::layer::Sequences;
use crate::simd::Isa;

/// The targets of a model, and the loss that compares its outputs with them. Every loss is a mean over the
/// steps that take part, or over the sequences for a model with a pool.
///
/// ```
/// use recurrent::model::Loss;
/// use recurrent::{CrossEntropy, Elementwise};
/// let (classes, numbers) = ([0, 3, 1], [0.5, -1.0, 2.0]);
/// let next = Loss::classes(&classes);
/// let padded = Loss::CrossEntropy { targets: &classes, ignored: Some(3) }; // the 3 does not count
/// let rare = CrossEntropy::new(4).class_weights(&[1.0, 1.0, 1.0, 9.0]).smoothing(0.1);
/// let rare = Loss::Classes { targets: &classes, of: rare };
/// let series = Loss::MeanSquaredError { targets: &numbers };
/// let later = Loss::Elementwise { targets: &numbers, of: Elementwise::huber(0.5).row_weights(&[0.0, 1.0, 1.0]) };
/// # let _ = (next, padded, rare, series, later);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Loss<'a> {
    /// [`CrossEntropy`] of classes: the outputs are logits.
    CrossEntropy {
        /// `[T, B]`, or `[B]` for a model with a pool; each below the number of the model's outputs.
        targets: &'a [u32],
        /// Targets of this class do not count.
        ignored: Option<u32>,
    },
    /// The same with all its settings: weights, smoothing.
    Classes {
        /// `[T, B]`, or `[B]` for a model with a pool; each below the number of the model's outputs.
        targets: &'a [u32],
        /// A loss over as many classes as the model has outputs. Row weights are in the order of the targets.
        /// The model sets the sequences and the instruction set.
        of: CrossEntropy<'a>,
    },
    /// [`binary_cross_entropy`](crate::binary_cross_entropy) of each output: the outputs are logits.
    BinaryCrossEntropy {
        /// In the shape of the output, from 0 to 1.
        targets: &'a [f32],
    },
    /// [`mean_squared_error`](crate::mean_squared_error) of the outputs.
    MeanSquaredError {
        /// In the shape of the output.
        targets: &'a [f32],
    },
    /// Either of the last two losses with all its settings, [absolute errors](crate::mean_absolute_error), or
    /// [Huber's loss](crate::huber).
    Elementwise {
        /// In the shape of the output.
        targets: &'a [f32],
        /// Row weights are in the order of the output: one for each step of each row, or one for each row of
        /// a model with a pool. The model sets the sequences and the instruction set.
        of: Elementwise<'a>,
    },
    /// [`Ctc`] of labels without an alignment: the outputs are logits. The mean is over rows. A pass needs
    /// [`ctc_scratch_len`](crate::model::Model::ctc_scratch_len) elements of scratch. Models with a pool
    /// reject this loss.
    Ctc {
        /// The labels of all rows, one row after the other, without padding.
        targets: &'a [u32],
        /// The number of labels of each row, `[B]`.
        target_lengths: &'a [usize],
        /// The class of the blank.
        blank: u32,
        /// Whether rows that are too short for their labels have a loss of zero instead of infinity.
        zero_infinity: bool,
    },
    /// A loss that the program defines, made by [`Loss::own`].
    Own(Own<'a>),
}

impl Default for Loss<'_> {
    fn default() -> Self {
        Loss::MeanSquaredError { targets: &[] }
    }
}

/// The arguments of [`Loss::mean`].
pub(crate) struct Outputs<'a> {
    pub(crate) isa: Isa,
    /// Outputs of each step.
    pub(crate) width: usize,
    pub(crate) sequences: Sequences<'a>,
    pub(crate) pooled: bool,
    pub(crate) y: &'a [f32],
    pub(crate) dy: Option<&'a mut [f32]>,
    /// [`Loss::scratch_len`] elements.
    pub(crate) scratch: &'a mut [f32],
}

/// A loss with all its settings. The shorter variants of [`Loss`] are turned into these.
enum Full<'a> {
    Classes(&'a [u32], CrossEntropy<'a>),
    Elements(&'a [f32], Elementwise<'a>),
    Labels(&'a [u32], &'a [usize], Ctc),
    Own(Own<'a>),
}

impl<'a> Loss<'a> {
    /// Cross-entropy of these classes. All targets count.
    pub fn classes(targets: &'a (impl AsRef<[u32]> + ?Sized)) -> Self {
        Loss::CrossEntropy { targets: targets.as_ref(), ignored: None }
    }

    /// A loss that the program defines. The function gets outputs, writes their gradient, and returns the
    /// mean over the steps that take part, or over the rows of a model with a pool.
    ///
    /// ```
    /// use recurrent::{OwnBatch, Sequences, model::{Layer, Loss, Model, Training}};
    /// const MODEL: Model<1> = Model::new([Layer::gru(1, 1)]);
    /// let targets = [0.5, 0.25, 0.0];
    /// // The fourth power of the differences.
    /// let fourth = |batch: OwnBatch<'_>| {
    ///     let apart = |i: usize| batch.y[i] - targets[i];
    ///     let n = batch.y.len() as f32;
    ///     if let Some(dy) = batch.dy {
    ///         (0..dy.len()).for_each(|i| dy[i] = 4.0 * apart(i).powi(3) / n);
    ///     }
    ///     (0..targets.len()).map(|i| apart(i).powi(4)).sum::<f32>() / n
    /// };
    /// let (mut grads, mut state) = ([0.0; MODEL.weights_len()], [0.0; MODEL.state_len(1)]);
    /// let (mut tape, mut scratch) = ([0.0; MODEL.tape_len(3, 1)], vec![0.0; MODEL.train_scratch_len(3, 1)]);
    /// let loss = MODEL.forward_backward(&[0.1; MODEL.weights_len()], Training {
    ///     sequences: Sequences::new(3, 1), x: (&[1.0, 0.0, -1.0]).into(), loss: Loss::own(&fourth),
    ///     grads: &mut grads, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
    /// })?;
    /// assert!(loss > 0.0 && grads[0] != 0.0);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub const fn own(of: &'a (dyn Fn(OwnBatch<'_>) -> f32 + Sync)) -> Self {
        Loss::Own(Own { of, first_row: 0 })
    }

    /// Turns the loss into one with all its settings, over the sequences of a model of `width` outputs.
    #[inline(always)]
    fn full(self, width: usize, sequences: Sequences<'a>, pooled: bool) -> Full<'a> {
        // A pool leaves one row of each sequence, whatever the loss itself was given.
        let over = if pooled { Sequences::new(1, sequences.batch()) } else { sequences };
        let classes = |of: CrossEntropy<'a>| of.over(over);
        let elements = |of: Elementwise<'a>| of.over(over);
        match self {
            Loss::CrossEntropy { targets, ignored: None } => {
                Full::Classes(targets, classes(CrossEntropy::new(width)))
            }
            Loss::CrossEntropy { targets, ignored: Some(target) } => {
                Full::Classes(targets, classes(CrossEntropy::new(width).ignore(target)))
            }
            Loss::Classes { targets, of } => Full::Classes(targets, classes(of)),
            Loss::BinaryCrossEntropy { targets } => Full::Elements(targets, elements(Elementwise::binary())),
            Loss::MeanSquaredError { targets } => Full::Elements(targets, elements(Elementwise::squared())),
            Loss::Elementwise { targets, of } => Full::Elements(targets, elements(of)),
            Loss::Ctc { targets, target_lengths, blank, zero_infinity } => {
                let of = Ctc::new(width).blank(blank);
                Full::Labels(targets, target_lengths, if zero_infinity { of.zero_infinity() } else { of })
            }
            Loss::Own(own) => Full::Own(own),
        }
    }

    /// Returns how many targets count, and the sum of their weights. The model has `width` outputs, and there
    /// is a target for each step or for each row. Targets and settings that do not fit are rejected.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn count(self, width: usize, sequences: Sequences<'a>, pooled: bool) -> Result<(usize, f64)> {
        let rows = sequences.batch().saturating_mul(if pooled { 1 } else { sequences.steps() });
        match self.full(width, sequences, pooled) {
            Full::Classes(targets, of) => {
                if of.classes() != width {
                    let expected = "over as many classes as the model has outputs";
                    return Err(Error::Value { argument: "loss", expected });
                }
                check_len("targets", rows, targets.len())?;
                of.counted(targets)
            }
            Full::Elements(targets, of) => {
                check_len("targets", rows.saturating_mul(width), targets.len())?;
                let count = if pooled { rows } else { sequences.present()? };
                Ok((count, of.weight(rows, width)?))
            }
            Full::Labels(targets, lengths, of) => {
                if pooled {
                    let expected =
                        "a loss other than `Ctc`, because a model with a pool has no steps to align";
                    return Err(Error::Value { argument: "loss", expected });
                }
                sequences.check()?;
                of.check_targets(sequences, targets, lengths)?;
                Ok((sequences.batch(), sequences.batch() as f64))
            }
            Full::Own(_) => {
                let count = if pooled { rows } else { sequences.present()? };
                Ok((count, count as f64))
            }
        }
    }

    /// Length of the scratch of [`mean`](Self::mean).
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn scratch_len(&self, steps: usize) -> usize {
        match self {
            Loss::Ctc { target_lengths, .. } => {
                let labels = target_lengths.iter().copied().max().unwrap_or(0);
                Ctc::new(0).scratch_len(steps, labels)
            }
            _ => 0,
        }
    }

    /// Returns the mean, and writes its gradient.
    ///
    /// # Errors
    /// None, if [`count`](Self::count) has accepted the targets and the other lengths are right.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn mean(self, outputs: Outputs<'a>) -> Result<f32> {
        let Outputs { isa, width, sequences, pooled, y, dy, scratch } = outputs;
        match self.full(width, sequences, pooled) {
            Full::Classes(targets, of) => of.on(isa).loss(y, targets, dy),
            Full::Elements(targets, of) => of.on(isa).loss(y, targets, dy),
            Full::Labels(targets, target_lengths, of) => {
                let (logits, dlogits, losses) = (y, dy, None);
                of.on(isa).loss(CtcBatch {
                    sequences,
                    logits,
                    targets,
                    target_lengths,
                    dlogits,
                    losses,
                    scratch,
                })
            }
            Full::Own(own) => own.mean(width, sequences, pooled, y, dy),
        }
    }

    /// For classes: the accuracy, the mean negative log-likelihood without smoothing and class weights, and
    /// the sum of the rows' weights.
    #[cfg(feature = "std")]
    pub(crate) fn measures(
        self,
        width: usize,
        sequences: Sequences<'a>,
        pooled: bool,
        y: &[f32],
    ) -> Result<Option<[f64; 3]>> {
        let Full::Classes(targets, of) = self.full(width, sequences, pooled) else { return Ok(None) };
        let of = of.plain();
        let (accuracy, likelihood) = (of.accuracy(y, targets)?, of.loss(y, targets, None)?);
        Ok(Some([f64::from(accuracy), f64::from(likelihood), of.weight(targets)?]))
    }
}

impl Own<'_> {
    fn mean(
        self,
        width: usize,
        sequences: Sequences<'_>,
        pooled: bool,
        y: &[f32],
        mut dy: Option<&mut [f32]>,
    ) -> Result<f32> {
        if let Some(dy) = dy.as_deref_mut() {
            dy.fill(0.0);
        }
        let first_row = self.first_row;
        let loss = (self.of)(OwnBatch { sequences, first_row, width, y, dy: dy.as_deref_mut() });
        if let Some(dy) = dy.filter(|_| !pooled) {
            clear_absent(dy, width, sequences)?;
        }
        Ok(loss)
    }
}
