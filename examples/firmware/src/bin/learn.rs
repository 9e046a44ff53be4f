//! Trains on the device.
#![no_std]
#![no_main]

use firmware::board::{entry, exit, with_stack};
use firmware::expected::{LEARNED, LEARNED_LOSS};
use firmware::learn::{Learner, UPDATES};
use firmware::sum::Sum;
use semihosting::println;

/// Updates whose errors are averaged.
const WINDOW: usize = 50;

static mut LEARNER: Learner = Learner::new();

#[entry]
fn main() -> ! {
    // SAFETY: the only reference, and the program has one thread.
    let learner = unsafe { &mut *(&raw mut LEARNER) };
    let (mut means, mut sum) = ([0.0; UPDATES / WINDOW], 0.0);
    let (result, stack) = with_stack(|| {
        learner.run(|update, error| {
            sum += error;
            if update % WINDOW == 0 {
                means[update / WINDOW - 1] = sum / WINDOW as f32;
                println!("update {update}: mean squared error {:.5}", sum / WINDOW as f32);
                sum = 0.0;
            }
        })
    });
    if let Err(e) = result {
        println!("FAILED: {e}");
        exit(1);
    }
    let mut weights = Sum::new();
    weights.floats(&learner.weights);
    let falls = means.is_sorted_by(|a, b| a > b);
    let last = means[means.len() - 1];
    let same = if recurrent::Isa::detect().is_fused() {
        println!("weights {:016x}, on the host {LEARNED:016x}", weights.0);
        weights == Sum(LEARNED)
    } else {
        println!("error {last:e}, on the host, which rounds once, {LEARNED_LOSS:e}");
        (last / LEARNED_LOSS - 1.0).abs() < 1e-2
    };
    println!(
        "{}",
        if falls && same { "learned as on the host" } else { "FAILED: learned otherwise than on the host" }
    );
    println!("stack {stack}");
    exit(if falls && same { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("FAILED: {info}");
    exit(101)
}
