//! The simple recurrent network (Elman 1990), as PyTorch has it:
//!
//! ```text
//! h' = act(W_ih x + b_ih + W_hh h + b_hh)      act = tanh or ReLU
//! ```
//!
//! There is one gate. The tape holds `h'` of each step, which is all that the derivative needs.

use super::{Cell, Choose, Gate, HiddenGradient, Pass, Steps};
use crate::kernel::math::tanh;
use crate::kernel::{Equations, Layout, Next, Prev};
use crate::simd::Simd;

/// The cell of a simple recurrent network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RnnCell {
    /// The nonlinearity.
    pub activation: Activation,
}

/// The nonlinearity of a simple recurrent network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(0, x)`
    Relu,
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

/// The equations with the choice of the nonlinearity made at compile time.
#[derive(Clone, Copy)]
struct Elman<const RELU: bool>;

impl<const RELU: bool> Layout for Elman<RELU> {
    const ACC: usize = 1;
    const XG: usize = 1;
    const HG: usize = 1;
    const HMAP: [usize; 4] = [0; 4];
    const HROWS: [usize; 4] = [0; 4];
    const BIAS_X: [usize; 4] = [0; 4];
    const BIAS_H: [usize; 4] = [0; 4];
    const HAS_C: bool = false;
}

impl<const RELU: bool> Equations for Elman<RELU> {
    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], _h: S::V, c: S::V) -> Next<S::V> {
        let zero = s.splat(0.0);
        let h = if RELU { s.lt_select(acc[0], zero, zero, acc[0]) } else { tanh(s, acc[0]) };
        Next { h, c, saved: [h, zero, zero, zero] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [h, ..]: [S::V; 4],
        _h: S::V,
        _c: S::V,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let zero = s.splat(0.0);
        let d = if RELU { s.lt_select(zero, h, dh, zero) } else { s.mul(dh, s.fnma(h, h, s.splat(1.0))) };
        Prev { dh: zero, dc, dacc: [d, zero, zero, zero] }
    }
}

impl<const RELU: bool> Steps for Elman<RELU> {
    type First = Self;
    fn first(self) -> Self {
        self
    }
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] =
        &[HiddenGradient { gate: 0, count: 1, plane: 0, operand: None }];
}

impl Cell for RnnCell {
    const GATES: usize = 1;
    const STATES: usize = 1;
    const BIASES: usize = 1;
    const TAPE: usize = 1;
    type Gate = RnnGate;
}

impl Choose for RnnCell {
    fn run<P: Pass>(self, pass: P) -> P::Output {
        match self.activation {
            Activation::Tanh => pass.run(Elman::<false>),
            Activation::Relu => pass.run(Elman::<true>),
        }
    }
}
