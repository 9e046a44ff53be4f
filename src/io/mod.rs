//! docs to come
mod error;
mod image;
mod json;
mod keras;
mod layout;
mod network;
mod onnx;
mod plan;
mod run;
mod safetensors;
pub mod size;
mod source;
mod tensor;
mod torch;

use std::format;
use std::path::Path;
use std::string::String;
use std::vec::Vec;

use crate::model::Layer;
pub use error::{Error, Result};
pub use network::{Named, Network};
pub use plan::Plan;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// PyTorch's parameters in a safetensors file: read and written.
    Safetensors,
    /// A Keras v3 archive, `.keras`: read.
    Keras,
    /// An ONNX model: read.
    Onnx,
    /// RTNeural's JSON, in the form of Keras or that of PyTorch: read.
    Json,
    /// An [image](crate::image) for flash, `.img`: read and written.
    Image,
    /// Rust source with a model and its weights: written.
    Source,
}

impl Format {
    /// All formats, with their names and the extensions of their files.
    pub const ALL: [(Format, &'static str, &'static str); 6] = [
        (Format::Safetensors, "safetensors", "safetensors"),
        (Format::Keras, "keras", "keras"),
        (Format::Onnx, "onnx", "onnx"),
        (Format::Json, "rtneural", "json"),
        (Format::Image, "image", "img"),
        (Format::Source, "rust", "rs"),
    ];

    /// The format of a file by its extension.
    pub fn of(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?;
        Format::ALL.iter().find(|f| f.2.eq_ignore_ascii_case(extension)).map(|f| f.0)
    }

    /// The format's name, as the tool has it.
    pub fn name(self) -> &'static str {
        Format::ALL.iter().find(|f| f.0 == self).map_or("", |f| f.1)
    }
}

/// The model of a file. A `plan` says what PyTorch's parameters leave open; other formats take none.
///
/// # Errors
/// [`Error`] with the tensor, layer, node or attribute at fault. Whatever the bytes are, there is no panic, and no more memory
/// is asked for than a small multiple of their number.
pub fn read(bytes: &[u8], format: Format, plan: Option<&Plan>) -> Result<Network> {
    match (format, plan) {
        (Format::Safetensors, _) => safetensors::read(bytes, plan),
        (Format::Json, _) => json::read(bytes, plan),
        (_, Some(_)) => error::unsupported("a plan of the layers", "the file says its layers itself"),
        (Format::Image, None) => image::read(bytes),
        (Format::Keras, None) => keras::read(bytes),
        (Format::Onnx, None) => onnx::read(bytes),
        (Format::Source, None) => error::unsupported("Rust source", "it is only written"),
    }
}

/// The file of a model.
///
/// # Errors
/// [`Error::Unsupported`] with the layer that the format cannot express.
pub fn write(network: &Network, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Safetensors => safetensors::write(network),
        Format::Image => image::write(network),
        Format::Source => Ok(source::write(network).into_bytes()),
        other => error::unsupported(format!("format {}", other.name()), "it is only read"),
    }
}

/// The kind of a layer, in a word.
pub fn kind(layer: &Layer) -> &'static str {
    match layer {
        Layer::Embedding(_) => "embedding",
        Layer::Rnn(_) => "rnn",
        Layer::Lstm(_) => "lstm",
        Layer::Gru(_) => "gru",
        Layer::Dense(_) => "dense",
        Layer::Pool(_) => "pool",
        _ => "dropout",
    }
}

/// A layer as the expression that makes it, for people.
pub fn describe(layer: &Layer) -> String {
    source::layer(layer)
}
