//! A saved model: everything that goes into the next update, in a file.
//!
//! All numbers are little-endian. The file is
//!
//! | bytes | what it is |
//! |---|---|
//! | 8 | `charrnn` and a zero byte |
//! | 7 * 4 | version (1), cell (0 rnn, 1 lstm, 2 gru), embedding, hidden, layers, batch, steps |
//! | 2 * 4 | learning rate, largest norm of the gradients: f32 |
//! | 5 * 8 | seed, updates made, position in the streams, corpus length in bytes, its FNV-1a |
//! | 2 * 4 | `V` characters in the vocabulary, `R` recent losses |
//! | V * 4 | vocabulary: Unicode scalar values, ascending |
//! | R * 4 | losses of the last updates, the latest last: f32 |
//! | n * 4 | parameters in the order of the model: f32 |
//! | 2n * 4 | Adam's moments: f32 |
//! | s * 4 | recurrent state `h [B, H]`, for an LSTM then `c [B, H]`, of each layer: f32 |
//! | 8 | FNV-1a, 64 bits, of everything before |
//!
//! Nothing random is carried over from one update to the next: what is drawn at an update is drawn from a
//! generator that is seeded with the seed and the number of that update. Adam's step is the number of updates.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::cli::{MAX_LAYERS, MAX_SIZE};
use crate::corpus::{Identity, Vocabulary};
use crate::model::{Cell, Model, Shape};

const MAGIC: [u8; 8] = *b"charrnn\0";
const VERSION: u32 = 1;
const HEADER: usize = 8 + 7 * 4 + 2 * 4 + 5 * 8 + 2 * 4;
/// So many losses go into the figure that is reported.
pub const RECENT: usize = 50;

/// Everything that goes into the next update.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub shape: Shape,
    pub batch: usize,
    pub steps: usize,
    pub lr: f32,
    pub clip: f32,
    pub seed: u64,
    /// Updates made.
    pub updates: u64,
    /// Characters of each stream that have been read since its beginning.
    pub position: u64,
    pub corpus: Identity,
    pub vocabulary: Vocabulary,
    /// Losses of the last [`RECENT`] updates.
    pub losses: Vec<f32>,
    pub weights: Vec<f32>,
    pub moments: Vec<f32>,
    pub state: Vec<f32>,
}

/// The hash of Fowler, Noll and Vo. Each step is a bijection of the hash, so no change of a single byte is missed.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// What is left to read of a file that is known to be long enough.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().expect("the length has been checked");
        self.0 = rest;
        *first
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    fn f32(&mut self) -> f32 {
        f32::from_le_bytes(self.bytes())
    }

    fn size(&mut self) -> usize {
        self.u32() as usize
    }

    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.f32()).collect()
    }
}

impl Checkpoint {
    fn to_bytes(&self) -> Vec<u8> {
        let Shape { cell, vocabulary, embedding, hidden, layers } = self.shape;
        let cell = Cell::ALL.iter().position(|&c| c == cell).unwrap_or_default();
        let mut out = MAGIC.to_vec();
        let sizes = [VERSION as usize, cell, embedding, hidden, layers, self.batch, self.steps];
        out.extend(sizes.iter().flat_map(|&n| (n as u32).to_le_bytes()));
        out.extend([self.lr, self.clip].iter().flat_map(|x| x.to_le_bytes()));
        let counters = [self.seed, self.updates, self.position, self.corpus.len, self.corpus.checksum];
        out.extend(counters.iter().flat_map(|n| n.to_le_bytes()));
        out.extend([vocabulary, self.losses.len()].iter().flat_map(|&n| (n as u32).to_le_bytes()));
        out.extend(self.vocabulary.0.iter().flat_map(|&c| u32::from(c).to_le_bytes()));
        for floats in [&self.losses, &self.weights, &self.moments, &self.state] {
            out.extend(floats.iter().flat_map(|x| x.to_le_bytes()));
        }
        out.extend(fnv1a(&out).to_le_bytes());
        out
    }

