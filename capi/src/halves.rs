//! A training pass in two halves, for a program that computes its loss between them.

use recurrent_core::model::{Backward, ForwardTrain};
use recurrent_core::Gradients;

use crate::border::{self, are_apart, Given, Place};
use crate::error::{answer, recurrent_error, recurrent_status, Outcome};
use crate::model::recurrent_model;
use crate::passes::{self, recurrent_sequences};

/// The buffers of recurrent_forward_train() and recurrent_backward(). Each of them uses only the fields that
/// name it. Unused ones are null with length 0. Set the whole struct to zero first, so that fields of later
/// versions are unused. Shapes are those of recurrent_buffers.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_own_training {
    /// Both: the weights, as in recurrent_training.
    pub weights: *const f32,
    pub weights_len: usize,
    /// Both: the input of a model that takes values, `[T, B, I]`.
    pub x: *const f32,
    pub x_len: usize,
    /// Both: the input of a model that takes ids, `[T, B]`.
    pub ids: *const u32,
    pub ids_len: usize,
    /// Both: factors of dropout, as in recurrent_training.
    pub dropout: *const f32,
    pub dropout_len: usize,
    /// Both: what the forward half keeps for the backward half, which overwrites it:
    /// recurrent_model_tape_len() elements.
    pub tape: *mut f32,
    pub tape_len: usize,
    /// Both: working memory with any contents: at least recurrent_model_train_scratch_len() elements for the
    /// forward half, and recurrent_model_backward_scratch_len() for the backward half, which is not less.
    pub scratch: *mut f32,
    pub scratch_len: usize,
    /// Forward: the output, which is written; recurrent_model_output_len() elements.
    pub y: *mut f32,
    pub y_len: usize,
    /// Forward: the state at the start, replaced by the state at the end; recurrent_model_state_len()
    /// elements.
    pub state: *mut f32,
    pub state_len: usize,
    /// Backward: the gradient of the loss in each output, as many as `y`. Those of steps that do not take
    /// part have no effect.
    pub dy: *const f32,
    pub dy_len: usize,
    /// Backward: takes the gradients of the weights, in their layout.
    pub grads: *mut f32,
    pub grads_len: usize,
    /// Backward: takes the gradient of `x`, unless it is null. Must be null for a model that takes ids.
    pub dx: *mut f32,
    pub dx_len: usize,
    /// Backward: the gradient of the last state, replaced by that of the first state, or null:
    /// recurrent_model_state_len() elements. Zeros if the loss does not depend on the last state.
    pub dstate: *mut f32,
    pub dstate_len: usize,
    /// Backward: not 0 if the gradients of the weights are added to those in `grads`.
    pub accumulate: u8,
}

/// The buffers that both halves use.
struct Both {
    weights: Given<f32>,
    x: Given<f32>,
    ids: Given<u32>,
    dropout: Given<f32>,
    tape: Given<f32>,
    scratch: Given<f32>,
}

impl Both {
    fn new(of: &recurrent_own_training) -> Outcome<Self> {
        Ok(Both {
            weights: Given::reading("weights", of.weights, of.weights_len)?,
            x: Given::reading("x", of.x, of.x_len)?,
            ids: Given::reading("ids", of.ids, of.ids_len)?,
            dropout: Given::reading("dropout", of.dropout, of.dropout_len)?,
            tape: Given::new("tape", of.tape, of.tape_len)?,
            scratch: Given::new("scratch", of.scratch, of.scratch_len)?,
        })
    }

    /// Checks that what a half writes is apart from all that both halves read.
    fn apart(&self, model: &recurrent_model, written: &[Place], lists: &[Place]) -> Outcome {
        let read = [self.weights.place(), self.x.place(), self.ids.place(), self.dropout.place()];
        are_apart(written, &read)?;
        are_apart(written, lists)?;
        are_apart(written, &model.places())
    }
}

