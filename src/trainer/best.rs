//! What a trainer keeps besides its weights: their running average, and the best weights so far.

use std::vec::Vec;

use super::measures::Sums;
use super::{Batch, Measures, Predictor, Trainer, zeros};
use crate::error::{Error, Result};

/// When to stop a training that no longer improves.
///
/// ```
/// use recurrent::trainer::EarlyStopping;
/// let stopping = EarlyStopping::new(5).min_delta(1e-3);
/// assert_eq!(stopping.patience, 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStopping {
    /// The training stops after this many validations in a row without improvement.
    pub patience: u64,
    /// A loss counts as an improvement if it is below the best one by more than this.
    pub min_delta: f32,
}

impl EarlyStopping {
    /// Stops after `patience` validations in a row without improvement.
    pub const fn new(patience: u64) -> Self {
        EarlyStopping { patience, min_delta: 0.0 }
    }

    /// The same with a minimum improvement: smaller gains do not count.
    pub const fn min_delta(mut self, min_delta: f32) -> Self {
        self.min_delta = min_delta;
        self
    }
}

/// The weights with the lowest loss so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best<'a> {
    /// The validation loss.
    pub loss: f32,
    /// Number of updates made up to that validation.
    pub updates: u64,
    /// Number of validations since then.
    pub since: u64,
    /// The weights in the layout of the model. If the trainer averages its weights, this is the average.
    pub weights: &'a [f32],
}

/// Copies of the parameters.
#[derive(Clone, Default)]
pub(super) struct Kept {
    /// The decay of the average.
    pub(super) decay: f32,
    /// Number of updates that the average includes.
    pub(super) averaged: u64,
    /// Same layout as the parameters; empty without averaging.
    pub(super) average: Vec<f32>,
    pub(super) stopping: Option<EarlyStopping>,
    pub(super) loss: f32,
    pub(super) updates: u64,
    pub(super) since: u64,
    /// Same layout as the parameters; empty before the first best.
    pub(super) best: Vec<f32>,
}

