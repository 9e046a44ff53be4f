//! Model files of PyTorch, Keras, ONNX, RTNeural and amp plugins: read into this crate's layout, and written
//! back.
//!
//! A file is read into a [`Network`]: layers with their names, and one flat slice of weights. If a file
//! contains something that this crate would compute differently, or not at all, reading fails with an
//! [`Error`] that names the tensor, layer, node or attribute. If the reader had to make an assumption, or
//! left out something that is not part of the network, the network carries a [`Note`] about it. `f16` and
//! `bf16` of PyTorch and ONNX are widened to `f32`; [`Network::with_exact_formats`] reverses this. `f64` is
//! rounded if the value fits. A damaged file is an error: reading never panics, and takes no more memory than
//! a small multiple of the file's size.
//!
//! ```
//! use recurrent::io::{self, Format};
//! use recurrent::model::Input;
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/onnx_lstm_static.onnx");
//! let (network, ..) = io::ReadOptions::new().open(path.as_ref())?;
//! let y = network.run(Input::Values(&[0.1, 0.2, 0.3]), 1, 1)?; // one step of one sequence
//! let mut stream = network.instance()?; // packed weights, and states that stay from call to call
//! assert_eq!(stream.step(&[0.1, 0.2, 0.3])?, y);
//! let image = io::write(&network, Format::Image)?; // what firmware uses in place
//! assert_eq!((y.len(), image.len()), (2, 32 + 3 * 80 + 4 * network.weights().len()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Coming from PyTorch, Keras, ONNX
//!
//! | here | PyTorch | Keras | ONNX |
//! |---|---|---|---|
//! | [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm), [`Gru`](crate::Gru) | `nn.RNN`, `nn.LSTM`, `nn.GRU`, and their cells | `SimpleRNN`, `LSTM`, `GRU` | `RNN`, `LSTM`, `GRU` |
//! | gates of an LSTM: `i f g o` | `i f g o` | `i f c o` | `i o f c` |
//! | gates of a GRU: `r z n` | `r z n` | `z r h` | `z r h` |
//! | `w_ih [G*H, I]` | `weight_ih_l0` | `kernel [I, G*H]` | `W [D, G*H, I]` |
//! | `w_hh [G*H, R]` | `weight_hh_l0` | `recurrent_kernel [H, G*H]` | `R [D, G*H, H]` |
//! | `b_ih`, `b_hh` | `bias_ih_l0`, `bias_hh_l0` | `bias [G*H]`, which is `b_ih`; of a GRU with `reset_after` `bias [2, 3*H]`, which is both | `B [D, 2*G*H]`, which is both |
//! | [`bias(false)`](crate::Recurrent::bias) | `bias=False` | `use_bias=False` | no `B` |
//! | `w_hr [R, H]`, [`projection`](crate::Lstm::projection) | `weight_hr_l0`, `proj_size` | | |
//! | [`peepholes`](crate::Lstm::peepholes) `i f o` | | | `P`: `i o f` |
//! | [`Reset::After`](crate::Reset), `Before` | after | `reset_after` | `linear_before_reset` 1, 0 |
//! | [`Stack::layers`](crate::Stack::layers) | `_l1`, `_l2` | a layer each | a node each |
//! | [`Merge::Concat`](crate::Merge), `Sum` | `_reverse` | `Bidirectional`, `merge_mode` | `direction`: `bidirectional`, concatenated |
//! | [`reverse`](crate::Recurrent::reverse) | | `go_backwards` | `direction`: `reverse`; `ReverseSequence` |
//! | activations, `clip`, `coupled` | `nonlinearity` of an RNN | `activation`, `recurrent_activation` | `activations`, `clip`, `input_forget` |
//! | [`Dense`](crate::Dense) `[O, I]` | `nn.Linear` | `Dense [I, O]`, `TimeDistributed` | `MatMul` and `Add`, `Gemm`; `Tanh`, `Relu`, `Sigmoid` |
//! | [`Embedding`](crate::Embedding) | `nn.Embedding` | `Embedding` | `Gather` |
//! | [`Activate`](crate::Activate) | | `Activation`, `ReLU` and others | `Tanh`, `Elu`, `LeakyRelu` and others |
//! | [`Scale`](crate::Scale) | | `BatchNormalization`, `Normalization` | `Mul`, `Add`, `BatchNormalization` |
//! | [`Pool::Ends`](crate::Pool) | `h_n` of both directions | `Bidirectional` without sequences | `Y_h` of both directions |
//! | [`Pool::First`](crate::Pool) | | `go_backwards` without sequences | `Y_h` in reverse, `Gather` of the first step |
//! | [`Residual`](crate::model::Layer::Residual) | | | `Add` of the input |
//! | [`InputMask`](crate::model::InputMask) | | `Masking`, `mask_zero` | |
//! | [`Pool`](crate::Pool) | | `return_sequences=False`, `GlobalAveragePooling1D`, `GlobalMaxPooling1D` | `Gather` of the last step, `Y_h`, `ReduceMean`, `ReduceMax` |
//!
//! - **PyTorch** (`.safetensors`; `.pt` and `.pth`, of any version; no code of a pickle is run): parameters
//!   may have any prefix. In a checkpoint the parameters are taken from the top level, or from up to two
//!   levels below it, under keys such as `state_dict`, `model_state_dict` and `model`. In a pickled module
//!   they are the module's parameters. Parameters do not describe the whole model, so a [`Plan`] may be
//!   needed, such as `emb,rnn:relu,@last,fc:tanh`. Without a plan the reader looks for an order of the layers
//!   with linear layers last and without activations; there is at most one. A written file loads with
//!   `strict=True`, and has its plan in the metadata if it needs one. A linear layer without a bias gets a
//!   bias of zeros. If it is the first layer it needs `:linear` in the plan, because otherwise it is taken
//!   for an embedding.
//! - **Keras** 2 and 3 (`.keras`, `.h5`): `Sequential` models, and `Functional` models that are a chain. A
//!   softmax at the end becomes the network's [`Ending`].
//! - **ONNX**: the graph must be a chain of the nodes in the table, and of nodes that rearrange axes between
//!   them. Directions may be split and joined again, as tf2onnx does. Constants are folded. Constant initial
//!   states become the network's; if they are inputs of the graph, the caller sets them. Files are written
//!   with opset 17, and take any number of steps and rows. Batch-major graphs become time-major. External
//!   data is read only from the model's folder, or by [`ReadOptions::external`]. Results of
//!   `quantize_dynamic` with symmetric int8 (`DynamicQuantizeLSTM`, and `MatMulInteger` with its scales) are
//!   read into [narrow](crate::Narrow::W8A16) layers with the same integers. Zero points other than 0 are
//!   rejected. A graph that rounds values to 16 bits between its nodes is read with a note: here they stay
//!   `f32`.
//! - **RTNeural**, AIDA-X (`.json`, `.aidax`): layers in Keras' form, or PyTorch's parameters as lists, which
//!   may need a plan. **GuitarML**, Automated-GuitarAmpModelling (`.json`). **Neural Amp Modeler** (`.nam`):
//!   LSTMs, with their initial states. Of these, only RTNeural's JSON is written.
//! - **Images** (`.img`): [`crate::image`]. They store names of classes, but no names of layers.
//!
//! A network describes the file as it is. To run it, its scales are [folded](Network::folded) into the
//! adjacent matrices.
//!
#![doc = include_str!("collection.md")]
//!
//! This folder may import everything below it, and has no unsafe code. To add a format, write a file with
//! `read`, and add the framework's row in `layout.rs` and a line in [`Format`].

