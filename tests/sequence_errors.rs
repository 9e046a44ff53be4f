//! Wrong settings of sequences, wrong dropout factors and wrong buffers of stacks are rejected by name,
//! before anything is written.

mod common;

use common::{Kind, Layer, pattern};
use recurrent::{
    Backward, Error, Forward, ForwardTrain, Gru, Isa, Masked, Merge, Need, Result, Sequences, Stack,
};

const STEPS: usize = 3;
const BATCH: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Pass {
    Forward,
    ForwardPacked,
    ForwardTrain,
    Backward,
}

impl Pass {
    const ALL: [Pass; 4] = [Pass::Forward, Pass::ForwardPacked, Pass::ForwardTrain, Pass::Backward];

    /// Runs the pass with buffers of the right lengths. Returns the result, and whether all written buffers
    /// are unchanged.
    fn run(self, layer: Layer, sequences: Sequences<'_>, dropout: Option<&[f32]>) -> (Result<()>, bool) {
        let rows = STEPS * BATCH;
        let (x, weights) = (pattern(rows * layer.input()), pattern(layer.weights_len()));
        let before = [
            pattern(rows * layer.width()),
            pattern(layer.state_len(BATCH)),
            pattern(layer.tape_len(STEPS, BATCH)),
            pattern(layer.scratch_len(STEPS, BATCH).max(layer.train_scratch_len(BATCH))),
            pattern(weights.len()),
            pattern(x.len()),
        ];
        let mut after = before.clone();
        let [y, state, tape, scratch, grads, dx] = &mut after;
        let result = match self {
            Pass::Forward => layer.forward(&weights[..], Forward { sequences, x: &x, y, state, scratch }),
            Pass::ForwardPacked => {
                let packed = layer.pack(&weights).unwrap();
                layer.forward(&packed, Forward { sequences, x: &x, y, state, scratch })
            }
            Pass::ForwardTrain => layer.forward_train(
                &weights,
                ForwardTrain {
                    sequences,
                    x: &x,
                    y,
                    state,
                    recurrent_dropout: dropout,
                    layer_dropout: None,
                    tape,
                    scratch,
                },
            ),
            Pass::Backward => layer.backward(
                &weights,
                Backward {
                    sequences,
                    x: &x,
                    y,
                    dy: &before[0],
                    dstate: state,
                    dx: Some(dx),
                    grads: Some(grads),
                    recurrent_dropout: dropout,
                    tape,
                    scratch,
                    ..Default::default()
                },
            ),
        };
        (result, before == after)
    }
}

fn each_pass(check: impl Fn(Layer, Pass, &str)) {
    for kind in Kind::ALL {
        for isa in Isa::available() {
            for layer in [kind.layer(3, 5, isa), kind.layer(3, 5, isa).reverse()] {
                for pass in Pass::ALL {
                    check(layer, pass, &format!("{pass:?} of {kind:?} on {}", isa.name()));
                }
            }
        }
    }
}

/// All errors of sequences that differ from valid ones in a single setting.
#[test]
fn lengths_masks_and_resets() {
    let base = Sequences::new(STEPS, BATCH);
    let length = |buffer, expected, actual| Error::Length { buffer, expected, actual, need: Need::EXACT };
    let too_long = |position, id| Error::Index { buffer: "lengths", position, id, limit: STEPS + 1 };
    let (mask, all) = ([true; STEPS * BATCH + 1], STEPS * BATCH);
    let refused = [
        (base.lengths(&[]), length("lengths", BATCH, 0)),
        (base.lengths(&[3]), length("lengths", BATCH, 1)),
        (base.lengths(&[3, 1, 2]), length("lengths", BATCH, 3)),
        (base.lengths(&[4, 1]), too_long(0, 4)),
        (base.lengths(&[0, usize::MAX]), too_long(1, usize::MAX)),
        (base.lengths(&[9, 7]), too_long(0, 9)),
        (base.mask(&[], Masked::Carry), length("mask", all, 0)),
        (base.mask(&mask[..all - 1], Masked::Zero), length("mask", all, all - 1)),
        (base.mask(&mask, Masked::Carry), length("mask", all, all + 1)),
        (base.mask(&mask[..STEPS], Masked::Carry), length("mask", all, STEPS)),
        (base.resets(&[]), length("resets", all, 0)),
        (base.resets(&mask[..all - 1]), length("resets", all, all - 1)),
        (base.resets(&mask), length("resets", all, all + 1)),
    ];
    each_pass(|layer, pass, name| {
        for (sequences, error) in refused {
            for sequences in [sequences, sequences.batch_major()] {
                let (result, untouched) = pass.run(layer, sequences, None);
                assert_eq!(result, Err(error), "{name}, {sequences:?}");
                assert!(untouched, "{name}, {sequences:?}: something was written");
            }
        }
        // The greatest valid length is accepted.
        let accepted = base.lengths(&[3, 0]).mask(&mask[..all], Masked::Zero).resets(&mask[..all]);
        assert_eq!(pass.run(layer, accepted, None).0, Ok(()), "{name}");
    });
}

