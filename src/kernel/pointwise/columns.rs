//! Passes that touch every element once.

use crate::simd::{Region, Simd};

use crate::kernel::rows::walk::Rows;
use crate::kernel::vector::{load, store};
use crate::kernel::{Checked, check};

/// `out[j] (+)= sum over the rows that take part of a[row][column + j]`: a bias gradient.
///
/// The rows are added in ascending order.
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

/// Rows that are added up at a time.
const BLOCK: usize = 8;

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
        // Some rows at a time, so that few streams of memory are read at once, each one to its end.
        let mut taken = rows.iter();
        let mut block = [0; BLOCK];
        loop {
            let mut count = 0;
            for (at, row) in block.iter_mut().zip(&mut taken) {
                *at = row;
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            for j in (0..m).step_by(S::LANES) {
                let left = m - j;
                // SAFETY: `left` columns follow `j`: they exist in `out` and, by `column + m <= ld`, in every row of `a`, of which
                // `rows` yields those below `sources()` only.
                unsafe {
                    let to = out.as_mut_ptr().add(j);
                    let mut sum = load(s, to, left);
                    for row in block.iter().take(count) {
                        sum = s.add(sum, load(s, a.as_ptr().add(row * ld + column + j), left));
                    }
                    store(s, to, sum, left);
                }
            }
        }
    }
}
