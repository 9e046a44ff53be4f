//! Writes text with the model that the example `char_rnn` has trained on this project's licence.
#![no_std]
#![no_main]

use firmware::board::{entry, exit, with_stack};
use firmware::characters::{SCRATCH, Writer, weights_len};
use firmware::expected::{TEXT, TEXT_NUMBERS, VOCABULARY};
use firmware::floats;
use firmware::sum::Sum;
use semihosting::{print, println};

static WEIGHTS: [f32; weights_len(VOCABULARY.len())] = floats(include_bytes!("../../models/characters.f32"));

static mut WRITER: Writer<SCRATCH> = Writer::new();

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let writer = unsafe { &mut *(&raw mut WRITER) };
    let mut text = Sum::new();
    let (result, stack) = with_stack(|| {
        writer.write(VOCABULARY, &WEIGHTS, |c| {
            print!("{}", char::from(c));
            text.bytes(&[c]);
        })
    });
    println!();
    if let Err(e) = result {
        println!("FAILED: {e}");
        exit(1);
    }
    let (logits, state) = writer.numbers(VOCABULARY.len());
    let mut numbers = Sum::new();
    numbers.floats(logits);
    numbers.floats(state);
    // Rounding may choose another character where two are about as likely; the text is the same all the same.
    let same = text == Sum(TEXT) && (numbers == Sum(TEXT_NUMBERS) || !recurrent::Isa::detect().is_fused());
    println!(
        "{}",
        if same { "the same text as on the host" } else { "FAILED: another text than on the host" }
    );
    println!("stack {stack}");
    exit(if same { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    exit(101)
}
