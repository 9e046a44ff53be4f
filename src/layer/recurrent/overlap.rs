//! Levels that run at the same time: while one computes a block of steps, the one below computes the next
//! block. This is for passes in one direction whose rows and units are not cut.
//!
//! In turn `k`, level `i` computes block `k - i`. A block is a pass of its own over some of the steps, so the
//! bits are those of a sequence that is fed in chunks. Between two levels there is room for the outputs of
//! two blocks: the lower level writes one of them while the upper level reads the other.

use core::ops::Range;

use super::args::Forward;
use super::levels::Levels;
use super::pass::{ForwardRows, Given};
use crate::error::{Error, Result};
use crate::kernel::Walk;
use crate::kernel::view::ColumnsMut;
use crate::layer::buffer::{add, max, mul, take, take_mut};
use crate::layer::join::{Team, share};
use crate::layer::packed::Source;
use crate::simd::Isa;

/// The number of multiply-adds that take as long as handing over one turn, taken as 3 microseconds. It takes
/// 1 microsecond if the next turn comes before the other threads fall asleep, and up to 9 if it does not
/// (Zen 5, `cargo bench --bench threads --features rayon -- levels`). With more and smaller blocks, as for
/// 1 microsecond, passes were up to a fifth faster, but some took as long as on one thread.
const HAND_OVER: usize = 1 << 18;

/// The least work of the other parts, in hand-overs for each block. With 4 the gain was between 0.84 and 1.5
/// times for 100 steps of 128 units, depending on whether threads fell asleep. With 14, levels of such a pass
/// run one after the other.
const LEAST_GAIN: usize = 14;

/// The least number of steps in a block: the input part of six steps is one tile.
const LEAST_STEPS: usize = 6;

/// Elements that keep what two threads write apart: two cache lines, which some CPUs fetch together.
const APART: usize = 32;

/// The sizes of levels that may run at the same time. They belong to one stack, or to successive layers of a
/// model.
#[derive(Clone, Copy)]
pub(crate) struct Overlap {
    steps: usize,
    batch: usize,
    /// The number of levels.
    depth: usize,
    /// Multiply-adds of all levels, and of the largest one.
    work: usize,
    largest: usize,
    /// States and scratch of all levels.
    own: usize,
    /// Features of all outputs, and of the last level's output.
    outputs: usize,
    output: usize,
}

/// A level, and the instruction set that its weights are packed for.
pub(crate) struct Rung<'a> {
    pub(crate) levels: &'a Levels,
    pub(crate) index: usize,
    pub(crate) isa: Isa,
}

/// The buffers of some levels for one turn.
struct Turn<'a> {
    levels: Range<usize>,
    panels: &'a [f32],
    /// The block of the lowest level, and what follows it.
    x: &'a [f32],
    /// The block of the highest level, and what follows it.
    y: &'a mut [f32],
    /// State and scratch of each level.
    own: &'a mut [f32],
    /// Two blocks of outputs of each level but the last.
    between: &'a mut [f32],
}

/// A pass over all levels.
struct Climb<'a> {
    team: Team<'a>,
    walk: Walk<'a>,
    /// Steps of a block, and the number of blocks.
    block: usize,
    blocks: usize,
    rung: &'a (dyn Fn(usize) -> Option<Rung<'a>> + Sync + 'a),
}

impl Levels {
    /// Whether levels may run at the same time as those of a layer above or below: they run forward, and
    /// neither their rows nor their units are cut.
    pub(crate) const fn overlaps(&self, threads: usize, steps: usize, batch: usize) -> bool {
        self.is_causal() && self.parts(threads, steps, batch) == 1 && self.unit_parts(threads) == 1
    }

    /// Length of the scratch for levels that run at the same time; 0 if they do not.
    pub(super) const fn overlap_len(&self, threads: usize, steps: usize, batch: usize) -> usize {
        match self.overlaps(threads, steps, batch) {
            true => Overlap::of(steps, batch).and(self).scratch_len(threads),
            false => 0,
        }
    }

    /// Runs a stack's levels at the same time, if this is faster than one after the other. Returns the
    /// arguments otherwise.
    pub(super) fn run_overlapped<'a>(
        &self,
        team: Option<Team<'_>>,
        weights: Source<'_>,
        walk: &Walk<'_>,
        args: Forward<'a>,
    ) -> Result<Option<Forward<'a>>> {
        let (Some(team), Source::Panels(panels, isa)) = (team, weights) else { return Ok(Some(args)) };
        let (steps, batch) = (args.sequences.steps, args.sequences.batch);
        if self.depth == 1 || !self.overlaps(team.threads(), steps, batch) {
            return Ok(Some(args));
        }
        let rung = |index| Some(Rung { levels: self, index, isa });
        Overlap::of(steps, batch).and(self).run(team, walk, &rung, panels, args)
    }
}

