//! Damaged files give errors: no panic, and no more memory than the file accounts for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use recurrent::io::{Format, Plan, read};

use crate::{bytes, cases};

/// Keeps the greatest request of this thread.
struct Counting;

thread_local! {
    static GREATEST: Cell<usize> = const { Cell::new(0) };
}

fn note(size: usize) {
    // Threads that are ending have no cell any more.
    let _ = GREATEST.try_with(|greatest| greatest.set(greatest.get().max(size)));
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads a file, which may fail, but must not ask for much. Whether it was read.
fn survives(bytes: &[u8], format: Format, plan: Option<&Plan>) -> bool {
    GREATEST.set(0);
    let read = read(bytes, format, plan).is_ok();
    let greatest = GREATEST.get();
    // Inflating takes most of a megabyte, whatever there is to inflate.
    assert!(
        greatest < 64 * bytes.len() + (1 << 20),
        "{greatest} bytes at once for a file of {}",
        bytes.len()
    );
    read
}

#[test]
fn files_that_end_early_are_refused() {
    for (file, format, plan) in cases() {
        let whole = bytes(file);
        assert!(survives(&whole, format, plan.as_ref()), "{file}");
        // The last bytes of a protobuf message may be a field that can be missing, and JSON may end in a line end.
        let step = whole.len() / 600 + 1;
        for len in (0..whole.len()).filter(|&len| len < 600 || len % step == 0) {
            let read = survives(&whole[..len], format, plan.as_ref());
            assert!(!read || format == Format::Onnx, "{file}: {len} bytes of {}", whole.len());
        }
    }
}

/// Any bit may be wrong anywhere: there is an error, or another model, but never a panic.
#[test]
fn flipped_bits_do_no_harm() {
    for (file, format, plan) in cases() {
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

/// Lengths that would be gigabytes, in each place of four and of eight bytes.
#[test]
fn huge_lengths_are_refused() {
    for (file, format, plan) in cases() {
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
