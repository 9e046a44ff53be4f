//! The arguments of a model's passes.

use crate::layer::{Gradients, Sequences};
use crate::loss::Loss;

/// The input of a model: ids if it begins with an embedding, otherwise values. `into()` makes it from slices,
/// arrays and vectors.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// `[T, B]`, each below the number of the embedding's classes, also in the padding.
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
    pub(crate) fn len(&self) -> usize {
        match self {
            Input::Ids(ids) => ids.len(),
            Input::Values(values) => values.len(),
        }
    }

    /// The ids; empty for values.
    pub(crate) fn ids(self) -> &'a [u32] {
        if let Input::Ids(ids) = self { ids } else { &[] }
    }

    /// The values; empty for ids.
    pub(crate) fn values(self) -> &'a [f32] {
        if let Input::Values(values) = self { values } else { &[] }
    }
}

/// Arguments of [`Model::forward`](crate::model::Model::forward).
#[derive(Debug, Default)]
pub struct Forward<'a> {
    /// Steps `T`, batch rows `B`, and which steps take part.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// Takes the output, `[T, B, O]`, or `[B, O]` for a model with a pool.
    pub y: &'a mut [f32],
    /// The initial state; replaced by the last state. [`state_len`](crate::model::Model::state_len) elements.
    pub state: &'a mut [f32],
    /// At least [`scratch_len`](crate::model::Model::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Model::forward_backward`](crate::model::Model::forward_backward).
#[derive(Debug, Default)]
pub struct Training<'a> {
    /// Steps `T`, batch rows `B`, and which steps take part.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// The loss with its targets.
    pub loss: Loss<'a>,
    /// For one of several batches whose gradients are added up: the number of
    /// [targets](crate::model::Model::targets) that count in all batches, or, if the loss has weights, the
    /// sum of their [weights](crate::model::Model::target_weight). The loss and the gradients are then this
    /// batch's share of the mean over all batches. The shares sum to that mean, however many targets each
    /// batch has.
    pub total_targets: Option<f64>,
    /// Takes the gradients, in the layout of the weights.
    pub grads: &'a mut [f32],
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// The initial state; replaced by the last state. [`state_len`](crate::model::Model::state_len) elements.
    /// For truncated backpropagation, carry it from chunk to chunk.
    pub state: &'a mut [f32],
    /// If given, it is overwritten with the gradient of the initial state. It is as long as `state`. If all
    /// rows share one initial state, [`sum_dstate`](crate::model::Model::sum_dstate) makes its gradient from
    /// this one.
    pub dstate: Option<&'a mut [f32]>,
    /// Factors of dropout from [`draw_dropout`](crate::model::Model::draw_dropout), for a model that has
    /// dropout. Factors of 1 drop nothing.
    pub dropout: Option<&'a [f32]>,
    /// [`tape_len`](crate::model::Model::tape_len) elements; after the pass it begins with the outputs of all
    /// layers.
    pub tape: &'a mut [f32],
    /// At least [`train_scratch_len`](crate::model::Model::train_scratch_len) elements, and with
    /// [`Loss::Ctc`] [`ctc_scratch_len`](crate::model::Model::ctc_scratch_len).
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Model::forward_train`](crate::model::Model::forward_train).
#[derive(Debug, Default)]
pub struct ForwardTrain<'a> {
    /// Steps `T`, batch rows `B`, and which steps take part.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// Takes the output, `[T, B, O]`, or `[B, O]` for a model with a pool.
    pub y: &'a mut [f32],
    /// The initial state; replaced by the last state. [`state_len`](crate::model::Model::state_len) elements.
    pub state: &'a mut [f32],
    /// Factors of dropout from [`draw_dropout`](crate::model::Model::draw_dropout), for a model that has
    /// dropout. Factors of 1 drop nothing.
    pub dropout: Option<&'a [f32]>,
    /// Takes what the backward pass needs: [`tape_len`](crate::model::Model::tape_len) elements.
    pub tape: &'a mut [f32],
    /// At least [`train_scratch_len`](crate::model::Model::train_scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Model::backward`](crate::model::Model::backward).
#[derive(Debug, Default)]
pub struct Backward<'a> {
    /// Those of the forward pass.
    pub sequences: Sequences<'a>,
    /// That of the forward pass.
    pub x: Input<'a>,
    /// The gradient of the output, in its shape. Values of steps that do not take part have no effect.
    pub dy: &'a [f32],
    /// If given, takes the gradient of the input, in its shape. Only for models that take values.
    pub dx: Option<&'a mut [f32]>,
    /// If given, the gradient of the last state, replaced by that of the initial state. It is as long as the
    /// state. Without it, the gradient of the last state is zero.
    pub dstate: Option<&'a mut [f32]>,
    /// Takes the gradients, in the layout of the weights.
    pub grads: &'a mut [f32],
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// The factors of the forward pass.
    pub dropout: Option<&'a [f32]>,
    /// That of the forward pass. It is overwritten: another backward pass needs another forward pass.
    pub tape: &'a mut [f32],
    /// At least [`backward_scratch_len`](crate::model::Model::backward_scratch_len) elements.
    pub scratch: &'a mut [f32],
}
