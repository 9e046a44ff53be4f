//! The form reset before, in two stages: `W_hn` multiplies `r * h`, which no unit has before all have their reset gate.
//!
//! Stage one makes `r` and `z`, leaves the new gate's input part as it is, and writes `r * h`; stage two
//! goes on with that sum over `W_hn (r * h)`.

use super::{blend, blend_back};
use crate::kernel::math::{sigmoid, tanh};
use crate::kernel::second::SecondStage;
use crate::kernel::{Equations, HiddenGate, Layout, NONE, Next, Prev};
use crate::simd::Simd;

/// Planes of the tape.
const DR: usize = 0;
const DZ: usize = 1;
const N: usize = 2;
const RH: usize = 3;

#[derive(Clone, Copy)]
pub(crate) struct ResetBefore;

impl Layout for ResetBefore {
    const ACC: usize = 4;
    const XG: usize = 3;
    const HG: usize = 2;
    const HMAP: [usize; 4] = [0, 1, 0, 0];
    const HFIRST: usize = 0;
    const BIAS_X: [usize; 4] = [0, 1, 2, NONE];
    const BIAS_H: [usize; 4] = [0, 1, 2, NONE];
    const HAS_C: bool = false;
}

impl Equations for ResetBefore {
    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], h: S::V, c: S::V) -> Next<S::V> {
        let r = sigmoid(s, acc[DR]);
        let z = sigmoid(s, acc[DZ]);
        Next { h, c, saved: [r, z, acc[N], s.mul(r, h)] }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [r, z, n, rh]: [S::V; 4],
        h: S::V,
        _c: S::V,
        dh: S::V,
        dc: S::V,
    ) -> Prev<S::V> {
        let (dz, dn, dh) = blend_back(s, z, n, h, dh);
        Prev { dh, dc, dacc: [r, dz, dn, rh] }
    }
}

impl SecondStage for ResetBefore {
    type Weights = HiddenGate<2>;
    const SUM: usize = N;
    const OPERAND: usize = RH;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, acc: S::V, saved: [S::V; 4], h: S::V) -> (S::V, S::V) {
        let n = tanh(s, acc);
        (blend(s, saved[DZ], n, h), n)
    }

    #[inline(always)]
    fn backward<S: Simd>(
        self,
        s: S,
        [r, dz, dn, rh]: [S::V; 4],
        h: S::V,
        drh: S::V,
        dh: S::V,
    ) -> (S::V, [S::V; 4]) {
        let dr = s.mul(s.mul(drh, h), s.fnma(r, r, r));
        (s.fma(drh, r, dh), [dr, dz, dn, rh])
    }
}
