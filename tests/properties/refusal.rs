//! A buffer of a wrong length is rejected by name, and nothing is written.

use proptest::prelude::*;
use proptest::sample::Index;
use recurrent::{Backward, Dense, DenseBackward, Error, Forward, ForwardTrain, Gradients, Need, Result};

use super::case::{Case, Limits, cases};
use crate::common::{Layer, pattern};
use crate::config;

#[derive(Clone, Copy, Debug)]
enum Pass {
    Pack,
    Step,
    Forward,
    ForwardTrain,
    Backward,
    Dense,
    DenseBackward,
}
const PASSES: [Pass; 7] = [
    Pass::Pack,
    Pass::Step,
    Pass::Forward,
    Pass::ForwardTrain,
    Pass::Backward,
    Pass::Dense,
    Pass::DenseBackward,
];

/// The lengths that are accepted for a buffer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Exactly,
    AtLeast,
    /// The exact length, or zero.
    OrNone,
}
use Rule::{AtLeast, Exactly, OrNone};

fn dense(layer: Layer) -> Dense {
    Dense::new(layer.input(), layer.width())
}

impl Pass {
    /// Name, length and rule of every buffer, in the order in which `run` takes them.
    fn buffers(self, case: &Case, layer: Layer) -> Vec<(&'static str, usize, Rule)> {
        let (steps, batch) = (case.steps, case.batch);
        let rows = steps * batch;
        let weights = ("weights", layer.weights_len(), Exactly);
        let (x, y) = (("x", rows * layer.input(), Exactly), rows * layer.width());
        let state = layer.state_len(batch);
        let train = [
            ("tape", layer.tape_len(steps, batch), Exactly),
            ("scratch", layer.train_scratch_len(batch), AtLeast),
        ];
        let dense = dense(layer);
        let of_dense = [("weights", dense.weights_len(), Exactly), x];
        let room = ("scratch", dense.scratch_len(), AtLeast);
        match self {
            Pass::Pack => vec![weights, ("packed", layer.packed_len(), AtLeast)],
            Pass::Step => vec![
                weights,
                ("x", batch * layer.input(), Exactly),
                ("state", state, Exactly),
                ("scratch", layer.scratch_len(1, batch), AtLeast),
            ],
            Pass::Forward => vec![
                weights,
                x,
                ("y", y, OrNone),
                ("state", state, Exactly),
                ("scratch", layer.scratch_len(steps, batch), AtLeast),
            ],
            Pass::ForwardTrain => {
                [vec![weights, x, ("y", y, Exactly), ("state", state, Exactly)], train.to_vec()].concat()
            }
            Pass::Backward => [
                vec![weights, x, ("y", y, Exactly), ("dy", y, OrNone), ("dstate", state, Exactly)],
                vec![("dx", x.1, Exactly), ("grads", weights.1, Exactly)],
                train.to_vec(),
            ]
            .concat(),
            Pass::Dense => [of_dense.to_vec(), vec![("y", y, Exactly), room]].concat(),
            Pass::DenseBackward => [
                of_dense.to_vec(),
                vec![("y", y, OrNone), ("dy", y, Exactly), ("dx", x.1, Exactly)],
                vec![("grads", dense.weights_len(), Exactly), room],
            ]
            .concat(),
        }
    }

    fn run(self, case: &Case, layer: Layer, buffers: &mut [Vec<f32>]) -> Result<()> {
        let (sequences, rows) = (case.sequences(), case.steps * case.batch);
        match (self, buffers) {
            (Pass::Pack, [weights, packed]) => layer.pack_into(weights, &mut packed[..]).map(drop),
            (Pass::Step, [weights, x, state, scratch]) => layer.step(&weights[..], x, state, scratch),
            (Pass::Forward, [weights, x, y, state, scratch]) => {
                layer.forward(&weights[..], Forward { sequences, x, y, state, scratch })
            }
            (Pass::ForwardTrain, [weights, x, y, state, tape, scratch]) => layer.forward_train(
                weights,
                ForwardTrain { sequences, x, y, state, tape, scratch, ..Default::default() },
            ),
            (Pass::Backward, [weights, x, y, dy, dstate, dx, grads, tape, scratch]) => {
                let (dx, grads) = (Some(&mut dx[..]), Some(&mut grads[..]));
                layer.backward(
                    weights,
                    Backward { sequences, x, y, dy, dstate, dx, grads, tape, scratch, ..Default::default() },
                )
            }
            (Pass::Dense, [weights, x, y, scratch]) => {
                dense(layer).forward(&weights[..], rows, x, y, scratch)
            }
            (Pass::DenseBackward, [weights, x, y, dy, dx, grads, scratch]) => {
                let (dx, grads, mode) = (Some(&mut dx[..]), Some(&mut grads[..]), Gradients::Accumulate);
                dense(layer).backward(weights, DenseBackward { rows, x, y, dy, dx, grads, mode, scratch })
            }
            _ => unreachable!("buffers are those of the pass"),
        }
    }
}

proptest! {
    #![proptest_config(config(4000))]

    #[test]
    fn wrong_lengths(
        case in cases(Limits::ALL),
        pass in prop::sample::select(&PASSES[..]),
        which in any::<Index>(),
        by in prop_oneof![Just(-1), Just(1), -40..40_isize, Just(isize::MIN)],
    ) {
        // `step` takes the batch from the length of its state, so it needs a layer with a state.
        let layer = case.layer();
        let is_step = matches!(pass, Pass::Step);
        prop_assume!(!is_step || layer.state_len(1) > 0);
        let expected = pass.buffers(&case, layer);
        let mut buffers: Vec<_> = expected.iter().map(|(_, len, _)| pattern(*len)).collect();
        let (name, len, rule) = expected[which.index(expected.len())];
        let actual = len.saturating_add_signed(by);
        buffers[which.index(expected.len())] = pattern(actual);
        let fits = match rule {
            Exactly => actual == len,
            AtLeast => actual >= len,
            OrNone => actual == len || actual == 0,
        };
        let before = buffers.clone();
        let result = pass.run(&case, layer, &mut buffers);
        if fits {
            prop_assert_eq!(result, Ok(()));
        } else if is_step && name == "state" {
            // The length may be right for another batch, which then does not fit `x` or `scratch`.
            prop_assert!(result.is_err() || layer.input() == 0, "{:?}", result);
        } else {
            prop_assert_eq!(result, Err(Error::Length { buffer: name, expected: len, actual, need: Need::EXACT }));
        }
        if result.is_err() {
            prop_assert!(buffers == before, "something was written");
        }
    }
}
