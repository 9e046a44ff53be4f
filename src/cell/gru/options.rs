//! The equations with options, in both forms. What is saved are the sums, and for the form reset before the product of the second
//! stage, `W_hn (r * h)`, in the place of the fourth.

use super::reset_before::ResetBefore;
use super::{GruCell, ResetAfter, blend};
use crate::cell::options::Optional;
use crate::cell::two_stage::OptionalTwoStage;
use crate::cell::{Fused, HiddenGradient};
use crate::kernel::recur::{At, Back, Pointwise};
use crate::kernel::{Activation, Slot};
use crate::simd::Simd;

impl GruCell {
    fn slot(self, f: Activation) -> Slot {
        Slot { f, clip: self.clip }
    }

    /// Gradients of the sums of `z` and `n` and of what goes past both, from that of `h'`; `n` is the new gate's whole argument.
    #[inline(always)]
    fn blend_back<S: Simd>(self, s: S, z: S::V, n: S::V, h: S::V, dh: S::V) -> (S::V, S::V, S::V) {
        let (z, z_slope) = self.slot(self.gates).both(s, z);
        let (n, n_slope) = self.slot(self.new).both(s, n);
        let dz = s.mul(s.mul(dh, s.sub(h, n)), z_slope);
        let dn = s.mul(s.fnma(dh, z, dh), n_slope);
        (dz, dn, s.mul(dh, z))
    }
}

impl Pointwise for GruCell {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let At { sums, h, c, .. } = at;
        let r = self.slot(self.gates).value(s, sums[0]);
        let z = self.slot(self.gates).value(s, sums[1]);
        let n = self.slot(self.new).value(s, s.fma(r, sums[3], sums[2]));
        (blend(s, z, n, h), c)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [r, z, x, q], h, .. } = at;
        let zero = s.splat(0.0);
        let (r, r_slope) = self.slot(self.gates).both(s, r);
        let (dz, dn, dh) = self.blend_back(s, z, s.fma(r, q, x), h, dout);
        let dr = s.mul(s.mul(dn, q), r_slope);
        Back { dsums: [dr, dz, dn, s.mul(dn, r)], dh, dc, dp: [zero; 3], out: zero }
    }
}

impl Optional for GruCell {
    type Sums = ResetAfter;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = <ResetAfter as Fused>::HIDDEN_GRADIENTS;
}

/// The equations before the second product: the output is `r * h`.
#[derive(Clone, Copy)]
pub(crate) struct First(GruCell);

impl Pointwise for First {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        (s.mul(self.0.slot(self.0.gates).value(s, at.sums[0]), at.h), at.c)
    }

    /// Leaves the sum of `r`, the gradients of `z` and `n`, and `r * h`.
    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [r, z, x, q], h, .. } = at;
        let (dz, dn, dh) = self.0.blend_back(s, z, s.add(x, q), h, dout);
        let rh = s.mul(self.0.slot(self.0.gates).value(s, r), h);
        let zero = s.splat(0.0);
        Back { dsums: [r, dz, dn, rh], dh, dc, dp: [zero; 3], out: zero }
    }
}

/// The equations after it.
#[derive(Clone, Copy)]
pub(crate) struct Second(GruCell);

impl Pointwise for Second {
    const SUMS: usize = 4;
    const HAS_C: bool = false;
    const HAS_H: bool = true;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let At { sums: [_, z, x, q], h, c, .. } = at;
        let n = self.0.slot(self.0.new).value(s, s.add(x, q));
        (blend(s, self.0.slot(self.0.gates).value(s, z), n, h), c)
    }

    /// From the gradient of `r * h`.
    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums: [r, dz, dn, rh], h, .. } = at;
        let (r, slope) = self.0.slot(self.0.gates).both(s, r);
        let (dr, zero) = (s.mul(s.mul(dout, h), slope), s.splat(0.0));
        Back { dsums: [dr, dz, dn, rh], dh: s.mul(dout, r), dc, dp: [zero; 3], out: zero }
    }
}

/// The form reset before: the same two stages as without options.
impl OptionalTwoStage for GruCell {
    type Plain = ResetBefore;
    type First = First;
    type Second = Second;

    #[inline(always)]
    fn stages(self) -> (First, Second) {
        (First(self), Second(self))
    }
}
