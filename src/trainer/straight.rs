//! Training for narrow weights: passes run on rounded weights, and updates change those in `f32`.

use std::vec::Vec;

use super::{Trainer, zeros};
use crate::error::{Error, Result};
use crate::kernel::bytes::bytes_mut;
use crate::model::Chain;

/// The rounded weights of an update.
#[derive(Clone)]
pub(super) struct Rounded {
    /// In their formats.
    words: Vec<f32>,
    /// The values of these in `f32`, and the rest of the parameters as they are.
    pub(super) parameters: Vec<f32>,
}

impl Rounded {
    /// Rounds the weights.
    pub(super) fn take(&mut self, model: Chain<'_>, parameters: &[f32]) -> Result<()> {
        let (weights, rest) = parameters.split_at(model.weights_len());
        self.parameters.resize(parameters.len(), 0.0);
        let (to, to_rest) = self.parameters.split_at_mut(weights.len());
        to_rest.copy_from_slice(rest);
        model.round(weights, bytes_mut(&mut self.words))?;
        model.widen_words(&self.words, to)
    }
}

impl Trainer {
    /// The same trainer, training for the narrow formats of its model (straight-through estimator, Bengio et
    /// al. 2013, arXiv:1308.3432): forward and backward passes use the rounded weights, and each update
    /// applies their gradients to the weights in `f32`. So the weights learn to be rounded. The rounding of
    /// `x` and `h` is not part of it. [Predictors](Self::predictor) and evaluations use the formats anyway.
    ///
    /// # Errors
    /// [`Error::Value`] for a model without a narrow format; [`Error::Memory`] if there is not enough memory.
    /// Updates then also have the errors of [`Chain::round`].
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Narrow, Sequences, train::AdamW};
    /// use recurrent::{model::{Layer, Loss, Model}, trainer::{Batch, Trainer}};
    /// let model = Model::new([Layer::gru(1, 8), Layer::dense(8, 1)]).narrow(Narrow::W8A16);
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let mut trainer = Trainer::new(&model, AdamW::new(0.01), &mut rng)?.straight_through()?;
    /// let (x, loss) = ((&[0.5; 9]).into(), Loss::MeanSquaredError { targets: &[1.0; 9] });
    /// trainer.update(Batch { sequences: Sequences::new(9, 1), x, loss }, &mut rng)?;
    /// let mut bytes = vec![0; model.narrow_len()]; // for flash
    /// model.round(trainer.weights(), &mut bytes)?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn straight_through(mut self) -> Result<Self> {
        if !self.model().is_narrow() {
            return Err(Error::Value {
                argument: "model",
                expected: "a model with narrow weights: see `narrow`",
            });
        }
        let words = zeros("narrow", self.model().words_len())?;
        let parameters = zeros("rounded", self.parameters.len())?;
        self.rounded = Some(Rounded { words, parameters });
        Ok(self)
    }
}
