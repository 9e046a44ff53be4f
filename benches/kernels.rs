//! Kernels that the benches of cells do not measure alone: `cargo bench --bench kernels -- tanh`.
//!
//! `outer` measures weight gradients. On `scalar`, large ones go through `matrixmultiply`, which detects the
//! CPU itself. So the lines of `scalar` compare it with this crate's own kernel on the other sets. Both
//! include the gradient of the bias.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::{Backward, Dense, DenseBackward, ForwardTrain, Gradients, Isa, Lstm, Sequences, softmax};

mod common;
use common::{affordable, random, weights};

/// A dense layer without inputs: only biases and an activation.
fn activations(c: &mut Criterion) {
    const COUNT: usize = 1024;
    let plain = Dense::new(0, COUNT);
    for (name, layer) in [("bias", plain), ("tanh", plain.tanh()), ("sigmoid", plain.sigmoid())] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(COUNT as u64));
        for isa in Isa::available() {
            let layer = layer.on(isa);
            let (biases, mut y) = (random(COUNT, 6.0), vec![0.0; COUNT]);
            let packed = layer.pack(&biases, vec![0.0; layer.packed_len()]).unwrap();
            let mut scratch = vec![0.0; layer.scratch_len()];
            group.bench_function(BenchmarkId::new(isa.name(), COUNT), |b| {
                b.iter(|| layer.forward(&packed, 1, &[], &mut y, &mut scratch).unwrap());
            });
        }
        group.finish();
    }
}

fn softmaxes(c: &mut Criterion) {
    let mut group = c.benchmark_group("softmax");
    for (rows, classes) in [(1, 96), (32, 96), (32, 10_000)] {
        let (x, mut y) = (random(rows * classes, 4.0), vec![0.0; rows * classes]);
        group.throughput(Throughput::Elements((rows * classes) as u64));
        group.bench_function(BenchmarkId::new(Isa::detect().name(), format!("{rows}x{classes}")), |b| {
            b.iter(|| softmax(classes, &x, &mut y).unwrap());
        });
    }
    group.finish();
}

fn packing(c: &mut Criterion) {
    let mut group = c.benchmark_group("pack");
    for isa in Isa::available() {
        for hidden in [32, 128, 512] {
            let layer = Lstm::new(hidden, hidden).on(isa);
            let weights = weights(layer.weights_len(), hidden);
            let mut room = vec![0.0; layer.packed_len()];
            group.throughput(Throughput::Bytes(4 * weights.len() as u64));
            group.bench_function(BenchmarkId::new(isa.name(), format!("lstm_h{hidden}")), |b| {
                b.iter(|| layer.pack(&weights, &mut room[..]).unwrap().isa());
            });
        }
    }
    group.finish();
}

/// Sums over `k` rows, for `m` outputs and `n` inputs of a dense layer.
fn outer(c: &mut Criterion) {
    let mut group = c.benchmark_group("outer");
    for isa in Isa::available().filter(|isa| isa.name() != "fused") {
        for (m, k, n) in [
            (32, 32, 32),
            (64, 64, 32),
            (64, 64, 64),
            (64, 512, 64),
            (128, 128, 128),
            (128, 3200, 32),
            (512, 32, 128),
            (512, 3200, 128),
            (1024, 3200, 256),
            (2048, 3200, 512),
        ] {
            let layer = Dense::new(n, m).on(isa);
            let (weights, x) = (random(layer.weights_len(), 0.1), random(k * n, 1.0));
            let (mut dy, mut grads) = (random(k * m, 1.0), vec![0.0; layer.weights_len()]);
            let mut scratch = vec![0.0; layer.scratch_len()];
            group.throughput(Throughput::Elements((m * k * n) as u64));
            group.bench_function(BenchmarkId::new(isa.name(), format!("{m}x{k}x{n}")), |b| {
                b.iter(|| {
                    let (dy, grads) = (&mut dy[..], Some(&mut grads[..]));
                    let args = DenseBackward {
                        rows: k,
                        x: &x,
                        y: &[],
                        dy,
                        dx: None,
                        grads,
                        mode: Gradients::Overwrite,
                        scratch: &mut scratch,
                    };
                    layer.backward(&weights, args).unwrap();
                });
            });
        }
    }
    group.finish();
}

/// All gradients of a batch: complete, and with one row that ends a step early, so that rows are not at equal
/// distances in memory.
fn padding(c: &mut Criterion) {
    let mut group = c.benchmark_group("lstm_backward");
    group.sample_size(20);
    let (steps, batch, hidden) = (50, 32, 128);
    let mut lengths = vec![steps; batch];
    lengths[3] -= 1;
    let madds = (steps * batch * 8 * hidden * hidden) as u64;
    for isa in Isa::available().filter(|&isa| affordable(isa, madds)) {
        let whole = Sequences::new(steps, batch);
        for (name, sequences) in [("whole", whole), ("ragged", whole.lengths(&lengths))] {
            let layer = Lstm::new(hidden, hidden).on(isa);
            let weights = weights(layer.weights_len(), hidden);
            let x = random(steps * batch * hidden, 1.0);
            let mut y = vec![0.0; x.len()];
            let mut tape = vec![0.0; layer.tape_len(steps, batch)];
            let mut scratch = vec![0.0; layer.train_scratch_len(batch)];
            let (mut state, mut dstate) =
                (vec![0.0; layer.state_len(batch)], vec![0.0; layer.state_len(batch)]);
            let (mut dx, mut grads) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
            group.throughput(Throughput::Elements(2 * madds));
            let id = BenchmarkId::new(isa.name(), format!("{name}_b{batch}t{steps}h{hidden}"));
            group.bench_function(id, |b| {
                let (y, tape, scratch) = (&mut y[..], &mut tape[..], &mut scratch[..]);
                let forward = ForwardTrain {
                    sequences,
                    x: &x,
                    y,
                    state: &mut state,
                    tape,
                    scratch,
                    ..Default::default()
                };
                layer.forward_train(&weights, forward).unwrap();
                let kept = tape.to_vec();
                // The pass overwrites the tape. Restoring it takes a few per cent of the time.
                b.iter(|| {
                    tape.copy_from_slice(&kept);
                    let (dx, grads) = (Some(&mut dx[..]), Some(&mut grads[..]));
                    let dstate = &mut dstate[..];
                    let args = Backward {
                        sequences,
                        x: &x,
                        y,
                        dy: &x,
                        dstate,
                        dx,
                        grads,
                        tape,
                        scratch,
                        ..Default::default()
                    };
                    layer.backward(&weights, args).unwrap();
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, activations, softmaxes, packing, outer, padding);
criterion_main!(benches);
