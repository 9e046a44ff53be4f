//! How a file is read: what the caller knows about it, and where external data comes from.

use std::format;
use std::fs;
use std::path::{Component, Path};
use std::string::{String, ToString};
use std::vec::Vec;

use super::error::{Error, Result, unsupported};
use super::format::{Content, Format, content, foreign_extension};
use super::network::Network;
use super::plan::Plan;
use super::{External, dispatch};

/// How a file is read.
///
/// ```
/// use recurrent::io::ReadOptions;
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/torch_rnn_relu.safetensors");
/// let plan = "rnn:relu,@last,fc:tanh".parse()?;
/// let (network, format, _) = ReadOptions::new().plan(&plan).open(path.as_ref())?;
/// assert_eq!(format, recurrent::io::Format::Safetensors);
/// assert!(network.notes().is_empty()); // the plan left nothing open
/// # Ok::<(), recurrent::io::Error>(())
/// ```
#[derive(Clone, Copy, Default)]
pub struct ReadOptions<'a> {
    format: Option<Format>,
    plan: Option<&'a Plan>,
    external: Option<&'a External<'a>>,
    strict: bool,
}

impl core::fmt::Debug for ReadOptions<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReadOptions")
            .field("format", &self.format)
            .field("plan", &self.plan)
            .field("strict", &self.strict)
            .finish_non_exhaustive()
    }
}

impl<'a> ReadOptions<'a> {
    /// Options without any information beyond the file itself. The format is detected from the bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the format. A file whose bytes show another format is rejected.
    #[must_use]
    pub fn format(self, format: Format) -> Self {
        ReadOptions { format: Some(format), ..self }
    }

    /// Sets the plan, which supplies what PyTorch's parameters leave open.
    #[must_use]
    pub fn plan(self, plan: &'a Plan) -> Self {
        ReadOptions { plan: Some(plan), ..self }
    }

    /// Sets the source of external data of an ONNX model: a function from the name of a file to all of its
    /// bytes. By default [`open`](Self::open) reads such files from the model's folder.
    #[must_use]
    pub fn external(self, data: &'a External<'a>) -> Self {
        ReadOptions { external: Some(data), ..self }
    }

    /// Turns the first [`Note`](super::Note) into an error.
    #[must_use]
    pub fn strict(self, strict: bool) -> Self {
        ReadOptions { strict, ..self }
    }

    /// Reads the model in these bytes.
    ///
    /// # Errors
    /// Those of [`read`](super::read); with [`strict`](Self::strict), [`Error::Unclear`] instead of the first
    /// note.
    pub fn read(&self, bytes: &[u8]) -> Result<Network> {
        let format = self.format_of(bytes, None)?;
        let network = dispatch(bytes, format, self.plan, self.external)?;
        match network.notes().first() {
            Some(note) if self.strict => Err(Error::Unclear { what: note.to_string() }),
            _ => Ok(network),
        }
    }

    /// Reads the model in a file, and in the files that it names in its folder. Returns the network, the
    /// format and the length in bytes. The extension is used only if the bytes do not show the format.
    ///
    /// # Errors
    /// Those of [`read`](Self::read); [`Error::File`] if a file cannot be read.
    pub fn open(&self, path: &Path) -> Result<(Network, Format, u64)> {
        let bytes = fs::read(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let beside = |name: &str| beside(folder, name);
        let options = match self.external {
            Some(_) => *self,
            None => self.external(&beside),
        };
        let format = self.format_of(&bytes, Some(path))?;
        Ok((options.format(format).read(&bytes)?, format, bytes.len() as u64))
    }

    /// The format of these bytes: from the bytes, otherwise as the caller says, otherwise from the extension.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with what the file is, if it has none of this crate's formats.
    fn format_of(&self, bytes: &[u8], path: Option<&Path>) -> Result<Format> {
        match (content(bytes), self.format) {
            (Content::Foreign(what, advice), _) => unsupported(what, advice),
            (Content::Known(found), Some(given)) if found != given => unsupported(
                format!("this is {}, not {}", found.title(), given.title()),
                format!("read it as such (--from {})", found.name()),
            ),
            (Content::Known(found), _) => Ok(found),
            (_, Some(given)) => Ok(given),
            (other, None) => {
                let named = path.and_then(Format::of);
                match (other, named) {
                    (_, Some(format)) => Ok(format),
                    (Content::Perhaps(format), None) => Ok(format),
                    _ => unknown(path),
                }
            }
        }
    }
}

fn unknown<T>(path: Option<&Path>) -> Result<T> {
    match path.and_then(foreign_extension) {
        Some((what, advice)) => unsupported(what, advice),
        None => {
            let names: Vec<&str> = Format::ALL.iter().filter(|f| f.0.is_read()).map(|f| f.1).collect();
            unsupported(
                "neither the first bytes nor the extension identify the format",
                format!("give it with --from ({})", names.join(", ")),
            )
        }
    }
}

/// Reads an external file of a model, which has to be in the folder of the model.
fn beside(folder: &Path, name: &str) -> std::io::Result<Vec<u8>> {
    let refuse = |why: &str| Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why.to_string()));
    let path = Path::new(name);
    let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
    let plain = parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.contains(['\\', ':']) {
        return refuse("only files in the folder of the model are read");
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let (folder, path) = (folder.canonicalize()?, folder.join(path).canonicalize()?);
    // A link may lead out of the folder.
    if !path.starts_with(&folder) {
        return refuse(
            "only files in the folder of the model are read, and this is a link to another folder",
        );
    }
    if !path.metadata()?.is_file() {
        return refuse("this is not a file");
    }
    fs::read(path)
}

/// The error for an external file that cannot be read.
pub(super) fn missing(name: &str, why: &str) -> Error {
    let name: String = name.chars().take(80).collect();
    Error::Unsupported {
        what: format!("data in the file `{name}` beside the model"),
        why: format!("{why}: keep both files together, or export the model with its data inside of it"),
    }
}
