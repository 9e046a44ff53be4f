//! The forward equations on some units of one row: loads their inputs and stores their results.

use super::{At, Equations, Next, SecondStage};
use crate::kernel::panel::layout::Layout;
use crate::kernel::vector::{each, load, load_one_of, store, store_one_of};
use crate::simd::{Simd, Times};

/// The buffers of a row. A pointer is null if the row has no such buffer.
#[derive(Clone, Copy)]
pub(super) struct Row {
    /// Number of units.
    pub(super) hidden: usize,
    pub(super) h: *const f32,
    pub(super) h_next: *mut f32,
    pub(super) c: *mut f32,
    pub(super) y: *mut f32,
    /// Saved values: planes of `hidden` elements.
    pub(super) saved: *mut f32,
    /// Shared by all rows, `[3, hidden]`.
    pub(super) peepholes: *const f32,
    /// Factors that multiply the operand of a second stage.
    pub(super) factors: *const f32,
}

/// The equations of the first stage on `N` vectors of units, starting at `unit`, from finished sums. `SAVE`
/// says whether a cell with one stage saves anything.
/// # Safety
/// `N` vectors of units exist from `unit` on; the last one may be partial. Each buffer that is not null has
/// `hidden` elements; `saved` has `hidden` for each of `tape_planes`. Not null are: `h` if it is read,
/// `h_next` unless there is a second stage, and `c` if the cell has one.
#[inline(always)]
pub(super) unsafe fn first<S: Simd, E: Equations, const N: usize, const SAVE: bool>(
    s: S,
    e: E,
    row: &Row,
    unit: usize,
    sums: [[S::V; N]; 4],
) {
    let uses = const { &Uses::of::<E>(SAVE) };
    // SAFETY: promised by the caller. All loads come before all stores.
    unsafe {
        let at = load_at(s, row, unit, uses, sums);
        let c = at.c;
        let next = e.forward(Times::<_, N>(s), at);
        store_next(s, row, unit, uses, next, c);
    }
}

/// What the equations of a cell read, and what is stored of their results.
pub(super) struct Uses {
    pub(super) h: bool,
    pub(super) c: bool,
    pub(super) peepholes: bool,
    pub(super) sums: usize,
    /// The sum that is the operand of the second stage, if there is one.
    operand: Option<usize>,
    saves: bool,
}

impl Uses {
    /// `saves` says whether a cell with one stage saves anything.
    pub(super) const fn of<E: Equations>(saves: bool) -> Self {
        Uses {
            h: E::READS_H,
            c: E::LAYOUT.has_c,
            peepholes: E::PEEPHOLES,
            sums: E::LAYOUT.sums,
            operand: match E::SECOND {
                Some(stage) => Some(stage.operand),
                None => None,
            },
            saves: saves || E::SECOND.is_some(),
        }
    }
}

/// What the first stage's equations read.
/// # Safety
/// As for [`first`].
#[inline(always)]
unsafe fn load_at<S: Simd, const N: usize>(
    s: S,
    row: &Row,
    unit: usize,
    uses: &Uses,
    sums: [[S::V; N]; 4],
) -> At<[S::V; N]> {
    let zero = [s.splat(0.0); N];
    let mut at = At { planes: sums, h: zero, c: zero, p: [zero; 3] };
    // SAFETY: promised by the caller.
    unsafe {
        if uses.h {
            at.h = load_all(s, row.h, row.hidden, unit);
        }
        if uses.c {
            at.c = load_all(s, row.c.cast_const(), row.hidden, unit);
        }
        if uses.peepholes && !row.peepholes.is_null() {
            each!(i, 3, {
                at.p[i] = load_all(s, row.peepholes.add(i * row.hidden), row.hidden, unit);
            });
        }
    }
    at
}

