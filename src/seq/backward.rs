//! Backpropagation through time (Werbos 1990): the time loop backward, then the weight gradients of all steps at once.
//!
//! The loop leaves the gradient of every pre-activation in the tape, in place of what the forward pass saved.
//! The gradients of the weights are then a few products over all rows of the tape, outside of the loop.

use crate::cell::{HiddenGradient, Pass, Steps};
use crate::kernel::elementwise::column_sums;
use crate::kernel::gemm::{Columns, Init, Left, Right, outer, product};
use crate::kernel::pack::{Canonical, pack_columns};
use crate::kernel::recur::{BackwardStep, tape_planes};
use crate::kernel::{Layout, Walk};
use crate::simd::{HAS_VECTORS, Isa, Op, Simd, dispatch};

/// A backward pass. All lengths have been checked.
pub(crate) struct BackwardPass<'a> {
    pub(crate) isa: Isa,
    pub(crate) weights: Canonical<'a>,
    pub(crate) walk: Walk,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, H]`
    pub(crate) y: &'a [f32],
    /// `[rows, H]`, or empty.
    pub(crate) dy: &'a [f32],
    /// `[B, H]`, the initial state of the forward pass.
    pub(crate) h0: &'a [f32],
    /// `[B, H]`: of the last state, then of the initial one.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) dc: &'a mut [f32],
    /// `[rows, I]`, if wanted.
    pub(crate) dx: Option<&'a mut [f32]>,
    /// The four parts of the weights, if wanted, and whether they are added to.
    pub(crate) grads: Option<[&'a mut [f32]; 4]>,
    pub(crate) accumulate: bool,
    /// `[rows, TAPE * H]`
    pub(crate) tape: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
    /// Room for `w_hh`, then for `w_ih`, in panels of columns, where there are vectors.
    pub(crate) panels: &'a mut [f32],
}

impl Pass for BackwardPass<'_> {
    type Output = ();
    fn run<K: Steps>(self, cell: K) {
        dispatch(self.isa, Bptt(cell, self));
    }
}

struct Bptt<'a, K>(K, BackwardPass<'a>);

/// A `[k, n]` matrix as a right operand, packed where that pays.
#[inline(always)]
fn right_operand<'a, S: Simd>(s: S, w: &'a [f32], n: usize, room: &'a mut [f32]) -> Right<'a> {
    let k = w.len().checked_div(n).unwrap_or(0);
    if HAS_VECTORS {
        pack_columns(s, n, w, room);
        Right { data: room, k, first: 0, n, packed: true }
    } else {
        Right { data: w, k, first: 0, n, packed: false }
    }
}

impl<K: Steps> Op for Bptt<'_, K> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Bptt(cell, pass) = self;
        let BackwardPass { weights, walk, x, y, dy, h0, dh, dc, dx, grads, accumulate: add, tape, .. } = pass;
        let (input, hidden, state) = (weights.input, weights.hidden, dh.len());
        let w_hh = right_operand(s, weights.w_hh, hidden, &mut *pass.panels);
        for t in (0..walk.steps).rev() {
            let h = if t == 0 { h0 } else { &y[(t - 1) * state..t * state] };
            let io = BackwardStep { walk, hidden, h, dy, dh: &mut *dh, dc: &mut *dc, tape: &mut *tape };
            cell.backward_step(s, w_hh, t, io, pass.stage);
        }

        let ld = tape_planes::<K::First>() * hidden;
        let gates = K::First::XG;
        if let Some([dw_ih, dw_hh, db_ih, db_hh]) = grads {
            let da = Columns { data: &*tape, ld, column: 0, width: gates * hidden };
            outer(s, da, Columns::all(x, input), dw_ih, add);
            column_sums(s, tape, ld, 0, db_ih, add);
            for &HiddenGradient { gate, count, plane, operand } in K::HIDDEN_GRADIENTS {
                let rows = gate * hidden..(gate + count) * hidden;
                let dw = &mut dw_hh[rows.start * hidden..rows.end * hidden];
                let (column, width) = (plane * hidden, count * hidden);
                column_sums(s, tape, ld, column, &mut db_hh[rows], add);
                let columns = |data| Columns { data, ld, column, width };
                match operand {
                    Some(plane) => {
                        let operand = Columns { data: &*tape, ld, column: plane * hidden, width: hidden };
                        outer(s, columns(&*tape), operand, dw, add);
                    }
                    None => {
                        // Step 0 saw the initial state, every other one the output before it.
                        let (first, later) = tape.split_at(if walk.steps == 0 { 0 } else { walk.batch * ld });
                        let y = &y[..y.len() - if walk.steps == 0 { 0 } else { state }];
                        outer(
                            s,
                            columns(first),
                            Columns::all(&h0[..first.len() / ld.max(1) * hidden], hidden),
                            dw,
                            add,
                        );
                        outer(s, columns(later), Columns::all(y, hidden), dw, true);
                    }
                }
            }
        }
        // Without inputs `w_ih` has no columns from which its rows could be counted.
        if let Some(dx) = dx.filter(|dx| !dx.is_empty()) {
            let w_ih = right_operand(s, weights.w_ih, input, pass.panels);
            let left = Left {
                data: tape,
                ld,
                walk: Walk { steps: 1, batch: walk.rows() },
                t: 0,
                count: 1,
                len: gates * hidden,
                at: [0; 4],
            };
            product(s, left, w_ih, dx, Init::Zero);
        }
    }
}
