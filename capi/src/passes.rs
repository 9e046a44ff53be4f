//! Passes of a model: resetting the state, masks, single steps, and whole sequences.

use recurrent_core::model::{Forward, Input, InputMask};
use recurrent_core::{Error, Masked, Need, Sequences};

#[cfg(not(target_os = "none"))]
use crate::border::Sure;
use crate::border::{self, apart, are_apart, Given, Place};
use crate::error::{answer, recurrent_error, recurrent_status, Outcome};
use crate::model::recurrent_model;

/// The buffers of a pass: the input, as values or as ids, and the caller's buffers that it writes. Unused
/// ones are null with length 0.
///
/// Shapes are row-major: `T` steps, `B` rows of the batch, `I` and `O` features of the input and the output.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_buffers {
    /// The input of a model that takes values, `[T, B, I]`.
    pub x: *const f32,
    pub x_len: usize,
    /// The input of a model that takes ids, `[T, B]`, each below recurrent_model_classes().
    pub ids: *const u32,
    pub ids_len: usize,
    /// The output, which is written: `[T, B, O]`, or `[B, O]` for a pooled model;
    /// recurrent_model_output_len() elements.
    pub y: *mut f32,
    pub y_len: usize,
    /// The state at the start of the pass, which the pass replaces with the state at its end.
    /// recurrent_model_state_len() elements.
    pub state: *mut f32,
    pub state_len: usize,
    /// Working memory with any contents: at least recurrent_model_scratch_len() elements.
    pub scratch: *mut f32,
    pub scratch_len: usize,
}

/// A batch of sequences: its size, and which steps take part. Usually all fields except the first two are
/// zero.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_sequences {
    /// Steps, `T`.
    pub steps: usize,
    /// Rows, `B`.
    pub batch: usize,
    /// The steps of each row, `[B]`, or null if all rows have all steps. After its last step a row does
    /// nothing, and its output is 0.
    pub lengths: *const usize,
    pub lengths_len: usize,
    /// Which steps take part: 0 or 1 for each row of `x`, or null if all do. Other steps keep the state and
    /// repeat the output of the step before.
    pub mask: *const u8,
    pub mask_len: usize,
    /// The steps before which the state is set to zero: 0 or 1 for each row of `x`, or null.
    pub resets: *const u8,
    pub resets_len: usize,
    /// Not 0 if `x` and `y` are `[B, T, I]` and `[B, T, O]`.
    pub batch_major: u8,
}

/// Sets the states of `batch` rows to the start of a sequence: the initial state of the image, or zeros.
/// `state` has recurrent_model_state_len() elements.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_reset(
    model: *const recurrent_model,
    batch: usize,
    state: *mut f32,
    state_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let given = Given::new("state", state, state_len)?;
        apart([given.place()], model.places())?;
        let (chain, state) = (model.chain, given.slice_mut());
        let initial = match &model.image {
            Some(image) => image.initial_state()?,
            None => &[],
        };
        if initial.is_empty() {
            let expected = chain.state_len(batch);
            if state.len() != expected {
                return Err(match expected {
                    usize::MAX => Error::Overflow { buffer: "state" },
                    _ => Error::Length { buffer: "state", expected, actual: state.len(), need: Need::EXACT },
                }
                .into());
            }
            state.fill(0.0);
            return Ok(());
        }
        Ok(chain.repeat_state(initial, batch, state)?)
    };
    answer(error, run())
}

