//! Weight gradients over rows that do not lie at one distance: ragged, masked or reset sequences.
//!
//! Both rows of each pair are found first, a few at a time, and then summed over as in `gemm`, step by step in the layer's direction.
//! Rows that take no part are never read, whatever stands in them.

use super::recur::Before;
use super::tile::{Acc, Tile, drive, load, store};
use super::view::Columns;
use super::walk::{Rows, Walk};
use crate::simd::{HAS_VECTORS, Region, Simd};

/// Pairs that are found at once. They stand on the stack, of which microcontrollers have little; with many, the
/// unfinished sums are moved less often.
const PAIRS: usize = if HAS_VECTORS { 128 } else { 16 };

/// What the gradient of a step's sums is multiplied with.
#[derive(Clone, Copy)]
pub(crate) enum Operand<'a> {
    /// What stands in the same row.
    Same(Columns<'a>),
    /// The hidden state before the step, times the factors `[B, width]` if there are some.
    Before(Before<'a>, Option<&'a [f32]>),
}

struct Pairs {
    a: [*const f32; PAIRS],
    b: [*const f32; PAIRS],
    factors: [*const f32; PAIRS],
    count: usize,
    scaled: bool,
}

struct GatherTile<'a> {
    pairs: &'a Pairs,
    c: *mut f32,
    n: usize,
}

impl<S: Simd> Tile<S> for GatherTile<'_> {
    const ACC: usize = 1;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let (n, Pairs { a, b, factors, count, scaled }) = (self.n, self.pairs);
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the rows and panels exist, by the caller's promise, in `c`; `a[k]` is a row of `m` columns, `b[k]` and, if
        // scaled, `factors[k]` are rows of `n`, by the promise made to `flush`.
        unsafe {
            for m in 0..MB {
                for p in 0..NP {
                    let column = (panel + p) * S::LANES;
                    acc[m][p][0] = load(s, self.c.add(rows[m] * n + column), n - column);
                }
            }
            for k in 0..*count {
                let mut v = [s.splat(0.0); NP];
                for p in 0..NP {
                    let column = (panel + p) * S::LANES;
                    v[p] = load(s, b[k].add(column), n - column);
                    if *scaled {
                        v[p] = s.mul(v[p], load(s, factors[k].add(column), n - column));
                    }
                }
                for m in 0..MB {
                    let a = s.splat(*a[k].add(rows[m]));
                    for p in 0..NP {
                        acc[m][p][0] = s.fma(a, v[p], acc[m][p][0]);
                    }
                }
            }
            for m in 0..MB {
                for p in 0..NP {
                    let column = (panel + p) * S::LANES;
                    store(s, self.c.add(rows[m] * n + column), acc[m][p][0], n - column);
                }
            }
        }
    }
}

/// Adds the pairs to `c [m, n]`.
/// # Safety
/// `n` is above 0. For each `k < count`, `a[k]` is a row of `m` columns, and `b[k]` and, if scaled, `factors[k]` are rows of `n`.
#[inline(always)]
unsafe fn flush<S: Simd>(s: S, pairs: &Pairs, c: &mut [f32], n: usize) {
    let tile = GatherTile { pairs, c: c.as_mut_ptr(), n };
    // SAFETY: `c` has `m` rows of `n` columns; the caller's promise for the rows of the pairs.
    unsafe { drive(s, &tile, Rows::all(c.len() / n), n.div_ceil(S::LANES)) }
}

/// `c [m, n] (+)= a^T * b`, summed over the rows that take part, in the order of the walk.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn gather<S: Simd>(
    s: S,
    walk: &Walk<'_>,
    a: Columns<'_>,
    b: Operand<'_>,
    n: usize,
    c: &mut [f32],
    add: bool,
) {
    s.call(Gather { s, walk, a, b, n, c, add });
}

/// A function of its own, which all cells share.
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
    type Output = ();
    #[inline(always)]
    fn run(self) {
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
        debug_assert!(fits);
        if !fits || m == 0 || n == 0 {
            return;
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
                    // SAFETY: the rows were found in buffers that `fits` has checked, which have them.
                    unsafe { flush(s, &pairs, c, n) };
                    pairs.count = 0;
                }
            }
        }
        if pairs.count > 0 {
            // SAFETY: as above.
            unsafe { flush(s, &pairs, c, n) };
        }
    }
}