    /// Writes the file beside `path` first, so that a failure leaves what was there.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        let refuse = |e: io::Error| Failure::new(format!("cannot save to {}: {e}", path.display()));
        if !self.is_finite() {
            return Err(Failure::new(
                "the training diverged, so the model is not saved: a smaller --lr may help",
            ));
        }
        // A link is followed, so that what it points to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let mut file = beside(&path).map_err(refuse)?;
        file.write_all(&self.to_bytes()).and_then(|()| file.as_file().sync_all()).map_err(refuse)?;
        file.persist(&path).map_err(|e| refuse(e.error))?;
        Ok(())
    }

    /// Fails if a file could not be saved there, before hours have gone into what it would hold.
    pub fn can_save(path: &Path) -> Result<(), Failure> {
        let refuse =
            |e: &dyn std::fmt::Display| Failure::new(format!("cannot save to {}: {e}", path.display()));
        if path.file_name().is_none() || path.is_dir() {
            return Err(refuse(&"not a file"));
        }
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        beside(&path).map(drop).map_err(|e| refuse(&e))
    }

    pub fn load(path: &Path) -> Result<Self, Failure> {
        Self::read(path).map_err(|why| Failure::new(format!("cannot load {}: {why}", path.display())))
    }

    fn read(path: &Path) -> Result<Self, String> {
        let io = |e: io::Error| e.to_string();
        if !fs::metadata(path).map_err(io)?.is_file() {
            return Err("not a file".into());
        }
        let mut file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut bytes = Vec::new();
        (&mut file).take(HEADER as u64).read_to_end(&mut bytes).map_err(io)?;
        if !bytes.starts_with(&MAGIC) {
            return Err("not a saved character model".into());
        }
        if bytes.len() < HEADER {
            return Err("the file is truncated".into());
        }
        let (mut model, lists) = Self::header(Fields(&bytes[MAGIC.len()..]))?;
        // The sizes in the file are believed, and memory is taken for them, only if the file is as long as they say.
        let expected = lists.iter().try_fold(HEADER as u64 + 8, |sum, &n| sum.checked_add(4 * n as u64));
        if expected != Some(len) {
            return Err(format!(
                "the file is damaged or truncated: {len} bytes are not what its sizes ask for"
            ));
        }
        file.take(len - HEADER as u64).read_to_end(&mut bytes).map_err(io)?;
        let (bytes, checksum) = bytes.split_last_chunk().ok_or("the file is truncated")?;
        if bytes.len() as u64 + 8 != len || fnv1a(bytes) != u64::from_le_bytes(*checksum) {
            return Err("the file is damaged: its checksum is wrong".into());
        }

        let mut fields = Fields(&bytes[HEADER..]);
        let [vocabulary, floats @ ..] = lists;
        let chars = (0..vocabulary).map(|_| char::from_u32(fields.u32())).collect::<Option<Vec<_>>>();
        model.vocabulary = Vocabulary(
            chars
                .filter(|c| c.is_sorted_by(|a, b| a < b))
                .ok_or("the file is damaged: its vocabulary is impossible")?,
        );
        [model.losses, model.weights, model.moments, model.state] = floats.map(|n| fields.floats(n));
        if !model.is_finite() {
            return Err("the file is damaged: it holds infinite numbers".into());
        }
        Ok(model)
    }

    /// All that comes before the lists, and the lengths of these: vocabulary, losses, parameters, moments, state.
    fn header(mut fields: Fields<'_>) -> Result<(Self, [usize; 5]), String> {
        let version = fields.u32();
        if version != VERSION {
            return Err(format!("the file has version {version}, this program reads version {VERSION}"));
        }
        let cell =
            Cell::ALL.get(fields.size()).copied().ok_or("the file is damaged: it has an unknown cell")?;
        let [embedding, hidden, layers, batch, steps] = [(); 5].map(|()| fields.size());
        let [lr, clip] = [(); 2].map(|()| fields.f32());
        let [seed, updates, position, corpus_len, checksum] = [(); 5].map(|()| fields.u64());
        let [vocabulary, losses] = [(); 2].map(|()| fields.size());
        let sizes = [embedding, hidden, batch, steps].iter().all(|n| (1..=MAX_SIZE as usize).contains(n))
            && (1..=MAX_LAYERS as usize).contains(&layers)
            && (1..=char::MAX as usize).contains(&vocabulary)
            && losses <= RECENT;
        if !sizes || ![lr, clip].iter().all(|&x| x > 0.0 && x.is_finite()) {
            return Err("the file is damaged: its sizes are impossible".into());
        }
        let shape = Shape { cell, vocabulary, embedding, hidden, layers };
        let model = Model::new(shape);
        let weights = model.weights_len();
        let lists = [vocabulary, losses, weights, weights.saturating_mul(2), model.state_len(batch)];
        let corpus = Identity { len: corpus_len, checksum };
        let (vocabulary, empty) = (Vocabulary(Vec::new()), Vec::new);
        let (losses, weights, moments, state) = (empty(), empty(), empty(), empty());
        let header = Checkpoint {
            shape,
            batch,
            steps,
            lr,
            clip,
            seed,
            updates,
            position,
            corpus,
            vocabulary,
            losses,
            weights,
            moments,
            state,
        };
        Ok((header, lists))
    }

    /// Whether there is no infinity and no NaN in it. A training that diverged is not worth saving.
    pub fn is_finite(&self) -> bool {
        [&self.losses, &self.weights, &self.moments, &self.state]
            .iter()
            .all(|list| list.iter().all(|x| x.is_finite()))
    }
}

/// A temporary file in the folder of `path`.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder =
        path.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let mut builder = tempfile::Builder::new();
    // As any other new file: the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".char_rnn").tempfile_in(folder)
}
