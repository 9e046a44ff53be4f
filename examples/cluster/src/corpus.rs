//! The text, split into streams that are read in parallel. A rank reads only the streams of its own batch
//! rows, and those of one neighbour to compare checksums.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

/// Files, concatenated.
pub struct Corpus {
    /// Each file with its length.
    files: Vec<(PathBuf, u64)>,
}

/// The streams of some rows.
pub struct Streams {
    /// All bytes, from the beginning of the first row to the character after the last row.
    bytes: Vec<u8>,
    /// Number of characters in each stream.
    pub len: usize,
    /// The sum of the rows' checksums, so that the sum over all ranks does not depend on the number of ranks.
    pub checksum: u64,
}

/// FNV-1a, the hash of Fowler, Noll and Vo.
pub fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// The initial value of the hash.
pub const FNV: u64 = 0xcbf2_9ce4_8422_2325;

impl Corpus {
    pub fn open(paths: &[PathBuf]) -> Result<Self, String> {
        let len = |path: &PathBuf| {
            let refuse = |why: String| format!("corpus {}: {why}", path.display());
            let of = path.metadata().map_err(|e| refuse(e.to_string()))?;
            if !of.is_file() {
                return Err(refuse("not a file".into()));
            }
            Ok((path.clone(), of.len()))
        };
        Ok(Corpus { files: paths.iter().map(len).collect::<Result<_, _>>()? })
    }

    /// The length in bytes.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|(_, len)| len).sum()
    }

    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let mut start = 0;
        for (path, len) in &self.files {
            let [from, to] = [range.start, range.end].map(|at| at.clamp(start, start + len) - start);
            if from < to {
                let read = File::open(path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(from))?;
                    let read = file.take(to - from).read_to_end(&mut bytes)?;
                    if (read as u64) < to - from {
                        Err(std::io::ErrorKind::UnexpectedEof.into())
                    } else {
                        Ok(())
                    }
                });
                read.map_err(|e| format!("corpus {}: {e}", path.display()))?;
            }
            start += len;
        }
        Ok(bytes)
    }

    /// The streams of some rows out of `batch`.
    pub fn streams(&self, rows: Range<usize>, batch: usize, steps: usize) -> Result<Streams, String> {
        let len = self.len().saturating_sub(1) / batch as u64;
        if len < steps as u64 {
            return Err(format!(
                "the corpus is too small: {} bytes do not make {batch} streams of {steps} characters",
                self.len()
            ));
        }
        let bytes = self.read(rows.start as u64 * len..rows.end as u64 * len + 1)?;
        let len = len as usize;
        let checksum =
            rows.clone().zip(bytes.windows(len + 1).step_by(len)).fold(0u64, |sum, (row, bytes)| {
                sum.wrapping_add(fnv1a(fnv1a(FNV, &(row as u64).to_le_bytes()), bytes))
            });
        Ok(Streams { bytes, len, checksum })
    }
}

impl Streams {
    /// The characters of all streams at a position, `x [B, T]`, and the characters that follow each of them,
    /// `targets [B, T]`.
    pub fn window(&self, from: usize, steps: usize, x: &mut [u32], targets: &mut [u32]) {
        for (row, (x, targets)) in x.chunks_mut(steps).zip(targets.chunks_mut(steps)).enumerate() {
            let bytes = &self.bytes[row * self.len + from..][..steps + 1];
            for (i, (x, target)) in x.iter_mut().zip(targets).enumerate() {
                (*x, *target) = (bytes[i].into(), bytes[i + 1].into());
            }
        }
    }
}
