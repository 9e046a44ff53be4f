//! Passes on several threads give the same bits as on one thread.

mod common;

use common::pool::{BATCH, Lists, Scoped, THREADS, forward, steps, vectors};
use common::{Kind, Layer, Random, assert_bits, random_weights};
use recurrent::model::{self, Chain, Model};
use recurrent::{
    Dense, Error, Forward, Gru, Isa, Join, Lstm, Merge, Narrow, Pool, Sequences, Sequential, Stack,
    WeightSource,
};

fn check_layer(layer: Layer, packs: bool, all: bool, numbers: &[usize], what: &str) {
    let random = &mut Random::new(3);
    let steps = steps(layer.weights_len());
    let (lists, weights) = (Lists::new(steps), random_weights(layer, random));
    let x = random.uniform(steps * BATCH * layer.input(), 1.0);
    let state = random.uniform(layer.state_len(BATCH), 0.9);
    let packed = layer.pack(&weights).unwrap();
    let source = || if packs { WeightSource::from(&packed) } else { WeightSource::from(&weights[..]) };
    let cases = lists.all(steps);
    for (name, sequences) in if all { &cases[..] } else { &cases[4..] } {
        let want = forward(None, layer, source(), *sequences, &x, &state);
        for &threads in numbers {
            let pool = Scoped::new(threads);
            let got = forward(Some(&pool), layer, source(), *sequences, &x, &state);
            let what = format!("{what}, {name}, {threads} threads");
            assert_bits(&got[0], &want[0], &what);
            assert_bits(&got[1], &want[1], &what);
            assert_eq!(pool.cuts(), threads - 1, "{what}");
        }
    }
}

#[test]
fn every_layer_by_rows_from_packed_weights() {
    for kind in Kind::ALL {
        for isa in vectors() {
            let layer = kind.layer(37, 67, isa);
            let all = isa == Isa::detect();
            check_layer(layer, true, all, &THREADS, &format!("{kind:?} {}", isa.name()));
            check_layer(layer.reverse(), true, all, &THREADS, &format!("{kind:?} {} in reverse", isa.name()));
        }
    }
}

/// The portable sets, whose kernels are written without vector intrinsics.
#[test]
fn portable_sets() {
    for isa in Isa::available().filter(|isa| !vectors().any(|of| of == *isa)) {
        check_layer(Kind::Gru.layer(37, 67, isa), true, false, &[3], isa.name());
    }
}

/// With narrow weights, each part has its own buffer for sums.
#[test]
fn narrow_weights() {
    for narrow in [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8] {
        for kind in [Kind::Lstm, Kind::LstmOptions, Kind::Gru] {
            let layer = kind.layer(37, 67, Isa::detect()).narrow(narrow);
            check_layer(layer, true, false, &[3, 8], &format!("{kind:?} {narrow:?}"));
        }
    }
}

/// Canonical weights are read in place, by kernels with one lane.
#[test]
fn every_layer_by_rows_from_canonical_weights() {
    for kind in Kind::ALL {
        check_layer(kind.layer(37, 67, Isa::detect()), false, false, &[3], &format!("{kind:?}"));
    }
}

