//! Which row of a sequence buffer a batch row is at in a step.

/// The order in which the steps of a batch of sequences are taken.
///
/// Sequence buffers have one row for each step of each batch row; `row` is the index of that row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
}

impl Walk {
    /// Rows of a sequence buffer.
    pub(crate) fn rows(&self) -> usize {
        self.steps.saturating_mul(self.batch)
    }

    /// The row of batch row `b < batch` in step `t < steps`; always below `rows()`.
    #[inline(always)]
    pub(crate) fn row(&self, t: usize, b: usize) -> usize {
        debug_assert!(t < self.steps && b < self.batch);
        t * self.batch + b
    }
}
