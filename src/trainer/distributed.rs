//! Training on several processes or machines: each rank computes some of the shards of every batch.

use core::ops::Range;
use std::vec::Vec;

use rand_core::Rng;

use super::communicator::all_gather;
use super::tally::MAX_RANKS;
use super::{Batch, Communicator, Trainer, Update, tree, zeros};
use crate::error::{Error, Result};

/// The part of the shards that a trainer computes: that of rank `rank` of `size`.
#[derive(Clone, Copy)]
pub(super) struct Rank {
    pub(super) rank: usize,
    pub(super) size: usize,
}

impl Default for Rank {
    fn default() -> Self {
        Rank { rank: 0, size: 1 }
    }
}

/// The connection to the other ranks, and a receive buffer.
pub(super) struct Link<'a> {
    pub(super) ranks: &'a mut dyn Communicator,
    pub(super) received: &'a mut Vec<f32>,
}

/// Data-parallel training: a trainer that makes each update together with other ranks.
///
/// All ranks have the same weights, and each gets its own rows of a batch: [`rows`](Self::rows) tells which.
/// An update adds the gradients of all ranks in one exchange. The trainer's [shards](Trainer::shards) (their
/// number is a power of two) are distributed in order. Their gradients are added in a binary tree, of which
/// each rank has one branch. So a training gives the same bits with 1, 2, 4 or more ranks, up to the number
/// of shards, and with as many shards in a single `Trainer`. It can also continue with another number of
/// ranks: save what [`whole`](Self::whole) returns.
///
/// All ranks must be created alike: with the same model, settings and seeds, or from the same saved training.
/// They must make the same calls in the same order. Each update compares checksums. If these differ, all
/// ranks return an error and nothing has changed.
///
/// ```
/// # use recurrent::{Error, Result};
/// # use std::sync::mpsc::{Receiver, Sender, channel};
/// # struct Thread { rank: usize, to: Sender<Vec<f32>>, from: Receiver<Vec<f32>> }
/// # impl Communicator for Thread {
/// #     fn rank(&self) -> usize { self.rank }
/// #     fn size(&self) -> usize { 2 }
/// #     fn exchange(&mut self, _partner: usize, send: &[f32], receive: &mut [f32]) -> Result<()> {
/// #         self.to.send(send.to_vec()).ok();
/// #         let gone = |_| Error::Communication { what: "the other thread has ended" };
/// #         receive.copy_from_slice(&self.from.recv().map_err(gone)?);
/// #         Ok(())
/// #     }
/// # }
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// use recurrent::trainer::{Batch, Communicator, Distributed, Trainer};
/// use recurrent::{Sequences, model::{Layer, Loss, Model}, train::Adam};
///
/// let model = Model::new([Layer::gru(1, 4), Layer::dense(4, 1)]);
/// let (steps, batch) = (10, 8);
/// let x: Vec<f32> = (0..steps * batch).map(|i| (i as f32 * 0.7).sin()).collect(); // [B, T]
/// let train = |communicator: Option<Thread>| -> Result<Vec<f32>> {
///     let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
///     let mut trainer = Trainer::new(&model, Adam::new(0.01), &mut rng)?.shards(4);
///     let of = |rows: std::ops::Range<usize>| {
///         let x = &x[rows.start * steps..rows.end * steps];
///         let sequences = Sequences::new(steps, rows.len()).batch_major();
///         Batch { sequences, x: x.into(), loss: Loss::MeanSquaredError { targets: x } }
///     };
///     let Some(communicator) = communicator else {
///         trainer.update(of(0..batch), &mut rng)?; // alone
///         return Ok(trainer.weights().to_vec());
///     };
///     let mut distributed = Distributed::new(trainer, communicator)?;
///     distributed.update(of(distributed.rows(batch)), &mut rng)?;
///     Ok(distributed.trainer().weights().to_vec())
/// };
/// let ((to_1, from_0), (to_0, from_1)) = (channel(), channel());
/// let ranks = [Thread { rank: 0, to: to_1, from: from_1 }, Thread { rank: 1, to: to_0, from: from_0 }];
/// let alone = train(None)?;
/// std::thread::scope(|scope| {
///     let threads = ranks.map(|rank| scope.spawn(|| train(Some(rank))));
///     threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap().as_ref(), Ok(&alone)));
/// });
/// # Ok::<(), Error>(())
/// ```
pub struct Distributed<C> {
    trainer: Trainer,
    communicator: C,
    received: Vec<f32>,
    /// Rows of the last batch, over all ranks.
    batch: usize,
}

