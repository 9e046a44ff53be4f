//! Calls the C library with arbitrary images and descriptions of layers, and with buffers of arbitrary lengths
//! that may be null, not aligned, or the same. Nothing may panic or touch memory outside of a buffer, and a
//! call that fails must not have written anything.
#![no_main]

use std::ptr::{null, null_mut};

use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use recurrent::image;
use recurrent::model::Layer;
use recurrent::{Gru, Merge, Pool, Stack};
use recurrent_border::recurrent_status::{RECURRENT_ERROR_INTERNAL, RECURRENT_OK};
use recurrent_border::*;
use recurrent_fuzz::buffers::{flags, floats, ids, lengths, size, steps};
use recurrent_fuzz::sign;

/// An image of small layers, which need not fit together.
fn written(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut width = u.int_in_range(1..=6)?;
    let mut layers = Vec::new();
    if u.ratio(1, 3)? {
        let classes = u.int_in_range(1..=9)?;
        layers.push(Layer::embedding(classes, width));
    }
    for _ in 0..u.int_in_range(1..=4)? {
        let next = u.int_in_range(1..=6)?;
        let layer = match u.int_in_range(0..=11)? {
            0 => Layer::rnn(width, next),
            1 | 2 => Layer::lstm(width, next),
            3 | 4 => Layer::gru(width, next),
            5 => Layer::mgu(width, next),
            6 | 7 => Layer::dense(width, next),
            8 => Layer::Pool(*u.choose(&[Pool::Last, Pool::Mean, Pool::Max, Pool::Ends, Pool::First])?),
            9 => Layer::Dropout(0.5),
            10 => Layer::Residual,
            _ => Layer::from(Stack::new(Gru::new(width, next)).bidirectional(Merge::Sum).layers(2)),
        };
        if !matches!(layer, Layer::Pool(_) | Layer::Dropout(_) | Layer::Residual) {
            width = next;
        }
        layers.push(layer);
    }
    let weights: usize = layers.iter().map(Layer::weights_len).sum();
    let mut bytes = vec![0; image::len(&layers)];
    let weights = (0..weights).map(|i| (i * 37 % 101) as f32 / 101.0 - 0.5).collect::<Vec<_>>();
    // It fails if the layers do not fit together; then the bytes are no image.
    let _ = image::write(&layers, &weights, &mut bytes);
    Ok(bytes)
}

/// An image at an address that is a multiple of 8.
fn image_of(u: &mut Unstructured<'_>) -> Result<(Vec<u64>, usize)> {
    let mut bytes = if u.ratio(3, 4)? { written(u)? } else { any(u)? };
    if u.ratio(1, 4)? && !bytes.is_empty() {
        for _ in 0..u.int_in_range(1..=4)? {
            let at = u.choose_index(bytes.len())?;
            bytes[at] = u.arbitrary()?;
        }
        if bytes.len() >= 32 && u.ratio(3, 4)? {
            sign(&mut bytes);
        }
    }
    let mut words = vec![0_u64; bytes.len() / 8 + 1];
    for (i, byte) in bytes.iter().enumerate() {
        words[i / 8] |= u64::from(*byte) << (i % 8 * 8);
    }
    Ok((words, bytes.len()))
}

/// Bytes that need not be an image.
fn any(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = u.int_in_range(0..=1024)?.min(u.len());
    Ok(u.bytes(len)?.to_vec())
}

/// A pointer to a buffer, and its length: usually right, sometimes null, not aligned, or that of another
/// buffer. No length is beyond the end of its memory, which the border cannot check.
fn given<T>(u: &mut Unstructured<'_>, of: &mut [T], other: &mut [T]) -> Result<(*mut T, usize)> {
    Ok(match u.arbitrary::<u8>()? {
        0..=3 => (null_mut(), of.len()),
        4..=7 => (of.as_mut_ptr().cast::<u8>().wrapping_add(1).cast(), of.len().saturating_sub(1)),
        8..=11 => (other.as_mut_ptr(), other.len()),
        12..=13 => (of.as_mut_ptr(), usize::MAX - usize::from(u.arbitrary::<u8>()?)),
        _ => (of.as_mut_ptr(), of.len()),
    })
}

