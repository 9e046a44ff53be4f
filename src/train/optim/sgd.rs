//! Stochastic gradient descent.

use super::{Update, check, decays, not_negative};
use crate::error::{Error, Result};
use crate::kernel::update::SgdRule;
use crate::simd::{Isa, dispatch};

/// Stochastic gradient descent, with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013), in PyTorch's form
/// without dampening:
///
/// ```text
/// g += weight_decay w
/// u = momentum u + g
/// w -= lr u                    or, Nesterov's:  w -= lr (g + momentum u)
/// ```
///
/// The settings may be changed between updates. The moments are the caller's: `u [n]`, zero before the first
/// update, and nothing without momentum. To save an optimiser, save its fields and the moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f32,
    /// Decay of the velocity `u`, in `0..1`.
    pub momentum: f32,
    /// Whether the step looks ahead; it takes momentum.
    pub nesterov: bool,
    /// Factor of the weights that is added to the gradients.
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

    /// The same with a decay of the weights.
    pub const fn weight_decay(mut self, weight_decay: f32) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    /// Length of the moments of `weights` weights: as many with momentum, otherwise 0.
    pub const fn moments_len(&self, weights: usize) -> usize {
        if self.momentum == 0.0 { 0 } else { weights }
    }

    /// One update, in one pass over memory. All fused instruction sets give the same bits.
    ///
    /// `grads` has as many elements as `weights`, `moments` has [`moments_len`](Self::moments_len).
    ///
    /// # Errors
    /// As [`update_scaled`](Self::update_scaled).
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

    /// As [`update`](Self::update) with gradients `scale * grads`, in the same pass: the factor of a clip. Gradients of several batches that
    /// were added up are those of a mean only if each was weighed by its targets:
    /// [`total_targets`](crate::model::Training::total_targets) does so, and then there is nothing to scale.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Value`] for a momentum outside of
    /// `0..1`, Nesterov's without momentum, an `lr` or a `weight_decay` that is negative or not finite, and a scale that is not finite.
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
