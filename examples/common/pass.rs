//! A training pass through a layer of any cell.

use recurrent::{Backward, Cell, ForwardTrain, Recurrent, Sequences};

use super::Failure;

/// The results of a forward and a backward pass. Sequences are time-major, `[T, B, ..]`.
pub struct Pass {
    /// Outputs, and the last states.
    pub y: Vec<f32>,
    pub state: Vec<f32>,
    /// Gradients of the input, of the initial states, and of the weights.
    pub dx: Vec<f32>,
    pub dstate: Vec<f32>,
    pub grads: Vec<f32>,
}

/// Runs a layer forward from a state of zeros, and backward. `gradients` takes the outputs `[T, B, H]` and
/// the last hidden states `[B, H]`, and returns the gradients of both. An empty gradient means zero.
pub fn pass<C: Cell>(
    layer: Recurrent<C>,
    weights: &[f32],
    sequences: Sequences<'_>,
    x: &[f32],
    gradients: impl FnOnce(&[f32], &[f32]) -> Result<(Vec<f32>, Vec<f32>), Failure>,
) -> Result<Pass, Failure> {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let mut y = vec![0.0; steps * batch * layer.hidden()];
    let mut state = vec![0.0; layer.state_len(batch)];
    let mut tape = vec![0.0; layer.tape_len(steps, batch)];
    let mut scratch = vec![0.0; layer.train_scratch_len(batch)];
    layer.forward_train(
        weights,
        ForwardTrain {
            sequences,
            x,
            y: &mut y,
            state: &mut state,
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        },
    )?;
    // The hidden state is the first part of a state.
    let (dy, mut dstate) = gradients(&y, &state[..batch * layer.hidden()])?;
    dstate.resize(state.len(), 0.0);
    let (mut dx, mut grads) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
    layer.backward(
        weights,
        Backward {
            sequences,
            x,
            y: &y,
            dy: &dy,
            dstate: &mut dstate,
            dx: Some(&mut dx),
            grads: Some(&mut grads),
            tape: &mut tape,
            scratch: &mut scratch,
            ..Default::default()
        },
    )?;
    Ok(Pass { y, state, dx, dstate, grads })
}
