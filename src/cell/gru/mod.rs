//! The gated recurrent unit. The tape holds `r z n` and a fourth plane: `W_hn h + b_hn` in the form "reset
//! after", `r * h` in the form "reset before". With layer normalisation it holds `W_ih x` and `W_hh h`.

use super::{Cell, Functions, Gate};
use crate::kernel::panel::layout::{Layout, NONE};
use crate::kernel::step::{At, Equations, Next, Params, Prev, SecondStage};
use crate::kernel::{Activation, Slot};
use crate::simd::Simd;

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
/// The order of the gates is `r z n`.
///
/// With layer normalisation (Ba et al. 2016, arXiv:1607.06450, supplementary material), in the form "reset
/// after". The products of `r` and `z` are normalised together, those of `n` by themselves:
///
/// ```text
/// [r z] = sigmoid(LN(W_i x) * g_i + b_i + LN(W_h h) * g_h + b_h)
/// n = tanh(LN(W_in x) * g_in + b_in + r * (LN(W_hn h) * g_hn + b_hn))
/// LN(v) = (v - mean(v)) / sqrt(variance(v) + 1e-5)
/// ```
///
/// The paper's update gate is `1 - z`, as in the original GRU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GruCell {
    /// Where the reset gate is applied.
    pub reset: Reset,
    /// Activation of `r` and `z`. ONNX calls it f.
    pub gates: Activation,
    /// Activation of `n`. ONNX calls it g.
    pub new: Activation,
    /// The argument of every activation is clipped to `-clip..=clip`.
    pub clip: f32,
    /// Layer normalisation. It excludes all of the options above.
    pub norm: bool,
}

impl GruCell {
    /// PyTorch's cell: reset after the product, sigmoid and tanh.
    pub const STANDARD: GruCell = GruCell {
        reset: Reset::After,
        gates: Activation::Sigmoid,
        new: Activation::Tanh,
        clip: f32::INFINITY,
        norm: false,
    };

    /// Whether the cell has options, other than layer normalisation.
    pub(crate) const fn has_options(&self) -> bool {
        let functions = matches!((self.gates, self.new), (Activation::Sigmoid, Activation::Tanh));
        !functions || self.clip < f32::INFINITY
    }
}

/// Where the reset gate of a GRU is applied. The two forms give different results for the same weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// After the product with the hidden weights: PyTorch, cuDNN, Keras `reset_after=True`, ONNX
    /// `linear_before_reset=1`.
    #[default]
    After,
    /// Before the product: Cho et al. 2014, Keras `reset_after=False`, ONNX `linear_before_reset=0`. The two
    /// biases are summed.
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

/// From saved values: the gradients of the pre-activations of `z` and `n`, and the part of the gradient of
/// `h` that bypasses both gates.
#[inline(always)]
fn blend_back<S: Simd, F: Functions>(s: S, f: F, z: S::V, n: S::V, h: S::V, dh: S::V) -> (S::V, S::V, S::V) {
    let (z, z_slope) = f.saved_both(s, 0, z);
    let (n, n_slope) = f.saved_both(s, 1, n);
    let dz = f.times(s, s.mul(dh, s.sub(h, n)), z_slope);
    let dn = f.times(s, s.fnma(dh, z, dh), n_slope);
    (dz, dn, s.mul(dh, z))
}

/// The form "reset after". The new gate has two sums, because its two products are combined only after the
/// reset gate.
#[derive(Clone, Copy)]
pub(crate) struct ResetAfter<F>(F);

impl<F: Functions> Equations for ResetAfter<F> {
    const LAYOUT: Layout = Layout {
        sums: 4,
        x_gates: 3,
        h_gates: 3,
        h_map: [0, 1, 3, 0],
        h_first: 0,
        bias_x: [0, 1, 2, NONE],
        bias_h: [0, 1, NONE, 2],
        has_c: false,
    };
    const READS_H: bool = true;
    const NORMALISED: [usize; 2] = [2, 1];
    const SEVERAL: bool = F::FIXED;