/// Stacks of several layers, with both ways to merge directions, also without outputs.
#[test]
fn stacks() {
    for merge in [None, Some(Merge::Concat), Some(Merge::Sum)] {
        let stack = Stack::new(Gru::new(24, 48)).layers(2);
        let stack = merge.map_or(stack, |merge| stack.bidirectional(merge));
        let random = &mut Random::new(4);
        let weights = random.uniform(stack.weights_len(), 0.4);
        let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
        let steps = steps(stack.layer(0, 0).weights_len());
        let (x, initial) =
            (random.uniform(steps * BATCH * 24, 1.0), random.uniform(stack.state_len(BATCH), 0.9));
        let lists = Lists::new(steps);
        for (name, sequences) in lists.all(steps) {
            for wanted in [true, false] {
                let run = |join: &dyn Join| {
                    let len = if wanted { steps * BATCH * stack.output() } else { 0 };
                    let (mut y, mut state) = (vec![f32::NAN; len], initial.clone());
                    let mut scratch = vec![f32::NAN; stack.scratch_len_with(join.threads(), steps, BATCH)];
                    let args =
                        Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
                    stack.forward_with(join, &packed, args).unwrap();
                    [y, state]
                };
                let want = run(&Sequential);
                for threads in THREADS {
                    let (pool, what) = (Scoped::new(threads), format!("{merge:?} {name} {threads}"));
                    let got = run(&pool);
                    assert_bits(&got[0], &want[0], &what);
                    assert_bits(&got[1], &want[1], &what);
                    // In each layer the two directions are one cut, and each direction has a share of the
                    // threads.
                    let cuts = match merge {
                        None => threads - 1,
                        Some(_) => 1 + 2 * (threads / 2).max(1) - 2,
                    };
                    assert_eq!(pool.cuts(), 2 * cuts, "{what}");
                }
            }
        }
    }
}

const MODEL: Model<4> = Model::new([
    model::Layer::Lstm(Stack::new(Lstm::new(16, 48)).bidirectional(Merge::Concat)),
    model::Layer::dense(96, 64),
    model::Layer::Pool(Pool::Mean),
    model::Layer::dense(64, 3),
]);

#[test]
fn models() {
    let (steps, random) = (200, &mut Random::new(5));
    let weights = random.uniform(MODEL.weights_len(), 0.3);
    let packed = MODEL.pack(&weights, vec![0.0; MODEL.packed_len()]).unwrap();
    let x = random.uniform(steps * BATCH * 16, 1.0);
    let lists = Lists::new(steps);
    for (name, sequences) in lists.all(steps) {
        for packs in [true, false] {
            let run = |join: Option<&dyn Join>| {
                let (mut y, mut state) =
                    (vec![f32::NAN; MODEL.output_len(steps, BATCH)], vec![0.1; MODEL.state_len(BATCH)]);
                let threads = join.map_or(1, Join::threads);
                let mut scratch = vec![f32::NAN; MODEL.scratch_len_with(threads, steps, BATCH)];
                let args = model::Forward {
                    sequences,
                    x: x[..].into(),
                    y: &mut y,
                    state: &mut state,
                    scratch: &mut scratch,
                };
                let weights =
                    || if packs { WeightSource::from(&packed) } else { WeightSource::from(&weights[..]) };
                match join {
                    None => MODEL.forward(weights(), args),
                    Some(join) => MODEL.forward_with(join, weights(), args),
                }
                .unwrap();
                [y, state]
            };
            let want = run(None);
            for threads in THREADS {
                let (pool, what) = (Scoped::new(threads), format!("{name} {packs} {threads}"));
                let got = run(Some(&pool));
                assert_bits(&got[0], &want[0], &what);
                assert_bits(&got[1], &want[1], &what);
                assert!(threads == 1 || pool.cuts() > 1, "{what}");
            }
        }
    }
    #[cfg(feature = "std")]
    {
        let predictor = recurrent::trainer::Predictor::new(&MODEL, &weights).unwrap();
        for (name, sequences) in lists.all(steps) {
            let want = predictor.clone().forward(sequences, &x).unwrap().to_vec();
            for threads in THREADS {
                let mut predictor = predictor.clone();
                let got = predictor.forward_with(&Scoped::new(threads), sequences, &x).unwrap();
                assert_bits(got, &want, &format!("predictor {name} {threads}"));
            }
        }
    }
}

