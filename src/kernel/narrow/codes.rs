//! Rows of `x` and `h` as integers, to be multiplied by weights of 8 bits.
//!
//! A row becomes a scale and integers of 16 bits. Its largest magnitude becomes the largest integer. If all
//! elements are below 2^-100, the scale and the integers are zero. If an element is not finite, the scale is
//! NaN, and so are all sums.

use crate::kernel::vector::load;
use crate::simd::Simd;

/// If all elements are below this, the row counts as zero.
const LEAST: f32 = f32::from_bits((127 - 100) << 23);
/// Adding this to a float of at most 22 bits leaves the nearest integer, ties to even, in the lowest bits.
pub(super) const ROUND: f32 = 12_582_912.0;

/// Writes the scale of `k` elements, then their integers, which are at most `largest` in magnitude, then
/// zeros.
/// # Safety
/// `from` is valid for reading `k` elements, and `to` for writing `Narrow::room_len(k)`.
#[inline(always)]
pub(super) unsafe fn write_codes<S: Simd>(s: S, from: *const f32, k: usize, largest: f32, to: *mut f32) {
    let zero = s.splat(0.0);
    // SAFETY: the caller's promise.
    let (scale, factor) = unsafe { scale_of(s, from, k, largest) };
    let (factor, round) = (s.splat(factor), s.splat(ROUND));
    // SAFETY: the caller's promise: room for one element, then for integers of whole vectors, of 16 bits
    // each. Elements `i..k` follow at `i`.
    unsafe {
        *to = scale;
        let codes = to.add(1).cast::<i16>();
        for i in (0..k).step_by(S::LANES) {
            let x = if scale.is_nan() { zero } else { load(s, from.add(i), k - i) };
            s.store_low(codes.add(i), s.add(s.mul(x, factor), round));
        }
        // The last pair has two elements even if the row has an odd length.
        let end = k.next_multiple_of(S::LANES);
        if end < k.next_multiple_of(2) {
            *codes.add(end) = 0;
        }
    }
}

/// The same for a dot product of bytes: the scale, then the integers plus `half` as unsigned ones. Their
/// lowest bytes come first. If `plane` is not 0, the bytes above them follow `plane` bytes later. What follows
/// the last element up to a whole vector is not specified: there are no weights for it.
/// # Safety
/// As for [`write_codes`]; `plane` is `k` rounded up to whole vectors.
#[inline(always)]
pub(super) unsafe fn write_bytes<S: Simd>(
    s: S,
    from: *const f32,
    k: usize,
    (largest, half): (f32, f32),
    plane: usize,
    to: *mut f32,
) {
    let zero = s.splat(0.0);
    // SAFETY: the caller's promise.
    let (scale, factor) = unsafe { scale_of(s, from, k, largest) };
    // Both summands are even integers, so their sum rounds as `ROUND` alone does.
    let (factor, round) = (s.splat(factor), s.splat(ROUND + half));
    // SAFETY: the caller's promise: room for one element, then for one or two planes of bytes of whole
    // vectors. Elements `i..k` follow at `i`.
    unsafe {
        *to = scale;
        let codes = to.add(1).cast::<u8>();
        for i in (0..k).step_by(S::LANES) {
            let x = if scale.is_nan() { zero } else { load(s, from.add(i), k - i) };
            let code = s.add(s.mul(x, factor), round);
            s.store_byte(codes.add(i), code, false);
            if plane > 0 {
                s.store_byte(codes.add(plane + i), code, true);
            }
        }
    }
}

/// The scale of a row, and the factor by which its elements become integers.
/// # Safety
/// `from` is valid for reading `k` elements.
#[inline(always)]
unsafe fn scale_of<S: Simd>(s: S, from: *const f32, k: usize, largest: f32) -> (f32, f32) {
    // Two chains: a single one would wait for every vector.
    let mut most = [s.splat(0.0); 2];
    for i in (0..k).step_by(2 * S::LANES) {
        for j in 0..2 {
            let at = i + j * S::LANES;
            // SAFETY: the caller's promise: elements `at..k` follow at `at`.
            let x = unsafe { load(s, from.wrapping_add(at), k.saturating_sub(at)) };
            most[j] = s.larger(x, most[j]);
        }
    }
    scales(s.largest(s.larger(most[0], most[1])), largest)
}

/// The scale of a row whose largest magnitude is `most`, and the factor by which its elements become
/// integers.
#[inline(always)]
fn scales(most: f32, largest: f32) -> (f32, f32) {
    match most >= LEAST {
        _ if !most.is_finite() => (f32::NAN, 0.0),
        true => (most / largest, largest / most),
        false => (0.0, 0.0),
    }
}

/// The same for weights in place: one element at a time, and the integers by fours in the order 0 2 1 3, so
/// that a word holds two whose weights are two bytes apart. The last four are filled up with zeros.
/// # Safety
/// As for [`write_codes`].
#[inline]
pub(super) unsafe fn write_fours(from: *const f32, k: usize, largest: f32, to: *mut f32) {
    // Magnitudes are ordered as their bits are; NaN comes after infinity, and both after all numbers.
    let mut most = 0;
    for i in 0..k {
        // SAFETY: the caller's promise.
        most = unsafe { *from.add(i) }.abs().to_bits().max(most);
    }
    let (scale, factor) = scales(f32::from_bits(most), largest);
    let code = |x: f32| (x * factor + ROUND).to_bits();
    let pair = |a: u32, b: u32| match cfg!(target_endian = "little") {
        true => a & 0xffff | b << 16,
        false => a << 16 | b & 0xffff,
    };
    // SAFETY: the caller's promise: room for the scale, and for integers in whole fours.
    unsafe {
        *to = scale;
        let (codes, whole) = (to.add(1).cast::<u32>(), k & !3);
        for i in (0..whole).step_by(4) {
            let four = [0, 1, 2, 3].map(|at| code(*from.add(i + at)));
            *codes.add(i / 2) = pair(four[0], four[2]);
            *codes.add(i / 2 + 1) = pair(four[1], four[3]);
        }
        if whole < k {
            let at = |i: usize| if i < k { code(*from.add(i)) } else { 0 };
            *codes.add(whole / 2) = pair(at(whole), at(whole + 2));
            *codes.add(whole / 2 + 1) = pair(at(whole + 1), 0);
        }
    }
}
