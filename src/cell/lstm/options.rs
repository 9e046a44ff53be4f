//! The equations with options. What is saved are the sums and the previous `c`.

use super::{LstmCell, Standard};
use crate::cell::options::Optional;
use crate::cell::{Fused, HiddenGradient};
use crate::kernel::recur::{At, Back, Pointwise};
use crate::kernel::{Activation, Slot};
use crate::simd::Simd;

impl LstmCell {
    fn slot(self, f: Activation) -> Slot {
        Slot { f, clip: self.clip }
    }

    /// `sum + p * c`, if there are peepholes.
    #[inline(always)]
    fn peep<S: Simd>(self, s: S, sum: S::V, p: S::V, c: S::V) -> S::V {
        if self.peepholes { s.fma(p, c, sum) } else { sum }
    }
}

impl Pointwise for LstmCell {
    const SUMS: usize = 4;
    const HAS_C: bool = true;
    const HAS_H: bool = false;

    #[inline(always)]
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V) {
        let At { sums, c, p, .. } = at;
        let gates = self.slot(self.gates);
        let i = gates.value(s, self.peep(s, sums[0], p[0], c));
        let f = match self.coupled {
            true => s.sub(s.splat(1.0), i),
            false => gates.value(s, self.peep(s, sums[1], p[1], c)),
        };
        let g = self.slot(self.cell).value(s, sums[2]);
        let c = s.fma(f, c, s.mul(i, g));
        let o = gates.value(s, self.peep(s, sums[3], p[2], c));
        (s.mul(o, self.slot(self.hidden).value(s, c)), c)
    }

    #[inline(always)]
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V> {
        let At { sums, c: c_prev, p, .. } = at;
        let (zero, gates) = (s.splat(0.0), self.slot(self.gates));
        let (i, i_slope) = gates.both(s, self.peep(s, sums[0], p[0], c_prev));
        let (f, f_slope) = match self.coupled {
            true => (s.sub(s.splat(1.0), i), zero),
            false => gates.both(s, self.peep(s, sums[1], p[1], c_prev)),
        };
        let (g, g_slope) = self.slot(self.cell).both(s, sums[2]);
        let c = s.fma(f, c_prev, s.mul(i, g));
        let (o, o_slope) = gates.both(s, self.peep(s, sums[3], p[2], c));
        let (h, h_slope) = self.slot(self.hidden).both(s, c);

        let d_o = s.mul(s.mul(dout, h), o_slope);
        let dc = self.peep(s, s.fma(s.mul(dout, o), h_slope, dc), p[2], d_o);
        let through_i = if self.coupled { s.sub(g, c_prev) } else { g };
        let d_i = s.mul(s.mul(dc, through_i), i_slope);
        let d_f = s.mul(s.mul(dc, c_prev), f_slope);
        let d_g = s.mul(s.mul(dc, i), g_slope);
        let mut dc_prev = self.peep(s, s.mul(dc, f), p[0], d_i);
        if !self.coupled {
            dc_prev = self.peep(s, dc_prev, p[1], d_f);
        }
        Back {
            dsums: [d_i, d_f, d_g, d_o],
            dh: zero,
            dc: dc_prev,
            dp: [s.mul(d_i, c_prev), s.mul(d_f, c_prev), s.mul(d_o, c)],
            out: s.mul(o, h),
        }
    }
}

impl Optional for LstmCell {
    type Sums = Standard;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = <Standard as Fused>::HIDDEN_GRADIENTS;

    #[inline(always)]
    fn projects(self) -> bool {
        self.projection
    }
}
