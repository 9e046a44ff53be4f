//! Recognises gestures in a stream of samples. The weights stay in flash; the state is all that changes.
//!
//! No path in this program panics, which the linker proves: the panic handler calls what does not exist.
#![no_std]
#![no_main]

use firmware::board::{entry, exit, with_stack};
use firmware::expected::{GESTURES_FUSED, GESTURES_SEPARATE};
use firmware::floats;
use firmware::gestures::{self, CELL, HEAD, NAMES, RECORDED, SCRATCH, WEIGHTS_LEN};
use firmware::sum::Sum;
use firmware::text::Part::{Number, Text};
use firmware::text::line;
use recurrent::Result;

type Recogniser = gestures::Recogniser<SCRATCH>;

static WEIGHTS: [f32; WEIGHTS_LEN] = floats(include_bytes!("../../models/gestures.f32"));
static RECORDING: [f32; 3 * RECORDED] = floats(include_bytes!("../../models/recording.f32"));

/// Goes over the recording as over a sensor, one sample at a time, and returns a checksum of all scores.
fn run(recogniser: &mut Recogniser, mut report: impl FnMut(u32, usize)) -> Result<Sum> {
    let (mut sum, mut last) = (Sum::new(), None);
    let (samples, _) = RECORDING.as_chunks::<3>();
    for (time, sample) in (0..).zip(samples) {
        let gesture = recogniser.sample((CELL, HEAD), gestures::wide(&WEIGHTS), sample)?;
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
    let fused = CELL.isa().is_fused();
    let expected = if fused { GESTURES_FUSED } else { GESTURES_SEPARATE };
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
