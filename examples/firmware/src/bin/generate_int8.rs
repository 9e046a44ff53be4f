//! Like `generate`, from weights of 8 bits, which are used in place, in flash.
#![no_std]
#![no_main]

use firmware::Aligned;
use firmware::characters::{SCRATCH_INT8, Writer, int8_len};
use firmware::expected::{TEXT_INT8, TEXT_INT8_NUMBERS, VOCABULARY};
use recurrent::Result;

/// Checksums of the text, and of the last logits and the state.
const EXPECTED: [u64; 2] = [TEXT_INT8, TEXT_INT8_NUMBERS];

static WEIGHTS: Aligned<{ int8_len(VOCABULARY.len()) }> =
    Aligned(*include_bytes!("../../models/characters.int8"));
static mut WRITER: Writer<SCRATCH_INT8> = Writer::new();

#[inline(always)]
fn write(writer: &mut Writer<SCRATCH_INT8>, out: impl FnMut(u8)) -> Result<()> {
    writer.write_int8(VOCABULARY, &WEIGHTS.0, out)
}

include!("../programs/generate.rs");
