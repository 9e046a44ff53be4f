//! Running a model that has been read.

use std::vec::Vec;

use super::error::{Result, unsupported};
use super::network::Network;
use super::size::with_model;
use crate::Sequences;
use crate::model::{Forward, Input, Layer, Model};
use crate::trainer::zeros;

impl Network {
    /// The output for a batch of sequences, from a state of zeros: `[T, B, O]`, or `[B, O]` if the model has a pool.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length than the sequences ask for, or an id is out of range,
    /// or there is not enough memory.
    pub fn run(&self, x: Input<'_>, steps: usize, batch: usize) -> Result<Vec<f32>> {
        let layers: Vec<Layer> = self.layers().collect();
        Ok(with_model!(&layers, model => forward(&model, self.weights(), x, Sequences::new(steps, batch))?))
    }
}

fn forward<const N: usize>(
    model: &Model<N>,
    weights: &[f32],
    x: Input<'_>,
    sequences: Sequences<'_>,
) -> crate::Result<Vec<f32>> {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    // The input has been paid for by the caller; everything else follows from it, so its length comes first.
    let rows = steps.saturating_mul(batch);
    let (expected, actual) = match x {
        Input::Ids(ids) => (rows, ids.len()),
        Input::Values(values) => (rows.saturating_mul(model.input()), values.len()),
    };
    crate::error::check_len("x", expected, actual)?;
    let mut y = zeros("y", model.output_len(steps, batch))?;
    let mut state = zeros("state", model.state_len(batch))?;
    let mut scratch = zeros("scratch", model.scratch_len(steps, batch))?;
    let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
    model.forward(weights, args)?;
    Ok(y)
}
