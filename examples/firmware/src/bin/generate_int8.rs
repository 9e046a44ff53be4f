//! As `generate`, from weights of 8 bits, which are used where they are in flash.
#![no_std]
#![no_main]

use firmware::Aligned;
use firmware::board::{entry, exit, with_stack};
use firmware::characters::{SCRATCH_INT8, Writer, int8_len};
use firmware::expected::{TEXT_INT8, TEXT_INT8_NUMBERS, VOCABULARY};
use firmware::sum::Sum;
use semihosting::{print, println};

static WEIGHTS: Aligned<{ int8_len(VOCABULARY.len()) }> =
    Aligned(*include_bytes!("../../models/characters.int8"));

static mut WRITER: Writer<SCRATCH_INT8> = Writer::new();

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let writer = unsafe { &mut *(&raw mut WRITER) };
    let mut text = Sum::new();
    let (result, stack) = with_stack(|| {
        writer.write_int8(VOCABULARY, &WEIGHTS.0, |c| {
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
    let same =
        text == Sum(TEXT_INT8) && (numbers == Sum(TEXT_INT8_NUMBERS) || !recurrent::Isa::detect().is_fused());
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
