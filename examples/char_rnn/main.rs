//! Trains a character model on a text and lets it write.
//!
//! ```sh
//! cargo run --release --example char_rnn             # on a part of "Pride and Prejudice"
//! cargo run --release --example char_rnn -- --corpus FILE --save MODEL    # on a text of yours
//! cargo run --release --example char_rnn -- --load MODEL --iters 0 --prompt "Once" --temperature 0.5
//! cargo run --release --example char_rnn -- --image model.img             # for firmware and examples/web
//! ```
//!
//! An embedding, a stack of recurrent layers and a dense layer, trained by truncated backpropagation through
//! time with Adam. The parts: `cli` options, `corpus` text and streams, `model` the layers, `train` updates,
//! `generate` writing, `checkpoint` the file format.

mod checkpoint;
mod cli;
mod corpus;
mod generate;
mod model;
mod train;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use recurrent::Narrow;

use checkpoint::Checkpoint;
use cli::Options;
use corpus::Text;
use generate::{Writing, generate};
use model::{Cell, Shape};
use train::{Training, recent, validate};

/// What went wrong, in one line.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub fn new(message: impl fmt::Display) -> Self {
        Failure { message: message.to_string(), code: 1 }
    }

    /// A mistake on the command line.
    pub fn usage(message: impl fmt::Display) -> Self {
        Failure { message: message.to_string(), code: 2 }
    }
}

impl From<recurrent::Error> for Failure {
    fn from(e: recurrent::Error) -> Self {
        Failure::new(e)
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Failure::new(format!("cannot write to standard output: {e}"))
    }
}

/// The formats of narrow weights.
const FORMATS: [Narrow; 4] = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];

fn main() -> ExitCode {
    match Options::from_command_line().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    for path in options.save.iter().chain(&options.image) {
        Checkpoint::can_save(path)?;
    }
    let loaded = match &options.load {
        Some(path) => Some(load(options, path)?),
        None => None,
    };
    // Only writing needs no text.
    if let (Some(now), 0, false) = (&loaded, options.iters, options.quiet) {
        let prompt = now.vocabulary.encode(&options.prompt)?;
        save(now, options)?;
        return write(now, options, &prompt, &*stop_flag()?);
    }

    let text = Text::read(options.corpus.as_deref())?;
    let now = match loaded {
        Some(now) if now.corpus != text.identity() => {
            return Err(Failure::new("the corpus is not the one that the saved model was trained on"));
        }
        Some(now) => now,
        None => start(options, &text)?,
    };
    let prompt = now.vocabulary.encode(&options.prompt)?;
    let [train, val] = text.split(&now.vocabulary, now.batch, now.steps)?;
    drop(text);
    let stop = stop_flag()?;
    if !options.quiet {
        let Shape { cell, vocabulary, hidden, layers, .. } = now.shape;
        say(&format!(
            "{} of {layers} x {hidden} units, {} parameters; {} characters to train on and {} for validation, {vocabulary} different",
            cell.name(),
            now.trainer.weights().len(),
            train.chars(),
            val.chars(),
        ));
    }

    let mut training = Training::new(&train, now);
    update_all(&mut training, options, &prompt, &stop)?;
    save(&training.now, options)?;
    let (now, rate) = (&training.now, training.rate());
    let (streams, val) = (&val, validate(now, &val, None)?);
    if !options.quiet {
        say(&format!("\nafter {} updates, it writes:", now.trainer.updates()));
        write(now, options, &prompt, &AtomicBool::new(false))?;
        say("");
    }
    for format in FORMATS.into_iter().filter(|_| options.narrow) {
        let narrow = validate(now, streams, Some(format))?;
        let more = (narrow / val - 1.0) * 100.0;
        writeln!(io::stdout(), "val from {:<8} {narrow:.5}, {more:+.3} %", format.name())?;
    }
    writeln!(io::stdout(), "train {:.4} val {val:.4} chars_per_s {rate:.0}", recent(&now.losses))?;
    Ok(())
}

/// Saves the files that the options request.
fn save(now: &Checkpoint, options: &Options) -> Result<(), Failure> {
    if let Some(path) = &options.save {
        now.save(path)?;
    }
    if let Some(path) = &options.image {
        now.save_image(path)?;
    }
    Ok(())
}

