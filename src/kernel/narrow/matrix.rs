//! One matrix of weights, as floats or already narrow, and the rounding of weights to integers.

use super::codes::ROUND;
use super::{LARGEST_WEIGHT, Narrow};
use crate::kernel::bytes::bytes;
use crate::simd::f16_to_f32;

/// A row-major matrix.
#[derive(Clone, Copy)]
pub(crate) enum Matrix<'a> {
    /// Weights that are still to be rounded.
    Floats(&'a [f32]),
    /// Narrow weights, and a scale for each row if the format has scales.
    Codes(&'a [f32], &'a [f32]),
}

/// The nearest integer, ties to even. `x` must be a number of at most 22 bits.
fn nearest(x: f32) -> f32 {
    (x + ROUND) - ROUND
}

/// Rounds a weight to f16, ties to even. `None` if it is not finite or rounds to more than 65504.
fn to_f16(x: f32) -> Option<u16> {
    let (sign, magnitude) = ((x.to_bits() >> 16 & 0x8000) as u16, x.abs());
    if magnitude.is_nan() || magnitude >= 65520.0 {
        return None;
    }
    // Subnormal numbers are multiples of 2^-24; above them the lowest 13 bits are rounded away.
    let bits = if magnitude < f32::from_bits(113 << 23) {
        nearest(magnitude * 16_777_216.0) as u32
    } else {
        let bits = magnitude.to_bits();
        ((bits + 0xfff + (bits >> 13 & 1)) >> 13) - (112 << 10)
    };
    Some(sign | bits as u16)
}

/// Rounds a weight to bf16 (its upper half), ties to even. `None` if it is not finite, before or after
/// rounding.
fn to_bf16(x: f32) -> Option<u16> {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    (x.is_finite() && f32::from_bits(rounded & 0xffff_0000).is_finite()).then_some((rounded >> 16) as u16)
}

/// The scale of a row of weights: the largest magnitude divided by 127, with the lowest seven bits rounded
/// up. It has 17 bits, so its product with an integer of 7 bits is exact, and rounding such products again
/// gives the same scale and integers. It is zero if it would be subnormal. If the row already consists of
/// integers times a step, the scale is that step.
fn scale_of(row: &[f32]) -> f32 {
    let most = row.iter().fold(0.0, |most: f32, w| most.max(w.abs()));
    let scale = f32::from_bits(((most / LARGEST_WEIGHT as f32).to_bits() + 0x7f) & !0x7f);
    if scale < f32::MIN_POSITIVE {
        return 0.0;
    }
    let holds = row.iter().all(|&w| nearest(w / scale) * scale == w);
    if holds { scale } else { step_of(row).unwrap_or(scale) }
}

/// The step of a row whose weights are all integer multiples of it, by at most 127. So a row that another
/// program quantised stays exact, even if its largest integer is below 127. `None` for other rows, and for
/// rows with a single magnitude: there the magnitude itself would be the step, but it is stored as 127 steps,
/// like the largest weight of any row.
fn step_of(row: &[f32]) -> Option<f32> {
    // A weight is an odd integer times a power of two.
    let parts = |w: &f32| {
        let (exponent, fraction) = (w.to_bits() >> 23 & 0xff, w.to_bits() & 0x7f_ffff);
        let integer = if exponent == 0 { fraction } else { fraction | 1 << 23 };
        let zeros = integer.trailing_zeros();
        (u64::from(integer >> zeros), exponent.max(1) + zeros)
    };
    let weights = || row.iter().filter(|w| **w != 0.0);
    let lowest = weights().map(|w| parts(w).1).min()?;
    let (mut step, mut most, mut largest) = (0, 0, 0.0f32);
    for w in weights() {
        let (odd, power) = parts(w);
        if power - lowest > 32 {
            return None;
        }
        let integer = odd << (power - lowest);
        (most, largest) = (most.max(integer), largest.max(w.abs()));
        let mut rest = integer;
        while rest != 0 {
            (step, rest) = (rest, step % rest);
        }
        if most / step > LARGEST_WEIGHT as u64 {
            return None;
        }
    }
    let count = most / step;
    let step = largest / count as f32;
    (count > 1 && step >= f32::MIN_POSITIVE).then_some(step)
}

/// Stores the code of weight number `at`.
pub(super) fn store(narrow: Narrow, codes: &mut [u8], at: usize, code: u16) {
    match narrow.bytes() {
        1 => codes[at] = code as u8,
        _ => codes[2 * at..2 * at + 2].copy_from_slice(&code.to_ne_bytes()),
    }
}

