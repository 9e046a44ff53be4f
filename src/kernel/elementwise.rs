//! Passes that touch every element once.

use crate::simd::Simd;

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
    let m = out.len();
    if m == 0 || column + m > ld || a.len() != rows.sources() * ld {
        return;
    }
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

/// What one step of Adam multiplies with.
#[derive(Clone, Copy)]
pub(crate) struct AdamStep {
    /// `1 - beta1`
    pub(crate) gain1: f32,
    pub(crate) beta2: f32,
    /// `1 - beta2`
    pub(crate) gain2: f32,
    /// `lr / (1 - beta1^t)`
    pub(crate) rate: f32,
    /// `1 / sqrt(1 - beta2^t)`
    pub(crate) root: f32,
    pub(crate) eps: f32,
}

/// One step of Adam over weights, gradients and both moments, all of one length.
///
/// ```text
/// m += (1 - beta1) (g - m)
/// v = beta2 v + (1 - beta2) g^2
/// w -= rate m / (root sqrt(v) + eps)
/// ```
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn adam<S: Simd>(s: S, by: AdamStep, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    let n = w.len();
    let fits = g.len() == n && m.len() == n && v.len() == n;
    debug_assert!(fits);
    if !fits {
        return;
    }
    let (w, g, m, v) = (w.as_mut_ptr(), g.as_ptr(), m.as_mut_ptr(), v.as_mut_ptr());
    let mut i = 0;
    while i < n {
        // SAFETY: `i + left` elements exist in all four buffers.
        unsafe {
            let left = n - i;
            let (gi, mi, vi) = (load(s, g.add(i), left), load(s, m.add(i), left), load(s, v.add(i), left));
            let mi = s.fma(s.splat(by.gain1), s.sub(gi, mi), mi);
            let vi = s.fma(s.mul(s.splat(by.gain2), gi), gi, s.mul(s.splat(by.beta2), vi));
            let denominator = s.fma(s.splat(by.root), s.sqrt(vi), s.splat(by.eps));
            let wi = s.fnma(s.splat(by.rate), s.div(mi, denominator), load(s, w.add(i), left));
            store(s, m.add(i), mi, left);
            store(s, v.add(i), vi, left);
            store(s, w.add(i), wi, left);
        }
        i += S::LANES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Op, dispatch};

    struct Update<'a>([&'a mut [f32]; 3], &'a [f32]);

    impl Op for Update<'_> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Update([w, m, v], g) = self;
            let by = AdamStep { gain1: 0.1, beta2: 0.999, gain2: 0.001, rate: 0.02, root: 17.0, eps: 1e-8 };
            adam(s, by, w, g, m, v);
        }
    }

    #[test]
    fn fused_instruction_sets_give_the_same_bits() {
        const N: usize = 35;
        let g: [f32; N] = core::array::from_fn(|i| (i * 37 % 101) as f32 * 0.013 - 0.6);
        for len in 0..=N {
            let mut first = None;
            for isa in Isa::available().filter(|isa| isa.is_fused()) {
                let (mut w, mut m, mut v) = (g, g.map(|g| 0.3 - g), g.map(|g| g * g));
                let parts = [&mut w[..len], &mut m[..len], &mut v[..len]];
                dispatch(isa, Update(parts, &g[..len]));
                let result = [w, m, v].map(|x| x.map(f32::to_bits));
                assert_eq!(*first.get_or_insert(result), result, "{} of {len}", isa.name());
            }
        }
    }
}
