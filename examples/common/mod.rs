//! What the examples have in common: options, a progress bar, random numbers, plots, and a layer's training
//! pass.
//!
//! An example is `fn main() -> Result<(), Failure>` with its options read by clap, among them [`Common`].
#![allow(dead_code, reason = "no example uses all of it")]

pub mod pass;
pub mod plot;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::Narrow;

/// The formats that `--narrow` compares.
pub const FORMATS: [Narrow; 4] = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];

/// What went wrong, in one line, made from any error; `main` shows it as it is.
pub struct Failure(pub String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(e: E) -> Self {
        Failure(e.to_string())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Options of every example.
#[derive(clap::Args, Debug)]
pub struct Common {
    /// Seed of all random numbers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print nothing but the last line
    #[arg(long)]
    pub quiet: bool,
    /// Where to put the plot, an SVG file [default: beside the program]
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl Common {
    /// The generator for one purpose. Different purposes get different numbers from the same seed.
    pub fn rng(&self, purpose: u64) -> Xoshiro256PlusPlus {
        Xoshiro256PlusPlus::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(purpose))
    }

    /// Prints a line on standard output, unless the user wants only the last one ([`conclude`]).
    pub fn say(&self, line: impl fmt::Display) {
        if !self.quiet {
            conclude(line);
        }
    }

    /// A progress bar. It is drawn on standard error, and only if that is a terminal.
    pub fn progress(&self, len: usize) -> Result<ProgressBar, Failure> {
        let bar = if self.quiet { ProgressBar::hidden() } else { ProgressBar::new(len as u64) };
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {eta} left")?);
        Ok(bar)
    }

    /// Writes a plot of the panels, with `columns` panels in a row, and prints its path.
    pub fn plot(&self, columns: usize, panels: &[&dyn plot::Panel]) -> Result<(), Failure> {
        let file = match &self.plot {
            Some(file) => file.clone(),
            None => std::env::current_exe()?.with_extension("svg"),
        };
        fs::write(&file, plot::svg(columns, panels)?)
            .map_err(|e| Failure(format!("cannot write {}: {e}", file.display())))?;
        self.say(format_args!("the plot is in {}", file.display()));
        Ok(())
    }
}

/// Prints a line on standard output. If nobody reads it, this is not an error.
pub fn conclude(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}
