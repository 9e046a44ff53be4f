//! The gradients of batches, shard by shard.

use std::vec::Vec;

use rand_core::Rng;

use super::{Batch, Shard, Trainer};
use crate::error::{Error, Result};
use crate::layer::join::{Team, own};

impl Trainer {
    /// Refuses batches that do not fit, before anything moves; how many targets count in
    /// all of them, and how much they weigh.
    pub(super) fn check(&self, batches: &[Batch<'_>]) -> Result<(usize, f64)> {
        if self.stateful && !self.initial_state().is_empty() {
            let expected = "not set where the initial state is learned: carried states begin elsewhere";
            return Err(Error::Value { argument: "stateful", expected });
        }
        let (model, mut targets, mut weight) = (self.model(), 0usize, 0.0);
        let mut rows = self.is_carrying().then_some((self.batch, self.shards.len()));
        for &Batch { sequences, x, loss } in batches {
            model.check_input(sequences, x)?;
            targets = targets.saturating_add(model.targets(sequences, loss)?);
            weight += model.target_weight(sequences, loss)?;
            let batch = sequences.batch();
            let here = (batch, self.shards_of(batch));
            if self.stateful && *rows.get_or_insert(here) != here {
                return Err(OTHER_ROWS);
            }
        }
        Ok((targets, weight))
    }

    /// Whether there are states that another cut of the rows would lose.
    fn is_carrying(&self) -> bool {
        self.shards.iter().any(|shard| shard.state.iter().any(|x| *x != 0.0))
    }

    /// The mean loss over the targets of all batches; leaves its gradients in `grads`.
    pub(super) fn gradients(&mut self, batches: &[Batch<'_>], total: f64, rng: &mut impl Rng) -> Result<f32> {
        let mut mean = 0.0;
        self.grads.fill(0.0);
        for &batch in batches {
            self.cut(batch.sequences.batch())?;
            let (model, parameters) = (self.model.chain(), &self.parameters);
            let team = Team::of(own(model.work(batch.sequences)));
            // The threads take either whole shards, or the rows of the only one.
            let within = Some(team).filter(|_| self.shards.len() == 1);
            for shard in &mut self.shards {
                shard.prepare(model, within.map_or(1, |team| team.threads), batch, rng)?;
            }
            let shards = &mut self.shards[..];
            team.enter(|| for_each(team, shards, &|shard| shard.run(model, within, parameters, batch)))?;
            for shard in &mut self.shards {
                // Of several means each counts as much as the targets in it.
                let share = if total > 0.0 { shard.weight / total } else { 0.0 };
                mean += f64::from(shard.loss?) * share;
                if shard.weight > 0.0 {
                    add_scaled(&mut self.grads, &shard.grads, share as f32);
                }
                // States that are not carried are zero whenever no batch is run.
                if !self.stateful {
                    shard.state.fill(0.0);
                }
            }
        }
        Ok(mean as f32)
    }

    /// Goes back to the states before the last batches.
    pub(super) fn restore_states(&mut self) {
        self.shards.iter_mut().for_each(Shard::restore_state);
    }

    /// The number of shards of so many rows.
    pub(super) fn shards_of(&self, batch: usize) -> usize {
        self.count.unwrap_or(1).clamp(1, batch.max(1))
    }

    /// Cuts so many rows. States begin at zero if there were others before, which were not carried.
    fn cut(&mut self, batch: usize) -> Result<()> {
        if (self.batch, self.shards.len()) != (batch, self.shards_of(batch)) {
            self.shards = self.new_shards(batch)?;
            self.batch = batch;
        }
        Ok(())
    }

    /// The shards of so many rows, with states of zero.
    pub(super) fn new_shards(&self, batch: usize) -> Result<Vec<Shard>> {
        let count = self.shards_of(batch);
        let at = |i: usize| batch / count * i + batch % count * i / count;
        let parameters = self.parameters.len();
        (0..count).map(|i| Shard::new(self.model(), parameters, at(i)..at(i + 1))).collect()
    }
}

/// Why a batch is refused that would lose the states of another.
pub(super) const OTHER_ROWS: Error = Error::Value {
    argument: "sequences",
    expected: "as many rows, in as many shards, as those whose states are carried: `reset` drops these",
};

/// `a += scale * b`
fn add_scaled(a: &mut [f32], b: &[f32], scale: f32) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += scale * b);
}

/// Runs all shards, at the same time if there are threads.
fn for_each(team: Team<'_>, shards: &mut [Shard], run: &(impl Fn(&mut Shard) + Sync)) -> Result<()> {
    if shards.len() < 2 || team.threads < 2 {
        shards.iter_mut().for_each(run);
        return Ok(());
    }
    let (first, later) = shards.split_at_mut(shards.len() / 2);
    team.run(|| for_each(team, first, run), || for_each(team, later, run))
}
