//! The command-line tool: shows a model's file and what the model needs, converts it, and runs it.
#![forbid(unsafe_code)]

mod check;
mod inspect;
mod weights;

use std::fmt::Display;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use recurrent::io::{self as models, Ending, Format, Network, Plan, ReadOptions};
use weights::Formats;

/// Reads recurrent models of PyTorch, Keras, ONNX, RTNeural and amp plugins, and writes them for this crate
/// and for firmware.
///
/// The format of a file is detected from its first bytes, or else from its extension. Read: .safetensors, .pt
/// and .pth (PyTorch's parameters), .keras and .h5, .onnx, .json, .aidax and .nam (RTNeural, AIDA-X,
/// GuitarML, Neural Amp Modeler), .img (the image that firmware uses in place). Written: .safetensors, .onnx,
/// .json (RTNeural's), .img, .rs (Rust source).
///
/// Notes on standard error say what the file does not specify, and which of its parts are not used; --strict
/// makes them errors.
///
/// Exit status: 0 if all went well, 1 if a file could not be read, written or understood, 2 for a wrong
/// command line.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the layers of a model, and the RAM and flash that it needs
    Inspect {
        #[command(flatten)]
        source: Source,
        /// Number of sequences in a batch
        #[arg(long, default_value = "1")]
        batch: NonZeroUsize,
        /// Number of steps of each sequence, or of each chunk of it
        #[arg(long, default_value = "1")]
        steps: NonZeroUsize,
    },
    /// Write a model in another format
    Convert {
        #[command(flatten)]
        source: Source,
        /// File to write
        output: PathBuf,
        /// Format to write, if the extension does not say it
        #[arg(long, value_parser = to_format)]
        to: Option<Format>,
        /// Format of the matrices: `int8`, `int8-a8`, `f16`, `bf16` or `f32`, for all layers, or for one
        /// layer by its name: `int8,fc=f32`. `keep` keeps 16-bit layers of the file in their format. Only
        /// images stay narrow; other formats get the rounded weights. Prints how rounding changes the weights
        #[arg(long, value_name = "FORMATS")]
        weights: Option<Formats>,
        /// Keep scales (normalisations) as separate layers, to train on; otherwise they are folded into the
        /// matrices beside them
        #[arg(long)]
        keep_scales: bool,
    },
    /// Run a model from its initial state and print its outputs, a line for each step; or compare them. If
    /// the model ends in probabilities and has names of classes, each line also lists the classes, the most
    /// probable first
    Check {
        #[command(flatten)]
        source: Source,
        /// Input: numbers separated by spaces, commas or line ends, step after step; `-` is the standard
        /// input
        #[arg(long, conflicts_with_all = ["steps", "seed"])]
        input: Option<PathBuf>,
        /// Number of steps of random input
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        steps: u32,
        /// Seed of the random input; the input is printed, too
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Initial state, in the same form: `h` of each recurrent layer, followed by `c` for an LSTM
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        /// Expected outputs, in the same form: prints the largest difference and its place, instead of the
        /// outputs
        #[arg(long, value_name = "FILE", requires = "input")]
        expect: Option<PathBuf>,
        /// Another model: runs it on the same input, and prints the largest and the mean difference of every
        /// output
        #[arg(long, value_name = "MODEL", conflicts_with_all = ["expect", "state"])]
        against: Option<PathBuf>,
        /// Largest allowed difference, relative to the larger of 1 and the largest expected output
        #[arg(long, default_value_t = 1e-5, requires = "expect")]
        tolerance: f32,
    },
}

#[derive(Args)]
struct Source {
    /// Model to read
    file: PathBuf,
    /// Format of the model, if neither its bytes nor its extension say it
    #[arg(long, value_parser = from_format)]
    from: Option<Format>,
    /// Fail if the file does not specify everything, or if some of its parts are not used
    #[arg(long)]
    strict: bool,
    /// What PyTorch's parameters do not say: the layers in order, as `emb,rnn:relu,@last,fc:tanh`. Names are
    /// those of the modules. `:tanh`, `:relu` and `:sigmoid` set the nonlinearity of an RNN or the activation
    /// after a linear layer. `:linear` marks a first layer without a bias as linear, not an embedding.
    /// `@last`, `@mean` and `@max` reduce all steps to one row; `@states` takes the last states of both
    /// directions, and `@first` the first step. `@relu`, `@tanh`, `@sigmoid`, `@softsign` and `@softplus` are
    /// activations. `@residual` adds the input. `@softmax` and `@log_softmax` end the model
    #[arg(long, value_name = "PLAN")]
    layers: Option<Plan>,
    /// Names of the classes, one for each output: `no,yes`. Images store them
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "class_file")]
    classes: Vec<String>,
    /// File with the names of the classes, one on each line
    #[arg(long, value_name = "FILE")]
    class_file: Option<PathBuf>,
}

/// The names of the formats for which `can` is true.
fn names(can: fn(Format) -> bool) -> String {
    let names: Vec<_> = Format::ALL.iter().filter(|f| can(f.0)).map(|f| f.1).collect();
    names.join(", ")
}

fn from_format(name: &str) -> Result<Format, String> {
    format(name, Format::is_read)
        .ok_or_else(|| format!("the formats that are read are {}", names(Format::is_read)))
}

fn to_format(name: &str) -> Result<Format, String> {
    format(name, Format::is_written)
        .ok_or_else(|| format!("the formats that are written are {}", names(Format::is_written)))
}