/// Elements of the state and of the scratch of a level. The state is a copy, because the states of all levels
/// follow each other directly.
const fn own_len(levels: &Levels, steps: usize, batch: usize) -> usize {
    let state = levels.first.state_len(batch);
    add(add(state, levels.first.scratch_len(steps, batch)), APART)
}

impl Overlap {
    /// No levels.
    pub(crate) const fn of(steps: usize, batch: usize) -> Self {
        Overlap { steps, batch, depth: 0, work: 0, largest: 0, own: 0, outputs: 0, output: 0 }
    }

    /// The same with the levels of a layer on top.
    pub(crate) const fn and(mut self, levels: &Levels) -> Self {
        let (rows, width, depth) = (mul(self.steps, self.batch), levels.output(), levels.depth);
        // All levels but the first have the same sizes.
        let first = mul(rows, levels.shape(0).len());
        let other = if depth > 1 { mul(rows, levels.shape(1).len()) } else { 0 };
        self.work = add(self.work, add(first, mul(depth - 1, other)));
        self.largest = max(self.largest, max(first, other));
        self.own = add(self.own, mul(depth, own_len(levels, self.steps, self.batch)));
        (self.outputs, self.output) = (add(self.outputs, mul(depth, width)), width);
        self.depth = add(self.depth, depth);
        self
    }

    /// The number of parts of the levels.
    const fn parts(&self, threads: usize) -> usize {
        if threads < self.depth { threads } else { self.depth }
    }

    /// Steps of a block; 0 if it is not faster to run levels at the same time.
    ///
    /// With `n` blocks, a pass has `n` turns and a few more in which only some levels have a block. Each turn
    /// is handed over. The sum of both losses is least where the blocks are as many as the root of how often
    /// the work of the largest part contains the work of a hand-over. The gain is the work of the other
    /// parts.
    const fn block(&self, threads: usize) -> usize {
        let parts = self.parts(threads);
        if parts < 2 {
            return 0;
        }
        // Parts have as many levels as others, or one more.
        let largest = mul(self.largest, self.depth.div_ceil(parts));
        let largest = if largest < self.work { largest } else { self.work };
        let blocks = (largest / HAND_OVER).isqrt();
        if blocks < 2 {
            return 0;
        }
        let block = max(self.steps.div_ceil(blocks), LEAST_STEPS);
        if self.steps < 2 * block || (self.work - largest) / HAND_OVER < LEAST_GAIN * blocks {
            return 0;
        }
        block
    }

    /// Elements of two blocks of outputs of each level but the last.
    const fn between(&self, block: usize) -> usize {
        let blocks = mul(self.outputs - self.output, mul(block, self.batch));
        mul(2, add(blocks, mul(self.depth - 1, APART)))
    }

    /// Length of the scratch; 0 if levels do not run at the same time.
    pub(crate) const fn scratch_len(&self, threads: usize) -> usize {
        match self.block(threads) {
            0 => 0,
            block => add(self.own, self.between(block)),
        }
    }

    /// Runs the levels at the same time, if this is faster than one after the other. Returns the arguments
    /// otherwise. All levels [overlap](Levels::overlaps); `rung` says what they are, `panels` has their
    /// weights, and `state` their states.
    pub(crate) fn run<'a, 'b>(
        &self,
        team: Team<'a>,
        walk: &Walk<'a>,
        rung: &'a (dyn Fn(usize) -> Option<Rung<'a>> + Sync + 'a),
        panels: &[f32],
        args: Forward<'b>,
    ) -> Result<Option<Forward<'b>>> {
        let (block, parts) = (self.block(team.threads()), self.parts(team.threads()));
        let (Some(team), true) = (team.of_step(parts), block > 0 && walk.place().is_plain()) else {
            return Ok(Some(args));
        };
        let Forward { x, y, state, scratch, .. } = args;
        let (own, rest) = scratch.split_at_mut(self.own);
        let between = rest.get_mut(..self.between(block)).ok_or(WRONG)?;
        let climb = Climb { team, walk: *walk, block, blocks: self.steps.div_ceil(block), rung };
        // Elements of a block.
        let inputs = block * self.batch * x.len().checked_div(self.steps * self.batch).unwrap_or(0);
        let outputs = block * self.batch * self.output;
        climb.each_state(&mut *own, &mut *state, |own, state| own.copy_from_slice(state))?;
        team.enter(|| {
            for turn in 0..climb.blocks + self.depth - 1 {
                let top = (turn + 1).saturating_sub(self.depth);
                let buffers = Turn {
                    levels: 0..self.depth,
                    panels,
                    x: x.get(turn * inputs..).unwrap_or_default(),
                    y: y.get_mut(top * outputs..).unwrap_or_default(),
                    own: &mut *own,
                    between: &mut *between,
                };
                climb.turn(turn, parts, buffers)?;
            }
            Ok(())
        })?;
        climb.each_state(own, state, |own, state| state.copy_from_slice(own))?;
        Ok(None)
    }
}

