//! exp, sigmoid and tanh: one polynomial each, with the same operations on every instruction set.
//!
//! All three have the stated errors over all floats, and are monotone: no two neighbouring floats have
//! results in the wrong order. Where a function saturates or is flat, neighbours may have the same result.
//! tanh is odd to the bit.
//!
//! | | largest error | at the ends |
//! |---|---|---|
//! | `tanh` | 1.08 ulp, 6.5e-8 | x for tiny x, +-1 for infinity |
//! | `sigmoid` | 9.0e-8; 2.3 ulp for x > -16 | 0 below -88.4, 1 for infinity |
//! | `exp` | 1.04 ulp | gradual underflow; infinity from 88.73 |
//!
//! Instruction sets without a fused multiply-add round more often: there `sigmoid` is within the same
//! absolute error and 10.2 ulp, the other two within the same bounds.
//!
//! NaN gives NaN: clamps keep their constant as the first operand. The coefficients are minimax fits, made
//! for the f32 evaluation here (the last bits were tuned so that the results stay in order).
//!
//! They are monotone because each correctly rounded operation is monotone, so that only the polynomial's own
//! noise can put results out of order. Writing `e^r` as `1 + (r + r^2 Q(r))` keeps that noise below the step.
//! Plain Horner evaluation has 807 inversions in sigmoid; `expm1(2x) / (expm1(2x) + 2)` for tanh has 2
//! million, and 2.8 ulp.

use crate::simd::{SIGMOID_LEN, Simd, TANH_LEN};

const LOG2_E: f32 = core::f32::consts::LOG2_E;
const LN_2: f32 = core::f32::consts::LN_2;
/// ln 2 in two parts: `n * LN_2_HIGH` is exact for |n| < 512.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// 1.5 * 2^23 + 127: adding it rounds to an integer, and leaves the biased exponent in the lowest bits.
const ROUND: f32 = 12_583_039.0;
/// The same with twice the bias, for an exponent that is split into two halves.
const ROUND_TWICE: f32 = 12_583_166.0;
/// `e^r = 1 + r + r^2 Q(r)` for |r| <= ln(2) / 2.
const Q: [f32; 5] = bits([0x3eff_fffe, 0x3e2a_aa46, 0x3d2a_ac2c, 0x3c09_1ef0, 0x3ab5_63a6]);
/// `tanh(x) = x + x u P(u)`, `u = x^2`, for |x| < 0.7.
const P: [f32; 5] = bits([0xbeaa_aa7b, 0x3e08_7d85, 0xbd5b_61b1, 0x3ca4_9ce0, 0xbba8_7155]);
/// Below this, tanh uses the polynomial, otherwise the exponential.
const MIDDLE: f32 = 0.7;

/// The constants of [`sigmoid`] in the order of their use, for instruction sets with their own code for it.
static SIGMOID: [f32; SIGMOID_LEN] = {
    let [c0, c1, c2, c3, c4] = scaled(-1.0);
    [ROUND, -LOG2_E, ROUND, LN_2, c0, c1, c2, c3, c4, -89.0, 30.0]
};
/// The same for [`tanh`].
static TANH: [f32; TANH_LEN] = {
    let ([p0, p1, p2, p3, p4], [c0, c1, c2, c3, c4]) = (P, scaled(2.0));
    [MIDDLE, p0, p1, p2, p3, p4, ROUND, 2.0 * LOG2_E, ROUND, 0.5 * LN_2, c0, c1, c2, c3, c4, 10.0]
};

const fn bits<const N: usize>(of: [u32; N]) -> [f32; N] {
    let mut out = [0.0; N];
    let mut i = 0;
    while i < N {
        out[i] = f32::from_bits(of[i]);
        i += 1;
    }
    out
}

/// Q for an argument scaled by a power of two (or its negative): coefficient i times `scale^(i+1)`; exact.
const fn scaled(scale: f32) -> [f32; 5] {
    let mut out = Q;
    let (mut i, mut power) = (0, scale);
    while i < 5 {
        out[i] *= power;
        power *= scale;
        i += 1;
    }
    out
}

/// `r + r^2 (c0 + c1 r + c2 r^2 + c3 r^3 + c4 r^4)`, in four dependent steps instead of Horner's five.
#[inline(always)]
fn series<S: Simd>(s: S, r: S::V, c: [f32; 5]) -> S::V {
    let r2 = s.mul(r, r);
    let low = s.fma(r, s.splat(c[1]), s.splat(c[0]));
    let high = s.fma(r, s.splat(c[3]), s.splat(c[2]));
    let high = s.fma(r2, s.splat(c[4]), high);
    s.fma(r2, s.fma(r2, high, low), r)
}

