//! The equations of one step of each cell.
//!
//! A cell is a small value with its options ([`RnnCell`], [`LstmCell`], [`GruCell`], [`MguCell`]). Its folder
//! has `oracle.rs`, the equations in readable f64, and `mod.rs`, the same equations forward and backward on
//! vectors of units ([`Equations`](crate::kernel::step::Equations)), written once. The activation functions
//! are a parameter ([`Functions`]): either the standard ones, known at compile time, or those chosen by
//! options.
//! Memory and time loops belong to other folders. This folder may import `kernel` and `simd`.
//!
//! To add a cell (the guide's chapter `adding_a_cell` explains each step, with an example):
//! 1. a folder with `oracle.rs`: the equations in f64, which share no code with the library;
//!    `tests/common/oracle.rs` includes it;
//! 2. `mod.rs`: the equations with their source, the gate order, `impl Equations`, and `impl Cell` with its
//!    counts on the public type;
//! 3. its tables in `seq/table.rs`, its variant in `seq/any.rs`, a type alias and a constructor in
//!    `layer/recurrent/cells.rs`, and a line in the table of `tests/common`, so that every test covers it.

mod functions;
mod gru;
mod lstm;
mod mgu;
mod rnn;

pub(crate) use crate::kernel::step::Functions;
pub(crate) use functions::{Chosen, Rectified, Standard};
pub(crate) use gru::{ResetAfter, ResetBefore};
pub(crate) use lstm::Lstm;
pub(crate) use mgu::Mgu;
pub(crate) use rnn::Elman;

pub use gru::{GruCell, GruGate, Reset};
pub use lstm::{LstmCell, LstmGate, LstmNorm};
pub use mgu::{MguCell, MguGate};
pub use rnn::{RnnCell, RnnGate};

/// What a layer must know of a cell to compute buffer lengths.
pub(crate) trait Cell: Copy + Send + Sync {
    /// Blocks of H rows in the weight matrices.
    const GATES: usize;
    /// Vectors of H in the state: 1 for `h`, 2 for `h` and `c`.
    const STATES: usize;
    /// Bias vectors of H in packed weights.
    const BIASES: usize;
    /// Vectors of H that the tape holds for each step of each batch row.
    const TAPE: usize;
    /// The gates, in canonical order.
    type Gate: Gate;
}

/// A gate of a cell, in canonical order.
pub trait Gate: Copy {
    /// Position among the blocks of H rows of the weight matrices.
    fn index(self) -> usize;
}
