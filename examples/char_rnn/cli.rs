//! The command line.

use std::path::PathBuf;

use clap::{Parser, error::ErrorKind};
use recurrent::Narrow;

use crate::model::Cell;
use crate::{FORMATS, Failure};

/// Trains a character model, and lets it write.
///
/// Without --corpus the text is the first volume of "Pride and Prejudice" by Jane Austen. The last line on
/// standard output is `train NATS val NATS chars_per_s N`: the mean loss of the last 50 updates, the loss on
/// the last tenth of the text, which is not trained on, and the speed of the updates. Both losses are in nats
/// per character: `exp(-loss)` is the mean probability of the right character. Ctrl-C ends the training
/// early; the model is then saved and writes as usual.
#[derive(Parser, Debug)]
#[command(name = "char_rnn")]
pub struct Options {
    /// Text to learn, in UTF-8
    #[arg(long, value_name = "FILE")]
    pub corpus: Option<PathBuf>,
    /// Recurrent cell [default: lstm]
    #[arg(long, value_enum)]
    pub cell: Option<Cell>,
    /// Features of a character's embedding [default: 64]
    #[arg(long, value_name = "N", value_parser = size())]
    pub embedding: Option<u32>,
    /// Hidden units of each layer [default: 128]
    #[arg(long, value_name = "N", value_parser = size())]
    pub hidden: Option<u32>,
    /// Recurrent layers [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_LAYERS))]
    pub layers: Option<u32>,
    /// Streams that are read in parallel [default: 32]
    #[arg(long, value_name = "N", value_parser = size())]
    pub batch: Option<u32>,
    /// Characters of each stream in an update [default: 64]
    #[arg(long, value_name = "N", value_parser = size())]
    pub steps: Option<u32>,
    /// Updates to make; with 0 and --load the model only writes and needs no corpus (with --quiet it is only
    /// validated)
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ITERS)]
    pub iters: u64,
    /// Learning rate of Adam [default: 0.005]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = positive)]
    pub lr: Option<f32>,
    /// Largest norm of the gradients, larger ones are scaled down to it [default: 5]
    #[arg(long, value_name = "NORM", allow_negative_numbers = true, value_parser = positive)]
    pub clip: Option<f32>,
    /// Seed of the initial weights and of everything that is drawn [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Below 1 writes more carefully, above 1 more freely; 0 always takes the likeliest character
    #[arg(long, value_name = "T", default_value_t = 0.7, allow_negative_numbers = true, value_parser = temperature)]
    pub temperature: f32,
    /// Characters to write
    #[arg(long, value_name = "N", default_value_t = 400)]
    pub length: usize,
    /// What the writing begins with
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prompt: String,
    /// Where to put the model in the end
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Where to put an image of the model in the end: its layers, weights and characters, for firmware and
    /// for the page in examples/web
    #[arg(long, value_name = "FILE")]
    pub image: Option<PathBuf>,
    /// A saved model to continue with; training on the same text continues as if it had never been saved
    #[arg(long, value_name = "FILE")]
    pub load: Option<PathBuf>,
    /// Train for weights in a narrow format, straight through: f16, bf16, int8 or int8-a8. The losses are those
    /// of the rounded weights
    #[arg(long, value_name = "FORMAT", value_parser = narrow, conflicts_with_all = ["load", "save"])]
    pub straight_through: Option<Narrow>,
    /// Print the validation loss from narrow weights, too: f16, bf16, and int8 with 16-bit and 8-bit
    /// activations
    #[arg(long)]
    pub narrow: bool,
    /// Print nothing but the last line
    #[arg(long)]
    pub quiet: bool,
}

pub const MAX_SIZE: i64 = 65536;
pub const MAX_LAYERS: i64 = 64;
const DEFAULT_ITERS: u64 = 800;

fn size() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=MAX_SIZE)
}

fn narrow(text: &str) -> Result<Narrow, String> {
    let format = FORMATS.into_iter().find(|format| format.name() == text);
    format.ok_or_else(|| format!("the formats are {}", FORMATS.map(Narrow::name).join(", ")))
}

fn number(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err("not a finite number".into()),
    }
}

fn positive(text: &str) -> Result<f32, String> {
    number(text).and_then(|x| if x > 0.0 { Ok(x) } else { Err("has to be above 0".into()) })
}

fn temperature(text: &str) -> Result<f32, String> {
    number(text).and_then(|x| if x >= 0.0 { Ok(x) } else { Err("must not be negative".into()) })
}

impl Options {
    /// The options of this process. Prints the help if it was requested; a mistake is returned as one line.
    pub fn from_command_line() -> Result<Self, Failure> {
        Self::try_parse().map_err(|e| {
            if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                e.exit();
            }
            let text = e.to_string();
            // What follows the first paragraph are tips, the usage, and where to find help.
            let told = text.split("\n\n").next().unwrap_or(&text);
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            Failure::usage(told.trim_start_matches("error: "))
        })
    }
}
