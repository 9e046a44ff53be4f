//! How a pass over one layer in one direction is cut for threads. The batch rows are split into parts, and
//! each part is a separate pass over the same sequences; or each step is split by units, in the kernel.

use super::description::Description;
use super::levels::Levels;
#[cfg(not(target_os = "none"))]
use super::pass::TapeRows;
use super::pass::{BackwardRows, ForwardRows, Given};
use crate::error::Result;
#[cfg(not(target_os = "none"))]
use crate::kernel::Walk;
use crate::kernel::canonical::Shape;
use crate::layer::buffer::mul;
#[cfg(not(target_os = "none"))]
use crate::layer::join::share;
use crate::layer::join::{LARGE_STEP, Team, parts, parts_of_rows, parts_of_step};
use crate::layer::packed::{HOLDS_PACKING, Source};
use crate::simd::HAS_VECTORS;

/// How to split a pass over one layer in one direction.
#[derive(Clone, Copy)]
pub(super) struct Cut<'j> {
    /// With `None` everything runs on one thread.
    pub(super) team: Option<Team<'j>>,
    /// Number of parts of the batch rows.
    pub(super) rows: usize,
    /// Number of parts of the units in each step.
    pub(super) units: usize,
    /// Number of parts of sums over all rows, and of other work that does not depend on the order of steps.
    pub(super) sums: usize,
    /// Steps including padding; scratch is split by them.
    #[cfg_attr(target_os = "none", allow(dead_code, reason = "firmware has no threads, and no parts"))]
    pub(super) steps: usize,
}

impl Levels {
    /// Multiply-adds of a pass over one level in one direction.
    const fn work(&self, steps: usize, batch: usize) -> usize {
        mul(mul(steps, batch), self.first.weights_len())
    }

    /// The number of parts that batch rows are split into in each direction, for `threads` threads.
    pub(super) const fn parts(&self, threads: usize, steps: usize, batch: usize) -> usize {
        parts_of_rows(threads / self.directions(), batch, self.work(steps, batch))
    }

    /// Multiply-adds of the hidden weights for one row in one step.
    const fn step_work(&self) -> usize {
        let shape = &self.first.shape;
        mul(shape.gates, mul(shape.hidden, shape.width()))
    }

    /// The number of parts that the units of each step are split into, for `threads` threads.
    pub(super) const fn unit_parts(&self, threads: usize) -> usize {
        match HAS_VECTORS && self.first.splits_units() {
            true => parts_of_step(threads / self.directions(), self.step_work()),
            false => 1,
        }
    }

    /// How to split a pass over one level in one direction. `weights` are those of an inference, `None` in
    /// training.
    #[inline(always)]
    pub(super) fn cut<'j>(
        &self,
        team: Option<Team<'j>>,
        steps: usize,
        batch: usize,
        weights: Option<Source<'_>>,
    ) -> Cut<'j> {
        let Some(threads) = team.map(|team| team.threads()) else {
            return Cut { team, rows: 1, units: 1, sums: 1, steps };
        };
        // Without fused multiply-add, large products are computed by another crate, and their bits depend on
        // how they are split.
        let sums = match self.first.isa().is_fused() {
            true => parts(threads / self.directions(), self.work(steps, batch)),
            false => 1,
        };
        let (rows, units) = (self.parts(threads, steps, batch), self.unit_parts(threads));
        // Rows are handed over once in a pass, units in each step. But each part of the rows reads all weights.
        let by_units = match weights {
            Some(Source::Panels(..)) => rows == 1 || self.step_work() >= LARGE_STEP,
            Some(_) => false,
            None => rows == 1,
        };
        let (rows, units) = match team.and_then(|team| team.of_step(units)) {
            Some(_) if by_units && self.first.isa().lanes() > 1 => (1, units),
            _ => (rows, 1),
        };
        Cut { team, rows, units, sums, steps }
    }
}

/// The split of a batch into two halves.
#[cfg(not(target_os = "none"))]
struct Half<'a> {
    /// Number of parts in the first half, and its number of rows.
    some: usize,
    at: usize,
    batch: usize,
    walks: [Walk<'a>; 2],
}

#[cfg(not(target_os = "none"))]
impl<'a> Half<'a> {
    fn of(walk: &Walk<'a>, parts: usize) -> Self {
        let (batch, some) = (walk.batch(), parts / 2);
        let at = share(batch, some, parts);
        Half { some, at, batch, walks: [walk.part(0, at), walk.part(at, batch)] }
    }

    /// The length of the first half, in a buffer with the same number of elements for each batch row.
    fn len(&self, all: usize) -> usize {
        all.checked_div(self.batch).unwrap_or(0) * self.at
    }

    fn cut<'b>(&self, of: &'b mut [f32]) -> (&'b mut [f32], &'b mut [f32]) {
        of.split_at_mut(self.len(of.len()))
    }

    /// The inputs of both halves.
    fn given<'b>(&'b self, of: Given<'b>) -> [Given<'b>; 2] {
        let factors = of.factors.map(|factors| factors.split_at(self.len(factors.len()))).unzip();
        let [first, later] = &self.walks;
        [Given { walk: first, factors: factors.0, ..of }, Given { walk: later, factors: factors.1, ..of }]
    }

    fn tape<'b>(&self, walk: &Walk<'_>, of: TapeRows<'b>) -> (TapeRows<'b>, TapeRows<'b>) {
        let ((h0, later_h0), (rows, later_rows)) = (self.cut(of.h0), of.rows.split_batch(walk, self.at));
        (TapeRows { h0, rows }, TapeRows { h0: later_h0, rows: later_rows })
    }
}

