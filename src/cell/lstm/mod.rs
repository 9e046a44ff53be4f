//! Long short-term memory. The tape holds `i f g o` and the previous `c` of each step. The backward pass
//! computes `c'` again with the same operations, so it gets the same bits. With layer normalisation it holds
//! `W_ih x`, `W_hh h` and the previous `c`.

use super::{Cell, Functions, Gate};
use crate::kernel::panel::layout::Layout;
use crate::kernel::step::{At, Equations, Next, Params, Prev};
use crate::kernel::{Activation, Slot};
use crate::simd::Simd;

/// The cell of long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
/// 2000), in PyTorch's form:
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
/// The order of the gates is `i f g o`.
///
/// With peepholes (Gers and Schmidhuber 2000), `p_i * c` and `p_f * c` are added to the arguments of `i` and
/// `f`, and `p_o * c'` to that of `o`. Coupled: `f = 1 - i`. With a projection (Sak et al. 2014,
/// arXiv:1402.1128): `h' = W_hr (o * tanh(c'))`. Every activation can be replaced, and its argument clipped,
/// as in the ONNX operator.
///
/// With layer normalisation (Ba et al. 2016, arXiv:1607.06450, supplementary material), which normalises the
/// products of all four gates together:
///
/// ```text
/// [a_i a_f a_g a_o] = LN(W_ih x) * g_ih + b_ih + LN(W_hh h) * g_hh + b_hh
/// LN(v) = (v - mean(v)) / sqrt(variance(v) + 1e-5)
/// c' = f * c + i * g        with i, f, g and o as above, from a_i, a_f, a_g and a_o
/// h' = o * tanh(LN(c') * g_c + b_c)
/// ```
///
/// [`LstmNorm`] has a second form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LstmCell {
    /// Activation of `i`, `f` and `o`. ONNX calls it f.
    pub gates: Activation,
    /// Activation of the cell gate `g`. ONNX calls it g.
    pub cell: Activation,
    /// Activation of the cell state in the output, `o * hidden(c')`. ONNX calls it h.
    pub hidden: Activation,
    /// The argument of every activation is clipped to `-clip..=clip`.
    pub clip: f32,
    /// Whether the forget gate is `1 - i`.
    pub coupled: bool,
    /// Whether the gates see the cell state.
    pub peepholes: bool,
    /// Whether the output is projected to another width.
    pub projection: bool,
    /// Layer normalisation. It excludes all of the options above.
    pub norm: Option<LstmNorm>,
}

/// The two forms of an LSTM with layer normalisation: which cell state goes on to the next step. They give
/// different results for the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LstmNorm {
    /// The cell state as it is; only the output sees it normalised. This is the form of Ba et al. 2016.
    Output,
    /// The normalised one: `c' = LN(f * c + i * g) * g_c + b_c`, `h' = o * tanh(c')`. PyTorch's
    /// `LayerNormLSTMCell` (in its `benchmarks/fastrnns/custom_lstms.py`) has this form and these weights:
    /// its `layernorm_i`, `layernorm_h` and `layernorm_c` are `g_ih b_ih`, `g_hh b_hh` and `g_c b_c`.
    State,
}

impl LstmCell {
    /// The cell of the equations above. It is the fast one.
    pub const STANDARD: LstmCell = LstmCell {
        gates: Activation::Sigmoid,
        cell: Activation::Tanh,
        hidden: Activation::Tanh,
        clip: f32::INFINITY,
        coupled: false,
        peepholes: false,
        projection: false,
        norm: None,
    };

    /// Whether the cell has options, other than layer normalisation.
    pub(crate) const fn has_options(&self) -> bool {
        let functions = matches!(
            (self.gates, self.cell, self.hidden),
            (Activation::Sigmoid, Activation::Tanh, Activation::Tanh)
        );
        !functions || self.clip < f32::INFINITY || self.coupled || self.peepholes || self.projection
    }
}

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

/// The equations with the functions `F`. Only with functions chosen at run time are there coupled gates and
/// peepholes.
#[derive(Clone, Copy)]
pub(crate) struct Lstm<F> {
    f: F,
    coupled: bool,
    peepholes: bool,
}

impl<F> Lstm<F> {
    /// `sum + p * c`, if there are peepholes.
    #[inline(always)]
    fn peep<S: Simd>(&self, s: S, sum: S::V, p: S::V, c: S::V) -> S::V {
        if self.peepholes { s.fma(p, c, sum) } else { sum }
    }
}

