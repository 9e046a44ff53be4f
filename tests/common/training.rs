//! Runs forward for training and then backward, over buffers of its own.

use recurrent::{Backward, ForwardTrain, Gradients, Result, Sequences};

use super::Layer;

/// Outputs and gradients of a training pass. Buffers that are only written start as NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub y: Vec<f32>,
    pub state: Vec<f32>,
    pub grads: Vec<f32>,
    pub dx: Vec<f32>,
    pub dstate: Vec<f32>,
}

/// Runs forward for training and then backward.
pub fn train(
    layer: Layer,
    (steps, batch): (usize, usize),
    weights: &[f32],
    x: &[f32],
    state: &[f32],
    dy: &[f32],
    dstate: &[f32],
) -> Result<Trained> {
    train_over(layer, Sequences::new(steps, batch), weights, x, state, dy, dstate)
}

/// As `train`, for sequences with lengths, masks or other settings.
pub fn train_over(
    layer: Layer,
    sequences: Sequences<'_>,
    weights: &[f32],
    x: &[f32],
    state: &[f32],
    dy: &[f32],
    dstate: &[f32],
) -> Result<Trained> {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let mut out = Trained {
        y: vec![f32::NAN; steps * batch * layer.width()],
        state: state.to_vec(),
        grads: vec![f32::NAN; weights.len()],
        dx: vec![f32::NAN; x.len()],
        dstate: dstate.to_vec(),
    };
    let mut tape = vec![f32::NAN; layer.tape_len(steps, batch)];
    let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
    layer.forward_train(
        weights,
        ForwardTrain {
            sequences,
            x,
            y: &mut out.y,
            state: &mut out.state,
            recurrent_dropout: None,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        },
    )?;
    scratch.fill(f32::NAN);
    layer.backward(
        weights,
        Backward {
            sequences,
            x,
            y: &out.y,
            dy,
            dstate: &mut out.dstate,
            dx: Some(&mut out.dx),
            grads: Some(&mut out.grads),
            mode: Gradients::Overwrite,
            recurrent_dropout: None,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        },
    )?;
    Ok(out)
}
