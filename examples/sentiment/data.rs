//! Labelled sentences, their words, and batches of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use recurrent::Sequences;

use crate::common::Failure;

/// A sentence, and whether it is in favour.
#[derive(Clone)]
pub struct Labelled {
    pub words: Vec<String>,
    pub positive: bool,
}

/// Splits a text into lower-case words and the marks `!` and `?`. `isn't` becomes two words, `is` and `n't`,
/// because `n't` reverses the meaning of other words.
pub fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('’', "'").replace("n't", " n't");
    let spaced = text.replace('!', " ! ").replace('?', " ? ");
    let words = spaced.split(|c: char| !c.is_alphanumeric() && !"'!?".contains(c));
    let bare = words.map(|word| if word == "n't" { word } else { word.trim_matches('\'') });
    bare.filter(|word| !word.is_empty()).map(String::from).collect()
}

/// Lines of a sentence, a tab, and 0 or 1. Sentences without words are left out.
pub fn parse(name: &str, text: &str) -> Result<Vec<Labelled>, Failure> {
    let mut sentences = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((sentence, label @ ("0" | "1"))) = line.trim_end().rsplit_once('\t') else {
            return Err(Failure(format!("{name}, line {}: not a sentence, a tab, and 0 or 1", i + 1)));
        };
        sentences.push(Labelled { words: words(sentence), positive: label == "1" });
    }
    sentences.retain(|s| !s.words.is_empty());
    Ok(sentences)
}

pub fn read(file: &Path) -> Result<Vec<Labelled>, Failure> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|e| Failure(format!("{name}: {e}")))?;
    parse(&name, &text)
}

/// A random order (Fisher and Yates).
pub fn shuffle<T>(of: &mut [T], rng: &mut Xoshiro256PlusPlus) {
    for i in (1..of.len()).rev() {
        of.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}

/// The words that a model knows. [`UNKNOWN`](Self::UNKNOWN) stands for all others.
pub struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    pub const UNKNOWN: u32 = 0;

    /// Words that occur at least twice: what is seen once is learnt by heart and not understood.
    pub fn new(sentences: &[Labelled]) -> Self {
        let mut counts: HashMap<&String, usize> = HashMap::new();
        for word in sentences.iter().flat_map(|s| &s.words) {
            *counts.entry(word).or_default() += 1;
        }
        let mut known: Vec<&String> =
            counts.into_iter().filter(|(_, n)| *n >= 2).map(|(word, _)| word).collect();
        known.sort();
        Vocabulary((Self::UNKNOWN + 1..).zip(known).map(|(id, word)| (word.clone(), id)).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len() + 1
    }

    pub fn ids(&self, words: &[String]) -> Vec<u32> {
        words.iter().map(|word| self.0.get(word).copied().unwrap_or(Self::UNKNOWN)).collect()
    }
}

/// Sentences as a model takes them, padded to the longest.
pub struct Padded {
    steps: usize,
    lengths: Vec<usize>,
    /// `[B, T]`
    pub ids: Vec<u32>,
}

impl Padded {
    pub fn new(rows: &[Vec<u32>]) -> Self {
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let padding = |row: &[u32]| vec![Vocabulary::UNKNOWN; steps - row.len()];
        let ids = rows.iter().flat_map(|row| row.iter().copied().chain(padding(row))).collect();
        Padded { steps, lengths, ids }
    }

    pub fn sequences(&self) -> Sequences<'_> {
        Sequences::new(self.steps, self.lengths.len()).batch_major().lengths(&self.lengths)
    }
}
