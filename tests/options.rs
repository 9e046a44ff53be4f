//! Edge cases of the cells' options: options without effect, and projections from and to nothing.

mod common;

use common::case::Case;
use common::{Kind, Layer, Random, Trained, assert_bits, random_weights};
use recurrent::{Activation, Backward, ForwardTrain, Gru, Isa, Lstm, Mgu, Reset, Rnn, Sequences};

/// Runs both passes with these dropout factors.
fn train(layer: Layer, case: &Case, dropout: Option<&[f32]>) -> Trained {
    let (steps, batch, ..) = case.dims;
    let sequences = Sequences::new(steps, batch);
    let mut out = Trained {
        y: vec![f32::NAN; case.dy.len()],
        state: case.state.clone(),
        grads: vec![f32::NAN; case.weights.len()],
        dx: vec![f32::NAN; case.x.len()],
        dstate: case.dstate.clone(),
    };
    let mut tape = vec![f32::NAN; layer.tape_len(steps, batch)];
    let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
    let args = ForwardTrain {
        sequences,
        x: &case.x,
        y: &mut out.y,
        state: &mut out.state,
        recurrent_dropout: dropout,
        layer_dropout: None,
        tape: &mut tape,
        scratch: &mut scratch,
    };
    layer.forward_train(&case.weights, args).unwrap();
    let args = Backward {
        sequences,
        x: &case.x,
        y: &out.y,
        dy: &case.dy,
        dstate: &mut out.dstate,
        dx: Some(&mut out.dx),
        grads: Some(&mut out.grads),
        recurrent_dropout: dropout,
        tape: &mut tape,
        scratch: &mut scratch,
        ..Default::default()
    };
    layer.backward(&case.weights, args).unwrap();
    out
}

const SIZES: [(usize, usize, usize, usize); 4] = [(3, 5, 2, 4), (2, 17, 5, 3), (4, 9, 1, 35), (0, 8, 33, 2)];

/// With options, a cell gives the same outputs, to the bit. Gradients differ slightly where activations
/// saturate: with options, the derivatives of tanh and sigmoid come from the arguments, which are more
/// precise there than the values. Gradients have the same bits if all arguments are below 1.5.
#[test]
fn an_option_without_effect_changes_nothing() {
    const FAR: f32 = 1e30;
    for ((input, hidden, batch, steps), scale) in
        SIZES.into_iter().flat_map(|size| [(size, 1.0), (size, 0.2)])
    {
        for isa in Isa::available() {
            let (rnn, lstm, gru) = (
                Rnn::new(input, hidden).on(isa),
                Lstm::new(input, hidden).on(isa),
                Gru::new(input, hidden).on(isa),
            );
            let (relu, mgu) = (rnn.activation(Activation::Relu), Mgu::new(input, hidden).on(isa));
            // The flag says whether the layer takes its activations as an option, so that their saturation
            // matters.
            let pairs = [
                (Kind::RnnTanh, Layer::Rnn(rnn.clip(FAR)), true),
                (Kind::RnnTanh, Layer::Rnn(rnn.recurrent_dropout()), false),
                (Kind::RnnRelu, Layer::Rnn(relu.clip(FAR)), false),
                (Kind::Lstm, Layer::Lstm(lstm.clip(FAR)), true),
                (Kind::Lstm, Layer::Lstm(lstm.recurrent_dropout()), false),
                (Kind::Gru, Layer::Gru(gru.clip(FAR)), true),
                (Kind::Gru, Layer::Gru(gru.activations(Activation::Sigmoid, Activation::Tanh)), true),
                (Kind::GruResetBefore, Layer::Gru(gru.reset(Reset::Before).clip(FAR)), true),
                (Kind::Mgu, Layer::Mgu(mgu.recurrent_dropout()), false),
            ];
            for (kind, other, is_chosen) in pairs {
                let name = format!("{kind:?} {input} x {hidden}, weights times {scale} on {}", isa.name());
                let mut case = Case::new(kind, (input, hidden, batch, steps));
                case.weights.iter_mut().for_each(|w| *w *= scale);
                let (a, b) = (case.train(kind.layer(input, hidden, isa)), train(other, &case, None));
                let parts = [
                    (&a.y, &b.y, "y"),
                    (&a.state, &b.state, "state"),
                    (&a.grads, &b.grads, "grads"),
                    (&a.dx, &b.dx, "dx"),
                    (&a.dstate, &b.dstate, "dstate"),
                ];
                for (a, b, part) in parts {
                    if is_chosen && scale == 1.0 && !matches!(part, "y" | "state") {
                        let largest = a.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
                        assert_eq!(a.len(), b.len());
                        let close = a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-6 * largest);
                        assert!(close, "{name}: {part}");
                    } else {
                        assert_bits(a, b, &format!("{name}: {part}"));
                    }
                }
            }
        }
    }
}

