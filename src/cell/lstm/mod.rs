//! Long short-term memory. The tape holds `i f g o` and the previous `c` of each step; `c'` is computed again in the backward pass, with the same operations and so the same bits.

use super::options::General;
use super::{Cell, Choose, Form, Fused, Gate, HiddenGradient, Pass};
use crate::kernel::math::{sigmoid, tanh};
use crate::kernel::{Activation, Equations, Layout, Next, Prev};
use crate::simd::{Isa, Simd};

mod options;

/// The cell of long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), as PyTorch has it:
///
/// ```text
/// i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)      input gate
/// f = sigmoid(W_if x + b_if + W_hf h + b_hf)      forget gate
/// g = tanh   (W_ig x + b_ig + W_hg h + b_hg)      cell gate
/// o = sigmoid(W_io x + b_io + W_ho h + b_ho)      output gate
/// c' = f * c + i * g
/// h' = o * tanh(c')
/// ```
///
/// Gates stand in the order `i f g o`.
///
/// With peepholes (Gers and Schmidhuber 2000) the arguments of `i` and `f` have `p_i * c` and `p_f * c` added, that of `o`
/// `p_o * c'`. Coupled, `f = 1 - i`. With a projection (Sak et al. 2014, arXiv:1402.1128) `h' = W_hr (o * tanh(c'))`. Every
/// activation can be another one, and its argument clipped, as the ONNX operator says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmCell {
    /// Of the gates `i f o`: ONNX' f.
    pub gates: Activation,
    /// Of the cell gate `g`: ONNX' g.
    pub cell: Activation,
    /// Of the cell state on its way to the hidden state: ONNX' h.
    pub hidden: Activation,
    /// The argument of every activation is kept between `-clip` and `clip`.
    pub clip: f32,
    /// Whether the forget gate is `1 - i`.
    pub coupled: bool,
    /// Whether the gates see the cell state.
    pub peepholes: bool,
    /// Whether the output is projected to another width.
    pub projection: bool,
}

impl LstmCell {
    /// The cell of the equations above, which is the fast one.
    pub const STANDARD: LstmCell = LstmCell {
        gates: Activation::Sigmoid,
        cell: Activation::Tanh,
        hidden: Activation::Tanh,
        clip: f32::INFINITY,
        coupled: false,
        peepholes: false,
        projection: false,
    };
}

/// The equations in registers.
#[derive(Clone, Copy)]
pub(crate) struct Standard;

/// The gates of an LSTM, in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LstmGate {
    /// `i`
    Input,
    /// `f`
    Forget,
    /// `g`
    Cell,
    /// `o`
    Output,
}

impl Gate for LstmGate {
    fn index(self) -> usize {
        self as usize
    }
}

impl Layout for Standard {
    const ACC: usize = 4;
    const XG: usize = 4;
    const HG: usize = 4;
    const HMAP: [usize; 4] = [0, 1, 2, 3];
    const HFIRST: usize = 0;
    const BIAS_X: [usize; 4] = [0, 1, 2, 3];
    const BIAS_H: [usize; 4] = [0, 1, 2, 3];
    const HAS_C: bool = true;
}

impl Equations for Standard {
    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], _h: S::V, c: S::V) -> Next<S::V> {
        let i = sigmoid(s, acc[0]);
        let f = sigmoid(s, acc[1]);
        let g = tanh(s, acc[2]);
        let o = sigmoid(s, acc[3]);
        let c = s.fma(f, c, s.mul(i, g));
        Next { h: s.mul(o, tanh(s, c)), c, saved: [i, f, g, o] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [i, f, g, o]: [S::V; 4],
        _h: S::V,
        c_prev: S::V,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let one = s.splat(1.0);
        let tanh_c = tanh(s, s.fma(f, c_prev, s.mul(i, g)));
        let dc = s.fma(s.mul(dh, o), s.fnma(tanh_c, tanh_c, one), dc);
        Prev {
            dh: s.splat(0.0),
            dc: s.mul(dc, f),
            dacc: [
                s.mul(s.mul(dc, g), s.fnma(i, i, i)),
                s.mul(s.mul(dc, c_prev), s.fnma(f, f, f)),
                s.mul(s.mul(dc, i), s.fnma(g, g, one)),
                s.mul(s.mul(dh, tanh_c), s.fnma(o, o, o)),
            ],
        }
    }
}

impl Fused for Standard {
    type Sums = Self;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] =
        &[HiddenGradient { gate: 0, count: 4, plane: 0, operand: None }];
}

impl Cell for LstmCell {
    const GATES: usize = 4;
    const STATES: usize = 2;
    const BIASES: usize = 4;
    const TAPE: usize = 5;
    type Gate = LstmGate;
}

impl Choose for LstmCell {
    #[inline(always)]
    fn form(self, options: bool) -> Form {
        if options { Form::General } else { Form::First }
    }

    #[inline(always)]
    fn run<P: Pass>(self, form: Form, isa: Isa, pass: P) {
        match form {
            Form::First => pass.run(isa, Standard),
            Form::Second | Form::General => pass.run(isa, General(self)),
        }
    }
}
