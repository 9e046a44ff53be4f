//! What the core can do, and how much of it the passes use: `cargo bench --bench limits`.
//!
//! Pin it to a core of a quiet machine (`taskset -c 0`). It measures the peak of fused multiply-adds and the
//! bandwidth of reading again and again a buffer of a given size, and from them a floor for each pass:
//!
//! ```text
//! floor = max(flops / peak, bytes of weights that have to be streamed / bandwidth at the size of those weights)
//! ```
//!
//! Every step reads `w_hh` once; `w_ih` need only be read once per call. The floor knows no activations, no
//! latencies and no packing, so small shapes stay away from it, and so do training passes, which pack and move a tape.

use std::hint::black_box;
use std::time::{Duration, Instant};

use recurrent::{Backward, Forward, ForwardTrain, Gradients, Isa, Sequences};

mod common;
use common::{SEQUENCES, STEPS, TRAINING, for_each_cell, random, step_madds, weights};

/// Loops that the compiler cannot improve upon, as wide as the CPU's vectors.
trait Probe {
    /// Runs `rounds` rounds of independent chains; returns the number of multiply-adds and something to use.
    fn chains(&self, rounds: usize) -> (u64, f32);
    /// Reads a slice once, a multiple of `STRIDE` long.
    fn read(&self, data: &[f32]) -> f32;
}

/// Slices to read are whole numbers of so many elements.
const STRIDE: usize = 256;

/// `f32::mul_add` and whatever the compiler makes of it.
struct Portable;

impl Probe for Portable {
    fn chains(&self, rounds: usize) -> (u64, f32) {
        let (a, b) = (black_box(0.999_f32), black_box(0.001_f32));
        let mut acc = [1.0_f32; 64];
        for _ in 0..rounds {
            for acc in &mut acc {
                *acc = a.mul_add(*acc, b);
            }
        }
        (rounds as u64 * 64, acc.iter().sum())
    }

