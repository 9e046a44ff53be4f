//! Runs the passes of a case.

use recurrent::{Backward, Forward, ForwardTrain, Gradients, WeightSource};

use super::case::{Case, Data};
use crate::common::{Layer, Trained, assert_same};

/// Outputs and last state. Buffers that are only written start as `garbage`.
pub fn forward<'w>(
    case: &Case,
    layer: Layer,
    weights: impl Into<WeightSource<'w>>,
    data: &Data,
    garbage: f32,
) -> (Vec<f32>, Vec<f32>) {
    let mut y = vec![garbage; data.dy.len()];
    let state = forward_to(case, layer, weights, data, &mut y, garbage);
    (y, state)
}

/// As `forward`, with the outputs in `y`, which may be empty.
pub fn forward_to<'w>(
    case: &Case,
    layer: Layer,
    weights: impl Into<WeightSource<'w>>,
    data: &Data,
    y: &mut [f32],
    garbage: f32,
) -> Vec<f32> {
    let mut state = data.state.clone();
    let mut scratch = vec![garbage; layer.scratch_len(case.steps, case.batch)];
    let args =
        Forward { sequences: case.sequences(), x: &data.x, y, state: &mut state, scratch: &mut scratch };
    layer.forward(weights, args).unwrap();
    state
}

/// Runs forward for training and then backward.
pub fn train(case: &Case, layer: Layer, data: &Data, garbage: f32) -> Trained {
    let mut out = Trained {
        y: vec![garbage; data.dy.len()],
        state: data.state.clone(),
        grads: vec![garbage; data.weights.len()],
        dx: vec![garbage; data.x.len()],
        dstate: data.dstate.clone(),
    };
    let (sequences, x, recurrent_dropout) = (case.sequences(), &data.x[..], data.dropout.as_deref());
    let mut tape = vec![garbage; layer.tape_len(case.steps, case.batch)];
    let mut scratch = vec![garbage; layer.train_scratch_len(case.batch)];
    let args = ForwardTrain {
        sequences,
        x,
        y: &mut out.y,
        state: &mut out.state,
        recurrent_dropout,
        layer_dropout: None,
        tape: &mut tape,
        scratch: &mut scratch,
    };
    layer.forward_train(&data.weights, args).unwrap();
    scratch.fill(garbage);
    let args = Backward {
        sequences,
        x,
        y: &out.y,
        dy: &data.dy,
        dstate: &mut out.dstate,
        dx: Some(&mut out.dx),
        grads: Some(&mut out.grads),
        mode: Gradients::Overwrite,
        recurrent_dropout,
        layer_dropout: None,
        tape: &mut tape,
        scratch: &mut scratch,
    };
    layer.backward(&data.weights, args).unwrap();
    out
}

#[track_caller]
pub fn assert_trained(a: &Trained, b: &Trained, what: &str) {
    assert_same(&a.y, &b.y, &format!("{what}: y"));
    assert_same(&a.state, &b.state, &format!("{what}: state"));
    assert_same(&a.dx, &b.dx, &format!("{what}: dx"));
    assert_same(&a.dstate, &b.dstate, &format!("{what}: dstate"));
    assert_same(&a.grads, &b.grads, &format!("{what}: grads"));
}
