//! Buffers between inaccessible pages.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Once;

/// Where a buffer touches an inaccessible page. There is one on either side, but only one can be at the first or the
/// last element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Start,
    End,
}

impl Edge {
    pub const BOTH: [Edge; 2] = [Edge::Start, Edge::End];

    /// A buffer with these elements.
    pub fn of<T: Copy>(self, from: &[T]) -> Pages<T> {
        let page = page();
        let bytes = size_of_val(from);
        let room = bytes.next_multiple_of(page);
        let all = room + 2 * page;
        // SAFETY: a new mapping, which touches nothing that is there.
        let base = unsafe {
            let (read_write, private) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let base = libc::mmap(std::ptr::null_mut(), all, read_write, private, -1, 0);
            assert_ne!(base, libc::MAP_FAILED);
            base.cast::<u8>()
        };
        let skip = if self == Edge::Start { 0 } else { room - bytes };
        // SAFETY: both pages and the elements are within the mapping. It starts at a page, and `skip` is what is left of some pages
        // by a number of elements: they are aligned. They are copied before there is a reference to them.
        unsafe {
            for guard in [base, base.add(page + room)] {
                assert_eq!(libc::mprotect(guard.cast(), page, libc::PROT_NONE), 0);
            }
            let start = base.add(page + skip).cast::<T>();
            start.copy_from_nonoverlapping(from.as_ptr(), from.len());
            Pages { base, all, start, len: from.len() }
        }
    }

    pub fn filled(self, len: usize, with: f32) -> Pages<f32> {
        self.of(&vec![with; len])
    }

    pub fn nan(self, len: usize) -> Pages<f32> {
        self.filled(len, f32::NAN)
    }
}

/// A slice between inaccessible pages.
pub struct Pages<T> {
    base: *mut u8,
    all: usize,
    start: *mut T,
    len: usize,
}

impl<T> Deref for Pages<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the elements were written when the mapping was made, and it is there as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the elements were written when the mapping was made, and it is there as long as `self`.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl<T> AsRef<[T]> for Pages<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T> AsMut<[T]> for Pages<T> {
    fn as_mut(&mut self) -> &mut [T] {
        self
    }
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is its own, and nothing borrows from it any more.
        unsafe { libc::munmap(self.base.cast(), self.all) };
    }
}

fn page() -> usize {
    // SAFETY: it only asks.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

thread_local! {
    static WHERE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says what is being done, should there be a fault.
pub fn note(what: String) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // SAFETY: the handler reads a string of its thread, which is not running while it does, and writes it out.
        unsafe {
            let handler = fault as extern "C" fn(libc::c_int);
            libc::signal(libc::SIGSEGV, handler as libc::sighandler_t);
            libc::signal(libc::SIGBUS, handler as libc::sighandler_t);
        }
    });
    WHERE.set(what + "\n");
}

extern "C" fn fault(signal: libc::c_int) {
    let _ = WHERE.try_with(|what| {
        let Ok(what) = what.try_borrow() else { return };
        for text in ["\noutside of a buffer: ", &what] {
            // SAFETY: these bytes are there, and writing them is allowed in a handler.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        }
    });
    // SAFETY: it goes back to the instruction, and now that ends the process.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
