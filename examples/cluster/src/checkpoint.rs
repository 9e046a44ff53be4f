//! A file with everything that determines the next update.
//!
//! All numbers are little-endian. The file is
//!
//! | bytes | what it is |
//! |---|---|
//! | 8 | `cluster` and the version, 1 |
//! | 10 * 8 | settings, in the order of the command line's help; rates as the bits of an f32 |
//! | 3 * 8 | position in the streams, bytes of the corpus, its checksum |
//! | n | the trainer: weights, moments, states of all rows, updates made |
//! | 8 | FNV-1a, 64 bits, of everything before |

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use recurrent::trainer::Trainer;

use crate::cli::Settings;
use crate::corpus::{FNV, fnv1a};

const MAGIC: [u8; 8] = *b"cluster\x01";

/// Identifies a corpus: its length and its checksum.
pub type Identity = [u64; 2];

pub fn to_bytes(
    settings: &Settings,
    position: u64,
    corpus: Identity,
    trainer: &Trainer,
) -> io::Result<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    let numbers = settings.to_numbers().into_iter().chain([position, corpus[0], corpus[1]]);
    bytes.extend(numbers.flat_map(u64::to_le_bytes));
    bytes.extend(trainer.to_bytes()?);
    bytes.extend(fnv1a(FNV, &bytes).to_le_bytes());
    Ok(bytes)
}

/// Restores a checkpoint. Returns its position.
pub fn restore(
    bytes: &[u8],
    settings: &Settings,
    corpus: Identity,
    trainer: &mut Trainer,
) -> Result<u64, String> {
    let damaged = || String::from("damaged or truncated");
    let body = bytes.strip_prefix(&MAGIC).ok_or("not a checkpoint of this program, or of another version")?;
    let (before, checksum) = bytes.split_last_chunk().ok_or_else(damaged)?;
    if fnv1a(FNV, before) != u64::from_le_bytes(*checksum) {
        return Err("damaged or truncated: its checksum is wrong".into());
    }
    let (numbers, rest) = body.split_at_checked(13 * 8).ok_or_else(damaged)?;
    let mut numbers = numbers.as_chunks().0.iter().map(|n| u64::from_le_bytes(*n));
    let theirs = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    let [position, len, checksum] = std::array::from_fn(|_| numbers.next().unwrap_or(0));
    if let Some(what) = settings.differs(&theirs) {
        return Err(format!("it was trained with {what}: the same settings go on with it"));
    }
    if [len, checksum] != corpus {
        return Err("it was trained on another corpus".into());
    }
    let (of_trainer, _) = rest.split_last_chunk::<8>().ok_or_else(damaged)?;
    trainer.restore(of_trainer).map_err(|e| e.to_string())?;
    Ok(position)
}

fn folder(path: &Path) -> PathBuf {
    path.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// A temporary file in the folder of `path`.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    // Permissions like those of any new file: the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".cluster").tempfile_in(folder(path))
}

/// Writes a temporary file beside `path` first. Any failure, even of the machine, leaves the old file intact.
pub fn save(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let write = || {
        // Follow a link, so that its target is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let mut file = beside(&path)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|e| e.error)?;
        // The folder holds the name, so it must be synced, too.
        File::open(folder(&path))?.sync_all()
    };
    write().map_err(|e| {
        format!(
            "cannot write the checkpoint {}: {e}; the one before, if there is one, is as it was",
            path.display()
        )
    })
}

/// Reads the file if it exists. Fails if it could not be written: better now than after hours of training.
pub fn load(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let refuse = |e: io::Error| format!("checkpoint {}: {e}", path.display());
    beside(path).map_err(refuse)?;
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refuse(e)),
    }
}
