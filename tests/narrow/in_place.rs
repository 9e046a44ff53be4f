//! Narrow weights in place, compared with packed ones: the same bits.

use recurrent::{Dense, Embedding, Error, Gru, Lstm, Merge, Narrow, Rnn, Sequences, Stack, WeightSource};

use crate::common::{Random, assert_bits, random_weights};
use crate::{BATCH, Bytes, FORMATS, STEPS, each, marks, narrow_weights, run, settings};

#[test]
fn weights_in_place_give_the_bits_of_packed_ones() {
    each(|kind, isa, (input, hidden)| {
        let wide = kind.layer(input, hidden, isa);
        let mut random = Random::new(4);
        let weights = random_weights(wide, &mut random);
        let x = random.uniform(STEPS * BATCH * input, 1.0);
        let (mask, resets) = marks();
        let all = settings(&mask, &resets);
        for format in FORMATS {
            for layer in [wide.narrow(format), wide.narrow(format).reverse()] {
                let mut bytes = narrow_weights(layer, &weights);
                let packed = layer.pack(&weights).unwrap();
                let what = format!("{kind:?} {format:?} {} {input} {hidden}", isa.name());
                for sequences in all {
                    let expected = run(layer, &packed, sequences, &x);
                    let found = run(layer, &*bytes.get(), sequences, &x);
                    assert_bits(&expected.0, &found.0, &what);
                    assert_bits(&expected.1, &found.1, &what);
                }
                let mut states = [vec![0.1; layer.state_len(BATCH)], vec![0.1; layer.state_len(BATCH)]];
                let mut scratch = vec![f32::NAN; layer.scratch_len(1, BATCH)];
                for x in x.chunks_exact(BATCH * input).take(3) {
                    layer.step(&packed, x, &mut states[0], &mut scratch).unwrap();
                    layer.step(&*bytes.get(), x, &mut states[1], &mut scratch).unwrap();
                    assert_bits(&states[0], &states[1], &what);
                }
            }
        }
    });
}

#[test]
fn stacks_in_place_give_the_bits_of_packed_ones() {
    for isa in crate::sets() {
        for merge in [None, Some(Merge::Concat), Some(Merge::Sum)] {
            let stack = Stack::new(Gru::new(3, 10)).layers(3).on(isa).narrow(Narrow::W8A16);
            let stack = if let Some(merge) = merge { stack.bidirectional(merge) } else { stack };
            let mut random = Random::new(5);
            let weights = random.uniform(stack.weights_len(), 0.4);
            let x = random.uniform(STEPS * BATCH * 3, 1.0);
            let mut bytes = Bytes::new(stack.narrow_len());
            stack.round(&weights, bytes.get()).unwrap();
            let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
            let [expected, found] = [(&packed).into(), WeightSource::Narrow(bytes.get())].map(|weights| {
                let mut y = vec![f32::NAN; STEPS * BATCH * stack.output()];
                let mut state = vec![0.1; stack.state_len(BATCH)];
                let mut scratch = vec![f32::NAN; stack.scratch_len(STEPS, BATCH)];
                let sequences = Sequences::new(STEPS, BATCH);
                let args = recurrent::Forward {
                    sequences,
                    x: &x,
                    y: &mut y,
                    state: &mut state,
                    scratch: &mut scratch,
                };
                stack.forward(weights, args).unwrap();
                y.extend(state);
                y
            });
            assert_bits(&expected, &found, isa.name());
        }
    }
}

#[test]
fn a_table_in_place_has_the_rounded_rows() {
    for format in FORMATS {
        let table = Embedding::new(5, 3).narrow(format);
        let weights = Random::new(6).uniform(table.weights_len(), 2.0);
        let (mut bytes, mut rounded) = (Bytes::new(table.narrow_len()), vec![f32::NAN; weights.len()]);
        table.round(&weights, bytes.get()).unwrap();
        table.widen(bytes.get(), &mut rounded).unwrap();
        let mut y = vec![f32::NAN; 9];
        table.forward(&*bytes.get(), &[4, 0, 2], &mut y).unwrap();
        let expected = [&rounded[12..15], &rounded[0..3], &rounded[6..9]].concat();
        assert_bits(&y, &expected, format.name());
        let refused = table.forward(&*bytes.get(), &[5], &mut y[..3]);
        assert!(matches!(refused, Err(Error::Index { buffer: "ids", .. })), "{refused:?}");
    }
}

#[test]
fn weights_that_do_not_fit_are_refused_before_anything_is_written() {
    let layer = Lstm::new(3, 4).narrow(Narrow::W8A16);
    let weights = vec![0.5; layer.weights_len()];
    let mut bytes = Bytes::new(layer.narrow_len() + 4);
    layer.round(&weights, &mut bytes.get()[..layer.narrow_len()]).unwrap();
    let bytes: &[u8] = bytes.get();
    let mut state = vec![7.0; layer.state_len(1)];
    let mut scratch = vec![0.0; layer.scratch_len(1, 1)];
    let mut step = |layer: recurrent::Lstm, weights: WeightSource<'_>| {
        let refused = layer.step(weights, &[0.5; 3], &mut state, &mut scratch).unwrap_err();
        assert!(state.iter().all(|x| *x == 7.0), "{refused:?}");
        refused
    };
    let (expected, actual) = (layer.narrow_len(), layer.narrow_len() - 4);
    let short = Error::Length { buffer: "narrow", expected, actual, need: recurrent::Need::EXACT };
    assert_eq!(step(layer, (&bytes[..actual]).into()), short);
    let odd = step(layer, (&bytes[1..=expected]).into());
    assert!(matches!(odd, Error::Value { argument: "narrow", .. }), "{odd:?}");
    let wide = step(Lstm::new(3, 4), (&bytes[..expected]).into());
    assert!(matches!(wide, Error::Value { argument: "weights", .. }), "{wide:?}");
    // The sums have 32 bits, which bounds the rows.
    let long = Rnn::new(133_145, 1).narrow(Narrow::W8A16);
    let mut bytes = Bytes::new(long.narrow_len());
    let (mut state, mut scratch) = ([0.0], vec![0.0; long.scratch_len(1, 1)]);
    let refused = long.step(&*bytes.get(), &vec![0.0; 133_145], &mut state, &mut scratch);
    assert!(matches!(refused, Err(Error::Value { argument: "narrow", .. })), "{refused:?}");
    let long = Dense::new(133_145, 1).narrow(Narrow::W8A16);
    let (mut bytes, mut y) = (Bytes::new(long.narrow_len()), [7.0]);
    let mut scratch = vec![0.0; long.scratch_len()];
    let refused = long.forward(&*bytes.get(), 1, &vec![0.0; 133_145], &mut y, &mut scratch);
    assert!(matches!(refused, Err(Error::Value { argument: "narrow", .. })) && y == [7.0], "{refused:?}");
}
