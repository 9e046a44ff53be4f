//! Clipping of gradients.

use crate::simd::{Isa, Op, Simd, dispatch};

/// Scales gradients so that their Euclidean norm is at most `max`, and returns the norm that they had.
///
/// ```text
/// grads *= min(1, max / (norm + 1e-6))
/// ```
///
/// as PyTorch's `clip_grad_norm_`. The norm is summed in f64: ten million elements are exact to the rounding of the result,
/// and squares of large ones do not overflow. If the norm is NaN or infinite, the gradients are left as they are, so
/// that the caller can skip the update; so they are if `max` is NaN or negative.
///
/// ```
/// use recurrent::train::clip_norm;
/// let mut grads = [3.0, 4.0];
/// assert_eq!(clip_norm(&mut grads, 1.0), 5.0);
/// assert!((grads[0] - 0.6).abs() < 1e-6);
/// assert!(clip_norm(&mut [f32::NAN], 1.0).is_nan());
/// ```
pub fn clip_norm(grads: &mut [f32], max: f32) -> f32 {
    let norm = libm::sqrt(dispatch(Isa::detect(), SumOfSquares(grads)));
    let scale = (f64::from(max) / (norm + 1e-6)) as f32;
    if (norm as f32).is_finite() && (0.0..1.0).contains(&scale) {
        grads.iter_mut().for_each(|g| *g *= scale);
    }
    norm as f32
}

/// Limits each gradient to `-max..=max`. NaN stays NaN. With a `max` that is NaN or negative nothing is done.
///
/// ```
/// let mut grads = [0.5, -3.0, 4.0];
/// recurrent::train::clip_value(&mut grads, 1.0);
/// assert_eq!(grads, [0.5, -1.0, 1.0]);
/// ```
pub fn clip_value(grads: &mut [f32], max: f32) {
    if max >= 0.0 {
        grads.iter_mut().for_each(|g| *g = g.clamp(-max, max));
    }
}

struct SumOfSquares<'a>(&'a [f32]);

impl Op for SumOfSquares<'_> {
    type Output = f64;

    /// The compiler's vectors of f64 are enough here. A square of an f32 is exact in f64, so that it makes no difference
    /// whether the additions are fused, and the number of chains does not depend on the vector: all give the same bits.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let mut sums = [0.0; 16];
        let (whole, rest) = self.0.as_chunks::<16>();
        for part in whole {
            for i in 0..16 {
                sums[i] += f64::from(part[i]) * f64::from(part[i]);
            }
        }
        for (sum, &g) in sums.iter_mut().zip(rest) {
            *sum += f64::from(g) * f64::from(g);
        }
        sums.iter().sum()
    }
}
