// The program of `generate` and `generate_int8`. Each of them defines `WRITER`, `write` and `EXPECTED`, and
// includes this file. It writes a text, and compares it and the last numbers with those of the host.

use firmware::board::{entry, exit, with_stack};
use firmware::sum::Sum;
use semihosting::{print, println};

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let writer = unsafe { &mut *(&raw mut WRITER) };
    let mut text = Sum::new();
    let (result, stack) = with_stack(|| {
        write(writer, |c| {
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
    // An instruction set that rounds twice has other logits, but draws the same characters from them.
    let [expected, expected_numbers] = EXPECTED.map(Sum);
    let same = text == expected && (numbers == expected_numbers || !recurrent::Isa::detect().is_fused());
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