const WRONG: Error = Error::Internal { what: "the buffers of levels that run at the same time" };

impl Climb<'_> {
    /// Whether some of these levels have a block in a turn.
    fn has_work(&self, turn: usize, levels: &Range<usize>) -> bool {
        levels.start <= turn && turn < self.blocks + levels.end - 1
    }

    /// Calls `copy` with each level's own state and that of the caller.
    fn each_state(
        &self,
        own: &mut [f32],
        state: &mut [f32],
        copy: impl Fn(&mut [f32], &mut [f32]),
    ) -> Result<()> {
        let (mut own, mut state, mut index) = (own, state, 0);
        while let (Some(rung), true) = ((self.rung)(index), !state.is_empty()) {
            let len = rung.levels.first.state_len(self.walk.batch());
            let [_, own_len, _] = self.lens(&rung);
            copy(&mut take_mut(&mut own, own_len)[..len], take_mut(&mut state, len));
            index += 1;
        }
        Ok(())
    }

    /// One block of each level that has one, in parts that run at the same time.
    fn turn(&self, turn: usize, parts: usize, buffers: Turn<'_>) -> Result<()> {
        let Turn { levels, panels, x, y, own, between } = buffers;
        let (count, some) = (levels.len(), parts / 2);
        if !self.has_work(turn, &levels) {
            return Ok(());
        }
        if count == 1 {
            return self.block(turn, Turn { levels, panels, x, y, own, between });
        }
        let at = levels.start + if parts > 1 { share(count, some, parts) } else { 1 };
        // The lengths of the buffers of the levels below the cut, and of one block of their last output.
        let (mut lens, mut block) = ([0; 3], 0);
        for index in levels.start..at {
            let rung = (self.rung)(index).ok_or(WRONG)?;
            lens[2] += 2 * block;
            block = self.block * self.walk.batch() * rung.levels.output() + APART;
            for (len, more) in lens.iter_mut().zip(self.lens(&rung)) {
                *len += more;
            }
        }
        let [panels_len, own_len, between_len] = lens;
        let (mut panels, mut own, mut between) = (panels, own, between);
        let lower_between = take_mut(&mut between, between_len);
        let (even, odd) = (take_mut(&mut between, block), take_mut(&mut between, block));
        // The level above the cut reads block `turn - at`, which the level below it wrote in the last turn.
        let (write, read) = if (turn + at).is_multiple_of(2) { (odd, even) } else { (even, odd) };
        let lower = Turn {
            levels: levels.start..at,
            panels: take(&mut panels, panels_len),
            x,
            y: write,
            own: take_mut(&mut own, own_len),
            between: lower_between,
        };
        let upper = Turn { levels: at..levels.end, panels, x: read, y, own, between };
        let both = self.has_work(turn, &lower.levels) && self.has_work(turn, &upper.levels);
        let (lower_parts, upper_parts) = (some.max(1), (parts - some).max(1));
        let lower = || self.turn(turn, lower_parts, lower);
        let upper = || self.turn(turn, upper_parts, upper);
        match parts > 1 && both {
            true => self.team.run(lower, upper),
            false => lower().and_then(|()| upper()),
        }
    }

    /// The lengths of a level's weights, and of its state and scratch. It has no room between levels.
    fn lens(&self, rung: &Rung<'_>) -> [usize; 3] {
        let own = own_len(rung.levels, self.walk.place().padded(), self.walk.batch());
        [rung.levels.level(rung.index).panels_len(), own, 0]
    }

    /// One block of one level.
    fn block(&self, turn: usize, buffers: Turn<'_>) -> Result<()> {
        let Turn { levels: Range { start: index, .. }, panels, x, y, own, .. } = buffers;
        let rung = (self.rung)(index).ok_or(WRONG)?;
        let (layer, shape) = (&rung.levels.first, rung.levels.shape(rung.index));
        let walk = self.walk.during((turn - index) * self.block, self.block);
        let (rows, width) = (walk.rows(), shape.width());
        let [panels_len, own_len, _] = self.lens(&rung);
        let x = x.get(..rows * shape.input).ok_or(WRONG)?;
        let panels = panels.get(..panels_len).ok_or(WRONG)?;
        let own = own.get_mut(..own_len).ok_or(WRONG)?;
        let (state, own) = own.split_at_mut(layer.state_len(walk.batch()));
        let y = match y.is_empty() {
            // Only the last states are needed.
            true => None,
            false => Some(ColumnsMut::new(y.get_mut(..rows * width).ok_or(WRONG)?, rows, width)),
        };
        let given = Given { weights: Source::Panels(panels, rung.isa), walk: &walk, x, factors: None };
        layer.forward(shape, ForwardRows::all(shape, given, y, state, None, own), None)
    }
}