/// Factors of one have no effect; factors of zero remove the hidden weights.
#[test]
fn factors_of_one_and_of_zero() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.recurrent_dropout()) {
        for (input, hidden, batch, steps) in SIZES {
            let case = Case::new(kind, (input, hidden, batch, steps));
            for isa in Isa::available() {
                let layer = kind.layer(input, hidden, isa);
                let name = format!("{kind:?} {input} x {hidden} on {}", isa.name());
                let factors = |of: f32| vec![of; batch * layer.width()];
                let (none, ones) = (train(layer, &case, None), train(layer, &case, Some(&factors(1.0))));
                assert_bits(&none.y, &ones.y, &name);
                assert_bits(&none.state, &ones.state, &name);
                let dropped = train(layer, &case, Some(&factors(0.0)));
                let mut without = case.clone();
                let rows = kind.gates() * hidden;
                let w_hh = rows * input..rows * (input + layer.width());
                without.weights[w_hh.clone()].fill(0.0);
                let without = train(layer, &without, None);
                assert_eq!(dropped.y, without.y, "{name}");
                assert!(dropped.grads[w_hh].iter().all(|g| *g == 0.0), "{name}");
                assert_ne!(dropped.y, none.y, "{name}");
            }
        }
    }
}

/// A projection from no units gives zeros. With a projection to nothing the cell sees only its input.
#[test]
fn projections_of_and_to_nothing() {
    let (steps, batch, input) = (3, 2, 4);
    for isa in Isa::available() {
        for (hidden, width) in [(0, 3), (5, 0), (0, 0)] {
            let layer = Layer::Lstm(Lstm::new(input, hidden).projection(width).on(isa));
            let random = &mut Random::new(1);
            let mut case = Case::new(Kind::Lstm, (input, hidden, batch, steps));
            case.weights = random_weights(layer, random);
            case.state = random.uniform(layer.state_len(batch), 1.0);
            case.dstate = random.uniform(layer.state_len(batch), 1.0);
            case.dy = random.uniform(steps * batch * width, 1.0);
            let out = train(layer, &case, None);
            let name = format!("{hidden} to {width} on {}", isa.name());
            assert!(out.y.iter().all(|y| *y == 0.0), "{name}: {:?}", out.y);
            assert!(out.state[..batch * width].iter().all(|h| *h == 0.0), "{name}");
            assert!(out.dstate[..batch * width].iter().all(|d| *d == 0.0), "{name}");
            let finite = |of: &[f32]| of.iter().all(|v| v.is_finite());
            assert!(
                [&out.state, &out.grads, &out.dx, &out.dstate].into_iter().all(|of| finite(of)),
                "{name}"
            );
            let moved = out.state[batch * width..] != case.state[batch * width..];
            assert_eq!(moved, hidden > 0, "{name}");
            let packed = layer.pack(&case.weights).unwrap();
            let (mut state, mut y) = (case.state.clone(), vec![f32::NAN; out.y.len()]);
            let scratch = &mut vec![f32::NAN; layer.scratch_len(steps, batch)];
            let (x, state, y) = (&case.x[..], &mut state[..], &mut y[..]);
            let sequences = Sequences::new(steps, batch);
            layer.forward(&packed, recurrent::Forward { sequences, x, y, state, scratch }).unwrap();
            assert_bits(state, &out.state, &name);
            assert_bits(y, &out.y, &name);
        }
    }
}
