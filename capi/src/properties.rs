//! Sizes of models, lengths of their buffers, and what their image says besides.

use core::ffi::c_char;

use recurrent_core::model::Ending;

use crate::border;
use crate::model::recurrent_model;

macro_rules! number {
    ($model:ident, $name:expr) => {
        border::model($model).map_or(0, $name)
    };
}

/// Features of the input, `I`; 1 for a model that takes ids. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_input(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.input())
}

/// Features of the output, `O`. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_output(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.output())
}

/// The number of ids of a model that takes ids: every id is below it. 0 for a model that takes values, and if
/// `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_classes(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.classes().unwrap_or(0))
}

/// 1 for a model with one output for each sequence. 0 for a model with an output for each step, and if
/// `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_is_pooled(model: *const recurrent_model) -> i32 {
    number!(model, |m| i32::from(m.chain.is_pooled()))
}

/// Elements of the weights. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_weights_len(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.weights_len())
}

/// Elements of the state of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_state_len(model: *const recurrent_model, batch: usize) -> usize {
    number!(model, |m| m.chain.state_len(batch))
}

/// Elements of the output of `steps` steps of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if
/// `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_output_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.output_len(steps, batch))
}

/// Elements of the scratch of recurrent_forward() over `steps` steps of `batch` rows. recurrent_step() needs
/// the scratch of 1 step. SIZE_MAX if they do not fit into memory, 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_scratch_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.scratch_len(steps, batch))
}

/// Elements of the tape of recurrent_forward_backward(), or of recurrent_forward_train() and
/// recurrent_backward(), over `steps` steps of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if
/// `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_tape_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.tape_len(steps, batch))
}

/// Elements of the scratch of recurrent_forward_backward() and of recurrent_forward_train() over `steps`
/// steps of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_train_scratch_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.train_scratch_len(steps, batch))
}

/// Elements of the scratch of recurrent_backward() over `steps` steps of `batch` rows. SIZE_MAX if they do not
/// fit into memory, 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_backward_scratch_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.backward_scratch_len(steps, batch))
}

/// Elements of the factors of dropout for recurrent_forward_backward(), or recurrent_forward_train() and
/// recurrent_backward(), over `steps` steps of `batch` rows. 0 for a model without dropout, and if `model` is
/// null. SIZE_MAX if they do not fit into memory.
#[no_mangle]
pub extern "C" fn recurrent_model_dropout_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.dropout_len(steps, batch))
}

/// The function that follows the last layer and that the passes do not compute: 0 for none, 1 for
/// recurrent_softmax(), 2 for recurrent_log_softmax().
#[no_mangle]
pub extern "C" fn recurrent_model_ending(model: *const recurrent_model) -> i32 {
    number!(model, |m| match m.image.map(|image| image.ending()) {
        Some(Ending::Softmax) => 1,
        Some(Ending::LogSoftmax) => 2,
        _ => 0,
    })
}

/// The name of a class, in UTF-8 without a 0 at its end. It is part of the image. Writes its length in bytes
/// to `name_len`, unless that is null. Returns null if the image has no name for the class.
#[no_mangle]
pub extern "C" fn recurrent_model_class_name(
    model: *const recurrent_model,
    class: usize,
    name_len: *mut usize,
) -> *const c_char {
    let image = border::model(model).ok().and_then(|m| m.image.as_ref());
    let name = image.and_then(|image| image.classes().split('\n').nth(class));
    let name = name.filter(|name| !name.is_empty());
    if let Ok(out) = border::result("name_len", name_len) {
        out.put(name.map_or(0, str::len));
    }
    name.map_or(core::ptr::null(), |name| name.as_ptr().cast())
}

/// 1 if steps with a certain input are padding, which recurrent_model_mask() finds. 0 if not, and if `model`
/// is null.
#[no_mangle]
pub extern "C" fn recurrent_model_has_mask(model: *const recurrent_model) -> i32 {
    number!(model, |m| i32::from(m.image.is_some_and(|image| image.mask().is_some())))
}
