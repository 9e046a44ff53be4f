//! The forward equations on some units of one row: loads their inputs and stores their results.

use super::{At, Equations, Next, peepholes};
use crate::kernel::vector::{each, load, store};
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
/// says whether anything is saved.
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
    sums: [[S::V; 4]; N],
) {
    let all = Times::<_, N>(s);
    let zero = all.splat(0.0);
    let mut at = At { planes: [zero; 4], h: zero, c: zero, p: [zero; 3] };
    // SAFETY: the caller promises that `left` elements follow each unit in each buffer. All loads come before
    // all stores.
    unsafe {
        each!(n, N, {
            let unit = unit + n * S::LANES;
            let left = row.hidden - unit;
            each!(a, 4, {
                at.planes[a][n] = sums[n][a];
            });
            if E::READS_H {
                at.h[n] = load(s, row.h.add(unit), left);
            }
            if E::LAYOUT.has_c {
                at.c[n] = load(s, row.c.cast_const().add(unit), left);
            }
            if E::PEEPHOLES {
                let p = peepholes::<S, E>(s, row.peepholes, row.hidden, unit);
                each!(i, 3, {
                    at.p[i][n] = p[i];
                });
            }
        });
        let next = e.forward(all, at);
        each!(n, N, {
            let unit = unit + n * S::LANES;
            let left = row.hidden - unit;
            if E::SECOND.is_none() {
                put(s, row, unit, next.h[n]);
            }
            if E::LAYOUT.has_c {
                store(s, row.c.add(unit), next.c[n], left);
            }
            if SAVE && !row.saved.is_null() {
                each!(a, E::LAYOUT.sums, {
                    let mut saved = next.saved[a % 4][n];
                    if let Some(second) = const { E::SECOND }
                        && a == second.operand
                        && !row.factors.is_null()
                    {
                        saved = s.mul(saved, load(s, row.factors.add(unit), left));
                    }
                    store(s, row.saved.add(a * row.hidden + unit), saved, left);
                });
                if E::LAYOUT.has_c {
                    store(s, row.saved.add(E::LAYOUT.sums * row.hidden + unit), at.c[n], left);
                }
            }
        });
    }
}

/// The equations of the second stage on one vector of units, with the finished sum.
/// # Safety
/// As for [`first`]; `saved` holds the values that the first stage saved.
#[inline(always)]
pub(super) unsafe fn second<S: Simd, E: Equations>(s: S, e: E, row: &Row, unit: usize, sum: S::V) {
    let Some(stage) = (const { E::SECOND }) else { return };
    let left = row.hidden - unit;
    // SAFETY: the caller promises that `left` elements follow the unit in each buffer.
    unsafe {
        let saved = row.saved.add(unit);
        let mut planes = crate::kernel::vector::load_planes(s, saved, row.hidden, E::LAYOUT.sums, left);
        planes[stage.sum % 4] = sum;
        let zero = s.splat(0.0);
        let at = At { planes, h: load(s, row.h.add(unit), left), c: zero, p: [zero; 3] };
        let Next { h, saved: made, .. } = e.second(s, at);
        put(s, row, unit, h);
        store(s, saved.add(stage.sum * row.hidden), made[stage.sum % 4], left);
    }
}

/// Stores the next hidden state to the state and to the output.
/// # Safety
/// As for [`first`].
#[inline(always)]
unsafe fn put<S: Simd>(s: S, row: &Row, unit: usize, h: S::V) {
    // SAFETY: promised by the caller.
    unsafe {
        store(s, row.h_next.add(unit), h, row.hidden - unit);
        if !row.y.is_null() {
            store(s, row.y.add(unit), h, row.hidden - unit);
        }
    }
}