/// The exponential function.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.min(s.splat(89.0), s.max(s.splat(-104.0), x));
    let z = s.fma(x, s.splat(LOG2_E), s.splat(ROUND_TWICE));
    let n = s.sub(z, s.splat(ROUND_TWICE));
    let r = s.fnma(n, s.splat(LN_2_LOW), s.fnma(n, s.splat(LN_2_HIGH), x));
    let p = s.add(series(s, r, Q), s.splat(1.0));
    // Two factors, so that results below the normal range are rounded once, and results near the top do not
    // overflow early.
    let (a, b) = s.halves(z);
    s.mul(s.mul(p, s.exponent(a)), s.exponent(b))
}

/// The exponential function of numbers that are not above 0, as `m 2^n` with `m` from 0.7 to 1.42, so that no
/// result underflows.
///
/// `n` is an integer, or minus infinity if the argument is minus infinity. Arguments below -10^6, and NaN,
/// count as -10^6.
#[inline(always)]
pub(crate) fn exp_parts<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let near = s.max(x, s.splat(-1e6));
    let n = s.sub(s.fma(near, s.splat(LOG2_E), s.splat(ROUND - 127.0)), s.splat(ROUND - 127.0));
    let r = s.fnma(n, s.splat(LN_2_LOW), s.fnma(n, s.splat(LN_2_HIGH), near));
    let m = s.add(series(s, r, Q), s.splat(1.0));
    (m, s.lt_select(x, s.splat(f32::MIN), s.splat(f32::NEG_INFINITY), n))
}

/// `2^n` of an integer up to 127; 0 for one below -126, and for NaN.
#[inline(always)]
pub(crate) fn power<S: Simd>(s: S, n: S::V) -> S::V {
    s.exponent(s.add(s.max(n, s.splat(-127.0)), s.splat(ROUND)))
}

/// The logistic sigmoid, `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    if let Some(result) = s.sigmoid(x, &SIGMOID) {
        return result;
    }
    let x = s.min(s.splat(30.0), s.max(s.splat(-89.0), x));
    let z = s.fma(x, s.splat(-LOG2_E), s.splat(ROUND));
    let n = s.sub(z, s.splat(ROUND));
    let r = s.fma(n, s.splat(LN_2), x);
    // `r` belongs to the negated argument, so `1 - p'` is `e^-r`.
    const C: [f32; 5] = scaled(-1.0);
    let p = s.sub(s.splat(1.0), series(s, r, C));
    s.div(s.splat(1.0), s.fma(p, s.exponent(z), s.splat(1.0)))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    if let Some(result) = s.tanh(x, &TANH) {
        return result;
    }
    let (a, middle) = (s.abs(x), s.splat(MIDDLE));
    let t = match s.lt_known(a, middle) {
        Some(true) => tanh_small(s, a),
        Some(false) => tanh_large(s, a),
        None => s.lt_select(a, middle, tanh_small(s, a), tanh_large(s, a)),
    };
    s.with_sign(t, x)
}

/// `a + a u P(u)` with `u = a^2`, for 0 <= a < 0.7.
#[inline(always)]
fn tanh_small<S: Simd>(s: S, a: S::V) -> S::V {
    let u = s.mul(a, a);
    let mut p = s.splat(P[4]);
    for c in [P[3], P[2], P[1], P[0]] {
        p = s.fma(p, u, s.splat(c));
    }
    s.fma(a, s.mul(u, p), a)
}

/// `1 - 2 / (1 + e^2a)` with `e^2a = 2^n (1 + 2 h)`, for a >= 0.7.
#[inline(always)]
fn tanh_large<S: Simd>(s: S, a: S::V) -> S::V {
    let a = s.min(s.splat(10.0), a);
    let z = s.fma(a, s.splat(2.0 * LOG2_E), s.splat(ROUND));
    let n = s.sub(z, s.splat(ROUND));
    let r = s.fnma(n, s.splat(0.5 * LN_2), a);
    const C: [f32; 5] = scaled(2.0);
    let (power, half) = (s.exponent(z), s.splat(0.5));
    let denominator = s.fma(power, series(s, r, C), s.fma(power, half, half));
    s.sub(s.splat(1.0), s.div(s.splat(1.0), denominator))
}

#[cfg(test)]
#[path = "math_tests.rs"]
mod tests;
