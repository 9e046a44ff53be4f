//! Additive attention (Bahdanau et al. 2015, arXiv:1409.0473): one tanh for each unit of each pair of a query
//! and a key.
//!
//! The tanh is nearly all of the work, so tiles would gain nothing. A score is one chain in ascending order
//! of the units, with a key in each lane. Gradients have a unit in each lane.

use super::math::tanh;
use crate::kernel::panel::product::columns_len;
use crate::kernel::vector::{load, store};
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// `scores[t][j] = sum over a of v[a] tanh(q[t][a] + k[a][j])`, with `q [T, A]`, `k [A, n]` in panels of
/// columns, and `scores [T, n]`.
#[inline(always)]
pub(crate) fn scores<S: Simd>(
    s: S,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    n: usize,
    scores: &mut [f32],
) -> Checked {
    s.call(Scores { s, q, k, v, n, scores })
}

struct Scores<'a, S> {
    s: S,
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    n: usize,
    scores: &'a mut [f32],
}

impl<S: Simd> Region for Scores<'_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Scores { s, q, k, v, n, scores } = self;
        let (units, queries) = (v.len(), scores.len().checked_div(n).unwrap_or(0));
        let fits = q.len() == queries * units
            && scores.len() == queries * n
            && k.len() >= columns_len(S::LANES, units, n);
        // Without keys, the number of queries is not known from the scores.
        if n == 0 {
            return Ok(());
        }
        check(fits, "scores of attention")?;
        for panel in 0..n.div_ceil(S::LANES) {
            let column = panel * S::LANES;
            for t in 0..queries {
                let mut sum = s.splat(0.0);
                // SAFETY: the buffers just checked have row `t`, unit `a` and panel `panel`.
                unsafe {
                    let (q, k) = (q.as_ptr().add(t * units), k.as_ptr().add(column * units));
                    for a in 0..units {
                        let x = s.add(s.splat(*q.add(a)), s.load(k.add(a * S::LANES)));
                        sum = s.fma(s.splat(*v.as_ptr().add(a)), tanh(s, x), sum);
                    }
                    store(s, scores.as_mut_ptr().add(t * n + column), sum, n - column);
                }
            }
        }
        Ok(())
    }
}

/// The inputs and outputs of the gradients of [`scores`].
pub(crate) struct Gradients<'a> {
    /// `[T, A]`
    pub(crate) q: &'a [f32],
    /// `[n, A]`, in panels of columns.
    pub(crate) k: &'a [f32],
    /// `[A]`
    pub(crate) v: &'a [f32],
    /// The gradient of the scores, `[T, n]`.
    pub(crate) d: &'a [f32],
    /// Overwritten, `[T, A]`.
    pub(crate) dq: &'a mut [f32],
    /// Added to, `[n, A]`.
    pub(crate) dk: &'a mut [f32],
    /// Added to, `[A]`.
    pub(crate) dv: &'a mut [f32],
}

/// From the gradient of the scores to the gradients of `q`, `k` and `v`.
#[inline(always)]
pub(crate) fn backward<S: Simd>(s: S, gradients: Gradients<'_>) -> Checked {
    s.call(Backward(s, gradients))
}

struct Backward<'a, S>(S, Gradients<'a>);

impl<S: Simd> Region for Backward<'_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Backward(s, Gradients { q, k, v, d, dq, dk, dv }) = self;
        let units = v.len();
        let (queries, n) =
            (q.len().checked_div(units).unwrap_or(0), dk.len().checked_div(units).unwrap_or(0));
        let fits = dv.len() == units
            && q.len() == queries * units
            && dq.len() == q.len()
            && dk.len() == n * units
            && d.len() == queries * n
            && k.len() >= columns_len(S::LANES, n, units);
        // Without units, the numbers of queries and keys are not known from the buffers.
        if units == 0 {
            return Ok(());
        }
        check(fits, "gradients of attention")?;
        let one = s.splat(1.0);
        for panel in 0..units.div_ceil(S::LANES) {
            let column = panel * S::LANES;
            let left = units - column;
            // SAFETY: each row of length `A` has `left` elements from column `column` on; the buffers just
            // checked have rows `t` and `j`, and panel `panel`.
            unsafe {
                let k = k.as_ptr().add(column * n);
                let (factor, to) = (load(s, v.as_ptr().add(column), left), dv.as_mut_ptr().add(column));
                let mut sum_v = load(s, to, left);
                for t in 0..queries {
                    let query = load(s, q.as_ptr().add(t * units + column), left);
                    let mut sum_q = s.splat(0.0);
                    for j in 0..n {
                        let d = s.splat(*d.as_ptr().add(t * n + j));
                        let y = tanh(s, s.add(query, s.load(k.add(j * S::LANES))));
                        sum_v = s.fma(d, y, sum_v);
                        let dx = s.mul(s.mul(d, factor), s.fnma(y, y, one));
                        sum_q = s.add(sum_q, dx);
                        let dk = dk.as_mut_ptr().add(j * units + column);
                        store(s, dk, s.add(load(s, dk, left), dx), left);
                    }
                    store(s, dq.as_mut_ptr().add(t * units + column), sum_q, left);
                }
                store(s, to, sum_v, left);
            }
        }
        Ok(())
    }
}
