//! Compares outputs with the f64 oracles, and all gradients with central differences. Also tests the options
//! of the backward pass.

mod common;

use common::case::{Case, compare, wide};
use common::{Kind, Layer, Random, assert_bits, random_weights, sets};
use recurrent::{Backward, Forward, ForwardTrain, Gradients, Isa, Sequences};

/// Largest deviation of an output, relative to the largest one: a few roundings of 6e-8 each. Measured:
/// 7.1e-7 for ReLU over 11 steps, 2.3e-7 for the others.
const OUTPUT_TOLERANCE: f64 = 1e-6;
/// Largest deviation of a gradient, relative to the largest entry of its tensor. Derivatives are computed
/// from activations, so the outputs' errors enter several times. Measured: 1.5e-6 for the GRUs, 9.6e-7 for
/// the others.
const GRADIENT_TOLERANCE: f64 = 3e-6;

/// Input, hidden, batch, steps: sizes around the panels (of 4, 8, 16 units) and the tiles, different in every
/// dimension.
const SIZES: [(usize, usize, usize, usize); 13] = [
    (0, 3, 2, 5),
    (1, 4, 3, 2),
    (2, 5, 1, 3),
    (5, 7, 2, 4),
    (3, 8, 5, 2),
    (4, 9, 3, 6),
    (1, 16, 2, 3),
    (6, 17, 4, 2),
    (3, 19, 2, 5),
    (7, 1, 3, 4),
    // More steps than are projected at once, and a batch too large to project ahead.
    (2, 3, 1, 41),
    (2, 5, 33, 3),
    (9, 2, 7, 11),
];

fn check(kind: Kind) {
    let (mut outputs, mut gradients) = (0.0_f64, 0.0_f64);
    for size in SIZES {
        let case = Case::new(kind, size);
        let (input, hidden, batch, _) = size;
        let oracle = case.oracle(kind);
        let [dweights, dx, dstate] = case.differences(kind);
        let units = batch * hidden;
        let matrices = kind.gates() * hidden * (input + hidden);
        let w_ih = kind.gates() * hidden * input;
        for isa in sets() {
            let out = case.train(kind.layer(input, hidden, isa));
            let name = |part| format!("{kind:?} {size:?} on {}: {part}", isa.name());
            outputs = outputs.max(compare(&out.y, &oracle.y, OUTPUT_TOLERANCE, &name("y")));
            outputs = outputs.max(compare(&out.state, &oracle.state, OUTPUT_TOLERANCE, &name("state")));
            let mut check = |part, got, want| {
                gradients = gradients.max(compare(got, want, GRADIENT_TOLERANCE, &name(part)));
            };
            check("dw_ih", &out.grads[..w_ih], &dweights[..w_ih]);
            check("dw_hh", &out.grads[w_ih..matrices], &dweights[w_ih..matrices]);
            let biases = kind.gates() * hidden;
            check("db_ih", &out.grads[matrices..][..biases], &dweights[matrices..][..biases]);
            check("db_hh", &out.grads[matrices + biases..], &dweights[matrices + biases..]);
            check("dx", &out.dx, &dx);
            check("dh0", &out.dstate[..units], &dstate[..units]);
            check("dc0", &out.dstate[units..], &dstate[units..]);
        }
    }
    println!("{kind:?}: outputs within {outputs:.1e}, gradients within {gradients:.1e}");
}

#[test]
fn rnn_tanh() {
    check(Kind::RnnTanh);
}

#[test]
fn rnn_relu() {
    check(Kind::RnnRelu);
}

#[test]
fn lstm() {
    check(Kind::Lstm);
}

#[test]
fn gru() {
    check(Kind::Gru);
}

#[test]
fn gru_reset_before() {
    check(Kind::GruResetBefore);
}

#[test]
fn mgu() {
    check(Kind::Mgu);
}

/// Runs both passes of a case with these options, and returns `dx` and `dstate`. Writes `grads` if given.
fn backward(
    layer: Layer,
    case: &Case,
    dy: &[f32],
    with_dx: bool,
    grads: Option<(&mut [f32], Gradients)>,
) -> (Vec<f32>, Vec<f32>) {
    let (steps, batch, ..) = case.dims;
    let mut y = vec![f32::NAN; steps * batch * layer.width()];
    let mut tape = vec![f32::NAN; layer.tape_len(steps, batch)];
    let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
    let mut state = case.state.clone();
    layer
        .forward_train(
            &case.weights,
            ForwardTrain {
                sequences: Sequences::new(steps, batch),
                x: &case.x,
                y: &mut y,
                state: &mut state,
                recurrent_dropout: None,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            },
        )
        .unwrap();
    let mut dstate = case.dstate.clone();
    let mut dx = vec![f32::NAN; case.x.len()];
    let (grads, mode) = match grads {
        Some((grads, mode)) => (Some(grads), mode),
        None => (None, Gradients::Overwrite),
    };
    layer
        .backward(
            &case.weights,
            Backward {
                sequences: Sequences::new(steps, batch),
                x: &case.x,
                y: &y,
                dy,
                dstate: &mut dstate,
                dx: with_dx.then_some(&mut dx[..]),
                grads,
                mode,
                recurrent_dropout: None,
                layer_dropout: None,
                tape: &mut tape,
                scratch: &mut scratch,
            },
        )
        .unwrap();
    (dx, dstate)
}