impl<C: Communicator> Distributed<C> {
    /// One rank of a training. If the trainer has [restored](Trainer::restore) a training, it continues that
    /// one, and keeps only the states of its own rows.
    ///
    /// # Errors
    /// [`Error::Value`] if the number of shards or of ranks is not a power of two, or if there are more ranks
    /// than shards, or more than 4,096.
    pub fn new(mut trainer: Trainer, communicator: C) -> Result<Self> {
        let (rank, size, shards) = (communicator.rank(), communicator.size(), trainer.count.unwrap_or(1));
        let refuse = |argument, expected| Err(Error::Value { argument, expected });
        if !shards.is_power_of_two() {
            return refuse("shards", "a power of two, so that ranks can have equal parts of them");
        }
        if !size.is_power_of_two() || size > shards || size > MAX_RANKS {
            return refuse("size", "a power of two, at most 4096 and at most `Trainer::shards`");
        }
        if rank >= size {
            return refuse("rank", "below the number of ranks");
        }
        // A single trainer has all rows, or none before its first update.
        let batch = trainer.batch;
        if batch > 0 && size > 1 && trainer.stateful && trainer.shards.len() < shards {
            return Err(FEW_ROWS);
        }
        trainer.rank = Rank { rank, size };
        if batch > 0 {
            let states: Vec<f32> = trainer.shards.iter().flat_map(|shard| &shard.state).copied().collect();
            let rows = tree::part(batch, rank, size);
            let first = trainer.model().state_len(1) * rows.start;
            trainer.put(rows.len(), &states[first..])?;
        }
        Ok(Distributed { trainer, communicator, received: Vec::new(), batch })
    }

    /// The rows of a batch that belong to this rank.
    pub fn rows(&self, batch: usize) -> Range<usize> {
        let Rank { rank, size } = self.trainer.rank;
        tree::part(batch, rank, size)
    }

    /// The trainer of this rank: its weights, its number of updates, and its functions to evaluate and
    /// predict.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The connection to the other ranks.
    pub fn communicator(&mut self) -> &mut C {
        &mut self.communicator
    }

    /// Sets the carried states to zero.
    pub fn reset(&mut self) {
        self.trainer.reset();
    }

    /// One update from a batch that is distributed over all ranks: this rank passes [its rows](Self::rows),
    /// with the loss and targets of these rows. The result describes the whole batch and is the same on all
    /// ranks. The generator must be in the same state on all ranks.
    ///
    /// # Errors
    /// Those of [`Trainer::update`]; [`Error::Communication`] if another rank has failed, or has different
    /// weights, settings, generators or update counts; [`Error::Value`] for fewer rows than shards. An error
    /// in this rank's batch is reported to the other ranks in the same call. [`Error::Value`] also if the
    /// batch does not have this rank's rows: a rank that has the right rows notices this only at the next
    /// update. After this error, and after those of a [`Communicator`], the ranks are no longer in step: end
    /// them, and continue from the last saved training.
    pub fn update(&mut self, batch: Batch<'_>, rng: &mut impl Rng) -> Result<Update> {
        self.update_accumulated(&[batch], rng)
    }

    /// One update from several batches, as [`Trainer::update_accumulated`], with one exchange. Each rank
    /// passes its own rows of each batch.
    ///
    /// # Errors
    /// Those of [`update`](Self::update).
    pub fn update_accumulated(&mut self, batches: &[Batch<'_>], rng: &mut impl Rng) -> Result<Update> {
        let link = Link { ranks: &mut self.communicator, received: &mut self.received };
        // A single rank has all rows.
        let several = self.trainer.rank.size > 1;
        let update = self.trainer.update_with(batches, rng, several.then_some(link))?;
        self.batch = if several { self.trainer.rows_of_all } else { self.trainer.batch };
        Ok(update)
    }

    /// The training as a single trainer, with the states of all ranks' rows: to save it, or to continue with
    /// another number of ranks. All ranks must call it, and all get the same result.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory; those of [`Communicator::exchange`].
    pub fn whole(&mut self) -> Result<Trainer> {
        // Do not copy the buffers of the shards.
        let shards = core::mem::take(&mut self.trainer.shards);
        let leaves = core::mem::take(&mut self.trainer.leaves);
        let mut whole = self.trainer.clone();
        (self.trainer.shards, self.trainer.leaves) = (shards, leaves);
        let (Rank { rank, size }, row) = (whole.rank, whole.model().state_len(1));
        let batch = self.batch;
        let first =
            |rank: usize| if rank == size { batch * row } else { tree::part(batch, rank, size).start * row };
        let mut states = zeros("state", first(size))?;
        let own = self.trainer.shards.iter().flat_map(|shard| &shard.state);
        states[first(rank)..first(rank + 1)].iter_mut().zip(own).for_each(|(to, x)| *to = *x);
        all_gather(&mut self.communicator, &mut states, first)?;
        whole.rank = Rank::default();
        whole.batch = 0;
        if batch > 0 {
            whole.put(batch, &states)?;
        }
        Ok(whole)
    }
}

/// The error for a batch with too few rows: some shard would have none.
pub(super) const FEW_ROWS: Error = Error::Value {
    argument: "sequences",
    expected: "at least as many rows as shards where several ranks have them",
};

impl Trainer {
    /// Cuts `batch` rows into shards, with these initial states.
    fn put(&mut self, batch: usize, states: &[f32]) -> Result<()> {
        self.shards = self.new_shards(batch)?;
        self.batch = batch;
        let to = self.shards.iter_mut().flat_map(|shard| &mut shard.state);
        to.zip(states).for_each(|(to, x)| *to = *x);
        Ok(())
    }
}
