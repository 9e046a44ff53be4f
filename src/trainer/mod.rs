//! Training on a desktop without handling buffers: a model with its weights, its optimiser, and all working
//! buffers.
//!
//! A thin layer over [`model`](crate::model), which does the work. It allocates, so it needs `std`. Buffers
//! are allocated when a batch first needs them, and kept. [`Trainer`] makes updates, [`Predictor`] runs the
//! trained model.
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
//! With the feature `rayon` an update runs on several threads: those of the pool that
//! [`update`](Trainer::update) is called in, or outside a pool as many as there are cores. The threads share
//! the rows of the batch, and then the weights. Weight gradients are sums over all rows in a fixed order, so
//! the results have the same bits for any number of threads. Batches with too little work stay on one thread.
//!
//! # Several processes or machines
//! [`Distributed`] makes each update together with other ranks, over any implementation of [`Communicator`].

mod best;
mod communicator;
mod cut;
mod data;
mod distributed;
mod file;
mod gradients;
mod measures;
mod optimiser;
mod predictor;
mod settings;
mod shard;
mod split_mix;
mod state;
mod straight;
mod tally;
mod tree;
mod update;

use std::vec::Vec;

use rand_core::Rng;

use crate::error::{Error, Result};
use crate::layer::Sequences;
use crate::model::{Chain, Input, Loss, Owned};

use best::Kept;
pub use best::{Best, EarlyStopping};
pub use communicator::Communicator;
pub use data::{Order, Padded, Place, Rows, Taken, split};
pub use distributed::Distributed;
use distributed::Rank;
use gradients::OTHER_ROWS;
pub use measures::Measures;
pub use optimiser::{Optimiser, Rate};
pub use predictor::Predictor;
pub use settings::LayerSettings;
use settings::Settings;
use shard::Shard;
use straight::Rounded;
use tree::Leaf;

/// The data of an update.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Steps `T`, batch rows `B`, and the options of the sequences.
    pub sequences: Sequences<'a>,
    /// The input: ids `[T, B]` or values `[T, B, I]`.
    pub x: Input<'a>,
    /// The loss, with its targets.
    pub loss: Loss<'a>,
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Updates made so far.
    pub updates: u64,
    /// The mean loss of the batch, before the update; 0 if no target counts.
    pub loss: f32,
    /// Number of targets that counted, as defined by [`Chain::targets`].
    pub targets: usize,
    /// The norm of the gradients before clipping. `None` if there was no update: no target counted, or the
    /// loss, a gradient or a carried state was NaN or infinite.
    pub norm: Option<f32>,
    /// Number of consecutive updates skipped because of NaN or infinity, including this one; 0 if this update
    /// was made.
    pub skipped: u64,
    /// The learning rate.
    pub rate: f32,
}

/// A model in training, with its weights, its optimiser, and its buffers.
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
    /// The weights, followed by the initial state if it is learned. Gradients and moments have the same
    /// layout.
    parameters: Vec<f32>,
    grads: Vec<f32>,
    moments: Vec<f32>,
    optimiser: Optimiser,
    rate: Option<Rate>,
    clip: f32,
    stateful: bool,
    /// A training stops after this many consecutive skipped updates.
    max_skipped: u64,
    /// Consecutive skipped updates.
    skipped: u64,
    shards: Vec<Shard>,
    /// The number of shards that was set; a batch may have fewer.
    count: Option<usize>,
    /// The gradients and losses of the shards.
    leaves: Vec<Leaf>,
    /// The part of the shards that this trainer computes.
    rank: Rank,
    /// Rows of the last batch, over all ranks.
    rows_of_all: usize,
    batch: usize,
    updates: u64,
    settings: Settings,
    /// The rounded weights, when training for narrow weights.
    rounded: Option<Rounded>,
    kept: Kept,
    /// Bytes attached by the program.
    attached: Vec<u8>,
}

/// Allocates zeros. Sizes may come from a user, so a lack of memory is an ordinary error.
pub(crate) fn zeros(buffer: &'static str, len: usize) -> Result<Vec<f32>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| Error::Memory { buffer })?;
    zeros.resize(len, 0.0);
    Ok(zeros)
}

