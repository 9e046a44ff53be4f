//! Passes that touch every element once.

use crate::simd::Simd;

use super::recur::{load, store};

/// `out[j] (+)= sum over rows of a[row][column + j]`: a bias gradient.
///
/// The rows are added in ascending order. A column range that does not exist gives nothing.
#[inline(always)]
pub(crate) fn column_sums<S: Simd>(s: S, a: &[f32], ld: usize, column: usize, out: &mut [f32], add: bool) {
    let m = out.len();
    if m == 0 || ld == 0 || column + m > ld {
        return;
    }
    let rows = a.len() / ld;
    // Eight vectors at once: as many chains of additions as hide their latency.
    const WIDE: usize = 8;
    let mut j = 0;
    while j < m {
        // SAFETY: `j + left <= m`, so the columns exist in `out` and, by `column + m <= ld`, in every row of `a`.
        unsafe {
            let to = out.as_mut_ptr().add(j);
            let from = a.as_ptr().add(column + j);
            if m - j >= WIDE * S::LANES {
                let mut sum = [s.splat(0.0); WIDE];
                if add {
                    for v in 0..WIDE {
                        sum[v] = s.load(to.add(v * S::LANES));
                    }
                }
                for row in 0..rows {
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
                for row in 0..rows {
                    sum = s.add(sum, load(s, from.add(row * ld), left));
                }
                store(s, to, sum, left);
                j += S::LANES;
            }
        }
    }
}
