//! Sums over rows, `C = A^T B`: every weight gradient. The only file that names `matrixmultiply`.
//!
//! Each sum is one chain of multiply-adds in the order of the rows, however the product is cut. Both operands are as large as all
//! steps of all sequences, and a tile would read the left one across its rows. So, on vector sets and in the caller's room, some rows
//! at a time are arranged as tiles read them, and the sums wait in `C` in between.
//!
//! `matrixmultiply`, which packs, too, but allocates for it, takes what is `LARGE` on the portable set with two roundings. On the
//! others it is behind: GFLOP/s of `cargo bench --bench kernels -- outer` on one core of Zen 4, medians,
//!
//! | m k n | 64 512 64 | 128 128 128 | 128 3200 32 | 512 32 128 | 512 3200 128 | 1024 3200 256 | 2048 3200 512 |
//! |---|---|---|---|---|---|---|---|
//! | `matrixmultiply` (`scalar`) | 75 | 86 | 63 | 84 | 82 | 84 | 88 |
//! | here, AVX2 | 95 | 97 | 91 | 98 | 83 to 96 | 88 | 98 |
//! | here, AVX-512 | 98 | 103 | 95 | 106 | 68 to 98 | 90 | 95 |
//!
//! (Rows of 2 KiB, read in place, are at the mercy of where memory lies; packing them as well gave 82 to 90.)
//! In attention, where most of them have no room to pack in, backward passes take 4 to 12 % less time than with `matrixmultiply`.
//!
//! What comes here is decided before, of recurrent layers in `seq/gradient.rs`: only sequences whose rows lie at one distance do. All
//! others go through `gather`.

use super::pack::aligned_start;
use super::sums::{Job, Part, Planes, Right, Start, sums};
use crate::kernel::rows::list::{COUNT, MOST};
use crate::kernel::rows::view::Columns;
use crate::kernel::vector::{has_vectors, load};
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// Rows that are packed at a time, if there is room.
const DEPTH: usize = 256;

/// Columns of C that make up for packing the left operand.
const PACK_LEFT: usize = 256;

/// Rows whose parts of a panel are packed one after the other.
const SLAB: usize = 16;

/// Products with fewer multiply-adds are not worth the packing, nor `matrixmultiply`'s allocation.
const LARGE: usize = 1 << 18;

/// Rows of C in one panel of the packed left operand: those of a large tile.
const fn left_rows<S: Simd>() -> usize {
    S::ACCUMULATORS / 4
}

/// The left operand of a product `a^T b`, as its tiles read it.
#[derive(Clone, Copy)]
enum Left {
    /// `[k][m]`, with this distance of two rows.
    InPlace(*const f32, usize),
    /// `[panel][k][row]` in panels of `left_rows`.
    Packed(*const f32),
}

/// `c [m, n] (+)= a^T * right` for `k` rows.
/// # Safety
/// `k` rows of both operands exist, `m` columns on the left and the panels of `n` columns on the right: whole ones, unless `exact`.
/// `c` has `m` rows of `n` columns, and overlaps neither.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn transposed<S: Simd>(
    s: S,
    left: Left,
    right: Right,
    (m, k, n): (usize, usize, usize),
    c: *mut f32,
    add: bool,
    exact: bool,
) {
    let width = const { left_rows::<S>() };
    // A multiple of the panels' width, so that one call begins with one.
    let most = MOST / width * width;
    let mut panels = [0; MOST];
    for (i, at) in panels.iter_mut().enumerate() {
        *at = i / width * width * k + i % width;
    }
    for first in (0..m).step_by(most) {
        let rows = COUNT.get(..most.min(m - first)).unwrap_or_default();
        let (left, step, lists) = match left {
            Left::InPlace(a, ld) => (a.wrapping_add(first), ld, rows),
            Left::Packed(a) => {
                (a.wrapping_add(first * k), width, panels.get(..rows.len()).unwrap_or_default())
            }
        };
        let c = c.wrapping_add(first * n);
        let job = Job {
            gates: 1,
            parts: &[Part { left, ld: 1, rows: lists, step, right, k }],
            start: [if add { Start::From } else { Start::Zero }; 4],
            from: Planes { start: c.cast_const(), ld: n, rows, planes: [0; 4] },
            out: Planes { start: c, ld: n, rows, planes: [0; 4] },
            columns: n,
            exact,
            descending: false,
        };
        // SAFETY: the caller's, for rows `first..first + rows` of C, which are columns of the left operand.
        unsafe { sums(s, &job, 0..n.div_ceil(S::LANES)) }
    }
}

/// Rows `[k][m]` as panels of columns, `[panel][k][column]`.
/// # Safety
/// `k` rows of `m` elements at distance `ld` can be read, and whole panels written, which do not overlap them.
#[inline(always)]
unsafe fn pack_left<S: Simd>(_: S, a: *const f32, ld: usize, (m, k): (usize, usize), to: *mut f32) {
    let width = const { left_rows::<S>() };
    // So many rows at once, because lines that are written in part only have to be read.
    for first in (0..k).step_by(SLAB) {
        let rows = first..k.min(first + SLAB);
        for column in (0..m).step_by(width) {
            for row in rows.clone() {
                // SAFETY: the caller's, for row `row < k` and `width` or all that is left of its columns.
                unsafe {
                    let (from, to) = (a.add(row * ld + column), to.add(column * k + row * width));
                    // A length that the compiler knows is two moves.
                    match m - column {
                        left if left < width => to.copy_from_nonoverlapping(from, left),
                        _ => to.copy_from_nonoverlapping(from, width),
                    }
                }
            }
        }
    }
}

