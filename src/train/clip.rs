//! Clipping of gradients.

use crate::error::{Error, Result};
use crate::simd::{Isa, Op, Simd, dispatch};

/// The result of [`clip_scale`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    /// Euclidean norm of the gradients before clipping.
    pub norm: f32,
    /// The factor by which the gradients have to be multiplied, in `0..=1`.
    pub scale: f32,
}

fn check(max: f32) -> Result<()> {
    if max >= 0.0 {
        Ok(())
    } else {
        Err(Error::Value { argument: "max", expected: "a number that is not negative" })
    }
}

/// Returns the factor that limits the Euclidean norm of gradients to `max`. Optimisers apply it in their one
/// pass over memory. Returns `None` if the norm is NaN or infinite: then skip the update.
///
/// ```text
/// scale = min(1, max / (norm + 1e-6))
/// ```
///
/// as PyTorch's `clip_grad_norm_`. The norm is summed in f64: the norm of ten million elements is exact to
/// the rounding of the result, and squares of large elements do not overflow. With a `max` of infinity it
/// only checks whether the gradients are finite.
///
/// # Errors
/// [`Error::Value`] if `max` is negative or NaN.
///
/// ```
/// use recurrent::train::clip_scale;
/// let clip = clip_scale(&[3.0, 4.0], 1.0)?.unwrap();
/// assert_eq!(clip.norm, 5.0);
/// assert!((clip.scale - 0.2).abs() < 1e-6);
/// assert_eq!(clip_scale(&[1.0, f32::NAN], 1.0)?, None);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn clip_scale(grads: &[f32], max: f32) -> Result<Option<Clip>> {
    check(max)?;
    let norm = libm::sqrt(dispatch(Isa::detect(), SumOfSquares(grads)));
    let scale = (f64::from(max) / (norm + 1e-6)).min(1.0) as f32;
    let norm = norm as f32;
    Ok(norm.is_finite().then_some(Clip { norm, scale }))
}

/// Scales gradients so that their Euclidean norm is at most `max`. Returns the norm before clipping. If the
/// norm is NaN or infinite, returns `None` and changes nothing, so that you can skip the update.
///
/// It runs [`clip_scale`], and a second pass over memory if the gradients have to be clipped.
///
/// # Errors
/// [`Error::Value`] if `max` is negative or NaN.
///
/// ```
/// use recurrent::train::clip_norm;
/// let mut grads = [3.0, 4.0];
/// assert_eq!(clip_norm(&mut grads, 1.0)?, Some(5.0));
/// assert!((grads[0] - 0.6).abs() < 1e-6);
/// assert_eq!(clip_norm(&mut [f32::NAN], 1.0)?, None);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn clip_norm(grads: &mut [f32], max: f32) -> Result<Option<f32>> {
    let clip = clip_scale(grads, max)?;
    if let Some(Clip { scale, .. }) = clip
        && scale < 1.0
    {
        grads.iter_mut().for_each(|g| *g *= scale);
    }
    Ok(clip.map(|clip| clip.norm))
}

/// Limits each gradient to the range `-max..=max`. Returns the greatest magnitude before clipping. If a
/// gradient is NaN or infinite, returns `None` and changes nothing, so that you can skip the update.
///
/// # Errors
/// [`Error::Value`] if `max` is negative or NaN.
///
/// ```
/// use recurrent::train::clip_value;
/// let mut grads = [0.5, -3.0, 2.0];
/// assert_eq!(clip_value(&mut grads, 1.0)?, Some(3.0));
/// assert_eq!(grads, [0.5, -1.0, 1.0]);
/// assert_eq!(clip_value(&mut [f32::INFINITY], 1.0)?, None);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn clip_value(grads: &mut [f32], max: f32) -> Result<Option<f32>> {
    check(max)?;
    // Without the sign, the bits of numbers have the order of the numbers; those of infinity and NaN are the
    // greatest.
    let most = f32::from_bits(grads.iter().fold(0, |most, g| most.max(g.to_bits() & 0x7fff_ffff)));
    if !most.is_finite() {
        return Ok(None);
    }
    if most > max {
        grads.iter_mut().for_each(|g| *g = g.clamp(-max, max));
    }
    Ok(Some(most))
}

struct SumOfSquares<'a>(&'a [f32]);

impl Op for SumOfSquares<'_> {
    type Output = f64;

    /// Plain loops are enough: the compiler vectorises them. A square of an f32 is exact in f64, so fused
    /// additions make no difference. The number of chains does not depend on the width of vectors. So all
    /// instruction sets give the same bits.
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
