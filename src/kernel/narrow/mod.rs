//! Narrow weights: matrices of 16 or 8 bits. They take a half or a quarter of the memory, and of the time to
//! read it.
//!
//! Biases, peepholes, states and gates stay `f32`, so equations and options are the same for all formats.
//! Only the [sums](crate::kernel::panel::operand::Matrices) differ. This folder may import the kernel's
//! `panel`, `rows`, `vector` and `bytes`, and `simd`.
//!
//! | file | what it does |
//! |---|---|
//! | `panels` | packs matrices into panels, and multiplies with them |
//! | `sums` | rows times narrow panels |
//! | `row` | the same for a small single row, whose equations follow in registers |
//! | `kinds` | how sums load and multiply each format |
//! | `unpacked` | the weights of a layer before they are packed |
//! | `in_place` | the weights of a layer where they are, for microcontrollers |
//! | `codes` | rounds rows of `f32` to integers |
//! | `matrix` | rounds a weight, and stores it |
//!
//! Targets without an operating system have no packed narrow weights, and use them in place. Other targets
//! have packed ones only; with the feature `reference` they have both.
//!
//! # Integers
//! Each row of a matrix has a scale: its largest magnitude divided by 127, with the lowest bits rounded up.
//! An integer times this scale is exactly an `f32`, so rounding weights a second time does not change them.
//! Each row of `x` and `h` has a scale, too: its largest magnitude divided by the largest integer that a sum
//! of its length allows. No scale depends on another row.
//!
//! Some CPUs have an instruction that multiplies four bytes by four and adds up the products (AVX-512 VNNI,
//! AVX-VNNI, `dotprod` of NEON). On x86 one operand is unsigned, so the rows are moved into its range by
//! adding 128, or 2^15: their 16-bit integers are two bytes each, with a sum of their own. On NEON both are
//! signed, so only the lower bytes of 16-bit integers are moved. Sums start from an offset that undoes this,
//! and that is stored beside the weights. They are the same integers as without the instruction.
//!
//! Sums of integers are exact. Each is converted to a float once: `sum * (scale of x * scale of w) + start`.
//! So the bits do not depend on the batch, on how a sequence is cut into calls, or on the instruction set,
//! with one exception: instruction sets differ in whether they round this multiplication and addition once or
//! twice.

pub(crate) mod codes;
pub(crate) mod in_place;
mod kinds;
pub(crate) mod matrix;
pub(crate) mod panels;
pub(crate) mod row;
mod sums;
pub(crate) mod unpacked;

use crate::error::{Error, Result};
use crate::simd::MAX_LANES;

/// The format of a layer's narrow matrices.
///
/// | | bytes per weight | loss of accuracy |
/// |---|---|---|
/// | `F16` | 2 | a weight loses 13 of its 24 bits, and cannot be above 65504 |
/// | `Bf16` | 2 | a weight loses 16 of its 24 bits |
/// | `W8A16` | 1, and 4 per row | weights have 8 bits; the rows that they multiply have 16 bits |
/// | `W8A8` | 1, and 4 per row | weights have 8 bits; the rows that they multiply have 8 bits |
///
/// With 16 bits, a layer gives the same bits as the `f32` layer with rounded weights. With integers, each row
/// of a matrix has a scale. Each step rounds each row of `x` and `h` to integers, with a scale per row; no
/// calibration is needed. Sums are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Narrow {
    /// IEEE 754 binary16.
    F16,
    /// The upper half of an `f32`.
    Bf16,
    /// Integers of 8 bits, multiplied by integers of 16 bits: the default for integers.
    W8A16,
    /// Integers of 8 bits, multiplied by integers of 8 bits.
    W8A8,
}

/// With up to this many hidden weights, 1 MiB of them, `f32` weights are as fast. (AVX2 on Zen: with 16 bits,
/// one step of an LSTM of 128 units takes 2.2 times as long, one of 512 units 0.6 times.)
const WORTH: usize = 1 << 18;

/// A batch of at least this many rows widens each panel of 16 bits once, for all rows.
pub(crate) const WIDEN_ROWS: usize = 4;

/// Whether narrow weights can be packed.
pub(crate) const PACKS: bool = cfg!(not(target_os = "none"));

/// Whether narrow weights can be used in place.
pub(crate) const IN_PLACE: bool = crate::simd::NARROW_IN_PLACE;

/// The format of a layer: `None` on targets that have no narrow weights.
#[inline(always)]
pub(crate) const fn here(format: Option<Narrow>) -> Option<Narrow> {
    if PACKS || IN_PLACE { format } else { None }
}

