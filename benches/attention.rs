//! Attention and dense layers: `cargo bench --bench attention -- additive/avx2`. An element is a
//! multiply-add; in the additive form each hyperbolic tangent counts as one, too.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Dense, Gradients, Isa, KeysBackward, Sequences,
};

mod common;
use common::{affordable, random};

/// Batch rows, steps of the encoder and of the decoder, and the number of features, which is the same
/// everywhere.
const SHAPES: [(usize, usize, usize, usize); 4] =
    [(1, 20, 1, 64), (32, 50, 1, 128), (32, 50, 50, 128), (16, 100, 100, 256)];

fn attention(c: &mut Criterion) {
    type Kind = (&'static str, fn(usize) -> Attention);
    let kinds: [Kind; 3] = [
        ("dot", Attention::dot),
        ("general", |n| Attention::general(n, n)),
        ("additive", |n| Attention::additive(n, n, n)),
    ];
    for (name, of) in kinds {
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        for isa in Isa::available() {
            for shape in SHAPES {
                passes(&mut group, of(shape.3).on(isa), shape);
            }
        }
        group.finish();
    }
}

/// Names of benches contain the pass and the shape.
fn passes(group: &mut BenchmarkGroup<'_, WallTime>, layer: Attention, shape: (usize, usize, usize, usize)) {
    let (batch, steps, queries, n) = shape;
    let isa = layer.isa();
    let of_keys = if layer.weights_len() == 0 { 0 } else { (batch * steps * n * n) as u64 };
    let projected = if layer.weights_len() > n * n { (batch * queries * n * n) as u64 } else { 0 };
    let products = (2 * batch * queries * steps * n) as u64 + projected;
    let id = |pass: &str| BenchmarkId::new(isa.name(), format!("{pass}_b{batch}s{steps}t{queries}n{n}"));
    if !affordable(isa, 2 * products.max(of_keys)) {
        return;
    }
    let weights = random(layer.weights_len(), 0.1);
    let (x, q) = (random(steps * batch * n, 1.0), random(queries * batch * n, 1.0));
    let (mut context, mut alignments) = (vec![0.0; q.len()], vec![0.0; queries * batch * steps]);
    let mut scratch = vec![0.0; layer.train_scratch_len(queries, steps, batch)];
    let mut room = vec![0.0; layer.keys_len(steps, batch)];
    let (encoder, sequences) = (Sequences::new(steps, batch), Sequences::new(queries, batch));
    group.throughput(Throughput::Elements(of_keys));
    group.bench_function(id("keys"), |b| {
        b.iter(|| layer.keys(&weights, encoder, &x, &mut room[..], &mut scratch).unwrap().isa());
    });
    let keys = layer.keys(&weights, encoder, &x, &mut room[..], &mut scratch).unwrap();
    group.throughput(Throughput::Elements(products));
    group.bench_function(id("forward"), |b| {
        b.iter(|| {
            let args = AttentionForward {
                sequences,
                queries: &q,
                context: &mut context,
                alignments: &mut alignments,
                scratch: &mut scratch,
            };
            layer.forward(&weights, &keys, args).unwrap();
        });
    });
    let (mut dqueries, mut dkeys) = (vec![0.0; q.len()], vec![0.0; layer.dkeys_len(steps, batch)]);
    let (mut dx, mut grads) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
    group.throughput(Throughput::Elements(2 * products));
    group.bench_function(id("backward"), |b| {
        b.iter(|| {
            dkeys.fill(0.0);
            let args = AttentionBackward {
                sequences,
                queries: &q,
                alignments: &alignments,
                dcontext: &context,
                dqueries: &mut dqueries,
                dkeys: &mut dkeys,
                grads: Some(&mut grads),
                mode: Gradients::Overwrite,
                scratch: &mut scratch,
            };
            layer.backward(&weights, &keys, args).unwrap();
        });
    });
    group.throughput(Throughput::Elements(2 * of_keys));
    group.bench_function(id("keys_backward"), |b| {
        b.iter(|| {
            let (dkeys, dx, grads) = (&mut dkeys[..], &mut dx[..], Some(&mut grads[..]));
            let mode = Gradients::Overwrite;
            let args = KeysBackward { x: &x, dkeys, dx, grads, mode, scratch: &mut scratch };
            layer.keys_backward(&weights, &keys, args).unwrap();
        });
    });
}

fn dense(c: &mut Criterion) {
    let mut group = c.benchmark_group("dense");
    for isa in Isa::available() {
        for (rows, input, output) in [(1, 64, 96), (1, 256, 256), (1, 512, 10000), (32, 256, 256)] {
            let madds = (rows * input * output) as u64;
            if !affordable(isa, madds) {
                continue;
            }
            let layer = Dense::new(input, output).on(isa);
            let weights = random(layer.weights_len(), 0.1);
            let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
            let (x, mut y) = (random(rows * input, 1.0), vec![0.0; rows * output]);
            let mut scratch = vec![0.0; layer.scratch_len()];
            group.throughput(Throughput::Elements(madds));
            let id = |how: &str| BenchmarkId::new(isa.name(), format!("{how}_r{rows}i{input}o{output}"));
            group.bench_function(id("packed"), |b| {
                b.iter(|| layer.forward(&packed, rows, &x, &mut y, &mut scratch).unwrap());
            });
            group.bench_function(id("canonical"), |b| {
                b.iter(|| layer.forward(&weights[..], rows, &x, &mut y, &mut scratch).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, attention, dense);
criterion_main!(benches);
