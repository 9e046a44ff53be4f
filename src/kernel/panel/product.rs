//! Rows times packed panels: the backward pass's `dh` and `dx`, projections, and dense layers.

use core::ops::Range;

use super::layout::Layout;
use super::pack::{Dims, Panels, pack_columns};
use super::sums::{self, Job, Part, Planes, Start};
use super::tile::{Tile, Weight, accumulate, drive_row};
use crate::kernel::rows::list::RowList;
use crate::kernel::rows::taken::Rows;
use crate::kernel::rows::view::Matrix;
use crate::kernel::team::{Team, in_parts};
use crate::kernel::{Checked, check};
use crate::simd::{HAS_VECTORS, Region, Simd};

/// The initial value of the output.
#[derive(Clone, Copy)]
pub(crate) enum Init<'a> {
    /// Zero: the output is overwritten and not read.
    Zero,
    /// The current contents: the product is added to them.
    Accumulate,
    /// A bias for each column.
    Bias(&'a [f32]),
}

/// The left operand of a product.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) of: Matrix<'a>,
    /// The rows of the output that are computed, and the row of `of` for each.
    pub(crate) rows: Rows<'a>,
    /// The columns that take part: `count` runs of `len` columns. Run i starts at column `at[i] * len`.
    pub(crate) count: usize,
    pub(crate) len: usize,
    pub(crate) at: [usize; 4],
}

impl<'a> Left<'a> {
    /// All `k` columns of a plain matrix of `rows` rows.
    #[inline(always)]
    pub(crate) fn plain(data: &'a [f32], rows: usize, k: usize) -> Self {
        Left { of: Matrix::new(data, k), rows: Rows::all(rows), count: 1, len: k, at: [0; 4] }
    }

    /// Whether this is a matrix of rows of `k` elements, and all columns take part.
    pub(crate) fn is_matrix(&self, k: usize) -> bool {
        self.fits() && self.count == 1 && self.at[0] == 0 && self.len == k
    }

    fn fits(&self) -> bool {
        self.count <= 4
            && self.at[..self.count].iter().all(|at| (at + 1) * self.len <= self.of.ld())
            && self.of.has(&self.rows)
    }
}

/// The length of `n` columns of `k` rows in panels of `lanes` columns.
pub(crate) const fn columns_len(lanes: usize, k: usize, n: usize) -> usize {
    match n.checked_next_multiple_of(lanes) {
        Some(n) => n.saturating_mul(k),
        None => usize::MAX,
    }
}

/// `c [B, n] (+)= left [B, k] * right [k, n]`, with the right operand in panels of columns or row-major. Rows
/// of `c` that take no part are not changed.
#[inline(always)]
pub(crate) fn product<S: Simd>(
    s: S,
    left: Left<'_>,
    right: Right<'_>,
    c: &mut [f32],
    init: Init<'_>,
) -> Checked {
    product_on(None, s, left, right, c, init)
}

/// [`product`] in parts of the columns, which threads share.
#[inline(always)]
pub(crate) fn product_on<S: Simd>(
    team: Option<Team<'_>>,
    s: S,
    left: Left<'_>,
    right: Right<'_>,
    c: &mut [f32],
    init: Init<'_>,
) -> Checked {
    let Right { data, k, first, n, packed } = right;
    // Without columns, the length of the right operand does not bound `k`, so products with `k` could
    // overflow.
    if n == 0 {
        return Ok(());
    }
    let used = left.count * left.len;
    let of = data.len() >= if packed { columns_len(S::LANES, k, n) } else { k * n };
    check(first + used <= k && of && right_init(init, n), "product")?;
    let operand = match packed {
        true => sums::Right {
            start: data.as_ptr().wrapping_add(first * S::LANES),
            panel: k * S::LANES,
            next: S::LANES,
        },
        false => sums::Right { start: data.as_ptr().wrapping_add(first * n), panel: S::LANES, next: n },
    };
    multiply(team, s, left, operand, (c, n), init, !packed)
}

