//! The public passes of a chain, which those of a model run as.

use rand_core::Rng;

use super::args::{Forward, Input, Training};
use super::chain::Chain;
use super::{forward, train};
use crate::error::Result;
use crate::layer::Join;
use crate::layer::join::Team;
use crate::layer::packed::{Packed, WeightSource};

impl Chain<'_> {
    /// Like [`Model::pack`](super::Model::pack).
    ///
    /// # Errors
    /// Those of [`Model::pack`](super::Model::pack).
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        self.pack_by(weights, packed, |to| self.pack_into(weights, to))
    }

    pub(super) fn pack_into(&self, weights: &[f32], panels: &mut [f32]) -> Result<()> {
        forward::pack_into(self.layers(), *self, weights, panels)
    }

    /// Like [`Model::forward`](super::Model::forward).
    ///
    /// # Errors
    /// Those of [`Model::forward`](super::Model::forward).
    #[inline(always)]
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        match weights.into() {
            WeightSource::Canonical(weights) => self.forward_canonical(weights, args),
            weights => self.forward_from(None, weights, args),
        }
    }

    /// From canonical weights. The kind of weights is known where a pass is called, so programs with these
    /// link no others.
    fn forward_canonical(&self, weights: &[f32], args: Forward<'_>) -> Result<()> {
        forward::forward(self.layers(), *self, None, WeightSource::Canonical(weights), args)
    }

    /// Like [`Model::forward_with`](super::Model::forward_with).
    ///
    /// # Errors
    /// Those of [`Model::forward_with`](super::Model::forward_with).
    pub fn forward_with<'w>(
        &self,
        join: &dyn Join,
        weights: impl Into<WeightSource<'w>>,
        args: Forward<'_>,
    ) -> Result<()> {
        self.forward_from(Team::of(join), weights.into(), args)
    }

    /// The same with a team of a known number of threads.
    pub(crate) fn forward_from(
        &self,
        team: Option<Team<'_>>,
        weights: WeightSource<'_>,
        args: Forward<'_>,
    ) -> Result<()> {
        forward::forward(self.layers(), *self, team, weights, args)
    }

    /// Like [`Model::step`](super::Model::step).
    ///
    /// # Errors
    /// Those of [`Model::step`](super::Model::step).
    #[inline(always)]
    pub fn step<'w, 'x>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: impl Into<Input<'x>>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        match weights.into() {
            WeightSource::Canonical(weights) => self.step_canonical(weights, x.into(), y, state, scratch),
            weights => self.step_from(weights, x.into(), y, state, scratch),
        }
    }

    /// As [`forward_canonical`](Self::forward_canonical).
    fn step_canonical(
        &self,
        weights: &[f32],
        x: Input<'_>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        forward::step(self.layers(), *self, WeightSource::Canonical(weights), x, y, state, scratch)
    }

    fn step_from(
        &self,
        weights: WeightSource<'_>,
        x: Input<'_>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        forward::step(self.layers(), *self, weights, x, y, state, scratch)
    }

    /// Like [`Model::forward_backward`](super::Model::forward_backward).
    ///
    /// # Errors
    /// Those of [`Model::forward_backward`](super::Model::forward_backward).
    pub fn forward_backward(&self, weights: &[f32], args: Training<'_>) -> Result<f32> {
        train::forward_backward(self.layers(), *self, None, weights, args)
    }

    /// Like [`Model::forward_backward_with`](super::Model::forward_backward_with).
    ///
    /// # Errors
    /// Those of [`Model::forward_backward_with`](super::Model::forward_backward_with).
    pub fn forward_backward_with(&self, join: &dyn Join, weights: &[f32], args: Training<'_>) -> Result<f32> {
        self.forward_backward_on(Team::of(join), weights, args)
    }

    /// The same with a team of a known number of threads.
    pub(crate) fn forward_backward_on(
        &self,
        team: Option<Team<'_>>,
        weights: &[f32],
        args: Training<'_>,
    ) -> Result<f32> {
        train::forward_backward(self.layers(), *self, team, weights, args)
    }

    /// Like [`Model::init`](super::Model::init).
    ///
    /// # Errors
    /// Those of [`Model::init`](super::Model::init).
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        train::init(self.layers(), *self, weights, rng)
    }
}
