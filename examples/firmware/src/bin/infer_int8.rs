//! Like `infer`, from weights of 8 bits, which are used in place, in flash.
#![no_std]
#![no_main]

use firmware::Aligned;
use firmware::expected::{GESTURES_INT8_FUSED, GESTURES_INT8_SEPARATE};
use firmware::gestures::{self, CELL_INT8, HEAD_INT8, INT8_LEN, SCRATCH_INT8, Weights};
use recurrent::{Dense, Gru};

const LAYERS: (Gru, Dense) = (CELL_INT8, HEAD_INT8);
/// Checksums of all scores: of an instruction set that rounds once, and of one that rounds twice.
const EXPECTED: [u64; 2] = [GESTURES_INT8_FUSED, GESTURES_INT8_SEPARATE];

type Recogniser = gestures::Recogniser<SCRATCH_INT8>;

static WEIGHTS: Aligned<INT8_LEN> = Aligned(*include_bytes!("../../models/gestures.int8"));

#[inline(always)]
fn weights() -> Weights<'static> {
    gestures::int8(&WEIGHTS.0)
}

include!("../programs/infer.rs");
