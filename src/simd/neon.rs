//! NEON on aarch64: 4 lanes, 32 registers. Every CPU of the target has it.
//!
//! NEON's minimum and maximum give NaN if one operand is NaN, so `min` and `max` use a comparison and a
//! selection instead. Partial loads and stores are made of halves and single lanes.

use core::arch::aarch64::*;

use super::scalar::MulAdd;
use super::{Region, Simd, Vectors, narrow_in_arrays};

#[derive(Clone, Copy)]
pub(crate) struct Neon(());

impl Vectors for Neon {
    const NAME: &str = "neon";
    type Single = Self;

    #[inline]
    fn available() -> bool {
        true
    }

    #[inline(always)]
    unsafe fn new() -> Self {
        Neon(())
    }

    #[inline(always)]
    fn single(self) -> Self {
        self
    }
}

/// The intrinsics below need NEON; without it this module does not exist. The pointers are the caller's
/// responsibility.
macro_rules! intrinsic {
    ($e:expr) => {
        // SAFETY: this module exists only where the target has NEON. Pointers, and `n <= LANES`, are part of
        // the method's contract.
        unsafe { $e }
    };
}

impl MulAdd for Neon {
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        intrinsic!(vfmas_lane_f32::<0>(c, a, vdup_n_f32(b)))
    }

    #[inline(never)]
    fn call<R: Region>(self, region: R) -> R::Output {
        region.run()
    }
}

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const ACCUMULATORS: usize = 24;
    const FUSED: bool = true;

    narrow_in_arrays!(4);

    #[inline]
    fn call<R: Region>(self, region: R) -> R::Output {
        MulAdd::call(self, region)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        intrinsic!(vdupq_n_f32(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        intrinsic!(vld1q_f32(p))
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> float32x4_t {
        debug_assert!(n <= 4);
        intrinsic!({
            let zero = vdupq_n_f32(0.0);
            match n {
                0 => zero,
                1 => vld1q_lane_f32::<0>(p, zero),
                2 => vcombine_f32(vld1_f32(p), vdup_n_f32(0.0)),
                3 => vld1q_lane_f32::<2>(p.add(2), vcombine_f32(vld1_f32(p), vdup_n_f32(0.0))),
                _ => vld1q_f32(p),
            }
        })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: float32x4_t) {
        intrinsic!(vst1q_f32(p, v))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: float32x4_t, n: usize) {
        debug_assert!(n <= 4);
        intrinsic!(match n {
            0 => {}
            1 => vst1q_lane_f32::<0>(p, v),
            2 => vst1_f32(p, vget_low_f32(v)),
            3 => {
                vst1_f32(p, vget_low_f32(v));
                vst1q_lane_f32::<2>(p.add(2), v);
            }
            _ => vst1q_f32(p, v),
        })
    }
    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vdivq_f32(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: float32x4_t) -> float32x4_t {
        intrinsic!(vsqrtq_f32(a))
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        intrinsic!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn fnma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        intrinsic!(vfmsq_f32(c, a, b))
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vbslq_f32(vcltq_f32(a, b), a, b))
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vbslq_f32(vcgtq_f32(a, b), a, b))
    }
    #[inline(always)]
    fn abs(self, a: float32x4_t) -> float32x4_t {
        intrinsic!(vabsq_f32(a))
    }
    #[inline(always)]
    fn with_sign(self, magnitude: float32x4_t, sign: float32x4_t) -> float32x4_t {
        intrinsic!(vbslq_f32(vdupq_n_u32(0x8000_0000), sign, magnitude))
    }
    #[inline(always)]
    fn lt_select(self, a: float32x4_t, b: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
        intrinsic!(vbslq_f32(vcltq_f32(a, b), x, y))
    }
    #[inline(always)]
    fn exponent(self, a: float32x4_t) -> float32x4_t {
        intrinsic!(vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(a))))
    }
    #[inline(always)]
    fn halves(self, a: float32x4_t) -> (float32x4_t, float32x4_t) {
        intrinsic!({
            let bits = vreinterpretq_u32_f32(a);
            let half = vshrq_n_u32::<1>(bits);
            (vreinterpretq_f32_u32(half), vreinterpretq_f32_u32(vsubq_u32(bits, half)))
        })
    }
}
