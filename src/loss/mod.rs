//! Losses: how far outputs are from their targets, and the gradient of that.
//!
//! This folder may import `layer` and everything below it. `cross_entropy` is the loss of classes, and
//! `classes` its pass. `ctc` is the loss of labels without an alignment. `regression` has the losses of
//! single elements, and `elements` their passes. `own` is for losses that a program defines. [`Loss`] is any
//! of these with its targets, as a model takes it.

mod classes;
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
pub(crate) use own::clear_absent;
pub use own::{Own, OwnBatch};
pub use regression::{Elementwise, binary_cross_entropy, huber, mean_absolute_error, mean_squared_error};
