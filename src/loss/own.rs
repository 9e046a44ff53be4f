//! Losses that a program defines.

use core::fmt;

use crate::error::Result;
use crate::kernel::taken::Rows;
use crate::layer::Sequences;

/// The arguments of such a loss: the outputs of a batch, or of some of its rows.
#[derive(Debug)]
pub struct OwnBatch<'a> {
    /// Steps, rows, and which steps take part.
    pub sequences: Sequences<'a>,
    /// The index of the first of these rows in the batch. It is not 0 if a
    /// [`Trainer`](crate::trainer::Trainer) has split the batch into shards.
    pub first_row: usize,
    /// The number of outputs of each step.
    pub width: usize,
    /// The outputs, `[T, B, width]`, or `[B, width]` for a model with a pool.
    pub y: &'a [f32],
    /// If given, takes the gradient of the returned loss, in the shape of `y`. It is zero before the call.
    /// Values that are written for steps that do not take part have no effect.
    pub dy: Option<&'a mut [f32]>,
}

/// Sets the gradients of steps that do not take part to zero, because layers above recurrent ones read those
/// of all rows.
pub(crate) fn clear_absent(dy: &mut [f32], width: usize, sequences: Sequences<'_>) -> Result<()> {
    let walk = sequences.walk(false)?;
    if walk.is_dense() {
        return Ok(());
    }
    let mut rest = 0;
    for row in Rows::present(&walk).iter() {
        dy[rest * width..row * width].fill(0.0);
        rest = row + 1;
    }
    dy[rest * width..].fill(0.0);
    Ok(())
}

/// A function that returns the mean loss of outputs and writes its gradient. The mean is over the steps that
/// take part, or over the rows of a model with a pool. Means of several batches or shards are weighed by the
/// number of these steps or rows.
///
/// Shards may call it from several threads at the same time. State that it changes has to be behind a lock or
/// an atomic.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    pub(crate) of: &'a (dyn Fn(OwnBatch<'_>) -> f32 + Sync),
    pub(crate) first_row: usize,
}

impl fmt::Debug for Own<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").field("first_row", &self.first_row).finish_non_exhaustive()
    }
}
