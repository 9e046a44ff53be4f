//! Extreme numbers, very long streams and very long training.

mod common;
#[path = "common/options.rs"]
mod options;
#[path = "common/reference/mod.rs"]
mod reference;

use common::case::wide;
use common::{Kind, Layer, Random, Trained, assert_bits, assert_same, oracle, random_weights, train};
use recurrent::{Activation, Dense, Isa, Rnn};
use reference::{Cell, Function, Options, Walk};

const EXTREME: [f32; 12] = [
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::MAX,
    f32::MIN,
    1e30,
    -1e30,
    f32::MIN_POSITIVE,
    1e-40,
    -1e-45,
    0.0,
    -0.0,
];

fn cells() -> [Options; 6] {
    let of = |cell| Options::new(cell, 3, 9);
    let relu = Options { functions: [Function::Relu; 3], ..of(Cell::Rnn) };
    [of(Cell::Rnn), relu, of(Cell::Lstm), of(Cell::GruResetAfter), of(Cell::GruResetBefore), of(Cell::Mgu)]
}

#[derive(Debug, PartialEq)]
enum Class {
    Nan,
    Infinite(bool),
    Finite,
}

fn class(x: f64) -> Class {
    match x {
        x if x.is_nan() => Class::Nan,
        x if x.is_infinite() => Class::Infinite(x > 0.0),
        _ => Class::Finite,
    }
}

/// Fails unless NaN and infinities are at the same places, and the other values are close.
#[track_caller]
fn same_class(got: &[f32], want: &[f64], what: &str) {
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let g = f64::from(*g);
        assert_eq!(class(g), class(*w), "{what}[{i}] is {g}, should be {w}");
        assert!(
            !w.is_finite() || (g - w).abs() <= 2e-6 * w.abs().max(1.0),
            "{what}[{i}] is {g}, should be {w}"
        );
    }
}

/// Puts one extreme number into the input or the state. Outputs, including infinities, must match f64, and
/// every fused instruction set must give the same bits, also in the gradients.
#[test]
fn extreme_numbers_are_what_ieee_says() {
    let (steps, batch) = (3, 2);
    for options in cells() {
        let random = &mut Random::new(11);
        let scalar = options::layer(&options, false, Isa::SCALAR);
        let weights = random_weights(scalar, random);
        let x = random.uniform(steps * batch * 3, 1.0);
        let state = random.uniform(scalar.state_len(batch), 0.9);
        let (dy, dstate) = (vec![0.5; steps * batch * 9], vec![0.5; state.len()]);
        for value in EXTREME {
            // Either in the second step of the first row, or in the initial state of the second row.
            for in_state in [false, true] {
                let (mut x, mut state) = (x.clone(), state.clone());
                if in_state {
                    state[9 + 4] = value
                } else {
                    x[2 * 3 + 1] = value
                }
                let what = |isa: Isa| {
                    let place = if in_state { "state" } else { "input" };
                    format!(
                        "{:?} {:?} with {value} in the {place} on {}",
                        options.cell,
                        options.functions[0],
                        isa.name()
                    )
                };
                let mut fused: Option<Trained> = None;
                for isa in Isa::available() {
                    let layer = options::layer(&options, false, isa);
                    let got = train(layer, (steps, batch), &weights, &x, &state, &dy, &dstate).unwrap();
                    let what = what(isa);
                    if value.is_nan() || value.abs() < f32::MAX || !relu(&options) {
                        let want = if value.is_nan() {
                            poisoned(&options, &weights, &x, &state, in_state)
                        } else {
                            let walk = Walk::new(steps, batch);
                            reference::forward(&options, &walk, &wide(&weights), &wide(&x), &wide(&state)).y
                        };
                        same_class(&got.y, &want, &what);
                    }
                    if isa.is_fused() {
                        let first = fused.get_or_insert_with(|| got.clone());
                        for (a, b) in [
                            (&got.y, &first.y),
                            (&got.state, &first.state),
                            (&got.dx, &first.dx),
                            (&got.dstate, &first.dstate),
                            (&got.grads, &first.grads),
                        ] {
                            assert_same(a, b, &what);
                        }
                    }
                }
            }
        }
    }
}

fn relu(options: &Options) -> bool {
    options.functions[0] == Function::Relu
}

/// The expected outputs: NaN from the step on where it enters, in all units, until the end.
fn poisoned(options: &Options, weights: &[f32], x: &[f32], state: &[f32], in_state: bool) -> Vec<f64> {
    let finite =
        |of: &[f32]| wide(of).into_iter().map(|v| if v.is_nan() { 0.0 } else { v }).collect::<Vec<_>>();
    let clean = reference::forward(options, &Walk::new(3, 2), &wide(weights), &finite(x), &finite(state));
    let (row, from) = if in_state { (1, 0) } else { (0, 1) };
    let mut y = clean.y;
    for t in from..3 {
        y[(t * 2 + row) * 9..][..9].fill(f64::NAN);
    }
    y
}

/// An input that overflows in a ReLU gives infinities, not zeros. NaN stays NaN.
#[test]
fn relu_overflows_and_passes_nan_on() {
    for isa in Isa::available() {
        let layer = Layer::Rnn(Rnn::new(1, 9).activation(Activation::Relu).bias(false).on(isa));
        let mut weights = vec![0.0; layer.weights_len()];
        weights[..9].fill(2.0);
        weights[8] = -2.0;
        for (x, y) in [(f32::MAX, f32::INFINITY), (f32::INFINITY, f32::INFINITY), (f32::NAN, f32::NAN)] {
            let got = train(layer, (1, 1), &weights, &[x], &[0.0; 9], &[1.0; 9], &[0.0; 9]).unwrap();
            assert_same(&got.y[..8], &[y; 8], isa.name());
            assert_same(&got.y[8..], &[if x.is_nan() { y } else { 0.0 }], isa.name());
        }
    }
}

