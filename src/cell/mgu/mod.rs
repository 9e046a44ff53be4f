//! The minimal gated unit. It has two stages, and four planes in the tape:
//!
//! | plane | forward | back |
//! |---|---|---|
//! | `F` | `f` | gradient of its sum |
//! | `N` | `n` | gradient of its sum |
//! | 2 | 0 | `dh' * (n - h)`, from stage to stage |
//! | `FH` | `f * h` | the same |

use super::two_stage::{OptionalTwo, OptionalTwoStage, Two};
use super::{Cell, Choose, Form, Gate, Pass};
use crate::kernel::math::{sigmoid, tanh};
use crate::kernel::recur::{At, Back, Pointwise};
use crate::kernel::second::SecondStage;
use crate::kernel::{Equations, HiddenGate, Layout, NONE, Next, Prev};
use crate::simd::{Isa, Simd};

/// The cell of a minimal gated unit (Zhou et al. 2016, arXiv:1603.09420): a GRU with one gate, which resets and updates.
///
/// ```text
/// f  = sigmoid(W_if x + b_if + W_hf h + b_hf)           forget gate
/// n  = tanh(W_in x + b_in + W_hn (f * h) + b_hn)        new gate
/// h' = (1 - f) * h + f * n
/// ```
///
/// Gates stand in the order `f n`. It has no options of its own.
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

/// `h' = (1 - f) * h + f * n`
#[inline(always)]
fn blend<S: Simd>(s: S, f: S::V, n: S::V, h: S::V) -> S::V {
    s.fma(f, n, s.fnma(f, h, h))
}

/// From `dh'`: the gradient of the new gate's sum, that of `f` as far as it does not come through `f * h`, and that of the
/// previous state which goes past both products.
#[inline(always)]
fn blend_back<S: Simd>(s: S, f: S::V, n: S::V, h: S::V, dh: S::V) -> (S::V, S::V, S::V) {
    let dn = s.mul(s.mul(dh, f), s.fnma(n, n, s.splat(1.0)));
    (dn, s.mul(dh, s.sub(n, h)), s.fnma(dh, f, dh))
}

/// The gradient of the forget gate's sum.
#[inline(always)]
fn forget_back<S: Simd>(s: S, f: S::V, part: S::V, h: S::V, d_operand: S::V) -> S::V {
    s.mul(s.fma(d_operand, h, part), s.fnma(f, f, f))
}

impl Layout for MguCell {
    const ACC: usize = 4;
    const XG: usize = 2;
    const HG: usize = 1;
    const HMAP: [usize; 4] = [0; 4];
    const HFIRST: usize = 0;
    const BIAS_X: [usize; 4] = [0, 1, NONE, NONE];
    const BIAS_H: [usize; 4] = [0, 1, NONE, NONE];
    const HAS_C: bool = false;
}

impl Equations for MguCell {
    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], h: S::V, c: S::V) -> Next<S::V> {
        let f = sigmoid(s, acc[F]);
        Next { h, c, saved: [f, acc[N], s.splat(0.0), s.mul(f, h)] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [f, n, _, fh]: [S::V; 4],
        h: S::V,
        _c: S::V,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let (dn, part, dh) = blend_back(s, f, n, h, dh);
        Prev { dh, dc, dacc: [f, dn, part, fh] }
    }
}

impl SecondStage for MguCell {
    type Weights = HiddenGate<1>;
    const SUM: usize = N;
    const OPERAND: usize = FH;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, sum: S::V, saved: [S::V; 4], h: S::V) -> (S::V, S::V) {
        let n = tanh(s, sum);
        (blend(s, saved[F], n, h), n)
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [f, dn, part, fh]: [S::V; 4],
        h: S::V,
        d_operand: S::V,
        dh: S::V,
    ) -> (S::V, [S::V; 4]) {
        (s.fma(d_operand, f, dh), [forget_back(s, f, part, h, d_operand), dn, part, fh])
    }
}

impl Cell for MguCell {
    const GATES: usize = 2;
    const STATES: usize = 1;
    const BIASES: usize = 4;
    const TAPE: usize = 4;
    type Gate = MguGate;
}

impl Choose for MguCell {
    #[inline(always)]
    fn form(self, options: bool) -> Form {
        if options { Form::General } else { Form::First }
    }

    #[inline(always)]
    fn run<P: Pass>(self, form: Form, isa: Isa, pass: P) {
        match form {
            Form::General => pass.run(isa, OptionalTwo(self)),
            _ => pass.run(isa, Two(self)),
        }
    }
}

impl OptionalTwoStage for MguCell {
    type Plain = MguCell;
    type First = First;
    type Second = Second;

    #[inline(always)]
    fn stages(self) -> (First, Second) {
        (First, Second)
    }
}

/// Over stored sums, for recurrent dropout: what the equations above do, with the argument of the new gate in two planes.
#[derive(Clone, Copy)]
pub(super) struct First;

impl Pointwise for First {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        (s.mul(sigmoid(s, at.sums[F]), at.h), at.c)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [f, x, _, q], h, .. } = at;
        let (f, n, zero) = (sigmoid(s, f), tanh(s, s.add(x, q)), s.splat(0.0));
        let (dn, part, dh) = blend_back(s, f, n, h, dout);
        Back { dsums: [f, dn, part, s.mul(f, h)], dh, dc, dp: [zero; 3], out: zero }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Second;

impl Pointwise for Second {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let At { sums: [f, x, _, q], h, c, .. } = at;
        (blend(s, sigmoid(s, f), tanh(s, s.add(x, q)), h), c)
    }

    /// From the gradient of `f * h`; here `f` stands in its plane, and not its sum.
    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [f, dn, part, fh], h, .. } = at;
        let zero = s.splat(0.0);
        let df = forget_back(s, f, part, h, dout);
        Back { dsums: [df, dn, part, fh], dh: s.mul(dout, f), dc, dp: [zero; 3], out: zero }
    }
}
