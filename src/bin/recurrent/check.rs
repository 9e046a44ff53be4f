//! Running a model once.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::Sequences;
use recurrent::io as models;
use recurrent::model::{Input, Layer};

use crate::{Failure, Source};

/// The numbers of a text, without what stands behind a `#`.
fn numbers<T: FromStr>(path: &Path, text: &str) -> Result<Vec<T>, Failure> {
    // Comments, as `check` itself prints them.
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let words = lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()));
    let words = words.filter(|word| !word.is_empty());
    words
        .map(|word| {
            word.parse().map_err(|_| Failure::at(path, format!("`{word}` is no input of this model")))
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

/// Between -1 and 1.
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

/// What is run, and what comes of it.
pub struct Run {
    pub source: Source,
    pub input: Option<PathBuf>,
    pub steps: u32,
    pub seed: u64,
    pub state: Option<PathBuf>,
    pub expect: Option<PathBuf>,
    pub tolerance: f32,
}

impl Run {
    pub fn print(&self, out: &mut impl Write) -> Result<(), Failure> {
        let Run { source, input, steps, seed, state, .. } = self;
        let at_model = |e: models::Error| Failure::at(&source.file, e);
        let (network, ..) = source.read()?;
        let mut instance = network.instance().map_err(at_model)?;
        let text = input.as_ref().map(|path| text(path).map_err(|e| Failure::at(path, e))).transpose()?;
        let path = input.as_deref().unwrap_or(Path::new("-"));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(*seed);
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        let width = instance.input();
        match network.named().first().map(|named| named.layer) {
            Some(Layer::Embedding(table)) => {
                ids = match &text {
                    Some(text) => numbers(path, text)?,
                    None => {
                        (0..*steps).map(|_| (rng.next_u64() % table.classes().max(1) as u64) as u32).collect()
                    }
                };
            }
            _ => {
                values = match &text {
                    Some(text) => numbers(path, text)?,
                    None => (0..(*steps as usize).saturating_mul(width)).map(|_| uniform(&mut rng)).collect(),
                };
            }
        }
        let x = if ids.is_empty() { Input::Values(&values) } else { Input::Ids(&ids) };
        let len = ids.len().max(values.len());
        if width == 0 || len % width != 0 {
            let why = format!("{len} numbers are not a multiple of {width}, the model's input size");
            return Err(Failure::at(path, why));
        }
        if len == 0 {
            return Err(Failure::at(path, "the input has no steps"));
        }
        if let Some(path) = state {
            let state = numbers(path, &self::text(path).map_err(|e| Failure::at(path, e))?)?;
            if state.len() != instance.state().len() {
                let (has, needs) = (state.len(), instance.state().len());
                return Err(Failure::at(path, format!("{has} numbers, and the model's state has {needs}")));
            }
            instance.set_state(&state).map_err(at_model)?;
        }
        let output = instance.output();
        let y = instance.forward(Sequences::new(len / width, 1), x).map_err(at_model)?;
        if let Some(path) = &self.expect {
            return self.compare(path, y, output, out);
        }
        if input.is_none() {
            writeln!(out, "# input")?;
            rows(out, &ids, 1)?;
            rows(out, &values, width)?;
            writeln!(out, "# output")?;
        }
        Ok(rows(out, y, output)?)
    }

    /// Says how far the outputs are from those that are expected.
    fn compare(&self, path: &Path, y: &[f32], width: usize, out: &mut impl Write) -> Result<(), Failure> {
        let expected: Vec<f32> = numbers(path, &text(path).map_err(|e| Failure::at(path, e))?)?;
        if expected.len() != y.len() {
            let why =
                format!("{} numbers, and the model gives {}: {width} for each row", expected.len(), y.len());
            return Err(Failure::at(path, why));
        }
        let scale = expected.iter().fold(1f32, |most, x| most.max(x.abs()));
        let apart = |a: f32, b: f32| match (a.is_nan(), b.is_nan()) {
            (false, false) if a == b => 0.0, // infinities, too
            (false, false) => (a - b).abs(),
            (a, b) => {
                if a == b {
                    0.0
                } else {
                    f32::INFINITY
                }
            }
        };
        let (mut worst, mut at) = (0.0, 0);
        for (i, (&y, &expected)) in y.iter().zip(&expected).enumerate() {
            let apart = apart(y, expected);
            if apart > worst {
                (worst, at) = (apart, i);
            }
        }
        let (row, feature) = (at / width.max(1), at % width.max(1));
        let where_ = format!("row {row}, output {feature}: {} where {} is expected", y[at], expected[at]);
        writeln!(out, "largest difference {worst:e} of {} outputs, {where_}", y.len())?;
        match worst <= self.tolerance * scale {
            true => Ok(()),
            false => {
                let limit = self.tolerance * scale;
                Err(Failure::at(
                    &self.source.file,
                    format!("the outputs differ by more than {limit:e} (--tolerance)"),
                ))
            }
        }
    }
}
