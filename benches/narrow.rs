//! Compares narrow weights with `f32` weights of the same layer: `cargo bench --bench narrow`. Arguments
//! select the shapes whose names contain them. With the argument `sets`, it measures all instruction sets
//! with vectors, and those with a dot product of bytes also without it. With `serve FOLDER`, it takes part in
//! the comparison with other libraries: see `serve`.
//!
//! The formats of a shape take turns, so that other work on the machine slows down all of them. Each row of
//! the table has the median time of a call in `f32`, in microseconds, and for each format the ratio to it.
//! The numbers in brackets are the largest error of the outputs against `f32` and their root mean square
//! error, over ten models with PyTorch's initial weights and normally distributed inputs.

use std::hint::black_box;
use std::time::Instant;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::{Cell, Forward, Gru, Isa, Lstm, Narrow, Packed, Recurrent, Sequences};

const FORMATS: [Narrow; 4] = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];
const ROUNDS: usize = 11;
const SEEDS: u64 = 10;

/// Rows, steps, and hidden units, which are also the inputs.
const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 32),
    (1, 1, 64),
    (1, 1, 128),
    (1, 1, 512),
    (1, 1, 1024),
    (1, 100, 32),
    (1, 100, 64),
    (1, 100, 128),
    (1, 100, 512),
    (32, 100, 32),
    (32, 100, 128),
    (32, 100, 512),
];

/// Uniform numbers between -`scale` and `scale`.
fn uniform(rng: &mut impl Rng, n: usize, scale: f32) -> Vec<f32> {
    (0..n).map(|_| ((rng.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0) * scale).collect()
}

/// Approximately normal numbers: each is a sum of twelve uniform ones.
fn normal(rng: &mut impl Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| uniform(rng, 12, 0.5).iter().sum()).collect()
}

/// A layer with packed weights and buffers.
struct Runner<C> {
    layer: Recurrent<C>,
    packed: Packed<Vec<f32>>,
    y: Vec<f32>,
    scratch: Vec<f32>,
}

impl<C: Cell> Runner<C> {
    fn new(layer: Recurrent<C>, weights: &[f32], (batch, steps, hidden): (usize, usize, usize)) -> Self {
        Runner {
            layer,
            packed: layer.pack(weights, vec![0.0; layer.packed_len()]).unwrap(),
            y: vec![0.0; steps * batch * hidden],
            scratch: vec![0.0; layer.scratch_len(steps, batch)],
        }
    }

    fn run(&mut self, sequences: Sequences<'_>, x: &[f32], state: &mut [f32]) {
        let Runner { layer, packed, y, scratch } = self;
        layer.forward(&*packed, Forward { sequences, x, y, state, scratch }).unwrap();
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn shape<C: Cell>(name: &str, wide: Recurrent<C>, shape: (usize, usize, usize), filter: &[String]) {
    let (batch, steps, hidden) = shape;
    let name = format!("{name} b{batch} t{steps} h{hidden}");
    if !filter.is_empty() && !filter.iter().any(|word| name.contains(word)) {
        return;
    }
    let sequences = Sequences::new(steps, batch);
    let mut errors = [(0f64, 0f64, 0usize); FORMATS.len()];
    let mut times = vec![Vec::new(); 1 + FORMATS.len()];
    for seed in 0..SEEDS {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let weights = uniform(&mut rng, wide.weights_len(), 1.0 / (hidden as f32).sqrt());
        let x = normal(&mut rng, steps * batch * hidden);
        let layers = std::iter::once(wide).chain(FORMATS.map(|format| wide.narrow(format)));
        let mut runners: Vec<_> = layers.map(|layer| Runner::new(layer, &weights, shape)).collect();
        let zeros = vec![0.0; wide.state_len(batch)];
        for runner in &mut runners {
            runner.run(sequences, &x, &mut zeros.clone());
        }
        let exact = runners[0].y.clone();
        for (sum, runner) in errors.iter_mut().zip(&runners[1..]) {
            for (y, exact) in runner.y.iter().zip(&exact) {
                let error = f64::from((y - exact).abs());
                *sum = (sum.0.max(error), sum.1 + error * error, sum.2 + 1);
            }
        }
        if seed > 0 {
            continue;
        }
        let mut state = zeros.clone();
        let started = Instant::now();
        runners[0].run(sequences, &x, &mut state);
        let calls = (0.02 / started.elapsed().as_secs_f64().max(1e-9)).clamp(1.0, 1e5) as usize;
        for _ in 0..ROUNDS {
            for (runner, times) in runners.iter_mut().zip(&mut times) {
                let started = Instant::now();
                for _ in 0..calls {
                    runner.run(sequences, black_box(&x), &mut state);
                }
                times.push(started.elapsed().as_secs_f64() / calls as f64);
            }
        }
    }
    let times: Vec<f64> = times.into_iter().map(median).collect();
    print!("| {name} | {:.2} |", times[0] * 1e6);
    for (time, (largest, squares, count)) in times[1..].iter().zip(errors) {
        print!(" {:.2} ({largest:.0e}, {:.0e}) |", time / times[0], (squares / count as f64).sqrt());
    }
    println!();
}

/// A layer in one format with its input.
trait Served {
    /// One call from a state of zeros. Returns the outputs.
    fn call(&mut self) -> &[f32];
}

struct Case<C> {
    runner: Runner<C>,
    sequences: Sequences<'static>,
    x: Vec<f32>,
    state: Vec<f32>,
}

impl<C: Cell> Served for Case<C> {
    fn call(&mut self) -> &[f32] {
        self.state.fill(0.0);
        self.runner.run(self.sequences, &self.x, &mut self.state);
        &self.runner.y
    }
}

/// All formats of a layer, `f32` first.
fn served<C: Cell + 'static>(
    wide: Recurrent<C>,
    weights: &[f32],
    x: &[f32],
    shape: (usize, usize, usize),
) -> Vec<Box<dyn Served>> {
    let layers = std::iter::once(wide).chain(FORMATS.map(|format| wide.narrow(format)));
    layers
        .map(|layer| -> Box<dyn Served> {
            Box::new(Case {
                runner: Runner::new(layer, weights, shape),
                sequences: Sequences::new(shape.1, shape.0),
                x: x.to_vec(),
                state: vec![0.0; wide.state_len(shape.0)],
            })
        })
        .collect()
}

/// The processor time of this process, in nanoseconds.
#[cfg(target_os = "linux")]
fn now() -> i64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is valid for writing, and the clock exists on Linux.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut at) }, 0, "no clock");
    at.tv_sec * 1_000_000_000 + at.tv_nsec
}

