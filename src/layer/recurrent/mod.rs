//! Recurrent layers: a cell with its dimensions, and stacks of them in one direction or in both.
//!
//! The public types, [`Recurrent`] and [`Stack`], only add the cell's type. Below them a single untyped
//! description has all lengths, checks and passes. These are compiled once, here, and not for each cell or in
//! each crate that uses them. In firmware, which is compiled as a whole, they are inlined, so that an image
//! contains only the code of the cells of its constant layers.
//!
//! | file | what it holds |
//! |---|---|
//! | `cells` | `Rnn`, `Lstm`, `Gru`, `Mgu`, and their options |
//! | `stack`, `front` | `Stack`, `Recurrent` |
//! | `cell` | the trait of the cells that a layer can have |
//! | `weights` | typed views over flat weights |
//! | `forward`, `train` | the passes over levels, and the checks of their arguments |
//! | `levels` | layers on top of each other: lengths, packing |
//! | `gradients` | training of one layer in one direction |
//! | `overlap` | levels that run at the same time, block by block |
//! | `cut` | one layer in one direction, cut for threads by rows of the batch or by units |
//! | `pass` | one layer in one direction, down to the time loops |
//! | `ready` | the step of one row, with what it needs computed once |
//! | `description` | a layer as a value: its lengths |
//! | `args`, `merge` | arguments; the two directions |
//!
//! A file imports only files below it in this table.

mod args;
mod cell;
mod cells;
mod cut;
mod description;
mod forward;
mod front;
mod gradients;
mod levels;
mod levels_narrow;
mod merge;
#[cfg(not(target_os = "none"))]
mod overlap;
mod pass;
mod ready;
mod stack;
mod train;
mod weights;

pub use args::{Backward, Forward, ForwardTrain};
pub use cell::Cell;
pub use cells::{Gru, Lstm, Mgu, Rnn};
pub(crate) use description::{Description, check_rows, narrow_fingerprint};
pub use front::Recurrent;
pub(crate) use levels::Levels;
pub use merge::Merge;
#[cfg(not(target_os = "none"))]
pub(crate) use overlap::{Overlap, Rung};
pub use stack::Stack;
pub use weights::{
    GruWeights, GruWeightsMut, LstmWeights, LstmWeightsMut, MguWeights, MguWeightsMut, RnnWeights,
    RnnWeightsMut, Weights, WeightsMut,
};
