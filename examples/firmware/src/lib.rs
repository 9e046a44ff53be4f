//! Code that the programs share. The host's programs (examples/firmware_models, examples/morse) also use the
//! modules other than `board` and `text`. They train the models, and compute the results that the device must
//! reach.
//!
//! No allocator is linked, and no large buffer is on the stack.
#![no_std]

pub mod board;
pub mod characters;
#[path = "../models/expected.rs"]
pub mod expected;
#[path = "../models/morse.rs"]
pub mod expected_morse;
pub mod gestures;
pub mod learn;
pub mod morse;
pub mod sum;
pub mod text;

/// The bytes of a file with narrow weights, for a `static` in flash.
#[repr(C, align(4))]
pub struct Aligned<const N: usize>(pub [u8; N]);

/// The floats of a file, for a `static` in flash.
pub const fn floats<const N: usize>(bytes: &[u8]) -> [f32; N] {
    assert!(bytes.len() == 4 * N, "the file has another length than the model");
    let (mut out, mut i) = ([0.0; N], 0);
    while i < N {
        out[i] = f32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
        i += 1;
    }
    out
}
