//! The kinds of narrow weights in sums: how they are loaded, and how their products are summed.

use crate::simd::{Region, Simd};

/// One kind of weights: how they are loaded, and how their products are summed.
pub(super) trait Kind<S: Simd> {
    type Sum: Copy;
    type Elements: Copy;
    type Weights: Copy;
    /// Elements of a row that are multiplied together.
    const TOGETHER: usize;
    /// Sums of an output. They are added up at the end.
    const PLANES: usize = 1;
    /// Bytes of a weight.
    const BYTES: usize;
    /// Whether the rows are integers.
    const CODES: bool;

    /// Runs code that is compiled for this kind.
    /// # Safety
    /// The weights are of this kind. If it uses the dot product of bytes, the CPU has it.
    #[inline(always)]
    unsafe fn call<R: Region>(s: S, region: R) -> R::Output {
        s.call(region)
    }
    /// The rows of a tile of a batch, with this many outputs for each row.
    const ROWS: [usize; 5];
    /// `offset` is valid for reading a vector, if the weights are integers.
    /// # Safety
    /// As for [`call`](Self::call); this is inlined into such a region, as the following functions are.
    unsafe fn begin(s: S, start: S::V, offset: *const f32) -> Self::Sum;
    /// # Safety
    /// `p` is valid for reading `LANES * TOGETHER` weights.
    unsafe fn weights(s: S, p: *const u8) -> Self::Weights;
    /// # Safety
    /// `p` is valid for reading a row of `room` words, with `TOGETHER` elements from `at` on.
    unsafe fn element(s: S, p: *const f32, room: usize, at: usize) -> Self::Elements;
    /// # Safety
    /// As for [`begin`](Self::begin).
    unsafe fn add(s: S, sum: Self::Sum, x: Self::Elements, w: Self::Weights) -> Self::Sum;
    /// A sum as floats.
    fn total(s: S, sum: Self::Sum) -> S::V;
    /// The output for a [`total`](Self::total). `scale` is the scale of the row times the scales of the
    /// weights.
    #[inline(always)]
    fn end(s: S, total: S::V, start: S::V, scale: S::V) -> S::V {
        if Self::CODES { s.fma(total, scale, start) } else { total }
    }

    /// Weights of 16 bits as floats.
    /// # Safety
    /// As for [`weights`](Self::weights), and the weights are not integers.
    #[inline(always)]
    unsafe fn widen(s: S, _p: *const u8) -> S::V {
        s.splat(0.0)
    }
}

pub(super) struct F16;
pub(super) struct Bf16;
pub(super) struct Int8;
/// Integers of 16 bits, four at a time, for instruction sets that have special code for it.
pub(super) struct Fours;
/// Integers for a dot product of bytes: the CPU's, or if not `DOT`, one of other instructions. Elements of a
/// row are `PLANES` bytes.
pub(super) struct Bytes<const PLANES: usize, const DOT: bool>;

macro_rules! widened {
    ($kind:ident, $load:ident) => {
        impl<S: Simd> Kind<S> for $kind {
            type Sum = S::V;
            type Elements = S::V;
            type Weights = S::V;
            const TOGETHER: usize = 1;
            const BYTES: usize = 2;
            const CODES: bool = false;

            const ROWS: [usize; 5] = if widens::<S>() { [1; 5] } else { [4; 5] };

            #[inline(always)]
            unsafe fn begin(_: S, start: S::V, _: *const f32) -> S::V {
                start
            }
            #[inline(always)]
            unsafe fn weights(s: S, p: *const u8) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p.cast()) }
            }
            #[inline(always)]
            unsafe fn element(s: S, p: *const f32, _: usize, at: usize) -> S::V {
                // SAFETY: the caller's promise.
                s.splat(unsafe { *p.add(at) })
            }
            #[inline(always)]
            unsafe fn add(s: S, sum: S::V, x: S::V, w: S::V) -> S::V {
                s.fma(x, w, sum)
            }
            #[inline(always)]
            unsafe fn widen(s: S, p: *const u8) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p.cast()) }
            }
            #[inline(always)]
            fn total(_: S, sum: S::V) -> S::V {
                sum
            }
        }
    };
}
widened!(F16, load_f16);
widened!(Bf16, load_bf16);

impl<S: Simd> Kind<S> for Int8 {
    type Sum = S::Ints;
    type Elements = S::Pairs;
    type Weights = S::Pairs;
    const TOGETHER: usize = 2;
    const BYTES: usize = 1;
    const CODES: bool = true;

    const ROWS: [usize; 5] = [4, 4, 4, 4, if fits::<S>(4, 4, 1) { 4 } else { 3 }];
    #[inline(always)]
    unsafe fn begin(s: S, _: S::V, _: *const f32) -> S::Ints {
        s.no_ints()
    }
    #[inline(always)]
    unsafe fn weights(s: S, p: *const u8) -> S::Pairs {
        // SAFETY: the caller's promise.
        unsafe { s.load_pairs(p.cast()) }
    }
    #[inline(always)]
    unsafe fn element(s: S, p: *const f32, _: usize, at: usize) -> S::Pairs {
        // SAFETY: the caller's promise; the integers follow the scale.
        unsafe { s.splat_pair(p.add(1).cast::<i16>().add(at)) }
    }
    #[inline(always)]
    unsafe fn add(s: S, sum: S::Ints, x: S::Pairs, w: S::Pairs) -> S::Ints {
        s.dot(sum, w, x)
    }
    #[inline(always)]
    fn total(s: S, sum: S::Ints) -> S::V {
        s.ints_to_f32(sum)
    }
}

