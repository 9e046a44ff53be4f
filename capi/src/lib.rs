//! The library for C and C++, over the public interface of `recurrent_core`.
//!
//! C programmers read `include/recurrent.h`, which cbindgen generates from these files. The functions here
//! are thin: `border` checks the arguments from C and turns them into slices, `recurrent_core` does the work,
//! and `error` turns errors into codes.
//!
//! | file | what it holds |
//! |---|---|
//! | `model` | models: opening images, weights, packing |
//! | `properties` | sizes of models, and lengths of their buffers |
//! | `layers` | models from a description of their layers |
//! | `passes` | states, masks, steps and sequences |
//! | `train` | a training pass, initial weights, dropout |
//! | `halves` | a training pass in two halves, for losses of the program |
//! | `ctc` | the loss of labels whose steps are not known |
//! | `update` | optimisers and clipping, over any weights |
//! | `outputs` | functions over outputs: argmax, softmax, sampling |
//! | `cells` | the forms of cells that a program names |
//! | `border` | pointers and lengths, the only place with `unsafe` |
//! | `error` | errors as codes with a text |
#![no_std]
#![allow(non_camel_case_types)]

// `std` supplies the panic handler. Calls from C reach it only through a bug, and nothing unwinds across the
// border.
#[cfg(not(target_os = "none"))]
extern crate std;

mod border;
mod cells;
mod ctc;
mod error;
mod halves;
mod layers;
mod model;
mod outputs;
mod passes;
mod properties;
mod train;
mod update;

// For fuzzing, which calls the functions from Rust.
pub use {
    cells::*, ctc::*, error::*, halves::*, layers::*, model::*, outputs::*, passes::*, properties::*,
    train::*, update::*,
};

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
