//! What a model needs: lengths of buffers, of a number of layers that is known only at run time.

use super::error::{Result, unsupported};
use crate::model::{Layer, Model};

/// So many layers a model that is read from a file may have.
pub const MAX_LAYERS: usize = 16;

/// Lengths of the buffers of a model, in elements of `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Features of the input; 1 for ids.
    pub input: usize,
    /// Features of the output.
    pub width: usize,
    /// The weights.
    pub weights: usize,
    /// The weights in panels, which firmware does without.
    pub packed: usize,
    /// The state.
    pub state: usize,
    /// The scratch of the forward pass.
    pub scratch: usize,
    /// The output of the forward pass.
    pub output: usize,
    /// The tape of a training pass.
    pub tape: usize,
    /// The factors of dropout of a training pass.
    pub dropout: usize,
    /// The scratch of a training pass.
    pub train_scratch: usize,
}

/// The same expression for a model of any number of layers.
macro_rules! with_model {
    ($layers:expr, $model:ident => $e:expr) => {
        with_model!($layers, $model => $e, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    ($layers:expr, $model:ident => $e:expr, $($n:literal)+) => {
        match $layers.len() {
            $($n => {
                let mut layers = [$crate::model::Layer::dense(0, 0); $n];
                layers.copy_from_slice($layers);
                let $model = $crate::model::Model::checked(layers)?;
                $e
            })+
            n => return unsupported(
                std::format!("a model of {n} layers"),
                std::format!("it has to have at least one and at most {}", $crate::io::size::MAX_LAYERS),
            ),
        }
    };
}

pub(super) use with_model;

fn needs<const N: usize>(model: &Model<N>, steps: usize, batch: usize) -> Needs {
    Needs {
        input: model.input(),
        width: model.output(),
        weights: model.weights_len(),
        packed: model.packed_len(),
        state: model.state_len(batch),
        scratch: model.scratch_len(steps, batch),
        output: model.output_len(steps, batch),
        tape: model.tape_len(steps, batch),
        dropout: model.dropout_len(steps, batch),
        train_scratch: model.train_scratch_len(steps, batch),
    }
}

/// What a model of these layers needs for `batch` sequences of `steps` steps.
///
/// # Errors
/// If the layers do not fit together, or are more than [`MAX_LAYERS`]; [`Error::Overflow`](crate::Error::Overflow) for a buffer whose length
/// does not fit into `usize`.
///
/// ```
/// use recurrent::{io::size, model::Layer};
/// let needs = size::of(&[Layer::gru(3, 16), Layer::dense(16, 5)], 1, 1)?;
/// assert_eq!((needs.input, needs.width, needs.state), (3, 5, 16));
/// # Ok::<(), recurrent::io::Error>(())
/// ```
pub fn of(layers: &[Layer], steps: usize, batch: usize) -> Result<Needs> {
    let needs = with_model!(layers, model => needs(&model, steps, batch));
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

/// The weights of a model of these layers.
pub(super) fn weights_len(layers: &[Layer]) -> Result<usize> {
    Ok(of(layers, 1, 1)?.weights)
}
