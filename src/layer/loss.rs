//! The loss of classification: softmax and negative log-likelihood in one.

use super::embedding::check_ids;
use crate::error::{Result, check_len};
use crate::kernel::softmax::{BLOCK, exp_sum, max};
use crate::simd::{Isa, Op, Simd, dispatch};

/// The mean negative log-likelihood of the targets, in nats, and the gradient of the mean if asked for.
///
/// ```text
/// loss = mean over rows of (log(sum over j of exp(l_j)) - l_target)
/// dlogits_j = (softmax(l)_j - [j = target]) / rows
/// ```
///
/// `logits` and `dlogits` are `[rows, classes]`, `targets` `[rows]`. This is PyTorch's `cross_entropy` with the reduction
/// `mean`, computed relative to each row's greatest logit, so that no logit is too large; losses are summed
/// in f64, so that many rows stay exact. A logit may be minus infinity (a class that is ruled out);
/// NaN or infinity gives a loss of NaN. Without rows the loss is 0, where PyTorch gives NaN.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name of the buffer;
/// [`Error::Index`](crate::Error::Index) for a target that is not below `classes`.
///
/// ```
/// use recurrent::cross_entropy;
/// let mut dlogits = [0.0; 4];
/// let loss = cross_entropy(2, &[0.0, 0.0, 100.0, -100.0], &[1, 0], Some(&mut dlogits))?;
/// assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-6);
/// assert_eq!(dlogits, [0.25, -0.25, 0.0, 0.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn cross_entropy(
    classes: usize,
    logits: &[f32],
    targets: &[u32],
    dlogits: Option<&mut [f32]>,
) -> Result<f32> {
    check_len("logits", targets.len().saturating_mul(classes), logits.len())?;
    if let Some(dlogits) = &dlogits {
        check_len("dlogits", logits.len(), dlogits.len())?;
    }
    check_ids("targets", targets, classes)?;
    if targets.is_empty() {
        return Ok(0.0);
    }
    let sum = dispatch(Isa::detect(), CrossEntropy { classes, logits, targets, dlogits });
    Ok((sum / targets.len() as f64) as f32)
}

/// All arguments have been checked: there are rows, and so there are classes.
struct CrossEntropy<'a> {
    classes: usize,
    logits: &'a [f32],
    targets: &'a [u32],
    dlogits: Option<&'a mut [f32]>,
}

impl Op for CrossEntropy<'_> {
    /// The sum of the rows' losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let CrossEntropy { classes, logits, targets, mut dlogits } = self;
        let rows = targets.len() as f64;
        let mut loss = 0.0;
        for (row, (logits, &target)) in logits.chunks_exact(classes).zip(targets).enumerate() {
            let target = target as usize;
            let mut d = dlogits.as_deref_mut().map(|d| &mut d[row * classes..(row + 1) * classes]);
            let most = max(s, logits);
            let mut sum = 0.0;
            for (i, block) in logits.chunks(BLOCK).enumerate() {
                let terms = d.as_deref_mut().map(|d| &mut d[i * BLOCK..]);
                sum += exp_sum(s, block, most, None, terms);
            }
            loss += libm::log(sum) + (f64::from(most) - f64::from(logits[target]));
            if let Some(d) = d {
                let scale = 1.0 / (sum * rows);
                let of_target = f64::from(d[target]) * scale - 1.0 / rows;
                for d in d.iter_mut() {
                    *d *= scale as f32;
                }
                d[target] = of_target as f32;
            }
        }
        loss
    }
}