impl Description {
    /// A forward pass in parts. Firmware has no threads, and therefore one part.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward_by_rows(&self, cut: Cut<'_>, shape: Shape, rows: ForwardRows<'_>) -> Result<()> {
        #[cfg(not(target_os = "none"))]
        if let Cut { team: Some(team), rows: 2.., .. } = cut {
            return self.forward_parts(team, cut, shape, rows);
        }
        #[cfg(not(target_os = "none"))]
        if let Some(team) = cut.team.and_then(|team| team.of_step(cut.units)) {
            return team.enter(|| self.forward(shape, rows, Some(team)));
        }
        let _ = cut;
        match (rows.given.weights, &rows.tape) {
            (Source::Canonical(_), None) if !HOLDS_PACKING => self.forward_apart::<true, false>(shape, rows),
            (Source::Canonical(_), Some(_)) if !HOLDS_PACKING => {
                self.forward_apart::<true, true>(shape, rows)
            }
            _ if !HOLDS_PACKING => self.forward_apart::<false, true>(shape, rows),
            _ => self.forward(shape, rows, None),
        }
    }

    /// A forward pass as a function that both directions share, for firmware whose layers are not constants.
    /// `IN_PLACE`: from canonical weights. `TRAINS`: there may be a tape.
    #[inline(never)]
    fn forward_apart<const IN_PLACE: bool, const TRAINS: bool>(
        &self,
        shape: Shape,
        rows: ForwardRows<'_>,
    ) -> Result<()> {
        let ForwardRows { given, y, h, c, tape, scratch } = rows;
        let weights = if IN_PLACE { Source::Canonical(given.weights.flat()) } else { given.weights };
        let tape = if TRAINS { tape } else { None };
        self.forward(shape, ForwardRows { given: Given { weights, ..given }, y, h, c, tape, scratch }, None)
    }

    #[cfg(not(target_os = "none"))]
    fn forward_parts(&self, team: Team<'_>, cut: Cut<'_>, shape: Shape, rows: ForwardRows<'_>) -> Result<()> {
        let ForwardRows { given, y, h, c, tape, scratch } = rows;
        let (walk, half) = (given.walk, Half::of(given.walk, cut.rows));
        let own = match tape {
            None => self.parts_scratch_len(half.some, cut.steps, half.at),
            Some(_) => self.parts_step_scratch(half.some, half.at),
        };
        let ((h, later_h), (c, later_c)) = (half.cut(h), half.cut(c));
        let (y, later_y) = y.map(|y| y.split_batch(walk, half.at)).unzip();
        let (tape, later_tape) = tape.map(|tape| half.tape(walk, tape)).unzip();
        let (scratch, later_scratch) = scratch.split_at_mut(own);
        let [given, later] = half.given(given);
        let first = ForwardRows { given, y, h, c, tape, scratch };
        let (y, h, c, tape, scratch) = (later_y, later_h, later_c, later_tape, later_scratch);
        let later = ForwardRows { given: later, y, h, c, tape, scratch };
        team.run(
            || self.forward_by_rows(Cut { rows: half.some, ..cut }, shape, first),
            || self.forward_by_rows(Cut { rows: cut.rows - half.some, ..cut }, shape, later),
        )
    }

    /// A backward pass in parts, without the gradients of weights and input.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn backward_by_rows(
        &self,
        cut: Cut<'_>,
        shape: Shape,
        panels: &[f32],
        rows: BackwardRows<'_>,
    ) -> Result<()> {
        #[cfg(not(target_os = "none"))]
        if let Cut { team: Some(team), rows: 2.., .. } = cut
            && rows.dpeepholes.is_empty()
        {
            return self.backward_parts(team, cut, shape, panels, rows);
        }
        #[cfg(not(target_os = "none"))]
        if let Some(team) = cut.team.and_then(|team| team.of_step(cut.units)) {
            return team.enter(|| self.backward(shape, panels, rows, Some(team)));
        }
        let _ = cut;
        self.backward(shape, panels, rows, None)
    }

    #[cfg(not(target_os = "none"))]
    fn backward_parts(
        &self,
        team: Team<'_>,
        cut: Cut<'_>,
        shape: Shape,
        panels: &[f32],
        rows: BackwardRows<'_>,
    ) -> Result<()> {
        let BackwardRows { given, y, dy, dh, dc, dpeepholes, tape, scratch } = rows;
        let half = Half::of(given.walk, cut.rows);
        let ((dh, later_dh), (dc, later_dc)) = (half.cut(dh), half.cut(dc));
        let (tape, later_tape) = half.tape(given.walk, tape);
        let (scratch, later_scratch) = scratch.split_at_mut(self.parts_step_scratch(half.some, half.at));
        let [given, later] = half.given(given);
        let first = BackwardRows { given, y, dy, dh, dc, dpeepholes, tape, scratch };
        let (dh, dc, tape, scratch) = (later_dh, later_dc, later_tape, later_scratch);
        let later = BackwardRows { given: later, y, dy, dh, dc, dpeepholes: &mut [], tape, scratch };
        team.run(
            || self.backward_by_rows(Cut { rows: half.some, ..cut }, shape, panels, first),
            || self.backward_by_rows(Cut { rows: cut.rows - half.some, ..cut }, shape, panels, later),
        )
    }
}
