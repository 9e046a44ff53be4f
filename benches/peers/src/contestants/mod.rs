//! One file per library.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::Result;
use crate::case::Case;

mod burn;
mod candle;
mod nexus;
mod onnxruntime;
mod ours;
mod torch;
mod tract;

pub trait Contestant {
    fn name(&self) -> &'static str;
    fn version(&self) -> String;
    /// Builds the layer; false if the library has no such thing.
    fn set_up(&mut self, case: &Case) -> Result<bool>;
    /// What the first call after `set_up` gives: `y [T, B, H]`, and for training after it `dx` and the gradients of the weights.
    fn output(&mut self, case: &Case) -> Result<Vec<f32>>;
    /// The time of so many calls.
    fn run(&mut self, calls: usize) -> Result<Duration>;
}

/// The first is the one with which the others are compared. With several threads, those that have them, and this crate on one.
pub fn all(threads: usize) -> Result<Vec<Box<dyn Contestant>>> {
    let mut all: Vec<Box<dyn Contestant>> = vec![
        Box::new(ours::Ours::default()),
        Box::new(onnxruntime::OnnxRuntime::new(threads)?),
        Box::new(torch::Torch::new(threads)?),
    ];
    if threads == 1 {
        all.push(Box::new(tract::Tract::default()));
        all.push(Box::new(nexus::Nexus::default()));
        all.push(Box::new(candle::Candle::default()));
        all.push(Box::new(burn::Burn::default()));
    }
    Ok(all)
}

/// Times `calls` calls of `f`, each with dropping its result.
fn time<T>(calls: usize, mut f: impl FnMut() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(f()?);
    }
    Ok(start.elapsed())
}
