//! What differs between the boards, and what is below the stack.

#[cfg_attr(target_arch = "arm", path = "cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod arch;

pub use arch::{Counter, entry};
pub use semihosting::process::exit;

unsafe extern "C" {
    /// The first word above static memory, which is as far as the stack may grow.
    #[cfg_attr(target_arch = "riscv32", link_name = "_sheap")]
    static mut _stack_end: u32;
}

const PAINT: u32 = 0xcccc_cccc;
/// Below the frame of the function that paints; calls that it makes must not paint over themselves.
const OWN: usize = 128;

/// Calls `f` and measures how many bytes of stack it takes: the memory below is painted, and then searched for the paint.
#[inline(never)]
pub fn with_stack<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let here = 0u32;
    let (bottom, top) = ((&raw mut _stack_end).addr(), (&raw const here).addr() - OWN);
    let words = (top - bottom) / 4;
    for i in 0..words {
        // SAFETY: nobody else uses the memory between static memory and the stack.
        unsafe { (&raw mut _stack_end).add(i).write_volatile(PAINT) };
    }
    let result = f();
    // SAFETY: as above.
    let free =
        (0..words).take_while(|&i| unsafe { (&raw mut _stack_end).add(i).read_volatile() } == PAINT).count();
    (result, (&raw const here).addr() - bottom - 4 * free)
}
