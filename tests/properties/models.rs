//! Random stacks and models.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use recurrent::model::{self, Input, Layer, Loss, Model, Training};
use recurrent::{
    Activate, Activation, Error, Gradients, Gru, Lstm, Merge, Mgu, Need, Pool, Reset, Rnn, Scale, Sequences,
    Stack,
};

use crate::common::{Random, assert_same, pattern};
use crate::config;

const STEPS: usize = 6;

/// Models of layers that fit together; only causal ones if `causal`.
fn models(causal: bool) -> impl Strategy<Value = Model<4>> {
    let stack = (0..5_usize, 1..12_usize, 1..3_usize, 0..if causal { 1 } else { 3_usize });
    let dense = (1..20_usize, 0..3_usize);
    (1..9_usize, vec(stack, 2), dense, 0..if causal { 3 } else { 8_usize }).prop_map(
        |(input, stacks, (output, finish), between)| {
            let mut width = input;
            let mut stack = |(cell, hidden, layers, both): (usize, usize, usize, usize)| {
                macro_rules! stack {
                    ($layer:expr) => {{
                        let mut stack = Stack::new($layer).layers(layers);
                        if both > 0 {
                            let merge = if both == 1 { Merge::Concat } else { Merge::Sum };
                            stack = stack.bidirectional(merge);
                        }
                        width = stack.output();
                        Layer::from(stack)
                    }};
                }
                match cell {
                    0 => stack!(Rnn::new(width, hidden)),
                    1 => stack!(Lstm::new(width, hidden)),
                    2 => stack!(Gru::new(width, hidden)),
                    3 => stack!(Mgu::new(width, hidden)),
                    _ => stack!(Gru::new(width, hidden).reset(Reset::Before)),
                }
            };
            let [first, second] = [stack(stacks[0]), stack(stacks[1])];
            let dense = recurrent::Dense::new(width, output);
            let dense = [dense, dense.tanh(), dense.relu()][finish];
            let between = match between {
                0 => Layer::Dropout(0.2),
                1 => Layer::Scale(Scale::new(width)),
                2 => Layer::Activate(Activate::new(Activation::Softsign)),
                // The features are the two directions.
                3 if width % 2 == 0 => Layer::Pool(Pool::Ends),
                3 | 4 => Layer::Pool(Pool::Last),
                5 => Layer::Pool(Pool::Mean),
                6 => Layer::Pool(Pool::First),
                _ => Layer::Pool(Pool::Max),
            };
            Model::new([first, second, between, Layer::Dense(dense)])
        },
    )
}

/// The arguments of a model's passes.
struct Data {
    weights: Vec<f32>,
    x: Vec<f32>,
    state: Vec<f32>,
    targets: Vec<f32>,
}

impl Data {
    fn new(model: &Model<4>, batch: usize, seed: u64) -> Data {
        let random = &mut Random::new(seed);
        Data {
            weights: random.uniform(model.weights_len(), 0.6),
            x: random.uniform(STEPS * batch * model.input(), 1.0),
            state: random.uniform(model.state_len(batch), 0.9),
            targets: random.uniform(model.output_len(STEPS, batch), 1.0),
        }
    }
}

/// Runs forward, and returns outputs and the last state.
fn forward(model: &Model<4>, data: &Data, sequences: Sequences<'_>, packed: bool) -> (Vec<f32>, Vec<f32>) {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let (mut y, mut state) = (vec![f32::NAN; model.output_len(steps, batch)], data.state.clone());
    let mut scratch = vec![f32::NAN; model.scratch_len(steps, batch)];
    let x = (&data.x[..]).into();
    let args = model::Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
    if packed {
        let packed = model.pack(&data.weights, vec![f32::NAN; model.packed_len()]).unwrap();
        model.forward(&packed, args).unwrap();
    } else {
        model.forward(&data.weights[..], args).unwrap();
    }
    (y, state)
}