/// Stores the results of the first stage's equations, and the previous cell state `c` for the backward pass.
/// # Safety
/// As for [`first`].
#[inline(always)]
unsafe fn store_next<S: Simd, const N: usize>(
    s: S,
    row: &Row,
    unit: usize,
    uses: &Uses,
    mut next: Next<[S::V; N]>,
    c: [S::V; N],
) {
    // SAFETY: promised by the caller.
    unsafe {
        if uses.operand.is_none() {
            put(s, row, unit, next.h);
        }
        if uses.c {
            store_all(s, row.c, row.hidden, unit, next.c);
        }
        if !uses.saves || row.saved.is_null() {
            return;
        }
        if let Some(operand) = uses.operand
            && !row.factors.is_null()
        {
            let factors = load_all(s, row.factors, row.hidden, unit);
            next.saved[operand % 4] = Times::<_, N>(s).mul(next.saved[operand % 4], factors);
        }
        each!(n, N, {
            let at = unit + n * S::LANES;
            let mut to = row.saved.add(at);
            each!(a, uses.sums, {
                store_one_of::<S, N>(s, n, to, next.saved[a % 4][n], row.hidden - at);
                to = to.wrapping_add(row.hidden);
            });
            if uses.c {
                store_one_of::<S, N>(s, n, to, c[n], row.hidden - at);
            }
        });
    }
}

/// The equations of the second stage on one vector of units, with the finished sum.
/// # Safety
/// As for [`first`]; `saved` holds the values that the first stage saved.
#[inline(always)]
pub(super) unsafe fn second<S: Simd, E: Equations>(s: S, e: E, row: &Row, unit: usize, sum: S::V) {
    let stage = const { second_stage::<E>() };
    let left = row.hidden - unit;
    // SAFETY: the caller promises that `left` elements follow the unit in each buffer.
    unsafe {
        let saved = row.saved.add(unit);
        let mut planes =
            crate::kernel::vector::load_planes(s, saved, row.hidden, const { E::LAYOUT.sums }, left);
        planes[stage.sum % 4] = sum;
        let zero = s.splat(0.0);
        let at = At { planes, h: load(s, row.h.add(unit), left), c: zero, p: [zero; 3] };
        let Next { h, saved: made, .. } = e.second(s, at);
        put(s, row, unit, [h]);
        store(s, saved.add(stage.sum * row.hidden), made[stage.sum % 4], left);
    }
}

/// The second stage of a cell. Nothing reads it if the cell has none.
pub(super) const fn second_stage<E: Equations>() -> SecondStage {
    match E::SECOND {
        Some(stage) => stage,
        None => SecondStage { layout: Layout::hidden_gate(0), sum: 0, operand: 0 },
    }
}

/// Stores the next hidden state to the state and to the output.
/// # Safety
/// As for [`first`].
#[inline(always)]
unsafe fn put<S: Simd, const N: usize>(s: S, row: &Row, unit: usize, h: [S::V; N]) {
    // SAFETY: promised by the caller.
    unsafe {
        store_all(s, row.h_next, row.hidden, unit, h);
        if !row.y.is_null() {
            store_all(s, row.y, row.hidden, unit, h);
        }
    }
}

/// Loads `N` vectors of a row of `hidden` elements, from element `unit` on. The last one may be partial.
/// # Safety
/// The row is valid for reading; it has elements of each of these vectors.
#[inline(always)]
pub(super) unsafe fn load_all<S: Simd, const N: usize>(
    s: S,
    row: *const f32,
    hidden: usize,
    unit: usize,
) -> [S::V; N] {
    let mut out = [s.splat(0.0); N];
    each!(n, N, {
        let at = unit + n * S::LANES;
        // SAFETY: promised by the caller.
        out[n] = unsafe { load_one_of::<S, N>(s, n, row.add(at), hidden - at) };
    });
    out
}

/// Stores `N` vectors to a row of `hidden` elements, from element `unit` on. The last one may be partial.
/// # Safety
/// The row is valid for writing; it has elements of each of these vectors.
#[inline(always)]
unsafe fn store_all<S: Simd, const N: usize>(s: S, row: *mut f32, hidden: usize, unit: usize, v: [S::V; N]) {
    each!(n, N, {
        let at = unit + n * S::LANES;
        // SAFETY: promised by the caller.
        unsafe { store_one_of::<S, N>(s, n, row.add(at), v[n], hidden - at) };
    });
}
