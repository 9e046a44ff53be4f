//! Is a sentence in favour or against? The model: words, an embedding, a GRU in both directions, the mean
//! over time, a dense layer.
//!
//! ```sh
//! cargo run --release --example sentiment                                  # learns from some 200 sentences that come with it
//! cargo run --release --example sentiment -- --data FILE... --interactive  # from yours, and scores what you type
//! ```
//!
//! A model soon memorises a small set of sentences. Against that: words that occur once are not learned, some
//! other words are hidden at random, labels are smoothed, there is dropout, weight decay and a running mean
//! of the weights, and training stops where the loss on held-back sentences is lowest. A fifth of the
//! sentences is not used for any of this: the result is measured on it, once, at the end.

#[path = "../common/mod.rs"]
mod common;
mod data;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Parser;
use common::plot::Chart;
use common::{Common, FORMATS, Failure, conclude};
use data::{Labelled, Padded, Vocabulary, shuffle};
use rand_xoshiro::rand_core::Rng;
use recurrent::prelude::*;

/// Learns to distinguish sentences in favour from sentences against, and measures its accuracy on unseen
/// sentences.
///
/// The last line on standard output is `test PART of N larger_class PART`: the share of right answers on the
/// unseen sentences, their number, and the share of the larger class, which a constant answer would get
/// right. With --interactive scores follow.
#[derive(Parser)]
struct Options {
    /// Lines of a sentence, a tab, and 0 or 1, in UTF-8
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Score sentences from standard input, a line each, after every word
    #[arg(long)]
    interactive: bool,
    /// Also score the unseen sentences from narrow weights
    #[arg(long)]
    narrow: bool,
    /// Updates
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    #[command(flatten)]
    common: Common,
}

const SENTENCES: &str = include_str!("sentences.tsv");

const WIDTH: usize = 32;
const HIDDEN: usize = 32;
const DROPOUT: f32 = 0.5;
const BATCH: usize = 32;
/// The targets are 0.1 and 0.9 instead of 0 and 1, so that the model does not become overconfident (label
/// smoothing, Szegedy et al. 2016, arXiv:1512.00567).
const SMOOTH: f32 = 0.1;
/// Number of updates between evaluations on the held-back sentences.
const LOOK: u32 = 15;
/// The decay of the running mean of the weights.
const STAYS: f32 = 0.98;

type Sentiment = Model<6>;

fn model(vocabulary: &Vocabulary) -> Result<Sentiment, Failure> {
    Ok(Model::checked([
        Layer::embedding(vocabulary.len(), WIDTH),
        Layer::Dropout(DROPOUT),
        Layer::Gru(Stack::new(Gru::new(WIDTH, HIDDEN)).bidirectional(Merge::Concat)),
        Layer::Pool(Pool::Mean),
        Layer::Dropout(DROPOUT),
        Layer::dense(2 * HIDDEN, 1),
    ])?)
}

/// Sentences as ids, and their targets.
struct Set {
    rows: Vec<Vec<u32>>,
    targets: Vec<f32>,
}

impl Set {
    fn new(sentences: &[Labelled], vocabulary: &Vocabulary) -> Self {
        let rows = sentences.iter().map(|s| vocabulary.ids(&s.words)).collect();
        Set { rows, targets: sentences.iter().map(|s| f32::from(u8::from(s.positive))).collect() }
    }

    fn loss(&self, predictor: &mut Predictor) -> Result<f32, Failure> {
        let padded = Padded::new(&self.rows);
        let loss = Loss::BinaryCrossEntropy { targets: &self.targets };
        Ok(predictor.loss(Batch { sequences: padded.sequences(), x: (&padded.ids).into(), loss })?)
    }
}

/// Scores from -1 (against) to 1 (in favour).
fn scores(predictor: &mut Predictor, rows: &[Vec<u32>]) -> Result<Vec<f32>, Failure> {
    let padded = Padded::new(rows);
    let logits = predictor.forward(padded.sequences(), &padded.ids)?;
    Ok(logits.iter().map(|logit| (logit / 2.0).tanh()).collect())
}

