//! Passes on one thread and on several threads: `cargo bench --bench threads --features rayon`. Throughput is
//! in multiply-adds of the products.
//!
//! `hand over` is the time of a call on an idle pool, from inside and from outside of it. Together with the
//! time of `forward` it shows from how many multiply-adds on a batch is worth cutting (`LEAST_WORK` in
//! src/layer/join.rs, such that handing over takes a few per cent). The first shapes are single streams.
//! Their units are cut in each step, except with 256 units (`LEAST_STEP` in the same file). `levels` are
//! stacks whose levels run at the same time, if neither rows nor units are cut (`HAND_OVER`, `LEAST_GAIN` and
//! `LEAST_STEPS` in src/layer/recurrent/overlap.rs). The gain of a second thread shows on a machine with two
//! otherwise idle cores. Whole updates, by rows and by shards, are in `model`.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{random, step_madds, weights};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::{Backward, Cell, Forward, ForwardTrain, Gru, Join, Lstm, Rayon, Rnn, Sequences, Stack};

/// Batch, steps, input, hidden.
const SHAPES: [(usize, usize, usize, usize); 9] = [
    (1, 100, 256, 256),
    (1, 100, 512, 512),
    (1, 100, 1024, 1024),
    (8, 20, 32, 32),
    (8, 100, 64, 64),
    (16, 100, 128, 128),
    (32, 100, 128, 128),
    (32, 100, 512, 512),
    (128, 100, 128, 128),
];
const THREADS: [usize; 2] = [1, 2];

fn within<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

fn hand_over(c: &mut Criterion) {
    let mut group = c.benchmark_group("hand over");
    let join = || Rayon.join(&mut || (), &mut || ());
    // The sleep is long enough for the other thread to fall asleep.
    let idle = |rounds: u64| {
        (0..rounds)
            .map(|_| {
                std::thread::sleep(Duration::from_millis(2));
                let start = std::time::Instant::now();
                join();
                start.elapsed()
            })
            .sum()
    };
    // The time until the other thread has started.
    let begun = |rounds: u64| {
        (0..rounds)
            .map(|_| {
                let (begun, mut took) = (AtomicBool::new(false), Duration::ZERO);
                std::thread::sleep(Duration::from_millis(2));
                let start = std::time::Instant::now();
                let mut wait = || {
                    while !begun.load(Ordering::Acquire) {
                        std::hint::spin_loop();
                    }
                    took = start.elapsed();
                };
                Rayon.join(&mut wait, &mut || begun.store(true, Ordering::Release));
                took
            })
            .sum()
    };
    group.sample_size(20);
    group.bench_function("inside, idle, until it begins", |b| within(2, || b.iter_custom(begun)));
    group.bench_function("inside, busy", |b| within(2, || b.iter(join)));
    group.bench_function("inside, idle", |b| within(2, || b.iter_custom(idle)));
    group.bench_function("outside, idle", |b| b.iter_custom(idle));
    group.finish();
}

fn passes(c: &mut Criterion) {
    for (batch, steps, input, hidden) in SHAPES {
        let layer = Lstm::new(input, hidden);
        let (weights, sequences) = (weights(layer.weights_len(), hidden), Sequences::new(steps, batch));
        let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
        let x = random(steps * batch * input, 1.0);
        let (mut y, mut state) = (vec![0.0; steps * batch * hidden], vec![0.0; layer.state_len(batch)]);
        let (mut dstate, mut grads) = (state.clone(), vec![0.0; weights.len()]);
        let (mut dx, mut tape) = (x.clone(), vec![0.0; layer.tape_len(steps, batch)]);
        let madds = (steps * batch) as u64 * step_madds(4, input, hidden);
        let name = format!("B{batch} T{steps} I{input} H{hidden}");
        for threads in THREADS {
            let len = layer.scratch_len_with(threads, steps, batch);
            let mut scratch = vec![0.0; len.max(layer.train_scratch_len_with(threads, steps, batch))];
            let mut group = c.benchmark_group("forward");
            group.sample_size(10).throughput(Throughput::Elements(madds));
            group.bench_function(BenchmarkId::new(format!("{threads} threads"), &name), |b| {
                within(threads, || {
                    b.iter(|| {
                        let args =
                            Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
                        layer.forward_with(&Rayon, &packed, args).unwrap();
                    })
                });
            });
            group.finish();
            let mut group = c.benchmark_group("forward and backward");
            group.sample_size(10).throughput(Throughput::Elements(3 * madds));
            group.bench_function(BenchmarkId::new(format!("{threads} threads"), &name), |b| {
                within(threads, || {
                    b.iter(|| {
                        let args = ForwardTrain {
                            sequences,
                            x: &x,
                            y: &mut y,
                            state: &mut state,
                            tape: &mut tape,
                            scratch: &mut scratch,
                            ..Default::default()
                        };
                        layer.forward_train_with(&Rayon, &weights, args).unwrap();
                        let args = Backward {
                            sequences,
                            x: &x,
                            y: &y,
                            dy: &y,
                            dstate: &mut dstate,
                            dx: Some(&mut dx),
                            grads: Some(&mut grads),
                            tape: &mut tape,
                            scratch: &mut scratch,
                            ..Default::default()
                        };
                        layer.backward_with(&Rayon, &weights, args).unwrap();
                    })
                });
            });
            group.finish();
        }
    }
}

/// A stack of layers with as many inputs as units.
fn stack<C: Cell>(c: &mut Criterion, name: &str, stack: Stack<C>, gates: usize, batch: usize, steps: usize) {
    let (hidden, depth, sequences) = (stack.output(), stack.depth(), Sequences::new(steps, batch));
    let weights = weights(stack.weights_len(), hidden);
    let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
    let x = random(steps * batch * hidden, 1.0);
    let (mut y, mut state) = (vec![0.0; x.len()], vec![0.0; stack.state_len(batch)]);
    let mut group = c.benchmark_group("levels");
    let madds = (depth * steps * batch) as u64 * step_madds(gates, hidden, hidden);
    group.sample_size(10).throughput(Throughput::Elements(madds));
    for threads in THREADS {
        let mut scratch = vec![0.0; stack.scratch_len_with(threads, steps, batch)];
        let name = format!("{name} x{depth} B{batch} T{steps} H{hidden}");
        group.bench_function(BenchmarkId::new(format!("{threads} threads"), name), |b| {
            within(threads, || {
                b.iter(|| {
                    let args =
                        Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
                    stack.forward_with(&Rayon, &packed, args).unwrap();
                })
            });
        });
    }
    group.finish();
}

fn levels(c: &mut Criterion) {
    for hidden in [32, 64, 128, 256] {
        let layer = Lstm::new(hidden, hidden);
        stack(c, "LSTM", Stack::new(layer).layers(2), 4, 1, 100);
        stack(c, "LSTM", Stack::new(layer).layers(2), 4, 1, 1000);
        stack(c, "LSTM", Stack::new(layer).layers(4), 4, 1, 100);
        stack(c, "LSTM", Stack::new(layer).layers(2), 4, 4, 100);
        stack(c, "GRU", Stack::new(Gru::new(hidden, hidden)).layers(2), 3, 1, 100);
        stack(c, "RNN", Stack::new(Rnn::new(hidden, hidden)).layers(2), 1, 1, 100);
    }
}

criterion_group!(benches, hand_over, passes, levels);
criterion_main!(benches);
