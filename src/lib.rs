#![doc = include_str!("../README.md")]
//!
//! # Guide
//!
//! The [guide] explains what this page only uses: layouts, training, firmware, other frameworks, and how to add a cell.
#![no_std]
#![deny(missing_docs, unreachable_pub)]
#![deny(clippy::std_instead_of_core, clippy::alloc_instead_of_core)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(any(feature = "std", test))]
extern crate std;

// The floors, from the top down. Imports go down only.
#[forbid(unsafe_code)]
mod cell;
mod kernel;
#[forbid(unsafe_code)]
mod layer;
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

// Text and its tests, and nothing in any build.
#[cfg(any(doc, doctest))]
#[forbid(unsafe_code)]
pub mod guide;

pub use cell::{Gate, GruCell, GruGate, LstmCell, LstmGate, MguCell, MguGate, Reset, RnnCell, RnnGate};
pub use error::{Error, Result};
pub use kernel::Activation;
#[cfg(feature = "std")]
pub use layer::Threads;
pub use layer::{
    Attention, AttentionBackward, AttentionForward, Backward, Beam, BeamBuffers, BeamStep, Cell,
    CrossEntropy, Dense, DenseBackward, Embedding, Forward, ForwardTrain, Gradients, Gru, GruWeights,
    GruWeightsMut, Hypotheses, Join, Keys, KeysBackward, Lstm, LstmWeights, LstmWeightsMut, Masked, Merge,
    Mgu, MguWeights, MguWeightsMut, Packed, Pool, Recurrent, Rnn, RnnWeights, RnnWeightsMut, Sampling,
    Sequences, Sequential, Stack, WeightSource, Weights, WeightsMut, argmax, binary_cross_entropy,
    cross_entropy, log_softmax, log_softmax_backward, mean_squared_error, sample, softmax, softmax_backward,
};
pub use simd::Isa;
