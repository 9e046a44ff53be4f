//! The elementwise part of one backward step, and the backward functions of a cell.

use super::{At, Equations, Params, SecondStage, peepholes, peepholes_start};
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::rows::previous::Before;
use crate::kernel::rows::taken::Rows;
use crate::kernel::rows::view::{Columns, ColumnsMut};
use crate::kernel::rows::walk::Walk;
use crate::kernel::vector::{each, load, load_planes, store};
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// The backward functions of a cell on one instruction set, with the cell's layouts.
pub(crate) struct Gradients<S> {
    pub(crate) layout: Layout,
    pub(crate) second: Option<SecondStage>,
    pub(super) first: fn(S, &Params, usize, &mut BackwardStep<'_>) -> Checked,
    pub(super) last: fn(S, &Params, usize, &mut BackwardStep<'_>, &[f32]) -> Checked,
}

impl<S: Simd> Gradients<S> {
    pub(crate) const fn of<E: Equations>() -> Self {
        Gradients { layout: E::LAYOUT, second: E::SECOND, first: first::<S, E>, last: last::<S, E> }
    }

    /// The elementwise part of a step. With two stages this is the part before the product of the second
    /// stage.
    #[inline(always)]
    pub(crate) fn first(&self, s: S, params: &Params, t: usize, io: &mut BackwardStep<'_>) -> Checked {
        (self.first)(s, params, t, io)
    }

    /// With two stages: from the gradient `[B, H]` of the second stage's operand to the gradients of the
    /// first stage's sums.
    #[inline(always)]
    pub(crate) fn last(
        &self,
        s: S,
        params: &Params,
        t: usize,
        io: &mut BackwardStep<'_>,
        d_operand: &[f32],
    ) -> Checked {
        (self.last)(s, params, t, io, d_operand)
    }
}

/// The buffers of the elementwise part of one backward step.
pub(crate) struct BackwardStep<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    /// `[3, H]`, or empty.
    pub(crate) peepholes: &'a [f32],
    /// The gradient of the peepholes, which is added to; or empty.
    pub(crate) dpeepholes: &'a mut [f32],
    /// `[B, width]`, the initial state.
    pub(crate) h0: &'a [f32],
    /// `[rows, width]`, the outputs.
    pub(crate) y: Columns<'a>,
    /// `[rows, H]`, added to `dh`.
    pub(crate) dy: Option<Columns<'a>>,
    /// `[B, H]`: first the gradient of the output, then the part of the previous state's gradient that
    /// bypasses the weights.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, updated in place; empty for a cell without cell state.
    pub(crate) dc: &'a mut [f32],
    /// `[rows, ld]`: saved values, then the gradients of the sums.
    pub(crate) tape: ColumnsMut<'a>,
    pub(crate) ld: usize,
    /// Whether to store the output in the tape in place of the previous cell state.
    pub(crate) keep_out: bool,
    /// Scratch of a cell with layer normalisation.
    pub(crate) room: &'a mut [f32],
}

fn first<S: Simd, E: Equations>(s: S, params: &Params, t: usize, io: &mut BackwardStep<'_>) -> Checked {
    s.call(First::<S, E> { s, e: E::new(params), t, io })
}

struct First<'a, 'b, S, E> {
    s: S,
    e: E,
    t: usize,
    io: &'a mut BackwardStep<'b>,
}

impl<S: Simd, E: Equations> Region for First<'_, '_, S, E> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let First { s, e, t, io } = self;
        let layout = const { &E::LAYOUT };
        let &mut BackwardStep { walk, dims, h0, y, dy, ld, keep_out, .. } = io;
        let hidden = dims.hidden;
        let state = walk.batch() * hidden;
        let p = peepholes_start(io.peepholes, hidden);
        let before = if E::READS_H { Before::new(walk, h0, y, hidden) } else { None };
        let fits = t < walk.steps()
            && (!E::READS_H || before.is_some())
            && io.dh.len() == state
            && io.dc.len() == if layout.has_c { state } else { 0 }
            && dy.is_none_or(|dy| dy.has(walk.rows(), hidden))
            && layout.tape_planes() * hidden <= ld
            && io.tape.has(walk, ld)
            && io.tape.ld() == ld
            && (io.dpeepholes.is_empty() || io.dpeepholes.len() == 3 * hidden)
            && p.is_some();
        check(fits, "backward step")?;
        let p = p.unwrap_or(core::ptr::null());
        let (dh, dc, tape) = (io.dh.as_mut_ptr(), io.dc.as_mut_ptr(), io.tape.start(0));
        let dp = io.dpeepholes.as_mut_ptr();
        let has_dp = !io.dpeepholes.is_empty();
        for b in Rows::step(walk, t).iter() {
            let row = walk.row(t, b);
            let h = before.map_or(core::ptr::null(), |before| before.get(t, b));
            for unit in (0..hidden).step_by(S::LANES) {
                let left = hidden - unit;
                let at = b * hidden + unit;
                let zero = s.splat(0.0);
                // SAFETY: `b < batch` takes part in step `t < steps`, so `row < walk.rows()`; the tape and
                // the states were just checked to hold these rows, and `h` is null or a row that
                // `Before::new` checked. `left` elements follow `unit`.
                unsafe {
                    let saved_at = tape.add(row * ld + unit);
                    let mut grad = load(s, dh.add(at), left);
                    if let Some(dy) = dy {
                        grad = s.add(grad, load(s, dy.start(row).add(unit), left));
                    }
                    let (mut c, mut grad_c) = (zero, zero);
                    if layout.has_c {
                        c = load(s, saved_at.add(layout.sums * hidden), left);
                        grad_c = load(s, dc.add(at), left);
                    }
                    let now = At {
                        planes: load_planes(s, saved_at, hidden, layout.sums, left),
                        h: if h.is_null() { zero } else { load(s, h.add(unit), left) },
                        c,
                        p: peepholes::<S, E>(s, p, hidden, unit),
                    };
                    let prev = e.backward(s, now, grad, grad_c);
                    each!(a, layout.sums, {
                        store(s, saved_at.add(a * hidden), prev.dsums[a % 4], left);
                    });
                    store(s, dh.add(at), prev.dh, left);
                    if layout.has_c {
                        store(s, dc.add(at), prev.dc, left);
                        if keep_out {
                            store(s, saved_at.add(layout.sums * hidden), prev.out, left);
                        }
                    }
                    if E::PEEPHOLES && has_dp {
                        each!(i, 3, {
                            let d = dp.add(i * hidden + unit);
                            store(s, d, s.add(load(s, d, left), prev.dp[i]), left);
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

fn last<S: Simd, E: Equations>(
    s: S,
    params: &Params,
    t: usize,
    io: &mut BackwardStep<'_>,
    d_operand: &[f32],
) -> Checked {
    if const { E::SECOND.is_none() } {
        return Ok(());
    }
    s.call(Last::<S, E> { s, e: E::new(params), t, io, d_operand })
}

struct Last<'a, 'b, S, E> {
    s: S,
    e: E,
    t: usize,
    io: &'a mut BackwardStep<'b>,
    d_operand: &'a [f32],
}

impl<S: Simd, E: Equations> Region for Last<'_, '_, S, E> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Last { s, e, t, io, d_operand } = self;
        let layout = const { &E::LAYOUT };
        let &mut BackwardStep { walk, dims, h0, y, ld, .. } = io;
        let hidden = dims.hidden;
        let state = walk.batch() * hidden;
        let before = Before::new(walk, h0, y, hidden);
        let fits = t < walk.steps()
            && before.is_some()
            && d_operand.len() == state
            && io.dh.len() == state
            && layout.tape_planes() * hidden <= ld
            && io.tape.has(walk, ld)
            && io.tape.ld() == ld;
        check(fits, "second stage of a backward step")?;
        let (dh, tape) = (io.dh.as_mut_ptr(), io.tape.start(0));
        for b in Rows::step(walk, t).iter() {
            let row = walk.row(t, b);
            let h = before.map_or(core::ptr::null(), |before| before.get(t, b));
            for unit in (0..hidden).step_by(S::LANES) {
                let left = hidden - unit;
                let at = b * hidden + unit;
                let zero = s.splat(0.0);
                // SAFETY: as in the first stage.
                unsafe {
                    let saved_at = tape.add(row * ld + unit);
                    let now = At {
                        planes: load_planes(s, saved_at, hidden, layout.sums, left),
                        h: if h.is_null() { zero } else { load(s, h.add(unit), left) },
                        c: zero,
                        p: [zero; 3],
                    };
                    let d = load(s, d_operand.as_ptr().add(at), left);
                    let (prev, dsums) = e.second_backward(s, now, d, load(s, dh.add(at), left));
                    store(s, dh.add(at), prev, left);
                    each!(a, layout.sums, {
                        store(s, saved_at.add(a * hidden), dsums[a % 4], left);
                    });
                }
            }
        }
        Ok(())
    }
}
