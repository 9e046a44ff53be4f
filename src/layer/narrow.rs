//! Weights in the formats of their layers, as bytes, for users.

/// Defines the functions for narrow weights in canonical order of a type that has `words_len`,
/// `check_values`, `write_words` and `widen_words`. The last two take weights that have been checked. They
/// are called on the second argument, `$inner`.
macro_rules! rounded_weights {
    ($self:ident => $inner:expr, $what:literal) => {
        /// Length of narrow weights in bytes. Layers without a narrow format count as `f32`.
        pub const fn narrow_len(&$self) -> usize {
            $inner.words_len().saturating_mul(4)
        }

        #[doc = concat!("Rounds weights to the formats of the ", $what, ", into [`narrow_len`](Self::narrow_len) bytes.")]
        ///
        /// They have the order of canonical weights, each matrix in its format, in whole words of 4 bytes. A
        /// matrix of integers is followed by the scale of each of its rows, an `f32`. The byte order is that
        /// of the CPU.
        ///
        /// # Errors
        /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the
        /// name of the buffer; [`Error::Narrow`](crate::Error::Narrow) for a weight that its format cannot
        /// hold; [`Error::Value`](crate::Error::Value) for rows too long for integers.
        pub fn round(&$self, weights: &[f32], narrow: &mut [u8]) -> Result<()> {
            $crate::error::check_len("weights", $self.weights_len(), weights.len())?;
            $crate::error::check_len("narrow", $self.narrow_len(), narrow.len())?;
            $inner.check_values(weights)?;
            $inner.write_words(weights, narrow)
        }

        /// Converts narrow weights to `f32`, exactly. [`round`](Self::round) turns them into the same bytes
        /// again.
        ///
        /// # Errors
        /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the
        /// name of the buffer; [`Error::Value`](crate::Error::Value) for bytes that are not aligned.
        pub fn widen(&$self, narrow: &[u8], weights: &mut [f32]) -> Result<()> {
            $crate::error::check_len("weights", $self.weights_len(), weights.len())?;
            let words = $crate::layer::packed::words(narrow, $self.narrow_len())?;
            $inner.widen_words(words, weights)
        }
    };
}
pub(crate) use rounded_weights;

/// The same, and a function that packs such weights, for a type that also has `check_narrow`, `pack_words`
/// and `packed_by`.
macro_rules! narrow_weights {
    ($self:ident => $inner:expr, $what:literal) => {
        $crate::layer::narrow::rounded_weights!($self => $inner, $what);

        /// Packs narrow weights. ([`pack`](Self::pack) rounds weights in `f32` and packs them.)
        ///
        /// # Errors
        /// Those of [`widen`](Self::widen), also for `packed`.
        pub fn pack_narrow<B: AsMut<[f32]>>(&$self, narrow: &[u8], packed: B) -> Result<$crate::layer::Packed<B>> {
            let words = $crate::layer::packed::words(narrow, $self.narrow_len())?;
            $inner.check_narrow()?;
            $inner.packed_by(packed, |to| $inner.pack_words(words, to))
        }
    };
}
pub(crate) use narrow_weights;
