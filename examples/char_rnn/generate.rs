//! Writing.

use recurrent::Sampling;

use crate::Failure;
use crate::checkpoint::Checkpoint;
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

/// Passes the characters one by one to `out`, until it returns false. The prompt is not passed.
pub fn generate(
    now: &Checkpoint,
    how: Writing<'_>,
    mut out: impl FnMut(char) -> bool,
) -> Result<(), Failure> {
    let mut left = how.length;
    if left == 0 {
        return Ok(());
    }
    // Without a prompt it writes what comes after the end of a line.
    let start = [now.vocabulary.id('\n').unwrap_or(0)];
    let prompt = if how.prompt.is_empty() { &start } else { how.prompt };
    let mut rng = rng(now.seed, now.trainer.updates());
    now.trainer.predictor()?.generate(prompt, Sampling::new(how.temperature), &mut rng, |id| {
        left -= 1;
        out(now.vocabulary.char(id)) && left > 0
    })?;
    Ok(())
}
