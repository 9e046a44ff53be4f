//! Models for tests, and the buffers of their passes.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use super::numbers::{random, rng};
use recurrent::model::{Forward, Input, Layer, Loss, Model, Training, WeightSource};
use recurrent::{
    Activate, Activation, Dense, Gradients, Gru, Lstm, Merge, Pool, Result, Rnn, Scale, Sequences, Stack,
};

pub const STEPS: usize = 5;
pub const BATCH: usize = 3;
pub const LENGTHS: [usize; BATCH] = [4, 0, 5];

/// One output for each step, with all kinds of layers except a pool.
pub const TAGGER: Model<6> = Model::new([
    Layer::embedding(7, 4),
    Layer::Lstm(Stack::new(Lstm::new(4, 6).recurrent_dropout()).layers(2).bidirectional(Merge::Concat)),
    Layer::Dense(Dense::new(12, 5).tanh()),
    Layer::Dropout(0.3),
    Layer::Gru(Stack::new(Gru::new(5, 9))),
    Layer::dense(9, 7),
])
.recurrent_dropout(0.2);

/// One output for each sequence of values.
pub const CLASSIFIER: Model<4> = Model::new([
    Layer::Rnn(Stack::new(Rnn::new(3, 8)).layers(2)),
    Layer::Pool(Pool::Mean),
    Layer::Dense(Dense::new(8, 6).relu()),
    Layer::dense(6, 4),
]);

/// One output for each sequence, from the ends of both directions, with scales and activations between the
/// layers.
pub const READER: Model<7> = Model::new([
    Layer::Scale(Scale::new(3)),
    Layer::Activate(Activate::new(Activation::Softsign)),
    Layer::Gru(Stack::new(Gru::new(3, 5)).layers(2).bidirectional(Merge::Concat)),
    Layer::Pool(Pool::Ends),
    Layer::Activate(Activate::new(Activation::Elu { alpha: 0.7 })),
    Layer::Scale(Scale::new(10)),
    Layer::dense(10, 4),
]);

/// Adds the layers' outputs to the input (a residual), and can run step by step.
pub const AMPLIFIER: Model<5> = Model::new([
    Layer::Lstm(Stack::new(Lstm::new(3, 6).projection(4))),
    Layer::dense(4, 3),
    Layer::Activate(Activate::new(Activation::ScaledTanh { alpha: 0.8, beta: 1.5 })),
    Layer::Residual,
    Layer::Scale(Scale::new(3)),
]);

/// Can run step by step.
pub const WRITER: Model<4> = Model::new([
    Layer::embedding(7, 4),
    Layer::Lstm(Stack::new(Lstm::new(4, 6)).layers(2)),
    Layer::mgu(6, 5),
    Layer::dense(5, 7),
]);

pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Random numbers in `-bound..bound`.
pub fn scaled(len: usize, bound: f32) -> Vec<f32> {
    random(len, 3).iter().map(|x| x * bound).collect()
}

pub fn nan(len: usize) -> Vec<f32> {
    vec![f32::NAN; len]
}

pub fn ids(len: usize, classes: u32) -> Vec<u32> {
    (0..len as u32).map(|i| i * i % classes).collect()
}

/// The buffers of a training pass.
pub struct Buffers {
    pub weights: Vec<f32>,
    pub grads: Vec<f32>,
    pub state: Vec<f32>,
    pub tape: Vec<f32>,
    pub scratch: Vec<f32>,
    pub dropout: Vec<f32>,
}

impl Buffers {
    pub fn new<const N: usize>(model: &Model<N>) -> Self {
        let mut dropout = nan(model.dropout_len(STEPS, BATCH));
        model.draw_dropout(&mut dropout, STEPS, BATCH, &mut rng(3)).unwrap();
        Buffers {
            weights: scaled(model.weights_len(), 0.7),
            grads: nan(model.weights_len()),
            state: scaled(model.state_len(BATCH), 0.5),
            tape: nan(model.tape_len(STEPS, BATCH)),
            scratch: nan(model.train_scratch_len(STEPS, BATCH)),
            dropout,
        }
    }

    pub fn train<const N: usize>(
        &mut self,
        model: &Model<N>,
        sequences: Sequences<'_>,
        x: Input<'_>,
        loss: Loss<'_>,
    ) -> Result<f32> {
        self.train_states(model, sequences, x, loss, None)
    }

    /// As `train`, and also asks for the gradient of the initial state.
    pub fn train_states<const N: usize>(
        &mut self,
        model: &Model<N>,
        sequences: Sequences<'_>,
        x: Input<'_>,
        loss: Loss<'_>,
        dstate: Option<&mut [f32]>,
    ) -> Result<f32> {
        let Buffers { weights, grads, state, tape, scratch, dropout } = self;
        let dropout = (!dropout.is_empty()).then_some(&dropout[..]);
        let (total_targets, mode) = (None, Gradients::Overwrite);
        model.forward_backward(
            weights,
            Training {
                sequences,
                x,
                loss,
                total_targets,
                grads,
                mode,
                state,
                dstate,
                dropout,
                tape,
                scratch,
            },
        )
    }
}

/// Outputs and last states of a forward pass.
pub fn forward<'w, const N: usize>(
    model: &Model<N>,
    weights: impl Into<WeightSource<'w>>,
    sequences: Sequences<'_>,
    x: Input<'_>,
    state: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let (mut y, mut state) = (nan(model.output_len(steps, batch)), state.to_vec());
    let mut scratch = nan(model.scratch_len(steps, batch));
    model
        .forward(weights, Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch })
        .unwrap();
    (y, state)
}
