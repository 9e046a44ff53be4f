//! The forward time loop, for inference and for training.

use super::{block_steps, state_rows};
use crate::cell::{Pass, Stages, Steps};
use crate::kernel::pack::{Canonical, Dims, Source};
use crate::kernel::recur::{
    AHEAD, Ahead, Extra, ForwardStep, Input, RowStep, Tape, has_room, is_one_tile, project,
};
use crate::kernel::tile::has_vectors;
use crate::kernel::view::ColumnsMut;
use crate::kernel::{Layout, Masked, Walk};
use crate::simd::{Isa, Op, Simd, dispatch, dispatch_single, dispatch_without_vectors};

/// A forward pass. All lengths have been checked.
pub(crate) struct ForwardPass<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    /// Factors of the hidden state, an option of the cell.
    pub(crate) factors: Option<&'a [f32]>,
    /// Length of the peepholes, which stand behind packed weights.
    pub(crate) peepholes: usize,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, R]`, unless only the state is wanted.
    pub(crate) y: Option<ColumnsMut<'a>>,
    /// `[B, R]`: the initial state, then the last.
    pub(crate) h: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[rows, row of the tape]`, for training.
    pub(crate) tape: Option<&'a mut [f32]>,
    /// `[B, R]`
    pub(crate) h_next: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
    /// `[block_steps * B, G * H]`, or empty: nothing is projected ahead (with a tape, that is where it goes).
    pub(crate) block: &'a mut [f32],
}

