//! Views of some columns, or some rows, of row-major matrices. With them, the two directions of a layer, and
//! several threads, read and write parts of one buffer.

use core::marker::PhantomData;

#[cfg(not(target_os = "none"))]
use super::place::Place;
use super::place::Whose;
use super::taken::Rows;
use super::walk::Walk;

/// Columns `column..column + width` of all rows of a matrix; the distance between rows is `ld`.
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

    /// Only the rows from `first` on.
    pub(crate) fn skip(self, first: usize) -> Self {
        Columns { data: self.data.get(first * self.ld..).unwrap_or_default(), ..self }
    }

    /// Only the first `count` rows.
    pub(crate) fn take(self, count: usize) -> Self {
        Columns { data: self.data.get(..count * self.ld).unwrap_or_default(), ..self }
    }

    /// The number of rows. `None` if the buffer does not consist of whole rows, or the rows do not have these
    /// columns.
    pub(crate) fn rows(&self) -> Option<usize> {
        let rows = self.data.len().checked_div(self.ld)?;
        (rows * self.ld == self.data.len() && self.column + self.width <= self.ld).then_some(rows)
    }

    /// Whether this has `width` columns of exactly `rows` rows.
    #[inline(always)]
    pub(crate) fn has(&self, rows: usize, width: usize) -> bool {
        self.width == width && self.data.len() == rows * self.ld && self.column + width <= self.ld
    }

    /// These columns of one row; empty for a row that does not exist.
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        self.data.get(row * self.ld + self.column..).and_then(|d| d.get(..self.width)).unwrap_or_default()
    }

    /// The address at which row `row` starts.
    #[inline(always)]
    pub(crate) fn start(&self, row: usize) -> *const f32 {
        self.data.as_ptr().wrapping_add(row * self.ld + self.column)
    }
}

/// All columns of a row-major matrix, for reading. The view covers all rows, or the steps of some batch rows
/// while other threads write to the rest.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    start: *const f32,
    len: usize,
    ld: usize,
    /// The batch rows that the view may access.
    whose: Whose,
    buffer: PhantomData<&'a [f32]>,
}

impl<'a> Matrix<'a> {
    /// A plain matrix whose rows have a distance of `ld`.
    #[inline(always)]
    pub(crate) fn new(data: &'a [f32], ld: usize) -> Self {
        Matrix { start: data.as_ptr(), len: data.len(), ld, whose: Whose::ALL, buffer: PhantomData }
    }

    /// Whether this has exactly as many rows as the buffer that `rows` refers to, and may access those that
    /// `rows` selects.
    #[inline(always)]
    pub(crate) fn has(&self, rows: &Rows<'_>) -> bool {
        let has = self.len == rows.sources() * self.ld;
        has && self.whose.cover(rows.place())
    }

    /// The distance between two rows.
    #[inline(always)]
    pub(crate) fn ld(&self) -> usize {
        self.ld
    }

    /// The address at which row `row` starts.
    #[inline(always)]
    pub(crate) fn start(&self, row: usize) -> *const f32 {
        self.start.wrapping_add(row * self.ld)
    }
}

/// Some columns of a row-major matrix, for writing. The view covers all rows, or the steps of some batch
/// rows. The rest of the matrix may be written elsewhere at the same time.
pub(crate) struct ColumnsMut<'a> {
    start: *mut f32,
    rows: usize,
    ld: usize,
    width: usize,
    /// The batch rows that the view may access.
    whose: Whose,
    buffer: PhantomData<&'a mut [f32]>,
}

// SAFETY: this is a mutable borrow of its elements. `new` takes the buffer; `split` gives each column, and
// `split_batch` each row, to one of the two halves; nothing else can access them.
unsafe impl Send for ColumnsMut<'_> {}

impl<'a> ColumnsMut<'a> {
    /// All columns of a plain matrix. If the length of the buffer is wrong, the view has no rows.
    pub(crate) fn new(data: &'a mut [f32], rows: usize, width: usize) -> Self {
        let rows = if rows.checked_mul(width) == Some(data.len()) { rows } else { 0 };
        ColumnsMut {
            start: data.as_mut_ptr(),
            rows,
            ld: width,
            width,
            whose: Whose::ALL,
            buffer: PhantomData,
        }
    }

    /// The first `at` columns, and the rest.
    pub(crate) fn split(self, at: usize) -> (Self, Self) {
        let at = at.min(self.width);
        let right = self.start.wrapping_add(if self.rows == 0 { 0 } else { at });
        (ColumnsMut { width: at, ..self }, ColumnsMut { start: right, width: self.width - at, ..self })
    }

    /// The steps of the first `at` batch rows of a walk, and those of its other batch rows. If this view
    /// lacks some of them, neither half has rows.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn split_batch(self, walk: &Walk<'_>, at: usize) -> (Self, Self) {
        let place = walk.place();
        let rows = if self.has(walk, self.width) { self.rows } else { 0 };
        let half = |place: Place| ColumnsMut { rows, whose: Whose::of(place), ..self };
        (half(place.part(0, at)), half(place.part(at, place.batch())))
    }

    pub(crate) fn reborrow(&mut self) -> ColumnsMut<'_> {
        ColumnsMut { buffer: PhantomData, ..*self }
    }

    /// The same for reading. If this view lacks some columns, the result has no rows.
    #[inline(always)]
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        let len = if self.width == self.ld { self.rows * self.ld } else { 0 };
        Matrix { start: self.start, len, ld: self.ld, whose: self.whose, buffer: PhantomData }
    }

    /// Whether this has `width` columns of the rows of a walk, and the number of rows of the walk's buffers.
    #[inline(always)]
    pub(crate) fn has(&self, walk: &Walk<'_>, width: usize) -> bool {
        let has = self.width == width && self.rows == walk.rows();
        has && self.whose.cover(Some(walk.place()))
    }

    /// The address at which row `row` starts.
    #[inline(always)]
    pub(crate) fn start(&mut self, row: usize) -> *mut f32 {
        self.start.wrapping_add(row * self.ld)
    }

    pub(crate) fn ld(&self) -> usize {
        self.ld
    }

    /// These columns of one row; empty if the row does not exist or is not accessible.
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        if row >= self.rows || !self.whose.have(row) {
            return &mut [];
        }
        // SAFETY: `row < rows`, which `new` sets only for a buffer of `rows` whole rows. The columns of this
        // row belong to no other view, and `&mut self` prevents a second slice from this one.
        unsafe { core::slice::from_raw_parts_mut(self.start(row), self.width) }
    }
}
