//! Instruction sets: one file each, and the choice between them.
//!
//! This is the only folder that names `core::arch`. An instruction set is a token type that
//! implements [`Simd`]; whoever holds a token has proof that the CPU can run it, because tokens are
//! made only by [`dispatch`] (in `isa`), from an [`Isa`] that was detected. Algorithms are written once,
//! generic over the token, as an [`Op`]; [`Simd::call`] compiles the whole operation for the instruction set,
//! so everything below it is `#[inline(always)]` and carries no attribute of its own.
//!
//! To add an instruction set: write its file, which implements [`Simd`] and [`Vectors`], then add its module
//! and its line in `vector_sets!` in `isa.rs`. Nothing else changes: the tests run over `Isa::available()`.
//! The guide says more (`guide/adding_an_instruction_set.rs`). It may import nothing from the rest of the crate.
//! What its unsafe code rests on stands in `kernel/SAFETY.md`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
mod narrow;
// The M profile with an FPU: the other profiles have atomics of 64 bits.
#[cfg_attr(
    all(target_arch = "arm", target_abi = "eabihf", target_has_atomic = "32", not(target_has_atomic = "64")),
    path = "cortex_m.rs"
)]
#[cfg(any(
    test,
    feature = "reference",
    all(target_arch = "arm", target_abi = "eabihf", target_has_atomic = "32", not(target_has_atomic = "64"))
))]
mod fused;
#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
mod scalar;
#[cfg(test)]
mod tests;
mod times;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

pub use isa::Isa;
pub(crate) use isa::{HAS_VECTORS, MAX_LANES, dispatch, dispatch_single};
pub(crate) use narrow::f16_to_f32;
use narrow::narrow_in_arrays;
pub(crate) use times::Times;

/// Whether this CPU has a feature, and the system keeps its registers. Asked at run time, with or without the standard library.
#[cfg(target_arch = "x86_64")]
macro_rules! cpu_has {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        {
            std::arch::is_x86_feature_detected!($feature)
        }
        #[cfg(not(feature = "std"))]
        {
            cpufeatures::new!(feature, $feature);
            feature::get()
        }
    }};
}
#[cfg(target_arch = "x86_64")]
use cpu_has;

/// The operations of one instruction set on vectors of `LANES` `f32`.
///
/// Every operation is the IEEE 754 one, lane by lane, so that the same sequence of them gives the same
/// bits everywhere; `fma` rounds once, except on sets that are not [fused](Isa::is_fused).
pub(crate) trait Simd: Copy {
    /// One vector.
    type V: Copy;
    /// Elements in a vector.
    const LANES: usize;
    /// How many accumulators a tile may hold besides the vectors that it loads.
    const ACCUMULATORS: usize;
    /// Whether `fma` rounds once.
    #[allow(dead_code, reason = "asked of vector sets, and for `matrixmultiply`")]
    const FUSED: bool;

    /// A function compiled for this instruction set, with `region` inlined into it.
    ///
    /// The whole of a pass is one, and so is, but for steps of one row, each group of tiles inside of it: that keeps the functions small enough
    /// for the compiler's register allocation, and its time.
    fn call<R: Region>(self, region: R) -> R::Output;