/// Writes to `mask` which steps of an input take part (1) and which are padding (0): an element for each row
/// of `x`, or for each id. Pass the mask in recurrent_sequences; with single steps, do not call
/// recurrent_step() for padding. All elements are 1 if the image masks nothing.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _VALUE (values for ids, or the reverse),
/// _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_model_mask(
    model: *const recurrent_model,
    x: *const f32,
    x_len: usize,
    ids: *const u32,
    ids_len: usize,
    mask: *mut u8,
    mask_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let (x, ids) = (Given::reading("x", x, x_len)?, Given::reading("ids", ids, ids_len)?);
        let to = Given::new("mask", mask, mask_len)?;
        apart([to.place()], [x.place(), ids.place()])?;
        apart([to.place()], model.places())?;
        let rows = model.rows(x.slice(), ids.slice())?;
        if mask_len != rows {
            return Err(Error::Length {
                buffer: "mask",
                expected: rows,
                actual: mask_len,
                need: Need::EXACT,
            }
            .into());
        }
        let (x, ids) = (x.slice(), ids.slice());
        for (row, to) in to.slice_mut().iter_mut().enumerate() {
            let width = x.len() / rows;
            *to = u8::from(match model.image.and_then(|image| image.mask()) {
                Some(InputMask::Value(value)) => x[row * width..][..width].iter().any(|x| *x != value),
                Some(InputMask::Id(id)) => ids[row] != id,
                _ => true,
            });
        }
        Ok(())
    };
    answer(error, run())
}

/// The memory that a model reads, and the rows of its inputs.
impl recurrent_model {
    #[inline(always)]
    pub(crate) fn places(&self) -> [Place; 3] {
        #[cfg(target_os = "none")]
        let weights = self.weights.place();
        // Passes with packed weights do not read others.
        #[cfg(not(target_os = "none"))]
        let weights = match &self.packed {
            Some(packed) => Place::of("packed", packed.as_ref().into_inner()),
            None => self.weights.place(),
        };
        [Place::of("model", core::slice::from_ref(self)), Place::of("image", self.image_bytes()), weights]
    }

    /// The number of rows of an input.
    fn rows(&self, x: &[f32], ids: &[u32]) -> Outcome<usize> {
        if self.chain.classes().is_some() && !x.is_empty() {
            return Err(Error::Value { argument: "x", expected: "empty, for a model that takes ids" }.into());
        }
        if self.chain.classes().is_none() && !ids.is_empty() {
            return Err(
                Error::Value { argument: "ids", expected: "empty, for a model that takes values" }.into()
            );
        }
        let width = self.chain.input().max(1);
        if !x.len().is_multiple_of(width) {
            let expected = x.len() / width * width;
            return Err(Error::Length { buffer: "x", expected, actual: x.len(), need: Need::EXACT }.into());
        }
        Ok(ids.len() + x.len() / width)
    }
}

/// The checked buffers of a pass.
struct Buffers<'a> {
    x: Input<'a>,
    y: &'a mut [f32],
    state: &'a mut [f32],
    scratch: &'a mut [f32],
}

/// Checks the buffers of a pass against each other, and against the memory that the model reads.
#[cfg_attr(not(target_os = "none"), inline(always))]
#[cfg_attr(target_os = "none", inline(never))]
fn buffers<'a>(model: &recurrent_model, of: &recurrent_buffers, others: &[Place]) -> Outcome<Buffers<'a>> {
    let x = Given::reading("x", of.x, of.x_len)?;
    let ids = Given::reading("ids", of.ids, of.ids_len)?;
    let y = Given::new("y", of.y, of.y_len)?;
    let state = Given::new("state", of.state, of.state_len)?;
    let scratch = Given::new("scratch", of.scratch, of.scratch_len)?;
    let written = [y.place(), state.place(), scratch.place()];
    let [a, b, c] = model.places();
    apart(written, [x.place(), ids.place(), a, b, c])?;
    if !others.is_empty() {
        are_apart(&written, others)?;
    }
    let x = input(model, x, ids)?;
    Ok(Buffers { x, y: y.slice_mut(), state: state.slice_mut(), scratch: scratch.slice_mut() })
}

/// The buffers of a step after the exact checks.
#[cfg(not(target_os = "none"))]
#[cold]
#[inline(never)]
fn checked<'a>(model: &recurrent_model, of: &recurrent_buffers) -> Outcome<Sure<'a>> {
    let Buffers { x, y, state, scratch } = buffers(model, of, &[])?;
    let (takes_ids, x, ids) = match x {
        Input::Ids(ids) => (true, &[][..], ids),
        Input::Values(x) => (false, x, &[][..]),
    };
    Ok(Sure { x, ids, takes_ids, y, state, scratch })
}

