//! A step of a cell with options: its sums, its equations, and, if there is one, the projection.
//!
//! The stage holds, for each batch row, a row of the tape for passes that have none, two vectors of H, and one of R.

use super::{HiddenGradient, Matrices, Stages, Steps};
use crate::kernel::pack::{self, Canonical, Dims, InPlace, Panels, Source};
use crate::kernel::product::{self, Init, Left, product};
use crate::kernel::recur::{
    BackwardStep, Before, ForwardStep, PointsBackward, PointsForward, Pointwise, SumsStep, points_backward,
    points_forward, sums_step,
};
use crate::kernel::view::{Columns, ColumnsMut};
use crate::kernel::walk::Rows;
use crate::kernel::{HiddenGate, Layout, Walk};
use crate::simd::Simd;

/// Equations of a cell with options, whose sums are those of a step of one stage.
pub(super) trait Optional: Pointwise {
    type Sums: Layout;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient];

    /// Whether the output goes through a projection.
    #[inline(always)]
    fn projects(self) -> bool {
        false
    }
}

/// The steps of a cell with options.
#[derive(Clone, Copy)]
pub(super) struct General<E>(pub(super) E);

/// The projection as a stage: one gate of R units over the cell's H outputs.
type Projection = HiddenGate<0>;

/// The projection's sizes, seen as a layer of R units whose hidden state has H elements.
fn projection(dims: Dims) -> Dims {
    Dims { input: 0, hidden: dims.width, width: dims.hidden }
}

/// Elements of the stage for each batch row.
pub(crate) const fn stage_len(tape_row: usize, dims: Dims) -> usize {
    tape_row.saturating_add(dims.hidden.saturating_mul(2)).saturating_add(dims.width)
}

/// Room for one step.
pub(super) struct Stage<'a> {
    /// `[B, row of the tape]`
    pub(super) planes: &'a mut [f32],
    /// `[B, H]`
    pub(super) first: &'a mut [f32],
    /// `[B, H]`
    pub(super) second: &'a mut [f32],
    /// `[B, R]`
    pub(super) operand: &'a mut [f32],
}

impl<'a> Stage<'a> {
    pub(super) fn new(stage: &'a mut [f32], batch: usize, tape_row: usize, dims: Dims) -> Self {
        let (planes, rest) = stage.split_at_mut(batch * tape_row);
        let (first, rest) = rest.split_at_mut(batch * dims.hidden);
        let (second, rest) = rest.split_at_mut(batch * dims.hidden);
        Stage { planes, first, second, operand: &mut rest[..batch * dims.width] }
    }
}

/// The hidden state as the weights see it.
pub(super) fn operand<'a>(h: &'a [f32], factors: Option<&[f32]>, room: &'a mut [f32]) -> &'a [f32] {
    let Some(factors) = factors else { return h };
    for ((to, h), factor) in room.iter_mut().zip(h).zip(factors) {
        *to = h * factor;
    }
    room
}

/// Copies the hidden states of a step to the outputs.
pub(super) fn output(walk: &Walk<'_>, t: usize, h: &[f32], width: usize, y: Option<ColumnsMut<'_>>) {
    if let Some(mut y) = y {
        for b in Rows::step(walk, t).iter() {
            y.row(walk.row(t, b)).copy_from_slice(&h[b * width..][..width]);
        }
    }
}

/// Adds the gradients of the outputs of a step to those of the hidden states.
pub(super) fn add_output_gradient(
    walk: &Walk<'_>,
    t: usize,
    dy: Option<Columns<'_>>,
    dh: &mut [f32],
    width: usize,
) {
    if let Some(dy) = dy {
        for b in Rows::step(walk, t).iter() {
            let dh = &mut dh[b * width..][..width];
            dh.iter_mut().zip(dy.row(walk.row(t, b))).for_each(|(dh, dy)| *dh += dy);
        }
    }
}

/// `dh += (left w_hh) * factors`, with room for `[B, R]`.
#[inline(always)]
pub(super) fn through_weights<S: Simd>(
    s: S,
    left: Left<'_>,
    w: Matrices<'_>,
    factors: Option<&[f32]>,
    room: &mut [f32],
    dh: &mut [f32],
) {
    let Some(factors) = factors else { return product(s, left, w.w_hh, dh, Init::Accumulate) };
    product(s, left, w.w_hh, room, Init::Zero);
    let width = w.w_hh.n;
    for b in left.rows.iter() {
        let row = b * width..(b + 1) * width;
        for ((dh, d), factor) in dh[row.clone()].iter_mut().zip(&room[row.clone()]).zip(&factors[row]) {
            *dh += d * factor;
        }
    }
}

