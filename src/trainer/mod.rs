//! Training on a desktop without thinking of buffers: a model with its weights, its optimiser, and all that they compute in.
//!
//! This is a thin layer over [`model`](crate::model), which does the work. It owns and allocates, so it needs `std`; buffers are
//! made when a batch asks for them, and kept. [`Trainer`] makes updates, [`Predictor`] runs what was trained.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::{Rng, SeedableRng}};
//! use recurrent::model::{Layer, Loss, Model};
//! use recurrent::train::{Adam, Cosine};
//! use recurrent::trainer::{Batch, Trainer};
//! use recurrent::{Pool, Sequences};
//!
//! // Whether a sequence of ids has a 3 in it.
//! let model = Model::new([Layer::embedding(8, 6), Layer::gru(6, 12), Layer::Pool(Pool::Last), Layer::dense(12, 1)]);
//! let (steps, batch) = (9, 32);
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let mut trainer = Trainer::new(&model, Adam::new(0.0), &mut rng)?.rate(Cosine::new(0.02, 150)).clip(1.0);
//! for _ in 0..150 {
//!     let ids: Vec<u32> = (0..steps * batch).map(|_| rng.next_u32() % 8).collect(); // [B, T]
//!     let targets: Vec<f32> = ids.chunks(steps).map(|row| f32::from(row.contains(&3))).collect();
//!     let sequences = Sequences::new(steps, batch).batch_major();
//!     let loss = Loss::BinaryCrossEntropy { targets: &targets };
//!     trainer.update(Batch { sequences, x: (&ids).into(), loss }, &mut rng)?;
//! }
//! let mut predictor = trainer.predictor()?;
//! assert!(predictor.forward(Sequences::new(4, 1), &[1, 3, 0, 5])?[0] > 1.0); // a logit: yes
//! assert!(predictor.forward(Sequences::new(4, 1), &[1, 4, 0, 5])?[0] < -1.0);
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # Several threads
//! A batch is cut into shards of rows, each with gradients of its own, which are added in the order of the rows. How many there are
//! depends on the batch alone, so that results have the same bits with any number of threads. With the feature `rayon` the shards run on
//! its threads: those of the pool that [`update`](Trainer::update) is called in, as many as there are cores if it is called in none.

mod file;
mod optimiser;
mod predictor;
mod shard;

use std::vec::Vec;

use rand_core::Rng;

use crate::error::{Error, Result};
use crate::layer::Sequences;
use crate::model::{Chain, Input, Loss, Owned};
use crate::train::clip_scale;

pub use optimiser::{Optimiser, Rate};
pub use predictor::Predictor;
use shard::Shard;

/// What an update learns from.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Steps `T`, batch rows `B`, and what else there is to say of the sequences.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// What the output should be.
    pub loss: Loss<'a>,
}

/// What came of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Updates made so far.
    pub updates: u64,
    /// The mean loss of the batch, before the update.
    pub loss: f32,
    /// The norm of the gradients before they were clipped; `None` if it is not finite, and then there was no update.
    pub norm: Option<f32>,
    /// The learning rate.
    pub rate: f32,
}

/// A model in training: its weights, its optimiser, and its buffers.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// use recurrent::{Sequences, model::{Layer, Loss, Model}, train::AdamW, trainer::{Batch, Trainer}};
/// let model = Model::new([Layer::lstm(1, 16), Layer::dense(16, 1)]);
/// let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
/// let mut trainer = Trainer::new(&model, AdamW::new(0.01), &mut rng)?.clip(1.0);
/// let wave: Vec<f32> = (0..101).map(|t| (t as f32 * 0.3).sin()).collect();
/// let (x, targets) = ((&wave[..100]).into(), &wave[1..]);
/// let batch = Batch { sequences: Sequences::new(100, 1), x, loss: Loss::MeanSquaredError { targets } };
/// trainer.train([batch; 60], &mut rng, |update| {
///     println!("{}: {}", update.updates, update.loss);
///     true // go on
/// })?;
/// assert!(trainer.evaluate(batch)? < 0.05);
///
/// let bytes = trainer.to_bytes()?; // or save to a file
/// let mut other = Trainer::new(&model, AdamW::new(0.01), &mut rng)?;
/// other.restore(&bytes)?;
/// assert_eq!(other.weights(), trainer.weights());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Trainer {
    model: Owned,
    weights: Vec<f32>,
    grads: Vec<f32>,
    moments: Vec<f32>,
    optimiser: Optimiser,
    rate: Option<Rate>,
    clip: f32,
    stateful: bool,
    shards: Vec<Shard>,
    /// So many shards are asked for, whatever the batch.
    count: Option<usize>,
    batch: usize,
    updates: u64,
}

