//! Reads characters in a noisy Morse signal, with a GRU that was trained by connectionist temporal
//! classification (CTC).
//!
//! ```sh
//! cargo run --release --example morse                             # tests the trained model
//! cargo run --release --example morse -- --write cq.wav           # makes a recording
//! cargo run --release --example morse -- --wav cq.wav             # reads it
//! cargo run --release --example morse -- --train --save morse.img # some minutes
//! cargo run --release --example morse -- --train --firmware       # makes the files of examples/firmware
//! ```
//!
//! A recording says which characters were sent, but not when. CTC does not need to know: its loss sums over
//! all ways to place the characters on the steps. The training data are random groups of characters, keyed
//! with 12 to 30 words per minute; each mark and each gap is up to 20 % too short or too long. The signal
//! fades slowly by up to 10 dB, and there is white noise. The test is English text, which the model has never
//! seen, with 10 dB between signal and noise in a bandwidth of 500 Hz.
//!
//! Receiver and model are small enough for a microcontroller: `examples/firmware` runs the same code,
//! `examples/firmware/src/morse.rs`, on a Cortex-M4F.

#[path = "../common/mod.rs"]
mod common;
mod firmware;
#[path = "../firmware/src/morse.rs"]
mod morse;
mod picture;
mod signal;
#[allow(dead_code, reason = "the firmware uses the rest")]
#[path = "../firmware/src/sum.rs"]
mod sum;
mod train;
mod wav;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use common::plot::Chart;
use common::{Common, Failure, conclude};
use recurrent::image::{self, Image};

use morse::{CHARACTERS, MODEL, RATE, Reader, Receiver, TONE};
use picture::Reading;
use signal::{BANDWIDTH, Operator, SPEEDS};

/// Largest error of a trained model in the test, at [`RATIO`].
const BOUND: f64 = 0.02;
/// Signal-to-noise ratio of the test, in decibels.
const RATIO: f64 = 10.0;
const UPDATES: u32 = 3000;

/// Reads Morse code in noise with a small GRU, trained by CTC.
///
/// The last line on standard output is `error PART`: the edits that the read text needs, divided by the
/// characters that were sent. The texts are unseen. With --wav the last line is the text that was read.
#[derive(Parser)]
struct Options {
    /// An image of the model [default: the one of examples/firmware]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Train a model first
    #[arg(long, conflicts_with = "model")]
    train: bool,
    /// Updates of the training
    #[arg(long, value_name = "N", default_value_t = UPDATES, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    /// Where to put the image of the model
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write the files of examples/firmware: the image, a recording, and what the device must read
    #[arg(long, conflicts_with_all = ["wav", "write"])]
    firmware: bool,
    /// Read this recording, a WAV file with at least 4000 samples per second
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
    /// The frequency of its tone in hertz [default: the strongest one between 300 and 1200]
    #[arg(long, value_name = "HZ", requires = "wav", value_parser = |arg: &str| number(arg, 50.0, 2000.0))]
    tone: Option<f64>,
    /// Write a recording of the text, instead of a test
    #[arg(long, value_name = "FILE", conflicts_with_all = ["wav", "train"])]
    write: Option<PathBuf>,
    /// Number of sentences of the test [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    sentences: Option<u64>,
    /// The text of the recording and of the picture
    #[arg(long, default_value = "CQ CQ DE GRU = HW CPY?")]
    text: String,
    /// The speed of both, in words per minute
    #[arg(long, value_name = "N", default_value_t = 22.0, value_parser = |arg: &str| number(arg, 5.0, 60.0))]
    speed: f64,
    /// Signal-to-noise ratio of both and of the test, in decibels in 500 Hz
    #[arg(long, value_name = "DB", default_value_t = RATIO, allow_negative_numbers = true,
        value_parser = |arg: &str| number(arg, -60.0, 100.0))]
    ratio: f64,
    #[command(flatten)]
    common: Common,
}

/// A number of the command line.
fn number(arg: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = arg.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("expected a number from {least} to {most}"))
}

/// The characters of a text that can be sent.
fn sendable(text: &str) -> Vec<u8> {
    let known = text.bytes().map(|c| c.to_ascii_uppercase()).filter(|c| CHARACTERS.contains(c));
    let mut text: Vec<u8> = known.collect();
    text.dedup_by(|b, a| (*a, *b) == (b' ', b' '));
    text.trim_ascii().to_vec()
}

/// What is read in a sound.
struct Heard {
    /// The characters, and the frames with which they are recognised.
    characters: Vec<(usize, u8)>,
    /// The strength of the tone in each frame.
    strengths: Vec<f32>,
}

impl Heard {
    fn read(weights: &[f32], sound: &[f32], rate: f32, tone: f32) -> Result<Self, Failure> {
        let (mut receiver, mut reader) = (Receiver::new(rate, tone), Reader::new());
        let mut heard = Heard { characters: Vec::new(), strengths: Vec::new() };
        for strength in sound.iter().filter_map(|sample| receiver.sample(*sample)) {
            if let Some(character) = reader.frame(weights, strength)? {
                heard.characters.push((heard.strengths.len(), character));
            }
            heard.strengths.push(strength);
        }
        Ok(heard)
    }

    fn text(&self) -> Vec<u8> {
        let text: Vec<u8> = self.characters.iter().map(|(_, c)| *c).collect();
        text.trim_ascii().to_vec()
    }
}

