//! The forms of cells that a program names, so that what it does not name is not linked.
//!
//! The functions are written out, because cbindgen does not see what macros make.

use recurrent_core::image::Form;

/// A form of a cell, with passes over it: what recurrent_model_open() takes. The linker keeps the cells whose
/// functions a program calls, and no others: call them by name. Those that end in `_steps` have
/// recurrent_step() alone, the others recurrent_forward(), too.
///
/// The functions return constants of the library, and never null. Errors name the forms without `recurrent_`,
/// in capitals.
pub struct recurrent_cell {
    // A pointer to one is a pointer to a `Form`.
    _opaque: [u8; 0],
}

/// A constant of its own for each.
macro_rules! cell {
    ($form:expr) => {{
        static CELL: Form = $form;
        (&raw const CELL).cast()
    }};
}

/// A simple recurrent layer of tanh units.
#[no_mangle]
pub extern "C" fn recurrent_rnn_tanh() -> *const recurrent_cell {
    cell!(Form::RNN_TANH.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_rnn_tanh_steps() -> *const recurrent_cell {
    cell!(Form::RNN_TANH.steps())
}

/// A simple recurrent layer of rectified linear units.
#[no_mangle]
pub extern "C" fn recurrent_rnn_relu() -> *const recurrent_cell {
    cell!(Form::RNN_RELU.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_rnn_relu_steps() -> *const recurrent_cell {
    cell!(Form::RNN_RELU.steps())
}

/// A simple recurrent layer with another activation, or a clip.
#[no_mangle]
pub extern "C" fn recurrent_rnn_options() -> *const recurrent_cell {
    cell!(Form::RNN_OPTIONS.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_rnn_options_steps() -> *const recurrent_cell {
    cell!(Form::RNN_OPTIONS.steps())
}

/// An LSTM as PyTorch has it.
#[no_mangle]
pub extern "C" fn recurrent_lstm() -> *const recurrent_cell {
    cell!(Form::LSTM.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_lstm_steps() -> *const recurrent_cell {
    cell!(Form::LSTM.steps())
}

/// An LSTM with other activations, a clip, coupled gates, peepholes, or a projection.
#[no_mangle]
pub extern "C" fn recurrent_lstm_options() -> *const recurrent_cell {
    cell!(Form::LSTM_OPTIONS.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_lstm_options_steps() -> *const recurrent_cell {
    cell!(Form::LSTM_OPTIONS.steps())
}

/// A GRU as PyTorch has it: it resets after the product.
#[no_mangle]
pub extern "C" fn recurrent_gru() -> *const recurrent_cell {
    cell!(Form::GRU.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_gru_steps() -> *const recurrent_cell {
    cell!(Form::GRU.steps())
}

/// The same with other activations, or a clip.
#[no_mangle]
pub extern "C" fn recurrent_gru_options() -> *const recurrent_cell {
    cell!(Form::GRU_OPTIONS.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_gru_options_steps() -> *const recurrent_cell {
    cell!(Form::GRU_OPTIONS.steps())
}

/// A GRU that resets before the product.
#[no_mangle]
pub extern "C" fn recurrent_gru_reset_before() -> *const recurrent_cell {
    cell!(Form::GRU_RESET_BEFORE.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_gru_reset_before_steps() -> *const recurrent_cell {
    cell!(Form::GRU_RESET_BEFORE.steps())
}

/// The same with other activations, or a clip.
#[no_mangle]
pub extern "C" fn recurrent_gru_reset_before_options() -> *const recurrent_cell {
    cell!(Form::GRU_RESET_BEFORE_OPTIONS.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_gru_reset_before_options_steps() -> *const recurrent_cell {
    cell!(Form::GRU_RESET_BEFORE_OPTIONS.steps())
}

/// A minimal gated unit.
#[no_mangle]
pub extern "C" fn recurrent_mgu() -> *const recurrent_cell {
    cell!(Form::MGU.inference())
}

/// The same for steps alone.
#[no_mangle]
pub extern "C" fn recurrent_mgu_steps() -> *const recurrent_cell {
    cell!(Form::MGU.steps())
}

static EVERY: [&Form; 10] = [
    &Form::RNN_TANH.inference(),
    &Form::RNN_RELU.inference(),
    &Form::RNN_OPTIONS.inference(),
    &Form::LSTM.inference(),
    &Form::LSTM_OPTIONS.inference(),
    &Form::GRU.inference(),
    &Form::GRU_OPTIONS.inference(),
    &Form::GRU_RESET_BEFORE.inference(),
    &Form::GRU_RESET_BEFORE_OPTIONS.inference(),
    &Form::MGU.inference(),
];

/// All cells, each with all passes, for programs that do not mind their size: an array of `*len` pointers, a
/// constant of the library. `len` may be null, or is written.
#[no_mangle]
pub extern "C" fn recurrent_every_cell(len: *mut usize) -> *const *const recurrent_cell {
    if let Ok(out) = crate::border::result("len", len) {
        out.put(EVERY.len());
    }
    EVERY.as_ptr().cast()
}
