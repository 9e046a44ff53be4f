//! Inference: level after level. The outputs between levels are in scratch.

use super::args::Forward;
use super::levels::Levels;
use super::merge::{Merge, both};
use super::pass::{ForwardRows, Given};
use super::ready::ReadyStep;
use crate::error::{Error, Need, Result, check_len, check_room, check_shape};
use crate::kernel::Walk;
use crate::layer::buffer::{add_to, take_mut};
use crate::layer::join::Team;
use crate::layer::packed::{HOLDS_PACKING, Source, WeightSource};
use crate::simd::{HAS_VECTORS, Isa};

impl Levels {
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward(
        &self,
        team: Option<Team<'_>>,
        weights: WeightSource<'_>,
        args: Forward<'_>,
    ) -> Result<()> {
        // What other cases need would slow down short sequences.
        #[cfg(not(target_os = "none"))]
        if let (1, None, None) = (self.depth, self.both, team) {
            return self.forward_single(weights, args);
        }
        let weights = self.check_weights(weights)?;
        if self.is_one_step(&args) && self.is_causal() && self.cut(team, 1, 1, Some(weights)).units == 1 {
            return self.forward_one_step(weights, args);
        }
        let walks = self.walks(args.sequences)?;
        self.check_forward(team.map_or(1, |team| team.threads()), &args)?;
        self.run_forward(team, weights, &walks, args)
    }

    /// Whether a pass is one step of one row, and its buffers have the lengths.
    #[inline(always)]
    fn is_one_step(&self, args: &Forward<'_>) -> bool {
        let Forward { sequences, x, y, state, scratch } = args;
        HAS_VECTORS
            && sequences.is_one_step()
            && self.is_row(x.len(), state.len(), scratch.len())
            && (y.is_empty() || y.len() == self.output())
    }

    /// The pass of one step of one row.
    #[inline(always)]
    fn forward_one_step(&self, weights: Source<'_>, args: Forward<'_>) -> Result<()> {
        let h = self.run_step(weights, 1, args.x, args.state, args.scratch)?;
        if !args.y.is_empty() {
            args.y.copy_from_slice(h);
        }
        Ok(())
    }

    /// Checks the lengths of buffers, and returns that of the scratch. The sequences have been checked.
    #[inline(always)]
    fn check_forward(&self, threads: usize, args: &Forward<'_>) -> Result<usize> {
        let Forward { sequences, x, y, state, scratch } = args;
        let (steps, batch) = (sequences.steps, sequences.batch);
        let rows = steps.saturating_mul(batch);
        check_shape("x", Need::STEPS_ROWS_INPUTS, rows.saturating_mul(self.input()), x.len())?;
        if !y.is_empty() {
            check_shape("y", Need::STEPS_ROWS_OUTPUTS, self.sequence_len(steps, batch), y.len())?;
        }
        check_len("state", self.state_len(batch), state.len())?;
        let room = self.scratch_len_with(threads, steps, batch);
        check_room("scratch", room, scratch.len())?;
        Ok(room)
    }

    /// One level in one direction on one thread.
    #[cfg(not(target_os = "none"))]
    fn forward_single(&self, weights: WeightSource<'_>, args: Forward<'_>) -> Result<()> {
        let weights = self.check_weights(weights)?;
        if self.is_one_step(&args) {
            return self.forward_one_step(weights, args);
        }
        let walk = &args.sequences.walk(self.first.reverse)?;
        let room = self.check_forward(1, &args)?;
        let Forward { x, y, state, scratch, .. } = args;
        let [y, _] = self.views(y, &mut [], walk.rows());
        let given = Given { weights, walk, x, factors: None };
        let (shape, mut rest) = (self.first.shape, scratch);
        let scratch = take_mut(&mut rest, room);
        self.first.forward_inline(shape, ForwardRows::all(shape, given, y, state, None, scratch), None)
    }

    /// The same; the buffers have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn run_forward(
        &self,
        team: Option<Team<'_>>,
        weights: Source<'_>,
        walks: &[Walk<'_>; 2],
        args: Forward<'_>,
    ) -> Result<()> {
        #[cfg(not(target_os = "none"))]
        let Some(args) = self.run_overlapped(team, weights, &walks[0], args)? else { return Ok(()) };
        let Forward { sequences, x, y, state, scratch } = args;
        let (steps, batch, rows) = (sequences.steps, sequences.batch, walks[0].rows());
        let (first, output) = (&self.first, self.sequence_len(steps, batch));
        let (is_both, states) = (self.both.is_some(), first.state_len(batch));
        let (mut rest, mut weights) = (scratch, weights);
        let cut = self.cut(team, steps, batch, Some(weights));
        let [own_f, own_r] = self.pair(&mut rest, first.cut_scratch_len((cut.rows, cut.units), steps, batch));
        let part = take_mut(&mut rest, if self.both == Some(Merge::Sum) { output } else { 0 });
        let between = if self.depth > 1 { output } else { 0 };
        let (mut below, mut above) = (take_mut(&mut rest, between), take_mut(&mut rest, between));
        let (mut state, mut y) = (state, Some(y));
        for index in 0..self.depth {
            let shape = self.shape(index);
            let x = if index == 0 { x } else { &*below };
            let to = if index + 1 == self.depth { y.take().unwrap_or_default() } else { &mut *above };
            let [given_f, given_r] = {
                let ([w_f, w_r], [walk_f, walk_r]) = (self.next(&mut weights, index), walks);
                let given = |weights, walk| Given { weights, walk, x, factors: None };
                [given(w_f, walk_f), given(w_r, walk_r)]
            };
            let [state_f, state_r] = self.pair(&mut state, states);
            let [mut y_f, mut y_r] = self.views(&mut *to, &mut *part, rows);
            both!(
                team,
                is_both,
                {
                    let rows = ForwardRows::all(shape, given_f, y_f.take(), state_f, None, own_f);
                    first.forward_by_rows(cut, shape, rows)
                },
                {
                    let rows = ForwardRows::all(shape, given_r, y_r.take(), state_r, None, own_r);
                    first.forward_by_rows(cut, shape, rows)
                },
            );
            if self.both == Some(Merge::Sum) && !to.is_empty() {
                add_to(to, part);
            }
            core::mem::swap(&mut below, &mut above);
        }
        Ok(())
    }