/// Zeros; sizes may come from a user, so that too little memory is an ordinary error.
fn zeros(buffer: &'static str, len: usize) -> Result<Vec<f32>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| Error::Memory { buffer })?;
    zeros.resize(len, 0.0);
    Ok(zeros)
}

impl Trainer {
    /// A model with [PyTorch's initial weights](crate::model::Model::init) before its first update.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory.
    pub fn new<'m>(
        model: impl Into<Chain<'m>>,
        optimiser: impl Into<Optimiser>,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let model = model.into();
        let (len, optimiser) = (model.weights_len(), optimiser.into());
        let mut weights = zeros("weights", len)?;
        model.init(&mut weights, rng)?;
        Ok(Trainer {
            model: Owned::new(model),
            grads: zeros("grads", len)?,
            moments: zeros("moments", optimiser.moments_len(len))?,
            weights,
            optimiser,
            rate: None,
            clip: f32::INFINITY,
            stateful: false,
            shards: Vec::new(),
            count: None,
            batch: 0,
            updates: 0,
        })
    }

    /// The same with a learning rate that follows a schedule, instead of the optimiser's own.
    pub fn rate(mut self, rate: impl Into<Rate>) -> Self {
        self.rate = Some(rate.into());
        self
    }

    /// The same with gradients whose norm is at most `max`. Without this it is infinity.
    pub fn clip(mut self, max: f32) -> Self {
        self.clip = max;
        self
    }

    /// The same with states that are carried from batch to batch, for truncated backpropagation through time: the rows of a batch go on
    /// where those of the last one ended, until [`reset`](Self::reset), or until there are other rows. Without this every batch begins with a state of zero.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// The same with this many shards of each batch, at most one for each row. Without this there are as many as leave 16 rows or
    /// more to each, and 8 at most. Results depend on it in their last bits.
    pub fn shards(mut self, count: usize) -> Self {
        self.count = Some(count.max(1));
        self
    }

    /// The model.
    pub fn model(&self) -> Chain<'_> {
        self.model.chain()
    }

    /// The weights, in the layout of the model.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The weights, to be changed.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        &mut self.weights
    }

    /// Updates made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether weights, moments and carried states are free of infinity and NaN.
    pub fn is_finite(&self) -> bool {
        let states = self.shards.iter().map(|shard| &shard.state);
        [&self.weights, &self.moments].into_iter().chain(states).all(|of| of.iter().all(|x| x.is_finite()))
    }

    /// Makes the carried states zero.
    pub fn reset(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.state.fill(0.0));
    }

    /// One update: the gradients of the batch's mean loss, clipped, through the optimiser. Factors of dropout are drawn from `rng`;
    /// a model without dropout takes nothing from it.
    ///
    /// # Errors
    /// As [`Chain::forward_backward`] and the optimiser; [`Error::Memory`] if there is not enough memory.
    pub fn update(&mut self, batch: Batch<'_>, rng: &mut impl Rng) -> Result<Update> {
        let rate = match &self.rate {
            Some(rate) => rate.at(self.updates),
            None => self.optimiser.rate(),
        };
        // Settings are refused before anything moves.
        clip_scale(&[], self.clip)?;
        self.optimiser.clone().update(rate, &mut [], &[], &mut [], 1.0)?;
        self.model().draw_dropout(&mut [], 0, 0, rng)?;
        let loss = self.gradients(batch, rng)?;
        let clip = clip_scale(&self.grads, self.clip)?.filter(|_| loss.is_finite());
        if let Some(clip) = clip {
            self.optimiser.update(rate, &mut self.weights, &self.grads, &mut self.moments, clip.scale)?;
            self.updates += 1;
        }
        Ok(Update { updates: self.updates, loss, norm: clip.map(|clip| clip.norm), rate })
    }

    /// An update for each batch. After each `progress` is told what came of it, and whether it returns true decides whether to go on.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn train<'b>(
        &mut self,
        batches: impl IntoIterator<Item = Batch<'b>>,
        rng: &mut impl Rng,
        mut progress: impl FnMut(Update) -> bool,
    ) -> Result<()> {
        for batch in batches {
            if !progress(self.update(batch, rng)?) {
                break;
            }
        }
        Ok(())
    }

    /// The mean loss of a batch, from a state of zero, without dropout and without learning from it.
    ///
    /// # Errors
    /// As [`Chain::forward`] and [`Chain::forward_backward`].
    pub fn evaluate(&self, batch: Batch<'_>) -> Result<f32> {
        self.predictor()?.loss(batch)
    }

    /// The model as it is now, to run it.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory.
    pub fn predictor(&self) -> Result<Predictor> {
        Predictor::new(self.model(), &self.weights)
    }

    /// The mean loss of a batch; leaves its gradients in `grads`.
    fn gradients(&mut self, batch: Batch<'_>, rng: &mut impl Rng) -> Result<f32> {
        let Batch { sequences, x, loss } = batch;
        let model = self.model();
        model.check_input(sequences, x)?;
        let total = loss.count(model.output(), sequences, model.is_pooled())?;
        self.cut(sequences.batch())?;
        let model = self.model.chain();
        for shard in &mut self.shards {
            shard.prepare(model, sequences.steps(), rng)?;
            if !self.stateful {
                shard.state.fill(0.0);
            }
        }
        let weights = &self.weights;
        for_each(&mut self.shards, |shard| shard.run(model, weights, batch));

        let mut mean = 0.0;
        self.grads.fill(0.0);
        for shard in &self.shards {
            // Of several means each counts as much as there are targets in it.
            let share = shard.targets as f64 / total.max(1) as f64;
            mean += f64::from(shard.loss?) * share;
            if shard.targets > 0 {
                add_scaled(&mut self.grads, &shard.grads, share as f32);
            }
        }
        Ok(mean as f32)
    }

    /// The number of shards of so many rows.
    fn shards_of(&self, batch: usize) -> usize {
        self.count.unwrap_or((batch / 16).min(8)).clamp(1, batch.max(1))
    }

    /// Cuts so many rows. States begin at zero if there were others before.
    fn cut(&mut self, batch: usize) -> Result<()> {
        if (self.batch, self.shards.len()) != (batch, self.shards_of(batch)) {
            self.shards = self.new_shards(batch)?;
            self.batch = batch;
        }
        Ok(())
    }

    /// The shards of so many rows, with states of zero.
    fn new_shards(&self, batch: usize) -> Result<Vec<Shard>> {
        let count = self.shards_of(batch);
        let at = |i: usize| batch / count * i + batch % count * i / count;
        (0..count).map(|i| Shard::new(self.model(), at(i)..at(i + 1))).collect()
    }
}

/// `a += scale * b`
fn add_scaled(a: &mut [f32], b: &[f32], scale: f32) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

#[cfg(feature = "rayon")]
fn for_each(shards: &mut [Shard], run: impl Fn(&mut Shard) + Send + Sync) {
    use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};
    shards.par_iter_mut().for_each(run);
}

#[cfg(not(feature = "rayon"))]
fn for_each(shards: &mut [Shard], run: impl Fn(&mut Shard)) {
    shards.iter_mut().for_each(run);
}
