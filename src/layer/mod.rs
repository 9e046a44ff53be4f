//! Layers: a cell with its dimensions, and what stands around recurrent layers. Safe, and the floor that checks lengths.
//!
//! A layer owns nothing. It is a constant that knows its dimensions, tells the length of every buffer,
//! and runs passes over buffers of the caller. It may import every floor below: `seq`, `cell`, `kernel`, `simd`.

mod args;
mod dense;
mod embedding;
mod loss;
mod passes;
mod recurrent;
mod run;
mod sample;
mod sequences;
mod stack;
mod weights;

pub use crate::kernel::Masked;
pub use args::{Backward, Forward, ForwardTrain, Gradients};
pub use dense::{Dense, DenseBackward};
pub use embedding::Embedding;
pub use loss::cross_entropy;
pub use recurrent::{Gru, Lstm, Recurrent, Rnn};
pub use sample::{argmax, sample};
pub use sequences::Sequences;
#[cfg(feature = "std")]
pub use stack::Threads;
pub use stack::{Join, Merge, Sequential, Stack};
pub use weights::{
    GruWeights, GruWeightsMut, LstmWeights, LstmWeightsMut, Packed, RnnWeights, RnnWeightsMut, WeightSource,
    Weights, WeightsMut,
};
