//! The elementwise part of one step backward.

use super::{Equations, Extra, tape_planes};
use crate::kernel::canonical::Dims;
use crate::kernel::tile::{load, load_planes, store};
use crate::kernel::view::Columns;
use crate::kernel::walk::{Previous, Rows, Walk};
use crate::simd::Simd;

/// The buffers of the elementwise part of one backward step.
pub(crate) struct BackwardStep<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    pub(crate) extra: Extra<'a>,
    /// Added to: gradient of the peepholes, or empty.
    pub(crate) dpeepholes: &'a mut [f32],
    /// `[B, width]`, the initial state.
    pub(crate) h0: &'a [f32],
    /// `[rows, width]`, the outputs.
    pub(crate) y: Columns<'a>,
    /// `[rows, width]`, unless only the last state has a gradient.
    pub(crate) dy: Option<Columns<'a>>,
    /// `[B, width]`: of the state after the step, then what reaches the state before it past the weights.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, in place, or empty for a cell without one.
    pub(crate) dc: &'a mut [f32],
    /// `[rows, tape_planes * H]`: saved values, then the gradients of the accumulators.
    pub(crate) tape: &'a mut [f32],
}

impl BackwardStep<'_> {
    /// The same with shorter borrows.
    pub(crate) fn reborrow(&mut self) -> BackwardStep<'_> {
        let BackwardStep { dpeepholes, dh, dc, tape, .. } = self;
        BackwardStep { dpeepholes, dh, dc, tape, ..*self }
    }
}

/// The hidden states that steps start from.
#[derive(Clone, Copy)]
pub(crate) struct Before<'a> {
    walk: &'a Walk<'a>,
    h0: *const f32,
    y: Columns<'a>,
    width: usize,
}

impl<'a> Before<'a> {
    /// `None` unless there are `width` columns of each row of the batch and of the sequences.
    #[inline(always)]
    pub(crate) fn new(walk: &'a Walk<'a>, h0: &'a [f32], y: Columns<'a>, width: usize) -> Option<Self> {
        let fits = h0.len() == walk.batch() * width && y.has(walk.rows(), width);
        fits.then_some(Before { walk, h0: h0.as_ptr(), y, width })
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether its rows are those of this walk.
    pub(crate) fn is_of(&self, walk: &Walk<'_>) -> bool {
        core::ptr::eq(self.walk, walk)
    }

    /// Where the state before step `t` of batch row `b` stands; null if it is zero.
    #[inline(always)]
    pub(crate) fn get(&self, t: usize, b: usize) -> *const f32 {
        match self.walk.previous(t, b) {
            Previous::Initial => self.h0.wrapping_add(b * self.width),
            Previous::Row(row) => self.y.start(row),
            Previous::Zero => core::ptr::null(),
        }
    }
}

/// The elementwise part of one backward step of the whole batch.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn backward_step<S: Simd, E: Equations>(s: S, e: E, t: usize, io: BackwardStep<'_>) {
    let BackwardStep { walk, dims, h0, y, dy, dh, dc, tape, .. } = io;
    let hidden = dims.hidden;
    let (rows, state, ld) = (walk.rows(), walk.batch() * hidden, tape_planes::<E>() * hidden);
    let fits = t < walk.steps()
        && dh.len() == state
        && dc.len() == if E::HAS_C { state } else { 0 }
        && dy.is_none_or(|dy| dy.has(rows, hidden))
        && tape.len() == rows * ld;
    debug_assert!(fits);
    let (Some(before), true) = (Before::new(walk, h0, y, hidden), fits) else { return };
    for b in Rows::step(walk, t).iter() {
        let row = walk.row(t, b);
        let h = before.get(t, b);
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            let at = b * hidden + unit;
            // SAFETY: `b < batch` takes part in step `t < steps`, so `row < walk.rows()`; the tape and the states were just
            // checked to hold these rows, and `h` is null or a row that `Before::new` checked. `left` elements follow `unit`.
            unsafe {
                let saved_at = tape.as_mut_ptr().add(row * ld + unit);
                let saved = load_planes(s, saved_at, hidden, E::ACC, left);
                let mut grad = load(s, dh.as_ptr().add(at), left);
                if let Some(dy) = dy {
                    grad = s.add(grad, load(s, dy.start(row).add(unit), left));
                }
                let h = if h.is_null() { s.splat(0.0) } else { load(s, h.add(unit), left) };
                let (mut c, mut grad_c) = (s.splat(0.0), s.splat(0.0));
                if E::HAS_C {
                    c = load(s, saved_at.add(E::ACC * hidden), left);
                    grad_c = load(s, dc.as_ptr().add(at), left);
                }
                let prev = e.backward(s, saved, h, c, grad, grad_c);
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
