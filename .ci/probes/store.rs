//! Finds the end of a step: `Lstm::step` stores the next hidden state into read-only memory, and the program
//! prints the calls that led there, innermost first.

use std::backtrace::Backtrace;

use recurrent::Lstm;

/// The units fill at most one vector, so there is one tile, which stores directly to `h`.
const CELL: Lstm = Lstm::new(1, 4);

extern "C" fn stored(_: i32) {
    println!("{}", Backtrace::force_capture());
    std::process::exit(0);
}

fn main() {
    // SAFETY: the mapping is new, and lives as long as the process. The handler ends the process, and the
    // code that stores holds no lock.
    let (weights, h) = unsafe {
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let start =
            libc::mmap(std::ptr::null_mut(), 2 * page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED, "no memory");
        // `h` is at the end of the first page, which is read-only; `c` is in the second page.
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
