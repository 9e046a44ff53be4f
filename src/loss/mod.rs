//! Losses: how far an output is from what it should have been, and the gradient of that.
//!
//! This folder may import `layer` and every floor below. `cross_entropy` is that of classes, `ctc` that of
//! labels without an alignment, `regression` has those of single elements; [`Loss`] is one of them with its
//! targets, as a model takes it.

mod cross_entropy;
pub(crate) mod ctc;
mod regression;

use crate::error::{Result, check_len};
use crate::layer::Sequences;
use crate::simd::Isa;

pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use ctc::{Ctc, CtcBatch, Reduction};
use regression::{bent_over, binary_cross_entropy_over, check_delta, mean_squared_error_over};
pub use regression::{binary_cross_entropy, huber, mean_absolute_error, mean_squared_error};

/// What a model should have said, and how far it was from that. Every loss is the mean over what counts: over the steps that take
/// part, or, for a model with a pool, over the sequences.
///
/// ```
/// use recurrent::model::Loss;
/// let (classes, numbers) = ([0, 3, 1], [0.5, -1.0, 2.0]);
/// let next = Loss::classes(&classes);
/// let padded = Loss::CrossEntropy { targets: &classes, ignored: Some(3) }; // the 3 does not count
/// let series = Loss::MeanSquaredError { targets: &numbers };
/// # let _ = (next, padded, series);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Loss<'a> {
    /// [`CrossEntropy`] of classes: the output is logits.
    CrossEntropy {
        /// `[T, B]`, or `[B]` for a model with a pool; each below the model's output.
        targets: &'a [u32],
        /// Those with this target do not count.
        ignored: Option<u32>,
    },
    /// [`binary_cross_entropy`] of each output: they are logits.
    BinaryCrossEntropy {
        /// As the output, from 0 to 1.
        targets: &'a [f32],
    },
    /// [`mean_squared_error`] of the outputs.
    MeanSquaredError {
        /// As the output.
        targets: &'a [f32],
    },
    /// [`mean_absolute_error`] of the outputs.
    MeanAbsoluteError {
        /// As the output.
        targets: &'a [f32],
    },
    /// [`huber`]'s loss of the outputs.
    Huber {
        /// As the output.
        targets: &'a [f32],
        /// Where the square ends.
        delta: f32,
    },
}

impl Default for Loss<'_> {
    fn default() -> Self {
        Loss::MeanSquaredError { targets: &[] }
    }
}

impl<'a> Loss<'a> {
    /// Cross-entropy of these classes, all of which count.
    pub fn classes(targets: &'a (impl AsRef<[u32]> + ?Sized)) -> Self {
        Loss::CrossEntropy { targets: targets.as_ref(), ignored: None }
    }

    /// How many targets count, of a model of `width` outputs over these sequences, one for each step or for each row. Refuses
    /// targets that do not fit.
    pub(crate) fn count(&self, width: usize, sequences: Sequences<'_>, pooled: bool) -> Result<usize> {
        let rows = sequences.batch().saturating_mul(if pooled { 1 } else { sequences.steps() });
        match *self {
            Loss::CrossEntropy { targets, ignored } => {
                check_len("targets", rows, targets.len())?;
                classes(width, sequences, pooled, ignored).count(targets)
            }
            Loss::BinaryCrossEntropy { targets }
            | Loss::MeanSquaredError { targets }
            | Loss::MeanAbsoluteError { targets }
            | Loss::Huber { targets, .. } => {
                if let Loss::Huber { delta, .. } = *self {
                    check_delta(delta)?;
                }
                check_len("targets", rows.saturating_mul(width), targets.len())?;
                if pooled { Ok(rows) } else { sequences.present() }
            }
        }
    }

    /// The mean, and its gradient, on this instruction set.
    ///
    /// # Errors
    /// None, if the targets were counted, and the others are as long as they have to be.
    pub(crate) fn mean(
        &self,
        isa: Isa,
        width: usize,
        sequences: Sequences<'_>,
        pooled: bool,
        y: &[f32],
        dy: Option<&mut [f32]>,
    ) -> Result<f32> {
        let over = (!pooled).then_some((sequences, width));
        match *self {
            Loss::CrossEntropy { targets, ignored } => {
                classes(width, sequences, pooled, ignored).on(isa).loss(y, targets, dy)
            }
            Loss::BinaryCrossEntropy { targets } => binary_cross_entropy_over(isa, over, y, targets, dy),
            Loss::MeanSquaredError { targets } => mean_squared_error_over(isa, over, y, targets, dy),
            Loss::MeanAbsoluteError { targets } => bent_over(isa, over, 0.0, y, targets, dy),
            Loss::Huber { targets, delta } => bent_over(isa, over, delta, y, targets, dy),
        }
    }
}

fn classes(classes: usize, sequences: Sequences<'_>, pooled: bool, ignored: Option<u32>) -> CrossEntropy<'_> {
    let mut loss = CrossEntropy::new(classes);
    if !pooled {
        loss = loss.over(sequences);
    }
    if let Some(target) = ignored {
        loss = loss.ignore(target);
    }
    loss
}
