//! Weight gradients over rows without a constant distance: ragged, masked or reset sequences.
//!
//! The two rows of each pair are found first, a few pairs at a time. Then they are summed as in `gemm`, step
//! by step in the layer's direction. Rows that take no part are never read, so their contents do not matter.

use crate::kernel::rows::previous::Before;
use crate::kernel::rows::taken::Rows;
use crate::kernel::rows::view::Columns;
use crate::kernel::rows::walk::Walk;
use crate::kernel::vector::{each, load, store};
use crate::kernel::{Checked, check};
use crate::simd::{HAS_VECTORS, Region, Simd};

/// Pairs that are found at once. They are on the stack, of which microcontrollers have little. With more of
/// them, the unfinished sums are loaded and stored less often.
const PAIRS: usize = if HAS_VECTORS { 128 } else { 16 };

/// The factor by which the gradient of a step's sums is multiplied.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// The same row of these columns.
    Same(Columns<'a>),
    /// The hidden state before the step, times the factors `[B, width]` if there are any.
    Before(Before<'a>, Option<&'a [f32]>),
}

struct Pairs {
    a: [*const f32; PAIRS],
    b: [*const f32; PAIRS],
    factors: [*const f32; PAIRS],
    count: usize,
    scaled: bool,
}

/// The rows and vectors of a tile of sums.
const ROWS: usize = 3;
const VECTORS: usize = 2;

/// Adds the pairs to a tile of `c`: `MB` rows from `row` on, `NP` vectors from `column` on.
/// # Safety
/// The rows and columns exist in `c`, whose rows have `n` columns. The pairs are as for [`Flush`].
#[inline(always)]
unsafe fn tile<S: Simd, const MB: usize, const NP: usize>(
    s: S,
    pairs: &Pairs,
    (c, n): (*mut f32, usize),
    row: usize,
    column: usize,
) {
    let Pairs { a, b, factors, count, scaled } = pairs;
    let mut acc = [[s.splat(0.0); NP]; MB];
    // SAFETY: the caller's promise: rows and columns exist in `c`; `a[k]` is a row of `m` columns; `b[k]`
    // and, if scaled, `factors[k]` are rows of `n`.
    unsafe {
        each!(m, MB, {
            each!(p, NP, {
                let column = column + p * S::LANES;
                acc[m][p] = load(s, c.add((row + m) * n + column), n - column);
            });
        });
        for k in 0..*count {
            let mut v = [s.splat(0.0); NP];
            each!(p, NP, {
                let column = column + p * S::LANES;
                v[p] = load(s, b[k].add(column), n - column);
                if *scaled {
                    v[p] = s.mul(v[p], load(s, factors[k].add(column), n - column));
                }
            });
            each!(m, MB, {
                let a = s.splat(*a[k].add(row + m));
                each!(p, NP, {
                    acc[m][p] = s.fma(a, v[p], acc[m][p]);
                });
            });
        }
        each!(m, MB, {
            each!(p, NP, {
                let column = column + p * S::LANES;
                store(s, c.add((row + m) * n + column), acc[m][p], n - column);
            });
        });
    }
}

/// Adds the pairs to `c [m, n]`. For each `k < count`, `a[k]` is a row of `m` columns, and `b[k]` and, if
/// scaled, `factors[k]` are rows of `n` columns. `n` is above 0.
struct Flush<'a, S> {
    s: S,
    pairs: &'a Pairs,
    c: &'a mut [f32],
    n: usize,
}

impl<S: Simd> Region for Flush<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Flush { s, pairs, c, n } = self;
        let (rows, c) = (c.len() / n, c.as_mut_ptr());
        let mut column = 0;
        while column < n {
            let wide = n - column > S::LANES;
            let mut row = 0;
            while row < rows {
                // SAFETY: these rows and columns exist in `c [m, n]`, and the code that made this value has
                // found the pairs' rows.
                unsafe {
                    match (wide, rows - row >= ROWS) {
                        (true, true) => tile::<S, ROWS, VECTORS>(s, pairs, (c, n), row, column),
                        (true, false) => tile::<S, 1, VECTORS>(s, pairs, (c, n), row, column),
                        (false, true) => tile::<S, ROWS, 1>(s, pairs, (c, n), row, column),
                        (false, false) => tile::<S, 1, 1>(s, pairs, (c, n), row, column),
                    }
                }
                row += if rows - row >= ROWS { ROWS } else { 1 };
            }
            column += S::LANES * if wide { VECTORS } else { 1 };
        }
    }
}

/// `c [m, n] (+)= a^T * b`, summed over the rows that take part, in the order of the walk.
#[inline(always)]
pub(crate) fn gather<S: Simd>(
    s: S,
    walk: &Walk<'_>,
    a: Columns<'_>,
    b: Operand<'_>,
    n: usize,
    c: &mut [f32],
    add: bool,
) -> Checked {
    s.call(Gather { s, walk, a, b, n, c, add })
}

/// A separately compiled function, which all cells share.
struct Gather<'a, S> {
    s: S,
    walk: &'a Walk<'a>,
    a: Columns<'a>,
    b: Operand<'a>,
    n: usize,
    c: &'a mut [f32],
    add: bool,
}

impl<S: Simd> Region for Gather<'_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Gather { s, walk, a, b, n, c, add } = self;
        let m = a.width;
        let fits = a.has(walk.rows(), m)
            && m.checked_mul(n) == Some(c.len())
            && match b {
                Operand::Same(b) => b.has(walk.rows(), n),
                Operand::Before(before, factors) => {
                    before.is_of(walk)
                        && before.width() == n
                        && factors.is_none_or(|f| f.len() == walk.batch() * n)
                }
            };
        check(fits, "gather")?;
        if m == 0 || n == 0 {
            return Ok(());
        }
        if !add {
            c.fill(0.0);
        }
        let null = [core::ptr::null(); PAIRS];
        let scaled = matches!(b, Operand::Before(_, Some(_)));
        let mut pairs = Pairs { a: null, b: null, factors: null, count: 0, scaled };
        for t in 0..walk.steps() {
            for row in Rows::step(walk, t).iter() {
                let at = walk.row(t, row);
                let (operand, factor) = match b {
                    Operand::Same(b) => (b.start(at), core::ptr::null()),
                    Operand::Before(before, factors) => {
                        let factor = factors.map_or(core::ptr::null(), |f| f.as_ptr().wrapping_add(row * n));
                        (before.get(t, row), factor)
                    }
                };
                if operand.is_null() {
                    continue;
                }
                let k = pairs.count;
                (pairs.a[k], pairs.b[k], pairs.factors[k]) = (a.start(at), operand, factor);
                pairs.count += 1;
                if pairs.count == PAIRS {
                    s.call(Flush { s, pairs: &pairs, c: &mut *c, n });
                    pairs.count = 0;
                }
            }
        }
        if pairs.count > 0 {
            s.call(Flush { s, pairs: &pairs, c, n });
        }
        Ok(())
    }
}