/// `c [B, H] = left [B, width] * w^T`, where `w` holds the hidden weights of one gate.
#[inline(always)]
pub(crate) fn project<S: Simd>(
    s: S,
    layout: &Layout,
    left: Left<'_>,
    w: Panels<'_>,
    dims: Dims,
    c: &mut [f32],
) -> Checked {
    let fits =
        layout.h_gates == 1 && w.fits_lanes(layout, S::LANES, dims) && left.count * left.len == dims.width;
    check(fits, "project")?;
    multiply(None, s, left, w.h_right(layout, S::LANES), (c, dims.hidden), Init::Zero, false)
}

/// `c [B, n] (+)= left [B, k] * w^T` with row-major `w [n, k]` in place, for instruction sets of one lane. It
/// gives the same bits as [`product`] with packed rows. It computes row by row in one function, because its
/// callers have little stack.
#[inline(always)]
pub(crate) fn product_transposed<S: Simd>(
    s: S,
    left: Left<'_>,
    w: &[f32],
    c: &mut [f32],
    init: Init<'_>,
) -> Checked {
    // Read first: of all rows of a matrix, the compiler knows below that they are all.
    let taken = left.rows;
    let (k, rows) = (left.count * left.len, taken.end());
    let Some(n) = c.len().checked_div(rows) else { return Ok(()) };
    let fits = left.fits() && c.len() == rows * n && w.len() == n * k && right_init(init, n);
    check(S::LANES == 1 && fits, "product_transposed")?;
    let c = c.as_mut_ptr();
    for row in taken.iter() {
        let a = left.of.start(taken.source(row));
        let tile =
            RowTile { left, a, w: Transposed { start: w.as_ptr(), k }, c: c.wrapping_add(row * n), init };
        // SAFETY: the row exists in both buffers, and the panels are the `n` rows of `w`. All of this was
        // just checked.
        unsafe { drive_row(s, &tile, n, false) };
    }
    Ok(())
}

/// One row of [`product_transposed`].
struct RowTile<'a> {
    left: Left<'a>,
    /// The row of the left operand.
    a: *const f32,
    w: Transposed,
    /// The row of the output.
    c: *mut f32,
    init: Init<'a>,
}

impl<S: Simd> Tile<S> for RowTile<'_> {
    const SUMS: usize = 1;

    #[inline(always)]
    unsafe fn run<const NP: usize>(&self, s: S, panel: usize) {
        let Left { count, len, at, .. } = self.left;
        // Where chains are computed at once, without the sums of the general case around them.
        if const { S::LANES == 1 && NP <= S::CHAINS && NP <= 4 } {
            let mut acc = [s.splat(0.0); 4];
            // SAFETY: `NP <= CHAINS`. The caller's panels exist. Each has one element in the output and the
            // bias, and a row of `w.k` elements, which are the columns of all runs.
            unsafe {
                for p in 0..NP {
                    acc[p] = match self.init {
                        Init::Zero => s.splat(0.0),
                        Init::Accumulate => s.load(self.c.add(panel + p)),
                        Init::Bias(bias) => s.load(bias.as_ptr().add(panel + p)),
                    };
                }
                for (run, at) in at.into_iter().enumerate().take(count) {
                    let start = self.w.start.wrapping_add(panel * self.w.k + run * len);
                    s.chains(&mut acc, NP, self.a.add(at * len), (start, self.w.k), len);
                }
                for p in 0..NP {
                    s.store(self.c.add(panel + p), acc[p]);
                }
            }
            return;
        }
        let mut acc = [[s.splat(0.0); 4]; NP];
        // SAFETY: the caller's panels exist. Each has one element in the output and the bias, and a row in
        // `w`. The row on the left has the columns of all runs.
        unsafe {
            for p in 0..NP {
                acc[p][0] = match self.init {
                    Init::Zero => s.splat(0.0),
                    Init::Accumulate => s.load(self.c.add(panel + p)),
                    Init::Bias(bias) => s.load(bias.as_ptr().add(panel + p)),
                };
            }
            for (run, at) in at.into_iter().enumerate().take(count) {
                let w = Weight::<S>::skip(self.w, run * len);
                accumulate(s, &mut acc, 1, [0; 4], w, panel, self.a.add(at * len), len);
            }
            for p in 0..NP {
                s.store(self.c.add(panel + p), acc[p][0]);
            }
        }
    }
}

