//! Training on several threads gives the same bits as on one thread.

mod common;

use common::pool::{BATCH, Lists, Scoped, steps, vectors};
use common::pool_training::{Case, check_trained};
use common::{Kind, Layer, Random, Trained, assert_bits};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{self, Chain, Input, Loss, Model, Training};
use recurrent::train::dropout;
use recurrent::{
    Backward, Dense, DenseBackward, Error, ForwardTrain, Gradients, Gru, Isa, Join, Lstm, Merge, Pool,
    Sequences, Stack,
};

fn check_layer(kind: Kind, layer: Layer, cases: std::ops::Range<usize>, mode: Gradients, numbers: &[usize]) {
    let steps = steps(layer.weights_len());
    let (lists, case) = (Lists::new(steps), Case::new(layer, kind.recurrent_dropout(), steps));
    for (name, sequences) in &lists.all(steps)[cases] {
        let want = case.run(None, *sequences, mode, true);
        for &threads in numbers {
            let pool = Scoped::new(threads);
            let got = case.run(Some(&pool), *sequences, mode, true);
            check_trained(&got, &want, true, &format!("{kind:?}, {name}, {threads} threads"));
            // Each of these is cut: forward, backward (by rows, except with peepholes or layer
            // normalisation), weight gradients, input gradients.
            let passes = if kind.peepholes() || kind.normalised() { 3 } else { 4 };
            assert_eq!(pool.cuts(), passes * (threads - 1), "{kind:?} {threads}");
        }
    }
}

#[test]
fn every_layer() {
    for kind in Kind::ALL {
        let layer = kind.layer(37, 67, Isa::detect());
        check_layer(kind, layer, 0..5, Gradients::Overwrite, &[2, 8]);
        check_layer(kind, layer.reverse(), 4..5, Gradients::Accumulate, &[1, 3]);
        check_layer(kind, layer.reverse(), 0..1, Gradients::Accumulate, &[3]);
    }
}

/// On the portable set with two roundings, `matrixmultiply` computes large products, so only rows are cut.
#[test]
fn every_set() {
    for kind in [Kind::Lstm, Kind::GruResetBeforeOptions] {
        for isa in vectors().filter(|isa| *isa != Isa::detect()) {
            check_layer(kind, kind.layer(37, 67, isa), 4..5, Gradients::Overwrite, &[3]);
        }
    }
    let layer = Kind::Gru.layer(37, 67, Isa::SCALAR);
    let steps = steps(layer.weights_len());
    let (case, sequences) = (Case::new(layer, false, steps), Sequences::new(steps, BATCH));
    let want = case.run(None, sequences, Gradients::Overwrite, true);
    let got = case.run(Some(&Scoped::new(8)), sequences, Gradients::Overwrite, true);
    check_trained(&got, &want, true, "portable");
}

/// No gradients of weights and input.
#[test]
fn only_the_state() {
    for kind in [Kind::Lstm, Kind::LstmOptions, Kind::LstmNormalised] {
        let layer = kind.layer(37, 67, Isa::detect());
        let steps = steps(layer.weights_len());
        let (case, sequences) = (Case::new(layer, false, steps), Sequences::new(steps, BATCH));
        let want = case.run(None, sequences, Gradients::Overwrite, false);
        let pool = Scoped::new(3);
        check_trained(
            &case.run(Some(&pool), sequences, Gradients::Overwrite, false),
            &want,
            false,
            "only the state",
        );
        assert_eq!(pool.cuts(), 4);
    }
}

