//! The cost of options of a layer and of its sequences, compared with the layer without: `cargo bench --bench
//! options`.
//!
//! The layer is an LSTM or a GRU of 64 units over 64 inputs, with 16 rows of 50 steps. `plain` is the layer
//! without options. `train` is forward and backward. `benches/normalised_torch.py` measures layer
//! normalisation in PyTorch at the same sizes.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use recurrent::{
    Activation, Backward, Cell, Forward, ForwardTrain, Gradients, Gru, Isa, Lstm, LstmNorm, Masked, Merge,
    Sequences, Stack,
};

mod common;
use common::{random, weights};

const STEPS: usize = 50;
const BATCH: usize = 16;
const HIDDEN: usize = 64;

fn options(c: &mut Criterion) {
    let plain = Lstm::new(HIDDEN, HIDDEN);
    let lengths: Vec<usize> = (0..BATCH).map(|b| STEPS * (b + 1) / BATCH).collect();
    let mask: Vec<bool> = (0..STEPS * BATCH).map(|row| row * 7 % 10 != 0).collect();
    let whole = Sequences::new(STEPS, BATCH);
    let sigmoid = Activation::Sigmoid;
    let layers = [
        ("plain", plain, whole),
        ("reverse", plain.reverse(), whole),
        ("batch_major", plain, whole.batch_major()),
        ("lengths_half", plain, whole.lengths(&lengths)),
        ("mask_tenth", plain, whole.mask(&mask, Masked::Carry)),
        ("no_bias", plain.bias(false), whole),
        ("clip", plain.clip(3.0), whole),
        ("peepholes", plain.peepholes(), whole),
        ("coupled", plain.coupled(), whole),
        ("softsign", plain.activations(sigmoid, Activation::Softsign, Activation::Softsign), whole),
        ("projection_32", plain.projection(32), whole),
        ("layer_norm", plain.layer_norm(LstmNorm::Output), whole),
        ("layer_norm_state", plain.layer_norm(LstmNorm::State), whole),
    ];
    let mut group = c.benchmark_group("lstm_options");
    group.sample_size(20).throughput(Throughput::Elements((STEPS * BATCH) as u64));
    for isa in Isa::available().filter(|isa| isa.lanes() > Isa::SCALAR.lanes()) {
        for (name, layer, sequences) in layers {
            let stack = Stack::new(layer).on(isa);
            run(&mut group, BenchmarkId::new(isa.name(), name), stack, sequences);
        }
        let both = Stack::new(plain).bidirectional(Merge::Concat).on(isa);
        run(&mut group, BenchmarkId::new(isa.name(), "bidirectional"), both, whole);
        train(&mut group, BenchmarkId::new(isa.name(), "plain train"), Stack::new(plain).on(isa));
        let normalised = Stack::new(plain.layer_norm(LstmNorm::Output)).on(isa);
        train(&mut group, BenchmarkId::new(isa.name(), "layer_norm train"), normalised);
    }
    group.finish();

    let plain = Gru::new(HIDDEN, HIDDEN);
    let mut group = c.benchmark_group("gru_options");
    group.sample_size(20).throughput(Throughput::Elements((STEPS * BATCH) as u64));
    for isa in Isa::available().filter(|isa| isa.lanes() > Isa::SCALAR.lanes()) {
        for (name, layer) in [("plain", plain), ("layer_norm", plain.layer_norm())] {
            let stack = Stack::new(layer).on(isa);
            run(&mut group, BenchmarkId::new(isa.name(), name), stack, whole);
            train(&mut group, BenchmarkId::new(isa.name(), format!("{name} train")), stack);
        }
    }
    group.finish();
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn run<C: Cell>(group: &mut Group<'_>, id: BenchmarkId, stack: Stack<C>, sequences: Sequences<'_>) {
    let w = weights(stack.weights_len(), HIDDEN);
    let packed = stack.pack(&w, vec![0.0; stack.packed_len()]).unwrap();
    let x = random(STEPS * BATCH * HIDDEN, 1.0);
    let mut y = vec![0.0; STEPS * BATCH * stack.output()];
    let mut state = vec![0.0; stack.state_len(BATCH)];
    let mut scratch = vec![0.0; stack.scratch_len(STEPS, BATCH)];
    group.bench_function(id, |b| {
        b.iter(|| {
            let (x, y, state, scratch) = (&x[..], &mut y[..], &mut state[..], &mut scratch[..]);
            stack.forward(&packed, Forward { sequences, x, y, state, scratch }).unwrap();
        });
    });
}

fn train<C: Cell>(group: &mut Group<'_>, id: BenchmarkId, stack: Stack<C>) {
    let sequences = Sequences::new(STEPS, BATCH);
    let w = weights(stack.weights_len(), HIDDEN);
    let x = random(STEPS * BATCH * HIDDEN, 1.0);
    let dy = random(STEPS * BATCH * stack.output(), 0.1);
    let (mut y, mut dx, mut grads) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
    let (mut state, mut dstate) = (vec![0.0; stack.state_len(BATCH)], vec![0.0; stack.state_len(BATCH)]);
    let mut tape = vec![0.0; stack.tape_len(STEPS, BATCH)];
    let mut scratch = vec![0.0; stack.train_scratch_len(STEPS, BATCH)];
    group.bench_function(id, |b| {
        b.iter(|| {
            let forward = ForwardTrain {
                sequences,
                x: &x,
                y: &mut y,
                state: &mut state,
                recurrent_dropout: None,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            };
            stack.forward_train(&w, forward).unwrap();
            dstate.fill(0.0);
            let backward = Backward {
                sequences,
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
            stack.backward(&w, backward).unwrap();
        });
    });
}

criterion_group!(benches, options);
criterion_main!(benches);
