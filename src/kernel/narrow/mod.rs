//! Narrow weights: matrices of 16 or 8 bits, which take a half or a quarter of the memory, and of the time to read it.
//!
//! Biases, peepholes, states and gates stay `f32`, so equations and options are the same for all formats.
//! Only the [sums](crate::kernel::panel::operand::Matrices) differ. It may import the kernel's `panel`,
//! `rows`, `vector` and `bytes`, and `simd`.
//!
//! | file | what it does |
//! |---|---|
//! | `panels` | matrices to panels, and what multiplies them |
//! | `sums` | rows times narrow panels |
//! | `unpacked` | the weights of a layer before they are packed |
//! | `codes` | rows of `f32` to integers |
//! | `matrix` | what a weight becomes, and where it stands |
//!
//! Targets without an operating system have no narrow weights yet: `here` is `None` there, and an image has
//! none of this code.
//!
//! # Integers
//! Each row of a matrix has a scale: its largest magnitude divided by 127, with the lowest bits rounded up.
//! An integer times this scale is exactly an `f32`, so weights that were rounded once are not changed by
//! rounding them again. Each row of `x` and `h` has a scale, too: its largest magnitude divided by the
//! largest integer that a sum of its length allows. No scale depends on another row.
//!
//! Sums of integers are exact. Each becomes a float once: `sum * (scale of x * scale of w) + start`. So the
//! bits do not depend on the batch, the chunking or the instruction set. They depend on whether the set
//! rounds this multiplication and addition once or twice.

pub(crate) mod codes;
pub(crate) mod matrix;
pub(crate) mod panels;
mod sums;
pub(crate) mod unpacked;

use crate::simd::MAX_LANES;

/// How narrow the matrices of a layer are.
///
/// | | bytes a weight | what it costs in accuracy |
/// |---|---|---|
/// | `F16` | 2 | a weight loses 13 of its 24 bits, and cannot be above 65504 |
/// | `Bf16` | 2 | a weight loses 16 of its 24 bits |
/// | `W8A16` | 1, and 4 for each row | weights of 8 bits, what they are multiplied by of 16 |
/// | `W8A8` | 1, and 4 for each row | weights of 8 bits, what they are multiplied by of 8 |
///
/// With 16 bits a layer has the bits of the `f32` layer with rounded weights. With integers each row of a
/// matrix has a scale. Each step rounds each row of `x` and `h` to integers with a scale of its own; nothing
/// is calibrated. Sums are exact.
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

/// Hidden weights of a layer up to which `f32` are as fast: 1 MiB of them (AVX2 on Zen: one step of an LSTM of 128 units takes 2.2 times as long from 16 bits,
/// one of 512 units 0.6 times).
const WORTH: usize = 1 << 18;

/// A batch of at least this many rows widens each panel of 16 bits once, for all rows.
pub(crate) const WIDEN_ROWS: usize = 4;

/// The format of a layer: none on targets without an operating system.
#[inline(always)]
pub(crate) const fn here(format: Option<Narrow>) -> Option<Narrow> {
    if cfg!(target_os = "none") { None } else { format }
}

/// The largest magnitude of a weight of 8 bits. -128 is not used, so that both signs are alike.
pub(crate) const LARGEST_WEIGHT: i32 = 127;

impl Narrow {
    /// A lower-case name, as the tool takes it.
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

    /// The largest integer in a row of `k` elements that weights are multiplied by, such that no sum overflows; `None` if there is none
    /// worth the name: below 8 bits.
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

    /// Words of `rows * k` weights one after the other, and the scales behind them; `usize::MAX` if they do not fit.
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

    /// Words that a unit takes in a panel, of `gates` gates of `k` weights; `usize::MAX` if they do not fit.
    pub(crate) const fn panel_len(self, gates: usize, k: usize) -> usize {
        let scale = self.has_scales() as usize;
        gates.saturating_mul(self.unit_len(k).saturating_add(scale))
    }

    /// Whether the packed weights of a layer with `weights` hidden weights stay narrow. Integers do: sums of
    /// floats are not exact. 16 bits give the same bits either way. Widening a vector takes as long as two
    /// multiply-adds, so it pays where weights come from the third-level cache or from memory.
    pub(crate) const fn stays_packed(self, weights: usize) -> bool {
        self.has_scales() || weights > WORTH
    }

    /// Words of the buffer that a batch of `rows` rows widens a panel of 16 bits into: four gates of `k`
    /// weights. None if it does not widen.
    pub(crate) const fn widened_len(self, k: usize, rows: usize) -> usize {
        if self.has_scales() || rows < WIDEN_ROWS { 0 } else { k.saturating_mul(4 * MAX_LANES) }
    }

    /// Words of the buffer for one row of `k` elements as integers and its scale; `usize::MAX` if they do not
    /// fit. None for 16 bits.
    pub(crate) const fn room_len(self, k: usize) -> usize {
        match (self.has_scales(), k.checked_next_multiple_of(MAX_LANES)) {
            (false, _) => 0,
            (true, Some(codes)) => 1 + codes / 2,
            (true, None) => usize::MAX,
        }
    }
}
