//! Wrong arguments are rejected before anything is written, and the error names the argument.

mod common;

use common::{Kind, Layer, pattern};
use recurrent::{
    Backward, Error, Forward, ForwardTrain, Gradients, Isa, Need, Result, Sequences, WeightSource,
};

const STEPS: usize = 3;
const BATCH: usize = 2;

/// The rule for a buffer's length.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Exactly,
    AtLeast,
}
use Rule::{AtLeast, Exactly};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Pass {
    Pack,
    Views,
    ViewsMut,
    Step,
    Forward,
    ForwardPacked,
    ForwardTrain,
    Backward,
}

impl Pass {
    const ALL: [Pass; 8] = [
        Pass::Pack,
        Pass::Views,
        Pass::ViewsMut,
        Pass::Step,
        Pass::Forward,
        Pass::ForwardPacked,
        Pass::ForwardTrain,
        Pass::Backward,
    ];

    /// Name, length and rule of every buffer, in the order in which `run` takes them.
    fn buffers(self, layer: Layer) -> Vec<(&'static str, usize, Rule)> {
        let (rows, input, width) = (STEPS * BATCH, layer.input(), layer.width());
        let weights = ("weights", layer.weights_len(), Exactly);
        let (x, y) = (("x", rows * input, Exactly), ("y", rows * width, Exactly));
        let state = ("state", layer.state_len(BATCH), Exactly);
        let scratch = ("scratch", layer.scratch_len(STEPS, BATCH), AtLeast);
        let tape = ("tape", layer.tape_len(STEPS, BATCH), Exactly);
        let train_scratch = ("scratch", layer.train_scratch_len(BATCH), AtLeast);
        match self {
            Pass::Pack => vec![weights, ("packed", layer.packed_len(), AtLeast)],
            Pass::Views | Pass::ViewsMut => vec![weights],
            Pass::Step => {
                vec![
                    weights,
                    ("x", BATCH * input, Exactly),
                    state,
                    ("scratch", layer.scratch_len(1, BATCH), AtLeast),
                ]
            }
            Pass::Forward => vec![weights, x, y, state, scratch],
            Pass::ForwardPacked => vec![x, y, state, scratch],
            Pass::ForwardTrain => vec![weights, x, y, state, tape, train_scratch],
            Pass::Backward => vec![
                weights,
                x,
                y,
                ("dy", rows * width, Exactly),
                ("dstate", layer.state_len(BATCH), Exactly),
                ("dx", rows * input, Exactly),
                ("grads", layer.weights_len(), Exactly),
                tape,
                train_scratch,
            ],
        }
    }

