//! The form reset before, in two stages: `W_hn` multiplies `r * h`, which no unit has before all have their reset gate.
//!
//! Stage one makes `r` and `z`, leaves the new gate's input part as it is, and writes `r * h`; stage two
//! goes on with that sum over `W_hn (r * h)`. Between them the values stand in the tape, or in
//! a step's worth of it in scratch when there is no training.

use super::{HiddenGradient, blend, blend_back};
use crate::cell::{Matrices, Stages, Steps};
use crate::kernel::math::{sigmoid, tanh};
use crate::kernel::pack::{self, Canonical, Dims, Panels, Source};
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::recur::{self, BackwardStep, ForwardStep};
use crate::kernel::second::{self, SecondStage};
use crate::kernel::walk::Rows;
use crate::kernel::{Equations, Layout, NONE, Next, Prev};
use crate::simd::Simd;

/// Planes of the tape.
const DR: usize = 0;
const DZ: usize = 1;
const N: usize = 2;
const RH: usize = 3;

#[derive(Clone, Copy)]
pub(super) struct ResetBefore;

impl Layout for ResetBefore {
    const ACC: usize = 4;
    const XG: usize = 3;
    const HG: usize = 2;
    const HMAP: [usize; 4] = [0, 1, 0, 0];
    const HFIRST: usize = 0;
    const BIAS_X: [usize; 4] = [0, 1, 2, NONE];
    const BIAS_H: [usize; 4] = [0, 1, 2, NONE];
    const HAS_C: bool = false;
}

impl Equations for ResetBefore {
    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], h: S::V, c: S::V) -> Next<S::V> {
        let r = sigmoid(s, acc[DR]);
        let z = sigmoid(s, acc[DZ]);
        Next { h, c, saved: [r, z, acc[N], s.mul(r, h)] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [r, z, n, rh]: [S::V; 4],
        h: S::V,
        _c: S::V,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let (dz, dn, dh) = blend_back(s, z, n, h, dh);
        Prev { dh, dc, dacc: [r, dz, dn, rh] }
    }
}

#[derive(Clone, Copy)]
pub(super) struct NewGate;

impl Layout for NewGate {
    const ACC: usize = 0;
    const XG: usize = 0;
    const HG: usize = 1;
    const HMAP: [usize; 4] = [0; 4];
    const HFIRST: usize = 2;
    const BIAS_X: [usize; 4] = [NONE; 4];
    const BIAS_H: [usize; 4] = [NONE; 4];
    const HAS_C: bool = false;
}

impl SecondStage for NewGate {
    const SUM: usize = N;
    const OPERAND: usize = RH;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: S::V, saved: [S::V; 4], h: S::V) -> (S::V, S::V) {
        let n = tanh(s, acc);
        (blend(s, saved[DZ], n, h), n)
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [r, dz, dn, rh]: [S::V; 4],
        h: S::V,
        drh: S::V,
        dh: S::V,
    ) -> (S::V, [S::V; 4]) {
        let dr = s.mul(s.mul(drh, h), s.fnma(r, r, r));
        (s.fma(drh, r, dh), [dr, dz, dn, rh])
    }
}

impl Steps for ResetBefore {
    type Sums = Self;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = &[
        HiddenGradient { gate: 0, count: 2, plane: DR, operand: None },
        HiddenGradient { gate: 2, count: 1, plane: N, operand: Some(RH) },
    ];

    fn pack<'o>(self, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
        let rest = pack::pack::<Self>(lanes, w, out);
        pack::pack::<NewGate>(lanes, w, rest)
    }

    #[inline(always)]
    fn panels(self, lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
        let (one, rest) = Panels::new::<Self>(lanes, dims, data)?;
        let (two, rest) = Panels::new::<NewGate>(lanes, dims, rest)?;
        Some(([one, two], rest))
    }

    #[inline(always)]
    fn forward_step<S: Simd, W: Source<S>, const TRAIN: bool>(
        self,
        s: S,
        [one, two]: Stages<W>,
        t: usize,
        io: ForwardStep<'_>,
        stage: &mut [f32],
    ) {
        let ForwardStep { walk, dims, extra, x, h, h_next, c, y, tape } = io;
        let mut tape = tape.or(stage);
        let first =
            ForwardStep { walk, dims, extra, x, h, h_next: &mut *h_next, c, y: None, tape: tape.reborrow() };
        recur::forward_step::<S, _, W, true>(s, self, one, t, first);
        second::forward_step(s, NewGate, two, t, second::Forward { walk, dims, h, h_next, y, tape });
    }

    #[inline(always)]
    fn backward_step<S: Simd>(
        self,
        s: S,
        w: Matrices<'_>,
        t: usize,
        mut io: BackwardStep<'_>,
        stage: &mut [f32],
    ) {
        recur::backward_step(s, self, t, io.reborrow());
        let BackwardStep { walk, dims, h0, y, dh, tape, .. } = io;
        let (w_hh, hidden) = (w.w_hh, dims.hidden);
        let d_operand = &mut stage[..walk.batch() * hidden];
        let (ld, rows) = (recur::tape_planes::<Self>() * hidden, Rows::step(walk, t));
        let new_gate = Right { first: 2 * hidden, ..w_hh };
        let n = Left { data: &*tape, ld, rows, count: 1, len: hidden, at: [N, 0, 0, 0] };
        product(s, n, new_gate, d_operand, Init::Zero);
        let second = second::Backward { walk, hidden, h0, y, d_operand, dh: &mut *dh, tape: &mut *tape };
        second::backward_step(s, NewGate, t, second);
        let rz = Left { data: tape, ld, rows, count: 2, len: hidden, at: [DR, DZ, 0, 0] };
        product(s, rz, w_hh, dh, Init::Accumulate);
    }
}
