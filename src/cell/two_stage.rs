//! The steps of cells in two stages, where some hidden weights multiply what the step itself has made.
//!
//! Stage one makes all that depends on the previous state alone, and the operand of the second product; stage two goes on with
//! a sum of stage one's over that product. Between them the values stand in the tape, or in a step's worth of it in scratch when
//! there is no training. A cell says its equations; what follows from them is here, with options and without.

use super::options::{Stage, add_output_gradient, operand, output, through_weights};
use super::{HiddenGradient, Matrices, Stages, Steps};
use crate::kernel::pack::{self, Canonical, Dims, Panels, Source};
use crate::kernel::product::{self, Init, Left, Right, product};
use crate::kernel::recur::{
    self, BackwardStep, Before, ForwardStep, PointsBackward, PointsForward, Pointwise, SumsStep,
    points_backward, points_forward, sums_step,
};
use crate::kernel::second::{self, SecondStage};
use crate::kernel::walk::Rows;
use crate::kernel::{Equations, Layout, Walk};
use crate::simd::Simd;

/// The equations of both stages. The gates of the first one feed accumulators side by side, which are planes of the tape.
pub(super) trait TwoStage: Equations + SecondStage {}

impl<E: Equations + SecondStage> TwoStage for E {}

/// Its steps.
#[derive(Clone, Copy)]
pub(super) struct Two<E>(pub(super) E);

fn pack<'o, E: TwoStage>(lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
    let rest = pack::pack::<E>(lanes, w, out);
    pack::pack::<E::Weights>(lanes, w, rest)
}

#[inline(always)]
fn panels<E: TwoStage>(lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
    let (one, rest) = Panels::new::<E>(lanes, dims, data)?;
    let (two, rest) = Panels::new::<E::Weights>(lanes, dims, rest)?;
    Some(([one, two], rest))
}

/// The gradients of stage one's gates.
fn first_gates<'a, E: TwoStage>(tape: &'a [f32], hidden: usize, rows: Rows<'a>) -> Left<'a> {
    let ld = recur::tape_planes::<E>() * hidden;
    Left { data: tape, ld, rows, count: E::HG, len: hidden, at: E::HMAP }
}

/// The gradient of the operand, from that of stage two's gate.
#[inline(always)]
fn operand_gradient<E: TwoStage, S: Simd>(
    s: S,
    tape: &[f32],
    hidden: usize,
    rows: Rows<'_>,
    w_hh: Right<'_>,
    d_operand: &mut [f32],
) {
    let ld = recur::tape_planes::<E>() * hidden;
    let left = Left { data: tape, ld, rows, count: 1, len: hidden, at: [E::SUM, 0, 0, 0] };
    product(s, left, Right { first: E::Weights::HFIRST * hidden, ..w_hh }, d_operand, Init::Zero);
}

impl<E: TwoStage> Steps for Two<E> {
    type Sums = E;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = &[
        HiddenGradient { gate: E::HFIRST, count: E::HG, plane: E::HMAP[0], operand: None },
        HiddenGradient { gate: E::Weights::HFIRST, count: 1, plane: E::SUM, operand: Some(E::OPERAND) },
    ];

    fn pack<'o>(self, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
        pack::<E>(lanes, w, out)
    }

    #[inline(always)]
    fn panels(self, lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
        panels::<E>(lanes, dims, data)
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
        let ForwardStep { walk, dims, extra, x, h, h_next, c, y, tape, .. } = io;
        let mut tape = tape.or(stage);
        let first = ForwardStep {
            walk,
            dims,
            extra,
            x,
            h,
            h_next: &mut *h_next,
            c,
            y: None,
            tape: tape.reborrow(),
            ahead: None,
        };
        recur::forward_step::<S, _, W, true>(s, self.0, one, t, first);
        second::forward_step(s, self.0, two, t, second::Forward { walk, dims, h, h_next, y, tape });
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
        recur::backward_step(s, self.0, t, io.reborrow());
        let BackwardStep { walk, dims, h0, y, dh, tape, .. } = io;
        let (hidden, rows) = (dims.hidden, Rows::step(walk, t));
        let d_operand = &mut stage[..walk.batch() * hidden];
        operand_gradient::<E, S>(s, tape, hidden, rows, w.w_hh, d_operand);
        let second = second::Backward { walk, hidden, h0, y, d_operand, dh: &mut *dh, tape: &mut *tape };
        second::backward_step(s, self.0, t, second);
        product(s, first_gates::<E>(tape, hidden, rows), w.w_hh, dh, Init::Accumulate);
    }
}

