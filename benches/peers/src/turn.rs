//! The interface of contestants, and the timing of their turns.

use std::hint::black_box;
use std::time::Duration;

use crate::Result;
use crate::case::{Case, SAMPLES};

pub trait Contestant {
    fn name(&self) -> &'static str;
    fn version(&self) -> String;
    /// Builds the layer. Returns false if the library does not support the case.
    fn set_up(&mut self, case: &Case) -> Result<bool>;
    /// The results of the first call after `set_up`: `y [T, B, H]`, for training followed by `dx` and the
    /// gradients of the weights.
    fn output(&mut self, case: &Case) -> Result<Vec<f32>>;
    /// Runs `calls` calls, and returns the time.
    fn run(&mut self, calls: usize) -> Result<Duration>;
}

/// Times `calls` calls of `f`, including the time to drop the results.
pub fn time<T>(calls: usize, mut f: impl FnMut() -> Result<T>) -> Result<Duration> {
    let one = std::thread::available_parallelism()?.get() == 1;
    let start = now(one);
    for _ in 0..calls {
        black_box(f()?);
    }
    Ok(now(one) - start)
}

/// The next sample, in turn.
#[inline(always)]
pub fn sample<'a>(samples: &'a [f32], next: &mut usize, input: usize) -> &'a [f32] {
    let i = *next % SAMPLES;
    *next += 1;
    &samples[i * input..][..input]
}

/// With one core: the processor time of all threads of this process, which is nearly the same on a busy
/// machine as on a quiet one. With several cores: the wall-clock time.
fn now(one: bool) -> Duration {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let clock = if one { libc::CLOCK_PROCESS_CPUTIME_ID } else { libc::CLOCK_MONOTONIC };
    // SAFETY: `at` is valid for writing, and both clocks exist on Linux.
    let done = unsafe { libc::clock_gettime(clock, &mut at) };
    assert_eq!(done, 0, "no clock");
    Duration::new(at.tv_sec as u64, at.tv_nsec as u32)
}
