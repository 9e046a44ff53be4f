//! Writing.

use crate::Failure;
use crate::checkpoint::Checkpoint;
use crate::model::{Inference, Model};
use crate::train::rng;

/// How to write.
#[derive(Clone, Copy)]
pub struct Writing<'a> {
    /// Ids of the characters to begin with.
    pub prompt: &'a [u32],
    pub temperature: f32,
    /// Characters after the prompt.
    pub length: usize,
}

/// Gives the characters one by one to `out`, until it returns false. The prompt is not among them.
pub fn generate(
    model: &Model,
    now: &Checkpoint,
    how: Writing<'_>,
    mut out: impl FnMut(char) -> bool,
) -> Result<(), Failure> {
    let mut rng = rng(now.seed, now.updates);
    let mut run = Inference::new(model, &now.weights, 1, 1)?;
    // Without a prompt it writes what comes after the end of a line.
    let start = [now.vocabulary.id('\n').unwrap_or(0)];
    let prompt = if how.prompt.is_empty() { &start } else { how.prompt };
    let Some((&last, before)) = prompt.split_last() else { return Ok(()) };
    for &id in before {
        run.forward(&[id], 1)?;
    }
    let mut id = last;
    for _ in 0..how.length {
        id = recurrent::sample(run.forward(&[id], 1)?, how.temperature, &mut rng)? as u32;
        if !out(now.vocabulary.char(id)) {
            break;
        }
    }
    Ok(())
}