/// The equations of such a cell with options, over stored sums. There are four planes: what is saved are the sums of the two stages, the
/// product of the second one in the last, which takes its operand on the way back.
pub(super) trait OptionalTwoStage: Copy {
    /// The same cell without options.
    type Plain: TwoStage;
    /// Its output is the operand.
    type First: Pointwise;
    /// Its output is the next hidden state; on the way back it is given the gradient of the operand.
    type Second: Pointwise;
    fn stages(self) -> (Self::First, Self::Second);
}

/// The plane of the second product.
const PRODUCT: usize = 3;

/// Its steps.
#[derive(Clone, Copy)]
pub(super) struct OptionalTwo<E>(pub(super) E);

impl<E: OptionalTwoStage> Steps for OptionalTwo<E> {
    type Sums = E::Plain;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = Two::<E::Plain>::HIDDEN_GRADIENTS;

    fn pack<'o>(self, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
        pack::<E::Plain>(lanes, w, out)
    }

    #[inline(always)]
    fn panels(self, lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
        panels::<E::Plain>(lanes, dims, data)
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
        let ForwardStep { walk, dims, extra, x, h, h_next, c, y, tape, .. } = io;
        let (ld, hidden, parameters) = (self.tape_row(dims), dims.hidden, &[][..]);
        let (one_points, two_points) = self.0.stages();
        let Stage { planes, first: made, second: q, operand: room } =
            Stage::new(stage, walk.batch(), ld, dims);
        let mut tape = tape.or(planes);
        let h_seen = operand(h, extra.factors, room);
        let sums = SumsStep { walk, dims, x, h: h_seen, tape: tape.reborrow(), ld };
        sums_step::<S, E::Plain, W>(s, one, t, sums);
        let out = &mut *made;
        let points = PointsForward { walk, hidden, tape: tape.reborrow(), ld, h, c, parameters, out };
        points_forward(s, one_points, t, points);
        scale(made, extra.factors);
        let rows = Rows::batch(walk, t);
        let left = Left { data: made, ld: hidden, rows, count: 1, len: hidden, at: [0; 4] };
        product::project::<S, <E::Plain as SecondStage>::Weights, W>(s, left, two, dims, q);
        let (planes, _, by_walk) = tape.reborrow().parts(walk);
        for b in rows.iter() {
            let row = if by_walk { walk.row(t, b) } else { b };
            planes[row * ld + PRODUCT * hidden..][..hidden].copy_from_slice(&q[b * hidden..][..hidden]);
        }
        let out = &mut *h_next;
        let points = PointsForward { walk, hidden, tape, ld, h, c: &mut [], parameters, out };
        points_forward(s, two_points, t, points);
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
        let (one_points, two_points) = self.0.stages();
        let Stage { first: d_operand, operand: room, .. } = Stage::new(stage, walk.batch(), ld, dims);
        add_output_gradient(walk, t, dy, dh, hidden);
        let before = Before::new(walk, h0, y, hidden);
        points_backward(s, one_points, t, points(walk, (ld, hidden), before, tape, dh));
        let rows = Rows::step(walk, t);
        if let Some(factors) = extra.factors {
            for b in rows.iter() {
                let made = &mut tape[walk.row(t, b) * ld + PRODUCT * hidden..][..hidden];
                scale(made, Some(&factors[b * hidden..]));
            }
        }
        operand_gradient::<E::Plain, S>(s, tape, hidden, rows, w.w_hh, d_operand);
        scale(d_operand, extra.factors);
        points_backward(s, two_points, t, points(walk, (ld, hidden), before, tape, d_operand));
        for b in rows.iter() {
            let row = b * hidden..(b + 1) * hidden;
            dh[row.clone()].iter_mut().zip(&d_operand[row]).for_each(|(dh, d)| *dh += d);
        }
        through_weights(s, first_gates::<E::Plain>(tape, hidden, rows), w, extra.factors, room, dh);
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