    /// One step of each level, which takes the output of the level below. Returns the output of the last
    /// level, `[B, R]`, which is part of `state`.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn step<'s>(
        &self,
        weights: WeightSource<'_>,
        x: &'s [f32],
        state: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<&'s [f32]> {
        let lens = [x.len(), state.len(), scratch.len()];
        if let Some((ready, panels, isa)) = self.ready_step(&weights, lens) {
            return ready.run(isa, panels, x, state, scratch);
        }
        self.step_checked(weights, x, state, scratch)
    }

    /// The step of one row of a single level, if the weights are panels and everything fits. Otherwise
    /// [`step_checked`](Self::step_checked) runs the step or reports what is wrong.
    #[inline(always)]
    fn ready_step<'w>(
        &self,
        weights: &WeightSource<'w>,
        [x, state, scratch]: [usize; 3],
    ) -> Option<(&ReadyStep, &'w [f32], Isa)> {
        let (1, None, Some(ready), WeightSource::Packed(packed)) =
            (self.depth, self.both, self.ready.get(), weights)
        else {
            return None;
        };
        let panels = packed.panels_of(self.fingerprint(), self.first.isa, self.panels_len())?;
        self.is_row(x, state, scratch).then_some((ready, panels, packed.isa()))
    }

    /// The same with all checks. It is a separate function, so that it takes no registers of the usual step.
    #[cfg_attr(target_os = "none", inline(always))]
    #[cfg_attr(not(target_os = "none"), inline(never))]
    fn step_checked<'s>(
        &self,
        weights: WeightSource<'_>,
        x: &'s [f32],
        state: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<&'s [f32]> {
        let weights = self.check_weights(weights)?;
        if self.both.is_some() {
            return Err(Error::Value { argument: "stack", expected: "a stack with one direction" });
        }
        let lens = [x.len(), state.len(), scratch.len()];
        let row = self.is_row(x.len(), state.len(), scratch.len());
        // With vectors, the step of one row is a separate function in which the batch is a constant.
        if HAS_VECTORS && row {
            return self.run_step(weights, 1, x, state, scratch);
        }
        let batch = if row { 1 } else { self.rows(lens)? };
        self.run_step(weights, batch, x, state, scratch)
    }

    /// The number of rows of a step, from the lengths of `x`, `state` and `scratch`.
    fn rows(&self, [x, state, scratch]: [usize; 3]) -> Result<usize> {
        let batch = self.step_batch(x, state);
        check_len("state", self.state_len(batch), state)?;
        check_shape("x", Need::ROWS_INPUTS, batch.saturating_mul(self.input()), x)?;
        check_room("scratch", self.scratch_len(1, batch), scratch)?;
        Ok(batch)
    }

    /// The batch size that fits the length of a state.
    fn step_batch(&self, x: usize, state: usize) -> usize {
        let row = self.state_len(1);
        // Usually there is one row. This avoids a division, which takes as long as a small layer's
        // activations.
        if state == row && row > 0 {
            return 1;
        }
        match (state.checked_div(row), state.checked_rem(row)) {
            (Some(batch), Some(0)) => batch,
            // Take the number of rows from `x`.
            _ => x.checked_div(self.input()).unwrap_or(1).max(1),
        }
    }

    /// The same; the buffers have been checked. With one level nothing in it can panic. The step of one row
    /// from panels is inlined down to the pass in the cell's table: separate functions in between took a third
    /// of the time of a step of 8 units (Zen).
    #[inline(always)]
    pub(crate) fn run_step<'s>(
        &self,
        weights: Source<'_>,
        batch: usize,
        x: &'s [f32],
        state: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<&'s [f32]> {
        let (first, units) = (&self.first, batch.saturating_mul(self.first.width()));
        // In firmware whose layers are not constants, all numbers of levels share the code below.
        if self.depth == 1 && HOLDS_PACKING {
            if let (1, Source::Panels(panels, isa), Some(ready)) = (batch, weights, self.ready.get()) {
                return ready.run(isa, panels, x, state, scratch);
            }
            first.step(first.shape, weights, batch, x, state, scratch)?;
            return Ok(state.get(..units).unwrap_or_default());
        }
        let (mut weights, mut x, mut state) = (weights, x, state);
        for index in 0..self.depth {
            let own = take_mut(&mut state, first.state_len(batch));
            let (weights, shape) = (self.next_direction(&mut weights, index), self.shape(index));
            x = match (batch, weights, self.ready.get()) {
                (1, Source::Panels(panels, isa), Some(ready)) => {
                    ready.with_input(shape.input).run(isa, panels, x, own, scratch)?
                }
                _ => {
                    first.step(shape, weights, batch, x, own, scratch)?;
                    &own[..units]
                }
            };
        }
        Ok(x)
    }
}
