//! The forward time loop, for inference and for training.

use super::{block_steps, state_rows};
use crate::cell::{Pass, Stages, Steps};
use crate::kernel::pack::{Canonical, InPlace, Source};
use crate::kernel::recur::{ForwardStep, Input, Tape, project, tape_planes};
use crate::kernel::view::ColumnsMut;
use crate::kernel::{Layout, Masked, Walk};
use crate::simd::{HAS_VECTORS, Isa, Op, Simd, dispatch, dispatch_single};

/// Where the weights are.
#[derive(Clone, Copy)]
pub(crate) enum Weights<'a> {
    Packed(&'a [f32]),
    InPlace(Canonical<'a>),
}

/// A forward pass. All lengths have been checked.
pub(crate) struct ForwardPass<'a> {
    pub(crate) isa: Isa,
    pub(crate) weights: Weights<'a>,
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, H]`, unless only the state is wanted.
    pub(crate) y: Option<ColumnsMut<'a>>,
    /// `[B, H]`: the initial state, then the last.
    pub(crate) h: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[rows, TAPE * H]`, for training.
    pub(crate) tape: Option<&'a mut [f32]>,
    /// `[B, H]`
    pub(crate) h_next: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
    /// `[block_steps * B, G * H]`, or empty: nothing is projected ahead (with a tape, that is where it goes).
    pub(crate) block: &'a mut [f32],
}

impl Pass for ForwardPass<'_> {
    type Output = ();
    fn run<K: Steps>(self, cell: K) {
        let train = self.tape.is_some();
        match (self.weights, train) {
            (Weights::Packed(_), false) => dispatch(self.isa, Packed::<_, false>(cell, self)),
            (Weights::Packed(_), true) => dispatch(self.isa, Packed::<_, true>(cell, self)),
            (Weights::InPlace(w), false) => dispatch_single(self.isa, Single::<_, false>(cell, w, self)),
            // Where there are vectors, training packs.
            (Weights::InPlace(_), true) if HAS_VECTORS => {}
            (Weights::InPlace(w), true) => dispatch_single(self.isa, Single::<_, true>(cell, w, self)),
        }
    }
}

struct Packed<'a, K, const TRAIN: bool>(K, ForwardPass<'a>);

impl<K: Steps, const TRAIN: bool> Op for Packed<'_, K, TRAIN> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Packed(cell, pass) = self;
        let Weights::Packed(data) = pass.weights else { return };
        let panels = K::panels(S::LANES, pass.input, pass.hidden, data);
        debug_assert!(panels.is_some());
        if let Some(w) = panels {
            time_loop::<S, K, _, TRAIN>(s, cell, w, pass);
        }
    }
}

struct Single<'a, K, const TRAIN: bool>(K, Canonical<'a>, ForwardPass<'a>);

impl<K: Steps, const TRAIN: bool> Op for Single<'_, K, TRAIN> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Single(cell, w, pass) = self;
        time_loop::<S, K, _, TRAIN>(s, cell, [InPlace(w); 2], pass);
    }
}

#[inline(always)]
fn time_loop<S: Simd, K: Steps, W: Source<S>, const TRAIN: bool>(
    s: S,
    cell: K,
    w: Stages<W>,
    pass: ForwardPass<'_>,
) {
    let ForwardPass { walk, input, hidden, x, mut y, h, c, tape, h_next, stage, block, .. } = pass;
    let tape = tape.unwrap_or_default();
    if hidden == 0 {
        return;
    }
    let ahead = if TRAIN || !block.is_empty() { block_steps(walk.steps(), walk.batch()) } else { 1 };
    let (mut now, mut next) = (&mut *h, &mut *h_next);
    let mut t = 0;
    while t < walk.steps() {
        let (first, count) = (t, ahead.min(walk.steps() - t));
        if ahead > 1 {
            let (out, ld) = match TRAIN {
                true => (&mut *tape, tape_planes::<K::First>() * hidden),
                false => (&mut *block, K::First::XG * hidden),
            };
            let to = (ld, TRAIN);
            project::<S, K::First, W>(s, w[0], walk, (input, hidden), (first, count), x, out, to);
        }
        for t in first..first + count {
            if walk.has_resets() {
                reset(walk, t, now, c);
            }
            let x = match ahead {
                0 | 1 => Input::Raw(x),
                _ if TRAIN => Input::Tape,
                _ => Input::Block { data: &*block, first },
            };
            let io = ForwardStep {
                walk,
                input,
                hidden,
                x,
                h: &*now,
                h_next: &mut *next,
                c: &mut *c,
                y: y.as_mut().map(ColumnsMut::reborrow),
                tape: if TRAIN { Tape::Sequence(&mut *tape) } else { Tape::None },
            };
            cell.forward_step::<S, W, TRAIN>(s, w, t, io, stage);
            if let Some(masked) = walk.masked() {
                carry(walk, t, masked, now, next, y.as_mut());
            }
            core::mem::swap(&mut now, &mut next);
        }
        t += count;
    }
    finish(walk, h, h_next, y);
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
fn finish(walk: &Walk<'_>, h: &mut [f32], scratch: &[f32], y: Option<ColumnsMut<'_>>) {
    for (b, h) in state_rows(h, walk.batch()) {
        if !walk.len(b).is_multiple_of(2) {
            h.copy_from_slice(&scratch[b * h.len()..][..h.len()]);
        }
    }
    if let Some(mut y) = y {
        walk.padding().for_each(|row| y.row(row).fill(0.0));
    }
}
