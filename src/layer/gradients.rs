//! Whether gradients replace or add to what is in their buffer.

/// Whether gradients of weights replace what is in their buffer, or are added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gradients {
    /// The buffer is overwritten and never read.
    #[default]
    Overwrite,
    /// The buffer holds a sum, and the gradients are added to it. For the gradient of a mean over several
    /// batches, scale each batch's gradients by the batch's share of all targets.
    Accumulate,
}
