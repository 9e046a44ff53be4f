//! One step of a batch with all options that a layer may have: dropout of the hidden state, the cell, and a
//! projection.

use super::sizes::{PROJECTION, Sizes, Stage, projection};
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::product::Left;
use crate::kernel::panel::source::{Projection, Source};
use crate::kernel::rows::taken::Rows;
use crate::kernel::rows::view::{ColumnsMut, Matrix};
use crate::kernel::step::row::{self, Stages};
use crate::kernel::step::single::{self, SingleRow};
use crate::kernel::step::{Equations, Input, Params, SecondStage, Step, Tape};
use crate::kernel::team::Team;
use crate::kernel::{Checked, Walk};
use crate::simd::{HAS_VECTORS, Region, Simd};

/// The step of a batch: takes the weights of its stages, its number, its buffers, and room for sums.
type StepFn<S, W> = fn(S, &Params, Stages<W>, usize, Step<'_>, &mut [f32]) -> Checked;

/// Several steps of a single row.
type RowFn<S, W> = fn(S, &Params, W, SingleRow<'_, '_>) -> Checked;

/// The steps of a cell on one instruction set, from one kind of weights.
pub(super) struct Steps<S, W> {
    pub(super) layout: Layout,
    pub(super) second: Option<SecondStage>,
    /// Whether there may be a projection.
    pub(super) projects: bool,
    pub(super) step: StepFn<S, W>,
    /// Steps of a single row, if there is separate code for them.
    pub(super) single: Option<RowFn<S, W>>,
    /// Whether these also compute the input part of later steps.
    pub(super) ahead: bool,
}

/// One step over weights in place, without the options of [`step`] that the cell cannot have.
#[inline(always)]
pub(super) fn one_step_in_place<S: Simd, E: Equations, W: Source<S>>(
    s: S,
    params: &Params,
    w: Stages<W>,
    peepholes: &[f32],
    pass: &mut StepPass<'_>,
) -> Checked {
    // With a projection there are two calls, so they are not inlined.
    if const { E::PEEPHOLES } {
        let steps = const { &Steps::<S, W>::by_rows::<E, HAS_VECTORS>() };
        return one_step(s, steps, params, w, peepholes, pass);
    }
    let StepPass { sizes, batch, x, ref mut h, ref mut c, ref mut h_next, ref mut stage } = *pass;
    let (dims, walk) = (sizes.dims, &Walk::step(batch));
    let two_stages = const { E::SECOND.is_some() };
    let stage = Stage::new(stage, const { &E::LAYOUT }, two_stages, sizes, batch);
    let tape = if two_stages { Tape::Step(stage.planes) } else { Tape::None };
    let ld = E::LAYOUT.sums * dims.hidden;
    let (x, seen, h_next) = (Input::Raw(x), &**h, &mut **h_next);
    let io = Step {
        walk,
        dims,
        x,
        seen,
        h: seen,
        h_next,
        c,
        y: None,
        tape,
        ld,
        peepholes,
        factors: None,
        team: None,
    };
    row::step::<S, E, W, HAS_VECTORS>(s, E::new(params), w, 0, io, stage.sums)?;
    copy(h_next, h);
    Ok(())
}

impl<S: Simd, W: Source<S>> Steps<S, W> {
    /// Steps row by row, with the equations in registers.
    #[inline(always)]
    pub(super) const fn by_rows<E: Equations, const SAVE: bool>() -> Self {
        Steps {
            layout: E::LAYOUT,
            second: E::SECOND,
            projects: E::PEEPHOLES,
            step: row::step_apart::<S, E, W, SAVE>,
            single: None,
            ahead: false,
        }
    }
}

/// Whether there is separate code for a small single row on instruction sets with vectors.
pub(super) const fn has_row<E: Equations>() -> bool {
    E::SEVERAL && E::SECOND.is_none()
}

/// Runs several steps in one function, because one call for each step takes as long
/// as a quarter of a small step.
pub(super) fn row_steps<S: Simd, E: Equations, W: Source<S>>(
    s: S,
    params: &Params,
    w: W,
    io: SingleRow<'_, '_>,
) -> Checked {
    w.call(s, RowSteps { s, e: E::new(params), w, io })
}

struct RowSteps<'a, 'y, S, E, W> {
    s: S,
    e: E,
    w: W,
    io: SingleRow<'a, 'y>,
}

impl<S: Simd, E: Equations, W: Source<S>> Region for RowSteps<'_, '_, S, E, W> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let RowSteps { s, e, w, io } = self;
        single::steps(s, e, w, io)
    }
}

/// Arguments of a step of a pass.
pub(super) struct Io<'a> {
    pub(super) walk: &'a Walk<'a>,
    pub(super) x: Input<'a>,
    /// `[B, width]`
    pub(super) h: &'a [f32],
    /// `[B, width]`
    pub(super) h_next: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(super) c: &'a mut [f32],
    /// `[rows, width]`, unless only the state is needed.
    pub(super) y: Option<ColumnsMut<'a>>,
    /// `[rows, ld]`, for training.
    pub(super) tape: Option<ColumnsMut<'a>>,
    pub(super) ld: usize,
    pub(super) peepholes: &'a [f32],
    /// `[B, width]`: dropout factors of the hidden state.
    pub(super) factors: Option<&'a [f32]>,
    pub(super) team: Option<Team<'a>>,
}

