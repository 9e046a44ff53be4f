//! A padded batch of sequences, as the passes take it.

use crate::error::{Error, Need, Result, check_shape};
use crate::kernel::taken::Rows;
use crate::kernel::{Masked, Plan, Walk};

/// A batch of sequences: the number of steps and rows, their order in memory, and which of them take part.
///
/// The same value describes the batch to the forward and to the backward pass. Rows are independent: each
/// gives the same bits as alone and without padding.
///
/// ```
/// use recurrent::{Forward, Gru, Sequences};
/// const LAYER: Gru = Gru::new(1, 4);
/// let weights = [0.3; LAYER.weights_len()];
/// // Two sequences, of three steps and of one step, padded. The contents of the padding do not matter.
/// let x = [1.0, 4.0, /**/ 2.0, f32::NAN, /**/ 3.0, f32::NAN]; // [T, B, I]
/// let (mut y, mut state) = ([0.0; 3 * 2 * 4], [0.0; LAYER.state_len(2)]);
/// let mut scratch = [0.0; LAYER.scratch_len(3, 2)];
/// let sequences = Sequences::new(3, 2).lengths(&[3, 1]);
/// LAYER.forward(&weights, Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch })?;
/// assert_eq!(state[..4], y[4 * 4..5 * 4]); // the first row's last step is the third
/// assert_eq!(state[4..], y[4..2 * 4]); // the second row's is the first
/// assert_eq!(y[5 * 4..], [0.0; 4]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequences<'a> {
    pub(crate) steps: usize,
    pub(crate) batch: usize,
    pub(crate) batch_major: bool,
    pub(crate) lengths: Option<&'a [usize]>,
    pub(crate) mask: Option<(&'a [bool], Masked)>,
    pub(crate) resets: Option<&'a [bool]>,
}

impl<'a> Sequences<'a> {
    /// `batch` rows of `steps` steps, time-major: `x` is `[T, B, I]`, `y` is `[T, B, H]`.
    pub const fn new(steps: usize, batch: usize) -> Self {
        Sequences { steps, batch, batch_major: false, lengths: None, mask: None, resets: None }
    }

    /// Batch-major buffers: `x` is `[B, T, I]`, `y` is `[B, T, H]`. Nothing is copied.
    pub const fn batch_major(mut self) -> Self {
        self.batch_major = true;
        self
    }

    /// The number of steps of each row, `[B]`, in any order, each from 0 to `T`.
    ///
    /// After its end a row does nothing: its output is zero, its last state is the state after its last step,
    /// and its gradients are exactly zero. A layer in reverse starts each row at the row's own end.
    pub const fn lengths(mut self, lengths: &'a [usize]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// Which steps take part: one entry for each row of `x`, in the order of `x`. A step with `false` leaves
    /// the state as it is, and gradients pass it unchanged.
    ///
    /// ```
    /// use recurrent::{Forward, Masked, Rnn, Sequences};
    /// const LAYER: Rnn = Rnn::new(1, 1);
    /// let (weights, x) = ([1.0, 1.0, 0.0, 0.0], [0.5, f32::NAN, 0.5]);
    /// let run = |masked| {
    ///     let (mut y, mut state, mut scratch) = ([0.0; 3], [0.0], [0.0; LAYER.scratch_len(3, 1)]);
    ///     let sequences = Sequences::new(3, 1).mask(&[true, false, true], masked);
    ///     let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
    ///     LAYER.forward(&weights, args).map(|()| y)
    /// };
    /// let (carried, zero) = (run(Masked::Carry)?, run(Masked::Zero)?);
    /// assert_eq!((carried[1], zero[1]), (carried[0], 0.0));
    /// assert_eq!(carried[2], zero[2]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub const fn mask(mut self, mask: &'a [bool], output: Masked) -> Self {
        self.mask = Some((mask, output));
        self
    }

    /// The steps before which the state is set to zero, for example for a new document in a stream or a new
    /// episode: one entry for each row of `x`, in the order of `x`. No gradient goes back over a reset. A
    /// layer in reverse visits the steps from the end.
    pub const fn resets(mut self, resets: &'a [bool]) -> Self {
        self.resets = Some(resets);
        self
    }

    /// Number of steps, with padding, `T`.
    pub const fn steps(&self) -> usize {
        self.steps
    }

    /// Number of batch rows, `B`.
    pub const fn batch(&self) -> usize {
        self.batch
    }

    /// Whether this is one step of one row, without lengths, mask or resets.
    #[inline(always)]
    pub(crate) const fn is_one_step(&self) -> bool {
        let listed = self.lengths.is_some() || self.mask.is_some() || self.resets.is_some();
        self.steps == 1 && self.batch == 1 && !listed
    }

    /// Rejects lists that do not fit, as every pass does.
    pub(crate) fn check(&self) -> Result<()> {
        self.walk(false).map(drop)
    }

    /// Number of rows (a step of a batch row) that take part.
    pub(crate) fn present(&self) -> Result<usize> {
        Ok(Rows::present(&self.walk(false)?).count())
    }

    /// The order in which a layer goes over the rows.
    // Inlined: copying the result right after it was written would stall on the store.
    #[cfg_attr(not(target_os = "none"), inline(always))]
    #[cfg_attr(target_os = "none", inline)]
    pub(crate) fn walk(&self, reverse: bool) -> Result<Walk<'a>> {
        let Sequences { steps, batch, batch_major, lengths, mask, resets } = *self;
        let rows = steps.saturating_mul(batch);
        // A number of rows that overflows is rejected for any width, also for 0.
        if rows == usize::MAX {
            return Err(Error::Overflow { buffer: "x" });
        }
        if let Some(lengths) = lengths {
            check_shape("lengths", Need::ROWS, batch, lengths.len())?;
            if let Some(position) = lengths.iter().position(|length| *length > steps) {
                let id = lengths[position];
                return Err(Error::Index { buffer: "lengths", position, id, limit: steps + 1 });
            }
        }
        if let Some((mask, _)) = mask {
            check_shape("mask", Need::STEPS_ROWS, rows, mask.len())?;
        }
        if let Some(resets) = resets {
            check_shape("resets", Need::STEPS_ROWS, rows, resets.len())?;
        }
        let plan = Plan { steps, batch, batch_major, reverse, lengths, mask, resets };
        Walk::new(plan).ok_or(Error::Overflow { buffer: "x" })
    }
}
