//! Sums over rows, `C = A^T B`: all weight gradients. This is the only file that names `matrixmultiply`.
//!
//! Each sum is one chain of multiply-adds in the order of the rows, however the product is cut. Both operands
//! are as large as all steps of all sequences, and a tile would read the left one across its rows. So, on
//! instruction sets with vectors and if the caller provides scratch, blocks of rows are packed in the order
//! in which tiles read them. Between blocks, the sums are stored in `C`.
//!
//! `matrixmultiply` also packs, but allocates for it. It is used for products of at least `LARGE`
//! multiply-adds on the portable instruction set that rounds twice. On the other instruction sets it is
//! slower. Medians of GFLOP/s for `m k n`, by `cargo bench --bench kernels -- outer` on one core of Zen 4:
//!
//! | | 64 512 64 | 128 128 128 | 128 3200 32 | 512 32 128 | 512 3200 128 | 1024 3200 256 | 2048 3200 512 |
//! |---|---|---|---|---|---|---|---|
//! | `matrixmultiply` (`scalar`) | 75 | 86 | 63 | 84 | 82 | 84 | 88 |
//! | here, AVX2 | 95 | 97 | 91 | 98 | 83 to 96 | 88 | 98 |
//! | here, AVX-512 | 98 | 103 | 95 | 106 | 68 to 98 | 90 | 95 |
//!
//! (The speed with rows of 2 KiB, read in place, depends on where the memory lies; packing them as well gave
//! 82 to 90.) In attention, where most of these products have no room to pack in, backward passes take 4 to
//! 12 % less time than with `matrixmultiply`.
//!
//! The callers decide what comes here, for recurrent layers in `seq/gradient.rs`: only sequences whose rows
//! have a constant distance. All others use `gather`.

use super::pack::aligned_start;
use super::sums::{Job, Part, Planes, Right, Start, sums};
use crate::kernel::rows::list::{COUNT, MOST};
use crate::kernel::rows::view::Columns;
use crate::kernel::vector::{has_vectors, load};
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// The largest number of rows that are packed at a time.
const DEPTH: usize = 256;

/// From this many columns of C on, packing the left operand pays.
const PACK_LEFT: usize = 256;

/// The number of rows of a panel that are packed one after the other.
const SLAB: usize = 16;

/// Products with fewer multiply-adds are worth neither packing nor `matrixmultiply`'s allocation.
const LARGE: usize = 1 << 18;

/// The number of rows of C in one panel of the packed left operand: those of a large tile.
const fn left_rows<S: Simd>() -> usize {
    S::ACCUMULATORS / 4
}

/// The left operand of a product `a^T b`, in one of the two forms that tiles read.
#[derive(Clone, Copy)]
enum Left {
    /// `[k][m]`, and the distance between two rows.
    InPlace(*const f32, usize),
    /// `[panel][k][row]` in panels of `left_rows`.
    Packed(*const f32),
}

/// `c [m, n] (+)= a^T * right` for `k` rows.
/// # Safety
/// `k` rows of both operands exist, with `m` columns on the left and the panels of `n` columns on the right;
/// these are whole panels unless `exact`. `c` has `m` rows of `n` columns, and overlaps neither operand.
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
    // A multiple of the panels' width, so that each call begins with a whole panel.
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
            start: [if add { Start::FROM } else { Start::ZERO }; 4],
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

/// Packs rows `[k][m]` into panels of columns, `[panel][k][column]`.
/// # Safety
/// `k` rows of `m` elements at distance `ld` are valid for reading. Whole panels are valid for writing, and
/// do not overlap the rows.
#[inline(always)]
unsafe fn pack_left<S: Simd>(_: S, a: *const f32, ld: usize, (m, k): (usize, usize), to: *mut f32) {
    let width = const { left_rows::<S>() };
    // Several rows at once, because cache lines that are only partly written must be read first.
    for first in (0..k).step_by(SLAB) {
        let rows = first..k.min(first + SLAB);
        for column in (0..m).step_by(width) {
            for row in rows.clone() {
                // SAFETY: the caller's, for row `row < k` and the next `width` of its columns, or fewer at
                // the end.
                unsafe {
                    let (from, to) = (a.add(row * ld + column), to.add(column * k + row * width));
                    // A copy of constant length compiles to two moves.
                    match m - column {
                        left if left < width => to.copy_from_nonoverlapping(from, left),
                        _ => to.copy_from_nonoverlapping(from, width),
                    }
                }
            }
        }
    }
}

/// Packs rows `[k][n]` into panels of a vector's columns, `[panel][k][lane]`, zero past the last column.
/// # Safety
/// As for [`pack_left`].
#[inline(always)]
unsafe fn pack_right<S: Simd>(s: S, b: *const f32, ld: usize, (n, k): (usize, usize), to: *mut f32) {
    for row in 0..k {
        for (panel, column) in (0..n).step_by(S::LANES).enumerate() {
            // SAFETY: the caller's, for row `row < k` and the next vector of its columns, or fewer at the
            // end.
            unsafe {
                s.store(to.add((panel * k + row) * S::LANES), load(s, b.add(row * ld + column), n - column))
            };
        }
    }
}

/// `c [m, n] (+)= a^T * b`, summed over the rows of `a [k, m]` and `b [k, n]`.
///
/// `room` is scratch of any length.
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

/// A separately compiled function, which all cells share.
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
        // SAFETY: `k > 0`, and `Columns::rows` found whole rows that have these columns. So both starts lie
        // within the first row.
        let (left, start) = unsafe { (a.data.as_ptr().add(a.column), b.data.as_ptr().add(b.column)) };
        let c = c.as_mut_ptr();
        let (lda, ldb) = (a.ld, b.ld);
        if const { has_vectors::<S>() }
            && let Some((depth, packed_b, packed_a)) = blocks::<S>(room, m, k, n)
        {
            for row in (0..k).step_by(depth) {
                let count = depth.min(k - row);
                // SAFETY: rows `row..row + count` of both operands exist, as above. `blocks` found room for
                // whole panels of `count` rows. C has `m` rows of `n` columns.
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
            // SAFETY: `m`, `k` and `n` are above 0, and the strides name elements of the slices just checked:
            // `a` is read by column, up to element `(m - 1) + (k - 1) * lda`, `b` and `c` by row. `c`
            // overlaps neither, because it is borrowed mutably.
            unsafe {
                let (lda, ldb) = (lda as isize, ldb as isize);
                matrixmultiply::sgemm(m, k, n, 1.0, left, 1, lda, start, ldb, 1, beta, c, n as isize, 1);
            }
            return Ok(());
        }
        let right = Right { start, panel: S::LANES, next: ldb };
        // SAFETY: the buffers just checked have `m` rows and the panels of `n` columns.
        unsafe { transposed(s, Left::InPlace(left, lda), right, (m, k, n), c, add, true) };
        Ok(())
    }
}

/// The number of rows that are packed at a time, the room for those of the right operand, and the room for
/// those of the left operand. `None` if the product is too small for packing, or the room is too small.
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
