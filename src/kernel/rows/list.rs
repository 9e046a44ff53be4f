//! The rows of one call of a kernel, as lists of numbers.
//!
//! A walk knows which rows take part in a step and where they are. Kernels are compiled for many shapes of
//! tiles, so they take plain lists instead, which are made once per step.

use core::mem::MaybeUninit;

use super::taken::{Rows, Taken};
use crate::simd::HAS_VECTORS;

/// Rows of one call. With more, the weights are read once per `MOST` rows. Microcontrollers have little
/// stack.
pub(crate) const MOST: usize = if HAS_VECTORS { 96 } else { 4 };

/// `0, 1, 2, ...`
pub(crate) static COUNT: [usize; MOST] = {
    let (mut rows, mut i) = ([0; MOST], 0);
    while i < MOST {
        rows[i] = i;
        i += 1;
    }
    rows
};

/// Up to [`MOST`] rows that take part. A list is made for each step, so unused elements stay uninitialised.
pub(crate) struct RowList {
    /// The number of elements of both lists that have been written.
    count: usize,
    rows: [MaybeUninit<usize>; MOST],
    sources: [MaybeUninit<usize>; MOST],
}

impl RowList {
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        let none = [const { MaybeUninit::uninit() }; MOST];
        RowList { count: 0, rows: none, sources: none }
    }

    /// A list of one row: the first, which is row `source` of the sequence buffer.
    #[inline(always)]
    pub(crate) fn one(source: usize) -> Self {
        let mut list = RowList::new();
        list.rows[0].write(0);
        list.sources[0].write(source);
        list.count = 1;
        list
    }

    /// Replaces the list by the next rows of `taken`, an iterator over `rows`. Returns false if there are
    /// none.
    #[inline(always)]
    pub(crate) fn fill(&mut self, rows: Rows<'_>, taken: &mut Taken<'_>) -> bool {
        self.fill_up_to(MOST, rows, taken)
    }

    /// Like [`fill`](Self::fill), with at most `most` rows.
    #[inline(always)]
    pub(crate) fn fill_up_to(&mut self, most: usize, rows: Rows<'_>, taken: &mut Taken<'_>) -> bool {
        let most = most.min(MOST);
        // Usually all rows take part and follow each other. Then there is nothing to search for.
        if HAS_VECTORS && let Some(start) = rows.start() {
            let (at, count) = taken.take_at_once(most);
            for (i, (row, source)) in self.rows.iter_mut().zip(&mut self.sources).enumerate().take(count) {
                row.write(at + i);
                source.write(start + at + i);
            }
            self.count = count;
            return count > 0;
        }
        self.count = 0;
        while self.count < most
            && let Some(row) = taken.next()
        {
            self.rows[self.count].write(row);
            self.sources[self.count].write(rows.source(row));
            self.count += 1;
        }
        self.count > 0
    }

    /// The rows, ascending.
    #[inline(always)]
    pub(crate) fn rows(&self) -> &[usize] {
        // SAFETY: `fill` has written the first `count` elements, and `count` is at most `MOST`.
        unsafe { core::slice::from_raw_parts(self.rows.as_ptr().cast(), self.count) }
    }

    /// Their rows in the sequence buffer.
    #[inline(always)]
    pub(crate) fn sources(&self) -> &[usize] {
        // SAFETY: as above.
        unsafe { core::slice::from_raw_parts(self.sources.as_ptr().cast(), self.count) }
    }
}
