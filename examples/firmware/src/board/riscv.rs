//! RISC-V.

pub use riscv_rt::entry;

/// Counts instructions by the core's own counter.
pub struct Counter(());

impl Counter {
    /// As on the other boards.
    pub fn take() -> Option<Self> {
        Some(Counter(()))
    }

    /// Instructions that `f` takes.
    pub fn count(&mut self, f: impl FnOnce()) -> u32 {
        let start = riscv::register::minstret::read();
        f();
        (riscv::register::minstret::read().wrapping_sub(start)) as u32
    }
}
