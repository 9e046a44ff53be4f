//! The elementwise part of one backward step, and the backward functions of a cell.

use super::units::Uses;
use super::{At, Equations, Params, Prev, SecondStage, peepholes, peepholes_start};
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::rows::previous::Before;
use crate::kernel::rows::view::{Columns, ColumnsMut};
use crate::kernel::rows::walk::Walk;
use crate::kernel::vector::{each, load, load_planes, store};
use crate::kernel::{Checked, Wrong, check};
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
        let raw = Raw::new(const { &E::LAYOUT }, E::READS_H, t, io)?;
        for b in 0..raw.walk.batch() {
            let Some(row) = raw.row(t, b) else { continue };
            let uses = const { &Uses::of::<E>(true) };
            let mut unit = 0;
            while unit < row.hidden {
                // SAFETY: the buffers have the row, and `unit < hidden`.
                unsafe {
                    let (now, dh, dc) = load_now(s, &raw, &row, unit, uses);
                    store_prev(s, &raw, &row, unit, uses, e.backward(s, now, dh, dc));
                }
                unit += S::LANES;
            }
        }
        Ok(())
    }
}

/// What the first stage's equations read, and the gradients of the next state.
/// # Safety
/// The buffers have the row, and `unit < hidden`.
#[inline(always)]
unsafe fn load_now<S: Simd>(
    s: S,
    raw: &Raw<'_>,
    row: &Row,
    unit: usize,
    uses: &Uses,
) -> (At<S::V>, S::V, S::V) {
    let (hidden, left, zero) = (row.hidden, row.hidden - unit, s.splat(0.0));
    // SAFETY: `left` elements follow `unit`, by the caller's promise.
    unsafe {
        let saved = row.saved.add(unit);
        let mut dh = load(s, row.dh.add(unit), left);
        if !row.dy.is_null() {
            dh = s.add(dh, load(s, row.dy.add(unit), left));
        }
        let planes = load_planes(s, saved, hidden, uses.sums, left);
        let mut now = At { planes, h: zero, c: zero, p: [zero; 3] };
        let mut dc = zero;
        if uses.c {
            now.c = load(s, saved.add(uses.sums * hidden), left);
            dc = load(s, row.dc.add(unit), left);
        }
        if uses.h && !row.h.is_null() {
            now.h = load(s, row.h.add(unit), left);
        }
        if uses.peepholes {
            now.p = peepholes(s, raw.peepholes, hidden, unit);
        }
        (now, dh, dc)
    }
}

/// Stores the gradients of the sums and of the previous state.
/// # Safety
/// As for [`load_now`].
#[inline(always)]
unsafe fn store_prev<S: Simd>(s: S, raw: &Raw<'_>, row: &Row, unit: usize, uses: &Uses, prev: Prev<S::V>) {
    let (hidden, left) = (row.hidden, row.hidden - unit);
    // SAFETY: as for the loads.
    unsafe {
        let saved = row.saved.add(unit);
        store_planes(s, saved, hidden, uses.sums, prev.dsums, left);
        store(s, row.dh.add(unit), prev.dh, left);
        if uses.c {
            store(s, row.dc.add(unit), prev.dc, left);
            if raw.keep_out {
                store(s, saved.add(uses.sums * hidden), prev.out, left);
            }
        }
        if uses.peepholes && !raw.dpeepholes.is_null() {
            add_planes(s, raw.dpeepholes.add(unit), hidden, prev.dp, left);
        }
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
        let raw = Raw::last(const { &E::LAYOUT }, t, io, d_operand)?;
        for b in 0..raw.walk.batch() {
            let Some(row) = raw.row(t, b) else { continue };
            let hidden = row.hidden;
            let d_operand = d_operand.as_ptr().wrapping_add(b * hidden);
            let mut unit = 0;
            while unit < hidden {
                let left = hidden - unit;
                let zero = s.splat(0.0);
                // SAFETY: as in the first stage.
                unsafe {
                    let saved = row.saved.add(unit);
                    let planes = load_planes(s, saved, hidden, const { E::LAYOUT.sums }, left);
                    let mut now = At { planes, h: zero, c: zero, p: [zero; 3] };
                    if !row.h.is_null() {
                        now.h = load(s, row.h.add(unit), left);
                    }
                    let d = load(s, d_operand.add(unit), left);
                    let (prev, dsums) = e.second_backward(s, now, d, load(s, row.dh.add(unit), left));
                    store(s, row.dh.add(unit), prev, left);
                    store_planes(s, saved, hidden, const { E::LAYOUT.sums }, dsums, left);
                }
                unit += S::LANES;
            }
        }
        Ok(())
    }
}

/// The buffers of a stage, after the check. A pointer is null if the buffer does not exist.
struct Raw<'a> {
    walk: &'a Walk<'a>,
    hidden: usize,
    before: Option<Before<'a>>,
    dy: Option<Columns<'a>>,
    dh: *mut f32,
    dc: *mut f32,
    tape: *mut f32,
    ld: usize,
    keep_out: bool,
    peepholes: *const f32,
    dpeepholes: *mut f32,
}

