//! The arguments of a model's passes.

use super::Model;
use super::layer::Layer;
use crate::error::{Error, Result, check_len};
use crate::layer::{
    CrossEntropy, Gradients, Sampling, Sequences, binary_cross_entropy_over, mean_squared_error_over,
};

/// What a model is given: ids, if it begins with an embedding, otherwise values. Made from slices, arrays and
/// vectors by `into()`.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// `[T, B]`, each below the embedding's classes; also those in the padding.
    Ids(&'a [u32]),
    /// `[T, B, I]`
    Values(&'a [f32]),
}

impl Default for Input<'_> {
    fn default() -> Self {
        Input::Values(&[])
    }
}

macro_rules! input {
    ($($type:ty => $variant:ident),+) => {
        $(impl<'a> From<&'a [$type]> for Input<'a> {
            fn from(of: &'a [$type]) -> Self {
                Input::$variant(of)
            }
        }

        impl<'a, const N: usize> From<&'a [$type; N]> for Input<'a> {
            fn from(of: &'a [$type; N]) -> Self {
                Input::$variant(of)
            }
        }

        #[cfg(feature = "std")]
        impl<'a> From<&'a std::vec::Vec<$type>> for Input<'a> {
            fn from(of: &'a std::vec::Vec<$type>) -> Self {
                Input::$variant(of)
            }
        })+
    };
}

input!(u32 => Ids, f32 => Values);

impl<'a> Input<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Input::Ids(ids) => ids.len(),
            Input::Values(values) => values.len(),
        }
    }

    /// The ids; none if they are values.
    pub(super) fn ids(self) -> &'a [u32] {
        if let Input::Ids(ids) = self { ids } else { &[] }
    }

    /// The values; none if they are ids.
    pub(super) fn values(self) -> &'a [f32] {
        if let Input::Values(values) = self { values } else { &[] }
    }
}

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
    /// [`binary_cross_entropy`](crate::binary_cross_entropy) of each output: they are logits.
    BinaryCrossEntropy {
        /// As the output, from 0 to 1.
        targets: &'a [f32],
    },
    /// [`mean_squared_error`](crate::mean_squared_error) of the outputs.
    MeanSquaredError {
        /// As the output.
        targets: &'a [f32],
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
                cross_entropy(width, sequences, pooled, ignored).count(targets)
            }
            Loss::BinaryCrossEntropy { targets } | Loss::MeanSquaredError { targets } => {
                check_len("targets", rows.saturating_mul(width), targets.len())?;
                if pooled { Ok(rows) } else { sequences.present() }
            }
        }
    }

    /// The mean, and its gradient.
    ///
    /// # Errors
    /// None, if the targets were counted, and the others are as long as they have to be.
    pub(crate) fn mean(
        &self,
        width: usize,
        sequences: Sequences<'_>,
        pooled: bool,
        y: &[f32],
        dy: Option<&mut [f32]>,
    ) -> Result<f32> {
        let over = (!pooled).then_some((sequences, width));
        match *self {
            Loss::CrossEntropy { targets, ignored } => {
                cross_entropy(width, sequences, pooled, ignored).loss(y, targets, dy)
            }
            Loss::BinaryCrossEntropy { targets } => binary_cross_entropy_over(over, y, targets, dy),
            Loss::MeanSquaredError { targets } => mean_squared_error_over(over, y, targets, dy),
        }
    }
}

fn cross_entropy(
    classes: usize,
    sequences: Sequences<'_>,
    pooled: bool,
    ignored: Option<u32>,
) -> CrossEntropy<'_> {
    let mut loss = CrossEntropy::new(classes);
    if !pooled {
        loss = loss.over(sequences);
    }
    if let Some(target) = ignored {
        loss = loss.ignore(target);
    }
    loss
}

/// Arguments of [`Model::forward`].
#[derive(Debug, Default)]
pub struct Forward<'a> {
    /// Steps `T`, batch rows `B`, and what else there is to say of the sequences.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// Takes the output, `[T, B, O]`, or `[B, O]` for a model with a pool.
    pub y: &'a mut [f32],
    /// The initial state, and then the last, [`state_len`](Model::state_len) elements.
    pub state: &'a mut [f32],
    /// At least [`scratch_len`](Model::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Model::forward_backward`].
