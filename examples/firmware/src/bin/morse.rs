//! Reads a recording of noisy Morse code, sample by sample, as samples come from a converter. The model is
//! the image that the example `morse` has trained; its weights stay in flash.
#![no_std]
#![no_main]

use firmware::board::{Counter, entry, exit, with_stack};
use firmware::expected_morse::{SCORES, TEXT};
use firmware::morse::{FRAME, RATE, Reader, Receiver, TONE};
use firmware::sum::Sum;
use recurrent::image::{Aligned, Image};
use recurrent::{Isa, Result};
use semihosting::{print, println};

static WEIGHTS: Aligned<[u8; include_bytes!("../../models/morse.img").len()]> =
    Aligned(*include_bytes!("../../models/morse.img"));
/// Samples of 8 bits.
static RECORDING: [u8; include_bytes!("../../models/morse.pcm").len()] =
    *include_bytes!("../../models/morse.pcm");

/// The most instructions for a frame with its samples: a thirtieth of what an STM32F405 executes in 10 ms.
const MOST: u32 = 56_000;

static mut READER: Reader = Reader::new();

/// The result of reading the recording.
struct Outcome {
    characters: usize,
    /// Whether the characters so far are those of the host.
    same: bool,
    /// The checksum of the scores after each frame.
    scores: Sum,
    /// Instructions of the frame that took most.
    most: u32,
}

fn read(reader: &mut Reader, counter: &mut Counter) -> Result<Outcome> {
    let weights = Image::from_bytes(&WEIGHTS.0)?.weights()?;
    let mut receiver = Receiver::new(RATE, TONE);
    let mut outcome = Outcome { characters: 0, same: true, scores: Sum::new(), most: 0 };
    for samples in RECORDING.chunks((FRAME * RATE) as usize) {
        let mut character = Ok(None);
        let mut whole = false;
        let count = counter.count(|| {
            for sample in samples {
                if let Some(strength) = receiver.sample(f32::from(sample.cast_signed())) {
                    character = reader.frame(weights, strength);
                    whole = true;
                }
            }
        });
        outcome.most = outcome.most.max(count);
        if let Some(character) = character? {
            print!("{}", char::from(character));
            outcome.same &= TEXT.get(outcome.characters) == Some(&character);
            outcome.characters += 1;
        }
        if whole {
            outcome.scores.floats(&reader.logits);
        }
    }
    Ok(outcome)
}

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let reader = unsafe { &mut *(&raw mut READER) };
    let Some(mut counter) = Counter::take() else { exit(1) };
    let (outcome, stack) = with_stack(|| read(reader, &mut counter));
    println!();
    let Outcome { characters, same, scores, most } = match outcome {
        Ok(outcome) => outcome,
        Err(e) => {
            println!("FAILED: {e}");
            exit(1);
        }
    };
    // Without a fused multiply-add the scores have other bits.
    let fused = Isa::detect().is_fused();
    let same = same && characters == TEXT.len() && (scores == Sum(SCORES) || !fused);
    println!(
        "{}",
        if same { "the same text as on the host" } else { "FAILED: another text than on the host" }
    );
    println!("at most {most} instructions for 10 ms of sound");
    let fits = most <= MOST || !fused;
    if !fits {
        println!("FAILED: expected at most {MOST}");
    }
    println!("stack {stack}");
    exit(if same && fits { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    exit(101)
}
