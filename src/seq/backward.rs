//! Backpropagation through time (Werbos 1990): the time loop backward, then the weight gradients of all steps at once.
//!
//! The loop leaves the gradient of every pre-activation in the tape, in place of what the forward pass saved.
//! The gradients of the weights are then a few products over all rows of the tape, outside of the loop.

use super::gradient::{Inputs, Sums};
use super::state_rows;
use crate::cell::{HiddenGradient, Matrices, Pass, Steps};
use crate::kernel::canonical::{Canonical, Dims, Parts};
use crate::kernel::product::{Right, columns_len};
use crate::kernel::recur::{BackwardStep, Extra};
use crate::kernel::view::Columns;
use crate::kernel::walk::Rows;
use crate::kernel::{Layout, Masked, Walk};
use crate::simd::{HAS_VECTORS, Isa, Op, Simd, dispatch};

/// A backward pass. All lengths have been checked.
pub(crate) struct BackwardPass<'a> {
    pub(crate) weights: Canonical<'a>,
    /// Factors of the hidden state, an option of the cell.
    pub(crate) factors: Option<&'a [f32]>,
    pub(crate) walk: &'a Walk<'a>,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, R]`
    pub(crate) y: Columns<'a>,
    /// `[rows, R]`, unless only the last state has a gradient.
    pub(crate) dy: Option<Columns<'a>>,
    /// `[B, R]`, the initial state of the forward pass.
    pub(crate) h0: &'a [f32],
    /// `[B, R]`: of the last state, then of the initial one.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) dc: &'a mut [f32],
    /// The parts of the weights, if wanted, and whether they are added to.
    pub(crate) grads: Option<Parts<&'a mut [f32]>>,
    pub(crate) accumulate: bool,
    /// `[rows, row of the tape]`
    pub(crate) tape: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
    /// Room for `w_hh` and `w_hr` in panels of columns, where there are vectors, and then for the operands of large products.
    pub(crate) panels: &'a mut [f32],
}

impl Pass for BackwardPass<'_> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        dispatch(isa, Bptt(cell, self));
    }
}

struct Bptt<'a, K>(K, BackwardPass<'a>);

impl<K: Steps> Op for Bptt<'_, K> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Bptt(cell, pass) = self;
        let BackwardPass { weights, factors, walk, x, y, dy, h0, dh, dc, mut grads, tape, panels, .. } = pass;
        let (dims, parts, add) = (weights.shape().dims(), weights.parts(), pass.accumulate);
        let hidden = dims.hidden;
        // Of nothing there may be more steps than anyone can count.
        if hidden == 0 && dims.width == 0 {
            return;
        }
        let rows = weights.shape().gates * hidden;
        let room = if HAS_VECTORS { columns_len(S::LANES, rows, dims.width) } else { 0 };
        let (w_hh, w_hr) = panels.split_at_mut(room);
        let w_hh = Right::of(s, parts.w_hh, dims.width, w_hh);
        let projects = weights.shape().projection.is_some();
        let w_hr = if projects { Some(Right::of(s, parts.w_hr, hidden, w_hr)) } else { None };
        let w = Matrices { w_hh, w_hr };
        let extra = Extra { peepholes: parts.peepholes, factors };
        if let (Some(grads), false) = (&mut grads, add) {
            grads.peepholes.fill(0.0);
        }
        for t in (0..walk.steps()).rev() {
            if walk.masked() == Some(Masked::Carry) {
                collect(walk, t, dy, dh);
            }
            let dpeepholes = grads.as_mut().map_or(&mut [][..], |grads| &mut *grads.peepholes);
            let (dh_t, dc_t, tape) = (&mut *dh, &mut *dc, &mut *tape);
            let io = BackwardStep { walk, dims, extra, dpeepholes, h0, y, dy, dh: dh_t, dc: dc_t, tape };
            cell.backward_step(s, w, t, io, pass.stage);
            if walk.has_resets() {
                cut(walk, t, [&mut *dh, &mut *dc]);
            }
        }

        let Some(grads) = grads else { return };
        let ld = cell.tape_row(dims);
        let mut sums = Sums { walk, present: Rows::present(walk), tape: &*tape, ld, add, room: panels };
        sums.same(s, (0, K::Sums::XG * hidden), Columns::all(x, dims.input), grads.w_ih);
        sums.bias(s, 0, grads.b_ih);
        for &HiddenGradient { gate, count, plane, operand } in K::HIDDEN_GRADIENTS {
            let rows = gate * hidden..(gate + count) * hidden;
            let dw = &mut grads.w_hh[rows.start * dims.width..rows.end * dims.width];
            let columns = (plane * hidden, count * hidden);
            if let Some(db) = grads.b_hh.get_mut(rows) {
                // Where both biases feed the same sums, and both gradients begin at zero, they are the same.
                match grads.b_ih.get(columns.0..columns.0 + columns.1) {
                    Some(same) if !add => db.copy_from_slice(same),
                    _ => sums.bias(s, columns.0, db),
                }
            }
            match operand {
                Some(plane) => sums.planes(s, columns, (plane * hidden, hidden), dw),
                None => sums.before(s, columns, (h0, y), factors, dw),
            }
        }
        if projects {
            // The step left the gradient of the projection's output at the end of the row, and its input behind the sums.
            let (output, input) = ((ld - dims.width, dims.width), (K::Sums::ACC * hidden, hidden));
            sums.planes(s, output, input, grads.w_hr);
        }
    }
}

/// The gradient of the input, from the tape that a backward pass leaves. All lengths have been checked.
pub(crate) struct InputPass<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
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

impl Pass for InputPass<'_> {
    #[inline(always)]
    fn run<K: Steps>(self, isa: Isa, cell: K) {
        let InputPass { walk, dims, w_ih, dx, add, tape, panels } = self;
        let (ld, len) = (cell.tape_row(dims), K::Sums::XG * dims.hidden);
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
