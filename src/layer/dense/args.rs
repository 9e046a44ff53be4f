//! The arguments of a dense layer's backward pass.

use crate::layer::gradients::Gradients;

/// Arguments of [`Dense::backward`](crate::Dense::backward).
#[derive(Debug)]
pub struct DenseBackward<'a> {
    /// Rows of `x` and `dy`: for a sequence `T*B`.
    pub rows: usize,
    /// The input of the forward pass, `[rows, I]`.
    pub x: &'a [f32],
    /// The output of the forward pass, `[rows, O]`; may be empty for a layer without an activation, which
    /// does not read it.
    pub y: &'a [f32],
    /// Gradient of the output, `[rows, O]`. A layer with an activation leaves the gradient of the sums in it.
    pub dy: &'a mut [f32],
    /// Takes the gradient of the input, `[rows, I]`, if wanted.
    pub dx: Option<&'a mut [f32]>,
    /// Takes the gradients of the weights in their layout, if wanted.
    pub grads: Option<&'a mut [f32]>,
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// At least [`scratch_len`](crate::Dense::scratch_len) elements.
    pub scratch: &'a mut [f32],
}