mod audio;
mod error;
mod folded;
mod format;
mod image;
mod keras;
mod layout;
mod narrow;
mod network;
mod note;
mod onnx;
mod options;
mod plan;
mod run;
mod safetensors;
pub mod size;
mod source;
mod tensor;
mod torch;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::model::Layer;
pub use error::{Error, Result};
pub use format::Format;
pub use network::{Named, Network};
pub use note::{Ending, Note};
pub use options::ReadOptions;
pub use plan::Plan;
pub use run::Instance;

/// Returns all bytes of a file beside a model, given the name that the model uses.
pub type External<'a> = dyn Fn(&str) -> std::io::Result<Vec<u8>> + 'a;

/// Reads a model from a file's bytes. A `plan` adds what PyTorch's parameters do not say; other formats take
/// none. Assumptions are recorded in the [notes](Network::notes) of the network. [`ReadOptions`] can reject
/// them, set the format, and read data in other files.
///
/// # Errors
/// [`Error`] with the tensor, layer, node or attribute at fault. For any bytes, it never panics, and
/// allocates no more memory than a small multiple of their number.
pub fn read(bytes: &[u8], format: Format, plan: Option<&Plan>) -> Result<Network> {
    let options = ReadOptions::new().format(format);
    match plan {
        Some(plan) => options.plan(plan).read(bytes),
        None => options.read(bytes),
    }
}

