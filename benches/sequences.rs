//! Whole sequences from packed weights: `cargo bench --bench sequences -- gru_forward/avx2`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::{Forward, Isa, Sequences};

mod common;
use common::{SEQUENCES, affordable, for_each_cell, random, step_madds, weights};

fn sequences(c: &mut Criterion) {
    for_each_cell!(Layer, cell, gates => {
        let mut group = c.benchmark_group(format!("{cell}_forward"));
        group.sample_size(10);
        for isa in Isa::available() {
            for (batch, steps, hidden) in SEQUENCES {
                let madds = (batch * steps) as u64 * step_madds(gates, hidden, hidden);
                if !affordable(isa, madds) {
                    continue;
                }
                let layer = Layer::new(hidden, hidden).on(isa);
                let weights = weights(layer.weights_len(), hidden);
                let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
                let x = random(steps * batch * hidden, 1.0);
                let mut y = vec![0.0; steps * batch * hidden];
                let mut state = vec![0.0; layer.state_len(batch)];
                let mut scratch = vec![0.0; layer.scratch_len(steps, batch)];
                group.throughput(Throughput::Elements(madds));
                group.bench_function(BenchmarkId::new(isa.name(), format!("b{batch}t{steps}h{hidden}")), |b| {
                    b.iter(|| {
                        let (x, y, state, scratch) = (&x[..], &mut y[..], &mut state[..], &mut scratch[..]);
                        layer.forward(&packed, Forward { sequences: Sequences::new(steps, batch), x, y, state, scratch }).unwrap();
                    });
                });
            }
        }
        group.finish();
    });
}

criterion_group!(benches, sequences);
criterion_main!(benches);