/// Input, hidden, batch, steps: sizes with a remainder in every loop, and one with large products.
const OPTION_SIZES: [(usize, usize, usize, usize); 3] = [(3, 9, 2, 5), (5, 17, 7, 3), (40, 70, 8, 9)];

fn for_all_options(check: impl Fn(Layer, &Case, &str)) {
    for kind in Kind::ALL {
        for size in OPTION_SIZES {
            let mut case = Case::new(Kind::RnnTanh, size);
            let mut random = Random::new(7);
            let scalar = kind.layer(size.0, size.1, Isa::SCALAR);
            case.weights = random_weights(scalar, &mut random);
            case.dy.truncate(size.2 * size.3 * scalar.width());
            case.state = random.uniform(scalar.state_len(size.2), 0.9);
            case.dstate = random.uniform(scalar.state_len(size.2), 1.0);
            for isa in sets() {
                let name = format!("{kind:?} {size:?} on {}", isa.name());
                check(kind.layer(size.0, size.1, isa), &case, &name);
            }
        }
    }
}

#[test]
fn accumulated_gradients_are_sums() {
    for_all_options(|layer, case, name| {
        let mut once = vec![f32::NAN; case.weights.len()];
        backward(layer, case, &case.dy, true, Some((&mut once, Gradients::Overwrite)));
        let mut onto_zero = vec![0.0; case.weights.len()];
        backward(layer, case, &case.dy, true, Some((&mut onto_zero, Gradients::Accumulate)));
        assert_eq!(once, onto_zero, "{name}");
        let before = Random::new(1).uniform(case.weights.len(), 3.0);
        let mut sums = before.clone();
        backward(layer, case, &case.dy, true, Some((&mut sums, Gradients::Accumulate)));
        let want: Vec<f64> = before.iter().zip(&once).map(|(a, b)| f64::from(*a) + f64::from(*b)).collect();
        compare(&sums, &want, 1e-6, name);
    });
}

/// These numbers have few bits, so no result is rounded and no error can hide in a tolerance.
#[test]
fn accumulated_gradients_are_exact_sums_where_sums_are_exact() {
    let few = |random: &mut Random, n: usize, one_in: usize| -> Vec<f32> {
        let draw = random.uniform(n, one_in as f32);
        draw.iter().map(|v| if v.abs() < 1.0 { v.signum() * 0.5 } else { 0.0 }).collect()
    };
    for (input, hidden, batch, steps) in [(3, 5, 2, 3), (2, 17, 3, 4), (24, 80, 24, 3)] {
        let (random, kind) = (&mut Random::new(3), Kind::RnnRelu);
        let len = kind.layer(input, hidden, Isa::SCALAR).weights_len();
        let case = Case {
            dims: (steps, batch, input, hidden),
            weights: few(random, len, hidden / 2),
            x: few(random, steps * batch * input, 2),
            state: few(random, batch * hidden, 2),
            dy: few(random, steps * batch * hidden, 2),
            dstate: few(random, batch * hidden, 2),
        };
        let before = few(random, len, 2);
        for isa in sets() {
            let layer = kind.layer(input, hidden, isa);
            let mut once = vec![f32::NAN; len];
            backward(layer, &case, &case.dy, true, Some((&mut once, Gradients::Overwrite)));
            assert!(once.iter().filter(|g| **g != 0.0).count() > len / 8, "most gradients are zero");
            let mut sums = before.clone();
            backward(layer, &case, &case.dy, true, Some((&mut sums, Gradients::Accumulate)));
            let want: Vec<f32> = before.iter().zip(&once).map(|(a, b)| a + b).collect();
            assert_eq!(sums, want, "{hidden} units on {}", isa.name());
        }
    }
}

#[test]
fn what_is_not_wanted_changes_nothing_else() {
    for_all_options(|layer, case, name| {
        let mut all = vec![f32::NAN; case.weights.len()];
        let (dx, dstate) = backward(layer, case, &case.dy, true, Some((&mut all, Gradients::Overwrite)));

        let mut grads = vec![f32::NAN; case.weights.len()];
        let (none, d) = backward(layer, case, &case.dy, false, Some((&mut grads, Gradients::Overwrite)));
        assert!(none.iter().all(|v| v.is_nan()));
        assert_bits(&grads, &all, name);
        assert_bits(&d, &dstate, name);

        let (x, d) = backward(layer, case, &case.dy, true, None);
        assert_bits(&x, &dx, name);
        assert_bits(&d, &dstate, name);

        let (_, d) = backward(layer, case, &case.dy, false, None);
        assert_bits(&d, &dstate, name);
    });
}

