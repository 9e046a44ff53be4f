//! Layers: a cell with its dimensions, and what stands around recurrent layers. Safe, and the floor that checks lengths.
//!
//! A layer owns nothing. It is a constant that knows its dimensions, tells the length of every buffer,
//! and runs passes over buffers of the caller. It may import every floor below: `seq`, `cell`, `kernel`, `simd`.

mod args;
mod attention;
mod beam;
pub(crate) mod buffer;
mod dense;
mod embedding;
mod loss;
mod passes;
mod pool;
mod recurrent;
mod regression;
mod run;
mod sample;
mod sampling;
mod sequences;
mod softmax;
mod stack;
mod weights;

pub use crate::kernel::Masked;
pub use args::{Backward, Forward, ForwardTrain, Gradients};
pub use attention::{Attention, AttentionBackward, AttentionForward, Keys, KeysBackward};
pub use beam::{Beam, BeamBuffers, BeamStep, Hypotheses};
pub use dense::{Dense, DenseBackward};
pub use embedding::Embedding;
pub use loss::{CrossEntropy, cross_entropy};
pub use passes::Cell;
pub use pool::Pool;
pub use recurrent::{Gru, Lstm, Mgu, Recurrent, Rnn};
pub use regression::{binary_cross_entropy, mean_squared_error};
pub(crate) use regression::{binary_cross_entropy_over, mean_squared_error_over};
pub use sample::{argmax, sample};
pub use sampling::Sampling;
pub use sequences::Sequences;
pub use softmax::{log_softmax, log_softmax_backward, softmax, softmax_backward};
#[cfg(feature = "std")]
pub use stack::Threads;
pub use stack::{Join, Merge, Sequential, Stack};
pub use weights::{
    GruWeights, GruWeightsMut, LstmWeights, LstmWeightsMut, MguWeights, MguWeightsMut, Packed, RnnWeights,
    RnnWeightsMut, WeightSource, Weights, WeightsMut,
};