impl Trainer {
    /// The same trainer with a running average of the weights. Each update enters with the share `1 - decay`;
    /// usual decays are 0.99 to 0.9999. The average starts with the weights after the next update.
    ///
    /// ```text
    /// average += (1 - decay) (weights - average)
    /// ```
    ///
    /// It is PyTorch's `AveragedModel` with `get_ema_multi_avg_fn`. [Predictors](Self::predictor),
    /// evaluations and the [best weights](Self::best) then use the average; training continues with the
    /// weights themselves.
    ///
    /// # Errors
    /// [`Error::Value`] for a decay that is not in `0..1`; [`Error::Memory`] if there is not enough memory.
    pub fn average(mut self, decay: f32) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::Value { argument: "decay", expected: "at least 0 and below 1" });
        }
        self.kept.decay = decay;
        self.kept.average = zeros("average", self.parameters.len())?;
        self.kept.averaged = 0;
        Ok(self)
    }

    /// The average of the weights, in the layout of the model; `None` without averaging and before the first
    /// update.
    pub fn averaged_weights(&self) -> Option<&[f32]> {
        let average = self.kept.average.get(..self.model().weights_len());
        average.filter(|_| self.kept.averaged > 0)
    }

    /// The parameters to evaluate and predict with: the average if there is one.
    pub(super) fn smooth(&self) -> &[f32] {
        if self.kept.averaged > 0 { &self.kept.average } else { &self.parameters }
    }

    /// Adds the current parameters to the average.
    pub(super) fn take_average(&mut self) {
        let Kept { average, averaged, decay, .. } = &mut self.kept;
        if average.is_empty() {
            return;
        }
        let share = if *averaged == 0 { 1.0 } else { (1.0 - f64::from(*decay)) as f32 };
        for (to, x) in average.iter_mut().zip(&self.parameters) {
            *to = if share == 1.0 { *x } else { *to + share * (x - *to) };
        }
        *averaged += 1;
    }

    /// The same trainer with early stopping: report each validation loss to [`validated`](Self::validated).
    pub fn early_stopping(mut self, stopping: EarlyStopping) -> Self {
        self.kept.stopping = Some(stopping);
        self
    }

    /// Reports the loss on data that is not trained on. If it is the lowest so far, the weights (or their
    /// average, if there is one) are kept as the best. Returns whether to continue, by the rule of
    /// [`early_stopping`](Self::early_stopping); without early stopping always true.
    ///
    /// A loss of NaN is never an improvement.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sequences, model::{Layer, Loss, Model}, train::Adam};
    /// use recurrent::trainer::{Batch, EarlyStopping, Trainer};
    /// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let mut trainer =
    ///     Trainer::new(&model, Adam::new(0.3), &mut rng)?.early_stopping(EarlyStopping::new(3));
    /// let (x, loss) = ((&[0.5; 9]).into(), Loss::MeanSquaredError { targets: &[1.0; 9] });
    /// let batch = Batch { sequences: Sequences::new(9, 1), x, loss };
    /// trainer.train_with([batch; 200], &mut rng, |trainer, _| {
    ///     let loss = trainer.evaluate(batch)?; // of other data
    ///     trainer.validated(loss)
    /// })?;
    /// let lowest = trainer.best().map(|best| best.loss);
    /// trainer.restore_best();
    /// assert_eq!(Some(trainer.evaluate(batch)?), lowest);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn validated(&mut self, loss: f32) -> Result<bool> {
        let stopping = self.kept.stopping.unwrap_or(EarlyStopping::new(u64::MAX));
        let better = match self.kept.best.is_empty() {
            true => !loss.is_nan(),
            false => loss < self.kept.loss - stopping.min_delta,
        };
        if !better {
            self.kept.since = self.kept.since.saturating_add(1);
            return Ok(self.kept.since < stopping.patience);
        }
        let mut best = core::mem::take(&mut self.kept.best);
        if best.is_empty() {
            best = zeros("best", self.parameters.len())?;
        }
        best.copy_from_slice(self.smooth());
        (self.kept.loss, self.kept.updates, self.kept.since) = (loss, self.updates, 0);
        self.kept.best = best;
        Ok(true)
    }

    /// The best weights so far; `None` before the first [validation](Self::validated).
    pub fn best(&self) -> Option<Best<'_>> {
        let Kept { loss, updates, since, best, .. } = &self.kept;
        let weights = best.get(..self.model().weights_len()).filter(|_| !best.is_empty())?;
        Some(Best { loss: *loss, updates: *updates, since: *since, weights })
    }

    /// Replaces the weights, the learned initial state and the average by those of the best validation.
    /// Returns false if there is no best yet.
    pub fn restore_best(&mut self) -> bool {
        let Kept { best, average, .. } = &mut self.kept;
        if best.is_empty() {
            return false;
        }
        self.parameters.copy_from_slice(best);
        if !average.is_empty() {
            average.copy_from_slice(best);
        }
        true
    }

    /// The current model, ready to run. It has the averaged weights if there is an average.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory.
    pub fn predictor(&self) -> Result<Predictor> {
        let (weights, initial_state) = self.smooth().split_at(self.model().weights_len());
        Predictor::new(self.model(), weights)?.with_initial_state(initial_state)
    }

    /// The mean loss of a batch, from the initial state, without dropout. Nothing is learned from it.
    ///
    /// # Errors
    /// Those of [`Chain::forward`](crate::model::Chain::forward) and
    /// [`Chain::forward_backward`](crate::model::Chain::forward_backward).
    pub fn evaluate(&self, batch: Batch<'_>) -> Result<f32> {
        self.predictor()?.loss(batch)
    }

    /// The mean loss over the targets of all batches, with accuracy and perplexity if the loss is over
    /// classes. Otherwise as [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// Those of [`evaluate`](Self::evaluate).
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sequences, model::{Layer, Loss, Model}, train::Adam, trainer::{Batch, Trainer}};
    /// let model = Model::new([Layer::embedding(4, 3), Layer::gru(3, 8), Layer::dense(8, 4)]);
    /// let trainer = Trainer::new(&model, Adam::new(0.01), &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let (x, loss) = ((&[0, 1, 2]).into(), Loss::classes(&[1, 2, 3]));
    /// let measures = trainer.measure([Batch { sequences: Sequences::new(3, 1), x, loss }])?;
    /// assert!(measures.accuracy.is_some() && measures.perplexity > Some(1.0));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn measure<'b>(&self, batches: impl IntoIterator<Item = Batch<'b>>) -> Result<Measures> {
        let (mut predictor, mut sums) = (self.predictor()?, Sums::default());
        batches.into_iter().try_for_each(|batch| predictor.measure_into(batch, &mut sums))?;
        Ok(sums.means())
    }
}
