//! Models of PyTorch, Keras, ONNX, RTNeural and amp plugins: read into the layout of this crate, and written back.
//!
//! A file is read into a [`Network`]: layers with their names, and one flat slice of weights. What a file holds that this crate would
//! compute differently, or not at all, is an [`Error`] that names the tensor, layer, node or attribute. What a file leaves open, and what of it has
//! no part in the network, is a [`Note`] that the network carries.
//! `f16` and `bf16` of PyTorch and ONNX are widened, which [`Network::with_exact_formats`] takes back, and `f64` is rounded
//! where it fits. A damaged file is an error: there is no panic, and reading
//! takes no more memory than a small multiple of the file's size.
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
//! - **PyTorch** (`.safetensors`; `.pt` and `.pth`, of any version; nothing of a pickle is run): any prefix. Of a checkpoint the parameters at the top
//!   count, or those up to two levels below, under keys such as `state_dict`, `model_state_dict` and `model`. Of a pickled module its own
//!   parameters count. Parameters do not say everything, so that a [`Plan`] may be needed, as
//!   `emb,rnn:relu,@last,fc:tanh`. Without one there is at most one way to put the layers on top of each other, with linear layers last and without
//!   activations. What is written is loaded with `strict=True`, and has its plan in the metadata if it needs one. A linear layer without a bias
//!   gets one of zeros; the first layer of a plan needs `:linear` then, because it is an embedding otherwise.
//! - **Keras** 2 and 3 (`.keras`, `.h5`): `Sequential` models, and `Functional` ones that are a chain. A softmax at the end is the network's
//!   [`Ending`].
//! - **ONNX**: the graph is a chain of the nodes in the table, and of what moves axes about between them. Directions may be cut apart and joined
//!   again, as tf2onnx does. Constants are folded. Initial states that
//!   are constants are the network's; those that are inputs of the graph are the caller's. What is written is of opset 17, and takes any steps and rows. Batch-major graphs become time-major. Data in files beside the
//!   model is read from its folder only, or by [`ReadOptions::external`]. What `quantize_dynamic` makes with symmetric int8
//!   is read into [narrow](crate::Narrow::W8A16) layers with the same integers: `DynamicQuantizeLSTM`, and `MatMulInteger`
//!   with its scales. Zero points other than 0 are refused. A graph that rounds values to 16 bits between its nodes is
//!   read with a note: here they stay `f32`.
//! - **RTNeural**, AIDA-X (`.json`, `.aidax`): layers in the form of Keras, or PyTorch's parameters as lists, which may need a plan. **GuitarML**,
//!   Automated-GuitarAmpModelling (`.json`). **Neural Amp Modeler** (`.nam`): LSTMs, with their initial states. RTNeural's JSON is what is written.
//! - **Images** (`.img`): [`crate::image`]. They hold no names of layers, but names of classes.
//!
//! A network is what the file says; to be run, it has its scales [folded](Network::folded) into the matrices beside them.
//!
#![doc = include_str!("collection.md")]
//!
//! This folder may import everything below, and no unsafe code is in it. To add a format: a file with `read`, the framework's row in `layout.rs`, and
//! a line in [`Format`].

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

/// All bytes of a file beside a model, by its name in the model.
pub type External<'a> = dyn Fn(&str) -> std::io::Result<Vec<u8>> + 'a;

/// The model of a file. A `plan` says what PyTorch's parameters leave open; other formats take none. What was taken for granted stands in
/// the [notes](Network::notes) of the network; [`ReadOptions`] can refuse that, tell the format, and read data beside the file.
///
/// # Errors
/// [`Error`] with the tensor, layer, node or attribute at fault. Whatever the bytes are, there is no panic, and no more memory
/// is asked for than a small multiple of their number.
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
        (Format::Source, None) => error::unsupported("Rust source", "it is only written"),
    }
}

/// The file of a model.
///
/// # Errors
/// [`Error::Unsupported`] with the layer that the format cannot express, or with the ending, the initial state or the mask if it
/// cannot hold that.
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

/// The kind of a layer, in a word.
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

/// A layer as the expression that makes it, for people.
///
/// ```
/// let layer = recurrent::model::Layer::dense(16, 5);
/// assert_eq!(recurrent::io::describe(&layer), "Layer::Dense(Dense::new(16, 5))");
/// ```
pub fn describe(layer: &Layer) -> String {
    source::layer(layer)
}
