//! Stochastic gradient descent.

use super::{Update, check, decays, not_negative};
use crate::error::{Error, Result};
use crate::kernel::update::SgdRule;
use crate::simd::{Isa, dispatch};

/// Stochastic gradient descent with momentum (Polyak 1964) or Nesterov's momentum (Sutskever et al. 2013), in
/// PyTorch's form without dampening:
///
/// ```text
/// g += weight_decay w
/// u = momentum u + g
/// w -= lr u                    or, Nesterov's:  w -= lr (g + momentum u)
/// ```
///
/// You may change the settings between updates. The caller holds the moments: `u [n]`, zero before the first
/// update; without momentum there are none. To save an optimiser, save its fields and the moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the velocity `u`, in `0..1`.
    pub momentum: f32,
    /// Whether momentum is Nesterov's, which looks ahead. It needs a momentum above 0.
    pub nesterov: bool,
    /// Weight decay: this times the weights is added to the gradients.
    pub weight_decay: f32,
}

impl Sgd {
    /// Plain descent.
    pub const fn new(lr: f32) -> Self {
        Sgd { lr, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// The same with momentum.
    pub const fn momentum(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self
    }

    /// The same with Nesterov's momentum.
    pub const fn nesterov(mut self, momentum: f32) -> Self {
        self.momentum = momentum;
        self.nesterov = true;
        self
    }

    /// The same with weight decay.
    pub const fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Length of the moments for `weights` weights: one for each weight with momentum, otherwise 0.
    pub const fn moments_len(&self, weights: usize) -> usize {
        if self.momentum == 0.0 { 0 } else { weights }
    }

    /// One update, in one pass over memory. All fused instruction sets give the same bits.
    ///
    /// `grads` has as many elements as `weights`, `moments` has [`moments_len`](Self::moments_len).
    ///
    /// # Errors
    /// Those of [`update_scaled`](Self::update_scaled).
    ///
    /// ```
    /// use recurrent::train::Sgd;
    /// const SGD: Sgd = Sgd::new(0.5).momentum(0.9);
    /// let (mut weights, mut moments) = ([1.0, 1.0], [0.0; SGD.moments_len(2)]);
    /// SGD.update(&mut weights, &[1.0, -1.0], &mut moments)?;
    /// assert_eq!(weights, [0.5, 1.5]);
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
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Value`] for a momentum
    /// outside of `0..1`, for Nesterov's momentum if the momentum is 0, for an `lr` or a `weight_decay` that
    /// is negative or not finite, and for a scale that is not finite.
    ///
    /// ```
    /// use recurrent::train::{Sgd, clip_scale};
    /// let (mut weights, grads) = ([1.0, 1.0], [3.0, -4.0]);
    /// if let Some(clip) = clip_scale(&grads, 0.5)? {
    ///     Sgd::new(1.0).update_scaled(&mut weights, &grads, &mut [], clip.scale)?;
    /// }
    /// assert!((weights[0] - 0.7).abs() < 1e-6 && (weights[1] - 1.4).abs() < 1e-6);
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
        decays("momentum", self.momentum)?;
        not_negative("lr", self.lr)?;
        not_negative("weight_decay", self.weight_decay)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::Value { argument: "momentum", expected: "above 0 for Nesterov's" });
        }
        let Sgd { lr, momentum, nesterov, weight_decay: decay } = *self;
        let rule = SgdRule { lr, decay, momentum, nesterov };
        dispatch(Isa::detect(), Update { rule, scale, weights, grads, moments })?;
        Ok(())
    }
}
