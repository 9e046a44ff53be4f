//! Communication between ranks: a trait of three functions, and the sums and copies built on them.

use core::ops::Range;
use std::vec::Vec;

use crate::error::Result;

/// One rank of a distributed training (a process, thread or machine), and its connection to the others. The
/// terms are MPI's, but MPI is not needed. The example `cluster` implements the trait with MPI.
///
/// ```
/// use recurrent::{Error, Result, trainer::Communicator};
/// use std::sync::mpsc::{Receiver, Sender};
/// /// Two threads.
/// struct Thread { rank: usize, to: Sender<Vec<f32>>, from: Receiver<Vec<f32>> }
/// impl Communicator for Thread {
///     fn rank(&self) -> usize { self.rank }
///     fn size(&self) -> usize { 2 }
///     fn exchange(&mut self, _partner: usize, send: &[f32], receive: &mut [f32]) -> Result<()> {
///         let gone = |_| Error::Communication { what: "the other thread has ended" };
///         self.to.send(send.to_vec()).ok(); // a thread that has ended sends nothing, either
///         receive.copy_from_slice(&self.from.recv().map_err(gone)?);
///         Ok(())
///     }
/// }
/// ```
pub trait Communicator {
    /// The number of this rank, counted from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Sends to another rank, and receives what that rank sends in its own call. Both happen at the same
    /// time, because each rank waits for the other. Both ranks know the lengths, which may differ. Every bit
    /// must arrive unchanged.
    ///
    /// # Errors
    /// [`Error::Communication`](crate::Error::Communication) if the other rank is gone. An implementation
    /// that may not notice this must have a timeout.
    fn exchange(&mut self, partner: usize, send: &[f32], receive: &mut [f32]) -> Result<()>;

    /// Replaces the values by their sums over all ranks. The number of ranks is a power of two. Sums are
    /// formed in a binary tree: first ranks 0 and 1, 2 and 3 and so on, then the sum of 0 and 1 with that of
    /// 2 and 3. All ranks get the same bits. Few values take one exchange for each level of the tree. Many
    /// values take two exchanges for each level, and each rank then sends less than twice its values, for any
    /// number of ranks.
    ///
    /// An implementation that overrides this must add in the same tree.
    ///
    /// # Errors
    /// Those of [`exchange`](Self::exchange).
    fn all_reduce(&mut self, values: &mut [f32], scratch: &mut Vec<f32>) -> Result<()> {
        // 16 KiB: below this, the time of a message is mostly latency.
        const FEW: usize = 4096;
        let (rank, size) = (self.rank(), self.size());
        scratch.resize(values.len(), 0.0);
        if size == 2 || values.len() <= FEW {
            for level in 0..size.trailing_zeros() {
                let distance = 1 << level;
                self.exchange(rank ^ distance, values, scratch)?;
                add(values, scratch);
            }
            return Ok(());
        }
        // Reduce-scatter: at each level a rank keeps one half of its part and sends the other half away.
        let mut parts = [const { 0..0 }; usize::BITS as usize];
        let mut part = 0..values.len();
        for level in 0..size.trailing_zeros() as usize {
            let distance = 1 << level;
            let (kept, given) = halves(&part, rank & distance == 0);
            let received = &mut scratch[..kept.len()];
            self.exchange(rank ^ distance, &values[given], received)?;
            add(&mut values[kept.clone()], received);
            parts[level] = part;
            part = kept;
        }
        // All-gather: each rank swaps the sums that it has for those of its partner.
        for level in (0..size.trailing_zeros() as usize).rev() {
            let distance = 1 << level;
            let (kept, given) = halves(&parts[level], rank & distance == 0);
            swap(self, rank ^ distance, values, kept, given)?;
        }
        Ok(())
    }
}

impl<C: Communicator + ?Sized> Communicator for &mut C {
    fn rank(&self) -> usize {
        (**self).rank()
    }

    fn size(&self) -> usize {
        (**self).size()
    }

    fn exchange(&mut self, partner: usize, send: &[f32], receive: &mut [f32]) -> Result<()> {
        (**self).exchange(partner, send, receive)
    }

    fn all_reduce(&mut self, values: &mut [f32], scratch: &mut Vec<f32>) -> Result<()> {
        (**self).all_reduce(values, scratch)
    }
}

/// The half of a part that a rank keeps, and the half that it sends.
fn halves(part: &Range<usize>, first: bool) -> (Range<usize>, Range<usize>) {
    let middle = part.start + part.len() / 2;
    let (left, right) = (part.start..middle, middle..part.end);
    if first { (left, right) } else { (right, left) }
}

fn add(values: &mut [f32], received: &[f32]) {
    values.iter_mut().zip(received).for_each(|(x, y)| *x += y);
}

/// Sends the range `own` and receives the adjacent range `others`.
fn swap(
    communicator: &mut (impl Communicator + ?Sized),
    partner: usize,
    values: &mut [f32],
    own: Range<usize>,
    others: Range<usize>,
) -> Result<()> {
    let (left, right) = values.split_at_mut(own.start.max(others.start));
    // A rank without rows has an empty range, which begins where that of the other begins.
    if (own.start, own.end) < (others.start, others.end) {
        communicator.exchange(partner, &left[own], &mut right[..others.len()])
    } else {
        communicator.exchange(partner, &right[..own.len()], &mut left[others])
    }
}

/// Gives every rank the values of all others, bit for bit. Those of rank `r` are at `first(r)..first(r + 1)`.
pub(super) fn all_gather(
    communicator: &mut dyn Communicator,
    values: &mut [f32],
    first: impl Fn(usize) -> usize,
) -> Result<()> {
    let (rank, size) = (communicator.rank(), communicator.size());
    for level in 0..size.trailing_zeros() {
        let ranks = 1 << level;
        let (own, others) = (rank / ranks * ranks, ((rank / ranks) ^ 1) * ranks);
        let of = |block: usize| first(block)..first(block + ranks);
        swap(communicator, rank ^ ranks, values, of(own), of(others))?;
    }
    Ok(())
}
