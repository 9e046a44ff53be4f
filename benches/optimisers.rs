//! Updates of flat weights: `cargo bench --bench optimisers`. Throughput is in bytes that an update has to
//! move: every weight, gradient and moment that is read, and every weight and moment that is written.
//! `memory` moves as many bytes as Adam (four streams in, three out) and computes almost nothing: it shows
//! the limit of the machine.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::train::{Adam, AdamW, RmsProp, Sgd, clip_scale};

mod common;
use common::random;

/// Numbers of weights: a small model, which fits into the second-level cache, and a large one in memory.
const SIZES: [usize; 2] = [10_000, 8_000_000];
const F32: usize = size_of::<f32>();

fn updates(c: &mut Criterion) {
    for n in SIZES {
        let mut group = c.benchmark_group("update");
        group.sample_size(20);
        let (grads, mut weights) = (random(n, 1.0), random(n, 1.0));
        group.throughput(Throughput::Bytes((n * F32) as u64));
        group.bench_function(BenchmarkId::new("clip_scale", n), |b| {
            b.iter(|| clip_scale(black_box(&grads), 1.0).unwrap());
        });
        macro_rules! update {
            ($name:literal, $streams:literal, $optimiser:expr, $moments:expr) => {
                group.throughput(Throughput::Bytes(($streams * n * F32) as u64));
                let (optimiser, mut moments) = (&mut { $optimiser }, vec![0.0; $moments]);
                group.bench_function(BenchmarkId::new($name, n), |b| {
                    b.iter(|| optimiser.update_scaled(&mut weights, &grads, &mut moments, 0.5).unwrap());
                });
            };
        }
        update!("sgd", 3, Sgd::new(1e-3), 0);
        let momentum = Sgd { momentum: 0.9, ..Sgd::new(1e-3) };
        update!("momentum", 5, momentum, momentum.moments_len(n));
        update!("rmsprop", 5, RmsProp::new(1e-3), RmsProp::new(1e-3).moments_len(n));
        update!("adam", 7, Adam::new(1e-3), Adam::moments_len(n));
        update!("adamw", 7, AdamW::new(1e-3), AdamW::moments_len(n));

        let mut moments = random(2 * n, 1.0);
        group.throughput(Throughput::Bytes((7 * n * F32) as u64));
        group.bench_function(BenchmarkId::new("memory", n), |b| {
            b.iter(|| {
                let (m, v) = moments.split_at_mut(n);
                for (((w, g), m), v) in weights.iter_mut().zip(&grads).zip(m).zip(v) {
                    *w += g;
                    *m += g;
                    *v += g;
                }
            });
        });
        group.finish();
    }
}

criterion_group!(benches, updates);
criterion_main!(benches);
