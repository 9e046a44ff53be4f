//! Passes that touch every element once.

use crate::simd::{Region, Simd};

use super::tile::{load, store};
use super::walk::Rows;

/// `out[j] (+)= sum over the rows that take part of a[row][column + j]`: a bias gradient.
///
/// The rows are added in ascending order. A column range that does not exist gives nothing.
#[inline(always)]
pub(crate) fn column_sums<S: Simd>(
    s: S,
    a: &[f32],
    ld: usize,
    rows: Rows<'_>,
    column: usize,
    out: &mut [f32],
    add: bool,
) {
    s.call(ColumnSums { s, a, ld, rows, column, out, add });
}

/// A function of its own, which all cells share.
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
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let ColumnSums { s, a, ld, rows, column, out, add } = self;
        let m = out.len();
        if m == 0 || column + m > ld || a.len() != rows.sources() * ld {
            return;
        }
        // Eight vectors at once: as many chains of additions as hide their latency.
        const WIDE: usize = 8;
        let mut j = 0;
        while j < m {
            // SAFETY: `left` columns follow `j`, and `j + left <= m`: they exist in `out` and, by `column + m <= ld`, in every row
            // of `a` that there is. Without rows `from` is past the end of `a`, and neither read nor offset with `add`.
            unsafe {
                let to = out.as_mut_ptr().add(j);
                let from = a.as_ptr().wrapping_add(column + j);
                if m - j >= WIDE * S::LANES {
                    let mut sum = [s.splat(0.0); WIDE];
                    if add {
                        for v in 0..WIDE {
                            sum[v] = s.load(to.add(v * S::LANES));
                        }
                    }
                    for row in rows.iter() {
                        for v in 0..WIDE {
                            sum[v] = s.add(sum[v], s.load(from.add(row * ld + v * S::LANES)));
                        }
                    }
                    for v in 0..WIDE {
                        s.store(to.add(v * S::LANES), sum[v]);
                    }
                    j += WIDE * S::LANES;
                } else {
                    let left = m - j;
                    let mut sum = if add { load(s, to, left) } else { s.splat(0.0) };
                    for row in rows.iter() {
                        sum = s.add(sum, load(s, from.add(row * ld), left));
                    }
                    store(s, to, sum, left);
                    j += S::LANES;
                }
            }
        }
    }
}
