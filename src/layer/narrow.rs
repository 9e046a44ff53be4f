//! Weights in the formats of their layers, as users have them: bytes.

use crate::error::{Error, Result, check_len};
use crate::kernel::bytes::floats;

const ALIGNED: Error = Error::Value { argument: "narrow", expected: "aligned to 4 bytes" };

/// The words of narrow weights of `len` bytes.
pub(crate) fn words(narrow: &[u8], len: usize) -> Result<&[f32]> {
    check_len("narrow", len, narrow.len())?;
    floats(narrow).ok_or(ALIGNED)
}

/// The passes over narrow weights of something that has `words_len`, `check_values`, `write_words`, `widen_words`, `pack_words` and
/// `packed_by`, the last three over what has been checked. The two `self` parts say where.
macro_rules! narrow_weights {
    ($self:ident => $inner:expr, $what:literal) => {
        /// Length in bytes of narrow weights: of layers with a narrow format; the rest stays `f32`.
        pub const fn narrow_len(&$self) -> usize {
            $inner.words_len().saturating_mul(4)
        }

        #[doc = concat!("Rounds weights to the formats of the ", $what, ", into [`narrow_len`](Self::narrow_len) bytes.")]
        ///
        /// They lie as canonical weights do, each matrix in its format, in whole words of 4 bytes. Behind a matrix of integers stands the scale
        /// of each of its rows, an `f32`. The byte order is that of the CPU.
        ///
        /// # Errors
        /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name of the buffer; [`Error::Narrow`](crate::Error::Narrow) for a weight that its format cannot
        /// hold; [`Error::Value`](crate::Error::Value) for rows too long for integers.
        pub fn round(&$self, weights: &[f32], narrow: &mut [u8]) -> Result<()> {
            $crate::error::check_len("weights", $self.weights_len(), weights.len())?;
            $crate::error::check_len("narrow", $self.narrow_len(), narrow.len())?;
            $inner.check_values(weights)?;
            $inner.write_words(weights, narrow)
        }

        /// The weights that narrow ones stand for, in `f32`, exactly. [`round`](Self::round) makes the same bytes of them again.
        ///
        /// # Errors
        /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name of the buffer; [`Error::Value`](crate::Error::Value) for bytes that are not aligned.
        pub fn widen(&$self, narrow: &[u8], weights: &mut [f32]) -> Result<()> {
            $crate::error::check_len("weights", $self.weights_len(), weights.len())?;
            let words = $crate::layer::narrow::words(narrow, $self.narrow_len())?;
            $inner.widen_words(words, weights)
        }

        /// Arranges narrow weights as [`pack`](Self::pack) does, which rounds weights in `f32`.
        ///
        /// # Errors
        /// As [`widen`](Self::widen), and for `packed`.
        pub fn pack_narrow<B: AsMut<[f32]>>(&$self, narrow: &[u8], packed: B) -> Result<$crate::layer::Packed<B>> {
            let words = $crate::layer::narrow::words(narrow, $self.narrow_len())?;
            $inner.check_narrow()?;
            $inner.packed_by(packed, |to| $inner.pack_words(words, to))
        }
    };
}
pub(crate) use narrow_weights;