/// Subnormal numbers are computed correctly, and not flushed to zero.
#[test]
fn denormals_are_numbers() {
    for isa in Isa::available() {
        let dense = Dense::new(1, 9).on(isa);
        let layer = Layer::Rnn(Rnn::new(1, 9).bias(false).on(isa));
        let (mut of_dense, mut of_layer) = (vec![0.0; dense.weights_len()], vec![0.0; layer.weights_len()]);
        of_dense[..9].fill(0.5);
        of_layer[..9].fill(0.5);
        for x in [1e-40_f32, -1e-40, 3e-45, f32::MIN_POSITIVE] {
            let (mut y, mut scratch) = (vec![f32::NAN; 9], vec![f32::NAN; dense.scratch_len()]);
            dense.forward(&of_dense[..], 1, &[x], &mut y, &mut scratch).unwrap();
            assert_bits(&y, &[0.5 * x; 9], isa.name());
            // For such x, tanh(x) is x.
            let got = train(layer, (1, 1), &of_layer, &[x], &[0.0; 9], &[1e-40; 9], &[0.0; 9]).unwrap();
            assert_bits(&got.y, &[0.5 * x; 9], isa.name());
            assert!((got.dx[0] - 4.5e-40).abs() < 1e-44, "{:e} on {}", got.dx[0], isa.name());
        }
    }
}

/// Largest deviation of a hidden state from f64 in a stream of 100,000 steps: a few roundings of a number
/// near 1. Rounding errors fade as the rest of the state does. Measured: 2.4e-7, and 4.0e-7 for a ReLU with
/// states up to 2.7.
const DRIFT: f64 = 5e-7;

#[test]
fn long_streams_do_not_drift() {
    let (input, hidden, chunk) = (2, 6, 1000);
    for kind in Kind::FUSED {
        for isa in [Isa::SCALAR, Isa::detect()] {
            let layer = kind.layer(input, hidden, isa);
            let random = &mut Random::new(12);
            let weights = random_weights(layer, random);
            let packed = layer.pack(&weights).unwrap();
            let (mut state, mut oracle) = (vec![0.0; layer.state_len(1)], vec![0.0; layer.state_len(1)]);
            let mut scratch = vec![f32::NAN; layer.scratch_len(1, 1)];
            let (mut most, mut largest) = (0.0_f64, 0.0_f64);
            for _ in 0..100 {
                let x = random.uniform(chunk * input, 2.0);
                let want =
                    oracle::forward(kind, (chunk, 1, input, hidden), &wide(&weights), &wide(&x), &oracle);
                oracle = want.state;
                for (x, want) in x.chunks(input).zip(want.y.chunks(hidden)) {
                    layer.step(&packed, x, &mut state, &mut scratch).unwrap();
                    for (got, want) in state.iter().zip(want) {
                        most = most.max((f64::from(*got) - want).abs());
                        largest = largest.max(want.abs());
                    }
                }
            }
            assert!(most <= DRIFT * largest.max(1.0), "{kind:?} on {}: {most:e}", isa.name());
            assert!(largest > 0.3, "{kind:?} is hardly alive");
        }
    }
}

/// Ten thousand updates, some with absurdly large batches: with clipping everything stays finite.
#[cfg(feature = "std")]
#[test]
fn long_training_stays_finite() {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;
    use recurrent::Sequences;
    use recurrent::model::{Layer, Loss, Model};
    use recurrent::train::{Adam, RmsProp, Sgd};
    use recurrent::trainer::{Batch, Optimiser, Trainer};

    let model = Model::new([Layer::lstm(2, 4), Layer::gru(4, 3), Layer::rnn(3, 3), Layer::dense(3, 1)]);
    let (steps, batch) = (4, 2);
    let sequences = Sequences::new(steps, batch);
    let optimisers: [Optimiser; 3] =
        [Adam::new(0.01).into(), Sgd::new(0.1).momentum(0.9).into(), RmsProp::new(0.01).into()];
    for optimiser in optimisers {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(13);
        let mut trainer = Trainer::new(&model, optimiser, rng).unwrap().clip(1.0);
        let random = &mut Random::new(14);
        let mut last = 0.0;
        for n in 0..10_000 {
            let scale = if n % 97 == 0 { 1e6 } else { 1.0 };
            let x = random.uniform(steps * batch * 2, scale);
            // The targets can be learned: they are sums of the inputs.
            let targets: Vec<f32> = x.chunks(2).map(|x| scale * (x[0] + x[1]) / 4.0).collect();
            let loss = Loss::MeanSquaredError { targets: &targets };
            let update = trainer.update(Batch { sequences, x: (&x).into(), loss }, rng).unwrap();
            assert!(update.norm.is_some() && update.loss.is_finite(), "update {n}: {update:?}");
            if n >= 9_900 && scale == 1.0 {
                last += update.loss / 99.0;
            }
        }
        assert!(trainer.is_finite());
        // The mean square of the targets is 0.042.
        assert!(last < 0.03, "{optimiser:?} has learned nothing: {last}");
    }
}
