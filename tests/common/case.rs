//! A training pass with random arguments, and what the oracle says of it.

use super::{Kind, Layer, Random, Trained, oracle, random_weights, train};
use recurrent::Isa;

/// Of the differences in f64: the error of the formula is its square, that of rounding 1e-16 of the loss divided by it.
const STEP: f64 = 1e-5;
/// How far a ReLU's arguments have to stay away from the kink: ten times what `STEP` moves them.
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

    /// Gradients of `sum(y * dy) + sum(hT * dhT) + sum(cT * dcT)`: of the weights, the input and the initial state.
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
