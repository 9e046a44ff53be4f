//! Calls that no program makes on purpose: a step of no rows, huge dimensions beside a dimension of zero, and
//! storage that changes between borrows.

mod common;

use std::cell::Cell;

use common::{Kind, pattern};
use recurrent::model::{self, Model};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Backward, Dense, Error, Forward, ForwardTrain, Gradients,
    Gru, Isa, KeysBackward, Lstm, Merge, Rnn, Sequences, Stack, WeightSource,
};

#[test]
fn a_step_of_no_rows_does_nothing() {
    for kind in Kind::ALL {
        for isa in Isa::available() {
            let layer = kind.layer(3, 5, isa);
            let weights = pattern(layer.weights_len());
            let packed = layer.pack(&weights).unwrap();
            for weights in [WeightSource::from(&weights[..]), (&packed).into()] {
                let mut scratch = pattern(layer.scratch_len(1, 1));
                assert_eq!(layer.step(weights, &[], &mut [], &mut scratch), Ok(()), "{kind:?}");
                assert_eq!(scratch, pattern(scratch.len()), "{kind:?}");
                assert_eq!(layer.step(weights, &[], &mut [], &mut []), Ok(()), "{kind:?}");
            }
        }
    }
    for layers in [1, 2] {
        let stack = Stack::new(Lstm::new(3, 5)).layers(layers);
        let weights = pattern(stack.weights_len());
        let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
        assert_eq!(stack.step(&weights[..], &[], &mut [], &mut []), Ok(&[][..]));
        assert_eq!(stack.step(&packed, &[], &mut [], &mut []), Ok(&[][..]));
    }
}

/// Where dimensions are multiplied, the zero must win over the overflow.
#[test]
fn huge_dimensions_beside_a_zero() {
    for huge in [1 << (usize::BITS - 3), usize::MAX / 2, usize::MAX - 15] {
        for isa in Isa::available() {
            let dense = Dense::new(huge, 0).on(isa);
            assert_eq!((dense.weights_len(), dense.packed_len()), (0, 0));
            let packed = dense.pack(&[], []).unwrap();
            for weights in [WeightSource::from(&[]), (&packed).into()] {
                assert_eq!(dense.forward(weights, 0, &[], &mut [], &mut []), Ok(()));
            }

            let attention = Attention::dot(huge).on(isa);
            let mut scratch = vec![0.0; attention.scratch_len(0, 0, 1)];
            let keys = attention.keys(&[], Sequences::new(0, 1), &[], [], &mut scratch).unwrap();
            let (context, alignments) = (&mut [][..], &mut [][..]);
            let sequences = Sequences::new(0, 1);
            let args =
                AttentionForward { sequences, queries: &[], context, alignments, scratch: &mut scratch };
            assert_eq!(attention.forward(&[], &keys, args), Ok(()));

            // With no features, steps and rows are not bounded by any buffer.
            let nothing = Attention::dot(0).on(isa);
            for (steps, batch) in [(huge, 1), (0, huge)] {
                let keys = nothing.keys(&[], Sequences::new(steps, batch), &[], [0.0; 4], &mut []).unwrap();
                let (context, alignments) = (&mut [][..], &mut [][..]);
                let sequences = Sequences::new(0, batch);
                let args =
                    AttentionForward { sequences, queries: &[], context, alignments, scratch: &mut [] };
                assert_eq!(nothing.forward(&[], &keys, args), Ok(()));
                let args = AttentionBackward {
                    sequences,
                    queries: &[],
                    alignments: &[],
                    dcontext: &[],
                    dqueries: &mut [],
                    dkeys: &mut [],
                    grads: Some(&mut []),
                    mode: Gradients::Accumulate,
                    scratch: &mut [],
                };
                assert_eq!(nothing.backward(&[], &keys, args), Ok(()));
                let (dkeys, dx) = (&mut [][..], &mut [][..]);
                let (grads, mode) = (Some(&mut [][..]), Gradients::Overwrite);
                let args = KeysBackward { x: &[], dkeys, dx, grads, mode, scratch: &mut [] };
                assert_eq!(nothing.keys_backward(&[], &keys, args), Ok(()));
            }

            // No units, but a projected state.
            let layer = Lstm::new(0, 0).projection(huge).on(isa);
            assert_eq!(layer.state_len(0), 0);
            let packed = layer.pack(&[], [0.0; 64]).unwrap();
            for weights in [WeightSource::from(&[]), (&packed).into()] {
                assert_eq!(layer.step(weights, &[], &mut [], &mut []), Ok(()));
                let (sequences, y, state, scratch) =
                    (Sequences::new(3, 0), &mut [][..], &mut [][..], &mut [][..]);
                assert_eq!(layer.forward(weights, Forward { sequences, x: &[], y, state, scratch }), Ok(()));
            }
            // Neither units nor a state: `steps` is not bounded by any buffer.
            let (layer, sequences) = (Gru::new(0, 0).on(isa), Sequences::new(huge, 1));
            let (y, state, tape, scratch) = (&mut [][..], &mut [][..], &mut [][..], &mut [][..]);
            let args = ForwardTrain { sequences, y, state, tape, scratch, ..Default::default() };
            assert_eq!(layer.forward_train(&[], args), Ok(()));
            let (dstate, tape, scratch) = (&mut [][..], &mut [][..], &mut [][..]);
            let args =
                Backward { sequences, dstate, tape, scratch, grads: Some(&mut []), ..Default::default() };
            assert_eq!(layer.backward(&[], args), Ok(()));
            // Units, but no weights.
            let layer = Lstm::new(0, huge).projection(0).bias(false).on(isa);
            if layer.weights_len() == 0 {
                let (sequences, y, state, scratch) =
                    (Sequences::new(30, 0), &mut [][..], &mut [][..], &mut [][..]);
                assert_eq!(layer.forward(&[], Forward { sequences, x: &[], y, state, scratch }), Ok(()));
            }
        }
    }
    let stack = Stack::new(Rnn::new(0, 0)).layers(usize::MAX).bidirectional(Merge::Sum);
    assert_eq!(stack.weights_len(), 0);
}

