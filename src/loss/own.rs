//! A loss of one's own.

use core::fmt;

use crate::layer::Sequences;

/// What a loss of one's own is given: the outputs of a batch, or of some of its rows.
#[derive(Debug)]
pub struct OwnBatch<'a> {
    /// Steps, rows, and which of them take part.
    pub sequences: Sequences<'a>,
    /// The first of these rows in the batch. It is not 0 where a [`Trainer`](crate::trainer::Trainer) has cut
    /// a batch into shards.
    pub first_row: usize,
    /// The outputs of a step.
    pub width: usize,
    /// The outputs, `[T, B, width]`, or `[B, width]` for a model with a pool.
    pub y: &'a [f32],
    /// If given, takes the gradient of the number that is given back, as long as `y`. It is zero before; what
    /// is written where no step takes part has no effect.
    pub dy: Option<&'a mut [f32]>,
}

/// A function that gives the mean loss of outputs and writes its gradient. The mean is one over the steps
/// that take part, or over the rows of a model with a pool: means of several batches or shards are weighed by
/// these.
///
/// Shards may call it at the same time on several threads, so what it keeps is behind a lock or an atomic.
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
