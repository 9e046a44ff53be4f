//! A training pass with random arguments, and the oracle's results for it.

use super::{Kind, Layer, Random, Trained, oracle, random_weights, train};
use recurrent::Isa;

/// Step of the differences in f64. The formula's error is the square of the step; rounding adds 1e-16 of the
/// loss divided by the step.
const STEP: f64 = 1e-5;
/// Minimal distance of a ReLU's arguments from its kink: ten times what `STEP` moves them.
const MARGIN: f64 = 1e-4;

/// The arguments of a training pass.
#[derive(Clone)]
pub struct Case {
    pub dims: (usize, usize, usize, usize),
    pub weights: Vec<f32>,
    pub x: Vec<f32>,
    pub state: Vec<f32>,
    pub dy: Vec<f32>,
    pub dstate: Vec<f32>,
}

pub fn wide(of: &[f32]) -> Vec<f64> {
    of.iter().map(|v| f64::from(*v)).collect()
}

impl Case {
    pub fn new(kind: Kind, (input, hidden, batch, steps): (usize, usize, usize, usize)) -> Case {
        let layer = kind.layer(input, hidden, Isa::SCALAR);
        for seed in 0.. {
            let mut random = Random::new(seed);
            let case = Case {
                dims: (steps, batch, input, hidden),
                weights: random_weights(layer, &mut random),
                x: random.uniform(steps * batch * input, 1.0),
                state: random.uniform(layer.state_len(batch), 0.9),
                dy: random.uniform(steps * batch * layer.width(), 1.0),
                dstate: random.uniform(layer.state_len(batch), 1.0),
            };
            if !Kind::FUSED.contains(&kind) || case.oracle(kind).margin > MARGIN {
                return case;
            }
        }
        unreachable!("some seed stays away from the kink")
    }

    pub fn oracle(&self, kind: Kind) -> oracle::Output {
        oracle::forward(kind, self.dims, &wide(&self.weights), &wide(&self.x), &wide(&self.state))
    }

    pub fn train(&self, layer: Layer) -> Trained {
        let (steps, batch, ..) = self.dims;
        train(layer, (steps, batch), &self.weights, &self.x, &self.state, &self.dy, &self.dstate).unwrap()
    }

    /// Gradients of `sum(y * dy) + sum(hT * dhT) + sum(cT * dcT)` with respect to the weights, the input and
    /// the initial state.
    pub fn differences(&self, kind: Kind) -> [Vec<f64>; 3] {
        let dy = wide(&self.dy);
        let dstate = wide(&self.dstate);
        let arguments = [wide(&self.weights), wide(&self.x), wide(&self.state)];
        let loss = |[weights, x, state]: &[Vec<f64>; 3]| {
            let out = oracle::forward(kind, self.dims, weights, x, state);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(&out.y, &dy) + dot(&out.state, &dstate)
        };
        [0, 1, 2].map(|which| {
            let mut moved = arguments.clone();
            (0..arguments[which].len())
                .map(|i| {
                    let at = arguments[which][i];
                    moved[which][i] = at + STEP;
                    let above = loss(&moved);
                    moved[which][i] = at - STEP;
                    let below = loss(&moved);
                    moved[which][i] = at;
                    (above - below) / (2.0 * STEP)
                })
                .collect()
        })
    }
}

/// Returns the largest deviation relative to the largest entry. Fails if it is above `tolerance`.
#[track_caller]
pub fn compare(got: &[f32], want: &[f64], tolerance: f64, what: &str) -> f64 {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(f64::MIN_POSITIVE, |m, w| m.max(w.abs()));
    let mut most = 0.0;
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*g) - w).abs() / largest;
        assert!(off <= tolerance, "{what}[{i}] is {g}, should be {w}: off by {off:e} of {largest}");
        // A value outside the loss has a gradient of exactly zero, and a value that is not computed is zero.
        assert!(*w != 0.0 || *g == 0.0, "{what}[{i}] is {g}, should be zero");
        most = f64::max(most, off);
    }
    most
}
