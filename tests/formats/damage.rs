//! Damaged files give errors: no panic, and no more memory than the file's size justifies.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use recurrent::io::{Format, Plan, read};
use zip::CompressionMethod;

use crate::keras::rebuilt;
use crate::{bytes, cases};

/// Counts the bytes that this thread has allocated, and their maximum.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static GREATEST: Cell<isize> = const { Cell::new(0) };
}

fn note(more: usize, less: usize) {
    // A thread that is ending may have dropped its counters.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + more as isize - less as isize);
        GREATEST.try_with(|greatest| greatest.set(greatest.get().max(live.get())))
    });
}

// SAFETY: every call is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may exist while the old one is copied to the new one.
        note(size, 0);
        note(0, layout.size());
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All files of the folder, and some of the collection.
fn all() -> impl Iterator<Item = (&'static str, Format, Option<Plan>)> {
    let more = [
        ("collection/k215_functional.h5", Format::Keras),
        ("collection/t215_nested.pt", Format::Torch),
        ("collection/t215_legacy.pt", Format::Torch),
        ("collection/t215_module.pt", Format::Torch),
        ("collection/o117_softmax.onnx", Format::Onnx),
        ("collection/t215_dynamo_last.onnx", Format::Onnx),
        ("collection/nam0130_lstm.nam", Format::Json),
    ];
    cases().chain(more.map(|(file, format)| (file, format, None)))
}

/// Reads a file and checks that this does not allocate much. Returns whether the file could be read.
fn survives(bytes: &[u8], format: Format, plan: Option<&Plan>) -> bool {
    let before = LIVE.get();
    GREATEST.set(before);
    let read = read(bytes, format, plan).is_ok();
    let greatest = (GREATEST.get() - before) as usize;
    // Decompression takes up to a megabyte, whatever the size of the data.
    assert!(greatest < 64 * bytes.len() + (1 << 20), "{greatest} bytes for a file of {}", bytes.len());
    read
}

#[test]
fn files_that_end_early_are_refused() {
    for (file, format, plan) in all() {
        let whole = bytes(file);
        assert!(survives(&whole, format, plan.as_ref()), "{file}");
        // A cut ONNX file may still be valid, because a protobuf message may end with an optional field.
        let step = whole.len() / 600 + 1;
        for len in (0..whole.len()).filter(|&len| len < 600 || len % step == 0) {
            let read = survives(&whole[..len], format, plan.as_ref());
            assert!(!read || format == Format::Onnx, "{file}: {len} bytes of {}", whole.len());
        }
    }
}

/// Whatever bit is flipped: reading gives an error or a different model, but never a panic.
#[test]
fn flipped_bits_do_no_harm() {
    for (file, format, plan) in all() {
        let mut bytes = bytes(file);
        let step = bytes.len() / 1500 + 1;
        for at in (0..bytes.len()).filter(|&at| at < 300 || at % step == 0) {
            for bits in [1, 0x80, 0xff] {
                bytes[at] ^= bits;
                let read = survives(&bytes, format, plan.as_ref());
                assert!(!read || format != Format::Image, "{file}: byte {at}");
                bytes[at] ^= bits;
            }
        }
    }
}

/// Writes lengths of gigabytes over every place of four and of eight bytes.
#[test]
fn huge_lengths_are_refused() {
    for (file, format, plan) in all() {
        let whole = bytes(file);
        let step = whole.len() / 800 + 1;
        for at in (0..whole.len() - 8).filter(|&at| at < 300 || at % step == 0) {
            for (len, huge) in [(4, 0x7fff_ffff_u64), (8, 0x7fff_ffff_ffff_ffff), (8, 1 << 40)] {
                let mut bytes = whole.clone();
                bytes[at..at + len].copy_from_slice(&huge.to_le_bytes()[..len]);
                survives(&bytes, format, plan.as_ref());
            }
        }
    }
}

/// An archive's checksums would catch such damage first. Since anybody can compute checksums, the damaged
/// entries get correct ones here.
#[test]
fn flipped_bits_in_signed_archives_do_no_harm() {
    for (file, format, plan) in cases().filter(|case| case.1 == Format::Keras) {
        for entry in ["config.json", "model.weights.h5"] {
            for part in 0..300 {
                for bits in [1, 0x80, 0xff] {
                    let signed = rebuilt(file, CompressionMethod::Stored, |name, mut data| {
                        if name == entry {
                            let at = data.len() * part / 300;
                            data[at] ^= bits;
                        }
                        data
                    });
                    survives(&signed, format, plan.as_ref());
                }
            }
        }
    }
}

/// Numbers written as text: shapes, offsets and layer sizes.
#[test]
fn huge_numbers_in_text_are_refused() {
    for (file, format, plan) in all() {
        let whole = bytes(file);
        let (start, end) = match format {
            Format::Safetensors => (8, 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize),
            Format::Json => (0, whole.len()),
            _ => continue,
        };
        let text = &whole[start..end];
        let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
        let starts: Vec<usize> = (1..text.len()).filter(|&at| digit(at) && !digit(at - 1)).collect();
        for &at in starts.iter().step_by(starts.len() / 400 + 1) {
            let len = (at..).take_while(|&at| digit(at)).count();
            for huge in ["0", "2147483648", "4611686018427387904", "18446744073709551616"] {
                let text = [&text[..at], huge.as_bytes(), &text[at + len..]].concat();
                let bytes = match start {
                    0 => text,
                    _ => [&(text.len() as u64).to_le_bytes()[..], &text, &whole[end..]].concat(),
                };
                survives(&bytes, format, plan.as_ref());
            }
        }
    }
}
