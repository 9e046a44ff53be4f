//! The forward time loop, for inference and for training.

use super::block_steps;
use crate::cell::{Pass, Stages, Steps};
use crate::kernel::Walk;
use crate::kernel::pack::{Canonical, InPlace, Source};
use crate::kernel::recur::{ForwardStep, Input, Tape, project};
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
    pub(crate) walk: Walk,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, H]`, or empty if only the state is wanted.
    pub(crate) y: &'a mut [f32],
    /// `[B, H]`: the initial state, then the last.
    pub(crate) h: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[rows, TAPE * H]`, or empty for inference.
    pub(crate) tape: &'a mut [f32],
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
        let train = !self.tape.is_empty();
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
    let ForwardPass { walk, input, hidden, x, y, h, c, tape, h_next, stage, block, .. } = pass;
    let ahead = if TRAIN || !block.is_empty() { block_steps(walk.steps, walk.batch) } else { 1 };
    let (mut now, mut next) = (h, h_next);
    let mut t = 0;
    while t < walk.steps {
        let (first, count) = (t, ahead.min(walk.steps - t));
        if ahead > 1 {
            let out = if TRAIN { &mut *tape } else { &mut *block };
            project::<S, K::First, W>(s, w[0], walk, (input, hidden), (first, count), x, out, TRAIN);
        }
        for t in first..first + count {
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
                y: &mut *y,
                tape: if TRAIN { Tape::Sequence(&mut *tape) } else { Tape::None },
            };
            cell.forward_step::<S, W, TRAIN>(s, w, t, io, stage);
            core::mem::swap(&mut now, &mut next);
        }
        t += count;
    }
    if !walk.steps.is_multiple_of(2) {
        // The last state is in scratch.
        next.copy_from_slice(now);
    }
}
