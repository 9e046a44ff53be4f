//! Rows times packed panels: the backward pass's `dh` and `dx`, projections, and dense layers.

use super::pack::{Dims, Source, Stream, pack_columns};
use super::recur::Layout;
use super::tile::{Acc, Tile, Weight, accumulate, drive, each_row, load, store};
use super::walk::Rows;
use crate::simd::{HAS_VECTORS, Region, Simd};

/// What the output holds before the product is added.
#[derive(Clone, Copy)]
pub(crate) enum Init<'a> {
    /// Nothing: it is overwritten and never read.
    Zero,
    /// The sum so far.
    Accumulate,
    /// A bias for each column.
    Bias(&'a [f32]),
}

/// Rows of the left operand.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    /// Distance of two rows.
    pub(crate) ld: usize,
    /// The rows of the output that are computed, and how they find their row here.
    pub(crate) rows: Rows<'a>,
    /// The columns that take part: `count` runs of `len`, run i starting at column `at[i] * len`.
    pub(crate) count: usize,
    pub(crate) len: usize,
    pub(crate) at: [usize; 4],
}

impl<'a> Left<'a> {
    /// All `k` columns of a plain matrix of `rows` rows.
    pub(crate) fn plain(data: &'a [f32], rows: usize, k: usize) -> Self {
        Left { data, ld: k, rows: Rows::all(rows), count: 1, len: k, at: [0; 4] }
    }

    fn fits(&self) -> bool {
        self.count <= 4
            && self.at[..self.count].iter().all(|at| (at + 1) * self.len <= self.ld)
            && self.data.len() == self.rows.sources() * self.ld
    }
}

struct ProductTile<'a, W> {
    left: Left<'a>,
    right: W,
    n: usize,
    c: *mut f32,
    init: Init<'a>,
    /// The panel that the tiles count from.
    first: usize,
}

/// Starting values of a tile of C.
/// # Safety
/// `c` is valid for reading `left` elements where the output is accumulated. A bias has elements from `column` on, at least `left`.
#[inline(always)]
pub(super) unsafe fn initial<S: Simd>(
    s: S,
    init: Init<'_>,
    c: *const f32,
    column: usize,
    left: usize,
) -> S::V {
    // SAFETY: the caller's.
    unsafe {
        match init {
            Init::Zero => s.splat(0.0),
            Init::Accumulate => load(s, c, left),
            Init::Bias(bias) => load(s, bias.as_ptr().add(column), left),
        }
    }
}

impl<S: Simd, W: Weight<S>> Tile<S> for ProductTile<'_, W> {
    const ACC: usize = 1;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let Left { data, ld, rows: all, count, len, at } = self.left;
        let panel = self.first + panel;
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the rows and panels exist, by the caller's promise, in buffers that the function which made the tile has checked;
        // a bias has `n` elements.
        unsafe {
            for m in 0..MB {
                for p in 0..NP {
                    let column = (panel + p) * S::LANES;
                    let c = self.c.add(rows[m] * self.n + column);
                    acc[m][p][0] = initial(s, self.init, c, column, self.n - column);
                }
            }
            for (run, at) in at.into_iter().enumerate().take(count) {
                let a = each_row!(|m| data.as_ptr().add(all.source(rows[m]) * ld + at * len));
                let right = self.right.skip(run * len);
                accumulate(s, &mut acc, 1, [0; 4], right, panel, a, 1, len);
            }
            for m in 0..MB {
                for p in 0..NP {
                    let column = (panel + p) * S::LANES;
                    let c = self.c.add(rows[m] * self.n + column);
                    store(s, c, acc[m][p][0], self.n - column);
                }
            }
        }
    }
}

/// Elements of `n` columns of `k` rows in panels of `lanes` columns.
pub(crate) const fn columns_len(lanes: usize, k: usize, n: usize) -> usize {
    match n.checked_next_multiple_of(lanes) {
        Some(n) => n.saturating_mul(k),
        None => usize::MAX,
    }
}

