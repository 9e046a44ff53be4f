//! The updates, their losses and their speed.

use std::time::Instant;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::Loss;
use recurrent::trainer::{Batch, Predictor};
use recurrent::{Narrow, Sequences};

use crate::Failure;
use crate::checkpoint::{Checkpoint, RECENT};
use crate::corpus::Streams;

/// The random generator of update number `update`.
pub fn rng(seed: u64, update: u64) -> Xoshiro256PlusPlus {
    // An odd factor, the golden ratio, so that neighbouring numbers are far apart.
    Xoshiro256PlusPlus::seed_from_u64(seed ^ update.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Makes updates of a checkpoint.
pub struct Training<'a> {
    streams: &'a Streams,
    pub now: Checkpoint,
    x: Vec<u32>,
    targets: Vec<u32>,
    chars: u64,
    seconds: f64,
}

/// A window of streams as a batch.
fn batch<'a>(now: &Checkpoint, x: &'a [u32], targets: &'a [u32]) -> Batch<'a> {
    let sequences = Sequences::new(x.len() / now.batch, now.batch);
    Batch { sequences, x: x.into(), loss: Loss::classes(targets) }
}

impl<'a> Training<'a> {
    pub fn new(streams: &'a Streams, now: Checkpoint) -> Self {
        let window = vec![0; now.batch * now.steps];
        Training { streams, x: window.clone(), targets: window, chars: 0, seconds: 0.0, now }
    }

    /// One update: the next window of all streams. The trainer is stateful, so that each stream continues
    /// where the previous window ended: truncated backpropagation through time. At the start of the text,
    /// states are reset.
    pub fn update(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        let Training { streams, now, x, targets, .. } = self;
        if (now.position as usize).saturating_add(now.steps) > streams.len {
            now.position = 0;
            now.trainer.reset();
        }
        streams.window(now.position as usize, x, targets);
        let mut rng = rng(now.seed, now.trainer.updates() + 1);
        let update = now.trainer.update(batch(now, x, targets), &mut rng)?;
        if update.norm.is_none() {
            return Err(Failure::new(format!(
                "the training diverged at update {} (loss {}): a smaller --lr or --clip may help",
                update.updates + 1,
                update.loss,
            )));
        }
        now.position += now.steps as u64;
        if now.losses.len() == RECENT {
            now.losses.remove(0);
        }
        now.losses.push(update.loss);
        self.chars += self.x.len() as u64;
        self.seconds += start.elapsed().as_secs_f64();
        Ok(())
    }

    /// Characters per second of all updates so far.
    pub fn rate(&self) -> f64 {
        if self.chars == 0 { 0.0 } else { self.chars as f64 / self.seconds }
    }
}

/// Mean loss of the last updates; NaN before the first.
pub fn recent(losses: &[f32]) -> f64 {
    losses.iter().map(|&x| f64::from(x)).sum::<f64>() / losses.len() as f64
}

/// The mean loss over all characters of the streams, read once from beginning to end; from narrow weights, if
/// a format is given.
pub fn validate(now: &Checkpoint, streams: &Streams, format: Option<Narrow>) -> Result<f64, Failure> {
    let steps = now.steps.min(streams.len);
    let mut run = match format {
        None => now.trainer.predictor()?.stateful(),
        Some(format) => Predictor::new(&now.shape.model()?.narrow(format), now.trainer.weights())?.stateful(),
    };
    let (mut x, mut targets) = (vec![0; steps * now.batch], vec![0; steps * now.batch]);
    let mut sum = 0.0;
    for from in (0..streams.len).step_by(steps) {
        let rows = steps.min(streams.len - from) * now.batch;
        let (x, targets) = (&mut x[..rows], &mut targets[..rows]);
        streams.window(from, x, targets);
        sum += f64::from(run.loss(batch(now, x, targets))?) * rows as f64;
    }
    Ok(sum / streams.chars() as f64)
}