/// The saved model. An option for a different shape is a mistake; other options replace the saved ones.
fn load(options: &Options, path: &std::path::Path) -> Result<Checkpoint, Failure> {
    let mut now = Checkpoint::load(path)?;
    let Shape { cell, embedding, hidden, layers, .. } = now.shape;
    let refuse = |name, asked: &dyn fmt::Display, saved: &dyn fmt::Display| {
        Err(Failure::new(format!("the model in {} has {name} {saved}, not {asked}", path.display())))
    };
    if let Some(asked) = options.cell.filter(|&c| c != cell) {
        return refuse("--cell", &asked.name(), &cell.name());
    }
    for (name, asked, saved) in [
        ("--embedding", options.embedding, embedding),
        ("--hidden", options.hidden, hidden),
        ("--layers", options.layers, layers),
        ("--batch", options.batch, now.batch),
    ] {
        if let Some(asked) = asked.filter(|&n| n as usize != saved) {
            return refuse(name, &asked, &saved);
        }
    }
    now.steps = options.steps.map_or(now.steps, |n| n as usize);
    now.lr = options.lr.unwrap_or(now.lr);
    now.clip = options.clip.unwrap_or(now.clip);
    now.seed = options.seed.unwrap_or(now.seed);
    now.trainer = now.trainer.rate(now.lr).clip(now.clip);
    Ok(now)
}

/// A model before its first update.
fn start(options: &Options, text: &Text) -> Result<Checkpoint, Failure> {
    let size = |given: Option<u32>, default| given.unwrap_or(default) as usize;
    let shape = Shape {
        cell: options.cell.unwrap_or(Cell::Lstm),
        vocabulary: text.vocabulary().len(),
        embedding: size(options.embedding, 64),
        hidden: size(options.hidden, 128),
        layers: size(options.layers, 2),
    };
    let window = [size(options.batch, 32), size(options.steps, 64)];
    let (lr, clip) = (options.lr.unwrap_or(5e-3), options.clip.unwrap_or(5.0));
    let mut now = Checkpoint::new(shape, window, lr, clip, options.seed.unwrap_or(1), text)?;
    if let Some(format) = options.straight_through {
        now.train_for(format)?;
    }
    Ok(now)
}

/// Set by Ctrl-C; the second Ctrl-C ends the process at once.
fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    })
    .map_err(|e| Failure::new(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}

/// Makes the requested updates, with a progress bar, and samples as the loss goes down.
fn update_all(
    training: &mut Training<'_>,
    options: &Options,
    prompt: &[u32],
    stop: &AtomicBool,
) -> Result<(), Failure> {
    /// The next sample comes when the loss has fallen by this amount.
    const IMPROVEMENT: f64 = 0.25;
    const REDRAW: Duration = Duration::from_millis(100);
    let sample = Writing { prompt, temperature: options.temperature, length: options.length.min(160) };
    // It is drawn on standard error, and only if that is a terminal.
    let bar = if options.quiet { ProgressBar::hidden() } else { ProgressBar::new(options.iters) };
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {eta} left");
    bar.set_style(style.map_err(Failure::new)?);
    let mut shown = f64::INFINITY;
    let mut drawn = Instant::now();
    for done in 1..=options.iters {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        training.update()?;
        if options.quiet {
            continue;
        }
        let now = &training.now;
        let loss = recent(&now.losses);
        if drawn.elapsed() >= REDRAW {
            bar.set_position(done);
            bar.set_message(format!("loss {loss:.3}  {:.0} characters/s", training.rate()));
            drawn = Instant::now();
        }
        // The last sample is written after the training.
        if done % 50 == 0 && loss < shown - IMPROVEMENT && done < options.iters {
            shown = loss;
            let mut text = String::new();
            generate(now, sample, |c| {
                text.push(c);
                true
            })?;
            bar.suspend(|| {
                let updates = now.trainer.updates();
                say(&format!("\nafter {updates} updates, loss {loss:.3}:\n{}{text}", options.prompt))
            });
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Prints a line on standard output that is not the result. If nobody reads it, this is not an error.
fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes the prompt and the model's continuation, character by character.
fn write(now: &Checkpoint, options: &Options, prompt: &[u32], stop: &AtomicBool) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut state = write!(out, "{}", options.prompt);
    let how = Writing { prompt, temperature: options.temperature, length: options.length };
    generate(now, how, |c| {
        state = write!(out, "{c}");
        state.is_ok() && !stop.load(Ordering::Relaxed)
    })?;
    Ok(state.and_then(|()| writeln!(out)).and_then(|()| out.flush())?)
}