/// The rows of this batch are too few to be cut, but its sums are cut.
#[test]
fn few_rows() {
    let layer = Lstm::new(64, 64);
    let (steps, batch) = (1000, 2);
    let random = &mut Random::new(9);
    let weights = random.uniform(layer.weights_len(), 0.1);
    let x = random.uniform(steps * batch * 64, 1.0);
    let run = |join: &dyn Join| {
        let (mut y, mut state) = (vec![0.0; steps * batch * 64], vec![0.0; layer.state_len(batch)]);
        let mut tape = vec![0.0; layer.tape_len(steps, batch)];
        let mut scratch = vec![0.0; layer.train_scratch_len_with(join.threads(), steps, batch)];
        let sequences = Sequences::new(steps, batch);
        let args = ForwardTrain {
            sequences,
            x: &x,
            y: &mut y,
            state: &mut state,
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        layer.forward_train_with(join, &weights, args).unwrap();
        let (mut dstate, mut grads) = (vec![0.5; state.len()], vec![0.0; weights.len()]);
        let args = Backward {
            sequences,
            x: &x,
            y: &y,
            dy: &y,
            dstate: &mut dstate,
            grads: Some(&mut grads),
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        layer.backward_with(join, &weights, args).unwrap();
        grads
    };
    let (pool, want) = (Scoped::new(3), run(&recurrent::Sequential));
    assert_bits(&run(&pool), &want, "two rows");
    assert_eq!(pool.cuts(), 2);
}

#[test]
fn dense() {
    let (layer, rows, random) = (Dense::new(65, 131).tanh(), 5000, &mut Random::new(6));
    let weights = random.uniform(layer.weights_len(), 0.3);
    let (x, y) = (random.uniform(rows * 65, 1.0), random.uniform(rows * 131, 0.9));
    let (given, before) = (random.uniform(rows * 131, 1.0), random.uniform(weights.len(), 1.0));
    for mode in [Gradients::Overwrite, Gradients::Accumulate] {
        let run = |join: Option<&dyn Join>| {
            let (mut dy, mut dx, mut grads) = (given.clone(), vec![f32::NAN; x.len()], before.clone());
            let mut scratch = vec![f32::NAN; layer.scratch_len()];
            let args = DenseBackward {
                rows,
                x: &x,
                y: &y,
                dy: &mut dy,
                dx: Some(&mut dx),
                grads: Some(&mut grads),
                mode,
                scratch: &mut scratch,
            };
            match join {
                None => layer.backward(&weights, args),
                Some(join) => layer.backward_with(join, &weights, args),
            }
            .unwrap();
            [dy, dx, grads]
        };
        let want = run(None);
        for threads in [1, 2, 3, 8] {
            let pool = Scoped::new(threads);
            let got = run(Some(&pool));
            for (got, want) in got.iter().zip(&want) {
                assert_bits(got, want, &format!("{threads} threads"));
            }
            assert_eq!(pool.cuts(), 3 * (threads - 1));
        }
    }
}

const MODEL: Model<5> = Model::new([
    model::Layer::embedding(11, 32),
    model::Layer::Lstm(Stack::new(Lstm::new(32, 40)).layers(2).bidirectional(Merge::Sum)),
    model::Layer::Dropout(0.3),
    model::Layer::Gru(Stack::new(Gru::new(40, 64)).bidirectional(Merge::Concat)),
    model::Layer::dense(128, 64),
]);
const POOLED: Model<3> =
    Model::new([model::Layer::gru(24, 80), model::Layer::Pool(Pool::Mean), model::Layer::dense(80, 2)]);

#[test]
fn models() {
    let (steps, random) = (120, &mut Random::new(5));
    let lists = Lists::new(steps);
    let numbers = random.uniform(steps * BATCH * 24, 1.0);
    let ids: Vec<u32> = numbers[..steps * BATCH].iter().map(|x| (x.abs() * 10.9) as u32).collect();
    let classes = ids.iter().map(|id| id * 5).collect::<Vec<u32>>();
    let two = ids[..BATCH].iter().map(|id| id % 2).collect::<Vec<u32>>();
    let run = |model: Chain<'_>, x: Input<'_>, targets: &[u32], sequences: Sequences<'_>, threads: usize| {
        let mut weights = vec![0.0; model.weights_len()];
        model.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(2)).unwrap();
        let mut factors = vec![1.0; model.dropout_len(steps, BATCH)];
        dropout(&mut factors, 0.3, &mut Xoshiro256PlusPlus::seed_from_u64(3)).unwrap();
        let mut out = Trained {
            y: vec![0.0; 1],
            state: vec![0.1; model.state_len(BATCH)],
            grads: vec![f32::NAN; weights.len()],
            dx: vec![],
            dstate: vec![f32::NAN; model.state_len(BATCH)],
        };
        let pool = Scoped::new(threads);
        let mut scratch = vec![f32::NAN; model.train_scratch_len_with(threads, steps, BATCH)];
        let args = Training {
            sequences,
            x,
            loss: Loss::classes(targets),
            grads: &mut out.grads,
            state: &mut out.state,
            dstate: Some(&mut out.dstate),
            dropout: Some(&factors),
            tape: &mut vec![f32::NAN; model.tape_len(steps, BATCH)],
            scratch: &mut scratch,
            ..Default::default()
        };
        out.y[0] = match threads {
            1 => model.forward_backward(&weights, args),
            _ => model.forward_backward_with(&pool, &weights, args),
        }
        .unwrap();
        assert!(threads == 1 || pool.cuts() > 2);
        out
    };
    for (name, sequences) in lists.all(steps) {
        let want = run(MODEL.chain(), ids[..].into(), &classes, sequences, 1);
        let pooled = run(POOLED.chain(), numbers[..].into(), &two, sequences, 1);
        for threads in [2, 3, 8] {
            let got = run(MODEL.chain(), ids[..].into(), &classes, sequences, threads);
            check_trained(&got, &want, true, &format!("{name}, {threads} threads"));
            let got = run(POOLED.chain(), numbers[..].into(), &two, sequences, threads);
            check_trained(&got, &pooled, true, &format!("pooled, {name}, {threads} threads"));
        }
    }
}

