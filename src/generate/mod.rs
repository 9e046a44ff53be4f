//! What comes out of a model that says what follows: classes drawn from logits, text, and the likeliest sequences.
//!
//! `sample` draws a class, `sampling` draws among the likeliest, `text` is the loop of a language model over
//! that, `beam` searches, and `ctc` finds the labels of a sequence that has no alignment with them. This
//! folder may import `model`, `loss` and every floor below.

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