/// Rows `[k][n]` as panels of a vector's columns, `[panel][k][lane]`, zero past the last one.
/// # Safety
/// As for [`pack_left`].
#[inline(always)]
unsafe fn pack_right<S: Simd>(s: S, b: *const f32, ld: usize, (n, k): (usize, usize), to: *mut f32) {
    for row in 0..k {
        for (panel, column) in (0..n).step_by(S::LANES).enumerate() {
            // SAFETY: the caller's, for row `row < k` and a vector or all that is left of its columns.
            unsafe {
                s.store(to.add((panel * k + row) * S::LANES), load(s, b.add(row * ld + column), n - column))
            };
        }
    }
}

/// `c [m, n] (+)= a^T * b`, summed over the rows of `a [k, m]` and `b [k, n]`.
///
/// `room` is scratch, as much as there is.
#[inline(always)]
pub(crate) fn outer<S: Simd>(
    s: S,
    a: Columns<'_>,
    b: Columns<'_>,
    c: &mut [f32],
    add: bool,
    room: &mut [f32],
) -> Checked {
    s.call(Outer { s, a, b, c, add, room })
}

/// A function of its own, which all cells share.
struct Outer<'a, S> {
    s: S,
    a: Columns<'a>,
    b: Columns<'a>,
    c: &'a mut [f32],
    add: bool,
    room: &'a mut [f32],
}

impl<S: Simd> Region for Outer<'_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Outer { s, a, b, c, add, room } = self;
        let (m, n) = (a.width, b.width);
        if m == 0 || n == 0 {
            return Ok(());
        }
        let k = a.rows();
        check(k.is_some() && b.rows() == k && m.checked_mul(n) == Some(c.len()), "outer")?;
        let k = k.unwrap_or(0);
        if k == 0 {
            if !add {
                c.fill(0.0);
            }
            return Ok(());
        }
        // SAFETY: `k > 0`, and `Columns::rows` found whole rows that hold these columns: both starts lie within the first row.
        let (left, start) = unsafe { (a.data.as_ptr().add(a.column), b.data.as_ptr().add(b.column)) };
        let c = c.as_mut_ptr();
        let (lda, ldb) = (a.ld, b.ld);
        if const { has_vectors::<S>() }
            && let Some((depth, packed_b, packed_a)) = blocks::<S>(room, m, k, n)
        {
            for row in (0..k).step_by(depth) {
                let count = depth.min(k - row);
                // SAFETY: rows `row..row + count` of both operands exist, as above, and `blocks` found room for whole panels
                // of so many rows; C has `m` rows of `n` columns.
                unsafe {
                    let a = left.add(row * lda);
                    pack_right(s, start.add(row * ldb), ldb, (n, count), packed_b.as_mut_ptr());
                    let right = Right { start: packed_b.as_ptr(), panel: count * S::LANES, next: S::LANES };
                    let a = if n < PACK_LEFT {
                        Left::InPlace(a, lda)
                    } else {
                        pack_left(s, a, lda, (m, count), packed_a.as_mut_ptr());
                        Left::Packed(packed_a.as_ptr())
                    };
                    transposed(s, a, right, (m, count, n), c, add || row > 0, false);
                }
            }
            return Ok(());
        }
        #[cfg(feature = "matrixmultiply")]
        if const { !has_vectors::<S>() && !S::FUSED } && m.saturating_mul(k).saturating_mul(n) >= LARGE {
            let beta = if add { 1.0 } else { 0.0 };
            // SAFETY: `m`, `k` and `n` are above 0, and the strides name elements of the slices just checked: `a` is read by
            // column, up to element `(m - 1) + (k - 1) * lda`, `b` and `c` by row. `c` overlaps neither because it is borrowed
            // mutably.
            unsafe {
                let (lda, ldb) = (lda as isize, ldb as isize);
                matrixmultiply::sgemm(m, k, n, 1.0, left, 1, lda, start, ldb, 1, beta, c, n as isize, 1);
            }
            return Ok(());
        }
        let right = Right { start, panel: S::LANES, next: ldb };
        // SAFETY: `m` rows and the panels of `n` columns exist in the buffers just checked.
        unsafe { transposed(s, Left::InPlace(left, lda), right, (m, k, n), c, add, true) };
        Ok(())
    }
}

/// How many rows are packed at a time, and the room for those of the right operand and of the left one; `None` if the product is not
/// worth the packing, or the room is too small for it.
#[inline(always)]
fn blocks<S: Simd>(
    room: &mut [f32],
    m: usize,
    k: usize,
    n: usize,
) -> Option<(usize, &mut [f32], &mut [f32])> {
    if m.saturating_mul(k).saturating_mul(n) < LARGE {
        return None;
    }
    let start = aligned_start(room);
    let room = room.get_mut(start..)?;
    let m = if n < PACK_LEFT { 0 } else { m.checked_next_multiple_of(left_rows::<S>())? };
    let n = n.checked_next_multiple_of(S::LANES)?;
    let depth = (room.len() / n.checked_add(m)?).min(DEPTH).min(k);
    if depth < k.min(32) {
        return None;
    }
    let (b, a) = room.split_at_mut(n * depth);
    Some((depth, b, a))
}

#[cfg(test)]
#[path = "gemm_tests.rs"]
mod tests;
