//! Instruction sets: one file for each, and the choice between them.
//!
//! This is the only folder that names `core::arch`. An instruction set is a token type that implements
//! [`Simd`]. Holding a token proves that the CPU has the instruction set, because tokens are made only by
//! [`dispatch`] (in `isa`), from an [`Isa`] that was detected. Algorithms are written once, generic over the
//! token, as an [`Op`]. [`Simd::call`] compiles the whole operation for the instruction set, so all functions
//! below it are `#[inline(always)]` and have no `target_feature` attribute.
//!
//! To add an instruction set: write its file, which implements [`Simd`] and [`Vectors`], then add its module
//! and its line in `vector_sets!` in `isa.rs`. Nothing else changes: the tests run over `Isa::available()`.
//! See also `guide/adding_an_instruction_set.rs`. This folder may import nothing from the rest of the crate.
//! `kernel/SAFETY.md` lists the invariants of its unsafe code.

// First, because the other files use its macro.
#[macro_use]
mod unrolled;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod detect;
// Only with an FPU, whose instructions it also uses.
#[cfg(all(dsp, target_abi = "eabihf"))]
mod dsp;
mod isa;
mod narrow;
// The M profile of Arm with an FPU. The other profiles have 64-bit atomics.
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
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod sse2;
#[cfg(test)]
mod tests;
mod times;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(target_arch = "x86_64")]
use detect::{cpu_has, dots};
pub use isa::Isa;
pub(crate) use isa::{Dot, HAS_VECTORS, MAX_LANES, dispatch, dispatch_single};
pub(crate) use narrow::f16_to_f32;
use narrow::narrow_in_arrays;
pub(crate) use times::Times;

/// The operations of one instruction set on vectors of `LANES` `f32`.
///
/// Every operation is that of IEEE 754, lane by lane. So the same sequence of operations gives the same bits
/// everywhere, with one exception: `fma` rounds once, except on instruction sets that are not
/// [fused](Isa::is_fused).
pub(crate) trait Simd: Copy {
    /// One vector.
    type V: Copy;
    /// Elements in a vector.
    const LANES: usize;
    /// The number of accumulators that a tile may hold, besides the vectors that it loads.
    const ACCUMULATORS: usize;
    /// Whether `fma` rounds once.
    #[allow(dead_code, reason = "asked of vector sets, and for `matrixmultiply`")]
    const FUSED: bool;

    /// Runs `region`, inlined into a function that is compiled for this instruction set.
    ///
    /// A whole pass is one such function. Inside a pass, each group of tiles is a separate one, except in
    /// steps of one row. This keeps the functions small enough for the compiler's register allocation, and
    /// for its run time.
    fn call<R: Region>(self, region: R) -> R::Output;