#[test]
fn an_empty_output_gradient_is_zero() {
    for_all_options(|layer, case, name| {
        let (mut zero, mut empty) = (vec![f32::NAN; case.weights.len()], vec![f32::NAN; case.weights.len()]);
        let zeros = vec![0.0; case.dy.len()];
        let (dx, dstate) = backward(layer, case, &zeros, true, Some((&mut zero, Gradients::Overwrite)));
        let (x, d) = backward(layer, case, &[], true, Some((&mut empty, Gradients::Overwrite)));
        assert_eq!(zero, empty, "{name}");
        assert_eq!(dx, x, "{name}");
        assert_eq!(dstate, d, "{name}");
    });
}

/// Backward in chunks, last chunk first. Each chunk hands its `dstate` to the chunk before it, so nothing is
/// truncated.
#[test]
fn chunks_that_hand_back_their_state_gradient_are_the_whole() {
    for_all_options(|layer, case, name| {
        let (steps, batch, input, _) = case.dims;
        let (width, whole) = (layer.width(), case.train(layer));
        for cuts in [vec![0, 1, steps], vec![0, steps - 1, steps], vec![0, 1, 2, steps]] {
            let (mut y, mut state) = (vec![f32::NAN; whole.y.len()], case.state.clone());
            let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
            let mut tapes = Vec::new();
            let (xs, ys) = (
                |c: &[usize]| c[0] * batch * input..c[1] * batch * input,
                |c: &[usize]| c[0] * batch * width..c[1] * batch * width,
            );
            for cut in cuts.windows(2) {
                let steps = cut[1] - cut[0];
                let mut tape = vec![f32::NAN; layer.tape_len(steps, batch)];
                let args = ForwardTrain {
                    sequences: Sequences::new(steps, batch),
                    x: &case.x[xs(cut)],
                    y: &mut y[ys(cut)],
                    state: &mut state,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape: &mut tape,
                    scratch: &mut scratch,
                };
                layer.forward_train(&case.weights, args).unwrap();
                tapes.push(tape);
            }
            assert_bits(&y, &whole.y, name);
            assert_bits(&state, &whole.state, name);
            let (mut dx, mut dstate) = (vec![f32::NAN; whole.dx.len()], case.dstate.clone());
            let mut grads = vec![0.0; whole.grads.len()];
            for (cut, tape) in cuts.windows(2).zip(&mut tapes).rev() {
                let args = Backward {
                    sequences: Sequences::new(cut[1] - cut[0], batch),
                    x: &case.x[xs(cut)],
                    y: &y[ys(cut)],
                    dy: &case.dy[ys(cut)],
                    dstate: &mut dstate,
                    dx: Some(&mut dx[xs(cut)]),
                    grads: Some(&mut grads),
                    mode: Gradients::Accumulate,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape,
                    scratch: &mut scratch,
                };
                layer.backward(&case.weights, args).unwrap();
            }
            // The weight gradients sum over the steps in another order. Results that belong to one step are
            // the same.
            assert_bits(&dx, &whole.dx, name);
            assert_bits(&dstate, &whole.dstate, name);
            let want = wide(&whole.grads);
            compare(&grads, &want, 2e-6, name);
        }
    });
}

/// No steps, no rows or no units is not an error. Gradients are set to zero, or stay as they are if
/// accumulated.
#[test]
fn nothing_to_do() {
    for kind in Kind::ALL {
        for isa in sets() {
            for (input, hidden, batch, steps) in [
                (3, 5, 2, 0),
                (3, 5, 0, 4),
                (0, 5, 2, 0),
                (3, 0, 2, 4),
                (3, 5, 0, 0),
                (0, 0, 0, 0),
                (0, 0, 2, 3),
            ] {
                let name = format!("{kind:?} {:?} on {}", (input, hidden, batch, steps), isa.name());
                let layer = kind.layer(input, hidden, isa);
                let random = &mut Random::new(5);
                let case = Case {
                    dims: (steps, batch, input, hidden),
                    weights: random_weights(layer, random),
                    x: random.uniform(steps * batch * input, 1.0),
                    state: random.uniform(layer.state_len(batch), 1.0),
                    dy: random.uniform(steps * batch * layer.width(), 1.0),
                    dstate: random.uniform(layer.state_len(batch), 1.0),
                };
                let out = case.train(layer);
                assert_eq!(out.state, case.state, "{name}");
                assert_eq!(out.dstate, case.dstate, "{name}");
                assert!(out.grads.iter().all(|g| *g == 0.0), "{name}");
                assert!(out.dx.iter().all(|d| *d == 0.0), "{name}");
                let mut grads = case.weights.clone();
                backward(layer, &case, &case.dy, true, Some((&mut grads, Gradients::Accumulate)));
                assert_eq!(grads, case.weights, "{name}");

                let packed = layer.pack(&case.weights).unwrap();
                let mut state = case.state.clone();
                let mut scratch = vec![f32::NAN; layer.scratch_len(steps, batch)];
                let args = Forward {
                    sequences: Sequences::new(steps, batch),
                    x: &case.x,
                    y: &mut [],
                    state: &mut state,
                    scratch: &mut scratch,
                };
                layer.forward(&packed, args).unwrap();
                assert_eq!(state, case.state, "{name}");
            }
        }
    }
}
