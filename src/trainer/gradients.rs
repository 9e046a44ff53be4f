//! The gradients of batches, shard by shard.

use std::vec::Vec;

use rand_core::Rng;

use super::distributed::{FEW_ROWS, Link, Rank};
use super::split_mix::SplitMix;
use super::tally::{self, Tally};
use super::tree::{self, Leaf};
use super::{Batch, Shard, Trainer};
use crate::error::{Error, Result};
use crate::layer::join::{Team, own};

/// What batches give besides the gradients.
pub(super) struct Summed {
    /// The mean over all targets.
    pub(super) loss: f32,
    pub(super) targets: usize,
    /// Total weight of the targets.
    pub(super) weight: f64,
    /// Whether all states are finite.
    pub(super) finite: bool,
}

impl Trainer {
    /// Validates the batches before anything changes. Returns the number of targets that count, and their
    /// total weight.
    fn check(&self, batches: &[Batch<'_>], linked: bool) -> Result<(usize, f64)> {
        if self.stateful && !self.initial_state().is_empty() {
            let expected =
                "unset if the initial state is learned, because carried states do not start from it";
            return Err(Error::Value { argument: "stateful", expected });
        }
        let (model, mut targets, mut weight) = (self.model(), 0usize, 0.0);
        let mut rows = self.is_carrying().then_some((self.batch, self.shards.len()));
        for &Batch { sequences, x, loss } in batches {
            model.check_input(sequences, x)?;
            let (count, of_them) = model.count_targets(sequences, loss)?;
            targets = targets.saturating_add(count);
            weight += of_them;
            let batch = sequences.batch();
            let here = (batch, self.shards_of(batch));
            if linked && here.1.min(batch) * self.rank.size < self.count.unwrap_or(1) {
                return Err(FEW_ROWS);
            }
            if self.stateful && *rows.get_or_insert(here) != here {
                return Err(OTHER_ROWS);
            }
        }
        Ok((targets, weight))
    }

    /// Whether there are carried states that would be lost if the rows were cut differently.
    fn is_carrying(&self) -> bool {
        self.shards.iter().any(|shard| shard.state.iter().any(|x| *x != 0.0))
    }

    /// Computes the mean loss over the targets of all batches and ranks, and leaves its gradients in `grads`.
    pub(super) fn gradients(
        &mut self,
        batches: &[Batch<'_>],
        rng: &mut impl Rng,
        link: Option<Link<'_>>,
    ) -> Result<Summed> {
        let mut key = 0;
        // With a link, an error must wait until the other ranks know of it.
        let own = self.own_gradients(batches, link.is_some(), rng, &mut key);
        match link {
            None => {
                let own = own?;
                Ok(if self.is_one_shard() { own } else { self.mean(own) })
            }
            Some(link) => self.all_gradients(batches, own, key, link),
        }
    }

    /// Runs this trainer's shards. One shard: mean loss and gradients in `grads`. Several: sums in the first
    /// leaf.
    fn own_gradients(
        &mut self,
        batches: &[Batch<'_>],
        linked: bool,
        rng: &mut impl Rng,
        keys: &mut u64,
    ) -> Result<Summed> {
        let checked = self.check(batches, linked);
        if linked && checked.is_err() {
            // The other ranks draw keys for these batches: their generators stay in step with this one.
            let drawn = |batch: &&Batch<'_>| self.model().dropout_len(batch.sequences.steps(), 1) > 0;
            batches.iter().filter(drawn).for_each(|_| *keys ^= rng.next_u64());
        }
        let (targets, total) = checked?;
        self.tie();
        if let Some(rounded) = &mut self.rounded {
            rounded.take(self.model.chain(), &self.parameters)?;
        }
        let (one, mut mean) = (self.is_one_shard(), 0.0);
        self.grads.fill(0.0);
        tree::clear(&mut self.leaves, &mut self.shards);
        let (rank, count) = (self.rank.rank, self.count.unwrap_or(1) / self.rank.size);
        for &batch in batches {
            self.cut(batch.sequences.batch())?;
            let (model, steps) = (self.model.chain(), batch.sequences.steps());
            let parameters = self.rounded.as_ref().map_or(&self.parameters, |rounded| &rounded.parameters);
            let team = Team::with(own(model.work(batch.sequences)));
            // Threads take whole shards, or share the rows if there is only one shard.
            let within = Some(team).filter(|_| self.shards.len() == 1);
            // Several shards have their own generators, so that each rank draws only for its own shards.
            let key = (!one && model.dropout_len(steps, 1) > 0).then(|| rng.next_u64());
            *keys ^= key.unwrap_or(0);
            for (i, shard) in self.shards.iter_mut().enumerate() {
                shard.prepare(model, within.map_or(1, |team| team.threads()), batch)?;
                match key {
                    None => shard.draw(model, steps, rng)?,
                    Some(key) => shard.draw(model, steps, &mut SplitMix::of_shard(key, rank * count + i))?,
                }
            }
            let shards = &mut self.shards[..];
            team.enter(|| for_each(team, shards, &|shard| shard.run(model, within, parameters, batch)))?;
            for (i, shard) in self.shards.iter_mut().enumerate() {
                let loss = shard.loss?;
                if one {
                    // The mean over several batches weighs each batch by the weight of its targets.
                    let share = if total > 0.0 { shard.weight / total } else { 0.0 };
                    // The mean over no targets may be NaN.
                    if shard.weight > 0.0 {
                        mean += f64::from(loss) * share;
                        add_scaled(&mut self.grads, &shard.grads, share as f32);
                    }
                } else {
                    tree::add(&mut self.leaves, i, shard, loss);
                }
                // States that are not carried are zero between batches.
                if !self.stateful {
                    shard.state.fill(0.0);
                }
            }
        }
        if !one {
            tree::sum(&mut self.leaves);
        }
        Ok(Summed { loss: mean as f32, targets, weight: total, finite: self.finite_states() })
    }

    /// Divides the sums in the first leaf by the weight of the targets.
    fn mean(&mut self, own: Summed) -> Summed {
        let Some(Leaf { grads, loss, weight, .. }) = self.leaves.first().filter(|leaf| leaf.weight > 0.0)
        else {
            return own;
        };
        self.grads.iter_mut().zip(grads).for_each(|(mean, sum)| *mean = sum / weight);
        Summed { loss: loss / weight, ..own }
    }

    /// Adds the sums and the tallies of all ranks in one exchange.
    fn all_gradients(
        &mut self,
        batches: &[Batch<'_>],
        own: Result<Summed>,
        key: u64,
        link: Link<'_>,
    ) -> Result<Summed> {
        let (Rank { rank, size }, len) = (self.rank, self.parameters.len());
        let rows = batches.iter().fold(0usize, |rows, batch| rows.saturating_add(batch.sequences.batch()));
        let (targets, finite) = own.as_ref().map_or((0, true), |own| (own.targets, own.finite));
        let tally = Tally {
            targets: targets as u64,
            rows: rows as u64,
            failed: own.is_err().into(),
            infinite: (!finite).into(),
        };
        let checksum = self.checksum(batches, key);
        if self.leaves.is_empty() {
            self.leaves.push(Leaf::default());
        }
        let Leaf { grads, loss, weight, .. } = &mut self.leaves[0];
        // The values of a failed rank are ignored.
        grads.resize(len, 0.0);
        grads.extend([*loss, *weight]);
        grads.extend(tally.to_numbers(checksum));
        let sent = link.ranks.all_reduce(grads, link.received);
        let (tally, equal) = Tally::of_sums(&grads[len + 2..], size);
        (*loss, *weight) = (grads[len], grads[len + 1]);
        let weight = *weight;
        grads.truncate(len);
        own?;
        sent?;
        let refuse = |what| Err(Error::Communication { what });
        if tally.failed > 0 {
            return refuse("another rank has failed; its own error says why");
        }
        if !equal {
            return refuse(
                "ranks differ in their weights, settings, generators, or numbers of updates, batches or steps: make all of them with the same settings and seeds, or from one saved training",
            );
        }
        if let Some(first) = batches.first() {
            let (all, own) = (tally.rows as usize / batches.len(), first.sequences.batch());
            let equal = batches.iter().all(|batch| batch.sequences.batch() == own);
            if equal && own != tree::part(all, rank, size).len() {
                let expected = "this rank's rows of the batch: see `Distributed::rows`";
                return Err(Error::Value { argument: "sequences", expected });
            }
            self.rows_of_all = all;
        }
        let (targets, weight) = (tally.targets as usize, f64::from(weight));
        Ok(self.mean(Summed { loss: 0.0, targets, weight, finite: tally.infinite == 0 }))
    }

    /// A checksum of everything that must be equal on all ranks.
    fn checksum(&self, batches: &[Batch<'_>], key: u64) -> u64 {
        let rate = self.next_rate().unwrap_or(0.0);
        let settings = [
            self.count.unwrap_or(1) as u64,
            self.updates,
            self.skipped,
            batches.len() as u64,
            key,
            rate.to_bits().into(),
            self.clip.to_bits().into(),
            self.stateful.into(),
            self.parameters.len() as u64,
        ];
        let steps = batches.iter().map(|batch| batch.sequences.steps() as u64);
        let parameters = self.parameters.iter().map(|x| u64::from(x.to_bits()));
        let others = self.describe_settings();
        let others = others.bytes().map(u64::from);
        tally::checksum(settings.into_iter().chain(steps).chain(others).chain(parameters))
    }

    /// Whether there is always one shard, for any batch.
    fn is_one_shard(&self) -> bool {
        self.count.unwrap_or(1) == 1
    }

    /// Restores the states from before the last batches.
    pub(super) fn restore_states(&mut self) {
        self.shards.iter_mut().for_each(Shard::restore_state);
    }

    /// The number of shards for `batch` rows.
    pub(super) fn shards_of(&self, batch: usize) -> usize {
        (self.count.unwrap_or(1) / self.rank.size).clamp(1, batch.max(1))
    }

    /// Cuts `batch` rows into shards. If the number of rows or shards changes, states start at zero (they
    /// were not carried).
    fn cut(&mut self, batch: usize) -> Result<()> {
        if (self.batch, self.shards.len()) != (batch, self.shards_of(batch)) {
            self.shards = self.new_shards(batch)?;
            self.batch = batch;
        }
        Ok(())
    }

    /// The shards of `batch` rows, with states of zero.
    pub(super) fn new_shards(&self, batch: usize) -> Result<Vec<Shard>> {
        let count = self.shards_of(batch);
        let parameters = self.parameters.len();
        (0..count).map(|i| Shard::new(self.model(), parameters, tree::part(batch, i, count))).collect()
    }
}

/// The error for a batch that would lose carried states.
pub(super) const OTHER_ROWS: Error = Error::Value {
    argument: "sequences",
    expected: "of the same number of rows and shards as the carried states: call `reset` first",
};

/// `a += scale * b`
fn add_scaled(a: &mut [f32], b: &[f32], scale: f32) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

/// Runs all shards; in parallel if there are threads.
fn for_each(team: Team<'_>, shards: &mut [Shard], run: &(impl Fn(&mut Shard) + Sync)) -> Result<()> {
    if shards.len() < 2 || team.threads() < 2 {
        shards.iter_mut().for_each(run);
        return Ok(());
    }
    let (first, later) = shards.split_at_mut(shards.len() / 2);
    team.run(|| for_each(team, first, run), || for_each(team, later, run))
}
