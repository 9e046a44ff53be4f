//! Running a model that has been read.

use std::vec::Vec;

use super::error::Result;
use super::network::Network;
use crate::Sequences;
use crate::model::{Chain, Input, Layer};
use crate::trainer::Predictor;

impl Network {
    /// The output for a batch of sequences, from a state of zeros: `[T, B, O]`, or `[B, O]` if the model has a pool.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length than the sequences ask for, or an id is out of range,
    /// or there is not enough memory.
    pub fn run(&self, x: Input<'_>, steps: usize, batch: usize) -> Result<Vec<f32>> {
        let layers: Vec<Layer> = self.layers().collect();
        let mut predictor = Predictor::new(Chain::new(&layers)?, self.weights())?;
        Ok(predictor.forward(Sequences::new(steps, batch), x)?.to_vec())
    }
}
