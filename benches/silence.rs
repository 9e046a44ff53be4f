//! The cost of subnormal numbers after the input becomes silent: `cargo bench --bench silence`.
//!
//! Runs 64 silent steps of one row from three states: as a signal leaves it, subnormal, and subnormal but
//! flushed to zero before. The weights keep the size of the state, like a filter that decays slowly. The
//! fourth case uses the CPU's own flushing mode. A program sets it at its own risk: Rust does not specify
//! code that runs in it.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use recurrent::{Activation, Cell, Forward, Isa, Lstm, Recurrent, Rnn, Sequences};

const STEPS: usize = 64;
const HIDDEN: usize = 32;

/// A state below this is inaudible. Above it, products with weights above 1e-17 are not subnormal.
const SILENT: f32 = 1e-20;

fn flush(state: &mut [f32]) {
    state.iter_mut().for_each(|x| *x = if x.abs() < SILENT { 0.0 } else { *x });
}

/// Runs in a mode that treats subnormal operands and results as zero.
#[cfg(target_arch = "x86_64")]
fn flushing<R>(run: impl FnOnce() -> R) -> R {
    const FTZ_AND_DAZ: u32 = 0x8040;
    let mut before = 0u32;
    // SAFETY: both instructions access four bytes of this stack and the control register, which is restored
    // afterwards.
    unsafe {
        core::arch::asm!("stmxcsr [{}]", in(reg) &mut before, options(nostack));
        core::arch::asm!("ldmxcsr [{}]", in(reg) &(before | FTZ_AND_DAZ), options(nostack));
    }
    let result = run();
    // SAFETY: as above.
    unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &before, options(nostack)) };
    result
}

fn layer<C: Cell>(c: &mut Criterion, name: &str, layer: Recurrent<C>, weights: &[f32]) {
    let mut group = c.benchmark_group(name);
    let x = [0.0; STEPS];
    let mut y = vec![0.0; STEPS * HIDDEN];
    for isa in Isa::available() {
        let layer = layer.on(isa);
        let packed = layer.pack(weights, vec![0.0; layer.packed_len()]).unwrap();
        let mut scratch = vec![0.0; layer.scratch_len(STEPS, 1)];
        let mut run = |start: f32, flushes: bool| {
            let mut state = vec![start; layer.state_len(1)];
            if flushes {
                flush(&mut state);
            }
            let sequences = Sequences::new(STEPS, 1);
            let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
            layer.forward(&packed, args).unwrap();
            assert!(flushes || state.iter().any(|x| *x != 0.0), "it died away");
        };
        for (what, start, flushes) in
            [("signal", 0.1, false), ("subnormal", 1e-39, false), ("flushed", 1e-39, true)]
        {
            group.bench_function(BenchmarkId::new(isa.name(), what), |b| b.iter(|| run(start, flushes)));
        }
        #[cfg(target_arch = "x86_64")]
        group.bench_function(BenchmarkId::new(isa.name(), "subnormal, by the CPU's mode"), |b| {
            flushing(|| b.iter(|| run(1e-39, true)));
        });
    }
    group.finish();
}

fn silence(c: &mut Criterion) {
    // Each unit's row has two numbers that are not zero, so that products are subnormal, too.
    let rnn = Rnn::new(1, HIDDEN).activation(Activation::Relu).bias(false);
    let mut weights = vec![0.0; rnn.weights_len()];
    let parts = rnn.weights_mut(&mut weights).unwrap();
    for (i, row) in parts.w_hh.chunks_exact_mut(HIDDEN).enumerate() {
        row[i] = 0.75;
        row[(i + 1) % HIDDEN] = 0.25;
    }
    layer(c, "rnn_relu", rnn, &weights);
    let lstm = Lstm::new(1, HIDDEN);
    let mut weights = vec![0.0; lstm.weights_len()];
    lstm.weights_mut(&mut weights).unwrap().w_hh.fill(0.01);
    lstm.forget_bias(&mut weights, 20.0).unwrap();
    layer(c, "lstm", lstm, &weights);
}

criterion_group!(benches, silence);
criterion_main!(benches);
