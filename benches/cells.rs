//! Latency of one step of one row: `cargo bench --bench cells -- lstm_step/avx2`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::Isa;

mod common;
use common::{STEPS, affordable, for_each_cell, random, step_madds, weights};

fn steps(c: &mut Criterion) {
    for_each_cell!(Layer, cell, gates => {
        let mut group = c.benchmark_group(format!("{cell}_step"));
        for isa in Isa::available() {
            for (input, hidden) in STEPS {
                let madds = step_madds(gates, input, hidden);
                if !affordable(isa, madds) {
                    continue;
                }
                let layer = Layer::new(input, hidden).on(isa);
                let weights = weights(layer.weights_len(), hidden);
                let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
                let x = random(input, 1.0);
                let mut state = vec![0.0; layer.state_len(1)];
                let mut scratch = vec![0.0; layer.scratch_len(1, 1)];
                group.throughput(Throughput::Elements(madds));
                group.bench_function(BenchmarkId::new(isa.name(), format!("{input}x{hidden}")), |b| {
                    b.iter(|| layer.step(&packed, &x, &mut state, &mut scratch).unwrap());
                });
            }
        }
        group.finish();
    });
}

criterion_group!(benches, steps);
criterion_main!(benches);