impl Trainer {
    /// A trainer before its first update. The model gets [PyTorch's initial
    /// weights](crate::model::Model::init).
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory; [`Error::Value`] as [`Chain::draw_dropout`] for
    /// recurrent dropout.
    pub fn new<'m>(
        model: impl Into<Chain<'m>>,
        optimiser: impl Into<Optimiser>,
        rng: &mut impl Rng,
    ) -> Result<Self> {
        let model = model.into();
        let (len, optimiser) = (model.weights_len(), optimiser.into());
        model.draw_dropout(&mut [], 0, 0, rng)?;
        let mut weights = zeros("weights", len)?;
        model.init(&mut weights, rng)?;
        Ok(Trainer {
            model: Owned::new(model),
            settings: Settings::new(model.layers().len()),
            rounded: None,
            kept: Kept::default(),
            attached: Vec::new(),
            grads: zeros("grads", len)?,
            moments: zeros("moments", optimiser.moments_len(len))?,
            parameters: weights,
            optimiser,
            rate: None,
            clip: f32::INFINITY,
            stateful: false,
            max_skipped: 10,
            skipped: 0,
            shards: Vec::new(),
            count: None,
            leaves: Vec::new(),
            rank: Rank::default(),
            rows_of_all: 0,
            batch: 0,
            updates: 0,
        })
    }

    /// The same trainer with a learning rate that follows a schedule, instead of the optimiser's rate.
    /// Without a schedule, the optimiser's rate must be above 0.
    pub fn rate(mut self, rate: impl Into<Rate>) -> Self {
        self.rate = Some(rate.into());
        self
    }

    /// The same trainer with clipping: the norm of the gradients is at most `max`. The default is infinity.
    pub fn clip(mut self, max: f32) -> Self {
        self.clip = max;
        self
    }

    /// The same trainer with states carried from batch to batch, for truncated backpropagation through time:
    /// each batch row continues where the same row of the last batch ended, until [`reset`](Self::reset).
    /// Until then, a batch with another number of rows is an error. A skipped update leaves the states as
    /// they were before its batch. Without this, every batch starts with a state of zero, or with the
    /// [learned](Self::learn_initial_state) one.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Splits each batch into `count` shards, at most one for each row. Each shard runs on one thread with
    /// its own copy of rows and gradients, and its own dropout generator. A binary tree adds the gradients;
    /// it depends only on the number of shards. The default is one shard, whose rows are shared by all
    /// threads. The last bits of the results depend on the number of shards. [`Distributed`] distributes the
    /// shards over processes.
    pub fn shards(mut self, count: usize) -> Self {
        self.count = Some(count.max(1));
        self
    }

    /// The same trainer with a limit on skipped updates: [`train`](Self::train) stops with an error after
    /// this many in a row. The default is 10; 1 stops at the first.
    pub fn max_skipped(mut self, updates: u64) -> Self {
        self.max_skipped = updates.max(1);
        self
    }

    /// The model.
    pub fn model(&self) -> Chain<'_> {
        self.model.chain()
    }

    /// The weights, in the layout of the model.
    pub fn weights(&self) -> &[f32] {
        &self.parameters[..self.model().weights_len()]
    }

    /// The weights, for writing.
    pub fn weights_mut(&mut self) -> &mut [f32] {
        let len = self.model().weights_len();
        &mut self.parameters[..len]
    }

    /// Bytes of the program that are [saved](Self::save) and restored with the training, such as the state of
    /// a random generator or the [place](Order::place) in the data. Empty unless [set](Self::attach).
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{model::{Layer, Model}, train::Adam, trainer::{Order, Trainer}};
    /// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
    /// let mut trainer = Trainer::new(&model, Adam::new(0.01), &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let mut order = Order::new(&[9; 100], 10).shuffled(7);
    /// order.next();
    /// trainer.attach(&order.place().to_bytes());
    /// let bytes = trainer.to_bytes()?;
    ///
    /// let mut resumed = Trainer::new(&model, Adam::new(0.01), &mut Xoshiro256PlusPlus::seed_from_u64(2))?;
    /// resumed.restore(&bytes)?;
    /// assert_eq!(resumed.attached(), order.place().to_bytes());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attached(&self) -> &[u8] {
        &self.attached
    }

    /// Sets the attached bytes.
    pub fn attach(&mut self, bytes: &[u8]) {
        self.attached = bytes.into();
    }

    /// Number of updates made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Whether weights, learned and carried states, and moments are finite.
    pub fn is_finite(&self) -> bool {
        self.finite_states()
            && [&self.parameters, &self.moments, &self.kept.average]
                .iter()
                .all(|of| of.iter().all(|x| x.is_finite()))
    }

    fn finite_states(&self) -> bool {
        self.shards.iter().all(|shard| shard.state.iter().all(|x| x.is_finite()))
    }

    /// Sets the carried states to zero.
    pub fn reset(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.state.fill(0.0));
    }
}
