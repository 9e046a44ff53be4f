//! The library for C and C++, over the public interface of `recurrent_core`.
//!
//! What a C programmer reads is `include/recurrent.h`, which cbindgen makes of these files. Functions here
//! are thin: `border` turns what C gives into slices and refuses what is wrong with it, `recurrent_core` does
//! the work, `error` turns its errors into codes.
//!
//! | file | what it holds |
//! |---|---|
//! | `model` | models from images: opening, packing, and what they say of themselves |
//! | `passes` | states, masks, steps and sequences |
//! | `outputs` | functions over outputs: argmax, softmax, sampling |
//! | `cells` | the forms of cells that a program names |
//! | `border` | pointers and lengths, the only place with `unsafe` |
//! | `error` | errors as codes with a text |
#![no_std]
#![allow(non_camel_case_types)]

// The program's handler of panics, which no call from C comes to but through a bug: nothing unwinds across
// the border.
#[cfg(not(target_os = "none"))]
extern crate std;

mod border;
mod cells;
mod error;
mod model;
mod outputs;
mod passes;

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