/// The same for a row that takes part.
struct Row {
    hidden: usize,
    /// The state before the step, if it is read and not zero.
    h: *const f32,
    dy: *const f32,
    dh: *mut f32,
    dc: *mut f32,
    saved: *mut f32,
}

impl<'a> Raw<'a> {
    /// Checks the buffers of the first stage of step `t`.
    #[cfg_attr(target_os = "none", inline(always))]
    fn new(layout: &Layout, reads_h: bool, t: usize, io: &mut BackwardStep<'a>) -> Result<Self, Wrong> {
        let raw = Raw::of(io, reads_h);
        let cells = if layout.has_c { raw.walk.batch() * raw.hidden } else { 0 };
        let p = peepholes_start(io.peepholes, raw.hidden);
        let fits = raw.fits(layout, t, io)
            && (!reads_h || raw.before.is_some())
            && io.dc.len() == cells
            && raw.dy.is_none_or(|dy| dy.has(raw.walk.rows(), raw.hidden))
            && (io.dpeepholes.is_empty() || io.dpeepholes.len() == 3 * raw.hidden)
            && p.is_some();
        check(fits, "backward step")?;
        Ok(Raw { peepholes: p.unwrap_or(core::ptr::null()), ..raw })
    }

    /// Checks those of the second stage.
    #[cfg_attr(target_os = "none", inline(always))]
    fn last(layout: &Layout, t: usize, io: &mut BackwardStep<'a>, d_operand: &[f32]) -> Result<Self, Wrong> {
        let raw = Raw::of(io, true);
        let fits = raw.fits(layout, t, io) && raw.before.is_some() && d_operand.len() == io.dh.len();
        check(fits, "second stage of a backward step")?;
        Ok(raw)
    }

    /// The buffers before the check.
    #[inline(always)]
    fn of(io: &mut BackwardStep<'a>, reads_h: bool) -> Self {
        let &mut BackwardStep { walk, dims, h0, y, dy, ld, keep_out, .. } = io;
        let hidden = dims.hidden;
        let dpeepholes = match io.dpeepholes.is_empty() {
            true => core::ptr::null_mut(),
            false => io.dpeepholes.as_mut_ptr(),
        };
        Raw {
            walk,
            hidden,
            before: if reads_h { Before::new(walk, h0, y, hidden) } else { None },
            dy,
            dh: io.dh.as_mut_ptr(),
            dc: io.dc.as_mut_ptr(),
            tape: io.tape.start(0),
            ld,
            keep_out,
            peepholes: core::ptr::null(),
            dpeepholes,
        }
    }

    /// Whether the buffers that both stages use have the rows of step `t`.
    #[inline(always)]
    fn fits(&self, layout: &Layout, t: usize, io: &BackwardStep<'_>) -> bool {
        t < self.walk.steps()
            && io.dh.len() == self.walk.batch() * self.hidden
            && layout.tape_planes() * self.hidden <= self.ld
            && io.tape.has(self.walk, self.ld)
            && io.tape.ld() == self.ld
    }

    /// The buffers of batch row `b`, if it takes part in step `t`. Then its row of the sequence is below
    /// `walk.rows()`: the tape and the states have it, and `h` is one that `Before::new` has checked.
    #[inline(always)]
    fn row(&self, t: usize, b: usize) -> Option<Row> {
        if !self.walk.active(t, b) {
            return None;
        }
        let seq = self.walk.row(t, b);
        let at = b * self.hidden;
        Some(Row {
            hidden: self.hidden,
            h: match &self.before {
                Some(before) => before.get(t, b),
                None => core::ptr::null(),
            },
            dy: match &self.dy {
                Some(dy) => dy.start(seq),
                None => core::ptr::null(),
            },
            dh: self.dh.wrapping_add(at),
            dc: self.dc.wrapping_add(at),
            saved: self.tape.wrapping_add(seq * self.ld),
        })
    }
}

/// Stores the first `count` of some vectors to the same units of as many planes.
/// # Safety
/// `p`, and the addresses `plane`, `2 * plane`, ... elements after it, are valid for writing `left` elements.
#[inline(always)]
unsafe fn store_planes<S: Simd>(s: S, p: *mut f32, plane: usize, count: usize, v: [S::V; 4], left: usize) {
    each!(a, 4, {
        if a < count {
            // SAFETY: the caller's promise.
            unsafe { store(s, p.add(a * plane), v[a], left) };
        }
    });
}

/// Adds vectors to the same units of three planes.
/// # Safety
/// `p`, and the addresses `plane` and `2 * plane` elements after it, are valid for `left` elements.
#[inline(always)]
unsafe fn add_planes<S: Simd>(s: S, p: *mut f32, plane: usize, v: [S::V; 3], left: usize) {
    each!(i, 3, {
        // SAFETY: the caller's promise.
        unsafe {
            let to = p.add(i * plane);
            store(s, to, s.add(load(s, to, left), v[i]), left);
        }
    });
}
