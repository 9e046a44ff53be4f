//! Forward and backward through time, with all gradients: `cargo bench --bench training -- lstm_train/avx2`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::{Backward, ForwardTrain, Gradients, Isa, Sequences};

mod common;
use common::{TRAINING, affordable, for_each_cell, random, step_madds, weights};

fn training(c: &mut Criterion) {
    for_each_cell!(Layer, cell, gates => {
        let mut group = c.benchmark_group(format!("{cell}_train"));
        group.sample_size(10);
        for isa in Isa::available() {
            for (batch, steps, hidden) in TRAINING {
                // The backward pass has two products for each product of the forward pass.
                let madds = 3 * (batch * steps) as u64 * step_madds(gates, hidden, hidden);
                if !affordable(isa, madds) {
                    continue;
                }
                let layer = Layer::new(hidden, hidden).on(isa);
                let weights = weights(layer.weights_len(), hidden);
                let x = random(steps * batch * hidden, 1.0);
                let dy = random(steps * batch * hidden, 0.1);
                let mut y = vec![0.0; dy.len()];
                let mut dx = vec![0.0; x.len()];
                let mut grads = vec![0.0; weights.len()];
                let mut state = vec![0.0; layer.state_len(batch)];
                let mut dstate = vec![0.0; layer.state_len(batch)];
                let mut tape = vec![0.0; layer.tape_len(steps, batch)];
                let mut scratch = vec![0.0; layer.train_scratch_len(batch)];
                group.throughput(Throughput::Elements(madds));
                group.bench_function(BenchmarkId::new(isa.name(), format!("b{batch}t{steps}h{hidden}")), |b| {
                    b.iter(|| {
                        let forward = ForwardTrain {
                            sequences: Sequences::new(steps, batch),
                            x: &x,
                            y: &mut y,
                            state: &mut state,
                            recurrent_dropout: None,
                            layer_dropout: None,
                            tape: &mut tape,
                            scratch: &mut scratch,
                        };
                        layer.forward_train(&weights, forward).unwrap();
                        dstate.fill(0.0);
                        let backward = Backward {
                            sequences: Sequences::new(steps, batch),
                            x: &x,
                            y: &y,
                            dy: &dy,
                            dstate: &mut dstate,
                            dx: Some(&mut dx),
                            grads: Some(&mut grads),
                            mode: Gradients::Overwrite,
                            recurrent_dropout: None,
                            layer_dropout: None,
                            tape: &mut tape,
                            scratch: &mut scratch,
                        };
                        layer.backward(&weights, backward).unwrap();
                    });
                });
            }
        }
        group.finish();
    });
}

criterion_group!(benches, training);
criterion_main!(benches);
