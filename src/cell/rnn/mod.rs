//! The simple recurrent network. The tape holds `h'` of each step, which is all that the derivative needs.

use super::options::{General, Optional};
use super::{Cell, Choose, Form, Fused, Gate, HiddenGradient, Pass};
use crate::kernel::math::tanh;
use crate::kernel::recur::{At, Back, Pointwise};
use crate::kernel::{Activation, Equations, Layout, Next, Prev, Slot};
use crate::simd::{Isa, Simd};

/// The cell of a simple recurrent network (Elman 1990), as PyTorch has it:
///
/// ```text
/// h' = act(W_ih x + b_ih + W_hh h + b_hh)      act = tanh or ReLU, or any other activation
/// ```
///
/// There is one gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RnnCell {
    /// The nonlinearity. Tanh and ReLU are fast.
    pub activation: Activation,
    /// Its argument is kept between `-clip` and `clip`.
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

/// The equations with the choice of the nonlinearity made at compile time.
#[derive(Clone, Copy)]
pub(crate) struct Elman<const RELU: bool>;

impl<const RELU: bool> Layout for Elman<RELU> {
    const ACC: usize = 1;
    const XG: usize = 1;
    const HG: usize = 1;
    const HMAP: [usize; 4] = [0; 4];
    const HFIRST: usize = 0;
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

impl<const RELU: bool> Fused for Elman<RELU> {
    type Sums = Elman<false>;
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
    #[inline(always)]
    fn form(self, options: bool) -> Form {
        match self.activation {
            Activation::Tanh if !options => Form::First,
            Activation::Relu if !options => Form::Second,
            _ => Form::General,
        }
    }

    #[inline(always)]
    fn run<P: Pass>(self, form: Form, isa: Isa, pass: P) {
        match form {
            Form::First => pass.run(isa, Elman::<false>),
            Form::Second => pass.run(isa, Elman::<true>),
            Form::General => pass.run(isa, General(self)),
        }
    }
}

impl Pointwise for RnnCell {
    const SUMS: usize = 1;
    const HAS_C: bool = false;
    const HAS_H: bool = false;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let slot = Slot { f: self.activation, clip: self.clip };
        (slot.value(s, at.sums[0]), at.c)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let (out, slope) = Slot { f: self.activation, clip: self.clip }.both(s, at.sums[0]);
        let zero = s.splat(0.0);
        Back { dsums: [s.mul(dout, slope), zero, zero, zero], dh: zero, dc, dp: [zero; 3], out }
    }
}

impl Optional for RnnCell {
    type Sums = Elman<false>;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = <Elman<false> as Fused>::HIDDEN_GRADIENTS;
}
