//! Any optimiser, and any schedule of its learning rate.

use crate::error::Result;
use crate::train::{Adam, AdamW, Cosine, RmsProp, Sgd, Steps};

/// An optimiser with its settings. Any optimiser converts to it with `into()`.
///
/// ```
/// use recurrent::{train::{Adam, RmsProp}, trainer::Optimiser};
/// let chosen = |fast: bool| -> Optimiser { if fast { Adam::new(1e-3).into() } else { RmsProp::new(1e-3).into() } };
/// assert_eq!(chosen(true), Optimiser::Adam(Adam::new(1e-3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Optimiser {
    /// Adam.
    Adam(Adam),
    /// Adam with decoupled weight decay: the decay does not go through the moments.
    AdamW(AdamW),
    /// RMSprop.
    RmsProp(RmsProp),
    /// Stochastic gradient descent.
    Sgd(Sgd),
}

/// A learning rate as a function of the number of updates. A number or a schedule converts to it with
/// `into()`.
///
/// ```
/// use recurrent::{train::Steps, trainer::Rate};
/// let rates: [Rate; 2] = [0.1f32.into(), Steps::new(0.1, 0.5, 100).into()];
/// assert_eq!(rates.map(|rate| rate.at(100)), [0.1, 0.05]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rate {
    /// A constant rate.
    Constant(f32),
    /// Half a cosine, after a warm-up.
    Cosine(Cosine),
    /// Multiplied by a factor at regular intervals.
    Steps(Steps),
}

macro_rules! from {
    ($($type:ty => $to:ident::$variant:ident),+) => {
        $(impl From<$type> for $to {
            fn from(of: $type) -> Self {
                $to::$variant(of)
            }
        })+
    };
}

from!(Adam => Optimiser::Adam, AdamW => Optimiser::AdamW, RmsProp => Optimiser::RmsProp, Sgd => Optimiser::Sgd);
from!(f32 => Rate::Constant, Cosine => Rate::Cosine, Steps => Rate::Steps);

impl Rate {
    /// The learning rate of the update that follows `step` others.
    pub fn at(&self, step: u64) -> f32 {
        match self {
            Rate::Constant(rate) => *rate,
            Rate::Cosine(rate) => rate.at(step),
            Rate::Steps(rate) => rate.at(step),
        }
    }
}

/// Runs one expression for each kind of optimiser.
macro_rules! each {
    ($optimiser:expr, $o:ident => $e:expr) => {
        match $optimiser {
            Optimiser::Adam($o) => $e,
            Optimiser::AdamW($o) => $e,
            Optimiser::RmsProp($o) => $e,
            Optimiser::Sgd($o) => $e,
        }
    };
}

impl Optimiser {
    /// Length of the moments of `weights` weights.
    pub(super) fn moments_len(&self, weights: usize) -> usize {
        match self {
            Optimiser::Adam(_) => Adam::moments_len(weights),
            Optimiser::AdamW(_) => AdamW::moments_len(weights),
            Optimiser::RmsProp(o) => o.moments_len(weights),
            Optimiser::Sgd(o) => o.moments_len(weights),
        }
    }

    /// The optimiser's learning rate.
    pub(super) fn rate(&self) -> f32 {
        each!(self, o => o.lr)
    }

    /// Sets the weight decay.
    pub(super) fn set_weight_decay(&mut self, decay: f32) {
        each!(self, o => o.weight_decay = decay);
    }

    /// A number that identifies the layout and meaning of the moments.
    pub(super) fn kind(&self) -> u64 {
        match self {
            Optimiser::Adam(_) => 1,
            Optimiser::AdamW(_) => 2,
            // 18 and 19 are not reused: moments of these kinds were mean squares.
            Optimiser::RmsProp(o) => 16 + u64::from(o.momentum != 0.0) + 4 * u64::from(o.centered),
            Optimiser::Sgd(o) => 32 + u64::from(o.momentum != 0.0),
        }
    }

    /// The name of the optimiser of a [`kind`](Self::kind), for messages.
    pub(super) fn name_of(kind: u64) -> &'static str {
        match kind {
            1 => "Adam",
            2 => "AdamW",
            16 => "RMSprop",
            17 => "RMSprop with momentum",
            18 | 19 => "centred RMSprop as it was before, with other moments",
            20 => "centred RMSprop",
            21 => "centred RMSprop with momentum",
            32 => "SGD",
            33 => "SGD with momentum",
            _ => "one that is unknown here",
        }
    }

    /// The number of updates, for optimisers that use it.
    pub(super) fn step(&self) -> u64 {
        match self {
            Optimiser::Adam(o) => o.step,
            Optimiser::AdamW(o) => o.step,
            Optimiser::RmsProp(_) | Optimiser::Sgd(_) => 0,
        }
    }

    /// Sets the number of updates, for optimisers that use it.
    pub(super) fn set_step(&mut self, step: u64) {
        match self {
            Optimiser::Adam(o) => o.step = step,
            Optimiser::AdamW(o) => o.step = step,
            Optimiser::RmsProp(_) | Optimiser::Sgd(_) => {}
        }
    }

    pub(super) fn update(
        &mut self,
        rate: f32,
        weights: &mut [f32],
        grads: &[f32],
        moments: &mut [f32],
        scale: f32,
    ) -> Result<()> {
        each!(self, o => {
            o.lr = rate;
            o.update_scaled(weights, grads, moments, scale)
        })
    }
}
