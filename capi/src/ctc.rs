//! CTC: the loss of labels whose steps are not known.

use recurrent_core::{Ctc, CtcBatch};

use crate::border::{self, apart, are_apart, Given};
use crate::error::{answer, recurrent_error, recurrent_status, Outcome};
use crate::passes::{self, recurrent_sequences};

/// The buffers of recurrent_ctc_loss(). Unused ones are null with length 0. Shapes are row-major: `T` steps,
/// `B` rows.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_ctc {
    /// The outputs of a model, `[T, B, classes]`.
    pub logits: *const f32,
    pub logits_len: usize,
    /// The labels of all rows, one row after the other, without padding: below `classes`, and not the blank.
    pub targets: *const u32,
    pub targets_len: usize,
    /// The number of labels of each row, `[B]`.
    pub target_lengths: *const usize,
    pub target_lengths_len: usize,
    /// Takes the gradient of the loss in each of the logits, unless it is null; as many as logits.
    pub dlogits: *mut f32,
    pub dlogits_len: usize,
    /// Working memory with any contents: at least recurrent_ctc_scratch_len() elements.
    pub scratch: *mut f32,
    pub scratch_len: usize,
    /// Classes, with the blank.
    pub classes: usize,
    /// The class of the blank.
    pub blank: u32,
    /// Not 0 if rows that are too short for their labels have a loss of zero instead of infinity.
    pub zero_infinity: u8,
}

/// Elements of the scratch of recurrent_ctc_loss() for `steps` steps and at most `labels` labels in a row.
/// SIZE_MAX if they do not fit into memory.
#[no_mangle]
pub extern "C" fn recurrent_ctc_scratch_len(steps: usize, labels: usize) -> usize {
    Ctc::new(0).scratch_len(steps, labels)
}

/// Connectionist temporal classification (Graves et al. 2006), PyTorch's `ctc_loss` of `log_softmax`. It is
/// the negative log-probability of a row's labels over all alignments, divided by their number; the mean over
/// rows.
/// Writes it to `loss`, and its gradient to `ctc->dlogits`. To train with it, call it between
/// recurrent_forward_train() and recurrent_backward(). To read the labels of a sequence, take
/// recurrent_argmax() of each step, merge equal neighbours, and drop blanks.
///
/// Real time: bounded by the steps and the labels; no allocation, lock, or system call.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _INDEX (a target or a length),
/// _VALUE (the blank is no class, or is a target).
#[no_mangle]
pub extern "C" fn recurrent_ctc_loss(
    sequences: *const recurrent_sequences,
    ctc: *const recurrent_ctc,
    loss: *mut f32,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let (sequences, lists) = passes::sequences(border::arguments("sequences", sequences)?)?;
        let of: &recurrent_ctc = border::arguments("ctc", ctc)?;
        let logits = Given::reading("logits", of.logits, of.logits_len)?;
        let targets = Given::reading("targets", of.targets, of.targets_len)?;
        let lengths = Given::reading("target_lengths", of.target_lengths, of.target_lengths_len)?;
        let dlogits = Given::new("dlogits", of.dlogits, of.dlogits_len)?;
        let scratch = Given::new("scratch", of.scratch, of.scratch_len)?;
        let out = Given::new("loss", loss, 1)?;
        let written = [dlogits.place(), scratch.place(), out.place()];
        apart(written, [logits.place(), targets.place(), lengths.place()])?;
        are_apart(&written, &lists)?;
        let mut with = Ctc::new(of.classes).blank(of.blank);
        if of.zero_infinity != 0 {
            with = with.zero_infinity();
        }
        let batch = CtcBatch {
            sequences,
            logits: logits.slice(),
            targets: targets.slice(),
            target_lengths: lengths.slice(),
            dlogits: (!of.dlogits.is_null()).then_some(dlogits.slice_mut()),
            losses: None,
            scratch: scratch.slice_mut(),
        };
        *out.only()? = with.loss(batch)?;
        Ok(())
    };
    answer(error, run())
}
