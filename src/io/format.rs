//! File formats, and how they are detected: from the first bytes of a file, otherwise from its extension.

use std::path::Path;
use std::string::String;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// PyTorch's parameters in a safetensors file: read and written.
    Safetensors,
    /// A PyTorch checkpoint, `.pt` or `.pth`: read.
    Torch,
    /// A Keras model, as an archive (`.keras`) or an HDF5 file (`.h5`): read.
    Keras,
    /// An ONNX model: read and written.
    Onnx,
    /// JSON of RTNeural, AIDA-X, GuitarML or the Neural Amp Modeler: read; written in RTNeural's form.
    Json,
    /// An [image](crate::image) for flash, `.img`: read and written.
    Image,
    /// Rust source with a model and its weights: written.
    Source,
}

/// Further extensions, besides the main one of each format.
const ALIASES: [(&str, Format); 9] = [
    ("pth", Format::Torch),
    ("ckpt", Format::Torch),
    ("bin", Format::Torch),
    ("h5", Format::Keras),
    ("hdf5", Format::Keras),
    ("hdf", Format::Keras),
    ("nam", Format::Json),
    ("aidax", Format::Json),
    ("aidadspmodel", Format::Json),
];

impl Format {
    /// All formats, with their names and main extensions.
    pub const ALL: [(Format, &'static str, &'static str); 7] = [
        (Format::Safetensors, "safetensors", "safetensors"),
        (Format::Torch, "pytorch", "pt"),
        (Format::Keras, "keras", "keras"),
        (Format::Onnx, "onnx", "onnx"),
        (Format::Json, "json", "json"),
        (Format::Image, "image", "img"),
        (Format::Source, "rust", "rs"),
    ];

    /// The format of a file, from its extension.
    ///
    /// ```
    /// use recurrent::io::Format;
    /// assert_eq!(Format::of("model.ONNX".as_ref()), Some(Format::Onnx));
    /// assert_eq!(Format::of("model.h5".as_ref()), Some(Format::Keras));
    /// assert_eq!(Format::of("model".as_ref()), None);
    /// ```
    pub fn of(path: &Path) -> Option<Format> {
        let extension = path.extension()?.to_str()?;
        let first = Format::ALL.iter().map(|&(format, _, extension)| (extension, format));
        first
            .chain(ALIASES)
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))
            .map(|(_, format)| format)
    }

    /// Whether models can be read from this format.
    pub fn is_read(self) -> bool {
        self != Format::Source
    }

    /// Whether models can be written in this format.
    pub fn is_written(self) -> bool {
        !matches!(self, Format::Torch | Format::Keras)
    }

    /// Whether files of this format can say what follows the last layer.
    pub fn holds_endings(self) -> bool {
        matches!(self, Format::Image | Format::Onnx | Format::Json)
    }

    /// The name of the format, as in the command line tool.
    pub fn name(self) -> &'static str {
        Format::ALL.iter().find(|f| f.0 == self).map_or("", |f| f.1)
    }

    /// What messages call a file of this format.
    pub(super) fn title(self) -> &'static str {
        match self {
            Format::Safetensors => "a safetensors file",
            Format::Torch => "a PyTorch checkpoint",
            Format::Keras => "a Keras model",
            Format::Onnx => "an ONNX file",
            Format::Json => "a JSON file",
            Format::Image => "an image for flash",
            Format::Source => "Rust source",
        }
    }
}

/// What the first bytes of a file show.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Certainly this format.
    Known(Format),
    /// Possibly this format: the bytes fit, but could be of other files as well.
    Perhaps(Format),
    /// Something else: what it is, and what to do about it.
    Foreign(&'static str, &'static str),
    Unknown,
}

const RENAMED: &str = "it has a wrong name, or the wrong file was given";
const TFLITE: &str = "it is not read: convert the .h5 or .keras file that it was made of";
const SAVED_MODEL: &str =
    "it is not read: load it with Keras, and save it again with `model.save(\"model.keras\")`";

/// The first bytes of files that cannot be read.
const FOREIGN: [(&[u8], &str, &str); 20] = [
    (b"\x89PNG\r\n", "this is a PNG image", RENAMED),
    (b"\xff\xd8\xff", "this is a JPEG image", RENAMED),
    (b"GIF8", "this is a GIF image", RENAMED),
    (b"RIFF", "this is a WAV, AVI or WebP file", RENAMED),
    (b"%PDF", "this is a PDF document", RENAMED),
    (b"\x7fELF", "this is a program (ELF)", RENAMED),
    (b"MZ", "this is a program for Windows", RENAMED),
    (b"#!", "this is a script", RENAMED),
    (b"import ", "this is Python source", "run it, and save the model that it makes"),
    (b"\x1f\x8b", "this is a gzip archive", "unpack it, and give the model in it"),
    (b"BZh", "this is a bzip2 archive", "unpack it, and give the model in it"),
    (b"\xfd7zXZ", "this is an xz archive", "unpack it, and give the model in it"),
    (b"7z\xbc\xaf", "this is a 7z archive", "unpack it, and give the model in it"),
    (b"Rar!", "this is a RAR archive", "unpack it, and give the model in it"),
    (b"GGUF", "this is a GGUF file of llama.cpp", "it holds no recurrent model that this crate reads"),
    (
        b"\x93NUMPY",
        "this is a NumPy array",
        "it does not describe the layers: write the parameters with `safetensors.torch.save_file`, under PyTorch's names",
    ),
    (
        b"version https://git-lfs",
        "this is a pointer of Git LFS, and not the file itself",
        "run `git lfs pull`, or download the file",
    ),
    (b"<!DOCTYPE", "this is a web page", "download the file itself, not the page that shows it"),
    (b"<html", "this is a web page", "download the file itself, not the page that shows it"),
    (b"<?xml", "this is an XML file", RENAMED),
];

