//! Formats of weights: which layer gets which format, and how rounding changes its weights.

use std::io::Write;
use std::str::FromStr;

use recurrent::Narrow;
use recurrent::io::{Named, Network};

use crate::{Failure, Source};

/// The requested formats: for all layers, and for some by name.
#[derive(Clone, Debug, Default)]
pub struct Formats {
    /// Layers without a requested format keep that of the file.
    keep: bool,
    all: Option<Narrow>,
    named: Vec<(String, Option<Narrow>)>,
}

/// All narrow formats that the tool has names for.
pub const ALL: [Narrow; 4] = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];

fn format(name: &str) -> Result<Option<Narrow>, String> {
    match ALL.into_iter().find(|format| format.name() == name) {
        None if name != "f32" => {
            let names = ALL.map(Narrow::name).join(", ");
            Err(format!("`{name}` is not a format of weights; the formats are f32, {names} and keep"))
        }
        found => Ok(found),
    }
}

impl FromStr for Formats {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut formats = Formats::default();
        for part in text.split(',') {
            match part.rsplit_once('=') {
                Some((name, of)) => formats.named.push((name.to_string(), format(of)?)),
                None if part == "keep" => (formats.keep, formats.all) = (true, None),
                None => (formats.keep, formats.all) = (false, format(part)?),
            }
        }
        Ok(formats)
    }
}

impl Formats {
    /// The format of a layer. The layer may already have one.
    fn of(&self, named: &Named) -> Option<Narrow> {
        let others = if self.keep { named.layer.narrow_format() } else { self.all };
        self.named.iter().rev().find(|(name, _)| *name == named.name).map_or(others, |found| found.1)
    }

    /// Converts the network to these formats. Prints how the weights of each layer change.
    pub fn apply(&self, source: &Source, network: Network, out: &mut impl Write) -> Result<Network, Failure> {
        if let Some((name, _)) =
            self.named.iter().find(|(name, _)| network.named().iter().all(|l| l.name != *name))
        {
            let names: Vec<&str> = network.named().iter().map(|l| l.name.as_str()).collect();
            let why = format!("--weights: there is no layer `{name}`; the layers are {}", names.join(", "));
            return Err(Failure::at(&source.file, why));
        }
        let network = if self.keep { network.with_exact_formats() } else { network };
        let rounded = network.clone().with_formats(|named| self.of(named));
        let rounded = rounded.map_err(|e| Failure::at(&source.file, e))?;
        for ((named, before), (_, after)) in network.parts().zip(rounded.parts()) {
            let Some(format) = self.of(named) else { continue };
            let errors = before.iter().zip(after).map(|(a, b)| f64::from((a - b).abs()));
            let (largest, squares) = errors.fold((0f64, 0f64), |(most, sum), e| (most.max(e), sum + e * e));
            let rms = (squares / before.len().max(1) as f64).sqrt();
            let name = if named.name.is_empty() { "-" } else { &named.name };
            let format = format.name();
            writeln!(
                out,
                "{name}: {format}, weights change by at most {largest:.1e}, root mean square {rms:.1e}"
            )?;
        }
        Ok(rounded)
    }
}
