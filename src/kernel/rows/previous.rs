//! The hidden states that steps start from, for the backward pass.

use super::view::Columns;
use super::walk::{Previous, Walk};

/// The hidden states that steps start from.
#[derive(Clone, Copy)]
pub(crate) struct Before<'a> {
    walk: &'a Walk<'a>,
    h0: &'a [f32],
    y: Columns<'a>,
    width: usize,
}

impl<'a> Before<'a> {
    /// `None` unless `h0` has `width` elements for each batch row, and `y` has `width` columns of all rows of
    /// the walk.
    #[inline(always)]
    pub(crate) fn new(walk: &'a Walk<'a>, h0: &'a [f32], y: Columns<'a>, width: usize) -> Option<Self> {
        let fits = h0.len() == walk.batch() * width && y.has(walk.rows(), width);
        fits.then_some(Before { walk, h0, y, width })
    }

    /// The same as a slice; empty if the state is zero.
    pub(crate) fn row(&self, t: usize, b: usize) -> &'a [f32] {
        match self.walk.previous(t, b) {
            Previous::Initial => &self.h0[b * self.width..][..self.width],
            Previous::Row(row) => self.y.row(row),
            Previous::Zero => &[],
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Whether this was made for the given walk.
    pub(crate) fn is_of(&self, walk: &Walk<'_>) -> bool {
        core::ptr::eq(self.walk, walk)
    }

    /// The address of the state before step `t` of batch row `b`; null if the state is zero.
    #[inline(always)]
    pub(crate) fn get(&self, t: usize, b: usize) -> *const f32 {
        match self.walk.previous(t, b) {
            Previous::Initial => self.h0.as_ptr().wrapping_add(b * self.width),
            Previous::Row(row) => self.y.start(row),
            Previous::Zero => core::ptr::null(),
        }
    }
}
