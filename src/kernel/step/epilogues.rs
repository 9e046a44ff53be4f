//! The epilogues of a batch step: a cell's equations as functions that read finished sums from memory. They
//! are compiled once for each cell and instruction set.

use core::ops::Range;

use super::io::Raw;
use super::{Equations, Params, SecondStage, units};
use crate::kernel::panel::layout::Layout;
use crate::kernel::rows::list::RowList;
use crate::kernel::vector::{each, load};
use crate::simd::{Region, Simd};

/// The epilogues of a cell on one instruction set, with the cell's layouts.
pub(crate) struct Epilogues<S> {
    pub(crate) layout: Layout,
    pub(crate) second: Option<SecondStage>,
    pub(super) reads_h: bool,
    /// # Safety
    /// As for [`Units`].
    pub(super) first: unsafe fn(S, &Params, &Units<'_>),
    /// # Safety
    /// As for [`Units`].
    pub(super) last: unsafe fn(S, &Params, &Units<'_>),
}

impl<S: Simd> Epilogues<S> {
    pub(crate) const fn of<E: Equations>() -> Self {
        Epilogues {
            layout: E::LAYOUT,
            second: E::SECOND,
            reads_h: E::READS_H,
            first: first::<S, E>,
            last: last::<S, E>,
        }
    }
}

/// Some units of some rows, with finished sums.
///
/// The rows take part in the step and exist in the buffers of `raw`, which fit the cell's layout; `units` are
/// below `hidden`. The sums are in the rows to save in if `raw` has them, otherwise in `sums`.
pub(super) struct Units<'a> {
    pub(super) raw: &'a Raw<'a>,
    pub(super) list: &'a RowList,
    pub(super) units: Range<usize>,
    /// Rows of `ld` elements, one for each row of the list, with planes of these units only.
    pub(super) sums: *const f32,
    pub(super) ld: usize,
    /// Planes to read from the projected rows instead, because no hidden weights feed them.
    pub(super) projected: [bool; 4],
}

/// Vectors of units that the equations handle at once.
const fn at_once<S: Simd, E: Equations>() -> usize {
    match (E::SEVERAL, S::ACCUMULATORS >= 24) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 4,
    }
}

/// The first stage's equations.
/// # Safety
/// As for [`Units`], with the layout of `E`.
unsafe fn first<S: Simd, E: Equations>(s: S, params: &Params, io: &Units<'_>) {
    s.call(First::<S, E> { s, e: E::new(params), io });
}

struct First<'a, S, E> {
    s: S,
    e: E,
    io: &'a Units<'a>,
}

impl<S: Simd, E: Equations> Region for First<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let First { s, e, io } = self;
        let (raw, hidden) = (io.raw, io.raw.dims.hidden);
        for (i, (&b, &seq)) in io.list.rows().iter().zip(io.list.sources()).enumerate() {
            let row = raw.row(b, seq);
            let width = io.units.len().next_multiple_of(S::LANES);
            let (from, plane, first) = match row.saved.is_null() {
                false => (row.saved.cast_const(), hidden, 0),
                true => (io.sums.wrapping_add(i * io.ld), width, io.units.start),
            };
            let mut planes = [from; 4];
            each!(a, 4, {
                planes[a] = match io.projected[a] {
                    true => raw.projected(b, seq).wrapping_add(a * hidden),
                    false => from.wrapping_add(a * plane).wrapping_sub(first),
                };
            });
            let mut unit = io.units.start;
            macro_rules! vectors {
                ($($n:literal)*) => {$(
                    if const { at_once::<S, E>() >= $n } {
                        while unit + ($n - 1) * S::LANES < io.units.end {
                            let mut sums = [[s.splat(0.0); 4]; $n];
                            // SAFETY: the rows exist, and have these units in each plane of the layout, by
                            // the promise of `first`.
                            unsafe {
                                for n in 0..$n {
                                    let at = unit + n * S::LANES;
                                    each!(a, E::LAYOUT.sums, {
                                        sums[n][a % 4] = load(s, planes[a % 4].add(at), hidden - at);
                                    });
                                }
                                units::first::<S, E, $n, true>(s, e, &row, unit, sums);
                            }
                            unit += $n * S::LANES;
                        }
                    }
                )*};
            }
            vectors!(4 2 1);
        }
    }
}

/// The second stage's equations.
/// # Safety
/// As for [`Units`], with the layout of `E`, and rows to save in.
unsafe fn last<S: Simd, E: Equations>(s: S, params: &Params, io: &Units<'_>) {
    if const { E::SECOND.is_some() } {
        s.call(Last::<S, E> { s, e: E::new(params), io });
    }
}

struct Last<'a, S, E> {
    s: S,
    e: E,
    io: &'a Units<'a>,
}

impl<S: Simd, E: Equations> Region for Last<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (Some(stage), Last { s, e, io }) = (const { E::SECOND }, self) else { return };
        let hidden = io.raw.dims.hidden;
        for (&b, &seq) in io.list.rows().iter().zip(io.list.sources()) {
            let row = io.raw.row(b, seq);
            for unit in io.units.clone().step_by(S::LANES) {
                // SAFETY: the rows exist, and have these units in each plane of the layout, by the promise of
                // `last`.
                unsafe {
                    let sum = load(s, row.saved.cast_const().add(stage.sum * hidden + unit), hidden - unit);
                    units::second::<S, E>(s, e, &row, unit, sum);
                }
            }
        }
    }
}