    #[inline(always)]
    fn new(params: &Params) -> Self {
        ResetAfter(F::new(params))
    }

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, At { planes, h, c, .. }: At<S::V>) -> Next<S::V> {
        let f = self.0;
        let r = f.value(s, 0, planes[0]);
        let z = f.value(s, 0, planes[1]);
        let sum = s.fma(r, planes[3], planes[2]);
        let n = f.value(s, 1, sum);
        let saved = [f.save(planes[0], r), f.save(planes[1], z), f.save(sum, n), planes[3]];
        Next { h: blend(s, z, n, h), c, saved }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        At { planes: [r, z, n, q], h, .. }: At<S::V>,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let zero = s.splat(0.0);
        let (r, r_slope) = self.0.saved_both(s, 0, r);
        let (dz, dn, dh) = blend_back(s, self.0, z, n, h, dh);
        let dr = self.0.times(s, s.mul(dn, q), r_slope);
        Prev { dh, dc, dsums: [dr, dz, dn, s.mul(dn, r)], dp: [zero; 3], out: zero }
    }
}

/// The form "reset before", in two stages: `W_hn` multiplies `r * h`, so it must wait until all units have
/// their reset gate.
///
/// Stage one computes `r` and `z`, leaves the input part of the new gate as it is, and writes `r * h`. Stage
/// two adds `W_hn (r * h)` to that input part.
#[derive(Clone, Copy)]
pub(crate) struct ResetBefore<F>(F);

/// Planes of the tape in the form "reset before".
const R: usize = 0;
const Z: usize = 1;
const N: usize = 2;
const RH: usize = 3;

impl<F: Functions> Equations for ResetBefore<F> {
    const LAYOUT: Layout = Layout {
        sums: 4,
        x_gates: 3,
        h_gates: 2,
        h_map: [0, 1, 0, 0],
        h_first: 0,
        bias_x: [0, 1, 2, NONE],
        bias_h: [0, 1, 2, NONE],
        has_c: false,
    };
    const SECOND: Option<SecondStage> =
        Some(SecondStage { layout: Layout::hidden_gate(2), sum: N, operand: RH });
    const READS_H: bool = true;
    const SEVERAL: bool = F::FIXED;

    #[inline(always)]
    fn new(params: &Params) -> Self {
        ResetBefore(F::new(params))
    }

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, At { planes, h, c, .. }: At<S::V>) -> Next<S::V> {
        let f = self.0;
        let r = f.value(s, 0, planes[R]);
        let z = f.value(s, 0, planes[Z]);
        let saved = [f.save(planes[R], r), f.save(planes[Z], z), planes[N], s.mul(r, h)];
        Next { h, c, saved }
    }

    #[inline(always)]
    fn second<S: Simd>(self, s: S, At { planes, h, c, .. }: At<S::V>) -> Next<S::V> {
        let f = self.0;
        let n = f.value(s, 1, planes[N]);
        let saved = [planes[R], planes[Z], f.save(planes[N], n), planes[RH]];
        Next { h: blend(s, f.saved(s, 0, planes[Z]), n, h), c, saved }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        At { planes: [r, z, n, rh], h, .. }: At<S::V>,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let zero = s.splat(0.0);
        let (dz, dn, dh) = blend_back(s, self.0, z, n, h, dh);
        Prev { dh, dc, dsums: [r, dz, dn, rh], dp: [zero; 3], out: zero }
    }

    #[inline(always)]
    fn second_backward<S: Simd>(
        self,
        s: S,
        At { planes: [r, dz, dn, rh], h, .. }: At<S::V>,
        drh: S::V,
        dh: S::V,
    ) -> (S::V, [S::V; 4]) {
        let (r, slope) = self.0.saved_both(s, 0, r);
        let dr = self.0.times(s, s.mul(drh, h), slope);
        (s.fma(drh, r, dh), [dr, dz, dn, rh])
    }
}

impl Cell for GruCell {
    const GATES: usize = 3;
    const STATES: usize = 1;
    const BIASES: usize = 4;
    const TAPE: usize = 4;
    type Gate = GruGate;
}

impl GruCell {
    pub(crate) const fn params(self) -> Params {
        let clip = self.clip;
        Params {
            slots: [Slot { f: self.gates, clip }, Slot { f: self.new, clip }, Slot { f: self.new, clip }],
            coupled: false,
            peepholes: false,
            carries_normalised: false,
        }
    }
}
