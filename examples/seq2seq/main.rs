//! Reads dates in everyday forms and writes them in ISO 8601, with an encoder, a decoder, and attention
//! between them.
//!
//! ```sh
//! cargo run --release --example seq2seq
//! cargo run --release --example seq2seq -- "the 3rd of May, 1998" "12/24/21"
//! cargo run --release --example seq2seq -- --interactive
//! ```
//!
//! The tests use days that were not in the training. Dates come in nineteen forms, with and without the day
//! of the week. The picture shows where the decoder looks while it writes.

#[path = "../common/mod.rs"]
mod common;
mod dates;
mod model;
mod translate;

use std::io::BufRead;
use std::time::Instant;

use clap::Parser;
use common::plot::HeatMap;
use common::{Common, Failure, conclude};
use recurrent::train::{Adam, Cosine, clip_scale};

use dates::Batch;
use model::{Model, Score};
use translate::Translator;

/// Learns to convert dates from everyday forms to ISO 8601.
///
/// The last line on standard output is `exact SHARE beam SHARE seconds N`: the share of dates, not seen in
/// training, whose translation is right to the last digit, by greedy search and by beam search; and the
/// duration of the training.
#[derive(Parser)]
#[command(name = "seq2seq")]
struct Options {
    /// Dates to convert after the training
    #[arg(value_name = "DATE")]
    dates: Vec<String>,
    /// Ask for dates, and convert them
    #[arg(long)]
    interactive: bool,
    /// How the decoder's states and the encoder's outputs are compared
    #[arg(long, value_enum, default_value_t = Score::General)]
    attention: Score,
    /// Hidden units of the decoder; each direction of the encoder has half of them; an even number
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = even)]
    hidden: usize,
    /// Features of a character
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=4096))]
    embedding: u32,
    /// Updates to make
    #[arg(long, value_name = "N", default_value_t = 600)]
    updates: u32,
    /// Dates in an update
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: u32,
    /// Greatest learning rate of Adam
    #[arg(long, value_name = "RATE", default_value_t = 0.006)]
    lr: f32,
    /// Dates for testing, not seen in training
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    unseen: u32,
    /// Hypotheses of the beam search
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    beam: u32,
    #[command(flatten)]
    common: Common,
}

fn even(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n % 2 == 0 && (2..=4096).contains(&n) => Ok(n),
        _ => Err("has to be an even number from 2 to 4096".into()),
    }
}

fn train(options: &Options, model: Model, weights: &mut [f32]) -> Result<(), Failure> {
    let rng = &mut options.common.rng(1);
    model.init(weights, rng)?;
    let mut grads = vec![0.0; weights.len()];
    let mut moments = vec![0.0; Adam::moments_len(weights.len())];
    let rates = Cosine::new(options.lr, u64::from(options.updates)).warmup(u64::from(options.updates) / 20);
    let mut adam = Adam::new(options.lr);
    let bar = options.common.progress(options.updates as usize)?;
    for _ in 0..options.updates {
        let batch = Batch::new(&Batch::texts(options.batch as usize, false, rng));
        let loss = model.forward_backward(weights, &mut grads, &batch)?;
        adam.lr = rates.at(adam.step);
        let Some(clip) = clip_scale(&grads, 1.0)? else {
            return Err(Failure("the training diverged: a smaller --lr may help".into()));
        };
        adam.update_scaled(weights, &grads, &mut moments, clip.scale)?;
        bar.set_message(format!("loss {loss:.4}"));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// A batch of one text, whose date is not known.
fn one(text: &str) -> Batch {
    Batch::new(&[(text.to_owned(), String::new())])
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let say = |line: &str| options.common.say(line);
    let model = Model::new(options.attention, options.embedding as usize, options.hidden);
    let mut weights = vec![0.0; model.weights_len()];
    say(&format!("{} weights, {} updates of {} dates", weights.len(), options.updates, options.batch));
    let started = Instant::now();
    train(&options, model, &mut weights)?;
    let seconds = started.elapsed().as_secs_f64();

    let translator = Translator::new(model, &weights)?;
    let width = options.beam as usize;
    let texts = Batch::texts(options.unseen as usize, true, &mut options.common.rng(2));
    let (mut exact, mut exact_beam, mut shown) = (0, 0, 0);
    let bar = options.common.progress(texts.len())?;
    for texts in texts.chunks(64) {
        let greedy = translator.greedy(&Batch::new(texts))?.0;
        for ((text, iso), greedy) in texts.iter().zip(&greedy) {
            let beam = translator.beam(&one(text), width)?;
            exact += usize::from(greedy == iso);
            exact_beam += usize::from(beam.first().is_some_and(|(best, _)| best == iso));
            if shown < 8 || (greedy != iso && shown < 12) {
                shown += 1;
                let verdict = if greedy == iso { String::new() } else { format!("   (it is {iso})") };
                say(&format!("{text:>34}  ->  {greedy}{verdict}"));
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();

    for text in &options.dates {
        answer(&translator, text, width)?;
    }
    if options.interactive {
        conclude("type a date, and an empty line to end");
        for line in std::io::stdin().lock().lines() {
            match line? {
                line if line.trim().is_empty() => break,
                line => answer(&translator, &line, width)?,
            }
        }
    }

    let shown = ["the 3rd of september, 1998".to_owned(), "tuesday 12/24/24".to_owned()];
    let maps = shown.map(|text| heat_map(&translator, text));
    let [first, second] = maps;
    options.common.plot(1, &[&first?, &second?])?;
    let share = |count: usize| count as f64 / texts.len() as f64;
    conclude(format_args!("exact {:.4} beam {:.4} seconds {seconds:.1}", share(exact), share(exact_beam)));
    Ok(())
}

/// Prints the likely translations of a date, with their probabilities.
fn answer(translator: &Translator<'_>, text: &str, width: usize) -> Result<(), Failure> {
    if text.trim().is_empty() {
        return Err(Failure("a date must not be empty".into()));
    }
    let found = translator.beam(&one(text), width)?;
    let likely = found.iter().filter(|(_, score)| score.exp() >= 0.005);
    let likely: Vec<_> = likely.map(|(iso, score)| format!("{iso} {:.0} %", 100.0 * score.exp())).collect();
    conclude(format_args!("{text}  ->  {}", likely.join(", ")));
    Ok(())
}

/// A picture of where the decoder looks while it writes.
fn heat_map(translator: &Translator<'_>, text: String) -> Result<HeatMap, Failure> {
    let batch = one(&text);
    let (iso, alignments) = translator.greedy(&batch)?;
    let letters = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    let written = letters(&iso[0]);
    Ok(HeatMap {
        title: format!("Attention weights: {text}"),
        x: ("character read".into(), letters(&text)),
        values: alignments[..written.len() * batch.steps].to_vec(),
        y: ("character written".into(), written),
    })
}
