//! AVX-512: 16 lanes, 32 registers (Skylake-X, Zen 4 and later).
//!
//! The foundation (F) is enough for every operation on floats: it lacks logic on floats, for which its logic
//! on integers is used. Products of 16-bit integers are in BW, which only the Xeon Phi lacks. Partial loads
//! and stores are masked moves, which do not access the elements whose bit is clear.

use core::arch::x86_64::*;

use super::avx2::Avx2;
use super::{Region, Simd, Vectors};

#[derive(Clone, Copy)]
pub(crate) struct Avx512(Avx2);

impl Vectors for Avx512 {
    const NAME: &str = "avx512";
    type Single = Avx2;

    #[inline]
    fn available() -> bool {
        Avx2::available() && super::cpu_has!("avx512f") && super::cpu_has!("avx512bw")
    }

    #[inline(always)]
    unsafe fn new() -> Self {
        // SAFETY: the caller saw `available()`, which also checks AVX2, FMA and F16C.
        Avx512(unsafe { Avx2::new() })
    }

    #[inline(always)]
    fn single(self) -> Avx2 {
        self.0
    }

    #[inline]
    fn has_dot() -> bool {
        super::dots().0
    }
}

/// The intrinsics below need AVX-512F and BW. Holding an `Avx512` proves that the CPU has them. The pointers
/// are the caller's responsibility.
macro_rules! intrinsic {
    ($e:expr) => {
        // SAFETY: `self` was made by `new`, whose caller saw `available()`: the CPU has AVX-512F and BW.
        // Pointers, and `n <= LANES`, are part of the method's contract.
        unsafe { $e }
    };
}

/// The mask of the first `n` lanes.
#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    debug_assert!(n <= 16);
    ((1u32 << n) - 1) as __mmask16
}

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const ACCUMULATORS: usize = 24;
    const FUSED: bool = true;
    type Ints = __m512i;
    type Pairs = __m512i;

    #[inline]
    fn call<R: Region>(self, region: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx2,fma,f16c")]
        fn inner<R: Region>(region: R) -> R::Output {
            region.run()
        }
        // SAFETY: `available()` checked AVX2, FMA, F16C, AVX-512F and BW, and the attribute enables nothing
        // else.
        unsafe { inner(region) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        intrinsic!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        intrinsic!(_mm512_loadu_ps(p))
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m512 {
        intrinsic!(_mm512_maskz_loadu_ps(mask(n), p))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        intrinsic!(_mm512_storeu_ps(p, v))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: __m512, n: usize) {
        intrinsic!(_mm512_mask_storeu_ps(p, mask(n), v))
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        intrinsic!(_mm512_sqrt_ps(a))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        intrinsic!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn fnma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        intrinsic!(_mm512_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        intrinsic!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        intrinsic!(_mm512_abs_ps(a))
    }
    #[inline(always)]
    fn with_sign(self, magnitude: __m512, sign: __m512) -> __m512 {
        intrinsic!({
            let sign = _mm512_and_si512(_mm512_set1_epi32(i32::MIN), _mm512_castps_si512(sign));
            _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(magnitude), sign))
        })
    }
    #[inline(always)]
    fn lt_select(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        intrinsic!(_mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x))
    }
    #[inline(always)]
    fn no_ints(self) -> __m512i {
        intrinsic!(_mm512_setzero_si512())
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const i16) -> __m512i {
        intrinsic!(_mm512_set1_epi32(p.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn load_pairs(self, p: *const i8) -> __m512i {
        intrinsic!(_mm512_cvtepi8_epi16(_mm256_loadu_si256(p.cast())))
    }
    #[inline(always)]
    fn dot(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        intrinsic!(_mm512_add_epi32(acc, _mm512_madd_epi16(a, b)))
    }
    #[inline(always)]
    fn ints_to_f32(self, a: __m512i) -> __m512 {
        intrinsic!(_mm512_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn larger(self, a: __m512, b: __m512) -> __m512 {
        // Magnitudes are ordered as their bits are. Infinity and NaN come last.
        intrinsic!({
            let (a, b) = (_mm512_castps_si512(self.abs(a)), _mm512_castps_si512(self.abs(b)));
            _mm512_castsi512_ps(_mm512_max_epi32(a, b))
        })
    }
    #[inline(always)]
    fn largest(self, a: __m512) -> f32 {
        intrinsic!(f32::from_bits(_mm512_reduce_max_epu32(_mm512_castps_si512(_mm512_abs_ps(a)))))
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut i16, a: __m512) {
        intrinsic!(_mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(_mm512_castps_si512(a))))
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> __m512 {
        intrinsic!(_mm512_cvtph_ps(_mm256_loadu_si256(p.cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> __m512 {
        intrinsic!({
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }
    const DOT: bool = true;
    #[inline]
    unsafe fn call_dot<R: Region>(self, region: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2,fma,f16c")]
        fn inner<R: Region>(region: R) -> R::Output {
            region.run()
        }
        // SAFETY: as for `call`, and the caller knows that the CPU has VNNI.
        unsafe { inner(region) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> __m512i {
        intrinsic!(_mm512_loadu_si512(p.cast()))
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, p: *const u8) -> __m512i {
        intrinsic!(_mm512_set1_epi32(p.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn dot_bytes(self, acc: __m512i, x: __m512i, w: __m512i) -> __m512i {
        // SAFETY: the caller's: the CPU has VNNI, too.
        unsafe { _mm512_dpbusd_epi32(acc, x, w) }
    }
    #[inline(always)]
    fn join_bytes(self, high: __m512i, low: __m512i) -> __m512i {
        intrinsic!(_mm512_add_epi32(_mm512_slli_epi32::<8>(high), low))
    }
    #[inline(always)]
    unsafe fn store_byte(self, p: *mut u8, a: __m512, above: bool) {
        intrinsic!({
            let bits = _mm512_castps_si512(a);
            let byte = if above { _mm512_srli_epi32::<8>(bits) } else { bits };
            _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(byte));
        })
    }
    #[inline(always)]
    fn exponent(self, a: __m512) -> __m512 {
        intrinsic!(_mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a))))
    }
    #[inline(always)]
    fn keep_rolled(self) {
        super::avx2::keep_rolled();
    }
    #[inline(always)]
    fn halves(self, a: __m512) -> (__m512, __m512) {
        intrinsic!({
            let bits = _mm512_castps_si512(a);
            let half = _mm512_srli_epi32::<1>(bits);
            (_mm512_castsi512_ps(half), _mm512_castsi512_ps(_mm512_sub_epi32(bits, half)))
        })
    }
}
