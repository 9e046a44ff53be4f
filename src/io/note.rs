//! What was taken for granted, or left out, when a file was read.

use core::fmt;
use std::string::String;

/// Something that a file does not say, or that has no part in the model that was made of it.
///
/// A network carries its notes: [`Network::notes`](super::Network::notes). [`ReadOptions::strict`](super::ReadOptions::strict) makes an error of the
/// first one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The file leaves it open, and the usual thing was assumed.
    Assumed(String),
    /// The file has it, and the network has not.
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

/// What follows the last layer of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Nothing: the outputs are those of the last layer.
    #[default]
    None,
    /// A softmax over the features of each row.
    Softmax,
    /// The logarithm of a softmax over the features of each row.
    LogSoftmax,
}
