//! The parts of a softmax: the maximum, and sums of exponentials of the differences from it.
//!
//! A sum has sixteen chains for every width of vector, so the bits do not depend on the width. Chains are
//! short (eight terms) and their sums are added in `f64`, so that many classes do not cost accuracy.

use super::math::exp;
use crate::simd::Simd;

/// Chains of a sum: the lanes of the widest vector.
const WIDE: usize = 16;

/// Elements whose exponentials are summed at once.
pub(crate) const BLOCK: usize = 128;

/// Sixteen elements as vectors. If a vector has several lanes, only the first `16 / LANES` entries are used.
#[inline(always)]
fn load<S: Simd>(s: S, from: &[f32; WIDE]) -> [S::V; WIDE] {
    let mut out = [s.splat(0.0); WIDE];
    for v in 0..WIDE / S::LANES {
        // SAFETY: `v < WIDE / LANES`, so `(v + 1) * LANES <= WIDE`.
        out[v] = unsafe { s.load(from.as_ptr().add(v * S::LANES)) };
    }
    out
}

#[inline(always)]
fn store<S: Simd>(s: S, v: [S::V; WIDE]) -> [f32; WIDE] {
    let mut out = [0.0; WIDE];
    for i in 0..WIDE / S::LANES {
        // SAFETY: `i < WIDE / LANES`, so `(i + 1) * LANES <= WIDE`.
        unsafe { s.store(out.as_mut_ptr().add(i * S::LANES), v[i]) }
    }
    out
}

/// The first sixteen elements. Missing ones are minus infinity, whose exponential is zero.
#[inline(always)]
fn sixteen(part: &[f32]) -> [f32; WIDE] {
    match part.first_chunk() {
        Some(whole) => *whole,
        None => {
            let mut out = [f32::NEG_INFINITY; WIDE];
            out[..part.len()].copy_from_slice(part);
            out
        }
    }
}

/// The largest element; minus infinity if there is none. NaNs are ignored.
#[inline(always)]
pub(crate) fn max<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut most = [s.splat(f32::NEG_INFINITY); WIDE];
    for part in x.chunks(WIDE) {
        let x = load(s, &sixteen(part));
        for v in 0..WIDE / S::LANES {
            most[v] = s.max(x[v], most[v]);
        }
    }
    store(s, most).into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}

/// The sum of `exp((x - max) / temperature)` over at most [`BLOCK`] elements (`None` means a temperature of
/// 1). If `terms` is given, the terms are written to its start. The sum is NaN if a term is.
#[inline(always)]
pub(crate) fn exp_sum<S: Simd>(
    s: S,
    x: &[f32],
    max: f32,
    temperature: Option<f32>,
    mut terms: Option<&mut [f32]>,
) -> f64 {
    let mut sum = [s.splat(0.0); WIDE];
    for (i, part) in x.chunks(WIDE).enumerate() {
        let mut e = load(s, &sixteen(part));
        for v in 0..WIDE / S::LANES {
            let x = s.sub(e[v], s.splat(max));
            let x = match temperature {
                Some(t) => s.div(x, s.splat(t)),
                None => x,
            };
            e[v] = exp(s, x);
            sum[v] = s.add(sum[v], e[v]);
        }
        let room = i * WIDE..i * WIDE + part.len();
        if let Some(terms) = terms.as_deref_mut().and_then(|terms| terms.get_mut(room)) {
            terms.copy_from_slice(&store(s, e)[..part.len()]);
        }
    }
    store(s, sum).into_iter().map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Op, dispatch};

    struct Sum<'a>(&'a [f32], &'a mut [f32]);

    impl Op for Sum<'_> {
        type Output = (f32, f64, f64);
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let most = max(s, self.0);
            (most, exp_sum(s, self.0, most, Some(0.7), None), exp_sum(s, self.0, most, None, Some(self.1)))
        }
    }

    #[test]
    fn fused_instruction_sets_give_the_same_bits() {
        let x: [f32; BLOCK] = core::array::from_fn(|i| (i * 37 % 101) as f32 * 0.13 - 9.0);
        for len in 1..=BLOCK {
            let mut first = None;
            for isa in Isa::available().filter(|isa| isa.is_fused()) {
                let mut terms = [f32::NAN; BLOCK];
                let sums = dispatch(isa, Sum(&x[..len], &mut terms));
                assert!(terms[len..].iter().all(|t| t.is_nan()));
                let result = (sums, terms.map(f32::to_bits));
                assert_eq!(*first.get_or_insert(result), result, "{} of {len}", isa.name());
            }
        }
    }
}
