//! AVX2 with FMA: 8 lanes, 16 registers (Haswell, Zen and later).
//!
//! Partial loads and stores go through the masked moves, whose mask is read from a sliding window.

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
        super::cpu_has!("avx2") && super::cpu_has!("fma")
    }

    #[inline(always)]
    unsafe fn new() -> Self {
        Avx2(())
    }

    #[inline(always)]
    fn single(self) -> Self {
        self
    }
}

/// The intrinsics below need AVX2 and FMA (and what these imply), which holding an `Avx2` proves; pointers and `n <= LANES` are
/// the caller's.
macro_rules! intrinsic {
    ($e:expr) => {
        // SAFETY: `self` was made by `new`, whose caller saw `available()`: AVX2 and FMA are there. Pointers, and `n <= LANES`,
        // are the method's own contract.
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

/// An instruction that is none, which the compiler keeps in its place.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn pin(mut a: __m256) -> __m256 {
    // SAFETY: the template is a comment: no instruction, no memory, no flag; the register goes in and comes out.
    unsafe { core::arch::asm!("/* {0} */", inout(ymm_reg) a, options(nomem, nostack, preserves_flags)) };
    a
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
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
        // SAFETY: the token proves that the CPU has both features.
        unsafe { compile(region) }
    }
}

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const ACCUMULATORS: usize = 12;
    const FUSED: bool = true;

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
    fn pin(self, a: __m256) -> __m256 {
        intrinsic!(pin(a))
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
