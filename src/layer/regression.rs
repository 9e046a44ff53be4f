//! Losses of single elements: binary cross-entropy, mean squared error.

use crate::error::{Result, check_len};
use crate::kernel::finish::{PART, logistic};
use crate::simd::{Isa, Op, Simd, dispatch};

fn check(x: (&'static str, usize), targets: usize, dx: (&'static str, Option<usize>)) -> Result<()> {
    check_len("targets", x.1, targets)?;
    dx.1.map_or(Ok(()), |len| check_len(dx.0, x.1, len))
}

/// The mean cross-entropy of independent yes-or-no answers, in nats, and the gradient of the mean if asked for.
///
/// ```text
/// loss = mean of (max(l, 0) - l t + log(1 + exp(-|l|)))
/// dlogits = (sigmoid(l) - t) / n
/// ```
///
/// `logits`, `targets` and `dlogits` have the same length, in any shape; targets are probabilities of yes, 0 to 1. This is PyTorch's
/// `binary_cross_entropy_with_logits`; losses are summed in f64. NaN gives NaN. Without elements the loss is 0.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) with the name of the buffer.
///
/// ```
/// let mut dlogits = [0.0; 2];
/// let loss = recurrent::binary_cross_entropy(&[0.0, 80.0], &[0.0, 1.0], Some(&mut dlogits))?;
/// assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-6);
/// assert_eq!(dlogits, [0.25, 0.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn binary_cross_entropy(logits: &[f32], targets: &[f32], dlogits: Option<&mut [f32]>) -> Result<f32> {
    check(("logits", logits.len()), targets.len(), ("dlogits", dlogits.as_ref().map(|d| d.len())))?;
    if logits.is_empty() {
        return Ok(0.0);
    }
    let sum = dispatch(Isa::detect(), Binary { logits, targets, dlogits });
    Ok((sum / logits.len() as f64) as f32)
}

/// All lengths have been checked.
struct Binary<'a> {
    logits: &'a [f32],
    targets: &'a [f32],
    dlogits: Option<&'a mut [f32]>,
}

impl Op for Binary<'_> {
    /// The sum of the losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Binary { logits, targets, mut dlogits } = self;
        let scale = (1.0 / logits.len() as f64) as f32;
        let mut loss = 0.0;
        for (i, (part, targets)) in logits.chunks(PART).zip(targets.chunks(PART)).enumerate() {
            let mut l = [0.0; PART];
            l[..part.len()].copy_from_slice(part);
            let (sigmoids, tails) = logistic(s, &l);
            for (j, (&l, &t)) in part.iter().zip(targets).enumerate() {
                // `max` would pass over NaN.
                let above = if l < 0.0 { 0.0 } else { l };
                loss += f64::from(above) - f64::from(l) * f64::from(t) + f64::from(libm::log1pf(tails[j]));
            }
            if let Some(d) = dlogits.as_deref_mut() {
                for (j, (d, t)) in d[i * PART..].iter_mut().zip(targets).enumerate() {
                    *d = (sigmoids[j] - t) * scale;
                }
            }
        }
        loss
    }
}

/// The mean of the squared differences, and its gradient if asked for.
///
/// ```text
/// loss = mean of (x - t)^2
/// dx = 2 (x - t) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `mse_loss`; squares are summed in f64.
/// Without elements the loss is 0.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) with the name of the buffer.
///
/// ```
/// let mut dx = [0.0; 2];
/// assert_eq!(recurrent::mean_squared_error(&[1.0, 5.0], &[0.0, 2.0], Some(&mut dx))?, 5.0);
/// assert_eq!(dx, [1.0, 3.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn mean_squared_error(x: &[f32], targets: &[f32], dx: Option<&mut [f32]>) -> Result<f32> {
    check(("x", x.len()), targets.len(), ("dx", dx.as_ref().map(|d| d.len())))?;
    if x.is_empty() {
        return Ok(0.0);
    }
    let sum = dispatch(Isa::detect(), Squared { x, targets, dx });
    Ok((sum / x.len() as f64) as f32)
}

/// All lengths have been checked.
struct Squared<'a> {
    x: &'a [f32],
    targets: &'a [f32],
    dx: Option<&'a mut [f32]>,
}

impl Op for Squared<'_> {
    /// The sum of the squares.
    type Output = f64;

    /// The compiler's vectors are enough here. The number of chains does not depend on the vector, and squares are
    /// not fused with sums: all sets give the same bits.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Squared { x, targets, dx } = self;
        let mut sums = [0.0; PART];
        for (x, targets) in x.chunks(PART).zip(targets.chunks(PART)) {
            for ((sum, &x), &t) in sums.iter_mut().zip(x).zip(targets) {
                let apart = f64::from(x) - f64::from(t);
                *sum += apart * apart;
            }
        }
        if let Some(dx) = dx {
            let scale = (2.0 / x.len() as f64) as f32;
            for ((d, x), t) in dx.iter_mut().zip(x).zip(targets) {
                *d = (x - t) * scale;
            }
        }
        sums.iter().sum()
    }
}
