//! Buffers between inaccessible pages.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Once;

/// The end of the buffer that touches an inaccessible page. Both sides have such a page, but only one end can
/// be exactly at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Start,
    End,
}

impl Edge {
    pub const BOTH: [Edge; 2] = [Edge::Start, Edge::End];

    /// Copies the elements into a new buffer.
    pub fn of<T: Copy>(self, from: &[T]) -> Pages<T> {
        let page = page();
        let bytes = size_of_val(from);
        let room = bytes.next_multiple_of(page);
        let all = room + 2 * page;
        // SAFETY: this makes a new mapping and does not touch existing ones.
        let base = unsafe {
            let (read_write, private) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let base = libc::mmap(std::ptr::null_mut(), all, read_write, private, -1, 0);
            assert_ne!(base, libc::MAP_FAILED);
            base.cast::<u8>()
        };
        let skip = if self == Edge::Start { 0 } else { room - bytes };
        // SAFETY: both guard pages and the elements are within the mapping. The elements are aligned: the
        // mapping starts at a page, and `skip` is a number of whole pages minus a number of elements. No
        // reference exists while they are copied.
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
        // SAFETY: the elements were written when the mapping was made, and the mapping lives as long as
        // `self`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T> DerefMut for Pages<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the elements were written when the mapping was made, and the mapping lives as long as
        // `self`.
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
        // SAFETY: `self` owns the mapping, and nothing borrows from it any more.
        unsafe { libc::munmap(self.base.cast(), self.all) };
    }
}

fn page() -> usize {
    // SAFETY: this only queries a number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

thread_local! {
    static WHERE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Sets the text that the handler prints if a fault happens.
pub fn note(what: String) {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        // SAFETY: the handler reads a string of its own thread, whose code is suspended meanwhile, and writes
        // it to standard error.
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
            // SAFETY: the bytes are valid, and a signal handler may call `write`.
            unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        }
    });
    // SAFETY: resets the default action. The handler returns to the same instruction, and the next fault ends
    // the process.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}
