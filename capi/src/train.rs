//! Training a model on the device: a pass that gives the loss and its gradients, initial weights, dropout.
//!
//! The weights are a buffer of the caller. A pass does not read those of the image.

use recurrent_core::model::{Loss, Training};
use recurrent_core::{Error, Gradients};

use crate::border::{self, apart, are_apart, Given};
use crate::error::{answer, recurrent_error, recurrent_status, Outcome};
use crate::model::recurrent_model;
use crate::outputs::Random;
use crate::passes::{self, recurrent_sequences};

/// The cross-entropy of classes. The outputs are logits, and the targets are `target_classes`.
pub const RECURRENT_LOSS_CROSS_ENTROPY: i32 = 1;
/// The mean squared error of the outputs. The targets are `targets`.
pub const RECURRENT_LOSS_MEAN_SQUARED_ERROR: i32 = 2;
/// The binary cross-entropy of each output. The outputs are logits, and the targets are `targets`, from 0 to
/// 1.
pub const RECURRENT_LOSS_BINARY_CROSS_ENTROPY: i32 = 3;

/// The buffers and settings of a training pass. Unused ones are null with length 0. Set the whole struct to
/// zero first, so that fields of later versions are unused.
///
/// Shapes are those of recurrent_buffers: `T` steps, `B` rows, `I` and `O` features. A pooled model has
/// targets `[B]` instead of `[T, B]`, and `[B, O]` instead of `[T, B, O]`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_training {
    /// The weights: recurrent_model_weights_len() elements, in the layout of
    /// recurrent_model_copy_weights().
    pub weights: *const f32,
    pub weights_len: usize,
    /// The input of a model that takes values, `[T, B, I]`.
    pub x: *const f32,
    pub x_len: usize,
    /// The input of a model that takes ids, `[T, B]`, each below recurrent_model_classes().
    pub ids: *const u32,
    pub ids_len: usize,
    /// The targets of RECURRENT_LOSS_CROSS_ENTROPY, `[T, B]`, each below recurrent_model_output().
    pub target_classes: *const u32,
    pub target_classes_len: usize,
    /// The targets of the other losses, `[T, B, O]`.
    pub targets: *const f32,
    pub targets_len: usize,
    /// Factors of dropout: recurrent_model_dropout_len() elements, from recurrent_draw_dropout(), or ones,
    /// which drop nothing.
    pub dropout: *const f32,
    pub dropout_len: usize,
    /// The gradients, which are written: as many as the weights, in the same layout.
    pub grads: *mut f32,
    pub grads_len: usize,
    /// The state at the start of the pass, which the pass replaces with the state at its end:
    /// recurrent_model_state_len() elements. For long sequences that are cut into chunks, keep it from chunk
    /// to chunk.
    pub state: *mut f32,
    pub state_len: usize,
    /// Memory between the forward and the backward half, with any contents before:
    /// recurrent_model_tape_len() elements.
    pub tape: *mut f32,
    pub tape_len: usize,
    /// Working memory with any contents: at least recurrent_model_train_scratch_len() elements.
    pub scratch: *mut f32,
    pub scratch_len: usize,
    /// For one of several batches whose gradients are added up: the number of targets that count in all of
    /// them, one for each step of a row, or for each row of a pooled model. Loss and gradients are then this
    /// batch's share of the mean over all batches. 0 for a batch alone.
    pub total_targets: f64,
    /// One of RECURRENT_LOSS_...
    pub loss: i32,
    /// A class whose targets do not count, if `has_ignored` is not 0.
    pub ignored: u32,
    /// Not 0 if targets of the class `ignored` do not count.
    pub has_ignored: u8,
    /// Not 0 if the gradients are added to those in `grads`.
    pub accumulate: u8,
}

