//! The minimal gated unit. It has two stages, and four planes in the tape:
//!
//! | plane | forward | back |
//! |---|---|---|
//! | `F` | `f` | gradient of its sum |
//! | `N` | `n` | gradient of its sum |
//! | 2 | 0 | `dh' * (n - h)`, from stage to stage |
//! | `FH` | `f * h` | the same |

use super::{Cell, Gate};
use crate::kernel::panel::layout::{Layout, NONE};
use crate::kernel::pointwise::math::{sigmoid, tanh};
use crate::kernel::step::{At, Equations, Next, Params, Prev, SecondStage};
use crate::simd::Simd;

/// The cell of a minimal gated unit (Zhou et al. 2016, arXiv:1603.09420): a GRU whose single gate both resets
/// and updates.
///
/// ```text
/// f  = sigmoid(W_if x + b_if + W_hf h + b_hf)           forget gate
/// n  = tanh(W_in x + b_in + W_hn (f * h) + b_hn)        new gate
/// h' = (1 - f) * h + f * n
/// ```
///
/// The order of the gates is `f n`. The cell has no options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MguCell;

/// The gates of a minimal gated unit, in canonical order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MguGate {
    /// `f`
    Forget,
    /// `n`
    New,
}

impl Gate for MguGate {
    fn index(self) -> usize {
        self as usize
    }
}

/// Planes of the tape.
const F: usize = 0;
const N: usize = 1;
const FH: usize = 3;

/// The equations.
#[derive(Clone, Copy)]
pub(crate) struct Mgu;

impl Equations for Mgu {
    const LAYOUT: Layout = Layout {
        sums: 4,
        x_gates: 2,
        h_gates: 1,
        h_map: [0; 4],
        h_first: 0,
        bias_x: [0, 1, NONE, NONE],
        bias_h: [0, 1, NONE, NONE],
        has_c: false,
    };
    const SECOND: Option<SecondStage> =
        Some(SecondStage { layout: Layout::hidden_gate(1), sum: N, operand: FH });
    const READS_H: bool = true;
    const SEVERAL: bool = true;

    #[inline(always)]
    fn new(_: &Params) -> Self {
        Mgu
    }

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, At { planes, h, c, .. }: At<S::V>) -> Next<S::V> {
        let f = sigmoid(s, planes[F]);
        Next { h, c, saved: [f, planes[N], s.splat(0.0), s.mul(f, h)] }
    }

    #[inline(always)]
    fn second<S: Simd>(self, s: S, At { planes: [f, sum, part, fh], h, c, .. }: At<S::V>) -> Next<S::V> {
        let n = tanh(s, sum);
        Next { h: s.fma(f, n, s.fnma(f, h, h)), c, saved: [f, n, part, fh] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        At { planes: [f, n, _, fh], h, .. }: At<S::V>,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let zero = s.splat(0.0);
        let dn = s.mul(s.mul(dh, f), s.fnma(n, n, s.splat(1.0)));
        let part = s.mul(dh, s.sub(n, h));
        Prev { dh: s.fnma(dh, f, dh), dc, dsums: [f, dn, part, fh], dp: [zero; 3], out: zero }
    }

    #[inline(always)]
    fn second_backward<S: Simd>(
        self,
        s: S,
        At { planes: [f, dn, part, fh], h, .. }: At<S::V>,
        d_operand: S::V,
        dh: S::V,
    ) -> (S::V, [S::V; 4]) {
        let df = s.mul(s.fma(d_operand, h, part), s.fnma(f, f, f));
        (s.fma(d_operand, f, dh), [df, dn, part, fh])
    }
}

impl Cell for MguCell {
    const GATES: usize = 2;
    const STATES: usize = 1;
    const BIASES: usize = 4;
    const TAPE: usize = 4;
    type Gate = MguGate;
}