/// Extensions of files that cannot be read and are not recognised by their bytes.
const EXTENSIONS: [(&str, &str, &str); 14] = [
    ("data", "the data of an ONNX model", "give the .onnx file beside it, which names this one"),
    ("tflite", "a TensorFlow Lite model", TFLITE),
    ("pb", "a TensorFlow graph", SAVED_MODEL),
    ("index", "a TensorFlow checkpoint", SAVED_MODEL),
    ("meta", "a TensorFlow checkpoint", SAVED_MODEL),
    ("mlmodel", "a Core ML model", "it is not read: give the model from which it was converted"),
    (
        "npz",
        "NumPy arrays",
        "it does not describe the layers: write the parameters with safetensors, under PyTorch's names",
    ),
    (
        "npy",
        "a NumPy array",
        "it does not describe the layers: write the parameters with safetensors, under PyTorch's names",
    ),
    ("joblib", "a pickle of joblib", "load it in Python, and save the model with its framework"),
    ("mat", "a MATLAB file", "export the network with `exportONNXNetwork`"),
    ("caffemodel", "a Caffe model", "it is not read: convert it to ONNX"),
    ("t7", "a Lua Torch file", "it is not read: load it in Python, and save the parameters with safetensors"),
    ("engine", "a TensorRT engine", "it is not read: give the ONNX file that it was made of"),
    ("py", "Python source", "run it, and save the model that it makes"),
];

/// What the extension of a file that cannot be read means, and what to do about it.
pub(super) fn foreign_extension(path: &Path) -> Option<(String, &'static str)> {
    let extension = path.extension()?.to_str()?;
    let known = EXTENSIONS.iter().find(|e| e.0.eq_ignore_ascii_case(extension))?;
    Some(([".", known.0, " is the extension of ", known.1].concat(), known.2))
}

/// Detects what a file is from its bytes.
pub(super) fn content(bytes: &[u8]) -> Content {
    if bytes.is_empty() {
        return Content::Foreign("the file is empty", "it may not have been saved or downloaded to its end");
    }
    // safetensors: a length of eight bytes, of any value, then a header in JSON.
    if bytes.len() > 8 && bytes[8] == b'{' && bytes[4..8] == [0; 4] {
        return Content::Known(Format::Safetensors);
    }
    if bytes.len() >= 8 && &bytes[4..8] == b"TFL3" {
        return Content::Foreign("this is a TensorFlow Lite model", TFLITE);
    }
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        return Content::Known(Format::Keras);
    }
    if bytes.starts_with(b"RECURIMG") {
        return Content::Known(Format::Image);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return archive(bytes);
    }
    if matches!(bytes, [0x80, 1..=5, ..]) {
        return Content::Known(Format::Torch);
    }
    if let Some((_, what, advice)) = FOREIGN.iter().find(|f| bytes.starts_with(f.0)) {
        return Content::Foreign(what, advice);
    }
    if bytes.len() >= 263 && &bytes[257..262] == b"ustar" {
        return Content::Foreign("this is a tar archive", "unpack it, and give the model in it");
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        return Content::Known(Format::Json);
    }
    match *bytes {
        // Both files begin with a version and a message. SavedModel is still at version 1, ONNX began above
        // that.
        [8, 1, 0x12, ..] => Content::Foreign("this is a SavedModel of TensorFlow", SAVED_MODEL),
        [8, 3..=31, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42, ..] => Content::Perhaps(Format::Onnx),
        _ => Content::Unknown,
    }
}

/// Detects what is in a zip file. Each entry is preceded by its name, so a search in the bytes is enough,
/// without a parser.
fn archive(bytes: &[u8]) -> Content {
    let has = |name: &[u8]| {
        let ends = [&bytes[..bytes.len().min(1 << 16)], &bytes[bytes.len().saturating_sub(1 << 16)..]];
        ends.iter().any(|part| part.windows(name.len()).any(|w| w == name))
    };
    if has(b"/archive_format") || has(b"serialized_exported_program.json") {
        Content::Foreign(
            "this is a program of `torch.export`",
            "it is not read: save the parameters with `torch.save(model.state_dict(), path)`",
        )
    } else if has(b"model.weights.h5") || has(b"config.json") && has(b"metadata.json") {
        Content::Known(Format::Keras)
    } else if has(b"data.pkl") {
        Content::Known(Format::Torch)
    } else if has(b"saved_model.pb") {
        Content::Foreign("this is a zip file with a SavedModel of TensorFlow", SAVED_MODEL)
    } else if has(b".npy") {
        Content::Foreign(
            "this is a file of NumPy arrays",
            "it does not describe the layers: write the parameters with safetensors, under PyTorch's names",
        )
    } else {
        Content::Unknown
    }
}
