//! What comes out of a model that says what follows: classes drawn from logits, text, and the likeliest sequences.
//!
//! `sample` draws a class, `sampling` draws among the likeliest, `text` is the loop of a language model over that, and `beam` searches.
//! This folder may import `model` and every floor below.

mod beam;
mod sample;
mod sampling;
mod text;

pub use beam::{Beam, BeamBuffers, BeamStep, Hypotheses};
pub use sample::{argmax, sample};
pub use sampling::Sampling;
pub use text::Generate;
