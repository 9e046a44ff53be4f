//! Models without an image: a program describes the layers, and the weights are its own.

use core::ffi::c_void;

use recurrent_core::image;
use recurrent_core::model::Chain;
use recurrent_core::Error;

use crate::border::{self, apart, Kept, Memory, Place};
use crate::cells::recurrent_cell;
use crate::error::{answer, recurrent_error, recurrent_status, Outcome, Refusal};
use crate::model::recurrent_model;

/// A vector of `output` features for each of `input` ids. It must be the first layer.
pub const RECURRENT_LAYER_EMBEDDING: u32 = 1;
/// Simple recurrent layers. Activation 0 is tanh unless it is set.
pub const RECURRENT_LAYER_RNN: u32 = 2;
/// LSTM layers. The activations are those of the gates, of the cell, and of the output: sigmoid, tanh and tanh
/// unless they are set.
pub const RECURRENT_LAYER_LSTM: u32 = 3;
/// GRU layers. The activations are those of the gates and of the new state: sigmoid and tanh unless they are
/// set.
pub const RECURRENT_LAYER_GRU: u32 = 4;
/// Minimal gated unit layers.
pub const RECURRENT_LAYER_MGU: u32 = 5;
/// A dense layer, for each step, or for each sequence above a pool. Activation 0 may be tanh, sigmoid or ReLU.
pub const RECURRENT_LAYER_DENSE: u32 = 6;
/// A scale and a shift for each of `input` features.
pub const RECURRENT_LAYER_SCALE: u32 = 7;
/// Activation 0 of each feature.
pub const RECURRENT_LAYER_ACTIVATION: u32 = 8;
/// Adds the input of the model.
pub const RECURRENT_LAYER_RESIDUAL: u32 = 9;
/// Dropout with `probability`, only in training.
pub const RECURRENT_LAYER_DROPOUT: u32 = 10;
/// The output of the last step of each sequence.
pub const RECURRENT_LAYER_POOL_LAST: u32 = 11;
/// The mean over the steps.
pub const RECURRENT_LAYER_POOL_MEAN: u32 = 12;
/// The greatest value over the steps.
pub const RECURRENT_LAYER_POOL_MAX: u32 = 13;
/// The last output of each direction of a layer with both.
pub const RECURRENT_LAYER_POOL_ENDS: u32 = 14;
/// The output of the first step.
pub const RECURRENT_LAYER_POOL_FIRST: u32 = 15;

/// No biases.
pub const RECURRENT_OPTION_NO_BIAS: u32 = 1;
/// Sequences run backward.
pub const RECURRENT_OPTION_REVERSE: u32 = 2;
/// Able to train with recurrent dropout, see recurrent_draw_dropout().
pub const RECURRENT_OPTION_RECURRENT_DROPOUT: u32 = 4;
/// LSTM: the input gate is 1 minus the forget gate.
pub const RECURRENT_OPTION_COUPLED: u32 = 8;
/// LSTM: gates see the cell's state.
pub const RECURRENT_OPTION_PEEPHOLES: u32 = 16;
/// GRU: the reset gate is applied before the product.
pub const RECURRENT_OPTION_RESET_BEFORE: u32 = 32;
/// Both directions, with their outputs side by side: twice the features.
pub const RECURRENT_OPTION_BOTH_CONCAT: u32 = 64;
/// Both directions, with their outputs added.
pub const RECURRENT_OPTION_BOTH_SUM: u32 = 128;
/// LSTM and GRU: layer normalisation.
pub const RECURRENT_OPTION_NORM: u32 = 256;
/// LSTM: layer normalisation in the form that normalises the state that is kept, too.
pub const RECURRENT_OPTION_NORM_STATE: u32 = 512;

/// `tanh(x)`
pub const RECURRENT_ACTIVATION_TANH: u32 = 1;
/// `1 / (1 + exp(-x))`
pub const RECURRENT_ACTIVATION_SIGMOID: u32 = 2;
/// `max(0, x)`
pub const RECURRENT_ACTIVATION_RELU: u32 = 3;
/// `alpha * x + beta`
pub const RECURRENT_ACTIVATION_AFFINE: u32 = 4;
/// `x` if it is not negative, else `alpha * x`
pub const RECURRENT_ACTIVATION_LEAKY_RELU: u32 = 5;
/// `x` if it is above `alpha`, else 0
pub const RECURRENT_ACTIVATION_THRESHOLDED_RELU: u32 = 6;
/// `alpha * tanh(beta * x)`
pub const RECURRENT_ACTIVATION_SCALED_TANH: u32 = 7;
/// `max(0, min(1, alpha * x + beta))`
pub const RECURRENT_ACTIVATION_HARD_SIGMOID: u32 = 8;
/// `x` if it is not negative, else `alpha * (exp(x) - 1)`
pub const RECURRENT_ACTIVATION_ELU: u32 = 9;
/// `x / (1 + |x|)`
pub const RECURRENT_ACTIVATION_SOFTSIGN: u32 = 10;
/// `log(1 + exp(x))`
pub const RECURRENT_ACTIVATION_SOFTPLUS: u32 = 11;

/// An activation function. Parameters that it does not have are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_activation {
    /// One of RECURRENT_ACTIVATION_..., or 0 for that of the cell without options.
    pub kind: u32,
    pub alpha: f32,
    pub beta: f32,
}

