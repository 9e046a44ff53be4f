//! The containers: a zip file with the configuration in JSON and the weights in HDF5, or one HDF5 file with
//! both.

use std::format;
use std::io::{Cursor, Read};
use std::vec::Vec;

use hdf5_pure::File;
use serde_json::Value;
use zip::ZipArchive;

use super::super::error::{Result, damaged, unsupported};
use super::config::{FORMAT, refuse};
use super::weights::{Weights, text};

/// The unpacked file of a model.
pub(super) struct Archive {
    pub(super) config: Value,
    /// The version of Keras that wrote the file.
    pub(super) version: Version,
    pub(super) weights: Weights,
}

/// The major version of Keras, on which some details depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(pub(super) u32);

impl Version {
    fn of(text: Option<&str>) -> Result<Self> {
        let first = text.and_then(|t| t.split('.').next()?.parse().ok());
        match first {
            // Keras 1 and older.
            Some(0 | 1) => unsupported(
                "a model of Keras 1",
                "its layers have other options: load it with Keras 2, and save it again",
            ),
            Some(n) => Ok(Version(n)),
            None => damaged(FORMAT, "it does not name the version of Keras"),
        }
    }
}

/// Limit of the size of an unpacked entry. Keras does not compress its archives, but others may; the limit
/// grows with the size of the archive.
fn limit(archive: usize) -> usize {
    archive.saturating_mul(32).saturating_add(1 << 20)
}

/// Opens a file of either kind.
pub(super) fn open(bytes: &[u8]) -> Result<Archive> {
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") { hdf5(bytes) } else { zip(bytes) }
}

fn zip(bytes: &[u8]) -> Result<Archive> {
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
    let mut json = |name: &str| -> Result<Value> {
        serde_json::from_slice(&entry(name)?).map_err(|e| refuse(format!("{name}: {e}")))
    };
    let config = json("config.json")?;
    // Files without a version in the metadata are read as those of Keras 3.
    let metadata = json("metadata.json").unwrap_or(Value::Null);
    let version = match metadata.get("keras_version") {
        Some(version) => Version::of(version.as_str())?,
        None => Version(3),
    };
    let weights = entry("model.weights.h5")?;
    let len = weights.len();
    let file = File::from_bytes(weights).map_err(|e| refuse(format!("model.weights.h5: {e}")))?;
    Ok(Archive { config, version, weights: Weights::groups(file, len) })
}

fn hdf5(bytes: &[u8]) -> Result<Archive> {
    let file = File::from_bytes(bytes.to_vec()).map_err(refuse)?;
    // A truncated file is rejected, even if nothing is missing of what is read.
    let end = file.superblock().eof_address;
    if end > bytes.len() as u64 {
        return damaged(FORMAT, format!("the file is truncated: it has {} of {end} bytes", bytes.len()));
    }
    let attributes = file.root().attrs().map_err(refuse)?;
    let Some(config) = attributes.get("model_config").and_then(text) else {
        let groups = file.root().groups().map_err(refuse)?;
        let weights = attributes.contains_key("layer_names")
            || groups.iter().any(|g| ["layers", "_layer_checkpoint_dependencies"].contains(&&g[..]));
        return match weights {
            true => unsupported(
                "a file of weights alone (`save_weights`)",
                "it does not describe the layers: save the whole model with `model.save(\"model.keras\")`",
            ),
            false => damaged(FORMAT, "this HDF5 file has no attribute `model_config`: it is not of Keras"),
        };
    };
    let config = serde_json::from_str(config).map_err(|e| refuse(format!("model_config: {e}")))?;
    let version = Version::of(attributes.get("keras_version").and_then(text))?;
    Ok(Archive { config, version, weights: Weights::lists(file, bytes.len()) })
}