    /// What an error says about the shape of a buffer.
    fn shape(self, buffer: &str) -> Option<&'static str> {
        match (self, buffer) {
            (Pass::Step, "x") => Some("rows x inputs"),
            (_, "x") => Some("steps x rows x inputs"),
            (_, "y") => Some("steps x rows x outputs"),
            (_, "dx") => Some("as long as `x`"),
            (_, "dy") => Some("as long as the output"),
            _ => None,
        }
    }

    fn run(self, layer: Layer, buffers: &mut [Vec<f32>]) -> Result<()> {
        let (steps, batch) = (STEPS, BATCH);
        match (self, buffers) {
            (Pass::Pack, [weights, packed]) => layer.pack_into(weights, &mut packed[..]).map(drop),
            (Pass::Views, [weights]) => match layer {
                Layer::Rnn(l) => l.weights(weights).map(drop),
                Layer::Lstm(l) => l.weights(weights).map(drop),
                Layer::Gru(l) => l.weights(weights).map(drop),
                Layer::Mgu(l) => l.weights(weights).map(drop),
            },
            (Pass::ViewsMut, [weights]) => match layer {
                Layer::Rnn(l) => l.weights_mut(weights).map(drop),
                Layer::Lstm(l) => l.weights_mut(weights).map(drop),
                Layer::Gru(l) => l.weights_mut(weights).map(drop),
                Layer::Mgu(l) => l.weights_mut(weights).map(drop),
            },
            (Pass::Step, [weights, x, state, scratch]) => layer.step(&weights[..], x, state, scratch),
            (Pass::Forward, [weights, x, y, state, scratch]) => layer.forward(
                &weights[..],
                Forward { sequences: Sequences::new(steps, batch), x, y, state, scratch },
            ),
            (Pass::ForwardPacked, [x, y, state, scratch]) => {
                let packed = layer.pack(&vec![0.1; layer.weights_len()]).unwrap();
                layer.forward(
                    &packed,
                    Forward { sequences: Sequences::new(steps, batch), x, y, state, scratch },
                )
            }
            (Pass::ForwardTrain, [weights, x, y, state, tape, scratch]) => layer.forward_train(
                weights,
                ForwardTrain {
                    sequences: Sequences::new(steps, batch),
                    x,
                    y,
                    state,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape,
                    scratch,
                },
            ),
            (Pass::Backward, [weights, x, y, dy, dstate, dx, grads, tape, scratch]) => {
                let (dx, grads, mode) = (Some(&mut dx[..]), Some(&mut grads[..]), Gradients::Overwrite);
                layer.backward(
                    weights,
                    Backward {
                        sequences: Sequences::new(steps, batch),
                        x,
                        y,
                        dy,
                        dstate,
                        dx,
                        grads,
                        mode,
                        recurrent_dropout: None,
                        layer_dropout: None,
                        tape,
                        scratch,
                    },
                )
            }
            (pass, buffers) => unreachable!("{pass:?} with {} buffers", buffers.len()),
        }
    }
}

#[test]
fn a_wrong_length_is_refused_and_nothing_is_written() {
    for kind in Kind::ALL {
        for (input, hidden) in [(3, 5), (2, 8), (4, 17)] {
            for isa in Isa::available() {
                let layer = kind.layer(input, hidden, isa);
                for pass in Pass::ALL {
                    let buffers = pass.buffers(layer);
                    for (which, &(name, len, rule)) in buffers.iter().enumerate() {
                        for actual in [len - 1, len + 1] {
                            let mut data: Vec<Vec<f32>> = buffers.iter().map(|b| pattern(b.1)).collect();
                            data[which] = pattern(actual);
                            let before = data.clone();
                            let result = pass.run(layer, &mut data);
                            let what = format!("{pass:?} of {kind:?} with {actual} of {len} for {name}");
                            if rule == AtLeast && actual > len {
                                assert_eq!(result, Ok(()), "{what}");
                                continue;
                            }
                            assert_eq!(data, before, "{what}: something was written");
                            if pass == Pass::Step && name == "state" {
                                // `step` derives the batch from the length of `state`, so only the kind of
                                // the error is checked here.
                                let Err(Error::Length { buffer, .. }) = result else {
                                    panic!("{what}: {result:?}")
                                };
                                assert_eq!(buffer, "state", "{what}");
                                continue;
                            }
                            let want =
                                Error::Length { buffer: name, expected: len, actual, need: Need::EXACT };
                            assert_eq!(result, Err(want), "{what}");
                            // All needs are equal.
                            let Err(Error::Length { need, .. }) = result else { unreachable!() };
                            assert_eq!(need.is_minimum(), rule == AtLeast, "{what}");
                            assert_eq!(need.shape(), pass.shape(name), "{what}");
                        }
                    }
                    let mut data: Vec<Vec<f32>> = buffers.iter().map(|b| pattern(b.1)).collect();
                    assert_eq!(pass.run(layer, &mut data), Ok(()), "{pass:?} of {kind:?} with exact lengths");
                }
            }
        }
    }
}

