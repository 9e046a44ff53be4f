//! Losses: how far an output is from what it should have been, and the gradient of that.
//!
//! This folder may import `layer` and every floor below. `cross_entropy` is that of classes, `ctc` that of
//! labels without an alignment, `regression` has those of single elements and `elements` their passes, `own`
//! is that of a program; [`Loss`] is one of them with its targets, as a model takes it.

mod cross_entropy;
pub(crate) mod ctc;
mod elements;
mod of_model;
mod own;
mod regression;

pub use cross_entropy::{CrossEntropy, cross_entropy};
pub use ctc::{Ctc, CtcBatch, Reduction};
pub use of_model::Loss;
pub(crate) use of_model::Outputs;
pub use own::{Own, OwnBatch};
pub use regression::{Elementwise, binary_cross_entropy, huber, mean_absolute_error, mean_squared_error};
