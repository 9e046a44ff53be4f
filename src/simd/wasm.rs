//! WebAssembly's 128-bit vectors: 4 lanes, in modules compiled with `simd128`.
//!
//! WebAssembly has no fused multiply-add whose result is the same on every engine. So products and sums round
//! separately, which gives the bits of the scalar instruction set. Engines keep the accumulators in the 16
//! registers of an x86, or more.

use core::arch::wasm32::*;

use super::scalar::Separate;
use super::{Region, Simd, Vectors};

#[derive(Clone, Copy)]
pub(crate) struct Simd128(());

impl Vectors for Simd128 {
    const NAME: &str = "simd128";
    type Single = Separate;

    #[inline]
    fn available() -> bool {
        true
    }

    #[inline(always)]
    unsafe fn new() -> Self {
        Simd128(())
    }

    #[inline(always)]
    fn single(self) -> Separate {
        Separate
    }
}

impl Simd for Simd128 {
    type V = v128;
    const LANES: usize = 4;
    const ACCUMULATORS: usize = 12;
    const FUSED: bool = false;

    type Ints = v128;
    type Pairs = v128;

    #[inline(never)]
    fn call<R: Region>(self, region: R) -> R::Output {
        region.run()
    }

    #[inline(always)]
    fn splat(self, x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> v128 {
        // SAFETY: the caller's promise; no alignment is needed.
        unsafe { v128_load(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> v128 {
        debug_assert!(n <= 4);
        // SAFETY: the caller's promise; only the first `n` elements are read, and no alignment is needed.
        unsafe {
            match n {
                0 => f32x4_splat(0.0),
                1 => v128_load32_zero(p.cast()),
                2 => v128_load64_zero(p.cast()),
                3 => v128_load32_lane::<2>(v128_load64_zero(p.cast()), p.add(2).cast()),
                _ => v128_load(p.cast()),
            }
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: v128) {
        // SAFETY: the caller's promise; no alignment is needed.
        unsafe { v128_store(p.cast(), v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: v128, n: usize) {
        debug_assert!(n <= 4);
        // SAFETY: the caller's promise; only the first `n` elements are written, and no alignment is needed.
        unsafe {
            match n {
                0 => {}
                1 => v128_store32_lane::<0>(v, p.cast()),
                2 => v128_store64_lane::<0>(v, p.cast()),
                3 => {
                    v128_store64_lane::<0>(v, p.cast());
                    v128_store32_lane::<2>(v, p.add(2).cast());
                }
                _ => v128_store(p.cast(), v),
            }
        }
    }
    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[inline(always)]
    fn sqrt(self, a: v128) -> v128 {
        f32x4_sqrt(a)
    }
    #[inline(always)]
    fn fma(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    fn fnma(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_sub(c, f32x4_mul(a, b))
    }
    /// The instruction is `if second < first { second } else { first }`.
    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    /// The instruction is `if first < second { second } else { first }`.
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    fn abs(self, a: v128) -> v128 {
        f32x4_abs(a)
    }
    #[inline(always)]
    fn larger(self, a: v128, b: v128) -> v128 {
        // Magnitudes are ordered as their bits are. Infinity and NaN come last.
        u32x4_max(f32x4_abs(a), f32x4_abs(b))
    }
    #[inline(always)]
    fn largest(self, a: v128) -> f32 {
        let two = self.larger(a, u32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(self.larger(two, u32x4_shuffle::<1, 0, 3, 2>(two, two)))
    }
    #[inline(always)]
    fn with_sign(self, magnitude: v128, sign: v128) -> v128 {
        v128_or(magnitude, v128_and(f32x4_splat(-0.0), sign))
    }
    #[inline(always)]
    fn lt_select(self, a: v128, b: v128, x: v128, y: v128) -> v128 {
        v128_bitselect(x, y, f32x4_lt(a, b))
    }
    #[inline(always)]
    fn exponent(self, a: v128) -> v128 {
        i32x4_shl(a, 23)
    }
    #[inline(always)]
    fn halves(self, a: v128) -> (v128, v128) {
        let half = u32x4_shr(a, 1);
        (half, i32x4_sub(a, half))
    }

    #[inline(always)]
    fn no_ints(self) -> v128 {
        i32x4_splat(0)
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const i16) -> v128 {
        // SAFETY: the caller's promise; no alignment is needed.
        unsafe { v128_load32_splat(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_pairs(self, p: *const i8) -> v128 {
        // SAFETY: the caller's promise; no alignment is needed.
        unsafe { i16x8_load_extend_i8x8(p) }
    }
    #[inline(always)]
    fn dot(self, acc: v128, a: v128, b: v128) -> v128 {
        i32x4_add(acc, i32x4_dot_i16x8(a, b))
    }
    #[inline(always)]
    fn ints_to_f32(self, a: v128) -> v128 {
        f32x4_convert_i32x4(a)
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut i16, a: v128) {
        // SAFETY: the caller's promise; no alignment is needed.
        unsafe { v128_store64_lane::<0>(i16x8_shuffle::<0, 2, 4, 6, 0, 2, 4, 6>(a, a), p.cast()) }
    }
    /// The bits of exponent and fraction are those of the float times 2^-112, also if it is subnormal.
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> v128 {
        // SAFETY: the caller's promise; no alignment is needed.
        let wide = unsafe { u32x4_load_extend_u16x4(p) };
        let magnitude = v128_and(wide, i32x4_splat(0x7fff));
        let scaled = f32x4_mul(i32x4_shl(magnitude, 13), f32x4_splat(f32::from_bits((127 + 112) << 23)));
        let infinite = v128_and(i32x4_gt(magnitude, i32x4_splat(0x7bff)), i32x4_splat(0x7f80_0000));
        let sign = i32x4_shl(v128_and(wide, i32x4_splat(0x8000)), 16);
        v128_or(v128_or(scaled, infinite), sign)
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> v128 {
        // SAFETY: the caller's promise; no alignment is needed.
        i32x4_shl(unsafe { u32x4_load_extend_u16x4(p) }, 16)
    }
}
