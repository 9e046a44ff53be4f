//! RMSprop.

use super::{Update, check, decays, not_negative};
use crate::error::Result;
use crate::kernel::update::RmsPropRule;
use crate::simd::{Isa, dispatch};

/// RMSprop (Tieleman and Hinton 2012), also with momentum and centred (Graves 2013, arXiv:1308.0850), in
/// PyTorch's form:
///
/// ```text
/// g += weight_decay w
/// v = alpha v + (1 - alpha) g^2
/// d = g / (sqrt(v) + eps)      or, centred:  a = alpha a + (1 - alpha) g,  d = g / (sqrt(s) + eps),  s = v - a^2
/// w -= lr d                    or, with momentum:  u = momentum u + d,  w -= lr u
/// ```
///
/// If centred, the variance `s` is kept instead of `v`. It is computed by
/// `s = alpha (s + (1 - alpha) (g - a)^2)` with the `a` of the last update. This is the same number and
/// cannot be negative. The difference of two squares would lose its digits if gradients change little:
/// PyTorch in f32 then makes steps of `g / eps`, or NaN.
///
/// You may change the settings between updates. The caller holds the moments, zero before the first update:
/// `v [n]` (if centred, `s [n]`), then with momentum `u [n]`, then if centred `a [n]`. To save an optimiser,
/// save its fields and the moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the mean square, in `0..1`.
    pub alpha: f32,
    /// Added to the denominator.
    pub eps: f32,
    /// Decay of the velocity `u`, in `0..1`.
    pub momentum: f32,
    /// Whether the square of the gradients' mean is subtracted from their mean square.
    pub centered: bool,
    /// Weight decay: this times the weights is added to the gradients.
    pub weight_decay: f32,
}

impl RmsProp {
    /// An optimiser with PyTorch's defaults: `alpha` 0.99, `eps` 1e-8, no momentum, not centred.
    pub const fn new(lr: f32) -> Self {
        RmsProp { lr, alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false, weight_decay: 0.0 }
    }

    /// The same with momentum.
    pub const fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// The same, centred.
    pub const fn centered(mut self) -> Self {
        self.centered = true;
        self
    }

    /// The same with weight decay.
    pub const fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Length of the moments for `weights` weights: one for each weight, another with momentum, another if
    /// centred. `usize::MAX` if that does not fit.
    pub const fn moments_len(&self, weights: usize) -> usize {
        let count = 1 + (self.momentum != 0.0) as usize + self.centered as usize;
        weights.saturating_mul(count)
    }

    /// One update, in one pass over memory. All fused instruction sets give the same bits.
    ///
    /// `grads` has as many elements as `weights`, `moments` has [`moments_len`](Self::moments_len).
    ///
    /// # Errors
    /// Those of [`update_scaled`](Self::update_scaled).
    ///
    /// ```
    /// use recurrent::train::RmsProp;
    /// const RMS: RmsProp = RmsProp::new(0.01);
    /// let (mut weights, mut moments) = ([1.0, 1.0], [0.0; RMS.moments_len(2)]);
    /// RMS.update(&mut weights, &[0.5, -0.5], &mut moments)?;
    /// assert!((weights[0] - 0.9).abs() < 1e-6 && (weights[1] - 1.1).abs() < 1e-6);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn update(&self, weights: &mut [f32], grads: &[f32], moments: &mut [f32]) -> Result<()> {
        self.update_scaled(weights, grads, moments, 1.0)
    }

    /// Like [`update`](Self::update), but with the gradients `scale * grads`, without another pass over
    /// memory. Use it to apply the factor of a clip. To average over several batches, use
    /// [`total_targets`](crate::model::Training::total_targets) instead: it weighs each batch by its targets,
    /// so that the sum of the gradients is the gradient of the mean.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer; [`Error::Value`](crate::Error::Value) if `alpha` or `momentum` is not in `0..1`, if
    /// `lr`, `eps` or `weight_decay` is negative or not finite, or if the scale is not finite.
    ///
    /// ```
    /// use recurrent::train::RmsProp;
    /// const RMS: RmsProp = RmsProp::new(0.01).centered();
    /// let (mut weights, mut moments) = ([1.0], [0.0; RMS.moments_len(1)]);
    /// RMS.update_scaled(&mut weights, &[2.0], &mut moments, 0.5)?; // half of a norm that is twice too large
    /// assert!((weights[0] - 0.8995).abs() < 1e-4);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn update_scaled(
        &self,
        weights: &mut [f32],
        grads: &[f32],
        moments: &mut [f32],
        scale: f32,
    ) -> Result<()> {
        check(weights, grads, (self.moments_len(weights.len()), moments), scale)?;
        let RmsProp { lr, alpha, eps, momentum, centered, weight_decay: decay } = *self;
        decays("alpha", alpha)?;
        decays("momentum", momentum)?;
        not_negative("lr", lr)?;
        not_negative("eps", eps)?;
        not_negative("weight_decay", decay)?;
        let gain = (1.0 - f64::from(alpha)) as f32;
        let mean = centered.then_some(if momentum == 0.0 { 1 } else { 2 });
        let rule = RmsPropRule { lr, decay, alpha, gain, eps, momentum, mean };
        dispatch(Isa::detect(), Update { rule, scale, weights, grads, moments })?;
        Ok(())
    }
}
