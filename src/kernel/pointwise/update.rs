//! Updates of weights by an optimiser: one pass over all weights, gradients and moments.

use crate::kernel::vector::{load, store};
use crate::kernel::{Checked, check};
use crate::simd::Simd;

/// The largest number of moments of an optimiser.
pub(crate) const MOMENTS: usize = 3;

/// The equations of an optimiser for one vector. Implementations are `#[inline(always)]`.
pub(crate) trait Rule: Copy {
    /// Computes new weights from weights, gradients and moments, and replaces the moments. Moments that the
    /// rule does not have are zero, and are not stored.
    fn apply<S: Simd>(self, s: S, w: S::V, g: S::V, m: &mut [S::V; MOMENTS]) -> S::V;
}

/// One update of `w [n]` by `scale * g [n]`; `moments` holds `[n]` for each moment, one after the other.
#[inline(always)]
pub(crate) fn update<S: Simd, R: Rule>(
    s: S,
    rule: R,
    scale: f32,
    w: &mut [f32],
    g: &[f32],
    moments: &mut [f32],
) -> Checked {
    let n = w.len();
    let count = moments.len().checked_div(n).unwrap_or(0);
    let fits = g.len() == n && moments.len() == count * n && count <= MOMENTS;
    check(fits, "update of weights")?;
    let (w, g, m) = (w.as_mut_ptr(), g.as_ptr(), moments.as_mut_ptr());
    let mut i = 0;
    while i < n {
        // SAFETY: the weights, the gradients and each of the `count` moments have `i + left` elements.
        unsafe {
            let left = n - i;
            let mut of = [s.splat(0.0); MOMENTS];
            for j in 0..MOMENTS {
                if j < count {
                    of[j] = load(s, m.add(j * n + i), left);
                }
            }
            let gi = s.mul(s.splat(scale), load(s, g.add(i), left));
            let wi = rule.apply(s, load(s, w.add(i), left), gi, &mut of);
            store(s, w.add(i), wi, left);
            for j in 0..MOMENTS {
                if j < count {
                    store(s, m.add(j * n + i), of[j], left);
                }
            }
        }
        i += S::LANES;
    }
    Ok(())
}

/// Stochastic gradient descent. The moment is the velocity, if there is momentum.
#[derive(Clone, Copy)]
pub(crate) struct SgdRule {
    pub(crate) lr: f32,
    pub(crate) decay: f32,
    pub(crate) momentum: f32,
    pub(crate) nesterov: bool,
}

impl Rule for SgdRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::V, g: S::V, m: &mut [S::V; MOMENTS]) -> S::V {
        let g = s.fma(s.splat(self.decay), w, g);
        // Without momentum this is g.
        m[0] = s.fma(s.splat(self.momentum), m[0], g);
        let by = if self.nesterov { s.fma(s.splat(self.momentum), m[0], g) } else { m[0] };
        s.fnma(s.splat(self.lr), by, w)
    }
}

/// RMSprop. The moments are the mean square, or the variance if centred; then the velocity (with momentum);
/// then the mean (if centred).
///
/// The variance is not computed as the mean square minus the square of the mean: if gradients stay about
/// equal, only rounding errors would be left, and a step would be `g / eps`. With `d = g - mean`, before the
/// mean changes, the following gives the same sum of squares:
///
/// ```text
/// variance = alpha (variance + (1 - alpha) d^2)
/// mean += (1 - alpha) d
/// ```
#[derive(Clone, Copy)]
pub(crate) struct RmsPropRule {
    pub(crate) lr: f32,
    pub(crate) decay: f32,
    pub(crate) alpha: f32,
    /// `1 - alpha`
    pub(crate) gain: f32,
    pub(crate) eps: f32,
    pub(crate) momentum: f32,
    /// The index of the moment that is the mean.
    pub(crate) mean: Option<usize>,
}

