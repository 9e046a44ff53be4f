//! Portable vectors of `N` elements in plain arrays.
//!
//! [`MulAdd`] defines how a product and a sum are rounded, and for which features the code is compiled.
//! `Fused` gives the same bits as every fused instruction set with vectors. `Separate` is for CPUs that have
//! no fused multiply-add. On x86-64 it is used for single elements only: `sse2.rs` has the vectors. Compilers
//! map the arrays to the registers of the target, such as those of a Cortex-M4F's FPU. The tokens of other
//! instruction sets implement `MulAdd`, too: for single elements, with their instruction.

use super::{ByteRows, Region, SIGMOID_LEN, Simd, TANH_LEN, narrow_in_arrays};

/// Lanes of the portable instruction sets: four gates of four units take 16 of a Cortex-M4F's 32 registers.
pub(super) const LANES: usize = 4;

/// How a portable instruction set multiplies and adds.
pub(crate) trait MulAdd: Copy {
    /// Like [`Simd::FUSED`].
    #[allow(dead_code, reason = "as there")]
    const FUSED: bool = true;
    /// Like [`Simd::CHAINS`].
    const CHAINS: usize = 0;
    /// Like [`Simd::SUMS`], for four lanes.
    const SUMS: bool = false;

    /// `a * b + c`
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32;

    /// `c - a * b`
    #[inline(always)]
    fn neg_mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        self.mul_add(-a, b, c)
    }

    #[inline(always)]
    fn sqrt(self, a: f32) -> f32 {
        libm::sqrtf(a)
    }

    /// Like [`Simd::sigmoid`].
    #[inline(always)]
    fn sigmoid(self, _x: f32, _table: &[f32; SIGMOID_LEN]) -> Option<f32> {
        None
    }

    /// Like [`Simd::tanh`].
    #[inline(always)]
    fn tanh(self, _x: f32, _table: &[f32; TANH_LEN]) -> Option<f32> {
        None
    }

    /// Like [`Simd::chains`].
    /// # Safety
    /// As for [`Simd::chains`].
    #[inline(always)]
    unsafe fn chains(
        self,
        _acc: &mut [f32; 4],
        _n: usize,
        _x: *const f32,
        _w: (*const f32, usize),
        _k: usize,
    ) {
    }

    /// Like [`Simd::sums`], with vectors of `N` lanes.
    /// # Safety
    /// As for [`Simd::sums`].
    #[inline(always)]
    unsafe fn sums<const N: usize>(
        self,
        _acc: &mut [[f32; N]; 4],
        _n: usize,
        _x: (*const f32, usize),
        _w: (*const f32, usize),
        _k: usize,
    ) {
    }

    /// Like [`Simd::byte_rows`].
    /// # Safety
    /// As for [`Simd::byte_rows`].
    #[inline(always)]
    unsafe fn byte_rows(self, acc: &mut [f32; 4], n: usize, row: *const f32, w: ByteRows) {
        for (j, acc) in acc.iter_mut().enumerate().take(n) {
            // SAFETY: the caller's, for row `j` of the first `n`.
            unsafe {
                let (sum, at) = (byte_row(row, w.codes.wrapping_add(j * w.step * w.k), w.k), j * w.step);
                *acc = self.mul_add(sum as f32, *row * *w.scales.add(at), *acc);
            }
        }
    }

    /// Like [`Simd::call`].
    fn call<R: Region>(self, region: R) -> R::Output;
}

/// The sum of the products of a row of integers, as in [`Simd::byte_rows`], and `k` weights.
/// # Safety
/// As for [`Simd::byte_rows`].
#[inline]
unsafe fn byte_row(row: *const f32, w: *const i8, k: usize) -> i32 {
    let (x, mut sum) = (row.wrapping_add(1).cast::<i16>(), 0i32);
    for at in (0..k).step_by(4) {
        for (i, place) in [0, 2, 1, 3].into_iter().enumerate() {
            // SAFETY: the caller's promise: whole fours can be read.
            let (x, w) = unsafe { (*x.add(at + place), *w.add(at + i)) };
            sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)));
        }
    }
    sum
}

/// Two roundings.
#[derive(Clone, Copy)]
#[allow(dead_code, reason = "not where every CPU of the target fuses")]
pub(crate) struct Separate;

impl MulAdd for Separate {
    const FUSED: bool = false;

    #[inline(always)]
    fn mul_add(self, a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }

