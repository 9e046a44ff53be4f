//! The equations with options, in both forms. What is saved are the sums, and for the form reset before the product of the second
//! stage, `W_hn (r * h)`, in the place of the fourth.

use super::reset_before::{NewGate, ResetBefore};
use super::{GruCell, ResetAfter, blend};
use crate::cell::options::{Optional, Stage, add_output_gradient, operand, output, through_weights};
use crate::cell::{Fused, HiddenGradient, Matrices, Stages, Steps};
use crate::kernel::pack::{Canonical, Dims, Panels, Source};
use crate::kernel::product::{self, Init, Left, Right, product};
use crate::kernel::recur::{
    At, Back, BackwardStep, Before, ForwardStep, PointsBackward, PointsForward, Pointwise, SumsStep,
    points_backward, points_forward, sums_step,
};
use crate::kernel::walk::Rows;
use crate::kernel::{Activation, Slot, Walk};
use crate::simd::Simd;

impl GruCell {
    fn slot(self, f: Activation) -> Slot {
        Slot { f, clip: self.clip }
    }

    /// Gradients of the sums of `z` and `n` and of what goes past both, from that of `h'`; `n` is the new gate's whole argument.
    #[inline(always)]
    fn blend_back<S: Simd>(self, s: S, z: S::V, n: S::V, h: S::V, dh: S::V) -> (S::V, S::V, S::V) {
        let (z, z_slope) = self.slot(self.gates).both(s, z);
        let (n, n_slope) = self.slot(self.new).both(s, n);
        let dz = s.mul(s.mul(dh, s.sub(h, n)), z_slope);
        let dn = s.mul(s.fnma(dh, z, dh), n_slope);
        (dz, dn, s.mul(dh, z))
    }
}

impl Pointwise for GruCell {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let At { sums, h, c, .. } = at;
        let r = self.slot(self.gates).value(s, sums[0]);
        let z = self.slot(self.gates).value(s, sums[1]);
        let n = self.slot(self.new).value(s, s.fma(r, sums[3], sums[2]));
        (blend(s, z, n, h), c)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [r, z, x, q], h, .. } = at;
        let zero = s.splat(0.0);
        let (r, r_slope) = self.slot(self.gates).both(s, r);
        let (dz, dn, dh) = self.blend_back(s, z, s.fma(r, q, x), h, dout);
        let dr = s.mul(s.mul(dn, q), r_slope);
        Back { dsums: [dr, dz, dn, s.mul(dn, r)], dh, dc, dp: [zero; 3], out: zero }
    }
}

impl Optional for GruCell {
    type Sums = ResetAfter;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = <ResetAfter as Fused>::HIDDEN_GRADIENTS;
}

/// The form reset before: the same two stages as without options.
#[derive(Clone, Copy)]
pub(super) struct OptionalResetBefore(pub(super) GruCell);

/// The equations before the second product: the output is `r * h`.
#[derive(Clone, Copy)]
struct First(GruCell);

impl Pointwise for First {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        (s.mul(self.0.slot(self.0.gates).value(s, at.sums[0]), at.h), at.c)
    }

    /// Leaves the sum of `r`, the gradients of `z` and `n`, and `r * h`.
    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [r, z, x, q], h, .. } = at;
        let (dz, dn, dh) = self.0.blend_back(s, z, s.add(x, q), h, dout);
        let rh = s.mul(self.0.slot(self.0.gates).value(s, r), h);
        let zero = s.splat(0.0);
        Back { dsums: [r, dz, dn, rh], dh, dc, dp: [zero; 3], out: zero }
    }
}

/// The equations after it.
#[derive(Clone, Copy)]
struct Second(GruCell);

impl Pointwise for Second {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let At { sums: [_, z, x, q], h, c, .. } = at;
        let n = self.0.slot(self.0.new).value(s, s.add(x, q));
        (blend(s, self.0.slot(self.0.gates).value(s, z), n, h), c)
    }

    /// From the gradient of `r * h`.
    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [r, dz, dn, rh], h, .. } = at;
        let (r, slope) = self.0.slot(self.0.gates).both(s, r);
        let (dr, zero) = (s.mul(s.mul(dout, h), slope), s.splat(0.0));
        Back { dsums: [dr, dz, dn, rh], dh: s.mul(dout, r), dc, dp: [zero; 3], out: zero }
    }
}