/// The description of a layer. RECURRENT_LAYER(GRU, 3, 16) is the initial value of a GRU of 16 units over 3
/// features. Fields that the kind of layer does not use are 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_layer {
    /// One of RECURRENT_LAYER_...
    pub kind: u32,
    /// Features of the input; classes of an embedding. 0 for layers that take any number.
    pub input: u32,
    /// Units of a recurrent layer, outputs of a dense layer, features of an embedding; otherwise 0.
    pub output: u32,
    /// The sum of some of RECURRENT_OPTION_...
    pub options: u32,
    /// Recurrent layers on top of each other, each over the output of the one below; 0 means 1.
    pub stack: u32,
    /// LSTM: features of the projection, which are then those of the output; 0 for none.
    pub projection: u32,
    /// RNN, LSTM, GRU: sums of the gates are limited to this; 0 for no limit.
    pub clip: f32,
    /// The probability of a layer of dropout.
    pub probability: f32,
    /// Activations, in the order that the kind of layer names.
    pub activations: [recurrent_activation; 3],
}

/// The kinds of layers in an image, by RECURRENT_LAYER_... less 1. Pools have one kind, and a number.
const KINDS: [u8; 15] = [0, 1, 2, 3, 7, 4, 8, 9, 10, 6, 5, 5, 5, 5, 5];
const POOLS: [u8; 5] = [0, 1, 2, 3, 4];
const FIRST_POOL: u32 = RECURRENT_LAYER_POOL_LAST;
/// The standard activations of RNN, LSTM and GRU.
const STANDARD: [[u8; 3]; 3] = [[1, 0, 0], [2, 1, 1], [2, 1, 0]];

impl recurrent_layer {
    /// The words of an image for this layer.
    fn words(&self) -> Result<[u32; 16], &'static str> {
        let number = (self.kind as usize).wrapping_sub(1);
        let kind = u32::from(*KINDS.get(number).ok_or("the kind is none of RECURRENT_LAYER_...")?);
        let mut words = [0; 16];
        words[..6].copy_from_slice(&[
            kind,
            self.input,
            self.output,
            self.options,
            self.stack,
            self.projection,
        ]);
        let of_activations = self.activations.iter().zip(words[7..].chunks_exact_mut(3));
        of_activations
            .for_each(|(of, to)| to.copy_from_slice(&[of.kind, of.alpha.to_bits(), of.beta.to_bits()]));
        if let Some(pool) = POOLS.get((self.kind as usize).wrapping_sub(FIRST_POOL as usize)) {
            if self.input != 0 {
                return Err("a pool takes any number of features, so `input` must be 0");
            }
            words[1] = u32::from(*pool);
        }
        let is_dropout = self.kind == RECURRENT_LAYER_DROPOUT;
        if self.probability != 0.0 && !is_dropout {
            return Err("only dropout has a `probability`");
        }
        if self.clip != 0.0 && is_dropout {
            return Err("dropout has no `clip`");
        }
        words[6] = if is_dropout { self.probability } else { self.clip }.to_bits();
        if matches!(kind, 1 | 2 | 3 | 7) {
            words[4] = self.stack.max(1);
        }
        if let Some(standard) = STANDARD.get((kind as usize).wrapping_sub(1)) {
            if self.clip == 0.0 {
                words[6] = f32::INFINITY.to_bits();
            }
            for (standard, word) in standard.iter().zip(words[7..].iter_mut().step_by(3)) {
                if *word == 0 {
                    *word = u32::from(*standard);
                }
            }
        }
        Ok(words)
    }
}

/// Bytes of memory that recurrent_model_build() needs for this number of layers, at most
/// RECURRENT_MODEL_SIZE(layers).
#[no_mangle]
pub extern "C" fn recurrent_model_build_size(layers: usize) -> usize {
    border::memory_len(layers)
}

/// Makes a model of the given layers, from the input to the output, without an image. Writes the model to
/// `model`, which then points into `memory`.
///
/// - `layers` has `layers_len` descriptions. They are only used during the call.
/// - `cells` has `cells_len` pointers: the cells that the layers may have, as in recurrent_model_open().
/// - `memory` has `size` bytes, at least recurrent_model_build_size(), and is aligned to
///   RECURRENT_MODEL_ALIGN bytes. It must not move or change until the last use of the model.
///
/// The model has no weights at first. Give it some by recurrent_model_set_weights(): drawn by
/// recurrent_model_init(), trained, or made elsewhere, in the layout of PyTorch, layer by layer. Training
/// passes take their weights as an argument. Everything else is as for a model from an image.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (of `memory`), _CELL, and _LAYERS for a
/// wrong description and for layers that do not fit together.
#[no_mangle]
pub extern "C" fn recurrent_model_build(
    layers: *const recurrent_layer,
    layers_len: usize,
    cells: *const *const recurrent_cell,
    cells_len: usize,
    memory: *mut c_void,
    size: usize,
    model: *mut *mut recurrent_model,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let described = border::read::<recurrent_layer>("layers", layers, layers_len)?;
        let forms = border::forms(cells, cells_len)?;
        let out = border::result("model", model)?;
        let memory = Memory::new(memory, size, layers_len)?;
        apart([memory.place()], [Place::of("layers", described), Place::of("cells", forms)])?;
        let layers = memory.layers();
        for (index, (description, to)) in described.iter().zip(layers.iter_mut()).enumerate() {
            let words = description.words().map_err(|what| Refusal::Description(index, what))?;
            *to = image::layer(&words, forms).map_err(|error| match error {
                Error::Image { what, .. } => Refusal::Description(index, what),
                Error::Form { form, .. } => Error::Form { layer: index, form }.into(),
                other => other.into(),
            })?;
        }
        let chain = Chain::new(layers)?;
        out.put(memory.put(recurrent_model::new(chain, None, Kept::new(&[]))));
        Ok(())
    };
    answer(error, run())
}
