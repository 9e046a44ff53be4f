//! Updates of a whole model: `cargo bench --bench model --features rayon`. The number of shards affects the
//! computation; the number of threads does not. Threads share the rows of a single shard; with several shards
//! each thread takes whole ones. Throughput is in ids.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::Sequences;
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::Adam;
use recurrent::trainer::{Batch, Trainer};

const MODEL: Model<4> = Model::new([
    Layer::embedding(96, 64),
    Layer::lstm(64, 256),
    Layer::lstm(256, 256),
    Layer::dense(256, 96),
]);
const STEPS: usize = 64;
const BATCH: usize = 64;

/// Runs in a pool of `threads` threads, if the feature `rayon` is on.
#[cfg(feature = "rayon")]
fn within<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

#[cfg(not(feature = "rayon"))]
fn within<T>(_: usize, run: impl FnOnce() -> T) -> T {
    run()
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("update");
    group.sample_size(10).throughput(Throughput::Elements((STEPS * BATCH) as u64));
    let ids: Vec<u32> = (0..STEPS as u32 * BATCH as u32 + 1).map(|i| i * i % 96).collect();
    let (x, next) = ids.split_at(STEPS * BATCH);
    let targets = [&x[1..], next].concat();
    for threads in if cfg!(feature = "rayon") { &[1, 2][..] } else { &[1] } {
        for shards in [1, 2, 4, 8] {
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            let mut trainer =
                Trainer::new(&MODEL, Adam::new(1e-3), &mut rng).unwrap().shards(shards).clip(5.0);
            let batch =
                Batch { sequences: Sequences::new(STEPS, BATCH), x: x.into(), loss: Loss::classes(&targets) };
            group.bench_function(
                BenchmarkId::new(format!("{threads} threads"), format!("{shards} shards")),
                |b| {
                    within(*threads, || b.iter(|| trainer.update(batch, &mut rng).unwrap()));
                },
            );
        }
    }
    group.finish();
}

criterion_group!(benches, updates);
criterion_main!(benches);