/// Runs both passes, and returns the loss, the gradients, the last state and the tape.
fn train(model: &Model<4>, data: &Data, sequences: Sequences<'_>, garbage: f32) -> [Vec<f32>; 4] {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let (mut grads, mut state) = (vec![garbage; model.weights_len()], data.state.clone());
    let mut tape = vec![garbage; model.tape_len(steps, batch)];
    let mut scratch = vec![garbage; model.train_scratch_len(steps, batch)];
    let kept = vec![1.0; model.dropout_len(steps, batch)];
    let args = Training {
        sequences,
        x: (&data.x[..]).into(),
        loss: Loss::MeanSquaredError { targets: &data.targets },
        grads: &mut grads,
        total_targets: None,
        mode: Gradients::Overwrite,
        state: &mut state,
        dstate: None,
        dropout: Some(&kept),
        tape: &mut tape,
        scratch: &mut scratch,
    };
    let loss = model.forward_backward(&data.weights, args).unwrap();
    [vec![loss], grads, state, tape]
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn chunks_and_steps(
        model in models(true),
        (batch, seed, at) in (1..5_usize, any::<u64>(), 0..=STEPS),
    ) {
        let data = Data::new(&model, batch, seed);
        let whole = forward(&model, &data, Sequences::new(STEPS, batch), false);
        let packed = forward(&model, &data, Sequences::new(STEPS, batch), true);
        assert_same(&packed.0, &whole.0, "packed: y");
        assert_same(&packed.1, &whole.1, "packed: state");
        let cut = |steps: &[usize]| {
            let (mut y, mut state, mut first) = (vec![], data.state.clone(), 0);
            for steps in steps {
                let n = batch * model.input();
                let x = data.x[first * n..][..steps * n].to_vec();
                let part = Data { weights: data.weights.clone(), x, state, targets: vec![] };
                let out = forward(&model, &part, Sequences::new(*steps, batch), true);
                (state, first) = (out.1, first + steps);
                y.extend(out.0);
            }
            (y, state)
        };
        for parts in [vec![at, STEPS - at], vec![1; STEPS]] {
            let (y, state) = cut(&parts);
            assert_same(&y, &whole.0, "parts: y");
            assert_same(&state, &whole.1, "parts: state");
        }
    }

    /// Neither the padding, nor the old contents of buffers, nor other rows have any influence.
    #[test]
    fn what_does_not_matter(
        model in models(false),
        lengths in vec(0..=STEPS, 2..5),
        (seed, strange) in (any::<u64>(), prop::sample::select(&[f32::NAN, f32::INFINITY, 1e30][..])),
    ) {
        let batch = lengths.len();
        let sequences = Sequences::new(STEPS, batch).lengths(&lengths);
        let mut data = Data::new(&model, batch, seed);
        let want = forward(&model, &data, sequences, false);
        let [loss, grads, state, tape] = train(&model, &data, sequences, 0.0);
        assert_same(&tape[tape_y(&model, batch)], &want.0, "y in training");
        assert_same(&state, &want.1, "state in training");

        let input = model.input();
        for b in 0..batch {
            for t in lengths[b]..STEPS {
                data.x[(t * batch + b) * input..][..input].fill(strange);
                if !model.is_pooled() {
                    let output = model.output();
                    data.targets[(t * batch + b) * output..][..output].fill(strange);
                }
            }
        }
        let got = train(&model, &data, sequences, strange);
        assert_same(&got[0], &loss, "loss");
        assert_same(&got[1], &grads, "grads");
        assert_same(&got[2], &state, "state");

        // Fill the first row with strange values. The other rows must not change.
        for t in 0..lengths[0] {
            data.x[t * batch * input..][..input].fill(strange);
        }
        let got = forward(&model, &data, sequences, true);
        let (output, steps) = (model.output(), if model.is_pooled() { 1 } else { STEPS });
        for t in 0..steps {
            let others = (t * batch + 1) * output..(t + 1) * batch * output;
            assert_same(&got.0[others.clone()], &want.0[others], "other rows");
        }
    }

    #[test]
    fn wrong_lengths(
        model in models(false),
        (batch, which) in (1..4_usize, any::<Index>()),
        longer in any::<bool>(),
    ) {
        let names = ["weights", "x", "targets", "grads", "state", "tape", "scratch"];
        let rooms = |name: &str| name == "scratch";
        let lens = [
            model.weights_len(),
            STEPS * batch * model.input(),
            model.output_len(STEPS, batch),
            model.weights_len(),
            model.state_len(batch),
            model.tape_len(STEPS, batch),
            model.train_scratch_len(STEPS, batch),
        ];
        let which = which.index(names.len());
        let mut buffers = lens.map(pattern);
        let actual = if longer { lens[which] + 1 } else { lens[which] - 1 };
        buffers[which] = pattern(actual);
        let before = buffers.clone();
        let [weights, x, targets, grads, state, tape, scratch] = &mut buffers;
        let kept = vec![1.0; model.dropout_len(STEPS, batch)];
        let result = model.forward_backward(
            weights,
            Training {
                sequences: Sequences::new(STEPS, batch),
                x: Input::Values(x),
                loss: Loss::MeanSquaredError { targets },
                total_targets: None,
                grads,
                mode: Gradients::Accumulate,
                state,
                dstate: None,
                dropout: Some(&kept),
                tape,
                scratch,
            },
        );
        if longer && rooms(names[which]) {
            prop_assert!(result.is_ok());
        } else {
            let error = Error::Length { buffer: names[which], expected: lens[which], actual, need: Need::EXACT };
            prop_assert_eq!(result, Err(error));
            prop_assert!(buffers == before, "something was written");
        }
    }
}

/// The range of the last layer's outputs in the tape: they follow the outputs of the other layers.
fn tape_y(model: &Model<4>, batch: usize) -> std::ops::Range<usize> {
    let layers = model.layers();
    let widths = layers.iter().scan(model.input(), |width, layer| {
        *width = match layer {
            Layer::Rnn(l) => l.output(),
            Layer::Lstm(l) => l.output(),
            Layer::Gru(l) => l.output(),
            Layer::Mgu(l) => l.output(),
            Layer::Dense(l) => l.output(),
            _ => *width,
        };
        Some(*width)
    });
    let pooled = |n: usize| layers[..=n].iter().any(|l| matches!(l, Layer::Pool(_)));
    let lens: Vec<usize> =
        widths.enumerate().map(|(n, width)| width * batch * if pooled(n) { 1 } else { STEPS }).collect();
    let last = lens[lens.len() - 1];
    let end = lens.iter().sum::<usize>();
    end - last..end
}