/// All buffers are checked before the first one is written. If several lengths are wrong, the call reports
/// one of them.
#[test]
fn several_wrong_lengths_are_refused() {
    for kind in Kind::ALL {
        let layer = kind.layer(3, 5, Isa::detect());
        for pass in Pass::ALL {
            let buffers = pass.buffers(layer);
            for lens in [|n: usize| n / 2, |n: usize| n - 1, |_| 0, |n| 2 * n + 1] {
                let mut data: Vec<Vec<f32>> = buffers.iter().map(|b| pattern(lens(b.1))).collect();
                let before = data.clone();
                assert!(
                    matches!(pass.run(layer, &mut data), Err(Error::Length { .. })),
                    "{pass:?} of {kind:?}"
                );
                assert_eq!(data, before, "{pass:?} of {kind:?}: something was written");
            }
        }
    }
}

/// Dimensions whose lengths overflow: the lengths saturate, and the passes return errors instead of
/// panicking.
#[test]
fn overflowing_dimensions() {
    const MAX: usize = usize::MAX;
    let large = [MAX, MAX - 1, MAX / 2, MAX / 2 + 1, MAX / 3, MAX / 4 + 1, 1 << (usize::BITS / 2), MAX - 15];
    for kind in Kind::ALL {
        for huge in large {
            for (input, hidden) in [(huge, 4), (4, huge), (huge, huge), (0, huge), (huge, 1)] {
                let layer = kind.layer(input, hidden, Isa::detect());
                let name = format!("{kind:?} {input} x {hidden}");
                // The expected length, in exact arithmetic.
                let (i, h, g) = (input as u128, hidden as u128, kind.gates() as u128);
                let r = kind.projection(hidden).map_or(h, |width| width as u128);
                let biases = if kind.bias() { 2 } else { 0 };
                let rest = match kind.gates() {
                    _ if kind.peepholes() => 3 * h + r * h,
                    4 if kind.normalised() => 10 * h,
                    _ if kind.normalised() => 6 * h,
                    _ => 0,
                };
                let exact = (g * h).checked_mul(i + r + biases).and_then(|n| n.checked_add(rest));
                let exact = exact.map_or(MAX, |n| n.min(MAX as u128) as usize);
                assert_eq!(layer.weights_len(), exact, "{name}");
                for len in [
                    layer.packed_len(),
                    layer.state_len(2),
                    layer.tape_len(2, 2),
                    layer.scratch_len(40, 2),
                    layer.train_scratch_len(2),
                ] {
                    assert!(len == MAX || len >= hidden, "{name}: {len}");
                }
                if exact == MAX {
                    let overflow = |buffer| Err(Error::Overflow { buffer });
                    assert_eq!(layer.pack_into(&[], &mut [][..]).map(drop), overflow("weights"), "{name}");
                    assert_eq!(
                        layer.step(WeightSource::Canonical(&[]), &[], &mut [], &mut []),
                        overflow("weights"),
                        "{name}"
                    );
                    assert_eq!(train(layer, &[], 1, 1), overflow("weights"), "{name}");
                    assert_eq!(backward(layer, &[], 1, 1), overflow("weights"), "{name}");
                }
            }
        }
        let layer = kind.layer(3, 5, Isa::detect());
        let weights = vec![0.1; layer.weights_len()];
        let packed = layer.pack(&weights).unwrap();
        for huge in large {
            for (steps, batch) in [(huge, 1), (1, huge), (huge, huge), (huge, 2), (2, huge)] {
                let name = format!("{kind:?}, {steps} steps of {batch}");
                let (t, b) = (steps as u128, batch as u128);
                let exact = |n: Option<u128>| n.map_or(MAX, |n| n.min(MAX as u128) as usize);
                let rows = t.checked_mul(b);
                let (projected, width) = match kind.projection(5) {
                    Some(width) => (width as u128, width as u128),
                    None => (0, 5),
                };
                let row = 5 * kind.planes() as u128 + projected;
                let tape = rows.and_then(|r| r.checked_mul(row)).and_then(|n| n.checked_add(width * b));
                assert_eq!(layer.tape_len(steps, batch), exact(tape), "{name}");
                let state = width + if kind.gates() == 4 { 5 } else { 0 };
                assert_eq!(layer.state_len(batch), exact(b.checked_mul(state)), "{name}");

                let refused = |result: Result<()>| {
                    let fits = exact(rows.and_then(|r| r.checked_mul(3)));
                    let want = match fits {
                        MAX => Error::Overflow { buffer: "x" },
                        expected => Error::Length { buffer: "x", expected, actual: 0, need: Need::EXACT },
                    };
                    assert_eq!(result, Err(want), "{name}");
                };
                for weights in [WeightSource::from(&weights[..]), (&packed).into()] {
                    let (y, state, scratch) = (&mut [][..], &mut [][..], &mut [][..]);
                    refused(layer.forward(
                        weights,
                        Forward { sequences: Sequences::new(steps, batch), x: &[], y, state, scratch },
                    ));
                }
                refused(train(layer, &weights, steps, batch));
                refused(backward(layer, &weights, steps, batch));
            }
        }
    }
}

