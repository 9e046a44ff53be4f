//! Passes that touch every element once.

use crate::simd::{HAS_VECTORS, Region, Simd};

use crate::kernel::rows::taken::Rows;
use crate::kernel::vector::{load, store};
use crate::kernel::{Checked, check};

/// `out[j] (+)= sum over the rows that take part of a[row][column + j]`. This computes bias gradients.
///
/// A single chain over a million rows would be off by a hundredth if the terms are about equal, because each
/// addition rounds in the same direction. So rows are summed in blocks of `BLOCK`, in ascending order. The
/// blocks are added to a sum whose rounding error is kept and added to the next block. The order of all
/// additions is fixed, so all instruction sets give the same bits.
#[inline(always)]
pub(crate) fn column_sums<S: Simd>(
    s: S,
    a: &[f32],
    ld: usize,
    rows: Rows<'_>,
    column: usize,
    out: &mut [f32],
    add: bool,
) -> Checked {
    s.call(ColumnSums { s, a, ld, rows, column, out, add })
}

/// Rows of a block.
const BLOCK: usize = 8;

/// Columns whose rounding errors are kept at a time: 1 KiB of stack on targets with vectors.
const GROUP: usize = if HAS_VECTORS { 256 } else { 8 };

/// `a + b`, and its rounding error (Knuth's exact addition). The error is zero if it is not finite: the sum
/// already contains the infinity or NaN.
#[inline(always)]
fn add_exactly<S: Simd>(s: S, a: S::V, b: S::V) -> (S::V, S::V) {
    let sum = s.add(a, b);
    let of_b = s.sub(sum, a);
    let of_a = s.sub(sum, of_b);
    let lost = s.add(s.sub(a, of_a), s.sub(b, of_b));
    // A comparison with NaN is false.
    (sum, s.lt_select(s.abs(lost), s.splat(f32::INFINITY), lost, s.splat(0.0)))
}

/// A separately compiled function, which all cells share.
struct ColumnSums<'a, S> {
    s: S,
    a: &'a [f32],
    ld: usize,
    rows: Rows<'a>,
    column: usize,
    out: &'a mut [f32],
    add: bool,
}

impl<S: Simd> Region for ColumnSums<'_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let ColumnSums { s, a, ld, rows, column, out, add } = self;
        let m = out.len();
        if m == 0 {
            return Ok(());
        }
        check(column + m <= ld && a.len() == rows.sources() * ld, "sums over rows")?;
        if !add {
            out.fill(0.0);
        }
        const { assert!(GROUP.is_multiple_of(S::LANES)) };
        for first in (0..m).step_by(GROUP) {
            let end = m.min(first + GROUP);
            let mut lost = [0.0f32; GROUP];
            // Only some rows at a time, so that few memory streams are read at once.
            let mut taken = rows.iter();
            let mut block = [0; BLOCK];
            loop {
                let mut count = 0;
                for (at, row) in block.iter_mut().zip(&mut taken) {
                    *at = row;
                    count += 1;
                }
                if count == 0 {
                    break;
                }
                for j in (first..end).step_by(S::LANES) {
                    let left = m - j;
                    // SAFETY: `left` columns from `j` on exist in `out` and, because `column + m <= ld`, in
                    // every row of `a`. `rows` yields only rows below `sources()`, which `a` has. `j - first`
                    // is a multiple of the lanes below `GROUP`, which is a multiple of the lanes, too.
                    unsafe {
                        let from = a.as_ptr().add(column + j);
                        let mut part = load(s, from.add(block[0] * ld), left);
                        for row in &block[1..count] {
                            part = s.add(part, load(s, from.add(row * ld), left));
                        }
                        let (to, kept) = (out.as_mut_ptr().add(j), lost.as_mut_ptr().add(j - first));
                        let (sum, lost) = add_exactly(s, load(s, to, left), s.add(part, s.load(kept)));
                        store(s, to, sum, left);
                        s.store(kept, lost);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::simd::{Isa, Op, dispatch};

    struct Sums<'a>(&'a [f32], usize, &'a mut [f32], bool);

    impl Op for Sums<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Sums(a, ld, out, add) = self;
            column_sums(s, a, ld, Rows::all(a.len() / ld), 1, out, add).unwrap();
        }
    }

    /// Sizes around the groups of columns and the blocks of rows. All instruction sets must give the same
    /// bits, also those that round twice.
    #[test]
    fn sums_are_exact_to_a_few_roundings_and_the_same_everywhere() {
        for m in [1, 7, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP + 3] {
            for rows in [1, 7, 8, 9, 1000] {
                let ld = m + 2;
                let a: Vec<f32> = (0..rows * ld).map(|i| 0.1 + (i * 37 % 101) as f32 * 1e-6).collect();
                let mut first: Option<Vec<f32>> = None;
                for isa in Isa::available() {
                    let mut out = vec![0.25; m];
                    dispatch(isa, Sums(&a, ld, &mut out, true));
                    for (j, sum) in out.iter().enumerate() {
                        let want =
                            0.25 + a.iter().skip(1 + j).step_by(ld).map(|x| f64::from(*x)).sum::<f64>();
                        assert!((f64::from(*sum) - want).abs() <= 5e-7 * want, "{sum} {want}");
                    }
                    assert!(*first.get_or_insert(out.clone()) == out, "{} {m} {rows}", isa.name());
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_stays() {
        for isa in Isa::available() {
            let mut a = [1.0f32; 20 * 4];
            (a[4 * 3 + 1], a[4 * 9 + 2]) = (f32::INFINITY, f32::NAN);
            let mut out = [0.0; 3];
            dispatch(isa, Sums(&a, 4, &mut out, false));
            assert!(out[0] == f32::INFINITY && out[1].is_nan() && out[2] == 20.0, "{out:?}");
        }
    }
}
