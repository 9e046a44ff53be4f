//! Running a model once.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::io::size;
use recurrent::model::{Input, Layer};

use crate::{Failure, Source};

/// The numbers of a text.
fn numbers<T: FromStr>(path: &Path, text: &str) -> Result<Vec<T>, Failure> {
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
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

pub fn print(
    source: &Source,
    input: Option<&Path>,
    steps: u32,
    seed: u64,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let (network, ..) = source.read()?;
    let layers: Vec<Layer> = network.layers().collect();
    let needs = size::of(&layers, 1, 1).map_err(|e| Failure::at(&source.file, e))?;
    let text = input.map(|path| text(path).map_err(|e| Failure::at(path, e))).transpose()?;
    let path = input.unwrap_or(Path::new("-"));
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut ids, mut values) = (Vec::new(), Vec::new());
    let width = needs.input;
    match layers.first() {
        Some(Layer::Embedding(table)) => {
            ids = match &text {
                Some(text) => numbers(path, text)?,
                None => (0..steps).map(|_| (rng.next_u64() % table.classes().max(1) as u64) as u32).collect(),
            };
        }
        _ => {
            values = match &text {
                Some(text) => numbers(path, text)?,
                None => (0..(steps as usize).saturating_mul(width)).map(|_| uniform(&mut rng)).collect(),
            };
        }
    }
    let x = if ids.is_empty() { Input::Values(&values) } else { Input::Ids(&ids) };
    let len = ids.len().max(values.len());
    if width == 0 || len % width != 0 {
        return Err(Failure::at(path, format!("{len} numbers are no whole steps of {width}")));
    }
    if len == 0 {
        return Err(Failure::at(path, "the input has no steps"));
    }
    let y = network.run(x, len / width, 1).map_err(|e| Failure::at(&source.file, e))?;
    if input.is_none() {
        writeln!(out, "# input")?;
        rows(out, &ids, 1)?;
        rows(out, &values, width)?;
        writeln!(out, "# output")?;
    }
    Ok(rows(out, &y, needs.width)?)
}
