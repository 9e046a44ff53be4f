//! Connectionist temporal classification, forward and backward with its softmax: `cargo bench --bench ctc`.
//! `benches/ctc_torch.py` measures PyTorch's kernel at the same sizes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use recurrent::{Ctc, CtcBatch, Sequences};

mod common;
use common::random;

fn loss(c: &mut Criterion) {
    let mut group = c.benchmark_group("ctc");
    group.sample_size(20);
    for (steps, batch, classes, labels) in [(150, 32, 60, 30), (2000, 1, 60, 200)] {
        let ctc = Ctc::new(classes);
        let logits = random(steps * batch * classes, 2.0);
        let targets: Vec<u32> = (0..batch * labels).map(|i| 1 + (i * 17 % (classes - 1)) as u32).collect();
        let (mut dlogits, mut scratch) = (vec![0.0; logits.len()], vec![0.0; ctc.scratch_len(steps, labels)]);
        let target_lengths = vec![labels; batch];
        group.bench_function(
            BenchmarkId::from_parameter(format!("T{steps} B{batch} C{classes} S{labels}")),
            |b| {
                b.iter(|| {
                    ctc.loss(CtcBatch {
                        sequences: Sequences::new(steps, batch),
                        logits: black_box(&logits),
                        targets: &targets,
                        target_lengths: &target_lengths,
                        dlogits: Some(&mut dlogits),
                        losses: None,
                        scratch: &mut scratch,
                    })
                    .unwrap()
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, loss);
criterion_main!(benches);