/// `c [B, n] (+)= left [B, k] * right [k, n]`, the right operand in panels of columns. Rows that take no part are left as they are.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn product<S: Simd>(s: S, left: Left<'_>, right: Right<'_>, c: &mut [f32], init: Init<'_>) {
    s.call(Product { s, left, right, c, init });
}

/// A function of its own, which all cells share.
struct Product<'a, S> {
    s: S,
    left: Left<'a>,
    right: Right<'a>,
    c: &'a mut [f32],
    init: Init<'a>,
}

impl<S: Simd> Region for Product<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Product { s, left, right, c, init } = self;
        let Right { data, k, first, n, packed } = right;
        let used = left.count * left.len;
        let fits = left.fits()
            && first + used <= k
            && data.len() >= if packed { columns_len(S::LANES, k, n) } else { k * n }
            && c.len() == left.rows.end() * n
            && !matches!(init, Init::Bias(bias) if bias.len() != n);
        // Without columns the rows of the right operand cannot be counted.
        debug_assert!(fits || n == 0);
        // Without columns `k` may be too much for a product.
        if !fits || n == 0 {
            return;
        }
        let (rows, whole, rest) = (left.rows, n / S::LANES, !n.is_multiple_of(S::LANES));
        let c = c.as_mut_ptr();
        // SAFETY: all rows of the batch and all panels of the columns exist in the buffers just checked; row
        // `first` lies within the right operand, or is its end and then is not read. The last panel of
        // unpacked columns, if it is not whole, goes through partial loads.
        unsafe {
            if packed {
                let start = data.as_ptr().add(first * S::LANES);
                let right = Stream { start, panel: k * S::LANES, gates: 1 };
                let tile = ProductTile { left, right, n, c, init, first: 0 };
                drive(s, &tile, rows, whole + usize::from(rest));
            } else {
                let start = data.as_ptr().add(first * n);
                let right = Matrix::<false> { start, ld: n, n };
                drive(s, &ProductTile { left, right, n, c, init, first: 0 }, rows, whole);
                if rest {
                    let right = Matrix::<true> { start, ld: n, n };
                    drive(s, &ProductTile { left, right, n, c, init, first: whole }, rows, 1);
                }
            }
        }
    }
}

/// `c [B, H] = left [B, width] * w^T`, where `w` holds the hidden weights of one gate.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn project<S: Simd, E: Layout, W: Source<S>>(
    s: S,
    left: Left<'_>,
    w: W,
    dims: Dims,
    c: &mut [f32],
) {
    let n = dims.hidden;
    let fits = E::HG == 1
        && w.fits::<E>(s, dims)
        && left.fits()
        && left.count * left.len == dims.width
        && c.len() == left.rows.end() * n;
    debug_assert!(fits);
    if fits {
        let tile = ProductTile { left, right: w.h::<E>(), n, c: c.as_mut_ptr(), init: Init::Zero, first: 0 };
        // SAFETY: all rows and panels exist in the buffers just checked, and the panels, with a weight for each column of `left`, in `w`.
        unsafe { drive(s, &tile, left.rows, n.div_ceil(S::LANES)) }
    }
}

/// `c [B, n] (+)= left [B, k] * w^T` with `w [n, k]` row-major and in place: for instruction sets of one lane, and the
/// same bits as [`product`] over packed rows.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn product_transposed<S: Simd>(s: S, left: Left<'_>, w: &[f32], c: &mut [f32], init: Init<'_>) {
    let (k, rows) = (left.count * left.len, left.rows);
    let n = c.len().checked_div(rows.end()).unwrap_or(0);
    let fits = S::LANES == 1
        && left.fits()
        && c.len() == rows.end() * n
        && w.len() == n * k
        && !matches!(init, Init::Bias(bias) if bias.len() != n);
    debug_assert!(fits || rows.end() == 0);
    if !fits {
        return;
    }
    let right = Transposed { start: w.as_ptr(), k };
    // SAFETY: all rows of the batch and all `n` rows of `w`, which are the panels, exist in the buffers just checked.
    unsafe { drive(s, &ProductTile { left, right, n, c: c.as_mut_ptr(), init, first: 0 }, rows, n) }
}

