//! A saved model: a file with everything that the next update depends on.
//!
//! All numbers are little-endian. The file is
//!
//! | bytes | what it is |
//! |---|---|
//! | 8 | `charrnn` and a zero byte |
//! | 7 * 4 | version (2), cell (0 rnn, 1 lstm, 2 gru), embedding, hidden, layers, batch, steps |
//! | 2 * 4 | learning rate, largest norm of the gradients: f32 |
//! | 4 * 8 | seed, position in the streams, corpus length in bytes, its FNV-1a |
//! | 2 * 4 | `V` characters in the vocabulary, `R` recent losses |
//! | V * 4 | vocabulary: Unicode scalar values, ascending |
//! | R * 4 | losses of the last updates, the latest last: f32 |
//! | n | the trainer: parameters, Adam's moments, recurrent states, updates made |
//! | 8 | FNV-1a, 64 bits, of everything before |
//!
//! No random generator is saved: each update has its own generator, seeded from the seed and the number of
//! the update.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use recurrent::Narrow;
use recurrent::image::{self, Extras};
use recurrent::model::Model;
use recurrent::train::Adam;
use recurrent::trainer::Trainer;

use crate::Failure;
use crate::cli::{MAX_LAYERS, MAX_SIZE};
use crate::corpus::{Identity, Text, Vocabulary};
use crate::model::{Cell, Shape};
use crate::train::rng;

const MAGIC: [u8; 8] = *b"charrnn\0";
const VERSION: u32 = 2;
/// The number of losses whose mean is reported.
pub const RECENT: usize = 50;

/// Everything that the next update depends on.
pub struct Checkpoint {
    pub shape: Shape,
    pub batch: usize,
    pub steps: usize,
    pub lr: f32,
    pub clip: f32,
    pub seed: u64,
    /// Characters of each stream that have been read since its beginning.
    pub position: u64,
    pub corpus: Identity,
    pub vocabulary: Vocabulary,
    /// Losses of the last [`RECENT`] updates.
    pub losses: Vec<f32>,
    pub trainer: Trainer,
}

/// The hash of Fowler, Noll and Vo. Each step is a bijection of the hash, so no change of a single byte is
/// missed.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// The part of a file that has not been read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (first, rest) = self.0.split_first_chunk().ok_or("the file is truncated")?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, String> {
        self.bytes().map(f32::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize, String> {
        self.u32().map(|n| n as usize)
    }
}

impl Checkpoint {
    /// A model before its first update.
    pub fn new(
        shape: Shape,
        [batch, steps]: [usize; 2],
        lr: f32,
        clip: f32,
        seed: u64,
        text: &Text,
    ) -> Result<Self, Failure> {
        let (corpus, vocabulary) = (text.identity(), text.vocabulary());
        let trainer = trainer(shape.model()?, lr, clip, seed)?;
        Ok(Checkpoint {
            shape,
            batch,
            steps,
            lr,
            clip,
            seed,
            position: 0,
            corpus,
            vocabulary,
            losses: Vec::new(),
            trainer,
        })
    }

