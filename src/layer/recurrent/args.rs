//! The arguments of passes over sequences, for layers and stacks.

use crate::layer::gradients::Gradients;
use crate::layer::sequences::Sequences;

/// Arguments of [`Recurrent::forward`](crate::Recurrent::forward).
#[derive(Debug, Default)]
pub struct Forward<'a> {
    /// Steps `T`, batch rows `B`, and the options of the sequences.
    pub sequences: Sequences<'a>,
    /// The input, `[T, B, I]`.
    pub x: &'a [f32],
    /// Receives every hidden state, `[T, B, H]`; empty if only the last state is needed.
    pub y: &'a mut [f32],
    /// The initial state, replaced by the last one: `h [B, H]`, and for an LSTM `c [B, H]`.
    pub state: &'a mut [f32],
    /// At least [`scratch_len`](crate::Recurrent::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Recurrent::forward_train`](crate::Recurrent::forward_train).
#[derive(Debug, Default)]
pub struct ForwardTrain<'a> {
    /// Steps `T`, batch rows `B`, and the options of the sequences.
    pub sequences: Sequences<'a>,
    /// The input, `[T, B, I]`.
    pub x: &'a [f32],
    /// Receives every hidden state, `[T, B, H]`; the backward pass reads it.
    pub y: &'a mut [f32],
    /// The initial state, replaced by the last one: `h [B, H]`, and for an LSTM `c [B, H]`.
    pub state: &'a mut [f32],
    /// Factors of the hidden state, `[B, R]`, for a layer with
    /// [`recurrent_dropout`](crate::Recurrent::recurrent_dropout): 0 for dropped elements, `1 / (1 - p)` for
    /// the others, as [`dropout`](crate::train::dropout) makes them. A [`Stack`](crate::Stack) takes those of
    /// all layers and directions.
    pub recurrent_dropout: Option<&'a [f32]>,
    /// Factors of the outputs of a [`Stack`](crate::Stack)'s layers, except the last layer: `[T, B, output]`
    /// for each.
    pub layer_dropout: Option<&'a [f32]>,
    /// Receives the values that the backward pass needs, [`tape_len`](crate::Recurrent::tape_len) elements.
    pub tape: &'a mut [f32],
    /// At least [`train_scratch_len`](crate::Recurrent::train_scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// Arguments of [`Recurrent::backward`](crate::Recurrent::backward).
#[derive(Debug, Default)]
pub struct Backward<'a> {
    /// Steps `T`, batch rows `B`, and the options of the sequences.
    pub sequences: Sequences<'a>,
    /// The input of the forward pass, `[T, B, I]`.
    pub x: &'a [f32],
    /// The output of the forward pass, `[T, B, H]`.
    pub y: &'a [f32],
    /// Gradient of the output, `[T, B, H]`; empty if only the last state has one.
    pub dy: &'a [f32],
    /// Gradient of the last state, replaced by that of the initial one: `dh [B, H]`, and for an LSTM
    /// `dc [B, H]`.
    pub dstate: &'a mut [f32],
    /// Receives the gradient of the input, `[T, B, I]`; `None` if it is not needed.
    pub dx: Option<&'a mut [f32]>,
    /// Receives the gradients of the weights, in the layout of the weights; `None` if they are not needed.
    pub grads: Option<&'a mut [f32]>,
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// The factors of the forward pass.
    pub recurrent_dropout: Option<&'a [f32]>,
    /// The factors of the forward pass.
    pub layer_dropout: Option<&'a [f32]>,
    /// The tape of the forward pass. It is overwritten: another backward pass needs another forward pass.
    pub tape: &'a mut [f32],
    /// At least [`train_scratch_len`](crate::Recurrent::train_scratch_len) elements.
    pub scratch: &'a mut [f32],
}
