#![doc = include_str!("../README.md")]
//!
//! # Guide
//!
//! The [guide] explains more: layouts, training, firmware, other frameworks, and how to add a cell.
#![no_std]
#![deny(missing_docs, unreachable_pub)]
#![deny(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(any(feature = "std", test))]
extern crate std;

// The modules, from the top layer down. A module imports only from modules below it.
#[forbid(unsafe_code)]
mod cell;
#[forbid(unsafe_code)]
mod generate;
mod kernel;
#[forbid(unsafe_code)]
mod layer;
#[forbid(unsafe_code)]
mod loss;
#[forbid(unsafe_code)]
mod seq;
mod simd;

#[forbid(unsafe_code)]
pub mod image;
#[cfg(feature = "io")]
#[forbid(unsafe_code)]
pub mod io;
#[forbid(unsafe_code)]
pub mod model;
#[forbid(unsafe_code)]
pub mod train;
#[cfg(feature = "std")]
#[forbid(unsafe_code)]
pub mod trainer;

#[forbid(unsafe_code)]
mod error;

// Only documentation and its doc-tests; it adds nothing to builds.
#[cfg(any(doc, doctest))]
#[forbid(unsafe_code)]
pub mod guide;

pub use cell::{
    Gate, GruCell, GruGate, LstmCell, LstmGate, LstmNorm, MguCell, MguGate, Reset, RnnCell, RnnGate,
};
pub use error::{Error, Need, Result};
pub use generate::{
    Beam, BeamBuffers, BeamStep, CtcBeam, CtcBeamBuffers, CtcGreedy, CtcHypotheses, Generate, Hypotheses,
    Sampling, argmax, sample,
};
pub use kernel::{Activation, Narrow};
#[cfg(feature = "rayon")]
pub use layer::Rayon;
#[cfg(feature = "std")]
pub use layer::Threads;
pub use layer::{
    Activate, Attention, AttentionBackward, AttentionForward, Backward, Cell, Dense, DenseBackward,
    Embedding, Forward, ForwardTrain, Gradients, Gru, GruWeights, GruWeightsMut, Join, Keys, KeysBackward,
    Lstm, LstmWeights, LstmWeightsMut, Masked, Merge, Mgu, MguWeights, MguWeightsMut, Packed, Pool,
    Recurrent, Rnn, RnnWeights, RnnWeightsMut, Scale, Sequences, Sequential, Stack, WeightSource, Weights,
    WeightsMut, log_softmax, log_softmax_backward, softmax, softmax_backward,
};
pub use loss::{
    CrossEntropy, Ctc, CtcBatch, Elementwise, Own, OwnBatch, Reduction, binary_cross_entropy, cross_entropy,
    huber, mean_absolute_error, mean_squared_error,
};
pub use simd::Isa;

/// The names that most programs need: `use recurrent::prelude::*;`. The others are at the root, and in
/// [`model`], [`train`] and `trainer`.
///
/// ```
/// use recurrent::prelude::*;
///
/// const MODEL: Model<3> = Model::new([
///     Layer::Lstm(Stack::new(Lstm::new(8, 16)).bidirectional(Merge::Sum)),
///     Layer::Pool(Pool::Last),
///     Layer::dense(16, 2),
/// ]);
/// assert_eq!(MODEL.output(), 2);
/// ```
pub mod prelude {
    #[doc(no_inline)]
    pub use crate::model::{Layer, Loss, Model};
    #[doc(no_inline)]
    pub use crate::train::{Adam, AdamW, Cosine, Sgd};
    #[cfg(feature = "std")]
    #[doc(no_inline)]
    pub use crate::trainer::{Batch, Predictor, Trainer};
    #[doc(no_inline)]
    pub use crate::{
        Activation, Backward, Dense, Embedding, Forward, ForwardTrain, Gradients, Gru, Lstm, Merge, Mgu,
        Pool, Rnn, Sampling, Sequences, Stack, argmax,
    };
}
