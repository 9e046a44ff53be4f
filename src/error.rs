//! The one error type. Every pass checks its arguments before it writes anything.

use core::fmt;

/// Result of a pass.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a pass refused its arguments. Nothing has been written when one of these is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A buffer has the wrong number of elements.
    Length {
        /// The argument's name, as in the documentation of the pass.
        buffer: &'static str,
        /// The number of elements that the dimensions ask for.
        expected: usize,
        /// The number of elements that came.
        actual: usize,
    },
    /// A length that the dimensions ask for does not fit into `usize`.
    Overflow {
        /// The buffer whose length overflows.
        buffer: &'static str,
    },
    /// There is not enough memory for a buffer that the crate makes itself: of a [`Trainer`](crate::trainer::Trainer), or of `io`.
    #[cfg(feature = "std")]
    Memory {
        /// The buffer.
        buffer: &'static str,
    },
    /// An id is not below the number of rows or classes that it indexes.
    Index {
        /// The argument's name.
        buffer: &'static str,
        /// Position of the id in its buffer.
        position: usize,
        /// The id.
        id: usize,
        /// Ids must be below this.
        limit: usize,
    },
    /// A number is outside of its range (a probability above 1, a temperature of NaN).
    Value {
        /// The argument's name.
        argument: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// Layers of a model do not fit together.
    Layers {
        /// The position of the layer that does not fit.
        layer: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The bytes of an image are not those of one, or not those of the asked model.
    Image {
        /// The byte at which it shows.
        offset: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Packed weights, or keys, were made for another layer, or for another instruction set.
    Packing {
        /// What differs.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Length { buffer, expected, actual } => {
                write!(f, "`{buffer}` has {actual} elements where the dimensions ask for {expected}")
            }
            Error::Overflow { buffer } => {
                write!(f, "the length of `{buffer}` for these dimensions does not fit into usize")
            }
            #[cfg(feature = "std")]
            Error::Memory { buffer } => write!(f, "there is not enough memory for `{buffer}`"),
            Error::Index { buffer, position, id, limit } => {
                write!(f, "`{buffer}[{position}]` is {id}, but must be below {limit}")
            }
            Error::Value { argument, expected } => write!(f, "`{argument}` must be {expected}"),
            Error::Layers { layer, what } => write!(f, "layer {layer} of the model {what}"),
            Error::Image { offset, what } => write!(f, "byte {offset} of the image: {what}"),
            Error::Packing { what } => {
                write!(f, "what was packed belongs to another {what} than the layer's")
            }
        }
    }
}

impl core::error::Error for Error {}

/// Refuses a buffer that does not have exactly `expected` elements.
pub(crate) fn check_len(buffer: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == usize::MAX {
        Err(Error::Overflow { buffer })
    } else if expected == actual {
        Ok(())
    } else {
        Err(Error::Length { buffer, expected, actual })
    }
}

/// Refuses a scratch or tape that has fewer than `expected` elements; a longer one serves smaller passes too.
pub(crate) fn check_room(buffer: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == usize::MAX {
        Err(Error::Overflow { buffer })
    } else if actual >= expected {
        Ok(())
    } else {
        Err(Error::Length { buffer, expected, actual })
    }
}
