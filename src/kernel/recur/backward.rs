//! The elementwise part of one step backward.

use super::{Equations, tape_planes};
use crate::kernel::tile::{load, load_planes, store};
use crate::kernel::walk::Walk;
use crate::simd::Simd;

/// The buffers of the elementwise part of one backward step.
pub(crate) struct BackwardStep<'a> {
    pub(crate) walk: Walk,
    pub(crate) hidden: usize,
    /// `[B, H]`, the state before the step.
    pub(crate) h: &'a [f32],
    /// `[rows, H]`, or empty if only the last state has a gradient.
    pub(crate) dy: &'a [f32],
    /// `[B, H]`: of the state after the step, then what reaches the state before it past the weights.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, in place, or empty for a cell without one.
    pub(crate) dc: &'a mut [f32],
    /// `[rows, tape_planes * H]`: saved values, then the gradients of the accumulators.
    pub(crate) tape: &'a mut [f32],
}

/// The elementwise part of one backward step of the whole batch.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn backward_step<S: Simd, E: Equations>(s: S, e: E, t: usize, io: BackwardStep<'_>) {
    let BackwardStep { walk, hidden, h, dy, dh, dc, tape } = io;
    let (rows, state, ld) = (walk.rows(), walk.batch * hidden, tape_planes::<E>() * hidden);
    let fits = t < walk.steps
        && h.len() == state
        && dh.len() == state
        && dc.len() == if E::HAS_C { state } else { 0 }
        && (dy.is_empty() || dy.len() == rows * hidden)
        && tape.len() == rows * ld;
    debug_assert!(fits);
    if !fits {
        return;
    }
    for b in 0..walk.batch {
        let row = walk.row(t, b);
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            let at = b * hidden + unit;
            // SAFETY: `b` and `row` are rows of the buffers just checked, and `left` elements of each row follow `unit`.
            unsafe {
                let saved_at = tape.as_mut_ptr().add(row * ld + unit);
                let saved = load_planes(s, saved_at, hidden, E::ACC, left);
                let mut grad = load(s, dh.as_ptr().add(at), left);
                if !dy.is_empty() {
                    grad = s.add(grad, load(s, dy.as_ptr().add(row * hidden + unit), left));
                }
                let (mut c, mut grad_c) = (s.splat(0.0), s.splat(0.0));
                if E::HAS_C {
                    c = load(s, saved_at.add(E::ACC * hidden), left);
                    grad_c = load(s, dc.as_ptr().add(at), left);
                }
                let prev = e.backward(s, saved, load(s, h.as_ptr().add(at), left), c, grad, grad_c);
                for a in 0..E::ACC {
                    store(s, saved_at.add(a * hidden), prev.dacc[a], left);
                }
                store(s, dh.as_mut_ptr().add(at), prev.dh, left);
                if E::HAS_C {
                    store(s, dc.as_mut_ptr().add(at), prev.dc, left);
                }
            }
        }
    }
}
