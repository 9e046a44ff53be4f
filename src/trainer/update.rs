//! Updates, one at a time or one for each batch.

use rand_core::Rng;

use super::distributed::Link;
use super::gradients::Summed;
use super::{Batch, Shard, Trainer, Update};
use crate::error::{Error, Result};
use crate::train::clip_scale;

impl Trainer {
    /// One update: computes the gradients of the batch's mean loss, clips them, and runs the optimiser.
    /// Dropout factors are drawn from `rng`; a model without dropout draws nothing.
    ///
    /// If the loss, a gradient or a carried state is NaN or infinite, the update is skipped: weights, moments
    /// and states stay as they were. A batch in which no target counts only advances the states, and is not
    /// an update.
    ///
    /// # Errors
    /// Those of [`Chain::forward_backward`](crate::model::Chain::forward_backward) and the optimiser;
    /// [`Error::Value`] for a learning rate of 0 without a [`rate`](Self::rate), for a number of rows that
    /// differs from that of the carried states, and for states that are both carried and learned;
    /// [`Error::Memory`] if there is not enough memory.
    pub fn update(&mut self, batch: Batch<'_>, rng: &mut impl Rng) -> Result<Update> {
        self.update_accumulated(&[batch], rng)
    }

    /// One update from several batches that do not fit into memory together (gradient accumulation): it uses
    /// the gradients of the mean loss over the targets of all of them. They are run one after the other, so
    /// carried states go from each batch to the next.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sequences, model::{Layer, Loss, Model}, train::Sgd, trainer::{Batch, Trainer}};
    /// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    /// let mut trainer = Trainer::new(&model, Sgd::new(0.1), &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let (x, targets) = ([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.4, 0.5, 0.6]);
    /// let batch = |steps: core::ops::Range<usize>| Batch {
    ///     sequences: Sequences::new(steps.len(), 1),
    ///     x: x[steps.clone()].into(),
    ///     loss: Loss::MeanSquaredError { targets: &targets[steps] },
    /// };
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    /// let update = trainer.update_accumulated(&[batch(0..4), batch(4..5)], &mut rng)?;
    /// assert_eq!((update.updates, update.targets), (1, 5));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn update_accumulated(&mut self, batches: &[Batch<'_>], rng: &mut impl Rng) -> Result<Update> {
        self.update_with(batches, rng, None)
    }

    /// The same, together with other ranks if there is a link to them.
    pub(super) fn update_with(
        &mut self,
        batches: &[Batch<'_>],
        rng: &mut impl Rng,
        link: Option<Link<'_>>,
    ) -> Result<Update> {
        let rate = self.next_rate()?;
        // Validate all settings first: calls on empty slices run only the checks.
        clip_scale(&[], self.clip)?;
        self.check_rates(rate)?;
        self.model().draw_dropout(&mut [], 0, 0, rng)?;
        self.shards.iter_mut().for_each(Shard::keep_state);
        let summed = self.gradients(batches, rng, link).inspect_err(|_| self.restore_states())?;
        let Summed { loss, targets, weight, finite } = summed;
        self.shape_gradients();
        let clip = clip_scale(&self.grads, self.clip)?.filter(|_| loss.is_finite() && finite);
        match clip {
            None => {
                self.restore_states();
                self.skipped += 1;
            }
            Some(_) if weight == 0.0 => {}
            Some(clip) => {
                self.step(rate, clip.scale)?;
                self.take_average();
                self.updates += 1;
                self.skipped = 0;
            }
        }
        let norm = clip.filter(|_| weight > 0.0).map(|clip| clip.norm);
        Ok(Update { updates: self.updates, loss, targets, norm, skipped: self.skipped, rate })
    }

    /// Makes an update for each batch. `progress` gets the result of each update, and returns whether to
    /// continue.
    ///
    /// # Errors
    /// Those of [`update`](Self::update); [`Error::Skipped`] after too many consecutive skipped updates, see
    /// [`max_skipped`](Self::max_skipped).
    pub fn train<'b>(
        &mut self,
        batches: impl IntoIterator<Item = Batch<'b>>,
        rng: &mut impl Rng,
        mut progress: impl FnMut(Update) -> bool,
    ) -> Result<()> {
        self.train_with(batches, rng, |_, update| Ok(progress(update)))
    }

    /// The same, but `progress` also gets the trainer: to look at [gradients and norms](Self::norms), to
    /// [validate](Self::validated), to [save](Self::save), to [thaw](Self::set_layer) a layer. An error from
    /// `progress` ends the training and is returned.
    ///
    /// # Errors
    /// Those of [`train`](Self::train), and those of `progress`.
    pub fn train_with<'b>(
        &mut self,
        batches: impl IntoIterator<Item = Batch<'b>>,
        rng: &mut impl Rng,
        mut progress: impl FnMut(&mut Self, Update) -> Result<bool>,
    ) -> Result<()> {
        for batch in batches {
            let update = self.update(batch, rng)?;
            if !progress(self, update)? {
                break;
            }
            if self.skipped >= self.max_skipped {
                return Err(Error::Skipped { updates: self.skipped });
            }
        }
        Ok(())
    }
}
