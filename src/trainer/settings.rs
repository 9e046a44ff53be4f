//! Settings for single layers, and the learning rate of an update.

use core::ops::Range;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use super::Trainer;
use crate::error::{Error, Result};
use crate::model::Layer;

/// The training settings of a layer.
///
/// ```
/// use recurrent::trainer::LayerSettings;
/// let slow = LayerSettings { rate: 0.1, ..LayerSettings::default() };
/// assert_eq!((slow.frozen, slow.weight_decay), (false, None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerSettings {
    /// Whether the layer is frozen. Its gradients are then zero, and do not count in the clipped norm.
    pub frozen: bool,
    /// Multiplies the learning rate.
    pub rate: f32,
    /// Weight decay that replaces the optimiser's.
    pub weight_decay: Option<f32>,
}

impl Default for LayerSettings {
    fn default() -> Self {
        LayerSettings { frozen: false, rate: 1.0, weight_decay: None }
    }
}

/// A function from the number of updates to the learning rate.
type Schedule = Arc<dyn Fn(u64) -> f32 + Send + Sync>;

/// Settings that most trainings do not change.
#[derive(Clone)]
pub(super) struct Settings {
    /// One for each layer.
    layers: Vec<LayerSettings>,
    schedule: Option<Schedule>,
    warmup: u64,
    /// The ranges of the two tied matrices: the embedding and the weights of the last layer.
    tied: Option<[Range<usize>; 2]>,
    /// The range of the embedding of the padding id.
    padding: Option<Range<usize>>,
}

impl Settings {
    pub(super) fn new(layers: usize) -> Self {
        let layers = (0..layers).map(|_| LayerSettings::default()).collect();
        Settings { layers, schedule: None, warmup: 0, tied: None, padding: None }
    }
}

