//! The text: its characters, its two parts, and the parallel streams that they are read in.

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::checkpoint::fnv1a;

/// The default text: the first volume of Jane Austen's "Pride and Prejudice" (1813; in the public domain).
const TEXT: &str = include_str!("pride_and_prejudice.txt");

/// A text, and where it came from.
pub struct Text(String);

/// Identifies a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Length in bytes.
    pub len: u64,
    pub checksum: u64,
}

impl Text {
    /// Reads a file, or takes the default text.
    pub fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let Some(file) = file else { return Ok(Text(TEXT.into())) };
        let refuse = |why: &dyn std::fmt::Display| Failure::new(format!("corpus {}: {why}", file.display()));
        let bytes = fs::read(file).map_err(|e| refuse(&e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let at = e.utf8_error().valid_up_to();
            refuse(&format!("not UTF-8 text from byte {at} on"))
        })?;
        if text.is_empty() {
            return Err(refuse(&"the file is empty"));
        }
        Ok(Text(text))
    }

    pub fn identity(&self) -> Identity {
        Identity { len: self.0.len() as u64, checksum: fnv1a(self.0.as_bytes()) }
    }

    pub fn vocabulary(&self) -> Vocabulary {
        let mut chars: Vec<char> = self.0.chars().collect();
        chars.sort_unstable();
        chars.dedup();
        Vocabulary(chars)
    }

    /// The first nine tenths of the characters to train on, and the rest for validation, each in `batch`
    /// streams.
    pub fn split(
        &self,
        vocabulary: &Vocabulary,
        batch: usize,
        steps: usize,
    ) -> Result<[Streams; 2], Failure> {
        let ids = vocabulary.encode(&self.0)?;
        let split = ids.len() / 10 * 9 + ids.len() % 10 * 9 / 10;
        let [train, val] = [&ids[..split], &ids[split..]].map(|part| Streams::new(part.to_vec(), batch));
        if train.len < steps || val.len == 0 {
            return Err(Failure::new(format!(
                "the corpus is too small: {} characters do not make {batch} streams of {steps} for training and of 1 for validation",
                ids.len()
            )));
        }
        Ok([train, val])
    }
}

/// The distinct characters of a text in ascending order. A character's id is its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary(pub Vec<char>);

impl Vocabulary {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn char(&self, id: u32) -> char {
        self.0[id as usize]
    }

    pub fn id(&self, c: char) -> Option<u32> {
        self.0.binary_search(&c).ok().map(|id| id as u32)
    }

    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Failure> {
        let id = |c| {
            self.id(c).ok_or_else(|| Failure::new(format!("the model does not know the character {c:?}")))
        };
        text.chars().map(id).collect()
    }
}

/// A part of the text, cut into streams of equal length that are read in parallel.
pub struct Streams {
    ids: Vec<u32>,
    batch: usize,
    /// Characters of each stream.
    pub len: usize,
}

impl Streams {
    fn new(ids: Vec<u32>, batch: usize) -> Self {
        let len = ids.len().saturating_sub(1) / batch;
        Streams { ids, batch, len }
    }

    /// Characters of all streams.
    pub fn chars(&self) -> usize {
        self.len * self.batch
    }

    /// The characters of all streams from position `from` on, `x [T, B]`, and those that follow each of them,
    /// `targets [T, B]`.
    pub fn window(&self, from: usize, x: &mut [u32], targets: &mut [u32]) {
        for (t, (x, targets)) in x.chunks_mut(self.batch).zip(targets.chunks_mut(self.batch)).enumerate() {
            for (b, (x, target)) in x.iter_mut().zip(targets).enumerate() {
                let at = b * self.len + from + t;
                (*x, *target) = (self.ids[at], self.ids[at + 1]);
            }
        }
    }
}
