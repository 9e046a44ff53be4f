//! What differs between the boards, and what is below the stack.

#[cfg_attr(target_arch = "arm", path = "cortex_m.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod arch;

pub use arch::{Counter, entry};
pub use semihosting::process::exit;

unsafe extern "C" {
    /// The first word above static memory, which is as far as the stack may grow.
    #[cfg_attr(target_arch = "riscv32", link_name = "__sheap")]
    static mut _stack_end: u32;
}

const PAINT: u32 = 0xcccc_cccc;
/// Larger than the stack frame of `paint`, which must not paint over itself.
const OWN: usize = 128;

/// Paints the memory below its own stack frame, and returns the address where it begins. The caller's frame
/// is above it.
#[inline(never)]
fn paint() -> usize {
    let here = 0u32;
    let (bottom, top) = ((&raw mut _stack_end).addr(), (&raw const here).addr());
    for i in 0..(top - OWN - bottom) / 4 {
        // SAFETY: nobody else uses the memory between static memory and the stack.
        unsafe { (&raw mut _stack_end).add(i).write_volatile(PAINT) };
    }
    top
}

/// How much of the memory below `top` has been used.
#[inline(never)]
fn used(top: usize) -> usize {
    let bottom = (&raw mut _stack_end).addr();
    let words = (top - bottom) / 4;
    // SAFETY: as above.
    let free =
        (0..words).take_while(|&i| unsafe { (&raw mut _stack_end).add(i).read_volatile() } == PAINT).count();
    top - bottom - 4 * free
}

/// Calls a function that the compiler would otherwise make a part of its caller.
#[inline(never)]
fn call<T>(f: impl FnOnce() -> T) -> T {
    f()
}

/// Calls `f`, and measures within some words how many bytes of stack it takes: paints the memory below, and
/// then searches it for the paint. `f` may measure, too.
#[inline(never)]
pub fn with_stack<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let top = paint();
    let result = call(f);
    (result, used(top))
}
