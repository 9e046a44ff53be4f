//! The simple recurrent network. The tape holds `h'` of each step; the backward pass needs nothing else.

use super::{Cell, Functions, Gate};
use crate::kernel::panel::layout::Layout;
use crate::kernel::step::{At, Equations, Next, Params, Prev};
use crate::kernel::{Activation, Slot};
use crate::simd::Simd;

/// The cell of a simple recurrent network (Elman 1990), in PyTorch's form:
///
/// ```text
/// h' = act(W_ih x + b_ih + W_hh h + b_hh)      act = tanh or ReLU, or any other activation
/// ```
///
/// There is one gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RnnCell {
    /// The activation. Tanh and ReLU are fast.
    pub activation: Activation,
    /// The argument of the activation is clipped to `-clip..=clip`.
    pub clip: f32,
}

/// The one gate of a simple recurrent network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RnnGate {
    /// The hidden state's pre-activation.
    Hidden,
}

impl Gate for RnnGate {
    fn index(self) -> usize {
        self as usize
    }
}

/// The equation, with the function `F`.
#[derive(Clone, Copy)]
pub(crate) struct Elman<F>(F);

impl<F: Functions> Equations for Elman<F> {
    const LAYOUT: Layout = Layout {
        sums: 1,
        x_gates: 1,
        h_gates: 1,
        h_map: [0; 4],
        h_first: 0,
        bias_x: [0; 4],
        bias_h: [0; 4],
        has_c: false,
    };
    const READS_H: bool = false;
    const SEVERAL: bool = F::FIXED;

    #[inline(always)]
    fn new(params: &Params) -> Self {
        Elman(F::new(params))
    }

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, At { planes: [sum, ..], c, .. }: At<S::V>) -> Next<S::V> {
        let (h, zero) = (self.0.value(s, 1, sum), s.splat(0.0));
        Next { h, c, saved: [self.0.save(sum, h), zero, zero, zero] }
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dh: S::V, dc: S::V) -> Prev<S::V> {
        let zero = s.splat(0.0);
        let (h, slope) = self.0.saved_both(s, 1, at.planes[0]);
        let d = self.0.times(s, dh, slope);
        Prev { dh: zero, dc, dsums: [d, zero, zero, zero], dp: [zero; 3], out: h }
    }
}

impl Cell for RnnCell {
    const GATES: usize = 1;
    const STATES: usize = 1;
    const BIASES: usize = 1;
    const TAPE: usize = 1;
    type Gate = RnnGate;
}

impl RnnCell {
    pub(crate) const fn params(self) -> Params {
        let slot = Slot { f: self.activation, clip: self.clip };
        Params { slots: [slot; 3], coupled: false, peepholes: false, carries_normalised: false }
    }
}