/// The input of a model; call [`apart`] first.
#[inline(always)]
pub(crate) fn input<'a>(model: &recurrent_model, x: Given<f32>, ids: Given<u32>) -> Outcome<Input<'a>> {
    match model.chain.classes() {
        Some(_) if x.is_empty() => Ok(Input::Ids(ids.slice())),
        None if !ids.is_empty() => {
            Err(Error::Value { argument: "ids", expected: "empty, for a model that takes values" }.into())
        }
        _ => Ok(Input::Values(x.slice())),
    }
}

/// A batch of sequences, and the memory of its lists.
#[inline(always)]
pub(crate) fn sequences<'a>(of: &recurrent_sequences) -> Outcome<(Sequences<'a>, [Place; 3])> {
    let lengths = Given::reading("lengths", of.lengths, of.lengths_len)?;
    let mask = border::flags("mask", of.mask, of.mask_len)?;
    let resets = border::flags("resets", of.resets, of.resets_len)?;
    let places = [lengths.place(), Place::of("mask", mask), Place::of("resets", resets)];
    let mut sequences = Sequences::new(of.steps, of.batch);
    if of.batch_major != 0 {
        sequences = sequences.batch_major();
    }
    if !of.lengths.is_null() {
        sequences = sequences.lengths(lengths.slice());
    }
    if !of.mask.is_null() {
        sequences = sequences.mask(mask, Masked::Carry);
    }
    if !of.resets.is_null() {
        sequences = sequences.resets(resets);
    }
    Ok((sequences, places))
}

/// Runs a pass with packed weights if there are any, and otherwise with weights in place.
macro_rules! run {
    ($model:ident, $pass:ident($($arg:expr),+)) => {{
        #[cfg(not(target_os = "none"))]
        if let Some(packed) = &$model.packed {
            return Ok($model.chain.$pass(packed $(, $arg)+)?);
        }
        return Ok($model.chain.$pass($model.weights.slice() $(, $arg)+)?);
    }};
}

/// Runs one step of each row, for streams that arrive sample by sample. There are as many rows as the input
/// has. `y` is `[B, O]`; the scratch is that of 1 step.
///
/// If the model ends in a pool of the last step, every step gives the output for a sequence that ends there.
///
/// Real time: bounded by the sizes of the model; no allocation, lock, or system call. Any number of threads
/// may call it at the same time with the same model and different buffers.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _INDEX (an id), _VALUE (values for ids or
/// the reverse, narrow weights that are not packed), _LAYERS (the model needs whole sequences), _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_step(
    model: *const recurrent_model,
    buffers: *const recurrent_buffers,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let buffers = border::arguments("buffers", buffers)?;
        #[cfg(target_os = "none")]
        let Buffers { x, y, state, scratch } = self::buffers(model, buffers, &[])?;
        #[cfg(not(target_os = "none"))]
        let Sure { x, ids, takes_ids, y, state, scratch } = match border::sure(buffers, model.span) {
            Some(sure) => sure,
            None => checked(model, buffers)?,
        };
        #[cfg(not(target_os = "none"))]
        let x = if takes_ids { Input::Ids(ids) } else { Input::Values(x) };
        run!(model, step(x, y, state, scratch))
    };
    answer(error, run())
}

/// Runs a batch of sequences from the given states, and gives the outputs and the last states. If no layer
/// runs in reverse and there is no pool, cutting the sequences into several calls gives the same bits.
///
/// Real time: as recurrent_step(), for all of its steps.
///
/// Fails as recurrent_step(), but also accepts models that need whole sequences. RECURRENT_ERROR_LAYERS also
/// means a cell that was named only for recurrent_step(); RECURRENT_ERROR_INDEX also means a length above the
/// steps.
#[no_mangle]
pub extern "C" fn recurrent_forward(
    model: *const recurrent_model,
    sequences: *const recurrent_sequences,
    buffers: *const recurrent_buffers,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let (sequences, others) = self::sequences(border::arguments("sequences", sequences)?)?;
        let buffers = border::arguments("buffers", buffers)?;
        let Buffers { x, y, state, scratch } = self::buffers(model, buffers, &others)?;
        run!(model, forward(Forward { sequences, x, y, state, scratch }))
    };
    answer(error, run())
}