/// Storage that shrinks: `as_ref` gives fewer elements than `as_mut`.
struct Shrinks(Vec<f32>, usize);

impl AsMut<[f32]> for Shrinks {
    fn as_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl AsRef<[f32]> for Shrinks {
    fn as_ref(&self) -> &[f32] {
        &self.0[..self.1]
    }
}

#[test]
fn packed_weights_that_have_become_shorter_are_refused() {
    const WRONG: Result<(), Error> = Err(Error::Packing { what: "layer" });
    let storage = |len: usize, left: usize| Shrinks(vec![0.0; len], left);
    for kind in Kind::ALL {
        for isa in Isa::available() {
            let layer = kind.layer(3, 5, isa);
            let weights = pattern(layer.weights_len());
            for left in [0, 1, layer.packed_len() / 2] {
                let packed = layer.pack_into(&weights, storage(layer.packed_len(), left)).unwrap();
                let (mut y, mut state) = (pattern(2 * layer.width()), pattern(layer.state_len(1)));
                let mut scratch = vec![0.0; layer.scratch_len(2, 1)];
                let before = (y.clone(), state.clone());
                assert_eq!(layer.step(&packed, &[0.5; 3], &mut state, &mut scratch), WRONG, "{kind:?}");
                let (y_, state_, scratch) = (&mut y, &mut state, &mut scratch);
                let sequences = Sequences::new(2, 1);
                let args = Forward { sequences, x: &[0.5; 6], y: y_, state: state_, scratch };
                assert_eq!(layer.forward(&packed, args), WRONG, "{kind:?}");
                assert_eq!((y, state), before);
            }
        }
    }

    let dense = Dense::new(3, 5);
    let weights = pattern(dense.weights_len());
    let packed = dense.pack(&weights, storage(dense.packed_len(), 4)).unwrap();
    assert_eq!(dense.forward(&packed, 1, &[0.5; 3], &mut [0.0; 5], &mut []), WRONG);

    for stack in [Stack::new(Gru::new(3, 5)), Stack::new(Gru::new(3, 5)).layers(2)] {
        let weights = pattern(stack.weights_len());
        let less = stack.packed_len() - Gru::new(5, 5).packed_len() / 2;
        let packed = stack.pack(&weights, storage(stack.packed_len(), less)).unwrap();
        let (mut state, mut scratch) = (vec![0.0; stack.state_len(1)], vec![0.0; stack.scratch_len(1, 1)]);
        assert_eq!(stack.step(&packed, &[0.5; 3], &mut state, &mut scratch).map(drop), WRONG);
        let (sequences, state, scratch) = (Sequences::new(1, 1), &mut state[..], &mut scratch[..]);
        let args = Forward { sequences, x: &[0.5; 3], y: &mut [], state, scratch };
        assert_eq!(stack.forward(&packed, args), WRONG);
    }
}

/// Storage in which only the first mutable borrow has elements.
struct Once<'a>(&'a mut [f32], Cell<bool>);

impl AsMut<[f32]> for Once<'_> {
    fn as_mut(&mut self) -> &mut [f32] {
        if self.1.replace(true) { &mut [] } else { self.0 }
    }
}

#[test]
fn storage_is_asked_for_once() {
    let mut room = vec![0.0; 4096];
    macro_rules! once {
        () => {
            Once(&mut room, Cell::new(false))
        };
    }
    let gru = Gru::new(3, 5);
    assert!(gru.pack(&pattern(gru.weights_len()), once!()).is_ok());
    let dense = Dense::new(3, 5);
    assert!(dense.pack(&pattern(dense.weights_len()), once!()).is_ok());
    let stack = Stack::new(gru).layers(2);
    assert!(stack.pack(&pattern(stack.weights_len()), once!()).is_ok());
    let model = Model::new([model::Layer::gru(3, 5), model::Layer::dense(5, 2)]);
    assert!(model.pack(&pattern(model.weights_len()), once!()).is_ok());
    let attention = Attention::dot(2);
    let mut scratch = vec![0.0; attention.scratch_len(0, 3, 1)];
    assert!(attention.keys(&[], Sequences::new(3, 1), &[0.5; 6], once!(), &mut scratch).is_ok());
}
