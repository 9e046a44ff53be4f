//! The vectors of every x86-64 CPU: SSE2, 4 lanes. They are the portable instruction set there.
//!
//! Products and sums round separately. The bits are those of arrays of four floats. The compiler would map
//! such arrays to the same registers, but it takes longer.

use core::arch::x86_64::*;

use super::{Region, Simd};

#[derive(Clone, Copy)]
pub(crate) struct Sse2;

impl Simd for Sse2 {
    type V = __m128;
    const LANES: usize = 4;
    /// As for arrays: the set is for CPUs that are older than AVX2, and more tiles would be more code.
    const ACCUMULATORS: usize = 4;
    const FUSED: bool = false;

    type Ints = __m128i;
    type Pairs = __m128i;

    #[inline(never)]
    fn call<R: Region>(self, region: R) -> R::Output {
        region.run()
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m128 {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe { _mm_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m128 {
        debug_assert!(n <= 4);
        // SAFETY: the caller's promise, and every CPU of the target has SSE2. Only the first `n` elements are
        // read. These instructions need no more than the alignment of `f32`.
        unsafe {
            match n {
                0 => _mm_setzero_ps(),
                1 => _mm_load_ss(p),
                2 => _mm_castsi128_ps(_mm_loadl_epi64(p.cast())),
                3 => _mm_movelh_ps(_mm_castsi128_ps(_mm_loadl_epi64(p.cast())), _mm_load_ss(p.add(2))),
                _ => _mm_loadu_ps(p),
            }
        }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m128) {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe { _mm_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: __m128, n: usize) {
        debug_assert!(n <= 4);
        // SAFETY: the caller's promise, and every CPU of the target has SSE2. Only the first `n` elements are
        // written. These instructions need no more than the alignment of `f32`.
        unsafe {
            match n {
                0 => {}
                1 => _mm_store_ss(p, v),
                2 => _mm_storel_epi64(p.cast(), _mm_castps_si128(v)),
                3 => {
                    _mm_storel_epi64(p.cast(), _mm_castps_si128(v));
                    _mm_store_ss(p.add(2), _mm_movehl_ps(v, v));
                }
                _ => _mm_storeu_ps(p, v),
            }
        }
    }
    #[inline(always)]
    fn add(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_sqrt_ps(a) }
    }
    #[inline(always)]
    fn fma(self, a: __m128, b: __m128, c: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_add_ps(_mm_mul_ps(a, b), c) }
    }
    #[inline(always)]
    fn fnma(self, a: __m128, b: __m128, c: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_sub_ps(c, _mm_mul_ps(a, b)) }
    }
    /// The instruction returns the second operand if one of both is NaN.
    #[inline(always)]
    fn min(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_min_ps(a, b) }
    }
    /// The same.
    #[inline(always)]
    fn max(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_max_ps(a, b) }
    }
    #[inline(always)]
    fn abs(self, a: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_andnot_ps(_mm_set1_ps(-0.0), a) }
    }
    #[inline(always)]
    fn larger(self, a: __m128, b: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe {
            // Magnitudes are ordered as their bits are. Infinity and NaN come last.
            let (a, b) = (self.abs(a), self.abs(b));
            let larger = _mm_castsi128_ps(_mm_cmpgt_epi32(_mm_castps_si128(a), _mm_castps_si128(b)));
            select(larger, a, b)
        }
    }
    #[inline(always)]
    fn largest(self, a: __m128) -> f32 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe {
            let two = self.larger(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(self.larger(two, _mm_shuffle_ps::<0b01>(two, two)))
        }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: __m128, sign: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_or_ps(magnitude, _mm_and_ps(_mm_set1_ps(-0.0), sign)) }
    }
    #[inline(always)]
    fn lt_select(self, a: __m128, b: __m128, x: __m128, y: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { select(_mm_cmplt_ps(a, b), x, y) }
    }
    #[inline(always)]
    fn exponent(self, a: __m128) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_castsi128_ps(_mm_slli_epi32::<23>(_mm_castps_si128(a))) }
    }
    #[inline(always)]
    fn halves(self, a: __m128) -> (__m128, __m128) {
        // SAFETY: every CPU of the target has SSE2.
        unsafe {
            let bits = _mm_castps_si128(a);
            let half = _mm_srli_epi32::<1>(bits);
            (_mm_castsi128_ps(half), _mm_castsi128_ps(_mm_sub_epi32(bits, half)))
        }
    }

    #[inline(always)]
    fn no_ints(self) -> __m128i {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_setzero_si128() }
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const i16) -> __m128i {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe { _mm_set1_epi32(p.cast::<i32>().read_unaligned()) }
    }
    #[inline(always)]
    unsafe fn load_pairs(self, p: *const i8) -> __m128i {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe {
            let bytes = _mm_loadl_epi64(p.cast());
            _mm_srai_epi16::<8>(_mm_unpacklo_epi8(bytes, bytes))
        }
    }
    #[inline(always)]
    fn dot(self, acc: __m128i, a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_add_epi32(acc, _mm_madd_epi16(a, b)) }
    }
    #[inline(always)]
    fn ints_to_f32(self, a: __m128i) -> __m128 {
        // SAFETY: every CPU of the target has SSE2.
        unsafe { _mm_cvtepi32_ps(a) }
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut i16, a: __m128) {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe {
            // Words 0, 2, 4 and 6.
            let even = _mm_shufflehi_epi16::<0b1000>(_mm_shufflelo_epi16::<0b1000>(_mm_castps_si128(a)));
            _mm_storel_epi64(p.cast(), _mm_shuffle_epi32::<0b1000>(even))
        }
    }
    /// The bits of exponent and fraction are those of the float times 2^-112, also if it is subnormal.
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> __m128 {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe {
            let wide = _mm_unpacklo_epi16(_mm_loadl_epi64(p.cast()), _mm_setzero_si128());
            let magnitude = _mm_and_si128(wide, _mm_set1_epi32(0x7fff));
            let small = _mm_castsi128_ps(_mm_slli_epi32::<13>(magnitude));
            let scaled = _mm_mul_ps(small, _mm_set1_ps(f32::from_bits((127 + 112) << 23)));
            let above = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff));
            let infinite = _mm_and_si128(above, _mm_set1_epi32(0x7f80_0000));
            let sign = _mm_slli_epi32::<16>(_mm_and_si128(wide, _mm_set1_epi32(0x8000)));
            _mm_or_ps(scaled, _mm_castsi128_ps(_mm_or_si128(infinite, sign)))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> __m128 {
        // SAFETY: the caller's promise, and every CPU of the target has SSE2; no alignment is needed.
        unsafe { _mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadl_epi64(p.cast()))) }
    }
}

/// The lanes of `x` where the mask is set, and those of `y` elsewhere.
#[inline(always)]
fn select(mask: __m128, x: __m128, y: __m128) -> __m128 {
    // SAFETY: every CPU of the target has SSE2.
    unsafe { _mm_or_ps(_mm_and_ps(mask, x), _mm_andnot_ps(mask, y)) }
}
