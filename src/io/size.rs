//! Lengths of the buffers that a model needs.

use super::error::Result;
use crate::model::{Chain, Layer};

/// Limit of the size of the weights, in multiples of the size of the file. The weights may be larger than the
/// file, because tied weights, and a constant that serves many nodes, are copied for each layer.
pub(super) const SHARED: usize = 16;

/// Lengths of the buffers of a model, in elements of `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Features of the input; 1 for ids.
    pub input: usize,
    /// Features of the output.
    pub width: usize,
    /// The weights.
    pub weights: usize,
    /// The weights in panels. Firmware can do without them.
    pub packed: usize,
    /// The state.
    pub state: usize,
    /// The scratch of the forward pass.
    pub scratch: usize,
    /// The output of the forward pass.
    pub output: usize,
    /// The tape of a training pass.
    pub tape: usize,
    /// The dropout factors of a training pass.
    pub dropout: usize,
    /// The scratch of a training pass.
    pub train_scratch: usize,
}

/// The lengths of the buffers of a model of these layers, for `batch` sequences of `steps` steps.
///
/// # Errors
/// An error if the layers do not fit together; [`Error::Overflow`](crate::Error::Overflow) for a buffer whose
/// length does not fit into `usize`.
///
/// ```
/// use recurrent::{io::size, model::Layer};
/// let needs = size::of(&[Layer::gru(3, 16), Layer::dense(16, 5)], 1, 1)?;
/// assert_eq!((needs.input, needs.width, needs.state), (3, 5, 16));
/// # Ok::<(), recurrent::io::Error>(())
/// ```
pub fn of(layers: &[Layer], steps: usize, batch: usize) -> Result<Needs> {
    let chain = Chain::new(layers)?;
    let needs = Needs {
        input: chain.input(),
        width: chain.output(),
        weights: chain.weights_len(),
        packed: chain.packed_len(),
        state: chain.state_len(batch),
        scratch: chain.scratch_len(steps, batch),
        output: chain.output_len(steps, batch),
        tape: chain.tape_len(steps, batch),
        dropout: chain.dropout_len(steps, batch),
        train_scratch: chain.train_scratch_len(steps, batch),
    };
    let lengths = [
        ("weights", needs.weights),
        ("packed", needs.packed),
        ("state", needs.state),
        ("scratch", needs.scratch.max(needs.train_scratch)),
        ("output", needs.output),
        ("tape", needs.tape),
        ("dropout", needs.dropout),
    ];
    match lengths.into_iter().find(|(_, len)| *len == usize::MAX) {
        Some((buffer, _)) => Err(crate::Error::Overflow { buffer }.into()),
        None => Ok(needs),
    }
}

/// The number of weights of a model of these layers.
pub(super) fn weights_len(layers: &[Layer]) -> Result<usize> {
    Ok(of(layers, 1, 1)?.weights)
}
