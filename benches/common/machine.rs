//! Measures what one core can do: its peak of fused multiply-adds, and the bandwidth of reading a buffer of a
//! given size repeatedly. They give a lower bound for the time of a pass:
//!
//! ```text
//! floor = max(flops / peak,
//!             bytes of weights that have to be streamed / bandwidth at the size of those weights)
//! ```
//!
//! Every step reads `w_hh` once; `w_ih` has to be read only once per call. The floor ignores activations,
//! latencies and packing. So small shapes do not reach it, and neither does training, which packs and moves a
//! tape.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Loops as wide as the CPU's vectors, which the compiler cannot improve.
trait Probe {
    /// Runs `rounds` rounds of independent chains. Returns the number of multiply-adds, and a value that uses
    /// all results.
    fn chains(&self, rounds: usize) -> (u64, f32);
    /// Reads a slice once. Its length is a multiple of `STRIDE`.
    fn read(&self, data: &[f32]) -> f32;
}

/// The length of slices for `read` is a multiple of this.
const STRIDE: usize = 256;

/// Elements in a cache line.
const LINE: usize = 16;

/// `f32::mul_add`, as the compiler translates it.
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

/// Implements a probe with vector intrinsics.
#[cfg(target_arch = "x86_64")]
macro_rules! x86_probe {
    ($name:ident, $feature:literal, $lanes:tt, $set1:ident, $fmadd:ident, $add:ident, $load:ident, $store:ident) => {
        /// Only constructed if the CPU has the features.
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
                // SAFETY: a `self` exists only if the CPU has the features.
                unsafe { Self::chains_vector(rounds) }
            }
            fn read(&self, data: &[f32]) -> f32 {
                // SAFETY: a `self` exists only if the CPU has the features.
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
pub struct Effort {
    pub sample: Duration,
    pub samples: usize,
}

impl Effort {
    /// Seconds per call: the minimum of several samples, because disturbances only ever make a measurement
    /// longer.
    pub fn time(self, mut f: impl FnMut()) -> f64 {
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
        // Long calls get as many samples as fit into a second, but at least three.
        let enough = 100 * self.sample;
        let (mut best, mut spent) = (Duration::MAX, Duration::ZERO);
        for sample in 0..self.samples {
            if sample >= 3 && spent > enough {
                break;
            }
            let took = measure(calls, &mut f);
            best = best.min(took);
            spent += took;
        }
        best.as_secs_f64() / calls as f64
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
pub struct Core {
    probe: Box<dyn Probe>,
    /// The instruction set that reached the peak.
    pub name: &'static str,
    /// Floating-point operations per second.
    pub peak: f64,
    data: Vec<f32>,
    effort: Effort,
    known: Vec<(usize, f64)>,
}

/// The arithmetic and the memory traffic that a pass cannot avoid.
#[derive(Clone, Copy)]
pub struct Work {
    pub madds: u64,
    /// Bytes of each matrix of weights; `w_hh` is read once in each of `steps` steps.
    pub w_ih: usize,
    pub w_hh: usize,
    pub steps: usize,
}

impl Work {
    /// A forward pass of a cell with `gates` gates.
    pub fn forward(gates: usize, batch: usize, steps: usize, input: usize, hidden: usize) -> Work {
        let madds = (steps * batch * gates * hidden * (input + hidden)) as u64;
        Work { madds, w_ih: 4 * gates * hidden * input, w_hh: 4 * gates * hidden * hidden, steps }
    }

    /// Forward and backward: three times the products of forward, and both directions read the weights.
    pub fn train(gates: usize, batch: usize, steps: usize, input: usize, hidden: usize) -> Work {
        let Work { madds, w_ih, w_hh, steps } = Work::forward(gates, batch, steps, input, hidden);
        Work { madds: 3 * madds, w_ih: 2 * w_ih, w_hh, steps: 2 * steps }
    }
}

impl Core {
    /// Measures the peak of every available instruction set, and keeps the highest.
    pub fn new(effort: Effort) -> Core {
        let measured = probes().into_iter().map(|(name, probe)| {
            let mut madds = 0;
            let seconds = effort.time(|| {
                let (count, sum) = probe.chains(10_000);
                black_box(sum);
                madds = count;
            });
            (2.0 * madds as f64 / seconds, name, probe)
        });
        let (peak, name, probe) =
            measured.max_by(|a, b| a.0.total_cmp(&b.0)).expect("there is always a probe");
        Core { probe, name, peak, data: Vec::new(), effort, known: Vec::new() }
    }

    /// Bytes per second when `bytes` bytes are read repeatedly.
    pub fn bandwidth(&mut self, bytes: usize) -> f64 {
        let len = bytes.div_ceil(4).next_multiple_of(STRIDE);
        if let Some(&(_, bandwidth)) = self.known.iter().find(|(known, _)| *known == len) {
            return bandwidth;
        }
        if self.data.len() < len + LINE {
            self.data = vec![1.0; len + LINE];
        }
        // Start at a cache line: a vector that crosses two lines takes twice as long.
        let start = self.data.as_ptr().align_offset(4 * LINE);
        let seconds = self.effort.time(|| {
            black_box(self.probe.read(black_box(&self.data[start..start + len])));
        });
        let bandwidth = (len * 4) as f64 / seconds;
        self.known.push((len, bandwidth));
        bandwidth
    }

    /// The minimal seconds for the multiply-adds, and those for reading the weights.
    pub fn floors(&mut self, work: Work) -> (f64, f64) {
        let Work { madds, w_ih, w_hh, steps } = work;
        // With one step, both matrices are in the working set. With many steps it is only w_hh, and w_ih is
        // read once.
        let held = if steps == 1 { w_ih + w_hh } else { w_hh };
        (2.0 * madds as f64 / self.peak, (w_ih + steps * w_hh) as f64 / self.bandwidth(held))
    }
}