impl Steps for OptionalResetBefore {
    type Sums = ResetBefore;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = <ResetBefore as Steps>::HIDDEN_GRADIENTS;

    fn pack<'o>(self, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
        ResetBefore.pack(lanes, w, out)
    }

    #[inline(always)]
    fn panels(self, lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
        ResetBefore.panels(lanes, dims, data)
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
        let (ld, hidden, parameters) = (self.tape_row(dims), dims.hidden, &[][..]);
        let Stage { planes, first: rh, second: q, operand: room } = Stage::new(stage, walk.batch(), ld, dims);
        let mut tape = tape.or(planes);
        let h_seen = operand(h, extra.factors, room);
        let sums = SumsStep { walk, dims, x, h: h_seen, tape: tape.reborrow(), ld };
        sums_step::<S, ResetBefore, W>(s, one, t, sums);
        let out = &mut *rh;
        let points = PointsForward { walk, hidden, tape: tape.reborrow(), ld, h, c, parameters, out };
        points_forward(s, First(self.0), t, points);
        scale(rh, extra.factors);
        let rows = Rows::batch(walk, t);
        let left = Left { data: rh, ld: hidden, rows, count: 1, len: hidden, at: [0; 4] };
        product::project::<S, NewGate, W>(s, left, two, dims, q);
        let (planes, _, by_walk) = tape.reborrow().parts(walk);
        for b in rows.iter() {
            let row = if by_walk { walk.row(t, b) } else { b };
            planes[row * ld + 3 * hidden..][..hidden].copy_from_slice(&q[b * hidden..][..hidden]);
        }
        let out = &mut *h_next;
        points_forward(
            s,
            Second(self.0),
            t,
            PointsForward { walk, hidden, tape, ld, h, c: &mut [], parameters, out },
        );
        output(walk, t, h_next, hidden, y);
    }

    #[inline(always)]
    fn backward_step<S: Simd>(
        self,
        s: S,
        w: Matrices<'_>,
        t: usize,
        io: BackwardStep<'_>,
        stage: &mut [f32],
    ) {
        let BackwardStep { walk, dims, extra, h0, y, dy, dh, tape, .. } = io;
        let (ld, hidden) = (self.tape_row(dims), dims.hidden);
        let Stage { first: d_rh, operand: room, .. } = Stage::new(stage, walk.batch(), ld, dims);
        add_output_gradient(walk, t, dy, dh, hidden);
        let before = Before::new(walk, h0, y, hidden);
        points_backward(s, First(self.0), t, points(walk, (ld, hidden), before, tape, dh));
        let rows = Rows::step(walk, t);
        if let Some(factors) = extra.factors {
            for b in rows.iter() {
                let rh = &mut tape[walk.row(t, b) * ld + 3 * hidden..][..hidden];
                scale(rh, Some(&factors[b * hidden..]));
            }
        }
        let new_gate = Right { first: 2 * hidden, ..w.w_hh };
        let n = Left { data: &*tape, ld, rows, count: 1, len: hidden, at: [2, 0, 0, 0] };
        product(s, n, new_gate, d_rh, Init::Zero);
        scale(d_rh, extra.factors);
        points_backward(s, Second(self.0), t, points(walk, (ld, hidden), before, tape, d_rh));
        for b in rows.iter() {
            let row = b * hidden..(b + 1) * hidden;
            dh[row.clone()].iter_mut().zip(&d_rh[row]).for_each(|(dh, d)| *dh += d);
        }
        let left = Left { data: tape, ld, rows, count: 2, len: hidden, at: [0, 1, 0, 0] };
        through_weights(s, left, w, extra.factors, room, dh);
    }
}

/// The buffers of either half of a step back.
fn points<'a>(
    walk: &'a Walk<'a>,
    (ld, hidden): (usize, usize),
    before: Option<Before<'a>>,
    tape: &'a mut [f32],
    dout: &'a mut [f32],
) -> PointsBackward<'a> {
    let (parameters, dparameters, dc) = (&[][..], &mut [][..], &mut [][..]);
    PointsBackward { walk, hidden, tape, ld, before, parameters, dparameters, dout, dc, keep_out: false }
}

fn scale(values: &mut [f32], factors: Option<&[f32]>) {
    if let Some(factors) = factors {
        values.iter_mut().zip(factors).for_each(|(v, f)| *v *= f);
    }
}