/// Steps and rows are checked for overflow even if there are no inputs.
#[test]
fn overflowing_rows_without_inputs() {
    for kind in Kind::ALL {
        let layer = kind.layer(0, 5, Isa::detect());
        let weights = pattern(layer.weights_len());
        for (steps, batch) in [(usize::MAX, 2), (usize::MAX / 2, 3)] {
            let (y, state) = (&mut [][..], &mut pattern(layer.state_len(batch))[..]);
            let scratch = &mut vec![0.0; 10_000];
            let args = Forward { sequences: Sequences::new(steps, batch), x: &[], y, state, scratch };
            assert_eq!(layer.forward(&weights[..], args), Err(Error::Overflow { buffer: "x" }));
        }
    }
}

fn train(layer: Layer, weights: &[f32], steps: usize, batch: usize) -> Result<()> {
    let (y, state, tape, scratch) = (&mut [][..], &mut [][..], &mut [][..], &mut [][..]);
    layer.forward_train(
        weights,
        ForwardTrain {
            sequences: Sequences::new(steps, batch),
            x: &[],
            y,
            state,
            recurrent_dropout: None,
            layer_dropout: None,
            tape,
            scratch,
        },
    )
}

fn backward(layer: Layer, weights: &[f32], steps: usize, batch: usize) -> Result<()> {
    let args = Backward {
        sequences: Sequences::new(steps, batch),
        x: &[],
        y: &[],
        dy: &[],
        dstate: &mut [],
        dx: None,
        grads: None,
        mode: Gradients::Overwrite,
        recurrent_dropout: None,
        layer_dropout: None,
        tape: &mut [],
        scratch: &mut [],
    };
    layer.backward(weights, args)
}

/// A dimension of zero makes every length zero, however large the other is.
#[test]
fn a_huge_dimension_beside_a_dimension_of_zero() {
    const MAX: usize = usize::MAX;
    for kind in Kind::ALL {
        for isa in Isa::available() {
            for input in [MAX, MAX / 2, MAX / 64] {
                let layer = kind.layer(input, 0, isa);
                assert_eq!((layer.weights_len(), layer.packed_len(), layer.state_len(7)), (0, 0, 0));
                let packed = layer.pack(&[]).unwrap();
                for weights in [WeightSource::Canonical(&[]), (&packed).into()] {
                    let (y, state, scratch) = (&mut [][..], &mut [][..], &mut [][..]);
                    let args = Forward { sequences: Sequences::new(0, 2), x: &[], y, state, scratch };
                    assert_eq!(layer.forward(weights, args), Ok(()), "{kind:?} with {input} inputs");
                }
            }
        }
        // With no rows there is nothing to do, whatever the number of units.
        let layer = kind.layer(2, 3, Isa::detect());
        let weights = pattern(layer.weights_len());
        assert_eq!(layer.state_len(0), 0);
        let (y, state) = (&mut [][..], &mut [][..]);
        let scratch = &mut vec![0.0; layer.scratch_len(9, 0)];
        assert_eq!(
            layer.forward(
                &weights[..],
                Forward { sequences: Sequences::new(9, 0), x: &[], y, state, scratch }
            ),
            Ok(())
        );
    }
}
