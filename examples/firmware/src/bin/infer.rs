//! Recognises gestures in a stream of samples of a synthetic accelerometer, and counts how often it is right.
//! The weights stay in flash; only the state changes.
//!
//! No path in this program panics. The linker proves it: the panic handler calls a function that does not
//! exist.
#![no_std]
#![no_main]

use firmware::expected::{GESTURES_FUSED, GESTURES_SEPARATE};
use firmware::gestures::{self, CELL, HEAD, SCRATCH, WEIGHTS_LEN, Weights};
use recurrent::{Dense, Gru};

const LAYERS: (Gru, Dense) = (CELL, HEAD);
/// Checksums of all scores: of an instruction set that rounds once, and of one that rounds twice.
const EXPECTED: [u64; 2] = [GESTURES_FUSED, GESTURES_SEPARATE];

type Recogniser = gestures::Recogniser<SCRATCH>;

static WEIGHTS: [f32; WEIGHTS_LEN] = floats(include_bytes!("../../models/gestures.f32"));

#[inline(always)]
fn weights() -> Weights<'static> {
    gestures::wide(&WEIGHTS)
}

include!("../programs/infer.rs");