    /// Makes the updates train for a narrow format. The weights are those before the first update.
    pub fn train_for(&mut self, format: Narrow) -> Result<(), Failure> {
        let model = self.shape.model()?.narrow(format);
        self.trainer = trainer(model, self.lr, self.clip, self.seed)?.straight_through()?;
        Ok(())
    }

    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let Shape { cell, vocabulary, embedding, hidden, layers } = self.shape;
        let cell = Cell::ALL.iter().position(|&c| c == cell).unwrap_or_default();
        let mut out = MAGIC.to_vec();
        let sizes = [VERSION as usize, cell, embedding, hidden, layers, self.batch, self.steps];
        out.extend(sizes.iter().flat_map(|&n| (n as u32).to_le_bytes()));
        out.extend([self.lr, self.clip].iter().flat_map(|x| x.to_le_bytes()));
        let counters = [self.seed, self.position, self.corpus.len, self.corpus.checksum];
        out.extend(counters.iter().flat_map(|n| n.to_le_bytes()));
        out.extend([vocabulary, self.losses.len()].iter().flat_map(|&n| (n as u32).to_le_bytes()));
        out.extend(self.vocabulary.0.iter().flat_map(|&c| u32::from(c).to_le_bytes()));
        out.extend(self.losses.iter().flat_map(|x| x.to_le_bytes()));
        out.extend(self.trainer.to_bytes()?);
        out.extend(fnv1a(&out).to_le_bytes());
        Ok(out)
    }

    /// The model as an image. The names of its classes are its characters, one to a line: a line feed is
    /// written `\n` there, a carriage return `\r`.
    fn to_image(&self) -> io::Result<Vec<u8>> {
        let name = |c: &char| match c {
            '\n' => "\\n".to_string(),
            '\r' => "\\r".to_string(),
            c => c.to_string(),
        };
        let names: Vec<_> = self.vocabulary.0.iter().map(name).collect();
        let names = names.join("\n");
        let extras = Extras { classes: &names, ..Extras::default() };
        let layers = self.trainer.model().layers();
        let mut bytes = vec![0; image::len_with(layers, &extras)];
        image::write_with(layers, self.trainer.weights(), &extras, &mut bytes).map_err(io::Error::other)?;
        Ok(bytes)
    }

    /// Saves everything that the next update depends on.
    pub fn save(&self, path: &Path) -> Result<(), Failure> {
        self.save_bytes(path, Self::to_bytes)
    }

    /// Saves the model alone.
    pub fn save_image(&self, path: &Path) -> Result<(), Failure> {
        self.save_bytes(path, Self::to_image)
    }

    /// Writes a temporary file beside `path` first, so that a failure leaves the old file.
    fn save_bytes(&self, path: &Path, bytes: fn(&Self) -> io::Result<Vec<u8>>) -> Result<(), Failure> {
        let refuse = |e: io::Error| Failure::new(format!("cannot save to {}: {e}", path.display()));
        if !self.trainer.is_finite() {
            return Err(Failure::new(
                "the training diverged, so the model is not saved: a smaller --lr may help",
            ));
        }
        // A link is followed, so that what it points to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        let mut file = beside(&path).map_err(refuse)?;
        let written = bytes(self).and_then(|bytes| file.write_all(&bytes));
        written.and_then(|()| file.as_file().sync_all()).map_err(refuse)?;
        file.persist(&path).map_err(|e| refuse(e.error))?;
        Ok(())
    }

    /// Fails if a file cannot be saved there. Called before the training, which may take hours.
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
        let bytes = fs::read(path).map_err(io)?;
        let body = bytes.strip_prefix(&MAGIC).ok_or("not a saved character model")?;
        // Memory is allocated for the rest only if the checksum is right.
        let (before, checksum) = bytes.split_last_chunk().ok_or("the file is truncated")?;
        if fnv1a(before) != u64::from_le_bytes(*checksum) {
            return Err("the file is damaged or truncated: its checksum is wrong".into());
        }
        Self::parse(Fields(&body[..body.len() - checksum.len()]))
    }

    fn parse(mut fields: Fields<'_>) -> Result<Self, String> {
        let version = fields.u32()?;
        if version != VERSION {
            return Err(format!("the file has version {version}, this program reads version {VERSION}"));
        }
        let cell = *Cell::ALL.get(fields.size()?).ok_or("the file is damaged: it has an unknown cell")?;
        let (embedding, hidden, layers) = (fields.size()?, fields.size()?, fields.size()?);
        let (batch, steps) = (fields.size()?, fields.size()?);
        let (lr, clip) = (fields.f32()?, fields.f32()?);
        let (seed, position) = (fields.u64()?, fields.u64()?);
        let corpus = Identity { len: fields.u64()?, checksum: fields.u64()? };
        let (vocabulary, losses) = (fields.size()?, fields.size()?);
        let sizes = [embedding, hidden, batch, steps].iter().all(|n| (1..=MAX_SIZE as usize).contains(n))
            && (1..=MAX_LAYERS as usize).contains(&layers)
            && (1..=char::MAX as usize).contains(&vocabulary)
            && losses <= RECENT;
        if !sizes || ![lr, clip].iter().all(|&x| x > 0.0 && x.is_finite()) {
            return Err("the file is damaged: its sizes are impossible".into());
        }
        let shape = Shape { cell, vocabulary, embedding, hidden, layers };
        let chars = (0..vocabulary).map(|_| Ok(char::from_u32(fields.u32()?)));
        let chars = chars.collect::<Result<Option<Vec<_>>, String>>()?;
        let chars = chars.filter(|c| c.is_sorted_by(|a, b| a < b));
        let vocabulary = Vocabulary(chars.ok_or("the file is damaged: its vocabulary is impossible")?);
        let losses = (0..losses).map(|_| fields.f32()).collect::<Result<_, _>>()?;
        let model = shape.model().map_err(|e| e.to_string())?;
        let mut trainer = trainer(model, lr, clip, seed).map_err(|e| e.to_string())?;
        trainer.restore(fields.0).map_err(|e| e.to_string())?;
        Ok(Checkpoint { shape, batch, steps, lr, clip, seed, position, corpus, vocabulary, losses, trainer })
    }
}

/// A trainer before its first update.
fn trainer(model: Model<3>, lr: f32, clip: f32, seed: u64) -> recurrent::Result<Trainer> {
    Ok(Trainer::new(&model, Adam::new(lr), &mut rng(seed, 0))?.clip(clip).stateful())
}

/// A temporary file in the folder of `path`.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder =
        path.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let mut builder = tempfile::Builder::new();
    // Permissions like those of any new file: the umask decides.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".char_rnn").tempfile_in(folder)
}
