// The program of `infer` and `infer_int8`. Each of them defines `LAYERS`, `Recogniser`, `weights` and
// `EXPECTED`, and includes this file.

use firmware::board::{entry, exit, with_stack};
use firmware::floats;
use firmware::gestures::{NAMES, RECORDED};
use firmware::sum::Sum;
use firmware::text::Part::{self, Number, Text};
use firmware::text::line;
use recurrent::Result;

static RECORDING: [f32; 3 * RECORDED] = floats(include_bytes!("../../models/recording.f32"));

/// The true gesture of each sample.
static RECORDING_LABELS: [u8; RECORDED] = *include_bytes!("../../models/recording.labels");

/// Reads the recording like a sensor, one sample at a time. Calls `report(time, guess, truth)` where the
/// guess changes. Returns a checksum of all scores, and for how many samples the guess is right.
fn run(recogniser: &mut Recogniser, mut report: impl FnMut(u32, usize, usize)) -> Result<(Sum, u32)> {
    let (mut sum, mut last, mut right) = (Sum::new(), None, 0);
    let (samples, _) = RECORDING.as_chunks::<3>();
    for (time, (sample, &truth)) in (0..).zip(samples.iter().zip(&RECORDING_LABELS)) {
        let guess = recogniser.sample(LAYERS, weights(), sample)?;
        sum.floats(&recogniser.scores);
        right += u32::from(guess == usize::from(truth));
        if last != Some(guess) {
            report(time, guess, truth.into());
            last = Some(guess);
        }
    }
    Ok((sum, right))
}

fn name(gesture: usize) -> Part<'static> {
    Text(NAMES.get(gesture).copied().unwrap_or("?"))
}

static mut RECOGNISER: Recogniser = Recogniser::new();
static mut AGAIN: Recogniser = Recogniser::new();

#[entry]
fn main() -> ! {
    // SAFETY: the only references, and the program has one thread.
    let (recogniser, again) = unsafe { (&mut *(&raw mut RECOGNISER), &mut *(&raw mut AGAIN)) };
    let (result, stack) = with_stack(|| run(recogniser, |_, _, _| {}));
    line(&[Text("guesses from a synthetic accelerometer, at 50 samples per second:")]);
    let _ = run(again, |time, guess, truth| {
        line(&[Text("sample "), Number(time), Text(": "), name(guess), Text(", true: "), name(truth)]);
    });
    let (sum, right) = result.unwrap_or((Sum::new(), 0));
    line(&[Text("right for "), Number(right), Text(" of "), Number(RECORDED as u32), Text(" samples")]);
    let fused = LAYERS.0.isa().is_fused();
    let same = sum == Sum(EXPECTED[usize::from(!fused)]);
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
