//! Labelled sentences, their words, and batches of them.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;

use crate::common::Failure;

/// A sentence, and whether it is in favour.
#[derive(Clone)]
pub struct Labelled {
    pub words: Vec<String>,
    pub positive: bool,
}

/// The words of a text in small letters, and the marks `!` and `?`. `n't` is a word, because it turns the meaning of others.
pub fn words(text: &str) -> Vec<String> {
    let text =
        text.to_lowercase().replace('’', "'").replace("n't", " n't").replace('!', " ! ").replace('?', " ? ");
    let ends = |c: char| !(c.is_alphanumeric() || c == '\'' || c == '!' || c == '?');
    text.split(ends)
        .map(|word| word.trim_end_matches('\''))
        .map(|word| if word == "n't" { word } else { word.trim_start_matches('\'') })
        .filter(|word| !word.is_empty())
        .map(String::from)
        .collect()
}

/// Lines of `sentence<TAB>0` or `sentence<TAB>1`.
pub fn parse(name: &str, text: &str) -> Result<Vec<Labelled>, Failure> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let labelled = lines.map(|(i, line)| match line.rsplit_once('\t') {
        Some((sentence, label @ ("0" | "1"))) => {
            Ok(Labelled { words: words(sentence), positive: label == "1" })
        }
        _ => Err(Failure(format!("{name}, line {}: not a sentence, a tab, and 0 or 1", i + 1))),
    });
    labelled.collect()
}

pub fn read(file: &Path) -> Result<Vec<Labelled>, Failure> {
    let text = fs::read_to_string(file).map_err(|e| Failure(format!("{}: {e}", file.display())))?;
    parse(&file.display().to_string(), &text)
}

/// A random order (Fisher and Yates).
pub fn shuffle<T>(of: &mut [T], rng: &mut Xoshiro256PlusPlus) {
    for i in (1..of.len()).rev() {
        of.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
}

/// The words that a model knows. Id 0 stands for all others.
pub struct Vocabulary(HashMap<String, u32>);

impl Vocabulary {
    /// Words that occur at least twice: what is seen once is learnt by heart and not understood.
    pub fn new(sentences: &[Labelled]) -> Self {
        let mut counts: HashMap<&String, usize> = HashMap::new();
        for word in sentences.iter().flat_map(|s| &s.words) {
            *counts.entry(word).or_default() += 1;
        }
        let mut known: Vec<&String> =
            counts.into_iter().filter(|&(_, n)| n >= 2).map(|(word, _)| word).collect();
        known.sort();
        Vocabulary((1..).zip(known).map(|(id, word)| (word.clone(), id)).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len() + 1
    }

    pub fn id(&self, word: &str) -> u32 {
        self.0.get(word).copied().unwrap_or(0)
    }
}

/// A padded batch, as a model takes it.
pub struct Batch {
    pub steps: usize,
    pub lengths: Vec<usize>,
    /// `[T, B]`
    pub ids: Vec<u32>,
    /// `[B]`, 0 or 1.
    pub targets: Vec<f32>,
}

impl Batch {
    pub fn new(sentences: &[Labelled], vocabulary: &Vocabulary) -> Self {
        let rows = sentences.len();
        let lengths: Vec<usize> = sentences.iter().map(|s| s.words.len()).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let mut ids = vec![0; steps * rows];
        for (b, sentence) in sentences.iter().enumerate() {
            for (t, word) in sentence.words.iter().enumerate() {
                ids[t * rows + b] = vocabulary.id(word);
            }
        }
        let targets = sentences.iter().map(|s| f32::from(u8::from(s.positive))).collect();
        Batch { steps, lengths, ids, targets }
    }

    pub fn sequences(&self) -> recurrent::Sequences<'_> {
        recurrent::Sequences::new(self.steps, self.lengths.len()).lengths(&self.lengths)
    }
}
