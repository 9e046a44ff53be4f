//! The `inspect` command: what is in a file, and what the model needs.

use std::io::Write;

use recurrent::io::{Ending, describe, size};
use recurrent::model::Layer;

use crate::weights::ALL;
use crate::{Failure, Source};

/// Bytes of this many floats; `None` on overflow.
fn bytes(elements: impl IntoIterator<Item = usize>) -> Option<usize> {
    let sum = elements.into_iter().try_fold(0usize, usize::checked_add)?;
    sum.checked_mul(size_of::<f32>())
}

pub fn print(source: &Source, batch: usize, steps: usize, out: &mut impl Write) -> Result<(), Failure> {
    let (network, format, len) = source.read()?;
    let layers: Vec<Layer> = network.layers().collect();
    let needs = size::of(&layers, steps, batch).map_err(|e| Failure::at(&source.file, e))?;

    writeln!(out, "{}: {}, {len} bytes", source.file.display(), format.name())?;
    let folded = network.clone().folded();
    for (index, (named, weights)) in network.parts().enumerate() {
        let name = if named.name.is_empty() { "-" } else { &named.name };
        let stays = !matches!(named.layer, Layer::Scale(_)) || folded.named().contains(named);
        let note = if stays { "" } else { "  folded into the matrix beside it, to run" };
        writeln!(out, "{index:4}  {name:<20} {:>9}  {}{note}", weights.len(), describe(&named.layer))?;
    }
    match network.ending() {
        Ending::Softmax => writeln!(out, "      {:<20} {:>9}  softmax, by `check` only", "-", 0)?,
        Ending::LogSoftmax => writeln!(out, "      {:<20} {:>9}  log-softmax, by `check` only", "-", 0)?,
        _ => {}
    }
    if !network.initial_state().is_empty() {
        writeln!(out, "      {:<20} {:>9}  initial state, not zeros", "-", 0)?;
    }
    writeln!(out, "      {:<20} {:>9}  weights", "", needs.weights)?;
    if !network.classes().is_empty() {
        writeln!(out, "\nclasses: {}", network.classes().join(", "))?;
    }

    let inference = [("state", needs.state), ("scratch", needs.scratch), ("output", needs.output)];
    let twice = bytes([needs.weights; 2]).map_or(usize::MAX, |bytes| bytes / size_of::<f32>());
    let training = [
        ("weights and gradients", twice),
        ("Adam's moments", twice),
        ("state", needs.state),
        ("tape", needs.tape),
        ("factors of dropout", needs.dropout),
        ("scratch", needs.train_scratch),
    ];
    let run: Vec<Layer> = folded.layers().collect();
    let image = Some(recurrent::image::len(&run)).filter(|len| *len < usize::MAX);
    let mut rows = vec![("flash: image", image, "used in place")];
    rows.push(("RAM: inference", bytes(inference.map(|part| part.1)), "and the input"));
    rows.extend(inference.map(|(what, n)| (what, bytes([n]), "")));
    rows.push(("packed weights", bytes([needs.packed]), "more, if they are packed for vectors"));
    rows.push(("RAM: training", bytes(training.map(|part| part.1)), "and input and targets"));
    rows.extend(training.map(|(what, n)| (what, bytes([n]), "")));

    let formats = formats(&layers, batch, steps);
    writeln!(out, "\nbytes for {batch} x {steps} steps (--batch, --steps):\n")?;
    for (what, n, note) in rows {
        let Some(n) = n else {
            let why = format!("{what}: more bytes for {batch} x {steps} steps than a machine word can count");
            return Err(Failure::at(&source.file, why));
        };
        let what = if what.contains(':') { what.to_string() } else { format!("  {what}") };
        writeln!(out, "{}", format!("  {what:<28} {n:>12}  {note}").trim_end())?;
    }
    writeln!(out, "\nwith weights in other formats (convert --weights):\n")?;
    writeln!(out, "  {:<10} {:>14} {:>16} {:>16}", "", "flash: image", "packed weights", "RAM: inference")?;
    for (name, [image, packed, ram]) in formats {
        writeln!(out, "  {name:<10} {image:>14} {packed:>16} {ram:>16}")?;
    }
    Ok(())
}

/// Bytes of the image, of packed weights and of the inference buffers, for each format that can hold all
/// matrices.
fn formats(layers: &[Layer], batch: usize, steps: usize) -> Vec<(&'static str, [usize; 3])> {
    let all = std::iter::once(("f32", None)).chain(ALL.map(|format| (format.name(), Some(format))));
    all.filter_map(|(name, format)| {
        let layers: Vec<Layer> =
            layers.iter().map(|l| format.map_or(l.wide(), |format| l.narrow(format))).collect();
        let needs = size::of(&layers, steps, batch).ok()?;
        let ram = bytes([needs.state, needs.scratch, needs.output])?;
        Some((name, [recurrent::image::len(&layers), bytes([needs.packed])?, ram]))
    })
    .collect()
}
