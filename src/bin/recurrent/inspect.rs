//! What is in a file, and what the model needs.

use std::io::Write;

use recurrent::io::{Ending, describe, size};
use recurrent::model::Layer;

use crate::{Failure, Source};

/// Bytes of so many floats; a length that does not fit stays the greatest.
fn bytes(elements: usize) -> usize {
    elements.saturating_mul(size_of::<f32>())
}

pub fn print(source: &Source, batch: usize, steps: usize, out: &mut impl Write) -> Result<(), Failure> {
    let (network, format, len) = source.read()?;
    let layers: Vec<Layer> = network.layers().collect();
    let needs = size::of(&layers, steps, batch).map_err(|e| Failure::at(&source.file, e))?;

    writeln!(out, "{}: {}, {len} bytes", source.file.display(), format.name())?;
    for (index, (named, weights)) in network.parts().enumerate() {
        let name = if named.name.is_empty() { "-" } else { &named.name };
        writeln!(out, "{index:4}  {name:<20} {:>9}  {}", weights.len(), describe(&named.layer))?;
    }
    match network.ending() {
        Ending::Softmax => writeln!(out, "      {:<20} {:>9}  softmax, by `check` only", "-", 0)?,
        Ending::LogSoftmax => writeln!(out, "      {:<20} {:>9}  log-softmax, by `check` only", "-", 0)?,
        _ => {}
    }
    writeln!(out, "      {:<20} {:>9}  weights", "", needs.weights)?;

    writeln!(out, "\nbytes for {batch} x {steps} steps (--batch, --steps):\n")?;
    let mut row = |what: &str, n: usize, note: &str| match note {
        "" => writeln!(out, "  {what:<28} {n:>12}"),
        _ => writeln!(out, "  {what:<28} {n:>12}  {note}"),
    };
    row("flash: image", recurrent::image::len(&layers), "used in place")?;
    let inference = [("state", needs.state), ("scratch", needs.scratch), ("output", needs.output)];
    let sum = inference.iter().fold(0usize, |sum, part| sum.saturating_add(part.1));
    row("RAM: inference", bytes(sum), "and the input")?;
    for (what, n) in inference {
        row(&format!("  {what}"), bytes(n), "")?;
    }
    row("  packed weights", bytes(needs.packed), "more, if they are packed for vectors")?;
    let training = [
        ("weights and gradients", needs.weights.saturating_mul(2)),
        ("Adam's moments", needs.weights.saturating_mul(2)),
        ("state", needs.state),
        ("tape", needs.tape),
        ("factors of dropout", needs.dropout),
        ("scratch", needs.train_scratch),
    ];
    let sum = training.iter().fold(0usize, |sum, part| sum.saturating_add(part.1));
    row("RAM: training", bytes(sum), "and input and targets")?;
    for (what, n) in training {
        row(&format!("  {what}"), bytes(n), "")?;
    }
    Ok(())
}
