//! The epilogues of a batch step: a cell's equations as functions that read finished sums from memory. They
//! are compiled once for each cell and instruction set.

use core::ops::Range;

use super::io::Raw;
use super::units::{self, Row};
use super::{Equations, Params, SecondStage};
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

impl Units<'_> {
    /// Row `i` of the list, and where its sums are: plane by plane, the address of unit 0.
    #[inline(always)]
    fn row(&self, i: usize, lanes: usize) -> (Row, [*const f32; 4]) {
        let (raw, hidden) = (self.raw, self.raw.dims.hidden);
        let (b, seq) = (self.list.rows()[i], self.list.sources()[i]);
        let row = raw.row(b, seq);
        let width = self.units.len().next_multiple_of(lanes);
        let (from, plane, first) = match row.saved.is_null() {
            false => (row.saved.cast_const(), hidden, 0),
            true => (self.sums.wrapping_add(i * self.ld), width, self.units.start),
        };
        let mut planes = [from; 4];
        each!(a, 4, {
            planes[a] = match self.projected[a] {
                true => raw.projected(b, seq).wrapping_add(a * hidden),
                false => from.wrapping_add(a * plane).wrapping_sub(first),
            };
        });
        (row, planes)
    }
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
        for i in 0..io.list.rows().len() {
            let (row, planes) = io.row(i, S::LANES);
            let mut unit = io.units.start;
            macro_rules! vectors {
                ($($n:literal)*) => {$(
                    if const { at_once::<S, E>() >= $n } {
                        while unit + ($n - 1) * S::LANES < io.units.end {
                            let mut sums = [[s.splat(0.0); $n]; 4];
                            // SAFETY: the rows exist, and have these units in each plane of the layout, by
                            // the promise of `first`.
                            unsafe {
                                each!(a, const { E::LAYOUT.sums }, {
                                    sums[a % 4] = units::load_all(s, planes[a % 4], row.hidden, unit);
                                });
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
        let Last { s, e, io } = self;
        let sum = const { units::second_stage::<E>().sum };
        for i in 0..io.list.rows().len() {
            let row = io.raw.row(io.list.rows()[i], io.list.sources()[i]);
            let mut unit = io.units.start;
            while unit < io.units.end {
                // SAFETY: the rows exist, and have these units in each plane of the layout, by the promise of
                // `last`.
                unsafe {
                    let at = sum * row.hidden + unit;
                    let sum = load(s, row.saved.cast_const().add(at), row.hidden - unit);
                    units::second::<S, E>(s, e, &row, unit, sum);
                }
                unit += S::LANES;
            }
        }
    }
}
