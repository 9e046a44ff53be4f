//! Errors of reading and writing models.

use core::fmt;
use std::string::String;

/// Result of reading or writing a model.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a model could not be read or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file could not be read or written.
    File(std::io::Error),
    /// The file is not valid in its format, or is damaged.
    Damaged {
        /// The format, or the part of the file.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A tensor is not what the layer needs.
    Tensor {
        /// Its name in the file.
        name: String,
        /// What the layer needs.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A layer, node or attribute that this crate would compute differently, or that the target cannot
    /// express.
    Unsupported {
        /// The layer, node, tensor or attribute.
        what: String,
        /// Why.
        why: String,
    },
    /// The file leaves a choice open that has to be made.
    Unclear {
        /// What it does not say, and how to say it.
        what: String,
    },
    /// The layers do not form a model, or the weights do not fit them.
    Model(crate::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::File(e) => e.fmt(f),
            Error::Damaged { format, what } => write!(f, "not a valid {format}: {what}"),
            Error::Tensor { name, expected, found } => {
                write!(f, "tensor `{name}`: expected {expected}, found {found}")
            }
            Error::Unsupported { what, why } => write!(f, "{what}: {why}"),
            Error::Unclear { what } => f.write_str(what),
            Error::Model(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Error::File(e) => Some(e),
            Error::Model(e) => Some(e),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Error::File(e)
    }
}

impl From<crate::Error> for Error {
    fn from(e: crate::Error) -> Self {
        Error::Model(e)
    }
}

pub(super) fn damaged<T>(format: &'static str, what: impl Into<String>) -> Result<T> {
    Err(Error::Damaged { format, what: what.into() })
}

pub(super) fn unsupported<T>(what: impl Into<String>, why: impl Into<String>) -> Result<T> {
    Err(Error::Unsupported { what: what.into(), why: why.into() })
}

/// Rejects a plan for a file that needs none.
pub(super) fn plan_given<T>() -> Result<T> {
    unsupported("a plan of the layers", "this format describes its layers, so it takes no plan")
}

pub(super) fn unclear<T>(what: impl Into<String>) -> Result<T> {
    Err(Error::Unclear { what: what.into() })
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::Error;

    /// Makes the compiler reject this test if a variant is added, so that the table below gets a row for it.
    fn number(error: &Error) -> usize {
        match error {
            Error::File(_) => 0,
            Error::Damaged { .. } => 1,
            Error::Tensor { .. } => 2,
            Error::Unsupported { .. } => 3,
            Error::Unclear { .. } => 4,
            Error::Model(_) => 5,
        }
    }

    #[test]
    fn errors_say_what_was_wrong() {
        let table = [
            (std::io::Error::other("the disk is full").into(), "the disk is full"),
            (
                Error::Damaged { format: "safetensors file", what: "it ends early".into() },
                "not a valid safetensors file: it ends early",
            ),
            (
                Error::Tensor {
                    name: "gru.weight_hh_l0".into(),
                    expected: "shape [12, 4]".into(),
                    found: "shape [12, 5]".into(),
                },
                "tensor `gru.weight_hh_l0`: expected shape [12, 4], found shape [12, 5]",
            ),
            (
                Error::Unsupported { what: "node `pad`".into(), why: "this crate has no such layer".into() },
                "node `pad`: this crate has no such layer",
            ),
            (
                Error::Unclear { what: "which of `a` and `b` comes first? say it with a plan".into() },
                "which of `a` and `b` comes first? say it with a plan",
            ),
            (
                crate::Error::Overflow { buffer: "weights" }.into(),
                "the length of `weights` for these dimensions does not fit into usize",
            ),
        ];
        for (i, (error, text)) in table.iter().enumerate() {
            assert_eq!(error.to_string(), *text);
            assert_eq!(number(error), i);
        }
    }
}
