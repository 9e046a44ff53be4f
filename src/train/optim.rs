//! Optimisers.

use crate::error::{Error, Result, check_len};
use crate::kernel::elementwise::{AdamStep, adam};
use crate::simd::{Isa, Op, Simd, dispatch};

/// Adam (Kingma and Ba 2015, arXiv:1412.6980), in PyTorch's form:
///
/// ```text
/// m = beta1 m + (1 - beta1) g                 v = beta2 v + (1 - beta2) g^2
/// w -= lr m_hat / (sqrt(v_hat) + eps)         m_hat = m / (1 - beta1^t), v_hat = v / (1 - beta2^t)
/// ```
///
/// The settings may be changed between updates, for a learning rate schedule. The moments are the caller's:
/// `m [n]`, then `v [n]`, zero before the first update. To save an optimiser, save its fields and the moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the first moment, in `0..1`.
    pub beta1: f32,
    /// Decay of the second moment, in `0..1`.
    pub beta2: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Updates so far, `t`.
    pub step: u64,
}

impl Adam {
    /// An optimiser before its first update, with PyTorch's defaults: `beta1` 0.9, `beta2` 0.999, `eps` 1e-8.
    pub const fn new(lr: f32) -> Self {
        Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, step: 0 }
    }

    /// Length of the moments of `weights` weights: twice as many. `usize::MAX` if that does not fit.
    pub const fn moments_len(weights: usize) -> usize {
        weights.saturating_mul(2)
    }

    /// One update, in one pass over memory. All fused instruction sets give the same bits.
    ///
    /// `grads` has as many elements as `weights`, `moments` has [`moments_len`](Self::moments_len).
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Value`] if `beta1` or `beta2` is not in `0..1`,
    /// or if `lr` or `eps` is negative or NaN. The step is not counted then.
    ///
    /// ```
    /// use recurrent::train::Adam;
    /// let mut adam = Adam::new(0.1);
    /// let (mut weights, mut moments) = ([1.0, 1.0], [0.0; Adam::moments_len(2)]);
    /// adam.update(&mut weights, &[0.5, -0.5], &mut moments)?;
    /// assert!((weights[0] - 0.9).abs() < 1e-6 && (weights[1] - 1.1).abs() < 1e-6);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn update(&mut self, weights: &mut [f32], grads: &[f32], moments: &mut [f32]) -> Result<()> {
        check_len("grads", weights.len(), grads.len())?;
        check_len("moments", Self::moments_len(weights.len()), moments.len())?;
        self.check()?;
        self.step = self.step.saturating_add(1);
        let t = self.step as f64;
        let (beta1, beta2) = (f64::from(self.beta1), f64::from(self.beta2));
        let by = AdamStep {
            gain1: (1.0 - beta1) as f32,
            beta2: self.beta2,
            gain2: (1.0 - beta2) as f32,
            rate: (f64::from(self.lr) / (1.0 - libm::pow(beta1, t))) as f32,
            root: (1.0 / libm::sqrt(1.0 - libm::pow(beta2, t))) as f32,
            eps: self.eps,
        };
        dispatch(Isa::detect(), Update { by, weights, grads, moments });
        Ok(())
    }

    fn check(&self) -> Result<()> {
        for (argument, value) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::Value { argument, expected: "at least 0 and below 1" });
            }
        }
        for (argument, value) in [("lr", self.lr), ("eps", self.eps)] {
            if value.is_nan() || value < 0.0 {
                return Err(Error::Value { argument, expected: "a number that is not negative" });
            }
        }
        Ok(())
    }
}

/// An update. All lengths have been checked.
struct Update<'a> {
    by: AdamStep,
    weights: &'a mut [f32],
    grads: &'a [f32],
    moments: &'a mut [f32],
}

impl Op for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (m, v) = self.moments.split_at_mut(self.weights.len());
        adam(s, self.by, self.weights, self.grads, m, v);
    }
}
