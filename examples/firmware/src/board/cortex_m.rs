//! Cortex-M.

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;

pub use cortex_m_rt::entry;

/// Counts instructions by the system timer, where each takes a nanosecond of QEMU's virtual time.
pub struct Counter {
    /// Picoseconds.
    tick: u64,
}

impl Counter {
    /// The only one; `None` the second time.
    pub fn take() -> Option<Self> {
        let mut timer = Peripherals::take()?.SYST;
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(0xff_ffff);
        timer.clear_current();
        timer.enable_counter();
        // Boards have different clocks, so measure with a loop of two instructions.
        const TURNS: u32 = 1_000_000;
        let ticks = Self::ticks(|| cortex_m::asm::delay(TURNS));
        Some(Counter { tick: 2 * 1000 * u64::from(TURNS) / u64::from(ticks.max(1)) })
    }

    fn ticks(f: impl FnOnce()) -> u32 {
        let start = SYST::get_current();
        f();
        start.wrapping_sub(SYST::get_current()) & 0xff_ffff
    }

    /// Instructions that `f` takes, at most some millions.
    pub fn count(&mut self, f: impl FnOnce()) -> u32 {
        (u64::from(Self::ticks(f)) * self.tick / 1000) as u32
    }
}