#[derive(Debug, Default)]
pub struct Training<'a> {
    /// Steps `T`, batch rows `B`, and what else there is to say of the sequences.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// What the output should have been.
    pub loss: Loss<'a>,
    /// For one of several batches whose gradients are added up: how many [targets](Model::targets) count in all of them. The loss and
    /// the gradients are then this batch's share of the mean over all, and the shares add up to it, however many targets each batch has.
    pub total_targets: Option<usize>,
    /// Takes the gradients of the weights in their layout.
    pub grads: &'a mut [f32],
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// The initial state, and then the last, [`state_len`](Model::state_len) elements. No gradient goes back into it: for truncated
    /// backpropagation carry it from chunk to chunk.
    pub state: &'a mut [f32],
    /// Factors of dropout, as [`draw_dropout`](Model::draw_dropout) makes them, for a model that has it; factors of 1 drop nothing.
    pub dropout: Option<&'a [f32]>,
    /// [`tape_len`](Model::tape_len) elements; after the pass it begins with the outputs of all layers.
    pub tape: &'a mut [f32],
    /// At least [`train_scratch_len`](Model::train_scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Model::generate`].
#[derive(Debug)]
pub struct Generate<'a> {
    /// What the text begins with; at least one id.
    pub prompt: &'a [u32],
    /// How ids are drawn.
    pub sampling: Sampling,
    /// The initial state of one row, and then the last.
    pub state: &'a mut [f32],
    /// At least [`generate_scratch_len`](Model::generate_scratch_len) elements.
    pub scratch: &'a mut [f32],
}

impl<const N: usize> Model<N> {
    /// How many targets count in a batch: the steps that take part, or the sequences of a model with a pool, without those whose class is
    /// ignored. A target of several numbers counts once.
    ///
    /// The mean loss of a batch is a sum divided by this. Gradients of several batches are added up with
    /// [`total_targets`](Training::total_targets). A batch of 0 has gradients of zero, with which an optimiser should make no update: a decay of
    /// weights would go on.
    ///
    /// # Errors
    /// Those of [`forward_backward`](Self::forward_backward) about the sequences and the targets.
    ///
    /// ```
    /// use recurrent::{Sequences, model::{Layer, Loss, Model}};
    /// const MODEL: Model<2> = Model::new([Layer::gru(1, 4), Layer::dense(4, 3)]);
    /// let sequences = Sequences::new(3, 2).lengths(&[3, 1]);
    /// let targets = [0, 2, /**/ 1, 0, /**/ 9, 0]; // [T, B]
    /// let loss = Loss::CrossEntropy { targets: &targets, ignored: Some(9) };
    /// assert_eq!(MODEL.targets(sequences, loss)?, 3);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn targets(&self, sequences: Sequences<'_>, loss: Loss<'_>) -> Result<usize> {
        loss.count(self.output(), sequences, self.is_pooled())
    }

    /// Refuses an input that does not fit. A pass goes on only then, so that it stops nowhere halfway.
    pub(crate) fn check_input(&self, sequences: Sequences<'_>, x: Input<'_>) -> Result<()> {
        sequences.check()?;
        let expected = self.dims(0, sequences.steps(), sequences.batch()).len();
        match (&self.layers[0], x) {
            (Layer::Embedding(table), Input::Ids(ids)) => {
                check_len("x", expected, ids.len())?;
                table.check(ids)
            }
            (Layer::Embedding(_), Input::Values(_)) => Err(Error::Value {
                argument: "x",
                expected: "ids, for a model that begins with an embedding",
            }),
            (_, Input::Values(values)) => check_len("x", expected, values.len()),
            (_, Input::Ids(_)) => {
                Err(Error::Value { argument: "x", expected: "values, for a model without an embedding" })
            }
        }
    }
}
