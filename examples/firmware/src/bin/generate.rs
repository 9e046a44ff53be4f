//! Writes text with a model that the example `char_rnn` has trained on the Apache licence of this project.
#![no_std]
#![no_main]

use firmware::characters::{SCRATCH, Writer, weights_len};
use firmware::expected::{TEXT, TEXT_NUMBERS, VOCABULARY};
use firmware::floats;
use recurrent::Result;

/// Checksums of the text, and of the last logits and the state.
const EXPECTED: [u64; 2] = [TEXT, TEXT_NUMBERS];

static WEIGHTS: [f32; weights_len(VOCABULARY.len())] = floats(include_bytes!("../../models/characters.f32"));
static mut WRITER: Writer<SCRATCH> = Writer::new();

#[inline(always)]
fn write(writer: &mut Writer<SCRATCH>, out: impl FnMut(u8)) -> Result<()> {
    writer.write(VOCABULARY, &WEIGHTS, out)
}

include!("../programs/generate.rs");
