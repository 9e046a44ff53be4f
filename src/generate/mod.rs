//! Generation from a model that predicts what follows: drawing classes from logits, generating text, and
//! finding the likeliest sequences.
//!
//! `sample` draws a class, `sampling` draws among the likeliest classes, `text` is the loop of a language
//! model that uses it. `beam` is a beam search. `ctc` finds the labels of a sequence that is not aligned with
//! them. This folder may import `model`, `loss` and every floor below.

mod beam;
mod ctc;
mod sample;
mod sampling;
mod text;

pub use beam::{Beam, BeamBuffers, BeamStep, Hypotheses};
pub use ctc::{CtcBeam, CtcBeamBuffers, CtcGreedy, CtcHypotheses};
pub use sample::{argmax, sample};
pub use sampling::Sampling;
pub use text::Generate;
