//! Padding and other rows have no influence on results.

use proptest::prelude::*;
use proptest::sample::Index;

use super::case::{Case, Data, Limits, cases, pick};
use super::run::{assert_trained, forward, train};
use crate::common::{Layer, Trained, assert_same};
use crate::config;

const STRANGE: [f32; 6] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0, 1e-40];

/// Fills the padding with `with`: the input, and the gradients of outputs that are always zero.
fn pad(case: &Case, data: &mut Data, with: f32) {
    let (input, width) = (case.options.input, case.options.width());
    for b in 0..case.batch {
        for t in (0..case.steps).filter(|t| !case.active(*t, b)) {
            let row = case.row(t, b);
            data.x[row * input..][..input].fill(with);
            if case.zero || t >= case.len(b) {
                data.dy[row * width..][..width].fill(with);
            }
        }
    }
}

/// The argument that `spoil` changes.
#[derive(Clone, Copy, Debug)]
enum Where {
    X,
    State,
    Dy,
    Dstate,
}

/// Puts `value` into an argument of batch row `b`. Returns whether the argument has any element there.
fn spoil(case: &Case, layer: Layer, data: &mut Data, b: usize, at: Where, place: Index, value: f32) -> bool {
    let (row, len) = (case.row(place.index(case.steps.max(1)), b), |width: usize| width * case.steps.min(1));
    let set = |of: &mut [f32], width: usize| {
        if width > 0 {
            of[row * width + place.index(width)] = value;
        }
        width > 0
    };
    match at {
        Where::X => set(&mut data.x, len(layer.input())),
        Where::Dy => set(&mut data.dy, len(layer.width())),
        Where::State | Where::Dstate => {
            let of = if matches!(at, Where::State) { &mut data.state } else { &mut data.dstate };
            let mut state = layer.state_row(of, case.batch, b);
            if state.is_empty() {
                return false;
            }
            let place = place.index(state.len());
            state[place] = value;
            layer.set_state_row(of, case.batch, b, &state);
            true
        }
    }
}

/// The results of all batch rows except `b`. (Weight gradients are sums over all rows, so they are left out.)
fn others(case: &Case, layer: Layer, of: Trained, b: usize) -> Trained {
    let batch: Vec<usize> = (0..case.batch).filter(|other| *other != b).collect();
    let (_, rows) = case.part(0..case.steps, &batch);
    Trained {
        y: pick(&of.y, &rows, layer.width()),
        state: case.state_rows(&of.state, &batch),
        grads: vec![],
        dx: pick(&of.dx, &rows, layer.input()),
        dstate: case.state_rows(&of.dstate, &batch),
    }
}

proptest! {
    #![proptest_config(config(1600))]

    #[test]
    fn padding_does_not_matter(case in cases(Limits::ALL), value in prop::sample::select(&STRANGE[..])) {
        let (layer, data) = (case.layer(), case.data());
        let mut padded = data.clone();
        pad(&case, &mut padded, value);
        let (want, got) = (train(&case, layer, &data, 0.0), train(&case, layer, &padded, 0.0));
        assert_trained(&got, &want, "padded");
        let (want, got) = [&data, &padded].map(|data| forward(&case, layer, &data.weights[..], data, 0.0)).into();
        assert_same(&got.0, &want.0, "y");
        assert_same(&got.1, &want.1, "state");
    }

    #[test]
    fn garbage_does_not_matter(case in cases(Limits::ALL), value in prop::sample::select(&STRANGE[..])) {
        let (layer, data) = (case.layer(), case.data());
        let packed = layer.pack(&data.weights).unwrap();
        let mut room = vec![value; layer.packed_len()];
        let other = layer.pack_into(&data.weights, &mut room[..]).unwrap();
        let want = forward(&case, layer, &packed, &data, 0.0);
        for got in [
            forward(&case, layer, &other, &data, value),
            forward(&case, layer, &data.weights[..], &data, value),
        ] {
            assert_same(&got.0, &want.0, "y");
            assert_same(&got.1, &want.1, "state");
        }
        assert_trained(&train(&case, layer, &data, value), &train(&case, layer, &data, 0.0), "trained");
    }

    /// A strange value in one row does not reach other rows.
    #[test]
    fn a_row_does_not_spoil_others(
        case in cases(Limits::ALL),
        (value, b, place) in (prop::sample::select(&STRANGE[..4]), any::<Index>(), any::<Index>()),
        at in prop::sample::select(&[Where::X, Where::State, Where::Dy, Where::Dstate][..]),
    ) {
        prop_assume!(case.batch > 1);
        let (layer, data, b) = (case.layer(), case.data(), b.index(case.batch));
        let mut spoilt = data.clone();
        prop_assume!(spoil(&case, layer, &mut spoilt, b, at, place, value));
        let want = others(&case, layer, train(&case, layer, &data, 0.0), b);
        let got = others(&case, layer, train(&case, layer, &spoilt, 0.0), b);
        assert_trained(&got, &want, "others");
        let packed = layer.pack(&data.weights).unwrap();
        let (y, state) = forward(&case, layer, &packed, &spoilt, 0.0);
        let grads = vec![];
        let got = Trained { y, state, grads, dx: spoilt.x.clone(), dstate: spoilt.dstate.clone() };
        let got = others(&case, layer, got, b);
        if data.dropout.is_none() {
            assert_same(&got.y, &want.y, "y");
            assert_same(&got.state, &want.state, "state");
        }
    }
}