/// Trains on a part of the sentences. Returns the weights with the lowest loss on the held-back sentences.
fn train(
    options: &Options,
    vocabulary: &Vocabulary,
    train: &[Labelled],
    held: &[Labelled],
) -> Result<Vec<f32>, Failure> {
    let common = &options.common;
    let (set, held) = (Set::new(train, vocabulary), Set::new(held, vocabulary));
    let model = model(vocabulary)?;
    let mut rng = common.rng(1);
    let mut trainer = Trainer::new(&model, AdamW::new(3e-3), &mut rng)?.clip(1.0);
    // Small vectors, so that rare words have little effect.
    trainer.weights_mut()[..vocabulary.len() * WIDTH].iter_mut().for_each(|w| *w *= 0.1);

    let mut mean = trainer.weights().to_vec();
    let (mut best, mut least) = (mean.clone(), f32::INFINITY);
    let (mut order, mut next): (Vec<usize>, _) = ((0..set.rows.len()).collect(), usize::MAX);
    let (mut learnt, mut looked) = (Vec::new(), Vec::new());
    let bar = common.progress(options.iters as usize)?;
    for i in 1..=options.iters {
        if next >= order.len() {
            shuffle(&mut order, &mut rng);
            next = 0;
        }
        let chosen = &order[next..order.len().min(next + BATCH)];
        next += BATCH;
        let mut rows: Vec<Vec<u32>> = chosen.iter().map(|&i| set.rows[i].clone()).collect();
        // Hide one word of ten.
        for id in rows.iter_mut().flatten().filter(|_| rng.next_u32() < u32::MAX / 10) {
            *id = Vocabulary::UNKNOWN;
        }
        let targets: Vec<f32> =
            chosen.iter().map(|&i| SMOOTH + (1.0 - 2.0 * SMOOTH) * set.targets[i]).collect();
        let padded = Padded::new(&rows);
        let loss = Loss::BinaryCrossEntropy { targets: &targets };
        let batch = Batch { sequences: padded.sequences(), x: (&padded.ids).into(), loss };
        trainer.update(batch, &mut rng)?;
        mean.iter_mut().zip(trainer.weights()).for_each(|(mean, w)| *mean += (1.0 - STAYS) * (w - *mean));
        if i % LOOK == 0 || i == options.iters {
            // Both losses are of the same kind: with the labels as they are, and without dropout. The loss of
            // an update has smoothed labels, of which no model gets below 0.325.
            let mut predictor = Predictor::new(&model, &mean)?;
            let loss = held.loss(&mut predictor)?;
            learnt.push((f64::from(i), f64::from(set.loss(&mut predictor)?)));
            looked.push((f64::from(i), f64::from(loss)));
            if loss < least {
                (best, least) = (mean.clone(), loss);
            }
            bar.set_message(format!("loss {loss:.3}"));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();

    let end = f64::from(options.iters);
    let floor = f64::from(-(1.0 - SMOOTH).ln());
    let chart = Chart::new("Loss on training and on held-back sentences", "update", "cross-entropy (nats)")
        .line("trained on", learnt)
        .line("held back", looked)
        .dashes("aim: 0.9 for the right label", [(0.0, floor), (end, floor)]);
    common.plot(1, &[&chart])?;
    Ok(best)
}

/// The words of a sentence, each with the score of the sentence up to that word.
fn word_by_word(
    predictor: &mut Predictor,
    vocabulary: &Vocabulary,
    words: &[String],
) -> Result<String, Failure> {
    let ids = vocabulary.ids(words);
    let beginnings: Vec<Vec<u32>> = (1..=ids.len()).map(|n| ids[..n].to_vec()).collect();
    let scores = scores(predictor, &beginnings)?;
    let mut text = String::new();
    for ((word, score), id) in words.iter().zip(scores).zip(ids) {
        let bar = "#".repeat((score.abs() * 20.0).round() as usize);
        let (against, favour) = if score < 0.0 { (bar, String::new()) } else { (String::new(), bar) };
        let unknown = if id == Vocabulary::UNKNOWN { "  (not known)" } else { "" };
        text += &format!("  {word:16} {score:+.2}  {against:>20}|{favour:20}{unknown}");
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    Ok(text)
}

fn interactive(predictor: &mut Predictor, vocabulary: &Vocabulary) -> Result<(), Failure> {
    conclude("\nType a sentence; an empty line ends this.");
    loop {
        let mut line = String::new();
        let _ = write!(io::stdout(), "> ").and_then(|()| io::stdout().flush());
        let words = if io::stdin().read_line(&mut line)? == 0 { Vec::new() } else { data::words(&line) };
        if words.is_empty() {
            return Ok(());
        }
        conclude(word_by_word(predictor, vocabulary, &words)?);
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let common = &options.common;
    let mut sentences = Vec::new();
    for file in &options.data {
        sentences.extend(data::read(file)?);
    }
    if options.data.is_empty() {
        sentences = data::parse("sentences.tsv", SENTENCES)?;
    }
    shuffle(&mut sentences, &mut common.rng(0));
    let (test, rest) = sentences.split_at(sentences.len() / 5);
    let (held, learnt) = rest.split_at(rest.len() / 8);
    if held.is_empty() {
        return Err(Failure(format!("{} sentences are too few to learn from", sentences.len())));
    }
    let vocabulary = Vocabulary::new(learnt);
    common.say(format_args!(
        "{} sentences to learn from, {} held back to know when to stop, {} for the test; {} words",
        learnt.len(),
        held.len(),
        test.len(),
        vocabulary.len() - 1,
    ));
    let weights = train(&options, &vocabulary, learnt, held)?;
    let mut predictor = Predictor::new(&model(&vocabulary)?, &weights)?;

    let unseen = Set::new(test, &vocabulary);
    let said = scores(&mut predictor, &unseen.rows)?;
    let right = |i: &usize| (said[*i] > 0.0) == test[*i].positive;
    let part = |n: usize| n as f64 / test.len() as f64;
    let mut surest: Vec<usize> = (0..test.len()).collect();
    surest.sort_by(|&a, &b| said[b].abs().total_cmp(&said[a].abs()));
    for (what, wanted) in [("right", true), ("wrong", false)] {
        common.say(format_args!("\nunseen sentences that it is surest of, and {what}:"));
        for &i in surest.iter().filter(|i| right(i) == wanted).take(4) {
            common.say(format_args!("  {:+.2}  {}", said[i], test[i].words.join(" ")));
        }
    }
    let short = surest.iter().find(|&i| (5..=12).contains(&test[*i].words.len()));
    if let Some(&i) = short {
        common.say(format_args!(
            "\none of them, word by word:\n{}",
            word_by_word(&mut predictor, &vocabulary, &test[i].words)?
        ));
    }
    if options.narrow {
        let loss = unseen.loss(&mut predictor)?;
        common.say(format_args!("\nunseen sentences from f32: loss {loss:.5}"));
        for format in FORMATS {
            let mut narrow = Predictor::new(&model(&vocabulary)?.narrow(format), &weights)?;
            let (scores, rounded) = (scores(&mut narrow, &unseen.rows)?, unseen.loss(&mut narrow)?);
            let moved = scores.iter().zip(&said).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let turned = scores.iter().zip(&said).filter(|(a, b)| (**a > 0.0) != (**b > 0.0)).count();
            common.say(format_args!(
                "from {:8} loss {rounded:.5}, {:+.3} %; scores move by at most {moved:.1e}, {turned} change sides",
                format.name(),
                100.0 * (rounded / loss - 1.0),
            ));
        }
    }
    let positive = test.iter().filter(|s| s.positive).count();
    conclude(format_args!(
        "test {:.3} of {} larger_class {:.3}",
        part(surest.iter().filter(|i| right(i)).count()),
        test.len(),
        part(positive.max(test.len() - positive)),
    ));
    if options.interactive { interactive(&mut predictor, &vocabulary) } else { Ok(()) }
}