/// The least number of characters to change, add or leave out that turns one text into the other (Levenshtein
/// 1966).
fn edits(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

/// The result of a test.
#[derive(Default)]
struct Score {
    characters: usize,
    edits: usize,
    /// The sentence with the most edits: their number, what was sent, what was read.
    worst: (usize, String, String),
}

impl Score {
    /// Sends each sentence at a random speed, and counts the edits.
    fn of(weights: &[f32], sentences: &[Vec<u8>], ratio: f64, seed: u64) -> Result<Self, Failure> {
        let mut operator = Operator::new(seed);
        let mut score = Score::default();
        for sentence in sentences {
            let speed = operator.uniform(SPEEDS);
            let (marks, seconds) = operator.key(sentence, speed);
            let sound = operator.sound(&marks, seconds, ratio);
            let read = Heard::read(weights, &sound, RATE, TONE)?.text();
            let wrong = edits(sentence, &read);
            score.characters += sentence.len();
            score.edits += wrong;
            if wrong > score.worst.0 {
                score.worst = (wrong, shown(sentence), shown(&read));
            }
        }
        Ok(score)
    }

    fn error(&self) -> f64 {
        self.edits as f64 / self.characters.max(1) as f64
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// The weights in an image of this example's model.
fn load(path: &Path) -> Result<Vec<f32>, Failure> {
    let name = |e: &dyn std::fmt::Display| Failure(format!("cannot read {}: {e}", path.display()));
    let bytes = fs::read(path).map_err(|e| name(&e))?;
    let image = Image::from_bytes(&bytes).map_err(|e| name(&e))?;
    if image.is_narrow() || !image.layers().eq(MODEL.layers().iter().copied()) {
        return Err(name(&"the image has another model than this example"));
    }
    let mut weights = vec![0.0; MODEL.weights_len()];
    image.copy_weights(&mut weights)?;
    Ok(weights)
}

fn save(path: &Path, weights: &[f32]) -> Result<(), Failure> {
    let layers = MODEL.layers();
    let mut bytes = vec![0; image::len(layers)];
    image::write(layers, weights, &mut bytes)?;
    fs::write(path, bytes).map_err(|e| Failure(format!("cannot write {}: {e}", path.display())))
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let common = &options.common;
    let sent = sendable(&options.text);
    if sent.is_empty() {
        return Err(Failure("the text has no character that can be sent".into()));
    }
    let record = || {
        let mut operator = Operator::new(common.seed);
        let (marks, seconds) = operator.key(&sent, options.speed);
        let sound = operator.sound(&marks, seconds, options.ratio);
        (marks, sound)
    };
    if let Some(path) = &options.write {
        let sound = record().1;
        wav::write(path, &sound)?;
        let seconds = sound.len() as f32 / RATE;
        conclude(format_args!("{seconds:.1} seconds of sound are in {}", path.display()));
        return Ok(());
    }

    let weights = if options.train {
        let bar = common.progress(options.iters as usize)?;
        // The seeds of the test are other ones.
        let mut operator = Operator::new(!common.seed);
        let weights = train::train(options.iters, &mut operator, &mut common.rng(0), &bar)?;
        bar.finish_and_clear();
        weights
    } else {
        load(options.model.as_deref().unwrap_or(&firmware::folder().join("morse.img")))?
    };
    if let Some(path) = &options.save {
        save(path, &weights)?;
    }
    if let Some(path) = &options.wav {
        let (sound, rate) = wav::read(path)?;
        let tone = options.tone.map_or_else(|| wav::strongest(&sound, rate), |tone| tone as f32);
        common.say(format_args!("{:.1} seconds, tone at {tone:.0} Hz", sound.len() as f32 / rate));
        let heard = Heard::read(&weights, &sound, rate, tone)?;
        let text = shown(&heard.text());
        let title = format!("{}, and what was read", path.display());
        common.plot(1, &[&Reading { title, sound: &sound, rate, marks: &[], heard }])?;
        conclude(text);
        return Ok(());
    }

    let sentences = include_str!("../sentiment/sentences.tsv");
    let sentences: Vec<Vec<u8>> =
        sentences.lines().filter_map(|line| line.split('\t').next()).map(sendable).collect();
    let most = options.sentences.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let sentences = &sentences[..most.min(sentences.len())];
    let score = Score::of(&weights, sentences, options.ratio, common.seed)?;
    let error = score.error();
    common.say(format_args!(
        "{} characters of {} unseen sentences, {} dB in {BANDWIDTH} Hz: {} edits, {:.2} %",
        score.characters,
        sentences.len(),
        options.ratio,
        score.edits,
        100.0 * error
    ));
    if score.edits > 0 {
        common.say(format_args!("the worst:\n  sent {}\n  read {}", score.worst.1, score.worst.2));
    }
    let usual = options.ratio >= RATIO && options.iters >= UPDATES && options.sentences.is_none();
    if usual && error >= BOUND {
        return Err(Failure(format!("the error is {error:.4}, which should be below {BOUND}")));
    }
    if options.firmware {
        save(&firmware::folder().join("morse.img"), &weights)?;
        common.say(format_args!("the firmware reads {}", firmware::write(&weights)?));
    }

    let (marks, sound) = record();
    let heard = Heard::read(&weights, &sound, RATE, TONE)?;
    common.say(format_args!("\nsent {}\nread {}", shown(&sent), shown(&heard.text())));
    let title = format!("Morse code: {} words/min, {} dB above noise", options.speed, options.ratio);
    let reading = Reading { title, sound: &sound, rate: RATE, marks: &marks, heard };
    let mut points = Vec::new();
    for ratio in [-4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0] {
        points.push((ratio, 100.0 * Score::of(&weights, sentences, ratio, common.seed)?.error()));
    }
    let chart =
        Chart::new("Characters read wrongly", "signal-to-noise ratio in 500 Hz (dB)", "characters (%)")
            .log()
            .line("sentences that were not trained on", points)
            .coloured(1); // as what was read, above
    common.plot(1, &[&reading, &chart])?;
    conclude(format_args!("error {error:.4}"));
    Ok(())
}
