//! Sums over rows, `C = A^T B`: every weight gradient. The only file that names `matrixmultiply`.
//!
//! The operands are not packed and as large as all steps of all sequences, which is what `matrixmultiply` is good
//! at; that crate allocates a packing buffer on every call, so without the feature, and for small products,
//! a tile of ours does it: `large` decides. What comes here is decided before, of recurrent layers in `seq/gradient.rs`: only
//! sequences whose rows lie at one distance do. All others go through `gather`, and never through `matrixmultiply`.

use super::product::{Init, Matrix, initial};
use super::tile::{Acc, Tile, accumulate, drive, each_row, store};
use super::view::Columns;
use super::walk::Rows;
use crate::simd::{Region, Simd};

struct OuterTile<const TAIL: bool> {
    a: *const f32,
    lda: usize,
    right: Matrix<TAIL>,
    k: usize,
    first: usize,
    c: *mut f32,
    init: Init<'static>,
}

impl<S: Simd, const TAIL: bool> Tile<S> for OuterTile<TAIL> {
    const ACC: usize = 1;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let n = self.right.n;
        let first = self.first + panel;
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the rows and panels exist, by the caller's promise, in buffers that `outer` has checked.
        unsafe {
            for m in 0..MB {
                for p in 0..NP {
                    let column = (first + p) * S::LANES;
                    let c = self.c.add(rows[m] * n + column);
                    acc[m][p][0] = initial(s, self.init, c, column, n - column);
                }
            }
            let a = each_row!(|m| self.a.add(rows[m]));
            accumulate(s, &mut acc, 1, [0; 4], self.right, first, a, self.lda, self.k);
            for m in 0..MB {
                for p in 0..NP {
                    let column = (first + p) * S::LANES;
                    store(s, self.c.add(rows[m] * n + column), acc[m][p][0], n - column);
                }
            }
        }
    }
}

/// `c [m, n] (+)= a^T * b`, summed over the rows of `a [k, m]` and `b [k, n]`.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn outer<S: Simd>(s: S, a: Columns<'_>, b: Columns<'_>, c: &mut [f32], add: bool) {
    s.call(Outer { s, a, b, c, add });
}

/// A function of its own, which all cells share.
struct Outer<'a, S> {
    s: S,
    a: Columns<'a>,
    b: Columns<'a>,
    c: &'a mut [f32],
    add: bool,
}

impl<S: Simd> Region for Outer<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Outer { s, a, b, c, add } = self;
        let (m, n) = (a.width, b.width);
        if m == 0 || n == 0 {
            return;
        }
        let (Some(k), rows) = (a.rows(), b.rows()) else { return };
        let fits = rows == Some(k) && m.checked_mul(n) == Some(c.len());
        debug_assert!(fits);
        if !fits {
            return;
        }
        if k == 0 {
            if !add {
                c.fill(0.0);
            }
            return;
        }
        // SAFETY: `k > 0`, and `Columns::rows` found whole rows that hold these columns: both starts lie within the first row.
        let (left, start) = unsafe { (a.data.as_ptr().add(a.column), b.data.as_ptr().add(b.column)) };
        let c = c.as_mut_ptr();
        #[cfg(feature = "matrixmultiply")]
        if large(m, k, n) {
            let beta = if add { 1.0 } else { 0.0 };
            // SAFETY: `m`, `k` and `n` are above 0, and the strides name elements of the slices just checked: `a` is read by
            // column, up to element `(m - 1) + (k - 1) * lda`, `b` and `c` by row. `c` overlaps neither because it is borrowed
            // mutably.
            unsafe {
                let (lda, ldb) = (a.ld as isize, b.ld as isize);
                matrixmultiply::sgemm(m, k, n, 1.0, left, 1, lda, start, ldb, 1, beta, c, n as isize, 1);
            }
            return;
        }
        let init = if add { Init::Accumulate } else { Init::Zero };
        let (lda, ld, whole) = (a.ld, b.ld, n / S::LANES);
        // SAFETY: `m` rows and the panels of `n` columns exist in the buffers just checked; the last one,
        // if it is not whole, goes through partial loads and stores.
        unsafe {
            let right = Matrix::<false> { start, ld, n };
            drive(s, &OuterTile { a: left, lda, right, k, first: 0, c, init }, Rows::all(m), whole);
            if whole * S::LANES < n {
                let right = Matrix::<true> { start, ld, n };
                drive(s, &OuterTile { a: left, lda, right, k, first: whole, c, init }, Rows::all(m), 1);
            }
        }
    }
}

/// Whether a product is large enough to repay `matrixmultiply`'s packing and its allocation.
#[cfg(feature = "matrixmultiply")]
fn large(m: usize, k: usize, n: usize) -> bool {
    m.saturating_mul(k).saturating_mul(n) >= 1 << 18
}
