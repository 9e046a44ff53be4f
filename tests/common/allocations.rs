//! An allocator that counts, for tests of what does not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Allocations of this thread: those of the test harness are not among them.
    static OWN: Cell<usize> = const { Cell::new(0) };
}
/// Allocations of all threads.
static ALL: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn count() {
    ALL.fetch_add(1, Ordering::SeqCst);
    // A thread that ends may allocate after its counter is gone.
    let _ = OWN.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting does not allocate, because the counter's
// initial value is a constant and it has nothing to drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of this thread in `run`, and its result.
#[allow(dead_code, reason = "some tests count on all threads")]
pub fn allocations<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = OWN.get();
    let out = run();
    (OWN.get() - before, out)
}

/// Allocations of all threads, the harness's too, in `run`.
#[allow(dead_code, reason = "some tests count on one thread")]
pub fn allocations_of_all(run: impl FnOnce()) -> usize {
    let before = ALL.load(Ordering::SeqCst);
    run();
    ALL.load(Ordering::SeqCst) - before
}
