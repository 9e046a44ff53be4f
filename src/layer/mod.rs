//! Layers: recurrent layers (a cell with its dimensions), and the other layers of a model. This folder has no
//! unsafe code; it is where lengths are checked.
//!
//! A layer owns nothing. It is a constant that knows its dimensions, gives the length of every buffer, and
//! runs passes over the caller's buffers. It may import every floor below: `seq`, `cell`, `kernel`, `simd`.
//!
//! | file | what it holds |
//! |---|---|
//! | `recurrent` | recurrent layers, and stacks of them in one direction or in both |
//! | `attention` | attention over an encoder's outputs |
//! | `dense`, `embedding`, `scale`, `activate`, `pool`, `softmax` | the other layers |
//! | `sequences` | a padded batch, as every pass takes it |
//! | `packed` | weights in panels |
//! | `narrow` | weights in the formats of their layers, as bytes |
//! | `join` | threads that run the parts of a pass |
//! | `gradients`, `buffer` | what all layers use |
//!
//! Files import each other downward in this table. Losses, sampling and search are not layers: they have
//! separate floors.

mod activate;
mod attention;
pub(crate) mod buffer;
mod dense;
pub(crate) mod embedding;
mod gradients;
pub(crate) mod join;
pub(crate) mod narrow;
pub(crate) mod packed;
mod pool;
pub(crate) mod recurrent;
mod scale;
mod sequences;
mod softmax;

pub use crate::kernel::Masked;
pub use activate::Activate;
pub use attention::{Attention, AttentionBackward, AttentionForward, Keys, KeysBackward};
pub use dense::{Dense, DenseBackward};
pub use embedding::Embedding;
pub use gradients::Gradients;
#[cfg(feature = "rayon")]
pub use join::Rayon;
#[cfg(feature = "std")]
pub use join::Threads;
pub use join::{Join, Sequential};
pub use packed::{Packed, WeightSource};
pub use pool::Pool;
pub use recurrent::{
    Backward, Cell, Forward, ForwardTrain, Gru, GruWeights, GruWeightsMut, Lstm, LstmWeights, LstmWeightsMut,
    Merge, Mgu, MguWeights, MguWeightsMut, Recurrent, Rnn, RnnWeights, RnnWeightsMut, Stack, Weights,
    WeightsMut,
};
pub use scale::Scale;
pub use sequences::Sequences;
pub use softmax::{log_softmax, log_softmax_backward, softmax, softmax_backward};
