//! Text without `core::fmt`, which brings code and paths that panic.

use semihosting::io::{Write, stdout};

/// Prints a line of texts and numbers.
pub fn line(parts: &[Part<'_>]) {
    let mut line = [0; 80];
    let mut len = 0;
    for part in parts {
        match *part {
            Part::Text(text) => text.bytes().for_each(|b| push(&mut line, &mut len, b)),
            Part::Number(number) => digits(number, &mut line, &mut len),
        }
    }
    push(&mut line, &mut len, b'\n');
    if let (Ok(mut out), Some(line)) = (stdout(), line.get(..len)) {
        // There is no other place to report this failure.
        let _ = out.write_all(line);
    }
}

/// A part of a line.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    Text(&'a str),
    Number(u32),
}

/// Text that does not fit into the line is left out.
fn push(line: &mut [u8], len: &mut usize, byte: u8) {
    if let Some(to) = line.get_mut(*len) {
        *to = byte;
        *len += 1;
    }
}

fn digits(number: u32, line: &mut [u8], len: &mut usize) {
    let mut power = 1_000_000_000;
    while power > 1 && number < power {
        power /= 10;
    }
    while power > 0 {
        push(line, len, b'0' + (number / power % 10) as u8);
        power /= 10;
    }
}