/// One step of a batch of rows that all take part. All lengths have been checked.
///
/// It is a pass of its own so that what streams one sample after the other links nothing of what longer sequences may ask for.
pub(crate) struct StepPass<'a> {
    pub(crate) batch: usize,
    /// `[B, I]`
    pub(crate) x: &'a [f32],
    /// `[B, R]`: the state before the step, then the one after it.
    pub(crate) h: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[B, R]`
    pub(crate) h_next: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
}

/// A pass over weights in panels. Both are handed on by reference, in registers: the pass is large, and a copy of what was just written
/// waits for it, which costs as much as a small step does.
///
/// `TRAIN` says whether there may be a tape. Where there are vectors there always may, but for steps of one row, which saves half of the
/// kernels; elsewhere an image without training has no code for it.
pub(crate) struct Panelled<'p, 'a, const TRAIN: bool>(
    pub(crate) &'p &'p [f32],
    pub(crate) &'p mut ForwardPass<'a>,
);

/// Weights in panels, and what it takes to find them.
pub(crate) struct InPanels<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) dims: Dims,
    /// Length of the peepholes, which stand behind the panels.
    pub(crate) peepholes: usize,
}

/// One step over weights in panels. `TRAIN` is that of [`Panelled`], whose kernels it shares, but for a single row.
pub(crate) struct PanelledStep<'p, 'a, const TRAIN: bool>(
    pub(crate) &'p InPanels<'a>,
    pub(crate) &'p mut StepPass<'a>,
);

/// The same over canonical weights. Where there are vectors, training packs.
pub(crate) struct InPlace<'p, 'a, P, const TRAIN: bool>(pub(crate) &'p Canonical<'a>, pub(crate) P);

/// A pass with the cell's equations.
struct With<K, P>(K, P);

impl<const TRAIN: bool> Pass for Panelled<'_, '_, TRAIN> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        match TRAIN {
            true => dispatch(isa, With(cell, Panelled::<true>(self.0, self.1))),
            false => dispatch_without_vectors::<_, false>(isa, With(cell, Panelled::<false>(self.0, self.1))),
        }
    }
}

impl<const TRAIN: bool> Pass for PanelledStep<'_, '_, TRAIN> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        match TRAIN {
            true => dispatch(isa, With(cell, PanelledStep::<true>(self.0, self.1))),
            false => {
                dispatch_without_vectors::<_, false>(isa, With(cell, PanelledStep::<false>(self.0, self.1)))
            }
        }
    }
}

impl Pass for InPlace<'_, '_, &mut ForwardPass<'_>, false> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        dispatch_single(isa, With(cell, self));
    }
}

impl Pass for InPlace<'_, '_, &mut ForwardPass<'_>, true> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        dispatch_without_vectors::<_, true>(isa, With(cell, self));
    }
}

impl Pass for InPlace<'_, '_, &mut StepPass<'_>, false> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        dispatch_single(isa, With(cell, self));
    }
}

impl<K: Steps, const TRAIN: bool> Op for With<K, Panelled<'_, '_, TRAIN>> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let With(cell, Panelled(data, pass)) = self;
        let panels = cell.panels(S::LANES, pass.dims, data);
        debug_assert!(panels.is_some());
        if let Some((w, rest)) = panels {
            let peepholes = rest.get(..pass.peepholes).unwrap_or_default();
            let extra = Extra { peepholes, factors: pass.factors };
            time_loop::<S, K, _, TRAIN>(s, cell, w, extra, pass);
        }
    }
}

impl<K: Steps, const TRAIN: bool> Op for With<K, InPlace<'_, '_, &mut ForwardPass<'_>, TRAIN>> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let With(cell, InPlace(w, pass)) = self;
        let extra = Extra { peepholes: w.parts().peepholes, factors: pass.factors };
        time_loop::<S, K, _, TRAIN>(s, cell, K::in_place(*w), extra, pass);
    }
}

impl<K: Steps, const TRAIN: bool> Op for With<K, PanelledStep<'_, '_, TRAIN>> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let With(cell, PanelledStep(&InPanels { data, dims, peepholes }, pass)) = self;
        let panels = cell.panels(S::LANES, dims, data);
        debug_assert!(panels.is_some());
        if let Some((w, rest)) = panels {
            let extra = Extra { peepholes: rest.get(..peepholes).unwrap_or_default(), factors: None };
            one_step::<S, K, _, TRAIN>(s, cell, w, dims, extra, pass);
        }
    }
}

impl<K: Steps> Op for With<K, InPlace<'_, '_, &mut StepPass<'_>, false>> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let With(cell, InPlace(w, pass)) = self;
        let extra = Extra { peepholes: w.parts().peepholes, factors: None };
        one_step::<S, K, _, false>(s, cell, K::in_place(*w), w.shape().dims(), extra, pass);
    }
}

#[inline(always)]
fn one_step<S: Simd, K: Steps, W: Source<S>, const TRAIN: bool>(
    s: S,
    cell: K,
    w: Stages<W>,
    dims: Dims,
    extra: Extra<'_>,
    pass: &mut StepPass<'_>,
) {
    let &mut StepPass { batch, x, .. } = pass;
    let StepPass { h, c, h_next, stage, .. } = pass;
    let (x, y) = (Input::Raw(x), None);
    // The portable set gains nothing, and on a microcontroller it would be one more copy.
    if const { has_vectors::<S>() && K::SINGLE_ROW } && batch == 1 {
        let walk = &Walk::step(1);
        let io = RowStep { walk, dims, x, h, h_next, c, y, ahead: None };
        return cell.row_step::<S, W, false>(s, w, 0, io);
    }
    let (walk, tape) = (&Walk::step(batch), Tape::None);
    let io = ForwardStep { walk, dims, extra, x, h, h_next, c, y, tape, ahead: None };
    cell.forward_step::<S, W, TRAIN>(s, w, 0, io, stage);
    h.iter_mut().zip(&**h_next).for_each(|(h, next)| *h = *next);
}

#[inline(always)]
fn time_loop<S: Simd, K: Steps, W: Source<S>, const TRAIN: bool>(
    s: S,
    cell: K,
    w: Stages<W>,
    extra: Extra<'_>,
    pass: &mut ForwardPass<'_>,
) {
    let &mut ForwardPass { walk, dims, x, .. } = pass;
    let ForwardPass { y, h, c, tape, h_next, stage, block, .. } = pass;
    let train = TRAIN && tape.is_some();
    let tape = tape.as_deref_mut().unwrap_or_default();
    if dims.hidden == 0 && dims.width == 0 {
        return;
    }
    // Steps whose input part is computed at once.
    let at_once = if train || !block.is_empty() { block_steps(walk.steps(), walk.batch()) } else { 1 };
    let single =
        const { has_vectors::<S>() && K::SINGLE_ROW } && !train && walk.batch() == 1 && walk.is_dense();
    // Two short blocks in turns: while the steps of one are taken, the other one is filled.
    let len = (AHEAD * K::Sums::XG).saturating_mul(dims.hidden);
    let beside = single
        && const { has_room::<S, K::Sums>(1) }
        && walk.steps() > AHEAD
        && block.len() >= len.saturating_mul(2);
    let (at_once, (mut here, mut there)) = match beside {
        true => (AHEAD, {
            let (here, there) = block.split_at_mut(len);
            (here, &mut there[..len])
        }),
        false => (at_once, (&mut **block, &mut [][..])),
    };
    let in_place = single && at_once > 1 && is_one_tile::<S, K::Sums>(s, dims.hidden, beside);
    let (mut now, mut next) = (&mut **h, &mut **h_next);
    let mut t = 0;
    while t < walk.steps() {
        let (first, count) = (t, at_once.min(walk.steps() - t));
        if at_once > 1 && !(beside && first > 0) {
            let (out, ld) = match train {
                true => (&mut *tape, cell.tape_row(dims)),
                false => (&mut *here, K::Sums::XG * dims.hidden),
            };
            let to = (ld, train);
            project::<S, K::Sums, W>(s, w[0], walk, dims, (first, count), x, out, to);
        }
        let later = match beside {
            true => Ahead::new::<S, K::Sums>(s, walk, dims, first + count, x, &mut *there),
            false => None,
        };
        for t in first..first + count {
            if let Some(later) = &later {
                later.allow(t - first);
            }
            if walk.has_resets() {
                reset(walk, t, now, c);
            }
            if in_place {
                let (x, h, h_next, c) = (Input::Block { data: here, first }, &mut *now, &mut *next, &mut **c);
                let (y, ahead) = (y.as_mut().map(ColumnsMut::reborrow), later.as_ref());
                cell.row_step::<S, W, true>(s, w, t, RowStep { walk, dims, x, h, h_next, c, y, ahead });
                continue;
            }
            let x = match at_once {
                0 | 1 => Input::Raw(x),
                _ if train => Input::Tape,
                _ => Input::Block { data: here, first },
            };
            let io = ForwardStep {
                walk,
                dims,
                extra,
                x,
                h: &*now,
                h_next: &mut *next,
                c,
                y: y.as_mut().map(ColumnsMut::reborrow),
                tape: if train { Tape::Sequence(&mut *tape) } else { Tape::None },
                ahead: later.as_ref(),
            };
            cell.forward_step::<S, W, TRAIN>(s, w, t, io, stage);
            if let Some(masked) = walk.masked() {
                carry(walk, t, masked, now, next, y.as_mut());
            }
            core::mem::swap(&mut now, &mut next);
        }
        if beside {
            core::mem::swap(&mut here, &mut there);
        }
        t += count;
    }
    if !in_place {
        finish(walk, h, h_next, y.as_mut());
    }
}

/// Sets the states to zero that step `t` starts anew.
#[cold]
fn reset(walk: &Walk<'_>, t: usize, h: &mut [f32], c: &mut [f32]) {
    for state in [h, c] {
        state_rows(state, walk.batch())
            .filter(|(b, _)| walk.resets(t, *b))
            .for_each(|(_, row)| row.fill(0.0));
    }
}

/// The hidden states and outputs of the rows whose step `t` is masked.
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

/// Brings the last states of rows with an odd number of steps home from scratch, and clears the outputs of padding.
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