    fn splat(self, x: f32) -> Self::V;
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Loads `n <= LANES` elements; the other lanes are zero.
    /// # Safety
    /// `n <= LANES`, and `p` is valid for reading `n` elements; of none, it may be any pointer.
    unsafe fn load_n(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Stores the first `n <= LANES` lanes.
    /// # Safety
    /// `n <= LANES`, and `p` is valid for writing `n` elements; of none, it may be any pointer.
    unsafe fn store_n(self, p: *mut f32, v: Self::V, n: usize);

    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a * b + c`
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a < b { a } else { b }`, so `b` where one is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`, so `b` where one is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Clears the sign.
    fn abs(self, a: Self::V) -> Self::V;
    /// The magnitude of the first (which has no sign) with the sign of the second.
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `if a < b { x } else { y }`; `y` where one is NaN.
    fn lt_select(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// Whether `a < b`, where there is only one lane; nothing is known of vectors. It saves computing both sides of a choice.
    #[inline(always)]
    fn lt_known(self, _a: Self::V, _b: Self::V) -> Option<bool> {
        None
    }
    /// The bits shifted left by 23: from a biased exponent in the lowest bits to the power of two.
    fn exponent(self, a: Self::V) -> Self::V;
    /// The bits shifted right by one, and the bits less those: two integers whose sum is that in the lowest bits.
    fn halves(self, a: Self::V) -> (Self::V, Self::V);

    // Narrow weights: integers, and floats of 16 bits.

    /// An integer of 32 bits for each lane.
    type Ints: Copy;
    /// Two integers of 16 bits for each lane.
    type Pairs: Copy;
    fn no_ints(self) -> Self::Ints;
    /// The same two integers in each lane.
    /// # Safety
    /// `p` is valid for reading two elements.
    unsafe fn splat_pair(self, p: *const i16) -> Self::Pairs;
    /// Two integers of 8 bits for each lane, widened.
    /// # Safety
    /// `p` is valid for reading `2 * LANES` elements.
    unsafe fn load_pairs(self, p: *const i8) -> Self::Pairs;
    /// `acc + a[0] * b[0] + a[1] * b[1]` in each lane. The result has to fit.
    fn dot(self, acc: Self::Ints, a: Self::Pairs, b: Self::Pairs) -> Self::Ints;
    /// The nearest floats, ties to even.
    fn ints_to_f32(self, a: Self::Ints) -> Self::V;
    /// Stores the lowest 16 bits of each lane.
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store_low(self, p: *mut i16, a: Self::V);
    /// Floats of 16 bits (IEEE 754 binary16), widened. None of them is NaN.
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_f16(self, p: *const u16) -> Self::V;
    /// The upper halves of floats, widened.
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load_bf16(self, p: *const u16) -> Self::V;

    // What follows does nothing that the operations above do not; a set has it where it is faster as a whole.

    /// The vector as it is, at this place among all vectors that are pinned: the compiler does not change their order.
    #[inline(always)]
    fn pin(self, a: Self::V) -> Self::V {
        a
    }

    /// How many chains [`chains`](Self::chains) takes at once, if a vector has one lane.
    const CHAINS: usize = 0;
    /// `acc[j] = x[i] * w[j * w_step + i] + acc[j]` for i ascending from 0 to `k`, for each of the first `n` chains. The pointer
    /// of `w` comes with its step.
    /// # Safety
    /// `n <= CHAINS`; `k` elements at `x`, and at `w + j * w_step` for each `j < n`, are valid for reading.
    #[inline(always)]
    unsafe fn chains(
        self,
        _acc: &mut [Self::V; 4],
        _n: usize,
        _x: *const f32,
        _w: (*const f32, usize),
        _k: usize,
    ) {
    }
    /// Whether there is [`sums`](Self::sums).
    const SUMS: bool = false;
    /// `acc[j] = x[i * x_step] * w[i * w_step + j * LANES ..] + acc[j]` for i ascending from 0 to `k`, for each of the first
    /// `n` vectors, which is 1, 2 or 4. Each pointer comes with its step.
    /// # Safety
    /// `SUMS`; `n` is 1, 2 or 4; for each `i < k`, `x[i * x_step]` and `n * LANES` elements at `w + i * w_step` are valid for
    /// reading.
    #[inline(always)]
    unsafe fn sums(
        self,
        _acc: &mut [Self::V; 4],
        _n: usize,
        _x: (*const f32, usize),
        _w: (*const f32, usize),
        _k: usize,
    ) {
    }
    /// The sigmoid, by the operations and from the table of `kernel::math`.
    #[inline(always)]
    fn sigmoid(self, _x: Self::V, _table: &[f32; SIGMOID_LEN]) -> Option<Self::V> {
        None
    }
    /// The hyperbolic tangent, by the operations and from the table of `kernel::math`.
    #[inline(always)]
    fn tanh(self, _x: Self::V, _table: &[f32; TANH_LEN]) -> Option<Self::V> {
        None
    }
}

/// Length of the table of constants of a sigmoid.
pub(crate) const SIGMOID_LEN: usize = 11;
/// Length of the table of constants of a hyperbolic tangent.
pub(crate) const TANH_LEN: usize = 16;

/// The token of a vector instruction set.
#[allow(dead_code, reason = "not every target has one")]
trait Vectors: Simd {
    const NAME: &str;
    /// The set's multiply-add for single elements.
    type Single: scalar::MulAdd;

    /// Whether this CPU has the set.
    fn available() -> bool;
    /// # Safety
    /// `available()` returned true.
    unsafe fn new() -> Self;
    fn single(self) -> Self::Single;
}

/// Code to be compiled for an instruction set. Implementations of `run` are `#[inline(always)]`.
pub(crate) trait Region {
    type Output;
    fn run(self) -> Self::Output;
}

/// An algorithm that can be run on any instruction set. Implementations of `run` are `#[inline(always)]`.
pub(crate) trait Op {
    type Output;
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

/// An algorithm on one instruction set.
struct On<O, S>(O, S);

impl<O: Op, S: Simd> Region for On<O, S> {
    type Output = O::Output;
    #[inline(always)]
    fn run(self) -> O::Output {
        self.0.run(self.1)
    }
}