/// Trainers on rayon's threads, called inside and outside of the pool, with carried states or a learned
/// initial state. Also compares what the trained models predict.
#[cfg(feature = "rayon")]
#[test]
fn trainers() {
    use recurrent::train::Adam;
    use recurrent::trainer::{Batch, Trainer};
    let (steps, random) = (120, &mut Random::new(5));
    let lists = Lists::new(steps);
    let ids: Vec<u32> = random.uniform(steps * BATCH, 10.9).iter().map(|x| x.abs() as u32).collect();
    let sequences = lists.all(steps)[4].1;
    let updates = |learned: bool| {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(2);
        let trainer = Trainer::new(&MODEL, Adam::new(0.01), rng).unwrap().clip(1.0);
        let mut trainer = if learned { trainer.learn_initial_state().unwrap() } else { trainer.stateful() };
        let batch = Batch { sequences, x: (&ids).into(), loss: Loss::classes(&ids) };
        let losses: Vec<f32> = (0..3).map(|_| trainer.update(batch, rng).unwrap().loss).collect();
        assert!(losses[2] < losses[0]);
        let y = trainer.predictor().unwrap().forward(sequences, &ids).unwrap().to_vec();
        assert_eq!(trainer.initial_state().iter().any(|x| *x != 0.0), learned);
        [losses, trainer.weights().to_vec(), trainer.initial_state().to_vec(), y]
    };
    for learned in [false, true] {
        let within = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| updates(learned))
        };
        let want = within(1);
        for got in [within(2), within(3), within(8), updates(learned)] {
            for (got, want) in got.iter().zip(&want) {
                assert_bits(got, want, if learned { "learned" } else { "carried" });
            }
        }
    }
}

/// A wrong length is an error before anything is written.
#[test]
fn what_is_too_short_is_refused() {
    let layer = Gru::new(24, 48);
    let steps = steps(layer.weights_len());
    let (weights, x) = (vec![0.1; layer.weights_len()], vec![0.5; steps * BATCH * 24]);
    let all = layer.train_scratch_len_with(8, steps, BATCH);
    let run = |scratch: usize| {
        let (mut y, mut state) = (vec![0.7; steps * BATCH * 48], vec![0.7; layer.state_len(BATCH)]);
        let (mut tape, mut scratch) = (vec![0.7; layer.tape_len(steps, BATCH)], vec![0.7; scratch]);
        let args = ForwardTrain {
            sequences: Sequences::new(steps, BATCH),
            x: &x,
            y: &mut y,
            state: &mut state,
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        let result = layer.forward_train_with(&Scoped::new(8), &weights, args);
        (result, [&y, &state, &tape, &scratch].iter().any(|of| of.iter().any(|x| *x != 0.7)))
    };
    assert_eq!(run(all), (Ok(()), true));
    let (refused, touched) = run(all - 1);
    assert!(matches!(refused, Err(Error::Length { buffer: "scratch", .. })) && !touched, "{refused:?}");
}