/// `None` for an empty buffer.
fn some(factors: &[f32]) -> Option<&[f32]> {
    (!factors.is_empty()).then_some(factors)
}

/// The forward half of a training pass, for a loss that the program computes itself: writes the outputs, the
/// last states, and the tape. Then compute the loss and its gradient `dy` in each output, and call
/// recurrent_backward().
///
/// The cells must be named in `_training`. The weights are those in `training->weights`, as in
/// recurrent_forward_backward().
///
/// Real time and threads: as recurrent_forward_backward().
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _INDEX (an id or a length),
/// _VALUE (inputs of the other kind), _LAYERS (a cell that was not named in `_training`), _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_forward_train(
    model: *const recurrent_model,
    sequences: *const recurrent_sequences,
    training: *const recurrent_own_training,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let (sequences, lists) = passes::sequences(border::arguments("sequences", sequences)?)?;
        let of: &recurrent_own_training = border::arguments("training", training)?;
        let both = Both::new(of)?;
        let y = Given::new("y", of.y, of.y_len)?;
        let state = Given::new("state", of.state, of.state_len)?;
        let written = [y.place(), state.place(), both.tape.place(), both.scratch.place()];
        both.apart(model, &written, &lists)?;
        let args = ForwardTrain {
            sequences,
            x: passes::input(model, both.x, both.ids)?,
            y: y.slice_mut(),
            state: state.slice_mut(),
            dropout: some(both.dropout.slice()),
            tape: both.tape.slice_mut(),
            scratch: both.scratch.slice_mut(),
        };
        Ok(model.chain.forward_train(both.weights.slice(), args)?)
    };
    answer(error, run())
}

/// The backward half: backpropagation through time from the gradient of the outputs. Writes the gradients of
/// the weights, and if asked for those of the input and of the first state. Sequences, weights, input, dropout
/// and tape are those of recurrent_forward_train(), and unchanged. The tape serves one call.
///
/// For long sequences that are cut into chunks, run the chunks forward, each with its own tape, then backward
/// from the last to the first with `accumulate`, and keep `dstate` from chunk to chunk: the gradients are then
/// those of whole sequences.
///
/// Real time and threads: as recurrent_forward_backward().
///
/// Fails as recurrent_forward_train(); RECURRENT_ERROR_VALUE also means `dx` for a model that takes ids.
#[no_mangle]
pub extern "C" fn recurrent_backward(
    model: *const recurrent_model,
    sequences: *const recurrent_sequences,
    training: *const recurrent_own_training,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let (sequences, lists) = passes::sequences(border::arguments("sequences", sequences)?)?;
        let of: &recurrent_own_training = border::arguments("training", training)?;
        let both = Both::new(of)?;
        let dy = Given::reading("dy", of.dy, of.dy_len)?;
        let grads = Given::new("grads", of.grads, of.grads_len)?;
        let dx = Given::new("dx", of.dx, of.dx_len)?;
        let dstate = Given::new("dstate", of.dstate, of.dstate_len)?;
        let (tape, scratch) = (both.tape.place(), both.scratch.place());
        let written = [grads.place(), dx.place(), dstate.place(), tape, scratch];
        both.apart(model, &written, &lists)?;
        are_apart(&written, &[dy.place()])?;
        let args = Backward {
            sequences,
            x: passes::input(model, both.x, both.ids)?,
            dy: dy.slice(),
            dx: (!of.dx.is_null()).then_some(dx.slice_mut()),
            dstate: (!of.dstate.is_null()).then_some(dstate.slice_mut()),
            grads: grads.slice_mut(),
            mode: if of.accumulate != 0 { Gradients::Accumulate } else { Gradients::Overwrite },
            dropout: some(both.dropout.slice()),
            tape: both.tape.slice_mut(),
            scratch: both.scratch.slice_mut(),
        };
        Ok(model.chain.backward(both.weights.slice(), args)?)
    };
    answer(error, run())
}