    fn splat(self, x: f32) -> Self::V;
    /// # Safety
    /// `p` is valid for reading `LANES` elements.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Loads `n <= LANES` elements; the other lanes are zero.
    /// # Safety
    /// `n <= LANES`, and `p` is valid for reading `n` elements. If `n` is 0, it may be any pointer.
    unsafe fn load_n(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// `p` is valid for writing `LANES` elements.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Stores the first `n <= LANES` lanes.
    /// # Safety
    /// `n <= LANES`, and `p` is valid for writing `n` elements. If `n` is 0, it may be any pointer.
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
    /// `if a < b { a } else { b }`, so `b` if one of them is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `if a > b { a } else { b }`, so `b` if one of them is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Clears the sign.
    fn abs(self, a: Self::V) -> Self::V;
    /// `magnitude`, which has no sign, with the sign of `sign`.
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `if a < b { x } else { y }`, so `y` if `a` or `b` is NaN.
    fn lt_select(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// Whether `a < b`, if a vector has one lane; otherwise `None`. It avoids computing both sides of a
    /// choice.
    #[inline(always)]
    fn lt_known(self, _a: Self::V, _b: Self::V) -> Option<bool> {
        None
    }
    /// The bits shifted left by 23. This converts a biased exponent in the lowest bits to the power of two.
    fn exponent(self, a: Self::V) -> Self::V;
    /// The bits shifted right by one, and the difference of the bits and that: two integers whose sum is the
    /// integer in the lowest bits.
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
    /// `acc + a[0] * b[0] + a[1] * b[1]` in each lane. The result must fit.
    fn dot(self, acc: Self::Ints, a: Self::Pairs, b: Self::Pairs) -> Self::Ints;
    /// The nearest floats, ties to even.
    fn ints_to_f32(self, a: Self::Ints) -> Self::V;
    /// The larger magnitude in each lane. It is not finite if one of both is not.
    fn larger(self, a: Self::V, b: Self::V) -> Self::V;
    /// The largest magnitude of all lanes; NaN if one of them is NaN.
    #[inline(always)]
    fn largest(self, a: Self::V) -> f32 {
        let (mut lanes, mut most) = ([0.0f32; MAX_LANES], 0);
        // SAFETY: no vector has more than `MAX_LANES`.
        unsafe { self.store(lanes.as_mut_ptr(), a) };
        for i in 0..Self::LANES {
            // Magnitudes are ordered as their bits are. NaN comes last.
            most = lanes[i].abs().to_bits().max(most);
        }
        f32::from_bits(most)
    }
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

    // The dot product of bytes, which only some CPUs with an instruction set have.

    /// Whether some CPUs with this instruction set have a dot product of bytes. If so, all of these methods are
    /// implemented.
    const DOT: bool = false;
    /// The same as [`call`](Self::call), for a region that uses [`dot_bytes`](Self::dot_bytes).
    /// # Safety
    /// The CPU has the instruction set's dot product, as a [`Dot`] of it said.
    #[inline(always)]
    unsafe fn call_dot<R: Region>(self, region: R) -> R::Output {
        self.call(region)
    }
    /// Loads four bytes for each lane.
    /// # Safety
    /// `p` is valid for reading `4 * LANES` bytes.
    #[inline(always)]
    unsafe fn load_bytes(self, _p: *const u8) -> Self::Ints {
        self.no_ints()
    }
    /// The same four bytes in each lane.
    /// # Safety
    /// `p` is valid for reading four bytes.
    #[inline(always)]
    unsafe fn splat_bytes(self, _p: *const u8) -> Self::Ints {
        self.no_ints()
    }
    /// Whether the bytes of rows are signed. If so, [`store_byte`](Self::store_byte) stores them less 128.
    const SIGNED: bool = false;
    /// `acc + x[0] * w[0] + ... + x[3] * w[3]` in each lane, modulo 2^32. The bytes of `w` are signed, those
    /// of `x` unsigned unless [`SIGNED`](Self::SIGNED).
    /// # Safety
    /// This is inlined into a region of [`call_dot`](Self::call_dot).
    #[inline(always)]
    unsafe fn dot_bytes(self, acc: Self::Ints, _x: Self::Ints, _w: Self::Ints) -> Self::Ints {
        acc
    }
    /// `256 * high + low` in each lane, modulo 2^32.
    #[inline(always)]
    fn join_bytes(self, high: Self::Ints, _low: Self::Ints) -> Self::Ints {
        high
    }
    /// Stores the lowest byte of each lane, or the one above it.
    /// # Safety
    /// `p` is valid for writing `LANES` bytes.
    #[inline(always)]
    unsafe fn store_byte(self, _p: *mut u8, _a: Self::V, _above: bool) {}

    /// Whether sums of integers take four elements of a row together on CPUs without the dot product. If so,
    /// `DOT` is true, and the following methods are implemented.
    const FOURS: bool = false;
    /// The same as [`dot_bytes`](Self::dot_bytes), on any CPU of the set. No weight is -128.
    #[inline(always)]
    fn dot_bytes_plain(self, acc: Self::Ints, _x: Self::Ints, _w: Self::Ints) -> Self::Ints {
        acc
    }
    /// The next four integers of 16 bits of a row.
    /// # Safety
    /// `p` is valid for reading four elements.
    #[inline(always)]
    unsafe fn load_four(self, _p: *const i16) -> Self::Ints {
        self.no_ints()
    }
    /// Weights for four elements of a row, widened: those of all lanes for the first element, and so on.
    /// # Safety
    /// `p` is valid for reading `4 * LANES` weights.
    #[inline(always)]
    unsafe fn load_fours(self, _p: *const i8) -> [Self::Ints; 2] {
        [self.no_ints(); 2]
    }
    /// `acc + x[0] * w[0] + ... + x[3] * w[3]` in each lane. The result must fit.
    #[inline(always)]
    fn dot_fours(self, acc: Self::Ints, _x: Self::Ints, _w: [Self::Ints; 2]) -> Self::Ints {
        acc
    }

    // The following methods compute nothing new. An instruction set implements them if it has faster code for
    // them as a whole.

    /// Returns the vector unchanged. The compiler does not reorder pinned vectors.
    #[inline(always)]
    fn pin(self, a: Self::V) -> Self::V {
        a
    }

    /// Keeps the compiler from unrolling the loop that this is called in. It does nothing else.
    ///
    /// How far loops are unrolled depends on the CPU that a program is compiled for, and not on the registers
    /// that a loop needs. For Zen 5 (`-C target-cpu=native` there), the compiler made two copies of a tile of
    /// 24 accumulators, and then kept some of these in memory: a batch of an LSTM took 1.36 times as long as
    /// in a program for any CPU.
    #[inline(always)]
    fn keep_rolled(self) {}

    /// The number of chains that [`chains`](Self::chains) takes at once, if a vector has one lane.
    const CHAINS: usize = 0;
    /// `acc[j] = x[i] * w[j * w_step + i] + acc[j]` for i ascending from 0 to `k`, for each of the first `n`
    /// chains. `_w` is the pointer and its step.
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
    /// Whether [`sums`](Self::sums) is implemented.
    const SUMS: bool = false;
    /// `acc[j] = x[i * x_step] * w[i * w_step + j * LANES ..] + acc[j]` for i ascending from 0 to `k`, for
    /// each of the first `n` vectors. `n` is 1, 2 or 4. `_x` and `_w` are pointers and their steps.
    /// # Safety
    /// `SUMS` is true; `n` is 1, 2 or 4. For each `i < k`, `x[i * x_step]` and `n * LANES` elements at
    /// `w + i * w_step` are valid for reading.
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
    /// `acc[j] = sum * (scale of row * scale of w j) + acc[j]`, where `sum` is the exact sum of the products
    /// of a row and of `w`'s row j, for each of the first `n` rows of `w`, if a vector has one lane. `_row`
    /// is the row's scale, and then its integers of 16 bits by fours, in the order 0 2 1 3, zeros at the end.
    /// # Safety
    /// A vector has one lane, and `n <= 4`. `row` and the rows of `w` are valid for reading as many integers
    /// as a row of `w` has, rounded up to whole fours, and the scales for `n` elements.
    #[inline(always)]
    unsafe fn byte_rows(self, _acc: &mut [Self::V; 4], _n: usize, _row: *const f32, _w: ByteRows) {}
    /// The sigmoid, with the operations and the table of `kernel::math`. `None` if the instruction set has no
    /// special code for it.
    #[inline(always)]
    fn sigmoid(self, _x: Self::V, _table: &[f32; SIGMOID_LEN]) -> Option<Self::V> {
        None
    }
    /// The hyperbolic tangent, with the operations and the table of `kernel::math`. `None` if the instruction
    /// set has no special code for it.
    #[inline(always)]
    fn tanh(self, _x: Self::V, _table: &[f32; TANH_LEN]) -> Option<Self::V> {
        None
    }
}

/// Whether narrow weights can be used in place. Not with named forms: these are for layers that are not
/// constants, whose programs would link this code whether they have such layers or not.
pub(crate) const NARROW_IN_PLACE: bool =
    cfg!(any(all(target_os = "none", not(feature = "named-forms")), feature = "reference", test));

/// Rows of weights of 8 bits, with a scale each.
#[derive(Clone, Copy)]
pub(crate) struct ByteRows {
    pub(crate) codes: *const i8,
    pub(crate) scales: *const f32,
    /// The distance between two rows, in rows of the matrix.
    pub(crate) step: usize,
    /// Weights of a row.
    pub(crate) k: usize,
}

/// Length of the table of constants of a sigmoid.
pub(crate) const SIGMOID_LEN: usize = 11;
/// Length of the table of constants of a hyperbolic tangent.
pub(crate) const TANH_LEN: usize = 16;

/// The token of an instruction set with vectors.
#[allow(dead_code, reason = "not every target has one")]
trait Vectors: Simd {
    const NAME: &str;
    /// The instruction set's multiply-add for single elements.
    type Single: scalar::MulAdd;

    /// Whether this CPU has the instruction set.
    fn available() -> bool;
    /// # Safety
    /// `available()` returned true.
    unsafe fn new() -> Self;
    fn single(self) -> Self::Single;
    /// Whether this CPU, which has the instruction set, also has its dot product of bytes.
    #[inline]
    fn has_dot() -> bool {
        false
    }
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