/// A row-major matrix `[n, k]`; each row counts as a panel.
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

fn right_init(init: Init<'_>, n: usize) -> bool {
    !matches!(init, Init::Bias(bias) if bias.len() != n)
}

/// The product with all panels of `n` columns. The right operand has these panels, with a row for each column
/// of `left`.
#[inline(always)]
fn multiply<S: Simd>(
    team: Option<Team<'_>>,
    s: S,
    left: Left<'_>,
    right: sums::Right,
    (c, n): (&mut [f32], usize),
    init: Init<'_>,
    exact: bool,
) -> Checked {
    check(left.fits() && c.len() == left.rows.end() * n, "rows of a product")?;
    let c = c.as_mut_ptr();
    let part = |_, panels: Range<usize>| s.call(Multiply { s, left, right, c, n, panels, init, exact });
    // SAFETY: parts have panels of their own, so they write different columns.
    unsafe { in_parts(team, n.div_ceil(S::LANES), &part) }
}

/// A separately compiled function, which all products share. Its requirements have been checked.
struct Multiply<'a, S> {
    s: S,
    left: Left<'a>,
    right: sums::Right,
    c: *mut f32,
    n: usize,
    panels: Range<usize>,
    init: Init<'a>,
    exact: bool,
}

impl<S: Simd> Region for Multiply<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Multiply { s, left, right, c, n, panels, init, exact } = self;
        let Left { of, rows, count, len, at } = left;
        let (mut list, mut taken) = (RowList::new(), rows.iter());
        let start = match init {
            Init::Zero => Start::ZERO,
            Init::Accumulate => Start::FROM,
            Init::Bias(bias) => Start::vector(bias.as_ptr(), S::LANES),
        };
        while list.fill(rows, &mut taken) {
            let part = |run: usize| Part {
                left: of.start(0).wrapping_add(at[run] * len),
                ld: of.ld(),
                rows: list.sources(),
                step: 1,
                right: sums::Right { start: right.start.wrapping_add(run * len * right.next), ..right },
                k: len,
            };
            let parts = [part(0), part(1), part(2), part(3)];
            let out = Planes { start: c, ld: n, rows: list.rows(), planes: [0; 4] };
            let job = Job {
                gates: 1,
                parts: parts.get(..count).unwrap_or_default(),
                start: [start; 4],
                from: Planes { start: c.cast_const(), ld: n, rows: list.rows(), planes: [0; 4] },
                out,
                columns: n,
                exact,
                descending: false,
            };
            // SAFETY: the buffers were checked: they have all rows of the list and all panels of the columns.
            // The right operand has a row for each of the `count * len` columns on the left.
            unsafe { sums::sums(s, &job, panels.clone()) }
        }
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

/// From this many rows on, packing columns pays. Measured with AVX2 on Zen: packed and unpacked are even
/// between 32 rows (of 512 x 10000 weights) and 100 (of 256 x 96).
const PACK_ROWS: usize = 32;

impl<'a> Right<'a> {
    /// A whole `[k, n]` matrix for a product of `rows` rows. It is packed into `room` if there are enough
    /// rows.
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

    /// A whole `[k, n]` matrix that [`of`](Self::of) has packed into `panels`; on targets without vectors,
    /// the matrix in place.
    #[inline(always)]
    pub(crate) fn packed(w: &'a [f32], n: usize, panels: &'a [f32]) -> Self {
        let right = Right::plain(w, n);
        if HAS_VECTORS { Right { data: panels, packed: true, ..right } } else { right }
    }

    /// A whole `[k, n]` matrix, packed into `room` on targets with vectors.
    #[inline(always)]
    pub(crate) fn of<S: Simd>(s: S, w: &'a [f32], n: usize, room: &'a mut [f32]) -> Self {
        if HAS_VECTORS {
            pack_columns(s, n, w, room);
        }
        Right::packed(w, n, room)
    }
}

#[cfg(test)]
#[path = "product_tests.rs"]
mod tests;
