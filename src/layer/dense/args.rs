//! The arguments of a dense layer's backward pass.

use crate::layer::gradients::Gradients;

/// Arguments of [`Dense::backward`](crate::Dense::backward).
#[derive(Debug)]
pub struct DenseBackward<'a> {
    /// Rows of `x` and `dy`; `T*B` for sequences.
    pub rows: usize,
    /// The input of the forward pass, `[rows, I]`.
    pub x: &'a [f32],
    /// The output of the forward pass, `[rows, O]`. It may be empty for a layer without an activation, which
    /// does not read it.
    pub y: &'a [f32],
    /// Gradient of the output, `[rows, O]`. A layer with an activation replaces it by the gradient of the
    /// sums.
    pub dy: &'a mut [f32],
    /// If given, receives the gradient of the input, `[rows, I]`.
    pub dx: Option<&'a mut [f32]>,
    /// If given, receives the gradients of the weights, in the layout of the weights.
    pub grads: Option<&'a mut [f32]>,
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// At least [`scratch_len`](crate::Dense::scratch_len) elements.
    pub scratch: &'a mut [f32],
}