    fn read(&self, data: &[f32]) -> f32 {
        let mut acc = [0.0_f32; 64];
        for chunk in data.chunks_exact(64) {
            for (acc, x) in acc.iter_mut().zip(chunk) {
                *acc += x;
            }
        }
        acc.iter().sum()
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! vector {
    (8) => {
        std::arch::x86_64::__m256
    };
    (16) => {
        std::arch::x86_64::__m512
    };
}

/// Writes a probe with vector intrinsics.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_probe {
    ($name:ident, $feature:literal, $lanes:tt, $set1:ident, $fmadd:ident, $add:ident, $load:ident, $store:ident) => {
        /// Made only where the CPU has the features.
        struct $name(());

        impl $name {
            #[target_feature(enable = $feature)]
            fn chains_vector(rounds: usize) -> (u64, f32) {
                use std::arch::x86_64::*;
                const CHAINS: usize = 12;
                let (a, b) = ($set1(black_box(0.999)), $set1(black_box(0.001)));
                let mut acc = [$set1(1.0); CHAINS];
                for _ in 0..rounds {
                    for acc in &mut acc {
                        *acc = $fmadd(a, *acc, b);
                    }
                }
                let sum = acc.into_iter().reduce(|x, y| $add(x, y)).unwrap();
                ((rounds * CHAINS * $lanes) as u64, Self::first(sum))
            }

            #[target_feature(enable = $feature)]
            fn read_vector(data: &[f32]) -> f32 {
                use std::arch::x86_64::*;
                const ACCUMULATORS: usize = 8;
                let mut acc = [$set1(0.0); ACCUMULATORS];
                for chunk in data.chunks_exact($lanes * ACCUMULATORS) {
                    for (i, acc) in acc.iter_mut().enumerate() {
                        // SAFETY: `chunk` has `ACCUMULATORS` vectors of `$lanes` elements.
                        *acc = $add(*acc, unsafe { $load(chunk.as_ptr().add(i * $lanes)) });
                    }
                }
                Self::first(acc.into_iter().reduce(|x, y| $add(x, y)).unwrap())
            }

            #[target_feature(enable = $feature)]
            fn first(v: vector!($lanes)) -> f32 {
                use std::arch::x86_64::*;
                let mut out = [0.0; $lanes];
                // SAFETY: `out` has `$lanes` elements.
                unsafe { $store(out.as_mut_ptr(), v) };
                out[0]
            }
        }

        impl Probe for $name {
            fn chains(&self, rounds: usize) -> (u64, f32) {
                // SAFETY: the CPU has the features, as there is a `self`.
                unsafe { Self::chains_vector(rounds) }
            }
            fn read(&self, data: &[f32]) -> f32 {
                // SAFETY: the CPU has the features, as there is a `self`.
                unsafe { Self::read_vector(data) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_probe!(
    Avx2,
    "avx2,fma",
    8,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_add_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps
);
#[cfg(target_arch = "x86_64")]
x86_probe!(
    Avx512,
    "avx512f",
    16,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_add_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps
);

fn probes() -> Vec<(&'static str, Box<dyn Probe>)> {
    let mut probes: Vec<(&'static str, Box<dyn Probe>)> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            probes.push(("avx2", Box::new(Avx2(()))));
        }
        if is_x86_feature_detected!("avx512f") {
            probes.push(("avx512", Box::new(Avx512(()))));
        }
    }
    if probes.is_empty() {
        probes.push(("portable", Box::new(Portable)));
    }
    probes
}

/// How long to measure.
#[derive(Clone, Copy)]
struct Effort {
    sample: Duration,
    samples: usize,
}

impl Effort {
    /// Seconds per call: the best of several samples, because what disturbs a measurement only ever makes it longer.
    fn time(self, mut f: impl FnMut()) -> f64 {
        let mut calls = 1;
        loop {
            let took = measure(calls, &mut f);
            if took >= self.sample || took.is_zero() {
                break;
            }
            calls = (calls as f64 * (1.2 * self.sample.as_secs_f64() / took.as_secs_f64()).clamp(1.5, 100.0))
                as usize
                + 1;
        }
        (0..self.samples)
            .map(|_| measure(calls, &mut f).as_secs_f64() / calls as f64)
            .fold(f64::INFINITY, f64::min)
    }
}

fn measure(calls: usize, f: &mut impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        f();
    }
    start.elapsed()
}

/// The limits of this core.
struct Core {
    probe: Box<dyn Probe>,
    /// Floating-point operations per second.
    peak: f64,
    data: Vec<f32>,
    effort: Effort,
    known: Vec<(usize, f64)>,
}

impl Core {
    /// Bytes per second of reading so many bytes again and again.
    fn bandwidth(&mut self, bytes: usize) -> f64 {
        let len = bytes.div_ceil(4).next_multiple_of(STRIDE);
        if let Some(&(_, bandwidth)) = self.known.iter().find(|(known, _)| *known == len) {
            return bandwidth;
        }
        if self.data.len() < len {
            self.data = random(len, 1.0);
        }
        let seconds = self.effort.time(|| {
            black_box(self.probe.read(black_box(&self.data[..len])));
        });
        let bandwidth = (len * 4) as f64 / seconds;
        self.known.push((len, bandwidth));
        bandwidth
    }

    /// Prints a row: `seconds` against the floor.
    fn row(
        &mut self,
        what: &str,
        shape: &str,
        seconds: f64,
        madds: u64,
        (w_ih, w_hh, steps): (usize, usize, usize),
    ) {
        let compute = 2.0 * madds as f64 / self.peak;
        // In one step both matrices are the working set; in many, w_hh is, and w_ih passes by once.
        let held = if steps == 1 { w_ih + w_hh } else { w_hh };
        let bandwidth = self.bandwidth(held);
        let stream = (w_ih + steps * w_hh) as f64 / bandwidth;
        let (floor, bound) = if compute > stream { (compute, "compute") } else { (stream, "weights") };
        println!(
            "{what:<14} {shape:<14} {:>12.3} {:>12.3} {:>12.3}  {bound:<8} {:>5.0} %",
            seconds * 1e6,
            compute * 1e6,
            stream * 1e6,
            100.0 * floor / seconds
        );
    }
}

/// Size of a cache of the first core, from the kernel.
fn cache(level: usize) -> Option<usize> {
    (0..8).find_map(|index| {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index{index}/{name}"))
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let wanted = read("level")? == level.to_string() && read("type")? != "Instruction";
        wanted.then(|| read("size")?.strip_suffix('K')?.parse::<usize>().ok().map(|kib| kib << 10)).flatten()
    })
}

fn main() {
    // As with criterion, `cargo test --benches` only sees whether it runs.
    let full = std::env::args().any(|arg| arg == "--bench");
    let effort = if full {
        Effort { sample: Duration::from_millis(10), samples: 15 }
    } else {
        Effort { sample: Duration::ZERO, samples: 1 }
    };

    let mut fastest: Option<(f64, Box<dyn Probe>)> = None;
    for (name, probe) in probes() {
        let rounds = 10_000;
        let mut madds = 0;
        let seconds = effort.time(|| {
            let (count, sum) = probe.chains(rounds);
            black_box(sum);
            madds = count;
        });
        let peak = 2.0 * madds as f64 / seconds;
        println!("fused multiply-adds, {name}: {:.1} GFLOP/s", peak / 1e9);
        if fastest.as_ref().is_none_or(|(best, _)| peak > *best) {
            fastest = Some((peak, probe));
        }
    }
    let (peak, probe) = fastest.expect("there is always a probe");
    let mut core = Core { probe, peak, data: Vec::new(), effort, known: Vec::new() };

    let l3 = cache(3).unwrap_or(8 << 20);
    let levels = [
        ("L1", cache(1).unwrap_or(32 << 10) / 2),
        ("L2", cache(2).unwrap_or(512 << 10) / 2),
        ("L3", l3 / 4),
        ("memory", (8 * l3).min(1 << 28)),
    ];
    for (name, bytes) in levels {
        println!("reads, {name} ({} KiB): {:.1} GB/s", bytes >> 10, core.bandwidth(bytes) / 1e9);
    }

    println!(
        "\n{:<14} {:<14} {:>12} {:>12} {:>12}  {:<8} {:>7}",
        "pass", "shape", "us", "compute us", "weights us", "bound", "of it"
    );
    for_each_cell!(Layer, cell, gates => {
        for (input, hidden) in STEPS {
            let layer = Layer::new(input, hidden);
            let weights = weights(layer.weights_len(), hidden);
            let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
            let x = random(input, 1.0);
            let mut state = vec![0.0; layer.state_len(1)];
            let mut scratch = vec![0.0; layer.scratch_len(1, 1)];
            let seconds = effort.time(|| layer.step(&packed, &x, &mut state, &mut scratch).unwrap());
            let bytes = (4 * gates * hidden * input, 4 * gates * hidden * hidden, 1);
            core.row(&format!("{cell}_step"), &format!("{input}x{hidden}"), seconds, step_madds(gates, input, hidden), bytes);
        }
        for (batch, steps, hidden) in SEQUENCES {
            let layer = Layer::new(hidden, hidden);
            let weights = weights(layer.weights_len(), hidden);
            let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
            let x = random(steps * batch * hidden, 1.0);
            let mut y = vec![0.0; steps * batch * hidden];
            let mut state = vec![0.0; layer.state_len(batch)];
            let mut scratch = vec![0.0; layer.scratch_len(steps, batch)];
            let seconds = effort.time(|| {
                let (x, y, state, scratch) = (&x[..], &mut y[..], &mut state[..], &mut scratch[..]);
                layer.forward(&packed, Forward { sequences: Sequences::new(steps, batch), x, y, state, scratch }).unwrap();
            });
            let madds = (batch * steps) as u64 * step_madds(gates, hidden, hidden);
            let bytes = 4 * gates * hidden * hidden;
            core.row(&format!("{cell}_forward"), &format!("b{batch}t{steps}h{hidden}"), seconds, madds, (bytes, bytes, steps));
        }
        for (batch, steps, hidden) in TRAINING {
            let layer = Layer::new(hidden, hidden);
            let weights = weights(layer.weights_len(), hidden);
            let x = random(steps * batch * hidden, 1.0);
            let dy = random(steps * batch * hidden, 0.1);
            let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
            let mut grads = vec![0.0; weights.len()];
            let mut state = vec![0.0; layer.state_len(batch)];
            let mut dstate = vec![0.0; layer.state_len(batch)];
            let mut tape = vec![0.0; layer.tape_len(steps, batch)];
            let mut scratch = vec![0.0; layer.train_scratch_len(batch)];
            let seconds = effort.time(|| {
                let (x, state, tape, scratch) = (&x[..], &mut state[..], &mut tape[..], &mut scratch[..]);
                let forward = ForwardTrain { sequences: Sequences::new(steps, batch), x, y: &mut y, state, recurrent_dropout: None, tape, scratch };
                layer.forward_train(&weights, forward).unwrap();
                dstate.fill(0.0);
                let backward = Backward {
                    sequences: Sequences::new(steps, batch),
                    x,
                    y: &y,
                    dy: &dy,
                    dstate: &mut dstate,
                    dx: Some(&mut dx),
                    grads: Some(&mut grads),
                    mode: Gradients::Overwrite,
                    recurrent_dropout: None,
                    tape,
                    scratch,
                };
                layer.backward(&weights, backward).unwrap();
            });
            let madds = 3 * (batch * steps) as u64 * step_madds(gates, hidden, hidden);
            let bytes = 4 * gates * hidden * hidden;
            // Both directions stream w_hh.
            core.row(&format!("{cell}_train"), &format!("b{batch}t{steps}h{hidden}"), seconds, madds, (2 * bytes, bytes, 2 * steps));
        }
    });
    println!("\ninstruction set: {}", Isa::detect().name());
}