/// Runs a batch of sequences forward and backward through time. Writes the loss to `loss` and its gradients
/// to `training->grads`: the mean over all targets that count. Those of steps that do not take part never
/// count. The pass changes no weights: an optimiser does, such as recurrent_adam_update().
///
/// The cells must be named in `_training`. The gradients are those of the weights in `training->weights`; the
/// weights of the model itself are not used. So a model may run on one thread while another one trains a
/// copy. With `accumulate`, `grads` must have been written before.
///
/// Real time: bounded by the sizes of the model and of the batch; no allocation, lock, or system call. It
/// takes about three times as long as recurrent_forward(). Any number of threads may call it at the same time
/// with the same model, and different written buffers.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _INDEX (an id, a target or a
/// length), _VALUE (an unknown loss, inputs or targets of the other kind, `total_targets`), _LAYERS (a cell
/// that was not named in `_training`), _MODEL. Errors of the loss call either kind of targets `targets`.
#[no_mangle]
pub extern "C" fn recurrent_forward_backward(
    model: *const recurrent_model,
    sequences: *const recurrent_sequences,
    training: *const recurrent_training,
    loss: *mut f32,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let (sequences, lists) = passes::sequences(border::arguments("sequences", sequences)?)?;
        let of: &recurrent_training = border::arguments("training", training)?;
        let weights = Given::reading("weights", of.weights, of.weights_len)?;
        let x = Given::reading("x", of.x, of.x_len)?;
        let ids = Given::reading("ids", of.ids, of.ids_len)?;
        let classes = Given::reading("target_classes", of.target_classes, of.target_classes_len)?;
        let targets = Given::reading("targets", of.targets, of.targets_len)?;
        let dropout = Given::reading("dropout", of.dropout, of.dropout_len)?;
        let grads = Given::new("grads", of.grads, of.grads_len)?;
        let state = Given::new("state", of.state, of.state_len)?;
        let tape = Given::new("tape", of.tape, of.tape_len)?;
        let scratch = Given::new("scratch", of.scratch, of.scratch_len)?;
        let out = Given::new("loss", loss, 1)?;
        let written = [grads.place(), state.place(), tape.place(), scratch.place(), out.place()];
        let read = [weights, x, targets, dropout].map(|of| of.place());
        apart(written, read)?;
        are_apart(&written, &[ids.place(), classes.place()])?;
        are_apart(&written, &lists)?;
        are_apart(&written, &model.places())?;

        let dropout = dropout.slice();
        let args = Training {
            sequences,
            x: passes::input(model, x, ids)?,
            loss: of.loss(classes.slice(), targets.slice())?,
            total_targets: (of.total_targets != 0.0).then_some(of.total_targets),
            grads: grads.slice_mut(),
            mode: if of.accumulate != 0 { Gradients::Accumulate } else { Gradients::Overwrite },
            state: state.slice_mut(),
            dstate: None,
            dropout: (!dropout.is_empty()).then_some(dropout),
            tape: tape.slice_mut(),
            scratch: scratch.slice_mut(),
        };
        *out.only()? = model.chain.forward_backward(weights.slice(), args)?;
        Ok(())
    };
    answer(error, run())
}

impl recurrent_training {
    fn loss<'a>(&self, classes: &'a [u32], targets: &'a [f32]) -> Outcome<Loss<'a>> {
        let ignored = (self.has_ignored != 0).then_some(self.ignored);
        let loss = match self.loss {
            RECURRENT_LOSS_CROSS_ENTROPY => Loss::CrossEntropy { targets: classes, ignored },
            RECURRENT_LOSS_MEAN_SQUARED_ERROR => Loss::MeanSquaredError { targets },
            RECURRENT_LOSS_BINARY_CROSS_ENTROPY => Loss::BinaryCrossEntropy { targets },
            _ => return Err(Error::Value { argument: "loss", expected: "one of RECURRENT_LOSS_..." }.into()),
        };
        match loss {
            Loss::CrossEntropy { .. } if !targets.is_empty() => {
                Err(Error::Value { argument: "targets", expected: "empty, for a loss over classes" }.into())
            }
            Loss::CrossEntropy { .. } => Ok(loss),
            _ if !classes.is_empty() => {
                let expected = "empty, for a loss over numbers";
                Err(Error::Value { argument: "target_classes", expected }.into())
            }
            _ => Ok(loss),
        }
    }
}

/// Draws initial weights for training from scratch: `weights_len` elements, recurrent_model_weights_len(), in
/// the layout of recurrent_model_copy_weights(). `seed` holds the position in the sequence of
/// recurrent_random(), and is moved on. A seed gives the same weights on every machine.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_model_init(
    model: *const recurrent_model,
    seed: *mut u64,
    weights: *mut f32,
    weights_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let seed = Given::new("seed", seed, 1)?;
        let weights = Given::new("weights", weights, weights_len)?;
        apart([weights.place(), seed.place()], model.places())?;
        let seed = seed.only()?;
        let mut random = Random(*seed);
        model.chain.init(weights.slice_mut(), &mut random)?;
        *seed = random.0;
        Ok(())
    };
    answer(error, run())
}

/// Draws factors of dropout for recurrent_forward_backward() over `steps` steps of `batch` rows: `factors`
/// has recurrent_model_dropout_len() elements. Draw new ones for each pass. The image has the probabilities
/// of layers of dropout. `recurrent` is the probability of recurrent dropout, for layers that were made with
/// it; 0 for a model without them. `seed` is as in recurrent_model_init().
///
/// Real time: bounded by the number of factors; no allocation, lock, or system call.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _VALUE (`recurrent`), _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_draw_dropout(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
    recurrent: f32,
    seed: *mut u64,
    factors: *mut f32,
    factors_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let seed = Given::new("seed", seed, 1)?;
        let factors = Given::new("factors", factors, factors_len)?;
        apart([factors.place(), seed.place()], model.places())?;
        let seed = seed.only()?;
        let mut random = Random(*seed);
        let chain = model.chain.recurrent_dropout(recurrent);
        chain.draw_dropout(factors.slice_mut(), steps, batch, &mut random)?;
        *seed = random.0;
        Ok(())
    };
    answer(error, run())
}
