//! The rows of one call of a kernel, as lists of numbers.
//!
//! A walk knows which rows take part in a step and where they stand. Kernels are compiled for many shapes of tiles, so they are
//! given lists instead, which are made once per step.

use super::walk::{Rows, Taken};
use crate::simd::HAS_VECTORS;

/// Rows of one call. With more, the weights are read once per `MOST` rows. Microcontrollers have little stack.
pub(crate) const MOST: usize = if HAS_VECTORS { 96 } else { 16 };

/// `0, 1, 2, ...`
pub(crate) static COUNT: [usize; MOST] = {
    let (mut rows, mut i) = ([0; MOST], 0);
    while i < MOST {
        rows[i] = i;
        i += 1;
    }
    rows
};

/// Up to [`MOST`] rows that take part.
pub(crate) struct RowList {
    count: usize,
    rows: [usize; MOST],
    sources: [usize; MOST],
}

impl RowList {
    pub(crate) const fn new() -> Self {
        RowList { count: 0, rows: [0; MOST], sources: [0; MOST] }
    }

    /// Replaces the list by the next rows of `taken`, an iterator over `rows`. False if there are none.
    #[inline(always)]
    pub(crate) fn fill(&mut self, rows: Rows<'_>, taken: &mut Taken<'_>) -> bool {
        self.count = 0;
        while self.count < MOST
            && let Some(row) = taken.next()
        {
            self.rows[self.count] = row;
            self.sources[self.count] = rows.source(row);
            self.count += 1;
        }
        self.count > 0
    }

    /// The rows, ascending.
    #[inline(always)]
    pub(crate) fn rows(&self) -> &[usize] {
        self.rows.get(..self.count).unwrap_or_default()
    }

    /// Their rows in the sequence buffer.
    #[inline(always)]
    pub(crate) fn sources(&self) -> &[usize] {
        self.sources.get(..self.count).unwrap_or_default()
    }
}