impl<E: Optional> Steps for General<E> {
    type Sums = E::Sums;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = E::HIDDEN_GRADIENTS;

    #[inline(always)]
    fn tape_row(self, dims: Dims) -> usize {
        // Behind the planes is room for the gradient of the projection's output.
        let planes = (E::SUMS + E::HAS_C as usize) * dims.hidden;
        planes + if self.0.projects() { dims.width } else { 0 }
    }

    fn pack<'o>(self, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
        let rest = pack::pack::<E::Sums>(lanes, w, out);
        if !self.0.projects() {
            return rest;
        }
        pack::pack::<Projection>(lanes, w.projection(), rest)
    }

    #[inline(always)]
    fn panels(self, lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
        let (one, rest) = Panels::new::<E::Sums>(lanes, dims, data)?;
        if !self.0.projects() {
            return Some(([one, one], rest));
        }
        let (two, rest) = Panels::new::<Projection>(lanes, projection(dims), rest)?;
        Some(([one, two], rest))
    }

    #[inline(always)]
    fn in_place(w: Canonical<'_>) -> Stages<InPlace<'_>> {
        [InPlace(w), InPlace(w.projection())]
    }

    #[inline(always)]
    fn forward_step<S: Simd, W: Source<S>, const TRAIN: bool>(
        self,
        s: S,
        [w, w_hr]: Stages<W>,
        t: usize,
        io: ForwardStep<'_>,
        stage: &mut [f32],
    ) {
        let ForwardStep { walk, dims, extra, x, h, h_next, c, y, tape, .. } = io;
        let (ld, hidden) = (self.tape_row(dims), dims.hidden);
        let Stage { planes, first, operand: room, .. } = Stage::new(stage, walk.batch(), ld, dims);
        let mut tape = tape.or(planes);
        let operand = operand(h, extra.factors, room);
        let sums = SumsStep { walk, dims, x, h: operand, tape: tape.reborrow(), ld };
        sums_step::<S, E::Sums, W>(s, w, t, sums);
        let (projects, parameters) = (self.0.projects(), extra.peepholes);
        let out = if projects { &mut *first } else { &mut *h_next };
        points_forward(s, self.0, t, PointsForward { walk, hidden, tape, ld, h, c, parameters, out });
        if projects {
            let rows = Rows::batch(walk, t);
            let left = Left { data: first, ld: hidden, rows, count: 1, len: hidden, at: [0; 4] };
            product::project::<S, Projection, W>(s, left, w_hr, projection(dims), h_next);
        }
        output(walk, t, h_next, dims.width, y);
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
        let BackwardStep { walk, dims, extra, dpeepholes, h0, y, dy, dh, dc, tape } = io;
        let (ld, hidden, width) = (self.tape_row(dims), dims.hidden, dims.width);
        let Stage { first: dm, operand: room, .. } = Stage::new(stage, walk.batch(), ld, dims);
        add_output_gradient(walk, t, dy, dh, width);
        let before = if E::HAS_H { Before::new(walk, h0, y, hidden) } else { None };
        let points = PointsBackward {
            walk,
            hidden,
            tape: &mut *tape,
            ld,
            before,
            parameters: extra.peepholes,
            dparameters: dpeepholes,
            dout: &mut *dh,
            dc,
            keep_out: self.0.projects(),
        };
        match w.w_hr {
            None => points_backward(s, self.0, t, points),
            Some(w_hr) => {
                let rows = Rows::batch(walk, t);
                let left = Left { data: &*points.dout, ld: width, rows, count: 1, len: width, at: [0; 4] };
                product(s, left, w_hr, dm, Init::Zero);
                // What is left of the hidden state's gradient is what the projection's weights see.
                for b in rows.iter() {
                    let dh = &mut points.dout[b * width..][..width];
                    let end = (walk.row(t, b) + 1) * ld;
                    points.tape[end - width..end].copy_from_slice(dh);
                    dh.fill(0.0);
                }
                points_backward(s, self.0, t, PointsBackward { dout: dm, ..points });
            }
        }
        let (len, rows) = (hidden, Rows::step(walk, t));
        let left = Left { data: tape, ld, rows, count: E::Sums::HG, len, at: E::Sums::HMAP };
        through_weights(s, left, w, extra.factors, room, dh);
    }
}
