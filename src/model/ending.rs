//! The function after the last layer.

/// The function of whole rows that follows the last layer of a model. The passes of a model do not compute
/// it, because losses and sampling take logits. `io::Instance` computes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// None: the outputs are those of the last layer.
    #[default]
    None,
    /// A softmax over the features of each row.
    Softmax,
    /// The logarithm of a softmax over the features of each row.
    LogSoftmax,
}
