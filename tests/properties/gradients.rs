//! Gradients, compared with central differences of the f64 reference.

use proptest::prelude::*;

use super::case::{Case, Data, Limits, cases};
use super::run::train;
use crate::common::case::{compare, wide};
use crate::{config, reference};

/// Step of the differences in f64. The formula's error is the square of the step; rounding adds 1e-16 of the
/// loss divided by the step.
const STEP: f64 = 1e-5;
/// Minimal distance of an activation's argument from a jump of a derivative: ten times what `STEP` moves it.
const MARGIN: f64 = 1e-4;
/// Largest deviation relative to the largest entry of the tensor. Most are within 3e-6. States without a
/// bound (for example a GRU whose update gate is a ReLU) also carry their rounding errors on.
const TOLERANCE: f64 = 3e-5;

fn forward(case: &Case, data: &Data, [weights, x, state]: [&[f64]; 3]) -> reference::Output {
    let dropout = data.dropout.as_ref().map(|factors| wide(factors));
    let walk = reference::Walk { dropout: dropout.as_deref(), ..case.walk() };
    reference::forward(&case.options, &walk, weights, x, state)
}

/// Gradients of `sum(y*dy) + sum(state*dstate)` with respect to the weights, the input and the initial state.
fn differences(case: &Case, data: &Data) -> [Vec<f64>; 3] {
    let (dy, dstate) = (wide(&data.dy), wide(&data.dstate));
    let mut arguments = [wide(&data.weights), wide(&data.x), wide(&data.state)];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    [0, 1, 2].map(|which| {
        let mut one = |i: usize| {
            let at = arguments[which][i];
            let [above, below, _] = [at + STEP, at - STEP, at].map(|at| {
                arguments[which][i] = at;
                let out = forward(case, data, [0, 1, 2].map(|n| &arguments[n][..]));
                dot(&out.y, &dy) + dot(&out.state, &dstate)
            });
            (above - below) / (2.0 * STEP)
        };
        let len = [data.weights.len(), data.x.len(), data.state.len()][which];
        (0..len).map(&mut one).collect()
    })
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn of_weights_input_and_state(case in cases(Limits { input: 3, hidden: 5, batch: 3, steps: 4 })) {
        let data = case.data();
        let want = forward(&case, &data, [&wide(&data.weights), &wide(&data.x), &wide(&data.state)]);
        // Few numbers can be so close to each other that normalising them leaves rounding errors only.
        // `sequence_gradients` checks layer normalisation of more numbers.
        prop_assume!(want.margin > MARGIN && case.options.norm.is_none());
        let [dweights, dx, dstate] = differences(&case, &data);
        let got = train(&case, case.layer(), &data, f32::NAN);
        compare(&got.grads, &dweights, TOLERANCE, "dweights");
        compare(&got.dx, &dx, TOLERANCE, "dx");
        compare(&got.dstate, &dstate, TOLERANCE, "dstate");
    }
}
