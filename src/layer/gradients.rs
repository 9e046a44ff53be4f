//! What becomes of a buffer of gradients.

/// Whether gradients of weights replace what is in their buffer or are added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gradients {
    /// The buffer is written and never read.
    #[default]
    Overwrite,
    /// The buffer holds a sum, to which is added. Gradients of a mean over several batches are sums of shares, each as large as the batch's
    /// share of all targets.
    Accumulate,
}
