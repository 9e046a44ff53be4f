//! Some columns of row-major matrices: what the two directions of a layer read and write of one buffer.

use core::marker::PhantomData;

/// Columns `column..column + width` of all rows of a matrix, `ld` apart.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) ld: usize,
    pub(crate) column: usize,
    pub(crate) width: usize,
}

impl<'a> Columns<'a> {
    /// All columns of a plain matrix.
    pub(crate) fn all(data: &'a [f32], width: usize) -> Self {
        Columns { data, ld: width, column: 0, width }
    }

    /// No more than the rows `first..`.
    pub(crate) fn skip(self, first: usize) -> Self {
        Columns { data: self.data.get(first * self.ld..).unwrap_or_default(), ..self }
    }

    /// No more than the first `count` rows.
    pub(crate) fn take(self, count: usize) -> Self {
        Columns { data: self.data.get(..count * self.ld).unwrap_or_default(), ..self }
    }

    /// Rows, or `None` if the buffer does not consist of whole ones, or they have no such columns.
    pub(crate) fn rows(&self) -> Option<usize> {
        let rows = self.data.len().checked_div(self.ld)?;
        (rows * self.ld == self.data.len() && self.column + self.width <= self.ld).then_some(rows)
    }

    /// Whether there are `width` columns of exactly `rows` rows.
    #[inline(always)]
    pub(crate) fn has(&self, rows: usize, width: usize) -> bool {
        self.width == width && self.data.len() == rows * self.ld && self.column + width <= self.ld
    }

    /// These columns of one row; empty for a row that does not exist.
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        self.data.get(row * self.ld + self.column..).and_then(|d| d.get(..self.width)).unwrap_or_default()
    }

    /// Where row `row` starts.
    #[inline(always)]
    pub(crate) fn start(&self, row: usize) -> *const f32 {
        self.data.as_ptr().wrapping_add(row * self.ld + self.column)
    }
}

/// Some columns of a row-major matrix, for writing. Other columns of the same rows may be written elsewhere at the same time.
pub(crate) struct ColumnsMut<'a> {
    start: *mut f32,
    rows: usize,
    ld: usize,
    width: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of its columns: `new` takes the buffer, `split` gives each column to one of the two halves,
// and nothing else has them.
unsafe impl Send for ColumnsMut<'_> {}

impl<'a> ColumnsMut<'a> {
    /// All columns of a plain matrix. A buffer of another length has no rows.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, width: usize) -> Self {
        let rows = if rows.checked_mul(width) == Some(data.len()) { rows } else { 0 };
        ColumnsMut { start: data.as_mut_ptr(), rows, ld: width, width, buffer: PhantomData }
    }

    /// The first `at` columns, and the others.
    pub(crate) fn split(self, at: usize) -> (Self, Self) {
        let at = at.min(self.width);
        let right = self.start.wrapping_add(if self.rows == 0 { 0 } else { at });
        (ColumnsMut { width: at, ..self }, ColumnsMut { start: right, width: self.width - at, ..self })
    }

    pub(crate) fn reborrow(&mut self) -> ColumnsMut<'_> {
        ColumnsMut { buffer: PhantomData, ..*self }
    }

    /// Whether there are `width` columns of exactly `rows` rows.
    #[inline(always)]
    pub(crate) fn has(&self, rows: usize, width: usize) -> bool {
        self.width == width && self.rows == rows
    }

    /// Where row `row` starts.
    #[inline(always)]
    pub(crate) fn start(&mut self, row: usize) -> *mut f32 {
        self.start.wrapping_add(row * self.ld)
    }

    pub(crate) fn ld(&self) -> usize {
        self.ld
    }

    /// These columns of one row; empty for a row that does not exist.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        if row >= self.rows {
            return &mut [];
        }
        // SAFETY: `row < rows`, which `new` sets only for a buffer of `rows` whole rows; its columns belong to no other view, and
        // `&mut self` keeps this one from a second slice.
        unsafe { core::slice::from_raw_parts_mut(self.start(row), self.width) }
    }
}
