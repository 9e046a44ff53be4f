//! As `infer`, from weights of 8 bits, which are used where they are in flash.
//!
//! No path in this program panics, which the linker proves: the panic handler calls what does not exist.
#![no_std]
#![no_main]

use firmware::board::{entry, exit, with_stack};
use firmware::expected::{GESTURES_INT8_FUSED, GESTURES_INT8_SEPARATE};
use firmware::gestures::{self, CELL_INT8, HEAD_INT8, INT8_LEN, NAMES, RECORDED, SCRATCH_INT8};
use firmware::sum::Sum;
use firmware::text::Part::{Number, Text};
use firmware::text::line;
use firmware::{Aligned, floats};
use recurrent::Result;

type Recogniser = gestures::Recogniser<SCRATCH_INT8>;

static WEIGHTS: Aligned<INT8_LEN> = Aligned(*include_bytes!("../../models/gestures.int8"));
static RECORDING: [f32; 3 * RECORDED] = floats(include_bytes!("../../models/recording.f32"));

/// Goes over the recording as over a sensor, one sample at a time, and returns a checksum of all scores.
fn run(recogniser: &mut Recogniser, mut report: impl FnMut(u32, usize)) -> Result<Sum> {
    let (mut sum, mut last) = (Sum::new(), None);
    let (samples, _) = RECORDING.as_chunks::<3>();
    for (time, sample) in (0..).zip(samples) {
        let gesture = recogniser.sample((CELL_INT8, HEAD_INT8), gestures::int8(&WEIGHTS.0), sample)?;
        sum.floats(&recogniser.scores);
        if last != Some(gesture) {
            report(time, gesture);
            last = Some(gesture);
        }
    }
    Ok(sum)
}

static mut RECOGNISER: Recogniser = Recogniser::new();
static mut AGAIN: Recogniser = Recogniser::new();

#[entry]
fn main() -> ! {
    // SAFETY: the only references, and the program has one thread.
    let (recogniser, again) = unsafe { (&mut *(&raw mut RECOGNISER), &mut *(&raw mut AGAIN)) };
    let (sum, stack) = with_stack(|| run(recogniser, |_, _| {}));
    let _ = run(again, |time, gesture| {
        line(&[Text("sample "), Number(time), Text(": "), Text(NAMES.get(gesture).copied().unwrap_or("?"))]);
    });
    let fused = CELL_INT8.isa().is_fused();
    let expected = if fused { GESTURES_INT8_FUSED } else { GESTURES_INT8_SEPARATE };
    let same = sum == Ok(Sum(expected));
    line(&[
        Text(if same { "the same bits as on the host" } else { "FAILED: other bits than on the host" }),
        Text(if fused { ", fused" } else { ", rounded twice" }),
    ]);
    line(&[Text("stack "), Number(stack as u32)]);
    exit(if same { 0 } else { 1 })
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        /// Nobody defines it: linking fails if a panic is left in the program.
        safe fn this_program_must_not_panic() -> !;
    }
    this_program_must_not_panic()
}
