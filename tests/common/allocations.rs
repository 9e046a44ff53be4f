//! A counting allocator, for tests that check that something does not allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

thread_local! {
    /// Allocations of this thread; the test harness uses others.
    static OWN: Cell<usize> = const { Cell::new(0) };
}
/// Allocations of all threads.
static ALL: AtomicUsize = AtomicUsize::new(0);

struct Counting;

fn count() {
    ALL.fetch_add(1, Ordering::SeqCst);
    // A thread may allocate while it ends, after its counter is gone.
    let _ = OWN.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed unchanged to the system's allocator. Counting does not allocate, because the
// counter's initial value is a constant, and it has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller upholds the contract.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts the allocations of this thread in `run`, and returns its result, too.
#[allow(dead_code, reason = "some tests count on all threads")]
pub fn allocations<T>(run: impl FnOnce() -> T) -> (usize, T) {
    let before = OWN.get();
    let out = run();
    (OWN.get() - before, out)
}

/// Counts the allocations of all threads during `run`, those of the harness included.
#[allow(dead_code, reason = "some tests count on one thread")]
pub fn allocations_of_all(run: impl FnOnce()) -> usize {
    let before = ALL.load(Ordering::SeqCst);
    run();
    ALL.load(Ordering::SeqCst) - before
}
