//! Training together with other processes or machines: each has some of the shards of every batch.

use core::ops::Range;
use std::vec::Vec;

use rand_core::Rng;

use super::communicator::all_gather;
use super::tally::MAX_RANKS;
use super::{Batch, Communicator, Trainer, Update, tree, zeros};
use crate::error::{Error, Result};

/// Which of all shards a trainer has: those of one of so many ranks.
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

/// The way to other ranks, and a buffer for what comes from there.
pub(super) struct Link<'a> {
    pub(super) ranks: &'a mut dyn Communicator,
    pub(super) received: &'a mut Vec<f32>,
}

/// A trainer that makes each update together with those of other ranks: data-parallel training.
///
/// All ranks have the same weights, and each is given its own rows of a batch: [`rows`](Self::rows) says
/// which. An update adds the gradients of all in one exchange. The trainer's [shards](Trainer::shards), a
/// power of two of them, are shared out in order, and added in a binary tree, of which each rank has a
/// branch. So a training has the same bits with 1, 2, 4 or more ranks, up to as many as shards, and with as
/// many shards in a `Trainer` alone; and it can go on with another number of them: [`whole`](Self::whole) is
/// what to save.
///
/// All ranks have to be made alike: of the same model, settings and seeds, or from the same saved training.
/// They make the same calls in the same order. At each update they compare checksums, and where they differ,
/// all return an error, and nothing has changed.
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
    /// Rows of the last batch, on all ranks.
    batch: usize,
}

impl<C: Communicator> Distributed<C> {
    /// One rank of a training. A trainer that has [restored](Trainer::restore) a training goes on with it: of
    /// the states of all rows it keeps its own.
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
        // A trainer of its own has all rows, or none before its first update.
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

    /// The rows of a batch that this rank has.
    pub fn rows(&self, batch: usize) -> Range<usize> {
        let Rank { rank, size } = self.trainer.rank;
        tree::part(batch, rank, size)
    }

    /// The trainer of this rank: its weights, the number of its updates, and what evaluates and predicts.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The way to the other ranks.
    pub fn communicator(&mut self) -> &mut C {
        &mut self.communicator
    }

    /// Makes the carried states zero.
    pub fn reset(&mut self) {
        self.trainer.reset();
    }

    /// One update, from all ranks' rows of a batch: this rank gives [its own](Self::rows), with loss and
    /// targets of its own rows. What comes back is of the whole batch and the same on all ranks. The
    /// generator is in the same state on all ranks.
    ///
    /// # Errors
    /// As [`Trainer::update`]; [`Error::Communication`] if another rank has failed, or has other weights,
    /// settings, generators or numbers of updates; [`Error::Value`] for fewer rows than shards. An error of
    /// this rank's batch reaches the others in the same call. [`Error::Value`], too, for other rows than this
    /// rank's: a rank that has its own goes on, and hears of it at the next update. After this error, and
    /// those of a [`Communicator`], the ranks are no longer in step: end them, and go on from what was saved.
    pub fn update(&mut self, batch: Batch<'_>, rng: &mut impl Rng) -> Result<Update> {
        self.update_accumulated(&[batch], rng)
    }

    /// One update from several batches, as [`Trainer::update_accumulated`], with one exchange. Each rank
    /// gives its own rows of each of them.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_accumulated(&mut self, batches: &[Batch<'_>], rng: &mut impl Rng) -> Result<Update> {
        let link = Link { ranks: &mut self.communicator, received: &mut self.received };
        // One rank has all rows.
        let several = self.trainer.rank.size > 1;
        let update = self.trainer.update_with(batches, rng, several.then_some(link))?;
        self.batch = if several { self.trainer.rows_of_all } else { self.trainer.batch };
        Ok(update)
    }

    /// The training as a trainer of its own, with the states of all ranks' rows: to save it, or to go on with
    /// another number of ranks. All ranks call it, and get the same.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is not enough memory; those of [`Communicator::exchange`].
    pub fn whole(&mut self) -> Result<Trainer> {
        // The shards' buffers are not copied.
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

/// Why a batch is refused that has no row for some shards.
pub(super) const FEW_ROWS: Error = Error::Value {
    argument: "sequences",
    expected: "at least as many rows as shards where several ranks have them",
};

impl Trainer {
    /// Cuts so many rows, which begin in these states.
    fn put(&mut self, batch: usize, states: &[f32]) -> Result<()> {
        self.shards = self.new_shards(batch)?;
        self.batch = batch;
        let to = self.shards.iter_mut().flat_map(|shard| &mut shard.state);
        to.zip(states).for_each(|(to, x)| *to = *x);
        Ok(())
    }
}
