//! Where a step ends: the store of the next hidden state of `Lstm::step` runs into memory that cannot be written, and what it was
//! called through is printed, innermost first.

use std::backtrace::Backtrace;

use recurrent::Lstm;

/// One vector or less, so that there is one tile, which stores to `h` itself.
const CELL: Lstm = Lstm::new(1, 4);

extern "C" fn stored(_: i32) {
    println!("{}", Backtrace::force_capture());
    std::process::exit(0);
}

fn main() {
    // SAFETY: the mapping is new, and lives as long as the process. The handler ends it, and the store comes from code that holds no lock.
    let (weights, h) = unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let start =
            libc::mmap(std::ptr::null_mut(), 2 * page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED, "no memory");
        // `h` ends at the first page, which can only be read; `c` is in the second.
        assert_eq!(libc::mprotect(start, page, libc::PROT_READ), 0, "no protection");
        libc::signal(libc::SIGSEGV, stored as *const () as libc::sighandler_t);
        let h = start.cast::<f32>().add(page / 4 - CELL.hidden());
        (vec![0.1; CELL.weights_len()], std::slice::from_raw_parts_mut(h, CELL.state_len(1)))
    };
    let packed = CELL.pack(&weights, vec![0.0; CELL.packed_len()]).expect("the lengths are right");
    let mut scratch = vec![0.0; CELL.scratch_len(1, 1)];
    let _ = CELL.step(&packed, &[1.0], h, &mut scratch);
    println!("error: nothing was stored");
}
