//! AVX2 with FMA and F16C: 8 lanes, 16 registers (Haswell, Zen and later).
//!
//! Partial loads and stores use masked moves, whose mask is read from a sliding window.

use core::arch::x86_64::*;

use super::scalar::MulAdd;
use super::{Region, Simd, Vectors};

#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Eight ones before eight zeros: the window that starts at `8 - n` is the mask of the first `n` lanes.
static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Vectors for Avx2 {
    const NAME: &str = "avx2";
    type Single = Self;

    #[inline]
    fn available() -> bool {
        super::cpu_has!("avx2") && super::cpu_has!("fma") && has_f16c()
    }

    #[inline(always)]
    unsafe fn new() -> Self {
        Avx2(())
    }

    #[inline(always)]
    fn single(self) -> Self {
        self
    }

    #[inline]
    fn has_dot() -> bool {
        super::dots().1
    }
}

/// Whether the CPU has F16C. Every CPU with AVX2 has it, but AVX2 need not imply it.
#[cfg(feature = "std")]
fn has_f16c() -> bool {
    super::cpu_has!("f16c")
}

/// Whether the CPU has F16C. Every CPU with AVX2 has it, but AVX2 need not imply it. `cpufeatures` does not
/// detect it.
#[cfg(not(feature = "std"))]
#[allow(unused_unsafe, reason = "later versions of Rust than the oldest supported one have a safe CPUID")]
fn has_f16c() -> bool {
    use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
    const UNKNOWN: u8 = 2;
    // CPUID is slow, so the answer is stored.
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    if ANSWER.load(Relaxed) == UNKNOWN {
        // SAFETY: a CPU on which AVX2 was found has CPUID.
        let leaf = unsafe { __cpuid(1) };
        ANSWER.store((leaf.ecx >> 29 & 1) as u8, Relaxed);
    }
    ANSWER.load(Relaxed) == 1
}

/// The intrinsics below need AVX2, FMA and F16C (and what these imply). Holding an `Avx2` proves that the CPU
/// has them. Pointers and `n <= LANES` are the caller's responsibility.
macro_rules! intrinsic {
    ($e:expr) => {
        // SAFETY: `self` was made by `new`, whose caller saw `available()`: the CPU has AVX2, FMA and F16C.
        // Pointers, and `n <= LANES`, are part of the method's contract.
        unsafe { $e }
    };
}

/// The mask of the first `n` lanes.
/// # Safety
/// `n <= 8`, and the CPU has AVX2.
#[inline(always)]
unsafe fn mask(n: usize) -> __m256i {
    debug_assert!(n <= 8);
    // SAFETY: the window of eight from `8 - n` on lies within the sixteen.
    unsafe { _mm256_loadu_si256(MASK.as_ptr().add(8 - n).cast()) }
}

/// An empty block of assembly, which the compiler does not move.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn pin(mut a: __m256) -> __m256 {
    // SAFETY: the template is a comment: no instruction, no memory access, no flag changes. The register is
    // passed through.
    unsafe { core::arch::asm!("/* {0} */", inout(ymm_reg) a, options(nomem, nostack, preserves_flags)) };
    a
}

/// An empty block of assembly. The compiler does not unroll a loop with one, as with a call that it does not
/// know.
#[inline(always)]
pub(super) fn keep_rolled() {
    // SAFETY: there is no instruction.
    unsafe { core::arch::asm!("", options(nomem, nostack, preserves_flags)) };
}

#[inline(never)]
#[target_feature(enable = "avx2,fma,f16c")]
fn compile<R: Region>(region: R) -> R::Output {
    region.run()
}

