//! What follows the last layer.

/// What follows the last layer of a model: a function of whole rows, which is no layer here, because losses and sampling take logits. The passes of a
/// model do not compute it; it says what the outputs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Nothing: the outputs are those of the last layer.
    #[default]
    None,
    /// A softmax over the features of each row.
    Softmax,
    /// The logarithm of a softmax over the features of each row.
    LogSoftmax,
}