/// A row-major matrix `[n, k]`, one of whose rows is a panel.
#[derive(Clone, Copy)]
struct Transposed {
    start: *const f32,
    k: usize,
}

impl<S: Simd> Weight<S> for Transposed {
    #[inline(always)]
    unsafe fn get(self, s: S, panel: usize, k: usize, _: usize) -> S::V {
        // SAFETY: the caller names an element of the matrix; a vector has one lane here.
        s.splat(unsafe { *self.start.add(panel * self.k + k) })
    }
    #[inline(always)]
    fn skip(self, rows: usize) -> Self {
        Transposed { start: self.start.wrapping_add(rows), ..self }
    }
    #[inline(always)]
    fn chains(self, panel: usize, _: usize) -> Option<(*const f32, usize)> {
        Some((self.start.wrapping_add(panel * self.k), self.k))
    }
}

/// The right operand of [`product`]: rows `first..` of a `[k, n]` matrix.
#[derive(Clone, Copy)]
pub(crate) struct Right<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) k: usize,
    pub(crate) first: usize,
    pub(crate) n: usize,
    /// In panels of columns; otherwise row-major, which is slower when the rows are long.
    pub(crate) packed: bool,
}

/// From this many rows on, packing columns costs less than it saves. Measured with AVX2 on Zen: the two are
/// even between 32 rows (of 512 x 10000 weights) and 100 (of 256 x 96).
const PACK_ROWS: usize = 32;

impl<'a> Right<'a> {
    /// The same for a product of so many rows: few are not worth the packing.
    #[inline(always)]
    pub(crate) fn for_rows<S: Simd>(s: S, rows: usize, w: &'a [f32], n: usize, room: &'a mut [f32]) -> Self {
        match rows {
            ..PACK_ROWS => Right::plain(w, n),
            _ => Right::of(s, w, n, room),
        }
    }

    /// A whole `[k, n]` matrix, in place.
    fn plain(w: &'a [f32], n: usize) -> Self {
        Right { data: w, k: w.len().checked_div(n).unwrap_or(0), first: 0, n, packed: false }
    }

    /// Panels of the columns of a `[k, n]` matrix.
    pub(crate) fn panels(data: &'a [f32], k: usize, n: usize) -> Self {
        Right { data, k, first: 0, n, packed: true }
    }

    /// A whole `[k, n]` matrix, packed into `room` on targets with vectors.
    #[inline(always)]
    pub(crate) fn of<S: Simd>(s: S, w: &'a [f32], n: usize, room: &'a mut [f32]) -> Self {
        let right = Right::plain(w, n);
        if HAS_VECTORS {
            pack_columns(s, n, w, room);
            Right { data: room, packed: true, ..right }
        } else {
            right
        }
    }
}

/// A row-major matrix read in place. `TAIL` says that its last panel is not a whole vector.
#[derive(Clone, Copy)]
pub(super) struct Matrix<const TAIL: bool> {
    pub(super) start: *const f32,
    pub(super) ld: usize,
    pub(super) n: usize,
}

impl<S: Simd, const TAIL: bool> Weight<S> for Matrix<TAIL> {
    #[inline(always)]
    unsafe fn get(self, s: S, panel: usize, k: usize, _: usize) -> S::V {
        let column = panel * S::LANES;
        // SAFETY: the caller names a row and a panel of the matrix; with `TAIL` it is the last panel, of which fewer columns than
        // a vector are left.
        unsafe {
            let p = self.start.add(k * self.ld + column);
            if TAIL { s.load_n(p, self.n - column) } else { s.load(p) }
        }
    }
    #[inline(always)]
    fn skip(self, rows: usize) -> Self {
        Matrix { start: self.start.wrapping_add(rows * self.ld), ..self }
    }
    #[inline(always)]
    fn side_by_side(self, panel: usize) -> Option<(*const f32, usize)> {
        if TAIL { None } else { Some((self.start.wrapping_add(panel * S::LANES), self.ld)) }
    }
}

#[cfg(test)]
#[path = "product_tests.rs"]
mod tests;