impl<'a> Matrix<'a> {
    /// Takes a matrix of `rows` rows of `k` weights off the front of narrow weights; `None` if they are too
    /// short.
    pub(crate) fn take(narrow: Narrow, rows: usize, k: usize, words: &mut &'a [f32]) -> Option<Self> {
        let scales = if narrow.has_scales() { rows } else { 0 };
        let len = narrow.matrix_len(rows, k);
        let (codes, rest) = words.split_at_checked(len.checked_sub(scales)?)?;
        let (scales, rest) = rest.split_at_checked(scales)?;
        *words = rest;
        Some(Matrix::Codes(codes, scales))
    }

    /// The index of the first weight that the format cannot hold, in `rows` rows of `k`.
    pub(crate) fn refused(self, narrow: Narrow) -> Option<usize> {
        let Matrix::Floats(weights) = self else { return None };
        weights.iter().position(|&w| match narrow {
            Narrow::F16 => to_f16(w).is_none(),
            Narrow::Bf16 => to_bf16(w).is_none(),
            Narrow::W8A16 | Narrow::W8A8 => !w.is_finite(),
        })
    }

    /// Row number `row`, of `k` weights.
    pub(crate) fn row(self, narrow: Narrow, row: usize, k: usize) -> Row<'a> {
        let scale = match self {
            _ if !narrow.has_scales() => 1.0,
            Matrix::Codes(_, scales) => scales.get(row).copied().unwrap_or_default(),
            Matrix::Floats(weights) => scale_of(weights.get(row * k..(row + 1) * k).unwrap_or_default()),
        };
        Row { matrix: self, narrow, first: row * k, scale }
    }

    /// Writes the matrix (`rows` rows of `k` weights) and its scales to the start of `out`, which may be
    /// unaligned. Returns the rest of `out`.
    pub(crate) fn write(self, narrow: Narrow, rows: usize, k: usize, out: &mut [u8]) -> &mut [u8] {
        let len = 4 * narrow.matrix_len(rows, k);
        let scales = if narrow.has_scales() { 4 * rows } else { 0 };
        let (out, rest) = out.split_at_mut(len);
        let (codes, scales) = out.split_at_mut(len - scales);
        codes.fill(0);
        for row in 0..rows {
            let from = self.row(narrow, row, k);
            if let Some(scale) = scales.chunks_exact_mut(4).nth(row) {
                scale.copy_from_slice(&from.scale.to_ne_bytes());
            }
            for i in 0..k {
                store(narrow, codes, row * k + i, from.code(i));
            }
        }
        rest
    }

    /// Writes the f32 values of `rows` rows of `k` narrow weights.
    pub(crate) fn widen(self, narrow: Narrow, rows: usize, k: usize, out: &mut [f32]) {
        for row in 0..rows {
            let of = self.row(narrow, row, k);
            out[row * k..(row + 1) * k].iter_mut().enumerate().for_each(|(i, to)| *to = of.value(i));
        }
    }
}

/// A row of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    matrix: Matrix<'a>,
    narrow: Narrow,
    first: usize,
    /// The value of the integer 1.
    pub(crate) scale: f32,
}

impl Row<'_> {
    /// A weight as it is stored. For integers only the lower byte is used.
    pub(crate) fn code(&self, k: usize) -> u16 {
        let at = self.first + k;
        match (self.matrix, self.narrow) {
            (Matrix::Codes(codes, _), Narrow::F16 | Narrow::Bf16) => {
                let bytes = bytes(codes);
                u16::from_ne_bytes([bytes[2 * at], bytes[2 * at + 1]])
            }
            (Matrix::Codes(codes, _), _) => u16::from(bytes(codes)[at]),
            (Matrix::Floats(weights), Narrow::F16) => to_f16(weights[at]).unwrap_or_default(),
            (Matrix::Floats(weights), Narrow::Bf16) => to_bf16(weights[at]).unwrap_or_default(),
            (Matrix::Floats(weights), _) if self.scale > 0.0 => {
                u16::from(nearest(weights[at] / self.scale) as i8 as u8)
            }
            _ => 0,
        }
    }

    /// The f32 value of a weight.
    pub(crate) fn value(&self, k: usize) -> f32 {
        let code = self.code(k);
        match self.narrow {
            Narrow::F16 => f16_to_f32(code),
            Narrow::Bf16 => f32::from_bits(u32::from(code) << 16),
            Narrow::W8A16 | Narrow::W8A8 => f32::from(code as u8 as i8) * self.scale,
        }
    }
}