impl Rule for RmsPropRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::V, g: S::V, m: &mut [S::V; MOMENTS]) -> S::V {
        let g = s.fma(s.splat(self.decay), w, g);
        let (alpha, gain) = (s.splat(self.alpha), s.splat(self.gain));
        // Constant indices: a variable index would force the moments into memory.
        match self.mean {
            None => m[0] = s.fma(s.mul(gain, g), g, s.mul(alpha, m[0])),
            Some(1) => {
                let d = s.sub(g, m[1]);
                m[0] = s.mul(alpha, s.fma(s.mul(gain, d), d, m[0]));
                m[1] = s.fma(gain, d, m[1]);
            }
            Some(_) => {
                let d = s.sub(g, m[2]);
                m[0] = s.mul(alpha, s.fma(s.mul(gain, d), d, m[0]));
                m[2] = s.fma(gain, d, m[2]);
            }
        }
        // A caller may supply negative moments.
        let root = s.sqrt(s.max(s.splat(0.0), m[0]));
        let step = s.div(g, s.add(root, s.splat(self.eps)));
        if self.momentum == 0.0 {
            return s.fnma(s.splat(self.lr), step, w);
        }
        m[1] = s.fma(s.splat(self.momentum), m[1], step);
        s.fnma(s.splat(self.lr), m[1], w)
    }
}

/// The factors of one step of Adam. The moments are the mean, then the mean square.
///
/// ```text
/// m += (1 - beta1) (g - m)
/// v = beta2 v + (1 - beta2) g^2
/// w -= rate m / (root sqrt(v) + eps)
/// ```
#[derive(Clone, Copy)]
pub(crate) struct AdamRule {
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
    /// Weight decay that is added to the gradients.
    pub(crate) decay: f32,
    /// Weight decay that is subtracted from the weights before the step.
    pub(crate) shrink: f32,
}

impl Rule for AdamRule {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, w: S::V, g: S::V, m: &mut [S::V; MOMENTS]) -> S::V {
        let g = s.fma(s.splat(self.decay), w, g);
        m[0] = s.fma(s.splat(self.gain1), s.sub(g, m[0]), m[0]);
        m[1] = s.fma(s.mul(s.splat(self.gain2), g), g, s.mul(s.splat(self.beta2), m[1]));
        let denominator = s.fma(s.splat(self.root), s.sqrt(m[1]), s.splat(self.eps));
        let w = s.fnma(s.splat(self.shrink), w, w);
        s.fnma(s.splat(self.rate), s.div(m[0], denominator), w)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Op, dispatch};

    struct Update<'a, R>(R, [&'a mut [f32]; 2], &'a [f32]);

    impl<R: Rule> Op for Update<'_, R> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let Update(rule, [w, m], g) = self;
            update(s, rule, 0.7, w, g, m).unwrap();
        }
    }

    fn same_bits<R: Rule>(rule: R, moments: usize) {
        const N: usize = 35;
        let g: [f32; N] = core::array::from_fn(|i| (i * 37 % 101) as f32 * 0.013 - 0.6);
        for len in 0..=N {
            let mut first = None;
            for isa in Isa::available().filter(|isa| isa.is_fused()) {
                let mut w = g;
                let mut m: [f32; MOMENTS * N] = core::array::from_fn(|i| (i * 17 % 67) as f32 * 0.02);
                dispatch(isa, Update(rule, [&mut w[..len], &mut m[..len * moments]], &g[..len]));
                assert!(len == 0 || w[..len] != g[..len]);
                assert_eq!(w[len..], g[len..]);
                let result = (w.map(f32::to_bits), m.map(f32::to_bits));
                assert_eq!(*first.get_or_insert(result), result, "{} of {len}", isa.name());
            }
        }
    }

    #[test]
    fn fused_instruction_sets_give_the_same_bits() {
        let sgd = SgdRule { lr: 0.1, decay: 0.01, momentum: 0.9, nesterov: true };
        same_bits(sgd, 1);
        same_bits(SgdRule { momentum: 0.0, nesterov: false, ..sgd }, 0);
        let (alpha, gain, mean) = (0.9, 0.1, Some(2));
        let rms = RmsPropRule { lr: 0.1, decay: 0.01, alpha, gain, eps: 1e-4, momentum: 0.9, mean };
        same_bits(rms, 3);
        same_bits(RmsPropRule { momentum: 0.0, mean: Some(1), ..rms }, 2);
        let (gain1, beta2, gain2) = (0.1, 0.999, 0.001);
        let (rate, root, eps) = (0.02, 17.0, 1e-8);
        same_bits(AdamRule { gain1, beta2, gain2, rate, root, eps, decay: 0.01, shrink: 0.02 }, 2);
    }
}
