//! Training and inference of every cell, as checksums. `.ci/bits` compares them with those of other machines.
//!
//! It needs 1.2 MB of RAM, so only a large board can run it.
#![no_std]
#![no_main]

use core::fmt;

use firmware::board::{entry, exit};
use semihosting::{print, println};

static mut ROOM: [f32; bits::ROOM] = [0.0; _];

struct Host;

impl fmt::Write for Host {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        print!("{s}");
        Ok(())
    }
}

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let room = unsafe { &mut *(&raw mut ROOM) };
    exit(if bits::report(&mut Host, room).is_ok() { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    exit(101)
}