impl MulAdd for Avx2 {
    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        intrinsic!(_mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c))))
    }

    #[inline]
    fn call<R: Region>(self, region: R) -> R::Output {
        // SAFETY: the token proves that the CPU has these features.
        unsafe { compile(region) }
    }
}

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const ACCUMULATORS: usize = 12;
    const FUSED: bool = true;
    type Ints = __m256i;
    type Pairs = __m256i;

    #[inline]
    fn call<R: Region>(self, region: R) -> R::Output {
        MulAdd::call(self, region)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        intrinsic!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        intrinsic!(_mm256_loadu_ps(p))
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m256 {
        intrinsic!(_mm256_maskload_ps(p, mask(n)))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        intrinsic!(_mm256_storeu_ps(p, v))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: __m256, n: usize) {
        intrinsic!(_mm256_maskstore_ps(p, mask(n), v))
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        intrinsic!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        intrinsic!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        intrinsic!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        intrinsic!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        intrinsic!(_mm256_sqrt_ps(a))
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        intrinsic!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn fnma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        intrinsic!(_mm256_fnmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        intrinsic!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        intrinsic!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn abs(self, a: __m256) -> __m256 {
        intrinsic!(_mm256_andnot_ps(_mm256_set1_ps(-0.0), a))
    }
    #[inline(always)]
    fn with_sign(self, magnitude: __m256, sign: __m256) -> __m256 {
        intrinsic!(_mm256_or_ps(magnitude, _mm256_and_ps(_mm256_set1_ps(-0.0), sign)))
    }
    #[inline(always)]
    fn lt_select(self, a: __m256, b: __m256, x: __m256, y: __m256) -> __m256 {
        intrinsic!(_mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)))
    }
    #[inline(always)]
    fn keep_rolled(self) {
        keep_rolled();
    }
    #[inline(always)]
    fn pin(self, a: __m256) -> __m256 {
        intrinsic!(pin(a))
    }
    #[inline(always)]
    fn no_ints(self) -> __m256i {
        intrinsic!(_mm256_setzero_si256())
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const i16) -> __m256i {
        intrinsic!(_mm256_set1_epi32(p.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn load_pairs(self, p: *const i8) -> __m256i {
        intrinsic!(_mm256_cvtepi8_epi16(_mm_loadu_si128(p.cast())))
    }
    #[inline(always)]
    fn dot(self, acc: __m256i, a: __m256i, b: __m256i) -> __m256i {
        intrinsic!(_mm256_add_epi32(acc, _mm256_madd_epi16(a, b)))
    }
    #[inline(always)]
    fn ints_to_f32(self, a: __m256i) -> __m256 {
        intrinsic!(_mm256_cvtepi32_ps(a))
    }
    #[inline(always)]
    fn larger(self, a: __m256, b: __m256) -> __m256 {
        // Magnitudes are ordered as their bits are. Infinity and NaN come last.
        intrinsic!({
            let (a, b) = (_mm256_castps_si256(self.abs(a)), _mm256_castps_si256(self.abs(b)));
            _mm256_castsi256_ps(_mm256_max_epi32(a, b))
        })
    }
    #[inline(always)]
    fn largest(self, a: __m256) -> f32 {
        intrinsic!({
            let bits = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(i32::MAX));
            let four = _mm_max_epu32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256::<1>(bits));
            let two = _mm_max_epu32(four, _mm_shuffle_epi32::<0b1110>(four));
            let one = _mm_max_epu32(two, _mm_shuffle_epi32::<1>(two));
            f32::from_bits(_mm_cvtsi128_si32(one).cast_unsigned())
        })
    }
    #[inline(always)]
    unsafe fn store_low(self, p: *mut i16, a: __m256) {
        intrinsic!({
            let low = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0xffff));
            let packed = _mm256_packus_epi32(low, low);
            let ordered = _mm256_permute4x64_epi64::<0b1000>(packed);
            _mm_storeu_si128(p.cast(), _mm256_castsi256_si128(ordered));
        })
    }
    #[inline(always)]
    unsafe fn load_f16(self, p: *const u16) -> __m256 {
        intrinsic!(_mm256_cvtph_ps(_mm_loadu_si128(p.cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> __m256 {
        intrinsic!({
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        })
    }
    const DOT: bool = true;
    #[inline]
    unsafe fn call_dot<R: Region>(self, region: R) -> R::Output {
        #[inline(never)]
        #[target_feature(enable = "avx2,avxvnni,fma,f16c")]
        fn inner<R: Region>(region: R) -> R::Output {
            region.run()
        }
        // SAFETY: the token proves that the CPU has AVX2, FMA and F16C, and the caller knows that it has
        // AVX-VNNI.
        unsafe { inner(region) }
    }
    #[inline(always)]
    unsafe fn load_bytes(self, p: *const u8) -> __m256i {
        intrinsic!(_mm256_loadu_si256(p.cast()))
    }
    #[inline(always)]
    unsafe fn splat_bytes(self, p: *const u8) -> __m256i {
        intrinsic!(_mm256_set1_epi32(p.cast::<i32>().read_unaligned()))
    }
    #[inline(always)]
    unsafe fn dot_bytes(self, acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
        // SAFETY: the caller's: the CPU has AVX-VNNI, too.
        unsafe { _mm256_dpbusd_avx_epi32(acc, x, w) }
    }
    #[inline(always)]
    fn join_bytes(self, high: __m256i, low: __m256i) -> __m256i {
        intrinsic!(_mm256_add_epi32(_mm256_slli_epi32::<8>(high), low))
    }
    #[inline(always)]
    unsafe fn store_byte(self, p: *mut u8, a: __m256, above: bool) {
        intrinsic!({
            let bits = _mm256_castps_si256(a);
            let byte = if above { _mm256_srli_epi32::<8>(bits) } else { bits };
            let byte = _mm256_and_si256(byte, _mm256_set1_epi32(0xff));
            let (low, high) = (_mm256_castsi256_si128(byte), _mm256_extracti128_si256::<1>(byte));
            let words = _mm_packus_epi32(low, high);
            _mm_storel_epi64(p.cast(), _mm_packus_epi16(words, words));
        })
    }
    #[inline(always)]
    fn exponent(self, a: __m256) -> __m256 {
        intrinsic!(_mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a))))
    }
    #[inline(always)]
    fn halves(self, a: __m256) -> (__m256, __m256) {
        intrinsic!({
            let bits = _mm256_castps_si256(a);
            let half = _mm256_srli_epi32::<1>(bits);
            (_mm256_castsi256_ps(half), _mm256_castsi256_ps(_mm256_sub_epi32(bits, half)))
        })
    }
}
