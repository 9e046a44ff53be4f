//! The forward time loop, for inference and for training.

use super::sizes::{Sizes, tape_row};
use super::step::{Io, Steps, step};
use super::{block_steps, state_rows};
use crate::kernel::narrow::in_place::NarrowInPlace;
use crate::kernel::narrow::panels::NarrowPanels;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::Matrices;
use crate::kernel::panel::pack::Panels;
use crate::kernel::panel::source::{InPlace, Projection};
use crate::kernel::step::ahead::{AHEAD, Pieces, has_room, pays};
use crate::kernel::step::project::{Projected, project};
use crate::kernel::step::row::Stages;
use crate::kernel::step::single::SingleRow;
use crate::kernel::step::{Input, Params};
use crate::kernel::team::Team;
use crate::kernel::vector::has_vectors;
use crate::kernel::view::ColumnsMut;
use crate::kernel::{Checked, Masked, Walk};
use crate::simd::{Region, Simd};

/// A forward pass. All lengths have been checked.
pub(crate) struct ForwardPass<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) sizes: Sizes,
    /// Dropout factors of the hidden state, an option of the layer.
    pub(crate) factors: Option<&'a [f32]>,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, R]`, unless only the state is needed.
    pub(crate) y: Option<ColumnsMut<'a>>,
    /// `[B, R]`: the initial state on entry, the last state on return.
    pub(crate) h: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[rows, row of the tape]`, for training.
    pub(crate) tape: Option<ColumnsMut<'a>>,
    /// `[B, R]`
    pub(crate) h_next: &'a mut [f32],
    /// Scratch of a step, `stage_len` elements.
    pub(crate) stage: &'a mut [f32],
    /// `[block_steps * B, G * H]`, or empty to project nothing ahead. With a tape the projections go to the
    /// tape.
    pub(crate) block: &'a mut [f32],
    /// Room for inputs that are converted to integers before they are projected.
    pub(crate) codes: &'a mut [f32],
    /// The threads that share the units of each step.
    pub(crate) team: Option<Team<'a>>,
}

/// Weights that the input part of several steps can be computed from at once.
pub(super) trait Projects<S: Simd>: Projection<S> {
    /// Whether there are panels, on this instruction set.
    const PANELS: bool;
    type Panels: Matrices<S>;
    /// The panels, if there are any.
    fn panels(&self) -> Option<Self::Panels>;
}

impl<S: Simd> Projects<S> for Panels<'_> {
    const PANELS: bool = has_vectors::<S>();
    type Panels = Self;
    #[inline(always)]
    fn panels(&self) -> Option<Self> {
        Some(*self)
    }
}

impl<S: Simd> Projects<S> for NarrowPanels<'_> {
    const PANELS: bool = true;
    type Panels = Self;
    #[inline(always)]
    fn panels(&self) -> Option<Self> {
        Some(*self)
    }
}

impl<'a, S: Simd> Projects<S> for InPlace<'a> {
    const PANELS: bool = false;
    type Panels = Panels<'a>;
    #[inline(always)]
    fn panels(&self) -> Option<Panels<'a>> {
        None
    }
}

impl<'a, S: Simd, const INT: bool> Projects<S> for NarrowInPlace<'a, INT> {
    const PANELS: bool = false;
    type Panels = NarrowPanels<'a>;
    #[inline(always)]
    fn panels(&self) -> Option<NarrowPanels<'a>> {
        None
    }
}

/// Runs all steps of a batch of sequences.
#[inline(always)]
pub(super) fn time_loop<S: Simd, W: Projects<S>>(
    s: S,
    steps: &Steps<S, W>,
    params: &Params,
    w: Stages<W>,
    peepholes: &[f32],
    pass: &mut ForwardPass<'_>,
) -> Checked {
    // Copying the weights would stall, because they were just written.
    let w = &w;
    s.call(TimeLoop { s, steps, params, w, peepholes, pass })
}

/// A separate function that all cells share.
struct TimeLoop<'a, 'b, S, W> {
    s: S,
    steps: &'a Steps<S, W>,
    params: &'a Params,
    w: &'a Stages<W>,
    peepholes: &'a [f32],
    pass: &'a mut ForwardPass<'b>,
}

impl<S: Simd, W: Projects<S>> Region for TimeLoop<'_, '_, S, W> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let TimeLoop { s, steps, params, w, peepholes, pass } = self;
        let layout = &steps.layout;
        let ahead = steps.ahead && const { has_room::<S>(&Layout { sums: 4, ..Layout::hidden_gate(0) }, 1) };
        let Plan { at_once, ld, by_row, beside } =
            Plan::new(pass, layout, W::PANELS, steps.single.is_some(), ahead, S::LANES);
        let &mut ForwardPass { walk, ref sizes, x, factors, team, .. } = pass;
        let (sizes, dims) = (sizes, sizes.dims);
        let ForwardPass { y, h, c, tape, h_next, stage, block, codes, .. } = pass;
        // Without units, the number of steps is not bounded by any buffer.
        if dims.hidden == 0 && dims.width == 0 {
            return Ok(());
        }
        let train = tape.is_some();
        // While the steps of one block run, the other one is filled.
        let (mut here, mut there) = split(block, beside, layout, dims.hidden);
        let (mut now, mut next) = (&mut **h, &mut **h_next);
        let mut pieces = Pieces::none(layout, S::LANES, dims);
        let mut t = 0;
        while t < walk.steps() {
            let (first, count) = (t, at_once.min(walk.steps() - t));
            if const { W::PANELS }
                && at_once > 1
                && !(beside && first > 0)
                && let Some(panels) = w[0].panels()
            {
                let (out, ld) = match tape {
                    Some(tape) => (Projected::Tape(tape.reborrow()), ld),
                    None => (Projected::Block(&mut *here), layout.x_gates * dims.hidden),
                };
                project(s, layout, panels, walk, dims, (first, count), x, out, ld, codes, team)?;
            }
            if by_row && let Some(row) = steps.single {
                let ahead = match beside {
                    true => pieces.begin(walk, first + count, x, &mut *there)?,
                    false => None,
                };
                let (h, h_next, c, y) = (&mut *now, &mut *next, &mut **c, y.as_mut());
                let (x, room) = (Input::Block { data: here, first }, &mut **stage);
                let io = SingleRow { walk, first, count, dims, x, h, h_next, c, y, ahead, room };
                row(s, params, w[0], io)?;
            } else {
                for t in first..first + count {
                    if walk.has_resets() {
                        reset(walk, t, now, c);
                    }
                    let x = match at_once {
                        0 | 1 => Input::Raw(x),
                        _ if train => Input::Tape,
                        _ => Input::Block { data: here, first },
                    };
                    let (h, h_next, tape) = (&*now, &mut *next, lend(tape));
                    let io = Io { walk, x, h, h_next, c, y: lend(y), tape, ld, peepholes, factors, team };
                    step(s, steps, params, *w, sizes, t, io, stage)?;
                    if let Some(masked) = walk.masked() {
                        carry(walk, t, masked, now, next, lend(y));
                    }
                    core::mem::swap(&mut now, &mut next);
                }
            }
            if beside {
                core::mem::swap(&mut here, &mut there);
            }
            t += count;
        }
        if !by_row {
            finish(walk, h, h_next, lend(y));
        }
        Ok(())
    }
}

/// How a pass goes through its steps.
struct Plan {
    /// The number of steps whose input part is computed at once.
    at_once: usize,
    /// Length of a row of the tape.
    ld: usize,
    /// Whether the steps are those of a single row.
    by_row: bool,
    /// Whether these also compute the input part of later steps. Then two short blocks are used in turn.
    beside: bool,
}

impl Plan {
    /// `single` and `ahead` say whether the cell has steps of a single row, and whether these can compute the
    /// input part of later steps.
    #[inline(always)]
    fn new(
        pass: &ForwardPass<'_>,
        layout: &Layout,
        panels: bool,
        single: bool,
        ahead: bool,
        lanes: usize,
    ) -> Self {
        let (walk, sizes, hidden) = (pass.walk, &pass.sizes, pass.sizes.dims.hidden);
        let train = pass.tape.is_some();
        // Layer normalisation has to see the input part before it is added to anything.
        let projects = panels && sizes.normalised == 0 && (train || !pass.block.is_empty());
        let at_once = if projects { block_steps(walk.steps(), walk.batch()) } else { 1 };
        let plain = !train && pass.team.is_none() && pass.factors.is_none() && !sizes.projects;
        let by_row =
            single && plain && at_once > 1 && walk.batch() == 1 && walk.is_dense() && !walk.has_resets();
        let beside = by_row
            && ahead
            && layout.sums == 4
            && pays(hidden.div_ceil(lanes))
            && walk.steps() > AHEAD
            && pass.block.len() >= ahead_len(layout, hidden).saturating_mul(2);
        let at_once = if beside { AHEAD } else { at_once };
        Plan { at_once, ld: tape_row(layout, sizes), by_row, beside }
    }
}

/// Length of a short block.
#[inline(always)]
const fn ahead_len(layout: &Layout, hidden: usize) -> usize {
    AHEAD.saturating_mul(layout.x_gates.saturating_mul(hidden))
}

/// Two short blocks, or the whole block.
#[inline(always)]
fn split<'a>(
    block: &'a mut [f32],
    beside: bool,
    layout: &Layout,
    hidden: usize,
) -> (&'a mut [f32], &'a mut [f32]) {
    if !beside {
        return (block, &mut []);
    }
    let len = ahead_len(layout, hidden);
    let (here, there) = block.split_at_mut(len);
    (here, &mut there[..len])
}

/// A shorter borrow of a buffer, if there is one.
#[inline(always)]
fn lend<'a>(of: &'a mut Option<ColumnsMut<'_>>) -> Option<ColumnsMut<'a>> {
    of.as_mut().map(ColumnsMut::reborrow)
}

/// Zeroes the states of the rows that are reset before step `t`.
#[cold]
fn reset(walk: &Walk<'_>, t: usize, h: &mut [f32], c: &mut [f32]) {
    for state in [h, c] {
        state_rows(state, walk.batch())
            .filter(|(b, _)| walk.resets(t, *b))
            .for_each(|(_, row)| row.fill(0.0));
    }
}

/// Carries the hidden state of rows whose step `t` is masked, and writes their outputs.
#[cold]
fn carry(
    walk: &Walk<'_>,
    t: usize,
    masked: Masked,
    now: &[f32],
    next: &mut [f32],
    mut y: Option<ColumnsMut<'_>>,
) {
    for (b, next) in state_rows(next, walk.batch()) {
        if t >= walk.len(b) || walk.active(t, b) {
            continue;
        }
        next.copy_from_slice(&now[b * next.len()..][..next.len()]);
        if let Some(y) = &mut y {
            match masked {
                Masked::Carry => y.row(walk.row(t, b)).copy_from_slice(next),
                Masked::Zero => y.row(walk.row(t, b)).fill(0.0),
            }
        }
    }
}

/// Copies the last states of rows with an odd number of steps from scratch to `h`, and clears the outputs of
/// padding.
#[inline(always)]
fn finish(walk: &Walk<'_>, h: &mut [f32], scratch: &[f32], y: Option<ColumnsMut<'_>>) {
    if !walk.is_ragged() {
        if !walk.steps().is_multiple_of(2) {
            h.copy_from_slice(scratch);
        }
        return;
    }
    for (b, h) in state_rows(h, walk.batch()) {
        if !walk.len(b).is_multiple_of(2) {
            h.copy_from_slice(&scratch[b * h.len()..][..h.len()]);
        }
    }
    if let Some(mut y) = y {
        walk.padding().for_each(|row| y.row(row).fill(0.0));
    }
}
