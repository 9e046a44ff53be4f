//! The command line.

use std::path::PathBuf;

use clap::{Parser, error::ErrorKind};

/// Trains a character model on text, on one machine or many:
/// `mpirun -n 4 cluster --corpus FILE --checkpoint FILE`.
///
/// Every rank has its part of the batch and reads its part of the corpus. Rank 0 reports the progress, and
/// writes checkpoints. If the checkpoint exists, the training continues from it: the same command starts it
/// and continues it, with any number of ranks that is a power of two and at most --shards, to the same bits.
///
/// The last line on standard output is `updates N loss NATS updates_per_s N exchange_ms N weights HASH`.
#[derive(Parser, Debug)]
#[command(name = "cluster", args_override_self = true)]
pub struct Options {
    /// Text to learn, one after the other; a character is a byte
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub corpus: Vec<PathBuf>,
    /// File in which rank 0 saves the training, and from which it continues
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Updates between checkpoints
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub every: u64,
    /// Updates between two lines of progress
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub progress: u64,
    /// Updates in all, those before the checkpoint included
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub updates: u64,
    /// Seconds that a rank waits for another rank, or for a file, before it ends all ranks
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: u64,
    #[command(flatten)]
    pub settings: Settings,
}

/// The settings that the result depends on. All ranks must have the same, and so must a checkpoint.
#[derive(clap::Args, Clone, Debug, PartialEq)]
pub struct Settings {
    /// Features of a character's embedding
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = size())]
    pub embedding: u32,
    /// Hidden units of each layer
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = size())]
    pub hidden: u32,
    /// LSTM layers
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub layers: u32,
    /// Streams that are read in parallel, on all ranks together
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = size())]
    pub batch: u32,
    /// Characters of each stream in an update
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = size())]
    pub steps: u32,
    /// Parts of a batch, a power of two that divides it: as many ranks at most
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = size())]
    pub shards: u32,
    /// Probability that a feature between layers is dropped
    #[arg(long, value_name = "P", default_value_t = 0.1)]
    pub dropout: f32,
    /// Learning rate of Adam
    #[arg(long, value_name = "RATE", default_value_t = 0.003)]
    pub lr: f32,
    /// Largest norm of the gradients, larger ones are scaled down to it
    #[arg(long, value_name = "NORM", default_value_t = 5.0)]
    pub clip: f32,
    /// Seed of the initial weights and of everything that is drawn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

fn size() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..=65536)
}

impl Options {
    /// The options of this process. A mistake is returned as one line, in the outer error; the help is
    /// returned as an inner error, because it is no mistake.
    pub fn from_command_line() -> Result<Result<Self, String>, String> {
        match Self::try_parse() {
            Ok(options) => options.settings.check().map(|()| Ok(options)),
            Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp) => Ok(Err(e.to_string())),
            Err(e) => {
                let text = e.to_string();
                // Tips and usage follow the first paragraph.
                let told = text.split("\n\n").next().unwrap_or(&text);
                let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
                Err(told.trim_start_matches("error: ").into())
            }
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), String> {
        let Settings { batch, shards, .. } = *self;
        if !shards.is_power_of_two() || batch % shards != 0 {
            return Err(format!(
                "--shards is {shards}: it must be a power of two that divides --batch {batch}"
            ));
        }
        if [self.lr, self.clip].iter().any(|x| !(*x > 0.0 && x.is_finite())) {
            return Err("--lr and --clip have to be above 0".into());
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err("--dropout must be at least 0 and below 1".into());
        }
        Ok(())
    }

    /// The settings as numbers, in the order of the fields.
    pub fn to_numbers(&self) -> [u64; 10] {
        let Settings { embedding, hidden, layers, batch, steps, shards, dropout, lr, clip, seed } = *self;
        let sizes = [embedding, hidden, layers, batch, steps, shards];
        let [a, b, c, d, e, f] = sizes.map(u64::from);
        let [g, h, i] = [dropout, lr, clip].map(|x| u64::from(x.to_bits()));
        [a, b, c, d, e, f, g, h, i, seed]
    }

    /// The first setting that differs from [`to_numbers`](Self::to_numbers): its name, and both values.
    pub fn differs(&self, numbers: &[u64; 10]) -> Option<String> {
        let names =
            ["embedding", "hidden", "layers", "batch", "steps", "shards", "dropout", "lr", "clip", "seed"];
        let here = self.to_numbers();
        let at = here.iter().zip(numbers).position(|(a, b)| a != b)?;
        let show = |n: u64| match names[at] {
            "dropout" | "lr" | "clip" => f32::from_bits(n as u32).to_string(),
            _ => n.to_string(),
        };
        Some(format!("--{} {} and not {}", names[at], show(numbers[at]), show(here[at])))
    }
}
