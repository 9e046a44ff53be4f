//! The `check` command: runs a model once.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::io::{self as models, Ending, Network, ReadOptions};
use recurrent::model::{Input, Layer};
use recurrent::{Activation, Sequences};

use crate::{Failure, Source};

/// The numbers of a text, without comments, which begin with `#`.
fn numbers<T: FromStr>(path: &Path, text: &str) -> Result<Vec<T>, Failure> {
    // `check` itself prints such comments.
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| {
            word.parse().map_err(|_| {
                Failure::at(path, format!("`{word}` is not a number, or not an id where ids are expected"))
            })
        })
        .collect()
}

fn text(path: &Path) -> io::Result<String> {
    if path.as_os_str() != "-" {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// A random number between -1 and 1.
fn uniform(rng: &mut impl Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 * (2.0 / 16_777_216.0) - 1.0
}

fn rows<T: std::fmt::Display>(out: &mut impl Write, values: &[T], width: usize) -> io::Result<()> {
    for row in values.chunks(width.max(1)) {
        let words: Vec<String> = row.iter().map(T::to_string).collect();
        writeln!(out, "{}", words.join(" "))?;
    }
    Ok(())
}

/// The function that turns a network's outputs into probabilities; `None` if they are not probabilities.
fn probability(network: &Network) -> Option<fn(f32) -> f32> {
    match (network.ending(), network.layers().last()) {
        (Ending::Softmax, _) => Some(|y| y),
        (Ending::LogSoftmax, _) => Some(f32::exp),
        (Ending::None, Some(Layer::Dense(dense))) if dense.activation() == Some(Activation::Sigmoid) => {
            Some(|y| y)
        }
        (Ending::None, Some(Layer::Activate(layer))) if layer.function() == Activation::Sigmoid => {
            Some(|y| y)
        }
        _ => None,
    }
}

/// Prints each row of outputs. A comment after them names the classes with their probabilities, the greatest
/// first.
fn named_rows(
    out: &mut impl Write,
    y: &[f32],
    classes: &[String],
    probability: fn(f32) -> f32,
) -> io::Result<()> {
    for row in y.chunks(classes.len()) {
        let words: Vec<String> = row.iter().map(f32::to_string).collect();
        let mut named: Vec<_> = classes.iter().zip(row.iter().map(|y| probability(*y))).collect();
        named.sort_by(|a, b| b.1.total_cmp(&a.1));
        let names: Vec<String> = named.iter().map(|(name, p)| format!("{name} {:.2} %", 100.0 * p)).collect();
        writeln!(out, "{}  # {}", words.join(" "), names.join(", "))?;
    }
    Ok(())
}

/// The options of the command.
pub struct Run {
    pub source: Source,
    pub input: Option<PathBuf>,
    pub steps: u32,
    pub seed: u64,
    pub state: Option<PathBuf>,
    pub expect: Option<PathBuf>,
    pub against: Option<PathBuf>,
    pub tolerance: f32,
}

/// The input of a run: ids or values.
struct Given {
    ids: Vec<u32>,
    values: Vec<f32>,
}

impl Run {
    /// Reads the numbers of a file.
    fn numbers<T: FromStr>(path: &Path) -> Result<Vec<T>, Failure> {
        numbers(path, &text(path).map_err(|e| Failure::at(path, e))?)
    }

    /// The input: from the given file, otherwise random.
    fn given(&self, network: &Network, width: usize) -> Result<Given, Failure> {
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let (first, steps) = (network.layers().next(), self.steps);
        match (first, &self.input) {
            (Some(Layer::Embedding(_)), Some(path)) => ids = Self::numbers(path)?,
            (Some(Layer::Embedding(table)), None) => {
                ids = (0..steps).map(|_| (rng.next_u64() % table.classes().max(1) as u64) as u32).collect();
            }
            (_, Some(path)) => values = Self::numbers(path)?,
            (_, None) => {
                values = (0..(steps as usize).saturating_mul(width)).map(|_| uniform(&mut rng)).collect();
            }
        }
        let len = ids.len().max(values.len());
        let path = self.input.as_deref().unwrap_or(Path::new("-"));
        if width == 0 || len % width != 0 {
            let why = format!("{len} numbers are not a multiple of {width}, the model's input size");
            return Err(Failure::at(path, why));
        }
        if len == 0 {
            return Err(Failure::at(path, "the input has no steps"));
        }
        Ok(Given { ids, values })
    }

    /// Runs the model. Prints its outputs, or their difference from the expected ones.
    pub fn print(&self, out: &mut impl Write) -> Result<(), Failure> {
        let at_model = |e: models::Error| Failure::at(&self.source.file, e);
        let (network, ..) = self.source.read()?;
        let mut instance = network.instance().map_err(at_model)?;
        let (width, output) = (instance.input(), instance.output());
        let Given { ids, values } = self.given(&network, width)?;
        if let Some(path) = &self.state {
            let state = Self::numbers(path)?;
            let (has, needs) = (state.len(), instance.state().len());
            if has != needs {
                let why = format!("{has} numbers, but the model's state has {needs}");
                return Err(Failure::at(path, why));
            }
            instance.set_state(&state).map_err(at_model)?;
        }
        let x = if ids.is_empty() { Input::Values(&values) } else { Input::Ids(&ids) };
        let steps = ids.len().max(values.len()) / width;
        let y = instance.forward(Sequences::new(steps, 1), x).map_err(at_model)?;
        if let Some(path) = &self.against {
            return self.against(path, &network, x, y, steps, out);
        }
        if let Some(path) = &self.expect {
            return self.compare(path, y, output, out);
        }
        if self.input.is_none() {
            writeln!(out, "# input")?;
            rows(out, &ids, 1)?;
            rows(out, &values, width)?;
            writeln!(out, "# output")?;
        }
        match probability(&network) {
            Some(p) if !network.classes().is_empty() => Ok(named_rows(out, y, network.classes(), p)?),
            _ => Ok(rows(out, y, output)?),
        }
    }

    /// Prints the difference of the outputs from those of another model.
    fn against(
        &self,
        path: &Path,
        network: &Network,
        x: Input<'_>,
        y: &[f32],
        steps: usize,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let at = |e| Failure::at(path, e);
        let (other, ..) = ReadOptions::new().open(path).map_err(at)?;
        let mut instance = other.instance().map_err(at)?;
        let width = instance.output();
        let expected = instance.forward(Sequences::new(steps, 1), x).map_err(at)?;
        if expected.len() != y.len() {
            let why =
                format!("it has {} outputs for this input, but the model has {}", expected.len(), y.len());
            return Err(Failure::at(path, why));
        }
        let names = network.classes();
        writeln!(out, "{:<20} {:>12} {:>12} {:>12}", "output", "largest", "mean", "of largest")?;
        for output in 0..width {
            let pairs = y.iter().zip(expected).skip(output).step_by(width);
            let (mut largest, mut sum, mut most, mut count) = (0f64, 0f64, 0f64, 0f64);
            for (y, expected) in pairs {
                let error = f64::from((y - expected).abs());
                // NaN counts as greater than any number.
                largest = if error.is_nan() || error > largest { error } else { largest };
                (sum, most, count) = (sum + error, most.max(f64::from(expected.abs())), count + 1.0);
            }
            let name = names.get(output).cloned().unwrap_or_else(|| output.to_string());
            writeln!(out, "{name:<20} {largest:>12.2e} {:>12.2e} {most:>12.2e}", sum / count)?;
        }
        Ok(())
    }

    /// Prints the largest difference between the outputs and the expected ones. A difference above the
    /// tolerance is a failure.
    fn compare(&self, path: &Path, y: &[f32], width: usize, out: &mut impl Write) -> Result<(), Failure> {
        let expected: Vec<f32> = Self::numbers(path)?;
        if expected.len() != y.len() {
            let (has, gives) = (expected.len(), y.len());
            let why = format!("{has} numbers, but the model gives {gives}: {width} for each row");
            return Err(Failure::at(path, why));
        }
        // An infinite expected value would make the limit infinite.
        let finite = expected.iter().filter(|x| x.is_finite());
        let limit = self.tolerance * finite.fold(1f32, |most, x| most.max(x.abs()));
        let difference = |y: f32, expected: f32| match y == expected || y.is_nan() && expected.is_nan() {
            true => 0.0,
            false if (y - expected).is_nan() => f32::INFINITY,
            false => (y - expected).abs(),
        };
        let all = y.iter().zip(&expected).map(|(y, expected)| difference(*y, *expected));
        let (at, worst) = all.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
        let (row, feature) = (at / width, at % width);
        let place = format!("row {row}, output {feature}: {} where {} is expected", y[at], expected[at]);
        writeln!(out, "largest difference {worst:e} of {} outputs, {place}", y.len())?;
        if worst <= limit {
            return Ok(());
        }
        let why = format!("the outputs differ by more than {limit:e} (--tolerance)");
        Err(Failure::at(&self.source.file, why))
    }
}
