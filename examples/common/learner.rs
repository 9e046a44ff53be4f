//! A model with everything that its training needs, in buffers that grow to the batch at hand.

use rand_xoshiro::Xoshiro256PlusPlus;
use recurrent::Sequences;
use recurrent::model::{Forward, Input, Loss, Model, Training};
use recurrent::train::{AdamW, clip_scale};

use super::Failure;

pub struct Learner<const N: usize> {
    pub model: Model<N>,
    pub weights: Vec<f32>,
    pub adam: AdamW,
    rng: Xoshiro256PlusPlus,
    grads: Vec<f32>,
    moments: Vec<f32>,
    state: Vec<f32>,
    tape: Vec<f32>,
    factors: Vec<f32>,
    scratch: Vec<f32>,
}

impl<const N: usize> Learner<N> {
    /// A model with PyTorch's initial weights. Gradients will be clipped to a norm of 1.
    pub fn new(model: Model<N>, adam: AdamW, mut rng: Xoshiro256PlusPlus) -> Result<Self, Failure> {
        let zeros = |len| vec![0.0; len];
        let mut weights = zeros(model.weights_len());
        model.init(&mut weights, &mut rng)?;
        Ok(Learner {
            model,
            adam,
            rng,
            grads: zeros(weights.len()),
            moments: zeros(AdamW::moments_len(weights.len())),
            weights,
            state: Vec::new(),
            tape: Vec::new(),
            factors: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// One update by a batch of sequences that start from a state of zero; returns their loss.
    pub fn update<'a>(
        &mut self,
        sequences: Sequences<'_>,
        x: impl Into<Input<'a>>,
        loss: Loss<'_>,
    ) -> Result<f32, Failure> {
        let (steps, batch, model) = (sequences.steps(), sequences.batch(), self.model);
        self.state.clear();
        self.state.resize(model.state_len(batch), 0.0);
        self.tape.resize(model.tape_len(steps, batch), 0.0);
        self.factors.resize(model.dropout_len(steps, batch), 0.0);
        self.scratch.resize(model.train_scratch_len(steps, batch), 0.0);
        model.draw_dropout(&mut self.factors, steps, batch, &mut self.rng)?;
        let mean = model.forward_backward(
            &self.weights,
            Training {
                sequences,
                x: x.into(),
                loss,
                grads: &mut self.grads,
                state: &mut self.state,
                dropout: Some(&self.factors),
                tape: &mut self.tape,
                scratch: &mut self.scratch,
                ..Default::default()
            },
        )?;
        // An update from gradients that are not finite would leave nothing to go on with.
        if let Some(clip) = clip_scale(&self.grads, 1.0)? {
            self.adam.update_scaled(&mut self.weights, &self.grads, &mut self.moments, clip.scale)?;
        }
        Ok(mean)
    }

    /// What the model makes of sequences, from a state of zero and without dropout.
    pub fn outputs<'a>(
        &self,
        sequences: Sequences<'_>,
        x: impl Into<Input<'a>>,
    ) -> Result<Vec<f32>, Failure> {
        let (steps, batch, model) = (sequences.steps(), sequences.batch(), self.model);
        let mut y = vec![0.0; model.output_len(steps, batch)];
        model.forward(
            &self.weights,
            Forward {
                sequences,
                x: x.into(),
                y: &mut y,
                state: &mut vec![0.0; model.state_len(batch)],
                scratch: &mut vec![0.0; model.scratch_len(steps, batch)],
            },
        )?;
        Ok(y)
    }
}
