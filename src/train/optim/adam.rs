//! Adam and AdamW.

use super::{Update, check, decays, not_negative};
use crate::error::Result;
use crate::kernel::update::AdamRule;
use crate::simd::{Isa, dispatch};

/// Adam (Kingma and Ba 2015, arXiv:1412.6980), in PyTorch's form:
///
/// ```text
/// g += weight_decay w
/// m = beta1 m + (1 - beta1) g                 v = beta2 v + (1 - beta2) g^2
/// w -= lr m_hat / (sqrt(v_hat) + eps)         m_hat = m / (1 - beta1^t), v_hat = v / (1 - beta2^t)
/// ```
///
/// You may change the settings between updates, for a learning rate schedule. The caller holds the moments:
/// `m [n]`, then `v [n]`, zero before the first update. To save an optimiser, save its fields and the
/// moments.
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
    /// Weight decay: this times the weights is added to the gradients.
    pub weight_decay: f32,
    /// Updates so far, `t`.
    pub step: u64,
}

/// Adam with weight decay that does not go through the moments (Loshchilov and Hutter 2019,
/// arXiv:1711.05101), in PyTorch's form:
///
/// ```text
/// w -= lr weight_decay w
/// w -= lr m_hat / (sqrt(v_hat) + eps)         the moments as Adam's
/// ```
///
/// Settings and moments are those of [`Adam`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the first moment, in `0..1`.
    pub beta1: f32,
    /// Decay of the second moment, in `0..1`.
    pub beta2: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Weight decay: each update subtracts this times the learning rate times the weights.
    pub weight_decay: f32,
    /// Updates so far, `t`.
    pub step: u64,
}

/// The methods of both.
macro_rules! passes {
    ($name:ident) => {
        /// Length of the moments for `weights` weights: twice as many. `usize::MAX` if that does not fit.
        pub const fn moments_len(weights: usize) -> usize {
            weights.saturating_mul(2)
        }

        /// One update, in one pass over memory. All fused instruction sets give the same bits.
        ///
        /// `grads` has as many elements as `weights`, `moments` has [`moments_len`](Self::moments_len).
        ///
        /// # Errors
        /// Those of [`update_scaled`](Self::update_scaled).
        ///
        /// ```
        #[doc = concat!("use recurrent::train::", stringify!($name), ";")]
        #[doc = concat!("let mut adam = ", stringify!($name), " { weight_decay: 0.0, ..", stringify!($name), "::new(0.1) };")]
        #[doc = concat!("let (mut weights, mut moments) = ([1.0, 1.0], [0.0; ", stringify!($name), "::moments_len(2)]);")]
        /// adam.update(&mut weights, &[0.5, -0.5], &mut moments)?;
        /// assert!((weights[0] - 0.9).abs() < 1e-6 && (weights[1] - 1.1).abs() < 1e-6);
        /// # Ok::<(), recurrent::Error>(())
        /// ```
        pub fn update(&mut self, weights: &mut [f32], grads: &[f32], moments: &mut [f32]) -> Result<()> {
            self.update_scaled(weights, grads, moments, 1.0)
        }

        /// Like [`update`](Self::update), but with the gradients `scale * grads`, without another pass over
        /// memory. Use it to apply the factor of a clip. To average over several batches, use
        /// [`total_targets`](crate::model::Training::total_targets) instead: it weighs each batch by its
        /// targets, so that the sum of the gradients is the gradient of the mean.
        ///
        /// # Errors
        /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the
        /// name of the buffer; [`Error::Value`](crate::Error::Value) if `beta1` or `beta2` is not in `0..1`,
        /// if `lr`, `eps` or `weight_decay` is negative or not finite, or if the scale is not finite. An
        /// update that fails is not counted in `step`.
        ///
        /// ```
        #[doc = concat!("use recurrent::train::{", stringify!($name), ", clip_scale};")]
        #[doc = concat!("let mut adam = ", stringify!($name), "::new(0.1);")]
        #[doc = concat!("let (mut weights, mut moments) = ([1.0, 1.0], [0.0; ", stringify!($name), "::moments_len(2)]);")]
        /// let grads = [f32::INFINITY, 1.0];
        /// match clip_scale(&grads, 5.0)? {
        ///     Some(clip) => adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale)?,
        ///     None => println!("gradients that are not finite: no update"),
        /// }
        /// assert_eq!((weights, adam.step), ([1.0, 1.0], 0));
        /// # Ok::<(), recurrent::Error>(())
        /// ```
        pub fn update_scaled(
            &mut self,
            weights: &mut [f32],
            grads: &[f32],
            moments: &mut [f32],
            scale: f32,
        ) -> Result<()> {
            check(weights, grads, (Self::moments_len(weights.len()), moments), scale)?;
            decays("beta1", self.beta1)?;
            decays("beta2", self.beta2)?;
            not_negative("lr", self.lr)?;
            not_negative("eps", self.eps)?;
            not_negative("weight_decay", self.weight_decay)?;
            self.step = self.step.saturating_add(1);
            let (decay, shrink) = self.decay();
            let rule = AdamRule { decay, shrink, ..rule(self.lr, self.beta1, self.beta2, self.eps, self.step) };
            dispatch(Isa::detect(), Update { rule, scale, weights, grads, moments })?;
            Ok(())
        }
    };
}

impl Adam {
    /// An optimiser before its first update, with PyTorch's defaults: `beta1` 0.9, `beta2` 0.999, `eps` 1e-8,
    /// no decay.
    pub const fn new(lr: f32) -> Self {
        Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, step: 0 }
    }

    /// The factors by which weights are added to the gradients, and subtracted from themselves.
    fn decay(&self) -> (f32, f32) {
        (self.weight_decay, 0.0)
    }

    passes!(Adam);
}

impl AdamW {
    /// An optimiser before its first update, with PyTorch's defaults: `beta1` 0.9, `beta2` 0.999, `eps` 1e-8,
    /// `weight_decay` 0.01.
    pub const fn new(lr: f32) -> Self {
        AdamW { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.01, step: 0 }
    }

    /// The factors by which weights are added to the gradients, and subtracted from themselves.
    fn decay(&self) -> (f32, f32) {
        (0.0, self.lr * self.weight_decay)
    }

    passes!(AdamW);
}

/// The rule of update `step`, counted from 1, without weight decay.
fn rule(lr: f32, beta1: f32, beta2: f32, eps: f32, step: u64) -> AdamRule {
    let t = step as f64;
    let (first, second) = (f64::from(beta1), f64::from(beta2));
    AdamRule {
        gain1: (1.0 - first) as f32,
        beta2,
        gain2: (1.0 - second) as f32,
        rate: (f64::from(lr) / (1.0 - libm::pow(first, t))) as f32,
        root: (1.0 / libm::sqrt(1.0 - libm::pow(second, t))) as f32,
        eps,
        decay: 0.0,
        shrink: 0.0,
    }
}
