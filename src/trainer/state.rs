//! An initial state that is learned with the weights.

use std::vec::Vec;

use super::{Trainer, zeros};
use crate::error::{Error, Result};

impl Trainer {
    /// The same trainer with a learned initial state: every sequence starts in it, and each update changes it
    /// together with the weights, by the optimiser's rule and under the same clip. All rows share one state.
    /// It starts at zero; [`initial_state_mut`](Self::initial_state_mut) sets it. Predictors start in it, and
    /// [saved trainings](Self::save) contain it; [`Extras`](crate::image::Extras) store it in an image. After
    /// their own [resets](crate::Sequences::resets), sequences still continue from zeros.
    ///
    /// It cannot be combined with [`stateful`](Self::stateful): updates of such a training are rejected.
    ///
    /// # Errors
    /// [`Error::Value`] after the first update; [`Error::Memory`] if there is not enough memory.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sequences, image, model::{Layer, Loss, Model}, train::Adam, trainer::{Batch, Trainer}};
    /// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let mut trainer = Trainer::new(&model, Adam::new(0.02), &mut rng)?.learn_initial_state()?;
    /// let (x, targets) = ((&[0.0; 3]).into(), &[1.0, 0.0, 0.0]);
    /// let batch = Batch { sequences: Sequences::new(3, 1), x, loss: Loss::MeanSquaredError { targets } };
    /// trainer.train([batch; 200], &mut rng, |_| true)?;
    /// assert!(trainer.evaluate(batch)? < 0.01);
    ///
    /// let extras = image::Extras { initial_state: trainer.initial_state(), ..Default::default() };
    /// let mut bytes = vec![0; image::len_with(model.layers(), &extras)];
    /// image::write_with(model.layers(), trainer.weights(), &extras, &mut bytes)?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn learn_initial_state(mut self) -> Result<Self> {
        if self.updates > 0 {
            let expected = "0: call this before the first update";
            return Err(Error::Value { argument: "updates", expected });
        }
        let (weights, state) = (self.model().weights_len(), self.model().state_len(1));
        let len = weights.saturating_add(state);
        let mut parameters = zeros("initial_state", len)?;
        parameters[..weights].copy_from_slice(self.weights());
        self.grads = zeros("grads", len)?;
        self.moments = zeros("moments", self.optimiser.moments_len(len))?;
        self.parameters = parameters;
        if !self.kept.average.is_empty() {
            self.kept.average = zeros("average", len)?;
        }
        self.kept.averaged = 0;
        self.kept.best = Vec::new();
        // The existing shards have gradients of the old length.
        self.shards = Vec::new();
        self.batch = 0;
        Ok(self)
    }

    /// The initial state of one row, in the layout of [`Chain::state_len`](crate::model::Chain::state_len);
    /// empty if it is not [learned](Self::learn_initial_state).
    pub fn initial_state(&self) -> &[f32] {
        &self.parameters[self.model().weights_len()..]
    }

    /// The initial state, for writing.
    pub fn initial_state_mut(&mut self) -> &mut [f32] {
        let len = self.model().weights_len();
        &mut self.parameters[len..]
    }
}
