//! No pass reads or writes outside of its buffers. Each buffer ends at the start of an inaccessible page, or
//! starts at the end of one. Accessing one element too many, or a whole vector where only a part is left, is
//! a fault.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod layers;
mod pages;
mod recurrent;
