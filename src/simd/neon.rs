//! NEON on aarch64: 4 lanes, 32 registers. Every CPU of the target has it.
//!
//! NEON's minimum and maximum give NaN if one operand is NaN, so `min` and `max` use a comparison and a
//! selection instead. Partial loads and stores are made of halves and single lanes.
//!
//! The dot product of bytes (`dotprod`, Armv8.4; Cortex-A55, A75 and later) has two signed operands. Its
//! intrinsic is not stable in the oldest supported version of Rust, so it is written in assembly. So is the
//! conversion of 16-bit floats.

use core::arch::aarch64::*;

use super::scalar::MulAdd;
use super::{Region, Simd, Vectors};

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

    #[inline]
    fn has_dot() -> bool {
        #[cfg(feature = "std")]
        return std::arch::is_aarch64_feature_detected!("dotprod");
        #[cfg(not(feature = "std"))]
        cfg!(target_feature = "dotprod")
    }
}

/// `acc + x[0] * w[0] + ... + x[3] * w[3]` in each lane, modulo 2^32; all bytes are signed.
#[inline]
#[target_feature(enable = "dotprod")]
fn sdot(mut acc: int32x4_t, x: int32x4_t, w: int32x4_t) -> int32x4_t {
    // SAFETY: the CPU has the instruction, which only changes the register of the accumulator.
    unsafe {
        core::arch::asm!(
            "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) acc, in(vreg) x, in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
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

/// The products of the upper halves. In assembly, because the compiler sees that both halves of `x` are
/// equal, and would extract the upper half of `w`.
#[inline(always)]
fn product_of_high(x: int8x16_t, w: int8x16_t) -> int16x8_t {
    let out: int16x8_t;
    // SAFETY: this module exists only where the target has NEON. The instruction only changes a register.
    unsafe {
        core::arch::asm!(
            "smull2 {0:v}.8h, {1:v}.16b, {2:v}.16b", out(vreg) out, in(vreg) x, in(vreg) w,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    out
}

/// `acc + x[0] * w[0] + ... + x[3] * w[3]` in each lane. The weights of two elements are in a vector. In
/// assembly, because the compiler would add up the products first, with an instruction more.
#[inline(always)]
fn sum_of_fours(mut acc: int32x4_t, x: int16x8_t, w: [int32x4_t; 2]) -> int32x4_t {
    // SAFETY: this module exists only where the target has NEON. The instructions only change the register of
    // the accumulator.
    unsafe {
        core::arch::asm!(
            "smlal {0:v}.4s, {1:v}.4h, {3:v}.h[0]",
            "smlal2 {0:v}.4s, {1:v}.8h, {3:v}.h[1]",
            "smlal {0:v}.4s, {2:v}.4h, {3:v}.h[2]",
            "smlal2 {0:v}.4s, {2:v}.8h, {3:v}.h[3]",
            inout(vreg) acc, in(vreg) w[0], in(vreg) w[1], in(vreg_low16) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
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

    type Ints = int32x4_t;
    type Pairs = int16x8_t;

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
    fn larger(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        intrinsic!(vmaxq_f32(vabsq_f32(a), vabsq_f32(b)))
    }
    #[inline(always)]
    fn largest(self, a: float32x4_t) -> f32 {
        // Magnitudes are ordered as their bits are. NaN comes last.
        intrinsic!(f32::from_bits(vmaxvq_u32(vreinterpretq_u32_f32(vabsq_f32(a)))))
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

    #[inline(always)]
    fn no_ints(self) -> int32x4_t {
        intrinsic!(vdupq_n_s32(0))
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const i16) -> int16x8_t {
        intrinsic!(vreinterpretq_s16_s32(vdupq_n_s32(p.cast::<i32>().read_unaligned())))
    }
    #[inline(always)]
    unsafe fn load_pairs(self, p: *const i8) -> int16x8_t {
        intrinsic!(vmovl_s8(vld1_s8(p)))
    }
    #[inline(always)]
    fn dot(self, acc: int32x4_t, a: int16x8_t, b: int16x8_t) -> int32x4_t {
        intrinsic!({
            let low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
            vaddq_s32(acc, vpaddq_s32(low, vmull_high_s16(a, b)))
        })
    }
    #[inline(always)]
    fn ints_to_f32(self, a: int32x4_t) -> float32x4_t {
        intrinsic!(vcvtq_f32_s32(a))
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut i16, a: float32x4_t) {
        intrinsic!(vst1_s16(p, vmovn_s32(vreinterpretq_s32_f32(a))))
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> float32x4_t {
        intrinsic!({
            let half = vld1_u16(p);
            let out: float32x4_t;
            core::arch::asm!(
                "fcvtl {0:v}.4s, {1:v}.4h", out(vreg) out, in(vreg) half,
                options(pure, nomem, nostack, preserves_flags)
            );
            out
        })
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> float32x4_t {
        intrinsic!(vreinterpretq_f32_u32(vshll_n_u16::<16>(vld1_u16(p))))
    }
    const DOT: bool = true;
    #[inline]
    unsafe fn call_dot<R: Region>(self, region: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "dotprod")]
        fn inner<R: Region>(region: R) -> R::Output {
            region.run()
        }
        // SAFETY: the caller knows that the CPU has `dotprod`.
        unsafe { inner(region) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> int32x4_t {
        intrinsic!(vreinterpretq_s32_u8(vld1q_u8(p)))
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, p: *const u8) -> int32x4_t {
        intrinsic!(vdupq_n_s32(p.cast::<i32>().read_unaligned()))
    }
    const SIGNED: bool = true;
    #[inline(always)]
    unsafe fn dot_bytes(self, acc: int32x4_t, x: int32x4_t, w: int32x4_t) -> int32x4_t {
        // SAFETY: the caller's: the CPU has `dotprod`.
        unsafe { sdot(acc, x, w) }
    }
    #[inline(always)]
    fn join_bytes(self, high: int32x4_t, low: int32x4_t) -> int32x4_t {
        intrinsic!(vaddq_s32(vshlq_n_s32::<8>(high), low))
    }
    #[inline(always)]
    unsafe fn store_byte(self, p: *mut u8, a: float32x4_t, above: bool) {
        intrinsic!({
            let bits = vreinterpretq_u32_f32(a);
            let words = if above { vshrn_n_u32::<8>(bits) } else { vmovn_u32(bits) };
            let bytes = veor_u8(vmovn_u16(vcombine_u16(words, words)), vdup_n_u8(0x80));
            p.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)));
        })
    }
    const FOURS: bool = true;
    /// Two products of bytes fit into 16 bits: a weight is at most 127 in magnitude.
    #[inline(always)]
    fn dot_bytes_plain(self, acc: int32x4_t, x: int32x4_t, w: int32x4_t) -> int32x4_t {
        intrinsic!({
            let (x, w) = (vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
            let low = vmull_s8(vget_low_s8(x), vget_low_s8(w));
            vpadalq_s16(acc, vpaddq_s16(low, product_of_high(x, w)))
        })
    }
    #[inline(always)]
    unsafe fn load_four(self, p: *const i16) -> int32x4_t {
        intrinsic!({
            let four = vld1_s16(p);
            vreinterpretq_s32_s16(vcombine_s16(four, four))
        })
    }
    #[inline(always)]
    unsafe fn load_fours(self, p: *const i8) -> [int32x4_t; 2] {
        intrinsic!({
            let bytes = vld1q_s8(p);
            let low = vmovl_s8(vget_low_s8(bytes));
            [vreinterpretq_s32_s16(low), vreinterpretq_s32_s16(vmovl_high_s8(bytes))]
        })
    }
    #[inline(always)]
    fn dot_fours(self, acc: int32x4_t, x: int32x4_t, w: [int32x4_t; 2]) -> int32x4_t {
        sum_of_fours(acc, intrinsic!(vreinterpretq_s16_s32(x)), w)
    }
}