impl Trainer {
    /// The same trainer with settings for one layer, counted from 0.
    ///
    /// # Errors
    /// Those of [`set_layer`](Self::set_layer).
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{model::{Layer, Model}, train::AdamW, trainer::{LayerSettings, Trainer}};
    /// let model = Model::new([Layer::embedding(9, 4), Layer::gru(4, 8), Layer::dense(8, 2)]);
    /// let trainer = Trainer::new(&model, AdamW::new(0.01), &mut Xoshiro256PlusPlus::seed_from_u64(1))?
    ///     .layer(0, LayerSettings { frozen: true, ..LayerSettings::default() })?
    ///     .layer(1, LayerSettings { rate: 0.1, weight_decay: Some(0.0), ..LayerSettings::default() })?;
    /// assert!(trainer.layer_settings(0).frozen);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn layer(mut self, index: usize, settings: LayerSettings) -> Result<Self> {
        self.set_layer(index, settings)?;
        Ok(self)
    }

    /// Changes the settings of one layer, starting with the next update: for example to thaw layers one by
    /// one.
    ///
    /// The bias correction of Adam and AdamW counts the updates of the trainer, also for a layer that was
    /// frozen. Its first updates are up to 7 times as large as PyTorch's: give it a smaller `rate` for some
    /// hundred updates.
    ///
    /// # Errors
    /// [`Error::Value`] for a layer that the model does not have, and for a factor or a decay that is
    /// negative, infinite or NaN.
    pub fn set_layer(&mut self, index: usize, settings: LayerSettings) -> Result<()> {
        let Some(of) = self.settings.layers.get_mut(index) else {
            return Err(Error::Value { argument: "index", expected: "below the number of layers" });
        };
        for (argument, value) in
            [("rate", settings.rate), ("weight_decay", settings.weight_decay.unwrap_or(0.0))]
        {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::Value { argument, expected: "a finite number that is not negative" });
            }
        }
        *of = settings;
        Ok(())
    }

    /// The settings of an update, as text that ranks compare. The learning rate is not among them, because it
    /// may be a function.
    pub(super) fn describe_settings(&self) -> String {
        let Settings { layers, tied, padding, .. } = &self.settings;
        let average = (self.kept.decay.to_bits(), self.kept.averaged, self.kept.average.len());
        let rounds = self.rounded.is_some();
        std::format!("{:?} {layers:?} {tied:?} {padding:?} {average:?} {rounds}", self.optimiser)
    }

    /// The settings of a layer; the default settings for a layer that the model does not have.
    pub fn layer_settings(&self, index: usize) -> LayerSettings {
        self.settings.layers.get(index).copied().unwrap_or_default()
    }

    /// The same trainer with a custom learning rate: a function of the number of updates made so far. It
    /// replaces any other rate.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{model::{Layer, Model}, train::Adam, trainer::Trainer};
    /// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    /// let trainer = Trainer::new(&model, Adam::new(0.0), &mut Xoshiro256PlusPlus::seed_from_u64(1))?
    ///     .rate_by(|updates| 0.01 / (1.0 + updates as f32).sqrt());
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn rate_by(mut self, rate: impl Fn(u64) -> f32 + Send + Sync + 'static) -> Self {
        self.settings.schedule = Some(Arc::new(rate));
        self
    }

    /// The same trainer with a linear warm-up before any schedule: the rate rises in equal steps to the first
    /// rate of the schedule, and then the schedule begins. The size of Adam's first updates depends on the
    /// rate and not on the gradients. At the full rate these updates are often too large for recurrent
    /// layers.
    pub fn warmup(mut self, updates: u64) -> Self {
        self.settings.warmup = updates;
        self
    }

    /// The same trainer with tied embeddings: one matrix is both the embedding and the weights of the last
    /// layer (Press and Wolf 2017, arXiv:1608.05859), as PyTorch's `decoder.weight = encoder.weight`. Both
    /// copies have the embedding's values and the sum of both gradients. The last layer keeps its own bias.
    /// The layout of the weights still has both copies, so no other code is affected.
    ///
    /// # Errors
    /// [`Error::Value`] unless the model begins with an embedding and ends with a dense layer of the same
    /// sizes: as many outputs as classes, as many inputs as features.
    pub fn tie_embeddings(mut self) -> Result<Self> {
        let layers = self.model().layers();
        let tied = match (layers.first(), layers.last()) {
            (Some(Layer::Embedding(first)), Some(Layer::Dense(last))) => {
                let sizes = (first.classes(), first.width());
                let len = first.weights_len();
                let start = self.model().weights_len() - last.weights_len();
                (sizes == (last.output(), last.input())).then_some([0..len, start..start + len])
            }
            _ => None,
        };
        if tied.is_none() {
            let expected =
                "a model that begins with an embedding and ends with a dense layer of the same sizes";
            return Err(Error::Value { argument: "model", expected });
        }
        self.settings.tied = tied;
        self.tie();
        Ok(self)
    }

    /// The same trainer with a padding id, as PyTorch's `padding_idx`: its embedding is zero and is not
    /// trained where it is looked up.
    ///
    /// # Errors
    /// [`Error::Value`] for a model that does not begin with an embedding; [`Error::Index`] for an id that is
    /// not below its classes.
    pub fn padding_idx(mut self, id: u32) -> Result<Self> {
        let Some(Layer::Embedding(layer)) = self.model().layers().first() else {
            let expected = "a model that begins with an embedding";
            return Err(Error::Value { argument: "model", expected });
        };
        let (classes, features) = (layer.classes(), layer.width());
        crate::layer::embedding::check_ids("id", &[id], classes)?;
        let start = id as usize * features;
        self.parameters[start..start + features].fill(0.0);
        self.settings.padding = Some(start..start + features);
        self.tie();
        Ok(self)
    }

    /// The learning rate of the next update, before the layers' factors.
    ///
    /// # Errors
    /// [`Error::Value`] for a rate of 0 without a schedule.
    pub(super) fn next_rate(&self) -> Result<f32> {
        let settings = &self.settings;
        let own = self.optimiser.rate();
        if settings.schedule.is_none() && self.rate.is_none() && own == 0.0 {
            return Err(Error::Value { argument: "lr", expected: "above 0, or replaced by `Trainer::rate`" });
        }
        let at = |step: u64| match (&settings.schedule, &self.rate) {
            (Some(schedule), _) => schedule(step),
            (None, Some(rate)) => rate.at(step),
            (None, None) => own,
        };
        Ok(match self.updates.checked_sub(settings.warmup) {
            Some(step) => at(step),
            None => {
                let part = (self.updates as f64 + 1.0) / settings.warmup as f64;
                (f64::from(at(0)) * part) as f32
            }
        })
    }

    /// Copies the embedding to the tied weights of the last layer.
    pub(super) fn tie(&mut self) {
        if let Some([embedding, dense]) = &self.settings.tied {
            self.parameters.copy_within(embedding.clone(), dense.start);
        }
    }

    /// Adapts the model's gradients to the settings: padding, tied embeddings, frozen layers.
    pub(super) fn shape_gradients(&mut self) {
        if let Some(padding) = self.settings.padding.clone() {
            self.grads[padding].fill(0.0);
        }
        if let Some([embedding, dense]) = self.settings.tied.clone() {
            let (first, last) = self.grads.split_at_mut(dense.start);
            let (to, from) = (&mut first[embedding], &mut last[..dense.len()]);
            to.iter_mut().zip(&*from).for_each(|(to, from)| *to += from);
            // The matrix must count only once in the norm.
            from.fill(0.0);
        }
        for index in 0..self.settings.layers.len() {
            if self.settings.layers[index].frozen {
                let range = self.layer_range(index);
                self.grads[range].fill(0.0);
            }
        }
    }

    /// The range of a layer's weights; empty for a layer that the model does not have.
    pub(super) fn layer_range(&self, index: usize) -> Range<usize> {
        let layers = self.model().layers();
        let start = layers.iter().take(index).map(Layer::weights_len).sum();
        start..start + layers.get(index).map_or(0, Layer::weights_len)
    }

    /// Rejects settings that are invalid for an update.
    pub(super) fn check_rates(&self, rate: f32) -> Result<()> {
        let layers = self.settings.layers.iter().filter(|layer| !layer.frozen).map(|layer| layer.rate);
        for factor in layers.chain([1.0]) {
            self.optimiser.clone().update(factor * rate, &mut [], &[], &mut [], 1.0)?;
        }
        Ok(())
    }

    /// Updates the parameters from their gradients, times `scale`.
    ///
    /// Parameters are updated in parts. The moments of each part are contiguous, part after part. The matrix
    /// of a dense layer is one part and its bias another, so that the matrix can be skipped.
    ///
    /// # Errors
    /// None after a successful [`check_rates`](Self::check_rates).
    pub(super) fn step(&mut self, rate: f32, scale: f32) -> Result<()> {
        let (model, before) = (self.model.chain(), self.optimiser);
        let tied = self.settings.tied.as_ref().map_or(usize::MAX, |[_, dense]| dense.start);
        let (parameters, grads, all_moments) = (&mut self.parameters, &self.grads, &mut self.moments);
        let mut start = 0;
        let mut part = |len: usize, settings: LayerSettings| {
            let range = start..start + len;
            start += len;
            if settings.frozen || range.start == tied {
                return Ok(());
            }
            // All parts use the same step number.
            let mut optimiser = before;
            if let Some(decay) = settings.weight_decay {
                optimiser.set_weight_decay(decay);
            }
            let moments = before.moments_len(range.start)..before.moments_len(range.end);
            let (weights, grads) = (&mut parameters[range.clone()], &grads[range]);
            optimiser.update(settings.rate * rate, weights, grads, &mut all_moments[moments], scale)
        };
        for (layer, settings) in model.layers().iter().zip(&self.settings.layers) {
            let bias = if let Layer::Dense(layer) = layer { layer.output() } else { 0 };
            part(layer.weights_len() - bias, *settings)?;
            part(bias, *settings)?;
        }
        part(grads.len() - model.weights_len(), LayerSettings::default())?;
        self.optimiser.set_step(before.step().saturating_add(1));
        self.tie();
        Ok(())
    }

    /// The gradients of the last batch's mean loss before clipping: of all weights, then of the initial state
    /// if it is learned. Those of frozen layers are zero. With tied embeddings the first copy has the sum.
    pub fn grads(&self) -> &[f32] {
        &self.grads
    }

    /// The gradients of one layer; empty for a layer that the model does not have.
    pub fn layer_grads(&self, index: usize) -> &[f32] {
        &self.grads[self.layer_range(index)]
    }

    /// The weights of one layer; empty for a layer that the model does not have.
    pub fn layer_weights(&self, index: usize) -> &[f32] {
        &self.parameters[self.layer_range(index)]
    }

    /// The Euclidean norms of each layer's weights and gradients, `[weights, gradients]`. They show where
    /// gradients vanish or explode, and which layer changes too fast or not at all.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sequences, model::{Layer, Loss, Model}, train::Sgd, trainer::{Batch, Trainer}};
    /// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    /// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    /// let mut trainer = Trainer::new(&model, Sgd::new(0.1), &mut rng)?;
    /// let (x, loss) = ((&[0.5; 9]).into(), Loss::MeanSquaredError { targets: &[1.0; 9] });
    /// trainer.train_with([Batch { sequences: Sequences::new(9, 1), x, loss }; 3], &mut rng, |trainer, update| {
    ///     for (layer, [weights, gradients]) in trainer.norms().enumerate() {
    ///         println!("{} {layer}: {:.1e}", update.updates, update.rate * gradients / weights); // about 1e-3
    ///     }
    ///     Ok(true)
    /// })?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn norms(&self) -> impl Iterator<Item = [f32; 2]> {
        (0..self.model().layers().len())
            .map(|index| [self.layer_weights(index), self.layer_grads(index)].map(norm))
    }
}

fn norm(x: &[f32]) -> f32 {
    libm::sqrt(x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()) as f32
}
