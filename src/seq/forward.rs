//! The forward time loop, for inference and for training.

use super::sizes::{Sizes, tape_row};
use super::step::{Io, Row, Steps, step};
use super::{block_steps, state_rows};
use crate::kernel::narrow::in_place::NarrowInPlace;
use crate::kernel::narrow::panels::NarrowPanels;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::Matrices;
use crate::kernel::panel::pack::Panels;
use crate::kernel::panel::source::{InPlace, Projection};
use crate::kernel::step::ahead::{AHEAD, Ahead, has_room, pays};
use crate::kernel::step::project::{Projected, project};
use crate::kernel::step::row::Stages;
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
    type Panels: Matrices<S>;
    /// The panels, on instruction sets with vectors.
    fn panels(&self) -> Option<Self::Panels>;
}

impl<S: Simd> Projects<S> for Panels<'_> {
    type Panels = Self;
    #[inline(always)]
    fn panels(&self) -> Option<Self> {
        if const { has_vectors::<S>() } { Some(*self) } else { None }
    }
}

impl<S: Simd> Projects<S> for NarrowPanels<'_> {
    type Panels = Self;
    #[inline(always)]
    fn panels(&self) -> Option<Self> {
        Some(*self)
    }
}

impl<'a, S: Simd> Projects<S> for InPlace<'a> {
    type Panels = Panels<'a>;
    #[inline(always)]
    fn panels(&self) -> Option<Panels<'a>> {
        None
    }
}

impl<'a, S: Simd, const INT: bool> Projects<S> for NarrowInPlace<'a, INT> {
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
    s.call(TimeLoop { s, steps, params, w, peepholes, pass })
}

/// A separate function that all cells share.
struct TimeLoop<'a, 'b, S, W> {
    s: S,
    steps: &'a Steps<S, W>,
    params: &'a Params,
    w: Stages<W>,
    peepholes: &'a [f32],
    pass: &'a mut ForwardPass<'b>,
}

impl<S: Simd, W: Projects<S>> Region for TimeLoop<'_, '_, S, W> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let TimeLoop { s, steps, params, w, peepholes, pass } = self;
        let &mut ForwardPass { walk, ref sizes, x, factors, team, .. } = pass;
        let (sizes, dims, layout) = (sizes, sizes.dims, &steps.layout);
        let ForwardPass { y, h, c, tape, h_next, stage, block, codes, .. } = pass;
        // Without units, the number of steps is not bounded by any buffer.
        if dims.hidden == 0 && dims.width == 0 {
            return Ok(());
        }
        let train = tape.is_some();
        let ld = tape_row(layout, sizes);
        let projected = layout.x_gates.saturating_mul(dims.hidden);
        // Layer normalisation has to see the input part before it is added to anything.
        let panels = if sizes.normalised > 0 { None } else { w[0].panels() };
        // Number of steps whose input part is computed at once.
        let at_once = match panels {
            Some(_) if train || !block.is_empty() => block_steps(walk.steps(), walk.batch()),
            _ => 1,
        };
        let single = !train && team.is_none() && factors.is_none() && walk.batch() == 1 && walk.is_dense();
        let row = match steps.single {
            Some(row) if single && at_once > 1 && !walk.has_resets() && !sizes.projects => Some(row),
            _ => None,
        };
        // Two short blocks are used in turn: while the steps of one run, the other one is filled.
        let len = AHEAD.saturating_mul(projected);
        let beside = row.is_some()
            && steps.ahead
            && const { has_room::<S>(&Layout { sums: 4, ..Layout::hidden_gate(0) }, 1) }
            && layout.sums == 4
            && pays(dims.hidden.div_ceil(S::LANES))
            && walk.steps() > AHEAD
            && block.len() >= len.saturating_mul(2);
        let (at_once, (mut here, mut there)) = match beside {
            true => (AHEAD, {
                let (here, there) = block.split_at_mut(len);
                (here, &mut there[..len])
            }),
            false => (at_once, (&mut **block, &mut [][..])),
        };
        let (mut now, mut next) = (&mut **h, &mut **h_next);
        let mut t = 0;
        while t < walk.steps() {
            let (first, count) = (t, at_once.min(walk.steps() - t));
            if let Some(panels) = &panels
                && at_once > 1
                && !(beside && first > 0)
            {
                let (out, ld) = match tape {
                    Some(tape) => (Projected::Tape(tape.reborrow()), ld),
                    None => (Projected::Block(&mut *here), projected),
                };
                project(s, layout, *panels, walk, dims, (first, count), x, out, ld, codes, team)?;
            }
            let later = match beside {
                true => Ahead::new(layout, S::LANES, walk, dims, first + count, x, &mut *there)?,
                false => None,
            };
            if let Some(row) = row {
                let (h, h_next, c, y) =
                    (&mut *now, &mut *next, &mut **c, y.as_mut().map(ColumnsMut::reborrow));
                let (x, room) = (Input::Block { data: here, first }, &mut **stage);
                let io = Row { walk, sizes, x, first, count, h, h_next, c, y, ahead: later.as_ref(), room };
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
                    let io = Io {
                        walk,
                        x,
                        h: &*now,
                        h_next: &mut *next,
                        c,
                        y: y.as_mut().map(ColumnsMut::reborrow),
                        tape: tape.as_mut().map(ColumnsMut::reborrow),
                        ld,
                        peepholes,
                        factors,
                        team,
                    };
                    step(s, steps, steps.step, params, w, sizes, t, io, stage)?;
                    if let Some(masked) = walk.masked() {
                        carry(walk, t, masked, now, next, y.as_mut());
                    }
                    core::mem::swap(&mut now, &mut next);
                }
            }
            if beside {
                core::mem::swap(&mut here, &mut there);
            }
            t += count;
        }
        if row.is_none() {
            finish(walk, h, h_next, y.as_mut());
        }
        Ok(())
    }
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
    mut y: Option<&mut ColumnsMut<'_>>,
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
fn finish(walk: &Walk<'_>, h: &mut [f32], scratch: &[f32], y: Option<&mut ColumnsMut<'_>>) {
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
    if let Some(y) = y {
        walk.padding().for_each(|row| y.row(row).fill(0.0));
    }
}