/// Runs step `t` of a batch.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) fn step<S: Simd, W: Projection<S>>(
    s: S,
    steps: &Steps<S, W>,
    params: &Params,
    w: Stages<W>,
    sizes: &Sizes,
    t: usize,
    io: Io<'_>,
    stage: &mut [f32],
) -> Checked {
    let Io { walk, x, h, h_next, c, mut y, tape, ld, peepholes, factors, team } = io;
    let dims = sizes.dims;
    let stage = Stage::new(stage, &steps.layout, steps.second.is_some(), sizes, walk.batch());
    let seen = dropped(h, factors, stage.seen);
    let (tape, ld) = match tape {
        Some(tape) => (Tape::Sequence(tape), ld),
        None if steps.second.is_some() => (Tape::Step(stage.planes), steps.layout.sums * dims.hidden),
        None => (Tape::None, ld),
    };
    if !steps.projects || !sizes.projects {
        let io = Step { walk, dims, x, seen, h, h_next, c, y, tape, ld, peepholes, factors, team };
        return (steps.step)(s, params, w, t, io, stage.sums);
    }
    let (output, factors) = (&mut *stage.output, None);
    let io = Step { walk, dims, x, seen, h, h_next: output, c, y: None, tape, ld, peepholes, factors, team };
    (steps.step)(s, params, w, t, io, &mut *stage.sums)?;
    let left = Left {
        of: Matrix::new(stage.output, dims.hidden),
        rows: Rows::batch(walk, t),
        count: 1,
        len: dims.hidden,
        at: [0; 4],
    };
    w[1].project(s, &PROJECTION, left, projection(dims), h_next, stage.sums)?;
    copy_rows(walk, t, h_next, dims.width, y.as_mut());
    Ok(())
}

/// The hidden state that the weights multiply: with dropout, the state times its factors.
#[inline(always)]
fn dropped<'a>(h: &'a [f32], factors: Option<&[f32]>, room: &'a mut [f32]) -> &'a [f32] {
    let Some(factors) = factors else { return h };
    for ((to, h), factor) in room.iter_mut().zip(h).zip(factors) {
        *to = h * factor;
    }
    room
}

/// Makes the next hidden state the present one.
#[inline(always)]
fn copy(next: &[f32], h: &mut [f32]) {
    h.iter_mut().zip(next).for_each(|(h, next)| *h = *next);
}

/// Copies the states of the rows that take part in step `t` to the output.
fn copy_rows(walk: &Walk<'_>, t: usize, h: &[f32], width: usize, y: Option<&mut ColumnsMut<'_>>) {
    let Some(y) = y else { return };
    for b in Rows::batch(walk, t).iter() {
        let h = h.get(b * width..).unwrap_or_default();
        y.row(walk.row(t, b)).iter_mut().zip(h).for_each(|(y, h)| *y = *h);
    }
}

/// One step of a batch of rows that all take part. All lengths have been checked.
///
/// It is a separate pass, so that a program that streams one sample after the other links no code for longer
/// sequences.
pub(crate) struct StepPass<'a> {
    pub(crate) sizes: &'a Sizes,
    pub(crate) batch: usize,
    /// `[B, I]`
    pub(crate) x: &'a [f32],
    /// `[B, R]`: the state before the step on entry, the state after it on return.
    pub(crate) h: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[B, R]`
    pub(crate) h_next: &'a mut [f32],
    /// Scratch of a step, `stage_len` elements.
    pub(crate) stage: &'a mut [f32],
}

impl StepPass<'_> {
    /// A step of a single row.
    #[inline(always)]
    pub(super) fn row<'a>(&'a mut self, walk: &'a Walk<'a>) -> SingleRow<'a, 'a> {
        let StepPass { sizes, x, h, c, h_next, stage: room, .. } = self;
        let (dims, x, y, ahead) = (sizes.dims, Input::Raw(x), None, None);
        SingleRow { walk, first: 0, count: 1, dims, x, h, h_next, c, y, ahead, room }
    }

    /// The buffers of a step with options, and its sizes and scratch.
    #[inline(always)]
    fn parts<'a>(
        &'a mut self,
        walk: &'a Walk<'a>,
        peepholes: &'a [f32],
    ) -> (Io<'a>, &'a Sizes, &'a mut [f32]) {
        let StepPass { sizes, x, h, c, h_next, stage, .. } = self;
        let (x, y, tape, factors, team) = (Input::Raw(x), None, None, None, None);
        let io = Io { walk, x, h, h_next, c, y, tape, ld: 0, peepholes, factors, team };
        (io, sizes, stage)
    }
}

#[inline(always)]
pub(super) fn one_step<S: Simd, W: Projection<S>>(
    s: S,
    steps: &Steps<S, W>,
    params: &Params,
    w: Stages<W>,
    peepholes: &[f32],
    pass: &mut StepPass<'_>,
) -> Checked {
    let walk = Walk::step(pass.batch);
    let (io, sizes, stage) = pass.parts(&walk, peepholes);
    step(s, steps, params, w, sizes, 0, io, stage)?;
    copy(pass.h_next, pass.h);
    Ok(())
}
