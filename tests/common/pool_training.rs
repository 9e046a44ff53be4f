//! A training on a pool.

use recurrent::{Backward, ForwardTrain, Gradients, Join, Sequences};

use super::pool::BATCH;
use super::{Layer, Random, Trained, assert_bits, random_weights};

/// The arguments of a training, and the gradients that it adds to.
pub struct Case {
    pub layer: Layer,
    pub batch: usize,
    pub weights: Vec<f32>,
    pub x: Vec<f32>,
    pub state: Vec<f32>,
    pub dy: Vec<f32>,
    pub dstate: Vec<f32>,
    pub grads: Vec<f32>,
    pub factors: Option<Vec<f32>>,
}

impl Case {
    pub fn new(layer: Layer, drops: bool, steps: usize) -> Case {
        Case::of(layer, drops, (steps, BATCH))
    }

    pub fn of(layer: Layer, drops: bool, (steps, batch): (usize, usize)) -> Case {
        let random = &mut Random::new(8);
        let mut factors = random.uniform(batch * layer.width(), 1.0);
        factors.iter_mut().for_each(|f| *f = if *f < -0.4 { 0.0 } else { 1.0 / 0.7 });
        Case {
            layer,
            batch,
            weights: random_weights(layer, random),
            x: random.uniform(steps * batch * layer.input(), 1.0),
            state: random.uniform(layer.state_len(batch), 0.9),
            dy: random.uniform(steps * batch * layer.width(), 1.0),
            dstate: random.uniform(layer.state_len(batch), 1.0),
            grads: random.uniform(layer.weights_len(), 1.0),
            factors: drops.then_some(factors),
        }
    }

    /// Runs both passes, on a pool if there is one. With `Gradients::Accumulate`, gradients are added to
    /// `grads`.
    pub fn run(
        &self,
        join: Option<&dyn Join>,
        sequences: Sequences<'_>,
        mode: Gradients,
        wanted: bool,
    ) -> Trained {
        let (layer, batch) = (self.layer, self.batch);
        let rows = sequences.steps() * batch;
        let mut out = Trained {
            y: vec![f32::NAN; rows * layer.width()],
            state: self.state.clone(),
            grads: match mode {
                Gradients::Overwrite => vec![f32::NAN; self.weights.len()],
                Gradients::Accumulate => self.grads.clone(),
            },
            dx: vec![f32::NAN; self.x.len()],
            dstate: self.dstate.clone(),
        };
        let len = join.map_or(layer.train_scratch_len(batch), |join| {
            layer.train_scratch_len_with(join.threads(), sequences.steps(), batch)
        });
        let mut tape = vec![f32::NAN; layer.tape_len(sequences.steps(), batch)];
        let mut scratch = vec![f32::NAN; len];
        let recurrent_dropout = self.factors.as_deref();
        let args = ForwardTrain {
            sequences,
            x: &self.x,
            y: &mut out.y,
            state: &mut out.state,
            recurrent_dropout,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        match join {
            None => layer.forward_train(&self.weights, args),
            Some(join) => layer.forward_train_with(join, &self.weights, args),
        }
        .unwrap();
        scratch.fill(f32::NAN);
        let args = Backward {
            sequences,
            x: &self.x,
            y: &out.y,
            dy: &self.dy,
            dstate: &mut out.dstate,
            dx: wanted.then_some(&mut out.dx),
            grads: wanted.then_some(&mut out.grads),
            mode,
            recurrent_dropout,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        match join {
            None => layer.backward(&self.weights, args),
            Some(join) => layer.backward_with(join, &self.weights, args),
        }
        .unwrap();
        out
    }
}

/// Compares the results of two trainings; gradients only if they are wanted.
pub fn check_trained(got: &Trained, want: &Trained, wanted: bool, what: &str) {
    assert_bits(&got.y, &want.y, &format!("{what}: y"));
    assert_bits(&got.state, &want.state, &format!("{what}: state"));
    assert_bits(&got.dstate, &want.dstate, &format!("{what}: dstate"));
    if wanted {
        assert_bits(&got.dx, &want.dx, &format!("{what}: dx"));
        assert_bits(&got.grads, &want.grads, &format!("{what}: grads"));
    }
}