#[test]
fn recurrent_dropout() {
    let sequences = Sequences::new(STEPS, BATCH);
    for kind in Kind::ALL {
        for isa in Isa::available() {
            let layer = kind.layer(3, 5, isa);
            for pass in [Pass::ForwardTrain, Pass::Backward] {
                let len = BATCH * layer.width();
                for actual in [0, len - 1, len, len + 1, 4 * len] {
                    let name = format!("{pass:?} of {kind:?} with {actual} factors on {}", isa.name());
                    let (result, untouched) = pass.run(layer, sequences, Some(&vec![1.0; actual]));
                    let want = match (kind.recurrent_dropout(), actual == len) {
                        (false, _) => Err(Error::Value {
                            argument: "recurrent_dropout",
                            expected: "empty for a layer that was made without it",
                        }),
                        (true, false) => Err(Error::Length {
                            buffer: "recurrent_dropout",
                            expected: len,
                            actual,
                            need: Need::EXACT,
                        }),
                        (true, true) => Ok(()),
                    };
                    assert_eq!(result, want, "{name}");
                    assert!(untouched || result.is_ok(), "{name}: something was written");
                }
            }
        }
    }
}

/// Only peepholes, a projection, biases and the widths change the lengths of buffers.
#[test]
fn lengths_of_layers_with_options() {
    use recurrent::{Gru, Lstm, Rnn};
    let lstm = Lstm::new(3, 5);
    assert_eq!(lstm.bias(false).weights_len() + 2 * 20, lstm.weights_len());
    assert_eq!(lstm.peepholes().weights_len(), lstm.weights_len() + 3 * 5);
    assert_eq!(lstm.projection(2).weights_len(), 20 * (3 + 2 + 2) + 2 * 5);
    assert_eq!((lstm.projection(2).width(), lstm.projection(2).hidden()), (2, 5));
    assert_eq!(lstm.projection(2).state_len(7), 7 * (2 + 5));
    assert_eq!(lstm.projection(2).tape_len(4, 7), 7 * 2 + 4 * 7 * (5 * 5 + 2));
    for options in [lstm.clip(1.0), lstm.coupled(), lstm.recurrent_dropout()] {
        assert_eq!(options.weights_len(), lstm.weights_len());
        assert_eq!(options.state_len(7), lstm.state_len(7));
        assert_eq!(options.tape_len(4, 7), lstm.tape_len(4, 7));
    }
    assert_eq!(Rnn::new(3, 5).bias(false).weights_len(), 5 * (3 + 5));
    assert_eq!(Gru::new(3, 5).bias(false).weights_len(), 15 * (3 + 5));
}

/// Wrong buffers are rejected by name, and nothing is written.
#[test]
fn buffers_of_stacks() {
    let stack = Stack::new(Gru::new(2, 3)).layers(2).bidirectional(Merge::Concat);
    let (rows, filled) = (STEPS * BATCH, |len: usize| vec![0.25_f32; len]);
    let lens = [
        ("weights", stack.weights_len()),
        ("x", rows * 2),
        ("y", rows * 6),
        ("state", stack.state_len(BATCH)),
        ("tape", stack.tape_len(STEPS, BATCH)),
        ("scratch", stack.train_scratch_len(STEPS, BATCH)),
        ("layer_dropout", stack.layer_dropout_len(STEPS, BATCH)),
    ];
    for (wrong, (name, len)) in lens.into_iter().enumerate() {
        let len_of = |which: usize| if which == wrong { len - 1 } else { lens[which].1 };
        let (weights, x, factors) = (filled(len_of(0)), filled(len_of(1)), filled(len_of(6)));
        let mut buffers = [2, 3, 4, 5].map(|which| filled(len_of(which)));
        let [y, state, tape, scratch] = &mut buffers;
        let result = stack.forward_train(
            &weights,
            ForwardTrain {
                sequences: Sequences::new(STEPS, BATCH),
                x: &x,
                y,
                state,
                recurrent_dropout: None,
                layer_dropout: Some(&factors),
                tape,
                scratch,
            },
        );
        assert_eq!(
            result,
            Err(Error::Length { buffer: name, expected: len, actual: len - 1, need: Need::EXACT })
        );
        assert!(buffers.iter().flatten().all(|v| *v == 0.25), "{name}: something was written");
    }
    let layers = Stack::new(Gru::new(2, 3)).layers(2);
    for other in [layers, layers.bidirectional(Merge::Sum), stack.layers(3)] {
        let packed = other.pack(&filled(other.weights_len()), filled(other.packed_len())).unwrap();
        let mut state = filled(stack.state_len(1));
        let args = Forward {
            sequences: Sequences::new(1, 1),
            x: &[1.0, 2.0],
            y: &mut [],
            state: &mut state,
            scratch: &mut filled(stack.scratch_len(1, 1)),
        };
        assert_eq!(stack.forward(&packed, args), Err(Error::Packing { what: "layer" }));
    }
}
