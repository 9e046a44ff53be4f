//! Backpropagation through time (Werbos 1990): the time loop backward, then the weight gradients of all steps at once.
//!
//! The loop leaves the gradient of every pre-activation in the tape, in place of what the forward pass saved.
//! The gradients of the weights are then a few products over all rows of the tape, outside of the loop.

use super::gradient::{Inputs, Sums};
use super::{On, state_rows};
use crate::cell::{HiddenGradient, Pass, Steps};
use crate::kernel::pack::Canonical;
use crate::kernel::product::Right;
use crate::kernel::recur::{BackwardStep, tape_planes};
use crate::kernel::view::Columns;
use crate::kernel::{Layout, Masked, Walk};
use crate::simd::{Op, Simd, dispatch};

/// A backward pass. All lengths have been checked.
pub(crate) struct BackwardPass<'a> {
    pub(crate) weights: Canonical<'a>,
    pub(crate) walk: &'a Walk<'a>,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, H]`
    pub(crate) y: Columns<'a>,
    /// `[rows, H]`, unless only the last state has a gradient.
    pub(crate) dy: Option<Columns<'a>>,
    /// `[B, H]`, the initial state of the forward pass.
    pub(crate) h0: &'a [f32],
    /// `[B, H]`: of the last state, then of the initial one.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) dc: &'a mut [f32],
    /// The four parts of the weights, if wanted, and whether they are added to.
    pub(crate) grads: Option<[&'a mut [f32]; 4]>,
    pub(crate) accumulate: bool,
    /// `[rows, TAPE * H]`
    pub(crate) tape: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
    /// Room for `w_hh` in panels of columns, where there are vectors.
    pub(crate) panels: &'a mut [f32],
}

impl Pass for On<BackwardPass<'_>> {
    type Output = ();
    fn run<K: Steps>(self, cell: K) {
        dispatch(self.0, Bptt(cell, self.1));
    }
}

struct Bptt<'a, K>(K, BackwardPass<'a>);

impl<K: Steps> Op for Bptt<'_, K> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Bptt(cell, pass) = self;
        let BackwardPass { weights, walk, x, y, dy, h0, dh, dc, grads, accumulate: add, tape, .. } = pass;
        let hidden = weights.hidden;
        let w_hh = Right::of(s, weights.w_hh, hidden, pass.panels);
        for t in (0..walk.steps()).rev() {
            if walk.masked() == Some(Masked::Carry) {
                collect(walk, t, dy, dh);
            }
            let (dh_t, dc_t, tape) = (&mut *dh, &mut *dc, &mut *tape);
            let io = BackwardStep { walk, hidden, h0, y, dy, dh: dh_t, dc: dc_t, tape };
            cell.backward_step(s, w_hh, t, io, pass.stage);
            if walk.has_resets() {
                cut(walk, t, [&mut *dh, &mut *dc]);
            }
        }

        let ld = tape_planes::<K::First>() * hidden;
        let Some([dw_ih, dw_hh, db_ih, db_hh]) = grads else { return };
        let sums = Sums { walk, tape: &*tape, ld, add };
        let inputs = (0, K::First::XG * hidden);
        sums.same(s, inputs, Columns::all(x, weights.input), dw_ih);
        sums.bias(s, 0, db_ih);
        for &HiddenGradient { gate, count, plane, operand } in K::HIDDEN_GRADIENTS {
            let rows = gate * hidden..(gate + count) * hidden;
            let dw = &mut dw_hh[rows.start * hidden..rows.end * hidden];
            let columns = (plane * hidden, count * hidden);
            sums.bias(s, columns.0, &mut db_hh[rows]);
            match operand {
                Some(plane) => sums.planes(s, columns, (plane * hidden, hidden), dw),
                None => sums.before(s, columns, (h0, y), None, dw),
            }
        }
    }
}

/// The gradient of the input, from the tape that a backward pass leaves. All lengths have been checked.
pub(crate) struct InputPass<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) hidden: usize,
    pub(crate) w_ih: &'a [f32],
    /// `[rows, I]`
    pub(crate) dx: &'a mut [f32],
    /// Whether it is added to.
    pub(crate) add: bool,
    /// `[rows, TAPE * H]`
    pub(crate) tape: &'a [f32],
    /// Room for `w_ih` in panels of columns, where there are vectors.
    pub(crate) panels: &'a mut [f32],
}

impl Pass for On<InputPass<'_>> {
    type Output = ();
    fn run<K: Steps>(self, _: K) {
        let On(isa, InputPass { walk, hidden, w_ih, dx, add, tape, panels }) = self;
        let (ld, len) = (tape_planes::<K::First>() * hidden, K::First::XG * hidden);
        dispatch(isa, Inputs { walk, tape, ld, len, w_ih, dx, add, panels });
    }
}

/// Adds the gradients of the outputs that only repeat a carried state.
#[cold]
fn collect(walk: &Walk<'_>, t: usize, dy: Option<Columns<'_>>, dh: &mut [f32]) {
    let Some(dy) = dy else { return };
    for (b, dh) in state_rows(dh, walk.batch()) {
        if t < walk.len(b) && !walk.active(t, b) {
            dh.iter_mut().zip(dy.row(walk.row(t, b))).for_each(|(dh, dy)| *dh += dy);
        }
    }
}

/// No gradient goes back over a reset.
#[cold]
fn cut(walk: &Walk<'_>, t: usize, gradients: [&mut [f32]; 2]) {
    for gradient in gradients {
        let rows = state_rows(gradient, walk.batch());
        rows.filter(|(b, _)| walk.resets(t, *b)).for_each(|(_, row)| row.fill(0.0));
    }
}