fn format(name: &str, can: fn(Format) -> bool) -> Option<Format> {
    Format::ALL.iter().find(|f| f.1 == name && can(f.0)).map(|f| f.0)
}

/// The error message for the user. `None` if the reader of the output has closed it.
struct Failure(Option<String>);

impl Failure {
    fn at(path: &Path, why: impl Display) -> Self {
        Failure(Some(format!("{}: {why}", path.display())))
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Self {
        Failure((e.kind() != io::ErrorKind::BrokenPipe).then(|| format!("cannot write: {e}")))
    }
}

/// The format of a file to write.
fn format_of(path: &Path, given: Option<Format>) -> Result<Format, Failure> {
    given.or_else(|| Format::of(path)).ok_or_else(|| {
        let names = names(Format::is_written);
        Failure::at(path, format!("the extension does not name a format: give one with --to ({names})"))
    })
}

impl Source {
    /// Reads the model. Prints the reader's assumptions to the standard error.
    fn read(&self) -> Result<(Network, Format, u64), Failure> {
        let mut options = ReadOptions::new().strict(self.strict);
        if let Some(format) = self.from {
            options = options.format(format);
        }
        if let Some(plan) = &self.layers {
            options = options.plan(plan);
        }
        let (network, format, len) = options.open(&self.file).map_err(|e| Failure::at(&self.file, e))?;
        for note in network.notes() {
            self.say(&note.to_string());
        }
        let classes = self.classes()?;
        if classes.is_empty() {
            return Ok((network, format, len));
        }
        let network = network.with_classes(classes).map_err(|e| Failure::at(&self.file, e))?;
        Ok((network, format, len))
    }

    /// The names of the classes from the options.
    fn classes(&self) -> Result<Vec<String>, Failure> {
        let Some(path) = &self.class_file else { return Ok(self.classes.clone()) };
        let text = fs::read_to_string(path).map_err(|e| Failure::at(path, e))?;
        Ok(text.lines().map(|name| name.trim().to_string()).collect())
    }

    /// Prints a note to the standard error.
    fn say(&self, what: &str) {
        eprintln!("note: {}: {what}", self.file.display());
    }
}

/// Writes a temporary file with an unused name beside the file, then renames it. If that fails, the old file
/// stays.
fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A terminal or a pipe cannot be replaced.
    if path.metadata().is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes);
    }
    let name = |n: u32| {
        let mut beside = path.as_os_str().to_owned();
        beside.push([".part".to_string(), n.to_string()].concat());
        beside
    };
    let mut n = 0;
    let (beside, mut file) = loop {
        match fs::File::create_new(name(n)) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => n += 1,
            file => break (name(n), file?),
        }
    };
    let written = file.write_all(bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// The network as a format can hold it. If the format has no place for names of classes or for the softmax
/// after the last layer, they are left out.
fn held(source: &Source, network: Network, to: Format) -> Result<Network, Failure> {
    let mut left_out = Vec::new();
    let mut held = network;
    if held.ending() != Ending::None && !to.holds_endings() {
        left_out.push(
            "left out: the softmax after the last layer, so that the outputs are logits; `recurrent::softmax` makes \
             probabilities of them",
        );
        held = held.logits();
    }
    if !held.classes().is_empty() && to != Format::Image {
        left_out.push("left out: the names of the classes, which only images hold");
    }
    for what in left_out {
        if source.strict {
            return Err(Failure::at(&source.file, what));
        }
        source.say(what);
    }
    Ok(held)
}

/// The network for formats other than images: with the rounded weights in `f32`.
fn wide(source: &Source, network: Network) -> Result<Network, Failure> {
    if !network.is_narrow() {
        return Ok(network);
    }
    let what = "only images stay narrow: the weights are rounded, and written as f32";
    if source.strict {
        return Err(Failure::at(&source.file, what));
    }
    source.say(what);
    Ok(network.wide())
}

fn run(command: Command, out: &mut impl Write) -> Result<(), Failure> {
    match command {
        Command::Inspect { source, batch, steps } => inspect::print(&source, batch.get(), steps.get(), out),
        Command::Convert { source, output, to, weights, keep_scales } => {
            let to = format_of(&output, to)?;
            let (mut network, ..) = source.read()?;
            if !keep_scales {
                let before = network.named().len();
                network = network.folded();
                if network.named().len() < before {
                    source.say("scales are folded into the matrices beside them; --keep-scales leaves them as layers");
                }
            }
            let network = held(&source, network, to)?;
            let network = match weights {
                Some(formats) => formats.apply(&source, network, out)?,
                None => network,
            };
            let network = if to == Format::Image { network } else { wide(&source, network)? };
            let bytes = models::write(&network, to).map_err(|e| Failure::at(&output, e))?;
            save(&output, &bytes).map_err(|e| Failure::at(&output, e))?;
            let weights = network.weights().len();
            Ok(writeln!(out, "{}: {weights} weights, {} bytes", output.display(), bytes.len())?)
        }
        Command::Check { source, input, steps, seed, state, expect, against, tolerance } => {
            let run = check::Run { source, input, steps, seed, state, expect, against, tolerance };
            run.print(out)
        }
    }
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match run(Cli::parse().command, &mut out).and_then(|()| Ok(out.flush()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(None)) => ExitCode::SUCCESS,
        Err(Failure(Some(why))) => {
            eprintln!("error: {why}");
            ExitCode::from(1)
        }
    }
}
