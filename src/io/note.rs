//! Notes: what was assumed or left out when a file was read.

use core::fmt;
use std::string::String;

pub use crate::model::Ending;

/// Something that a file does not say, or that is not part of the resulting model.
///
/// A network keeps its notes: [`Network::notes`](super::Network::notes).
/// [`ReadOptions::strict`](super::ReadOptions::strict) turns the first one into an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The file does not say this, and the usual case was assumed.
    Assumed(String),
    /// The file contains this, but the network does not.
    LeftOut(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Assumed(what) => write!(f, "assumed: {what}"),
            Note::LeftOut(what) => write!(f, "left out: {what}"),
        }
    }
}
