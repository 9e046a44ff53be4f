//! The parts of an archive.

use std::format;
use std::io::{Cursor, Read};
use std::string::{String, ToString};
use std::vec::Vec;

use hdf5_pure::{AttrValue, DType, File};
use serde_json::Value;
use zip::ZipArchive;

use super::super::error::{Error, Result, damaged};
use super::super::tensor::{check_shape, elements, show};
use super::config::FORMAT;

/// An archive, unpacked.
pub(super) struct Archive {
    pub(super) config: Value,
    pub(super) weights: Weights,
}

/// The file of the weights.
pub(super) struct Weights {
    file: File,
    len: usize,
}

/// An archive may be deflated, though Keras' own are not, but what is inside of it is bounded by its own size.
fn limit(archive: usize) -> usize {
    archive.saturating_mul(32).saturating_add(1 << 20)
}

fn refuse(e: impl ToString) -> Error {
    Error::Damaged { format: FORMAT, what: e.to_string() }
}

/// Unpacks an archive.
pub(super) fn open(bytes: &[u8]) -> Result<Archive> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(refuse)?;
    let mut entry = |name: &str| -> Result<Vec<u8>> {
        let entry = zip.by_name(name).map_err(|e| refuse(format!("{name}: {e}")))?;
        let mut data = Vec::new();
        let limit = limit(bytes.len());
        entry.take(limit as u64 + 1).read_to_end(&mut data).map_err(|e| refuse(format!("{name}: {e}")))?;
        if data.len() > limit {
            return Err(refuse(format!(
                "{name}: an archive of {} bytes has more than {limit} in it",
                bytes.len()
            )));
        }
        Ok(data)
    };
    let config =
        serde_json::from_slice(&entry("config.json")?).map_err(|e| refuse(format!("config.json: {e}")))?;
    let weights = entry("model.weights.h5")?;
    let len = weights.len();
    let file = File::from_bytes(weights).map_err(|e| refuse(format!("model.weights.h5: {e}")))?;
    Ok(Archive { config, weights: Weights { file, len } })
}

impl Weights {
    /// The name of the layer whose weights are in a group, if the file says it.
    pub(super) fn name(&self, group: &str) -> Result<Option<String>> {
        let Ok(group) = self.file.group(&format!("{group}/vars")) else { return Ok(None) };
        let attributes = group.attrs().map_err(refuse)?;
        Ok(match attributes.get("name") {
            // Keras' own have a variable length.
            Some(
                AttrValue::VarLenString(name)
                | AttrValue::VarLenAsciiString(name)
                | AttrValue::String(name)
                | AttrValue::AsciiString(name),
            ) => Some(name.clone()),
            _ => None,
        })
    }

    /// A tensor that has to have this shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let wrong = |found: String| Error::Tensor { name: name.to_string(), expected: show(shape), found };
        let data = self.file.dataset(name).map_err(|e| wrong(e.to_string()))?;
        let found = data.shape().map_err(refuse)?.into_iter();
        let found: Vec<usize> = found.map(|d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
        check_shape(name, shape, &found)?;
        match data.dtype().map_err(refuse)? {
            DType::F32 => {}
            other => return Err(wrong(format!("elements of {other:?}"))),
        }
        // Keras writes its tensors as they are, so that none is longer than the file.
        match elements(shape) {
            Some(n) if n <= self.len / 4 => {}
            _ => return damaged(FORMAT, format!("tensor `{name}` is longer than the file")),
        }
        data.read_f32().map_err(refuse)
    }
}
