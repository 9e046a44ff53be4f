//! Running a model that has been read.

use std::vec;
use std::vec::Vec;

use super::error::Result;
use super::network::Network;
use super::note::Ending;
use crate::model::{Chain, Input, Layer};
use crate::trainer::Predictor;
use crate::{Sequences, log_softmax, softmax};

impl Network {
    /// The output for a batch of sequences, from a state of zeros: `[T, B, O]`, or `[B, O]` if the model has a pool;
    /// after its [`ending`](Self::ending).
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length than the sequences ask for, or an id is out of range,
    /// or there is not enough memory.
    pub fn run(&self, x: Input<'_>, steps: usize, batch: usize) -> Result<Vec<f32>> {
        let layers: Vec<Layer> = self.layers().collect();
        let chain = Chain::new(&layers)?;
        let width = chain.output();
        let mut predictor = Predictor::new(chain, self.weights())?;
        let y = predictor.forward(Sequences::new(steps, batch), x)?;
        let function = match self.ending() {
            Ending::None => return Ok(y.to_vec()),
            Ending::Softmax => softmax,
            Ending::LogSoftmax => log_softmax,
        };
        let mut ended = vec![0.0; y.len()];
        function(width, y, &mut ended)?;
        Ok(ended)
    }
}
