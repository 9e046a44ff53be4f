//! The gated recurrent unit. The tape holds `r z n` and, for the form reset after, `W_hn h + b_hn`,
//! for the form reset before, `r * h`.

use super::options::General;
use super::two_stage::{OptionalTwo, Two};
use super::{Cell, Choose, Form, Fused, Gate, HiddenGradient, Pass};
use crate::kernel::math::{sigmoid, tanh};
use crate::kernel::{Activation, Equations, Layout, NONE, Next, Prev};
use crate::simd::{Isa, Simd};

mod options;
mod reset_before;

use reset_before::ResetBefore;

/// The cell of a gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), in its two forms:
///
/// ```text
/// r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)            reset gate
/// z = sigmoid(W_iz x + b_iz + W_hz h + b_hz)            update gate
/// n = tanh(W_in x + b_in + r * (W_hn h + b_hn))         new gate, reset after (PyTorch, cuDNN, Keras' default)
/// n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)         new gate, reset before (Cho et al.)
/// h' = (1 - z) * n + z * h
/// ```
///
/// Gates stand in the order `r z n`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GruCell {
    /// Where the reset gate acts.
    pub reset: Reset,
    /// Of the gates `r z`: ONNX' f.
    pub gates: Activation,
    /// Of the new gate: ONNX' g.
    pub new: Activation,
    /// The argument of every activation is kept between `-clip` and `clip`.
    pub clip: f32,
}

impl GruCell {
    /// PyTorch's cell: reset after, sigmoid and tanh.
    pub const STANDARD: GruCell = GruCell {
        reset: Reset::After,
        gates: Activation::Sigmoid,
        new: Activation::Tanh,
        clip: f32::INFINITY,
    };
}

/// Where the reset gate of a GRU acts: the two forms have different results for the same weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// After the product with the hidden weights: PyTorch, cuDNN, Keras `reset_after=True`, ONNX `linear_before_reset=1`.
    #[default]
    After,
    /// Before it: Cho et al. 2014, Keras `reset_after=False`, ONNX `linear_before_reset=0`. The two biases are summed.
    Before,
}

/// The gates of a GRU, in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GruGate {
    /// `r`
    Reset,
    /// `z`
    Update,
    /// `n`
    New,
}

impl Gate for GruGate {
    fn index(self) -> usize {
        self as usize
    }
}

/// `h' = (1 - z) * n + z * h`
#[inline(always)]
fn blend<S: Simd>(s: S, z: S::V, n: S::V, h: S::V) -> S::V {
    s.fma(z, s.sub(h, n), n)
}

/// Gradients of the update gate's and the new gate's pre-activations, and the part of the previous state's
/// gradient that goes past both.
#[inline(always)]
fn blend_back<S: Simd>(s: S, z: S::V, n: S::V, h: S::V, dh: S::V) -> (S::V, S::V, S::V) {
    let dz = s.mul(s.mul(dh, s.sub(h, n)), s.fnma(z, z, z));
    let dn = s.mul(s.fnma(dh, z, dh), s.fnma(n, n, s.splat(1.0)));
    (dz, dn, s.mul(dh, z))
}

/// The form reset after. The new gate has two accumulators, because its two products meet only after the reset gate.
#[derive(Clone, Copy)]
pub(crate) struct ResetAfter;

impl Layout for ResetAfter {
    const ACC: usize = 4;
    const XG: usize = 3;
    const HG: usize = 3;
    const HMAP: [usize; 4] = [0, 1, 3, 0];
    const HFIRST: usize = 0;
    const BIAS_X: [usize; 4] = [0, 1, 2, NONE];
    const BIAS_H: [usize; 4] = [0, 1, NONE, 2];
    const HAS_C: bool = false;
}

impl Equations for ResetAfter {
    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], h: S::V, c: S::V) -> Next<S::V> {
        let r = sigmoid(s, acc[0]);
        let z = sigmoid(s, acc[1]);
        let n = tanh(s, s.fma(r, acc[3], acc[2]));
        Next { h: blend(s, z, n, h), c, saved: [r, z, n, acc[3]] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [r, z, n, q]: [S::V; 4],
        h: S::V,
        _c: S::V,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let (dz, dn, dh) = blend_back(s, z, n, h, dh);
        let dr = s.mul(s.mul(dn, q), s.fnma(r, r, r));
        Prev { dh, dc, dacc: [dr, dz, dn, s.mul(dn, r)] }
    }
}

impl Fused for ResetAfter {
    type Sums = Self;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = &[
        HiddenGradient { gate: 0, count: 2, plane: 0, operand: None },
        HiddenGradient { gate: 2, count: 1, plane: 3, operand: None },
    ];
}

impl Cell for GruCell {
    const GATES: usize = 3;
    const STATES: usize = 1;
    const BIASES: usize = 4;
    const TAPE: usize = 4;
    type Gate = GruGate;
}

impl Choose for GruCell {
    #[inline(always)]
    fn form(self, options: bool) -> Form {
        match (self.reset, options) {
            (_, true) => Form::General,
            (Reset::After, false) => Form::First,
            (Reset::Before, false) => Form::Second,
        }
    }

    #[inline(always)]
    fn run<P: Pass>(self, form: Form, isa: Isa, pass: P) {
        match (form, self.reset) {
            (Form::First, _) => pass.run(isa, ResetAfter),
            (Form::Second, _) => pass.run(isa, Two(ResetBefore)),
            (Form::General, Reset::After) => pass.run(isa, General(self)),
            (Form::General, Reset::Before) => pass.run(isa, OptionalTwo(self)),
        }
    }
}