/// The format of a layer's panels: `None` where narrow weights cannot be packed. So firmware has no code for
/// the lengths of such panels.
#[inline(always)]
pub(crate) const fn packs(format: Option<Narrow>) -> Option<Narrow> {
    if PACKS { format } else { None }
}

/// Rejects packing a format where it cannot be packed.
#[inline(always)]
pub(crate) const fn check_packs(format: Option<Narrow>) -> Result<()> {
    match format {
        Some(_) if !PACKS => Err(Error::Value {
            argument: "narrow",
            expected: "weights of `round`, used in place: this target cannot pack them",
        }),
        _ => Ok(()),
    }
}

/// The largest magnitude of a weight of 8 bits. -128 is not used, so the range is symmetric.
pub(crate) const LARGEST_WEIGHT: i32 = 127;

impl Narrow {
    /// The lower-case name that the command-line tool takes.
    pub const fn name(self) -> &'static str {
        match self {
            Narrow::F16 => "f16",
            Narrow::Bf16 => "bf16",
            Narrow::W8A16 => "int8",
            Narrow::W8A8 => "int8-a8",
        }
    }

    /// Bytes of a weight.
    pub const fn bytes(self) -> usize {
        match self {
            Narrow::F16 | Narrow::Bf16 => 2,
            Narrow::W8A16 | Narrow::W8A8 => 1,
        }
    }

    /// Whether weights are integers, with a scale for each row.
    pub(crate) const fn has_scales(self) -> bool {
        matches!(self, Narrow::W8A16 | Narrow::W8A8)
    }

    /// The largest integer that a row of `k` elements may contain such that no sum overflows. `None` if it
    /// would be below 127, which needs 8 bits.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) const fn largest(self, k: usize) -> Option<i32> {
        let most = match self {
            Narrow::W8A16 => i16::MAX as i32,
            _ => 127,
        };
        let k = if k == 0 { 1 } else { k };
        let fits = (i32::MAX / LARGEST_WEIGHT) as usize / k;
        if fits < 127 {
            None
        } else if fits < most as usize {
            Some(fits as i32)
        } else {
            Some(most)
        }
    }

    /// Whether rows of `k` weights can be multiplied.
    pub(crate) const fn holds(self, k: usize) -> bool {
        !self.has_scales() || self.largest(k).is_some()
    }

    /// Words of `rows * k` weights one after the other, and of the scales that follow; `usize::MAX` if they
    /// do not fit.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) const fn matrix_len(self, rows: usize, k: usize) -> usize {
        let codes = match rows.checked_mul(k) {
            Some(weights) => weights.div_ceil(4 / self.bytes()),
            None => return usize::MAX,
        };
        codes.saturating_add(if self.has_scales() { rows } else { 0 })
    }

    /// Words of `k` weights of one unit in a panel, without the scale.
    const fn unit_len(self, k: usize) -> usize {
        k.div_ceil(4 / self.bytes())
    }

    /// Words beside the weights of a unit's gate in a panel: a scale and an offset of integers.
    const fn beside(self) -> usize {
        2 * self.has_scales() as usize
    }

    /// Words of a unit in a panel, with `gates` gates of `k` weights; `usize::MAX` if they do not fit.
    pub(crate) const fn panel_len(self, gates: usize, k: usize) -> usize {
        gates.saturating_mul(self.unit_len(k).saturating_add(self.beside()))
    }

    /// Whether a layer with `weights` hidden weights keeps them narrow when it packs them. Integers always
    /// stay narrow, because sums of floats are not exact. Weights of 16 bits give the same bits either way.
    /// Widening a vector takes as long as two multiply-adds, so staying narrow pays where weights come from
    /// the third-level cache or from memory.
    pub(crate) const fn stays_packed(self, weights: usize) -> bool {
        self.has_scales() || weights > WORTH
    }

    /// Words of the buffer into which a batch of `rows` rows widens a panel of 16 bits: four gates of `k`
    /// weights. 0 if the batch does not widen.
    pub(crate) const fn widened_len(self, k: usize, rows: usize) -> usize {
        if self.has_scales() || rows < WIDEN_ROWS { 0 } else { k.saturating_mul(4 * MAX_LANES) }
    }

    /// Words of the buffer for one row of `k` elements as integers, and its scale; `usize::MAX` if they do
    /// not fit. 0 for 16 bits.
    pub(crate) const fn room_len(self, k: usize) -> usize {
        match (self.has_scales(), k.checked_next_multiple_of(MAX_LANES)) {
            (false, _) => 0,
            (true, Some(codes)) => 1 + codes / 2,
            (true, None) => usize::MAX,
        }
    }
}