/// Checks that a call that failed has not changed buffers, and that no call reports a bug.
fn judge(status: recurrent_status, before: &[Vec<f32>], now: &[&[f32]]) {
    assert!(status != RECURRENT_ERROR_INTERNAL, "a bug of the library");
    if status != RECURRENT_OK {
        for (before, now) in before.iter().zip(now) {
            let same = before.iter().zip(*now).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "something was written by a call that failed");
        }
    }
}

fn text(error: &recurrent_error) {
    let mut room = [0_i8; 40].map(|byte| byte as std::ffi::c_char);
    assert!(recurrent_error_text(error, room.as_mut_ptr(), room.len()) < 400);
}

/// A description of small layers, which need not fit together, and sometimes of anything.
fn described(u: &mut Unstructured<'_>) -> Result<Vec<recurrent_layer>> {
    let none = recurrent_activation { kind: 0, alpha: 0.0, beta: 0.0 };
    let mut width = u.int_in_range(1..=6)?;
    let mut layers = Vec::new();
    for _ in 0..u.int_in_range(0..=5)? {
        let (kind, next) = (u.int_in_range(0..=16)?, u.int_in_range(1..=6)?);
        let has_input = kind <= RECURRENT_LAYER_SCALE;
        let has_output = kind <= RECURRENT_LAYER_DENSE;
        let mut layer = recurrent_layer {
            kind,
            input: if has_input { width } else { 0 },
            output: if has_output { next } else { 0 },
            options: 0,
            stack: 0,
            projection: 0,
            clip: 0.0,
            probability: if kind == RECURRENT_LAYER_DROPOUT { 0.5 } else { 0.0 },
            activations: [none; 3],
        };
        if u.ratio(1, 3)? {
            layer.options = 1 << u.int_in_range(0..=10)?;
        }
        if u.ratio(1, 4)? {
            layer.activations[u.choose_index(3)?] =
                recurrent_activation { kind: u.int_in_range(0..=12)?, alpha: u.arbitrary()?, beta: 0.5 };
        }
        match u.arbitrary::<u8>()? {
            0 => layer.input = u.arbitrary()?,
            1 => layer.output = u.arbitrary()?,
            2 => layer.options = u.arbitrary()?,
            3 => layer.stack = u.arbitrary()?,
            4 => layer.projection = u.arbitrary()?,
            5 => layer.clip = u.arbitrary()?,
            6 => layer.probability = u.arbitrary()?,
            7..=24 => layer.stack = 2,
            25..=48 => layer.projection = 3,
            49..=72 => layer.clip = 1.5,
            _ => {}
        }
        let both = layer.options == RECURRENT_OPTION_BOTH_CONCAT;
        if has_output {
            width = (if layer.projection > 0 { 3 } else { next }) * if both { 2 } else { 1 };
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// An open model, and the memory that it refers to.
struct Opened {
    _image: Vec<u64>,
    _memory: Vec<u64>,
    model: *mut recurrent_model,
}

fn open(u: &mut Unstructured<'_>, error: &mut recurrent_error) -> Result<Option<Opened>> {
    let layers = if u.ratio(1, 3)? { Some(described(u)?) } else { None };
    let (mut image, len) = if layers.is_some() { Default::default() } else { image_of(u)? };
    let bytes = image.as_mut_ptr().cast::<u8>();
    let mut bytes_needed = 0;
    if let Some(layers) = &layers {
        bytes_needed = recurrent_model_build_size(layers.len());
    } else if recurrent_model_size(bytes, len, &mut bytes_needed, error) != RECURRENT_OK {
        text(error);
        return Ok(None);
    }
    // Records of images may say that there are very many layers.
    if bytes_needed > 1 << 16 {
        return Ok(None);
    }
    let short = usize::from(u.ratio(1, 32)?);
    let mut memory = vec![0_u64; bytes_needed / 8 + 1];
    let few = [recurrent_gru_training(), recurrent_lstm(), recurrent_rnn_tanh_steps()];
    let mut count = few.len();
    let cells = if u.ratio(7, 8)? { recurrent_every_cell(&mut count) } else { few.as_ptr() };
    let mut model = null_mut();
    let size = bytes_needed.saturating_sub(short);
    let at = memory.as_mut_ptr().cast();
    let status = match &layers {
        Some(layers) => {
            recurrent_model_build(layers.as_ptr(), layers.len(), cells, count, at, size, &mut model, error)
        }
        None => recurrent_model_open(bytes, len, cells, count, at, size, &mut model, error),
    };
    assert!(status != RECURRENT_ERROR_INTERNAL, "a bug of the library");
    if status != RECURRENT_OK {
        text(error);
        return Ok(None);
    }
    Ok(Some(Opened { _image: image, _memory: memory, model }))
}

fn call(u: &mut Unstructured<'_>) -> Result<()> {
    let mut error = recurrent_error {
        status: 0,
        subject: null(),
        subject_len: 0,
        what: null(),
        what_len: 0,
        numbers: [0; 3],
    };
    let Some(opened) = open(u, &mut error)? else { return Ok(()) };
    let model = opened.model;

    let weights_len = recurrent_model_weights_len(model);
    if weights_len > 1 << 14 {
        return Ok(());
    }
    // Memory that outlives the model.
    let mut own = vec![0.5; weights_len];
    if recurrent_model_copy_weights(model, own.as_mut_ptr(), own.len(), &mut error) != RECURRENT_OK {
        // A model without an image has no weights yet.
        let (at, len) = (own.as_mut_ptr(), own.len());
        assert!(recurrent_model_init(model, &mut 7, at, len, &mut error) == RECURRENT_OK);
        if u.ratio(7, 8)? {
            judge(recurrent_model_set_weights(model, at, len, &mut error), &[], &[]);
        }
    }
    let mut packed = floats(u, recurrent_model_packed_len(model))?;
    for _ in 0..u.int_in_range(1..=6)? {
        let (steps, batch) = (steps(u)?, size_of_batch(u)?);
        let rows = steps.saturating_mul(batch);
        let classes = recurrent_model_classes(model);
        let takes_ids = classes > 0;
        let mut x = floats(u, if takes_ids { 0 } else { rows.saturating_mul(recurrent_model_input(model)) })?;
        let mut id = ids(u, if takes_ids { rows } else { 0 }, classes)?;
        let mut state = floats(u, recurrent_model_state_len(model, batch))?;
        let mut error = error;
        match u.int_in_range(0..=7)? {
            0 => {
                let before = [state.clone()];
                let len = state.len();
                let (at, len) = if u.ratio(7, 8)? { (state.as_mut_ptr(), len) } else { (null_mut(), len) };
                let status = recurrent_reset(model, batch, at, len, &mut error);
                judge(status, &before, &[&state]);
            }
            1 => {
                let (at, len) = (packed.as_mut_ptr(), packed.len());
                let status = recurrent_model_pack(model, at, len, &mut error);
                judge(status, &[], &[]);
            }
            2 => {
                let (at, len) = if u.arbitrary()? { (own.as_mut_ptr(), own.len()) } else { (null_mut(), 0) };
                judge(recurrent_model_set_weights(model, at, len, &mut error), &[], &[]);
            }
            kind => {
                let lists = (lengths(u, steps, batch)?, flags(u, rows)?, flags(u, rows)?);
                let [some, masked, resets, batch_major]: [bool; 4] = u.arbitrary()?;
                let flag = |of: &[bool]| of.iter().map(|b| u8::from(*b)).collect::<Vec<_>>();
                let (mask, reset) = (flag(&lists.1), flag(&lists.2));
                let mut sequences = recurrent_sequences {
                    steps,
                    batch,
                    lengths: null(),
                    lengths_len: 0,
                    mask: null(),
                    mask_len: 0,
                    resets: null(),
                    resets_len: 0,
                    batch_major: u8::from(batch_major),
                };
                if some {
                    (sequences.lengths, sequences.lengths_len) = (lists.0.as_ptr(), lists.0.len());
                }
                if masked {
                    (sequences.mask, sequences.mask_len) = (mask.as_ptr(), mask.len());
                }
                if resets {
                    (sequences.resets, sequences.resets_len) = (reset.as_ptr(), reset.len());
                }
                if kind == 7 {
                    labels(u, &sequences)?;
                    continue;
                }
                if kind >= 5 {
                    let pass = if kind == 5 { train } else { train_in_halves };
                    pass(u, model, &sequences, &mut own, [&mut x, &mut state], &mut id)?;
                    continue;
                }
                let steps = if kind == 3 { 1 } else { steps };
                let mut y = floats(u, recurrent_model_output_len(model, steps, batch))?;
                let mut scratch = floats(u, recurrent_model_scratch_len(model, steps, batch))?;
                if kind == 3 {
                    x.truncate(batch.saturating_mul(recurrent_model_input(model)));
                    id.truncate(batch);
                }
                let before = [y.clone(), state.clone(), scratch.clone()];
                let (x_at, x_len) = given(u, &mut x, &mut y)?;
                let (id_at, ids_len) = given(u, &mut id, &mut [])?;
                let (y_at, y_len) = given(u, &mut y, &mut scratch)?;
                let (state_at, state_len) = given(u, &mut state, &mut y)?;
                let (scratch_at, scratch_len) = given(u, &mut scratch, &mut x)?;
                let buffers = recurrent_buffers {
                    x: x_at,
                    x_len,
                    ids: id_at,
                    ids_len,
                    y: y_at,
                    y_len,
                    state: state_at,
                    state_len,
                    scratch: scratch_at,
                    scratch_len,
                };
                let status = match kind {
                    3 => recurrent_step(model, &buffers, &mut error),
                    _ => recurrent_forward(model, &sequences, &buffers, &mut error),
                };
                if status != RECURRENT_OK {
                    text(&error);
                }
                judge(status, &before, &[&y, &state, &scratch]);
            }
        }
    }
    Ok(())
}

/// A batch, small enough for its buffers in most cases.
fn size_of_batch(u: &mut Unstructured<'_>) -> Result<usize> {
    if u.ratio(7, 8)? { u.int_in_range(0..=5) } else { size(u) }
}

/// A pass of training, and an update with its gradients.
fn train(
    u: &mut Unstructured<'_>,
    model: *mut recurrent_model,
    sequences: &recurrent_sequences,
    weights: &mut Vec<f32>,
    [x, state]: [&mut Vec<f32>; 2],
    id: &mut [u32],
) -> Result<()> {
    let (steps, batch) = (sequences.steps, sequences.batch);
    let outputs = recurrent_model_output(model);
    let rows = if recurrent_model_is_pooled(model) != 0 { batch } else { steps.saturating_mul(batch) };
    let loss = u.int_in_range(0..=4)?;
    let over_classes = loss == RECURRENT_LOSS_CROSS_ENTROPY;
    let mut classes = ids(u, if over_classes { rows } else { 0 }, outputs)?;
    let mut targets = floats(u, if over_classes { 0 } else { rows.saturating_mul(outputs) })?;
    let mut dropout = floats(u, recurrent_model_dropout_len(model, steps, batch))?;
    let mut seed = u.arbitrary()?;
    let recurrent = if u.arbitrary()? { 0.0 } else { u.arbitrary()? };
    let (at, len) = (dropout.as_mut_ptr(), dropout.len());
    let before = [dropout.clone()];
    let status = recurrent_draw_dropout(model, steps, batch, recurrent, &mut seed, at, len, null_mut());
    judge(status, &before, &[&dropout]);
    let mut grads = floats(u, weights.len())?;
    let mut tape = floats(u, recurrent_model_tape_len(model, steps, batch))?;
    let mut scratch = floats(u, recurrent_model_train_scratch_len(model, steps, batch))?;
    let before = [grads.clone(), state.clone(), tape.clone(), scratch.clone()];
    let [has_ignored, accumulate, some_total]: [bool; 3] = u.arbitrary()?;
    let (weights_at, weights_len) = given(u, weights, &mut grads)?;
    let (x_at, x_len) = given(u, x, &mut tape)?;
    let (id_at, ids_len) = given(u, id, &mut classes)?;
    let (class_at, target_classes_len) = given(u, &mut classes, &mut [])?;
    let (target_at, targets_len) = given(u, &mut targets, state)?;
    let (grads_at, grads_len) = given(u, &mut grads, weights)?;
    let (state_at, state_len) = given(u, state, &mut grads)?;
    let (tape_at, tape_len) = given(u, &mut tape, &mut scratch)?;
    let (scratch_at, scratch_len) = given(u, &mut scratch, &mut tape)?;
    let training = recurrent_training {
        weights: weights_at,
        weights_len,
        x: x_at,
        x_len,
        ids: id_at,
        ids_len,
        target_classes: class_at,
        target_classes_len,
        targets: target_at,
        targets_len,
        dropout: dropout.as_ptr(),
        dropout_len: dropout.len(),
        grads: grads_at,
        grads_len,
        state: state_at,
        state_len,
        tape: tape_at,
        tape_len,
        scratch: scratch_at,
        scratch_len,
        total_targets: if some_total { u.arbitrary()? } else { 0.0 },
        loss,
        ignored: u.arbitrary()?,
        has_ignored: u8::from(has_ignored),
        accumulate: u8::from(accumulate),
    };
    let mut mean = 7.0;
    let status = recurrent_forward_backward(model, sequences, &training, &mut mean, null_mut());
    assert!(status == RECURRENT_OK || mean == 7.0, "a loss of a pass that failed");
    judge(status, &before, &[&grads, state, &tape, &scratch]);

    let mut scale = 1.0;
    let (at, len) = (grads.as_ptr(), grads.len());
    if recurrent_clip_scale(at, len, u.arbitrary()?, &mut scale, null_mut(), null_mut()) != RECURRENT_OK {
        assert!(scale == 1.0);
    }
    let [lr, beta1, weight_decay]: [f32; 3] = u.arbitrary()?;
    let mut adam = recurrent_adam { lr, beta1, beta2: 0.999, eps: 1e-8, weight_decay, step: u.arbitrary()? };
    let sgd = recurrent_sgd { lr, momentum: beta1, weight_decay, nesterov: u.arbitrary()? };
    let kind = u.int_in_range(0..=2)?;
    let needed =
        if kind == 0 { recurrent_sgd_moments_len(&sgd, len) } else { recurrent_adam_moments_len(len) };
    let mut moments = floats(u, needed)?;
    let before = [weights.clone(), moments.clone()];
    let (w, w_len) = given(u, weights, &mut moments)?;
    let (g, g_len) = given(u, &mut grads, weights)?;
    let (m, m_len) = given(u, &mut moments, &mut grads)?;
    let status = match kind {
        0 => recurrent_sgd_update(&sgd, w, w_len, g, g_len, m, m_len, scale, null_mut()),
        1 => recurrent_adam_update(&mut adam, w, w_len, g, g_len, m, m_len, scale, null_mut()),
        _ => recurrent_adamw_update(&mut adam, w, w_len, g, g_len, m, m_len, scale, null_mut()),
    };
    judge(status, &before, &[weights, &moments]);
    Ok(())
}

/// The two halves of a training pass.
fn train_in_halves(
    u: &mut Unstructured<'_>,
    model: *mut recurrent_model,
    sequences: &recurrent_sequences,
    weights: &mut Vec<f32>,
    [x, state]: [&mut Vec<f32>; 2],
    id: &mut [u32],
) -> Result<()> {
    let (steps, batch) = (sequences.steps, sequences.batch);
    let mut dropout = floats(u, recurrent_model_dropout_len(model, steps, batch))?;
    let mut tape = floats(u, recurrent_model_tape_len(model, steps, batch))?;
    let mut scratch = floats(u, recurrent_model_backward_scratch_len(model, steps, batch))?;
    let outputs = recurrent_model_output_len(model, steps, batch);
    let (mut y, mut dy) = (floats(u, outputs)?, floats(u, outputs)?);
    let mut grads = floats(u, weights.len())?;
    let [wants_dx, wants_dstate, accumulate]: [bool; 3] = u.arbitrary()?;
    let mut dx = floats(u, if wants_dx { x.len() } else { 0 })?;
    let mut dstate = floats(u, if wants_dstate { state.len() } else { 0 })?;
    for half in [recurrent_forward_train, recurrent_backward] {
        let before = [&tape, &scratch, &y, state, &grads, &dx, &dstate].map(Vec::clone);
        let (weights_at, weights_len) = given(u, weights, &mut grads)?;
        let (x_at, x_len) = given(u, x, &mut tape)?;
        let (id_at, ids_len) = given(u, id, &mut [])?;
        let (dropout_at, dropout_len) = given(u, &mut dropout, &mut y)?;
        let (tape_at, tape_len) = given(u, &mut tape, &mut scratch)?;
        let (scratch_at, scratch_len) = given(u, &mut scratch, &mut tape)?;
        let (y_at, y_len) = given(u, &mut y, &mut dy)?;
        let (state_at, state_len) = given(u, state, &mut grads)?;
        let (dy_at, dy_len) = given(u, &mut dy, &mut grads)?;
        let (grads_at, grads_len) = given(u, &mut grads, weights)?;
        let (dx_at, dx_len) = given(u, &mut dx, x)?;
        let (dstate_at, dstate_len) = given(u, &mut dstate, state)?;
        let training = recurrent_own_training {
            weights: weights_at,
            weights_len,
            x: x_at,
            x_len,
            ids: id_at,
            ids_len,
            dropout: dropout_at,
            dropout_len,
            tape: tape_at,
            tape_len,
            scratch: scratch_at,
            scratch_len,
            y: y_at,
            y_len,
            state: state_at,
            state_len,
            dy: dy_at,
            dy_len,
            grads: grads_at,
            grads_len,
            dx: if wants_dx { dx_at } else { null_mut() },
            dx_len,
            dstate: if wants_dstate { dstate_at } else { null_mut() },
            dstate_len,
            accumulate: u8::from(accumulate),
        };
        let mut error = recurrent_error {
            status: 0,
            subject: null(),
            subject_len: 0,
            what: null(),
            what_len: 0,
            numbers: [0; 3],
        };
        let status = half(model, sequences, &training, &mut error);
        if status != RECURRENT_OK {
            text(&error);
        }
        judge(status, &before, &[&tape, &scratch, &y, state, &grads, &dx, &dstate]);
    }
    Ok(())
}

/// The loss of CTC over arbitrary logits and labels.
fn labels(u: &mut Unstructured<'_>, sequences: &recurrent_sequences) -> Result<()> {
    let (classes, rows) = (u.int_in_range(0..=5)?, sequences.steps.saturating_mul(sequences.batch));
    let logits_len = rows.saturating_mul(classes);
    let (mut logits, mut dlogits) = (floats(u, logits_len)?, floats(u, logits_len)?);
    let most = u.int_in_range(0..=4)?;
    let mut of_rows = lengths(u, most, sequences.batch)?;
    let count = of_rows.iter().fold(0, |sum: usize, n| sum.saturating_add(*n));
    let mut targets = ids(u, count, classes)?;
    let longest = of_rows.iter().copied().max().unwrap_or(0);
    let mut scratch = floats(u, recurrent_ctc_scratch_len(sequences.steps, longest))?;
    let before = [dlogits.clone(), scratch.clone()];
    let (logits_at, logits_len) = given(u, &mut logits, &mut dlogits)?;
    let (target_at, targets_len) = given(u, &mut targets, &mut [])?;
    let (length_at, target_lengths_len) = given(u, &mut of_rows, &mut [])?;
    let (dlogits_at, dlogits_len) = given(u, &mut dlogits, &mut logits)?;
    let (scratch_at, scratch_len) = given(u, &mut scratch, &mut dlogits)?;
    let ctc = recurrent_ctc {
        logits: logits_at,
        logits_len,
        targets: target_at,
        targets_len,
        target_lengths: length_at,
        target_lengths_len,
        dlogits: dlogits_at,
        dlogits_len,
        scratch: scratch_at,
        scratch_len,
        classes,
        blank: u.int_in_range(0..=5)?,
        zero_infinity: u.arbitrary()?,
    };
    let mut loss = 7.0;
    let status = recurrent_ctc_loss(sequences, &ctc, &mut loss, null_mut());
    assert!(status == RECURRENT_OK || loss == 7.0, "a loss of a call that failed");
    judge(status, &before, &[&dlogits, &scratch]);
    Ok(())
}

// If the input is too short, the call is not made.
fuzz_target!(|bytes: &[u8]| {
    let _ = call(&mut Unstructured::new(bytes));
});
