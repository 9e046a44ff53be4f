//! The updates, and the figures about them.

use std::time::Instant;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::train::{Adam, clip_scale};

use crate::Failure;
use crate::checkpoint::{Checkpoint, RECENT};
use crate::corpus::Streams;
use crate::model::{Inference, Model, Training};

/// The generator of what is drawn at update number `update`.
pub fn rng(seed: u64, update: u64) -> Xoshiro256PlusPlus {
    // An odd factor, the golden ratio, so that neighbouring numbers are far apart.
    Xoshiro256PlusPlus::seed_from_u64(seed ^ update.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Makes updates of a checkpoint. It allocates when it is made, and not in updates.
pub struct Trainer<'a> {
    model: &'a Model,
    streams: &'a Streams,
    pub now: Checkpoint,
    adam: Adam,
    grads: Vec<f32>,
    x: Vec<u32>,
    targets: Vec<u32>,
    buffers: Training,
    chars: u64,
    seconds: f64,
}

impl<'a> Trainer<'a> {
    pub fn new(model: &'a Model, streams: &'a Streams, mut now: Checkpoint) -> Self {
        let rows = now.batch * now.steps;
        let mut adam = Adam::new(now.lr);
        adam.step = now.updates;
        now.losses.reserve_exact(RECENT - now.losses.len());
        Trainer {
            model,
            streams,
            adam,
            grads: vec![0.0; now.weights.len()],
            x: vec![0; rows],
            targets: vec![0; rows],
            buffers: Training::new(model, now.steps, now.batch),
            chars: 0,
            seconds: 0.0,
            now,
        }
    }

    /// One update: the next window of all streams.
    pub fn update(&mut self) -> Result<(), Failure> {
        let start = Instant::now();
        let now = &mut self.now;
        if (now.position as usize).saturating_add(now.steps) > self.streams.len {
            now.position = 0;
            now.state.fill(0.0);
        }
        self.streams.window(now.position as usize, &mut self.x, &mut self.targets);
        let loss = self.model.forward_backward(
            &now.weights,
            &mut self.grads,
            &mut now.state,
            &self.x,
            &self.targets,
            &mut self.buffers,
        )?;
        let clip = clip_scale(&self.grads, now.clip)?;
        let (true, Some(clip)) = (loss.is_finite(), clip) else {
            return Err(Failure::new(format!(
                "the training diverged at update {} (loss {loss}, gradients {}): a smaller --lr or --clip may help",
                now.updates + 1,
                if clip.is_some() { "finite" } else { "not finite" },
            )));
        };
        self.adam.update_scaled(&mut now.weights, &self.grads, &mut now.moments, clip.scale)?;
        now.position += now.steps as u64;
        now.updates += 1;
        if now.losses.len() == RECENT {
            now.losses.remove(0);
        }
        now.losses.push(loss);
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

/// The mean loss over all characters of the streams, read once from beginning to end.
pub fn validate(model: &Model, now: &Checkpoint, streams: &Streams) -> Result<f64, Failure> {
    let (batch, steps) = (now.batch, now.steps.min(streams.len));
    let mut run = Inference::new(model, &now.weights, steps, batch)?;
    let (mut x, mut targets) = (vec![0; steps * batch], vec![0; steps * batch]);
    let mut sum = 0.0;
    for from in (0..streams.len).step_by(steps) {
        let rows = steps.min(streams.len - from) * batch;
        let (x, targets) = (&mut x[..rows], &mut targets[..rows]);
        streams.window(from, x, targets);
        let logits = run.forward(x, batch)?;
        let loss = recurrent::cross_entropy(now.shape.vocabulary, logits, targets, None)?;
        sum += f64::from(loss) * rows as f64;
    }
    Ok(sum / streams.chars() as f64)
}