/// Answers requests from stdin with a line each, for `benches/peers/narrow.py`. First it prints the
/// instruction set. Files of raw `f32` are in the folder:
///
/// ```text
/// case CELL BATCH STEPS HIDDEN    builds the layers from the files `weights` and `x`
/// output FORMAT                   writes the outputs of one call into the file `out`
/// run FORMAT CALLS                nanoseconds of these calls
/// end
/// ```
#[cfg(target_os = "linux")]
fn serve(folder: &std::path::Path) {
    let read = |name: &str| -> Vec<f32> {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let isa = Isa::detect();
    println!("{}{}", isa.name(), if isa.has_dot_product() { " with a dot product" } else { "" });
    let mut cases = Vec::new();
    let place = |format: &str| FORMATS.iter().position(|f| f.name() == format).map_or(0, |i| i + 1);
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["case", cell, batch, steps, hidden] => {
                let [batch, steps, hidden] = [batch, steps, hidden].map(|n| n.parse().unwrap());
                let (weights, x, shape) = (read("weights"), read("x"), (batch, steps, hidden));
                cases = match cell {
                    "lstm" => served(Lstm::new(hidden, hidden), &weights, &x, shape),
                    _ => served(Gru::new(hidden, hidden), &weights, &x, shape),
                };
                println!("ready");
            }
            ["output", format] => {
                let y = cases[place(format)].call();
                let bytes: Vec<u8> = y.iter().flat_map(|y| y.to_le_bytes()).collect();
                std::fs::write(folder.join("out"), bytes).unwrap();
                println!("ready");
            }
            ["run", format, calls] => {
                let (case, start) = (&mut cases[place(format)], now());
                for _ in 0..calls.parse().unwrap() {
                    black_box(case.call());
                }
                println!("{}", now() - start);
            }
            _ => {
                println!("end");
                return;
            }
        }
    }
}

fn main() {
    let mut filter: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    #[cfg(target_os = "linux")]
    if let [serving, folder] = &filter[..]
        && serving == "serve"
    {
        return serve(folder.as_ref());
    }
    let all = filter.iter().any(|word| word == "sets");
    filter.retain(|word| word != "sets");
    let mut sets = vec![Isa::detect()];
    if all {
        let vectors = Isa::available().filter(|isa| !["scalar", "fused"].contains(&isa.name()));
        sets = vectors.flat_map(|isa| [isa.without_dot_product(), isa]).collect();
        sets.dedup();
    }
    for isa in sets {
        println!("set: {}{}", isa.name(), if isa.has_dot_product() { " with a dot product" } else { "" });
        print!("| case | f32, us |");
        FORMATS.iter().for_each(|format| print!(" {} of it |", format.name()));
        println!("\n|---|---|{}", "---|".repeat(FORMATS.len()));
        for of in SHAPES {
            shape("lstm", Lstm::new(of.2, of.2).on(isa), of, &filter);
            shape("gru", Gru::new(of.2, of.2).on(isa), of, &filter);
        }
    }
}