impl<S: Simd> Kind<S> for Fours {
    type Sum = S::Ints;
    type Elements = S::Ints;
    type Weights = [S::Ints; 2];
    const TOGETHER: usize = 4;
    const BYTES: usize = 1;
    const CODES: bool = true;

    const ROWS: [usize; 5] = [4; 5];

    #[inline(always)]
    unsafe fn begin(s: S, _: S::V, _: *const f32) -> S::Ints {
        s.no_ints()
    }
    #[inline(always)]
    unsafe fn weights(s: S, p: *const u8) -> [S::Ints; 2] {
        // SAFETY: the caller's promise.
        unsafe { s.load_fours(p.cast()) }
    }
    #[inline(always)]
    unsafe fn element(s: S, p: *const f32, _: usize, at: usize) -> S::Ints {
        // SAFETY: the caller's promise; the integers follow the scale.
        unsafe { s.load_four(p.add(1).cast::<i16>().add(at)) }
    }
    #[inline(always)]
    unsafe fn add(s: S, sum: S::Ints, x: S::Ints, w: [S::Ints; 2]) -> S::Ints {
        s.dot_fours(sum, x, w)
    }
    #[inline(always)]
    fn total(s: S, sum: S::Ints) -> S::V {
        s.ints_to_f32(sum)
    }
}

/// Bytes of a plane of a row's integers that takes `room` words.
pub(super) const fn plane_len(room: usize) -> usize {
    2 * room.saturating_sub(1)
}

impl<S: Simd, const PLANES: usize, const DOT: bool> Kind<S> for Bytes<PLANES, DOT> {
    type Sum = [S::Ints; PLANES];
    type Elements = [S::Ints; PLANES];
    type Weights = S::Ints;
    const TOGETHER: usize = 4;
    const PLANES: usize = PLANES;
    const BYTES: usize = 1;
    const CODES: bool = true;

    #[inline(always)]
    unsafe fn call<R: Region>(s: S, region: R) -> R::Output {
        // SAFETY: the caller's promise.
        if DOT { unsafe { s.call_dot(region) } } else { s.call(region) }
    }
    /// A third of the registers is left for the elements of all rows.
    const ROWS: [usize; 5] = {
        let (mut rows, mut outputs) = ([1; 5], 1);
        while outputs < 5 {
            let most = S::ACCUMULATORS * 2 / 3 / (outputs * PLANES);
            rows[outputs] = if most >= 4 {
                4
            } else if most >= 2 {
                2
            } else {
                1
            };
            outputs += 1;
        }
        rows
    };

    #[inline(always)]
    unsafe fn begin(s: S, _: S::V, offset: *const f32) -> [S::Ints; PLANES] {
        let mut sum = [s.no_ints(); PLANES];
        // The upper plane counts 256 times, and so does its offset. If bytes are signed, those of the upper
        // plane need none.
        if !S::SIGNED || PLANES > 1 {
            // SAFETY: the caller's promise.
            sum[if S::SIGNED { 0 } else { PLANES - 1 }] = unsafe { s.load_bytes(offset.cast()) };
        }
        sum
    }
    #[inline(always)]
    unsafe fn weights(s: S, p: *const u8) -> S::Ints {
        // SAFETY: the caller's promise.
        unsafe { s.load_bytes(p) }
    }
    #[inline(always)]
    unsafe fn element(s: S, p: *const f32, room: usize, at: usize) -> [S::Ints; PLANES] {
        let mut x = [s.no_ints(); PLANES];
        for i in 0..PLANES {
            // SAFETY: the caller's promise; the planes follow the scale.
            x[i] = unsafe { s.splat_bytes(p.add(1).cast::<u8>().add(i * plane_len(room) + at)) };
        }
        x
    }
    #[inline(always)]
    unsafe fn add(s: S, mut sum: [S::Ints; PLANES], x: [S::Ints; PLANES], w: S::Ints) -> [S::Ints; PLANES] {
        for i in 0..PLANES {
            sum[i] = match DOT {
                // SAFETY: the caller's promise.
                true => unsafe { s.dot_bytes(sum[i], x[i], w) },
                false => s.dot_bytes_plain(sum[i], x[i], w),
            };
        }
        sum
    }
    #[inline(always)]
    fn total(s: S, sum: [S::Ints; PLANES]) -> S::V {
        s.ints_to_f32(if PLANES == 1 { sum[0] } else { s.join_bytes(sum[PLANES - 1], sum[0]) })
    }
}

/// Whether batches with 16-bit weights widen each panel once, for all rows. AVX-512 widens for each tile of
/// rows: with 32 rows of 512 units on Zen 5 that takes 1.02 times as long as `f32`, and widening panels 1.2 times.
pub(super) const fn widens<S: Simd>() -> bool {
    S::LANES < 16
}

/// Whether the registers hold a tile of `rows` rows and `panels` panels, with `sums` sums each.
pub(super) const fn fits<S: Simd>(sums: usize, rows: usize, panels: usize) -> bool {
    sums * rows * panels <= S::ACCUMULATORS || (rows == 1 && panels == 1)
}