    #[inline(never)]
    fn call<R: Region>(self, region: R) -> R::Output {
        region.run()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Scalar<M, const N: usize>(pub(super) M);

/// An array made lane by lane. `array::from_fn` takes longer to compile, and its closure may remain a call.
macro_rules! lanes {
    (|$i:ident| $e:expr) => {{
        let mut out = [0.0; N];
        unrolled!($i, N, {
            out[$i] = $e;
        });
        out
    }};
}

impl<M: MulAdd, const N: usize> Simd for Scalar<M, N> {
    type V = [f32; N];
    const LANES: usize = N;
    const ACCUMULATORS: usize = 4;
    const FUSED: bool = M::FUSED;
    const CHAINS: usize = if N == 1 { M::CHAINS } else { 0 };
    const SUMS: bool = N == 4 && M::SUMS;

    narrow_in_arrays!(N);

    #[inline(always)]
    fn call<R: Region>(self, region: R) -> R::Output {
        // If a tile is one block of assembly, a call for each costs more than it saves in registers.
        if Self::CHAINS > 0 { region.run() } else { self.0.call(region) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; a pointer to `N` elements is a pointer to an array of them, with the
        // same alignment.
        unsafe { *p.cast() }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: the caller's promise: elements `i < n` exist.
        lanes!(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise; a pointer to `N` elements is a pointer to an array of them, with the
        // same alignment.
        unsafe { *p.cast() = v }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, v: Self::V, n: usize) {
        unrolled!(i, N, {
            if i < n {
                // SAFETY: the caller's promise: elements `i < n` exist.
                unsafe { *p.add(i) = v[i] }
            }
        });
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        lanes!(|i| self.0.sqrt(a[i]))
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        lanes!(|i| self.0.mul_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        lanes!(|i| self.0.neg_mul_add(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn chains(
        self,
        acc: &mut [Self::V; 4],
        n: usize,
        x: *const f32,
        w: (*const f32, usize),
        k: usize,
    ) {
        let mut single = acc.map(|a| a[0]);
        // SAFETY: the caller's promise.
        unsafe { self.0.chains(&mut single, n, x, w, k) };
        *acc = single.map(|a| [a; N]);
    }
    #[inline(always)]
    unsafe fn sums(
        self,
        acc: &mut [Self::V; 4],
        n: usize,
        x: (*const f32, usize),
        w: (*const f32, usize),
        k: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.0.sums(acc, n, x, w, k) }
    }
    #[inline(always)]
    unsafe fn byte_rows(self, acc: &mut [Self::V; 4], n: usize, row: *const f32, w: ByteRows) {
        let mut single = acc.map(|a| a[0]);
        // SAFETY: the caller's promise.
        unsafe { self.0.byte_rows(&mut single, n, row, w) };
        *acc = single.map(|a| [a; N]);
    }
    #[inline(always)]
    fn sigmoid(self, x: Self::V, table: &[f32; SIGMOID_LEN]) -> Option<Self::V> {
        Some(lanes!(|i| self.0.sigmoid(x[i], table)?))
    }
    #[inline(always)]
    fn tanh(self, x: Self::V, table: &[f32; TANH_LEN]) -> Option<Self::V> {
        Some(lanes!(|i| self.0.tanh(x[i], table)?))
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        lanes!(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        lanes!(|i| f32::from_bits(a[i].to_bits() & 0x7fff_ffff))
    }
    #[inline(always)]
    fn larger(self, a: Self::V, b: Self::V) -> Self::V {
        // Magnitudes are ordered as their bits are. Infinity and NaN come last.
        let bits = |x: f32| x.to_bits() & 0x7fff_ffff;
        lanes!(|i| f32::from_bits(bits(a[i]).max(bits(b[i]))))
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        lanes!(|i| f32::from_bits(magnitude[i].to_bits() | (sign[i].to_bits() & 0x8000_0000)))
    }
    #[inline(always)]
    fn lt_select(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        lanes!(|i| if a[i] < b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    fn lt_known(self, a: Self::V, b: Self::V) -> Option<bool> {
        if N == 1 { Some(a[0] < b[0]) } else { None }
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        lanes!(|i| f32::from_bits(a[i].to_bits() << 23))
    }
    #[inline(always)]
    fn halves(self, a: Self::V) -> (Self::V, Self::V) {
        let half = lanes!(|i| f32::from_bits(a[i].to_bits() >> 1));
        (half, lanes!(|i| f32::from_bits(a[i].to_bits().wrapping_sub(half[i].to_bits()))))
    }
}
