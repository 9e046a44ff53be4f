//! The rows that take part in a pass, as kernels go through them.

use super::place::{Place, parts};
use super::walk::Walk;

/// The rows that a kernel processes.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    kind: Kind<'a>,
    count: usize,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    All,
    Step { walk: &'a Walk<'a>, t: usize },
    Batch { walk: &'a Walk<'a>, t: usize },
    Block { walk: &'a Walk<'a>, first: usize },
    Present { walk: &'a Walk<'a>, first: usize, rows: usize },
}

impl<'a> Rows<'a> {
    /// All rows of a plain matrix.
    #[inline(always)]
    pub(crate) fn all(count: usize) -> Self {
        Rows { kind: Kind::All, count }
    }

    /// The batch rows that take part in step `t`.
    #[inline(always)]
    pub(crate) fn step(walk: &'a Walk<'a>, t: usize) -> Self {
        let count = match walk.is_dense() {
            true => walk.batch(),
            false => (0..walk.batch()).filter(|b| walk.active(t, *b)).count(),
        };
        Rows { kind: Kind::Step { walk, t }, count }
    }

    /// The same for a buffer with one row for each batch row.
    #[inline(always)]
    pub(crate) fn batch(walk: &'a Walk<'a>, t: usize) -> Self {
        Rows { kind: Kind::Batch { walk, t }, ..Rows::step(walk, t) }
    }

    /// The same for `count` steps from `first` on. Rows are numbered step by step.
    #[inline(always)]
    pub(crate) fn block(walk: &'a Walk<'a>, first: usize, count: usize) -> Self {
        let rows = count * walk.batch();
        let kind = Kind::Block { walk, first };
        let count = match walk.is_dense() {
            true => rows,
            false => (0..rows).filter(|row| kind.takes(*row)).count(),
        };
        Rows { kind, count }
    }

    /// The rows of a sequence buffer that take part in some step.
    #[inline(always)]
    pub(crate) fn present(walk: &'a Walk<'a>) -> Self {
        Rows::some(walk, 0, walk.rows())
    }

    /// The same for a buffer that holds only `rows` rows of the sequence buffer, from `first` on.
    #[inline(always)]
    pub(crate) fn some(walk: &'a Walk<'a>, first: usize, rows: usize) -> Self {
        let count = match walk.is_dense() && walk.place.is_whole() {
            true => rows,
            false => (first..first + rows).filter(|row| walk.present(*row)).count(),
        };
        Rows { kind: Kind::Present { walk, first, rows }, count }
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// The rows, in ascending order.
    #[inline(always)]
    pub(crate) fn iter(&self) -> Taken<'a> {
        Taken { rows: *self, left: self.count, at: 0 }
    }

    /// The number of rows of the buffer to which `source` refers.
    pub(crate) fn sources(&self) -> usize {
        match self.kind {
            Kind::All => self.count,
            Kind::Batch { walk, .. } => walk.batch(),
            Kind::Step { walk, .. } | Kind::Block { walk, .. } => walk.rows(),
            Kind::Present { rows, .. } => rows,
        }
    }

    /// The place of the rows that `source` returns, if they are rows of sequence buffers.
    #[inline(always)]
    pub(crate) fn place(&self) -> Option<&'a Place> {
        match self.kind {
            Kind::Step { walk, .. } | Kind::Block { walk, .. } => Some(&walk.place),
            Kind::All | Kind::Batch { .. } | Kind::Present { .. } => None,
        }
    }

    /// An upper bound: all rows are below it.
    #[inline(always)]
    pub(crate) fn end(&self) -> usize {
        match self.kind {
            Kind::All => self.count,
            Kind::Step { walk, .. } | Kind::Batch { walk, .. } => walk.batch(),
            Kind::Block { walk, first } => (walk.place.padded() - first) * walk.batch(),
            Kind::Present { rows, .. } => rows,
        }
    }

    /// The first row from `row` on that takes part. It exists as long as fewer than `count` rows were taken.
    #[inline(always)]
    pub(crate) fn next(&self, row: usize) -> usize {
        let dense = match self.kind {
            Kind::All => true,
            Kind::Present { walk, .. } => walk.is_dense() && walk.place.is_whole(),
            Kind::Step { walk, .. } | Kind::Batch { walk, .. } | Kind::Block { walk, .. } => walk.is_dense(),
        };
        if dense { row } else { self.kind.search(row) }
    }

    /// The source of row 0, if all rows take part and their sources follow each other.
    #[inline(always)]
    pub(crate) fn start(&self) -> Option<usize> {
        match self.kind {
            Kind::All => Some(0),
            Kind::Batch { walk, .. } => walk.is_dense().then_some(0),
            Kind::Present { walk, .. } => (walk.is_dense() && walk.place.is_whole()).then_some(0),
            Kind::Step { walk, t } => {
                (walk.is_dense() && walk.place.is_plain() && self.count > 0).then(|| walk.row(t, 0))
            }
            Kind::Block { walk, first } => (walk.regular() == Some(false)).then(|| first * walk.batch()),
        }
    }

    /// The row of the sequence buffer that belongs to a row.
    #[inline(always)]
    pub(crate) fn source(&self, row: usize) -> usize {
        match self.kind {
            Kind::All | Kind::Batch { .. } | Kind::Present { .. } => row,
            Kind::Step { walk, t } => walk.row(t, row),
            Kind::Block { walk, first } => {
                let (step, b) = parts(row, walk.batch());
                walk.row(first + step, b)
            }
        }
    }
}

/// An iterator over the rows that take part.
pub(crate) struct Taken<'a> {
    rows: Rows<'a>,
    left: usize,
    at: usize,
}

impl Taken<'_> {
    /// Takes up to `most` rows that follow each other: the first, and their number. The caller knows that
    /// all rows take part.
    #[inline(always)]
    pub(super) fn take_at_once(&mut self, most: usize) -> (usize, usize) {
        let (at, count) = (self.at, self.left.min(most));
        self.left -= count;
        self.at += count;
        (at, count)
    }
}

impl Iterator for Taken<'_> {
    type Item = usize;
    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let row = self.rows.next(self.at);
        self.at = row + 1;
        Some(row)
    }
}

impl Kind<'_> {
    #[inline(always)]
    fn takes(&self, row: usize) -> bool {
        match self {
            Kind::All => true,
            Kind::Step { walk, t } | Kind::Batch { walk, t } => walk.active(*t, row),
            Kind::Block { walk, first } => {
                let (step, b) = parts(row, walk.batch());
                walk.active(first + step, b)
            }
            Kind::Present { walk, first, .. } => walk.present(first + row),
        }
    }

    #[cold]
    fn search(&self, mut row: usize) -> usize {
        while !self.takes(row) {
            row += 1;
        }
        row
    }
}