impl<F: Functions> Equations for Lstm<F> {
    const LAYOUT: Layout = Layout {
        sums: 4,
        x_gates: 4,
        h_gates: 4,
        h_map: [0, 1, 2, 3],
        h_first: 0,
        bias_x: [0, 1, 2, 3],
        bias_h: [0, 1, 2, 3],
        has_c: true,
    };
    const READS_H: bool = false;
    const PEEPHOLES: bool = !F::FIXED;
    const NORMALISED: [usize; 2] = [4, 0];
    const SEVERAL: bool = F::FIXED;

    #[inline(always)]
    fn new(params: &Params) -> Self {
        let options = !F::FIXED;
        Lstm { f: F::new(params), coupled: options && params.coupled, peepholes: options && params.peepholes }
    }

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, At { planes: [i, f, g, o], h: _, c, p }: At<S::V>) -> Next<S::V> {
        let [i, f] = [self.peep(s, i, p[0], c), self.peep(s, f, p[1], c)];
        let input = self.f.value(s, 0, i);
        let forget = match self.coupled {
            true => s.sub(s.splat(1.0), input),
            false => self.f.value(s, 0, f),
        };
        let cell = self.f.value(s, 1, g);
        let c = s.fma(forget, c, s.mul(input, cell));
        let o = self.peep(s, o, p[2], c);
        let output = self.f.value(s, 0, o);
        let saved =
            [self.f.save(i, input), self.f.save(f, forget), self.f.save(g, cell), self.f.save(o, output)];
        Next { h: s.mul(output, self.f.value(s, 2, c)), c, saved }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        At { planes, h: _, c: c_prev, p }: At<S::V>,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let zero = s.splat(0.0);
        let (i, i_slope) = self.f.saved_both(s, 0, planes[0]);
        let (f, f_slope) = match self.coupled {
            true => (s.sub(s.splat(1.0), i), zero),
            false => self.f.saved_both(s, 0, planes[1]),
        };
        let (g, g_slope) = self.f.saved_both(s, 1, planes[2]);
        let (o, o_slope) = self.f.saved_both(s, 0, planes[3]);
        let c = s.fma(f, c_prev, s.mul(i, g));
        let (h, h_slope) = self.f.both(s, 2, c);

        let d_o = self.f.times(s, s.mul(dh, h), o_slope);
        let dc = self.peep(s, s.fma(s.mul(dh, o), h_slope, dc), p[2], d_o);
        let through_i = if self.coupled { s.sub(g, c_prev) } else { g };
        let d_i = self.f.times(s, s.mul(dc, through_i), i_slope);
        let d_f = self.f.times(s, s.mul(dc, c_prev), f_slope);
        let d_g = self.f.times(s, s.mul(dc, i), g_slope);
        let mut dc_prev = self.peep(s, s.mul(dc, f), p[0], d_i);
        if !self.coupled {
            dc_prev = self.peep(s, dc_prev, p[1], d_f);
        }
        Prev {
            dh: zero,
            dc: dc_prev,
            dsums: [d_i, d_f, d_g, d_o],
            dp: [s.mul(d_i, c_prev), s.mul(d_f, c_prev), s.mul(d_o, c)],
            out: s.mul(o, h),
        }
    }

    #[inline(always)]
    fn output<S: Simd>(self, s: S, o: S::V, c: S::V) -> S::V {
        s.mul(self.f.saved(s, 0, o), self.f.value(s, 2, c))
    }

    #[inline(always)]
    fn output_backward<S: Simd>(self, s: S, o: S::V, c: S::V, dh: S::V) -> (S::V, S::V) {
        let (o, o_slope) = self.f.saved_both(s, 0, o);
        let (h, h_slope) = self.f.both(s, 2, c);
        (self.f.times(s, s.mul(dh, h), o_slope), self.f.times(s, s.mul(dh, o), h_slope))
    }
}

impl Cell for LstmCell {
    const GATES: usize = 4;
    const STATES: usize = 2;
    const BIASES: usize = 4;
    const TAPE: usize = 5;
    type Gate = LstmGate;
}

impl LstmCell {
    pub(crate) const fn params(self) -> Params {
        let clip = self.clip;
        Params {
            slots: [Slot { f: self.gates, clip }, Slot { f: self.cell, clip }, Slot { f: self.hidden, clip }],
            coupled: self.coupled,
            peepholes: self.peepholes,
            carries_normalised: matches!(self.norm, Some(LstmNorm::State)),
        }
    }
}