#[test]
fn dense() {
    let (layer, rows, random) = (Dense::new(65, 130).tanh(), 5000, &mut Random::new(6));
    let weights = random.uniform(layer.weights_len(), 0.3);
    let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
    let x = random.uniform(rows * 65, 1.0);
    for packs in [true, false] {
        let run = |join: &dyn Join| {
            let (mut y, mut scratch) = (vec![f32::NAN; rows * 130], vec![f32::NAN; layer.scratch_len()]);
            let weights = if packs { WeightSource::from(&packed) } else { WeightSource::from(&weights[..]) };
            layer.forward_with(join, weights, rows, &x, &mut y, &mut scratch).unwrap();
            y
        };
        let want = run(&Sequential);
        for threads in THREADS {
            let pool = Scoped::new(threads);
            assert_bits(&run(&pool), &want, &format!("{threads} threads"));
            assert_eq!(pool.cuts(), threads - 1);
        }
    }
}

/// Batches with little work or few rows stay on one thread and need no more scratch.
#[test]
fn small_batches_are_not_cut() {
    let pool = Scoped::new(8);
    for (steps, batch) in [(3, 2), (3, 64), (10_000, 7), (0, 64), (5, 0)] {
        let layer = Layer::Gru(Gru::new(8, 16));
        let weights = vec![0.1; layer.weights_len()];
        let (x, state) = (vec![0.5; steps * batch * 8], vec![0.0; layer.state_len(batch)]);
        forward(Some(&pool), layer, &weights[..], Sequences::new(steps, batch), &x, &state);
        assert_eq!(layer.scratch_len_with(8, steps, batch), layer.scratch_len(steps, batch));
    }
    assert_eq!(pool.cuts(), 0);
}

/// A wrong length is an error before anything is written.
#[test]
fn what_is_too_short_is_refused() {
    let layer = Gru::new(24, 48);
    let steps = steps(layer.weights_len());
    let (weights, x) = (vec![0.1; layer.weights_len()], vec![0.5; steps * BATCH * 24]);
    let all = layer.scratch_len_with(8, steps, BATCH);
    let run = |threads: usize, scratch: usize, lengths: &[usize]| {
        let (mut y, mut state) = (vec![0.7; steps * BATCH * 48], vec![0.7; layer.state_len(BATCH)]);
        let mut scratch = vec![0.7; scratch];
        let sequences = Sequences::new(steps, BATCH).lengths(lengths);
        let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
        let result = layer.forward_with(&Scoped::new(threads), &weights[..], args);
        let touched = [&y, &state, &scratch].iter().any(|of| of.iter().any(|x| *x != 0.7));
        (result, touched)
    };
    let lengths = vec![steps; BATCH];
    assert_eq!(run(8, all, &lengths), (Ok(()), true));
    let (refused, touched) = run(8, all - 1, &lengths);
    assert!(matches!(refused, Err(Error::Length { buffer: "scratch", .. })) && !touched, "{refused:?}");
    let (refused, touched) = run(8, all, &lengths[1..]);
    assert!(matches!(refused, Err(Error::Length { buffer: "lengths", .. })) && !touched, "{refused:?}");
}

/// A pool that drops a part is detected.
#[test]
fn a_part_that_does_not_run_is_an_error() {
    struct Lossy;
    impl Join for Lossy {
        fn join(&self, first: &mut (dyn FnMut() + Send), _: &mut (dyn FnMut() + Send)) {
            first();
        }
    }
    let layers = [model::Layer::dense(64, 64)];
    let chain = Chain::new(&layers).unwrap();
    let (steps, weights) = (100, vec![0.1; chain.weights_len()]);
    let (x, mut y) = (vec![0.5; steps * BATCH * 64], vec![0.0; steps * BATCH * 64]);
    let mut scratch = vec![0.0; chain.scratch_len_with(2, steps, BATCH)];
    let args = model::Forward {
        sequences: Sequences::new(steps, BATCH),
        x: x[..].into(),
        y: &mut y,
        state: &mut [],
        scratch: &mut scratch,
    };
    assert!(matches!(
        chain.forward_with(&Lossy, &weights[..], args),
        Err(Error::Value { argument: "join", .. })
    ));
}