fn dispatch(
    bytes: &[u8],
    format: Format,
    plan: Option<&Plan>,
    external: Option<&External<'_>>,
) -> Result<Network> {
    match (format, plan) {
        (Format::Safetensors, _) => safetensors::read(bytes, plan),
        (Format::Torch, _) => torch::checkpoint::read(bytes, plan),
        (Format::Json, _) => audio::read(bytes, plan),
        (_, Some(_)) => error::plan_given(),
        (Format::Image, None) => image::read(bytes),
        (Format::Keras, None) => keras::read(bytes),
        (Format::Onnx, None) => onnx::read(bytes, external),
        (Format::Source, None) => error::unsupported("Rust source", "it can only be written"),
    }
}

/// Writes a model as the bytes of a file.
///
/// # Errors
/// [`Error::Unsupported`] with the layer that the format cannot express, or with the ending, the initial
/// state or the mask if the format cannot store it.
pub fn write(network: &Network, format: Format) -> Result<Vec<u8>> {
    if network.ending() != Ending::None && !format.holds_endings() {
        return error::unsupported(
            "the softmax after the last layer",
            "only images, ONNX and RTNeural's JSON support it: write `network.logits()`, and call `recurrent::softmax` on its outputs",
        );
    }
    if !network.initial_state().is_empty() && !matches!(format, Format::Image | Format::Onnx) {
        return error::unsupported("the initial state", "only images and ONNX support it");
    }
    if network.mask().is_some() && format != Format::Image {
        return error::unsupported("the mask that is made from the input", "only images support it");
    }
    if network.is_narrow() && format != Format::Image {
        return error::unsupported(
            "narrow weights",
            "only images support them: write `network.wide()`, which has the rounded weights in f32",
        );
    }
    match format {
        Format::Safetensors => safetensors::write(network),
        Format::Image => image::write(network),
        Format::Onnx => onnx::write::write(network),
        Format::Json => audio::write::write(network),
        Format::Source => Ok(source::write(network).into_bytes()),
        other => error::unsupported(format!("writing {}", other.name()), "this format can only be read"),
    }
}

/// The kind of a layer, as one word.
pub fn kind(layer: &Layer) -> &'static str {
    match layer {
        Layer::Embedding(_) => "embedding",
        Layer::Rnn(_) => "rnn",
        Layer::Lstm(_) => "lstm",
        Layer::Gru(_) => "gru",
        Layer::Mgu(_) => "mgu",
        Layer::Dense(_) => "dense",
        Layer::Activate(_) => "activation",
        Layer::Scale(_) => "scale",
        Layer::Residual => "residual",
        Layer::Pool(_) => "pool",
        Layer::Dropout(_) => "dropout",
    }
}

/// A layer as the Rust expression that creates it, for display.
///
/// ```
/// let layer = recurrent::model::Layer::dense(16, 5);
/// assert_eq!(recurrent::io::describe(&layer), "Layer::Dense(Dense::new(16, 5))");
/// ```
pub fn describe(layer: &Layer) -> String {
    source::layer(layer)
}
