//! Nothing is read or written outside of a buffer: each ends where an inaccessible page begins, or begins where one ends, so
//! that a load or a store of one element too many, or of a whole vector where a part was left, is a fault.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod layers;
mod pages;
mod recurrent;
