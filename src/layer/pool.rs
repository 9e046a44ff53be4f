//! Pooling over time: reduces the steps of each sequence to one row.

use super::buffer::{Sum, WIDE};
use super::sequences::Sequences;
use crate::error::{Error, Need, Result, check_shape};
use crate::kernel::Walk;

/// How the steps of a sequence are reduced to one row. Only steps that take part count, not those past the
/// end of a sequence or masked ones. A sequence without such steps gives zeros. Resets are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The last step.
    Last,
    /// The mean of the steps.
    Mean,
    /// The maximum of each feature; NaN if one is NaN. Its gradient goes to the first step that has the
    /// maximum.
    Max,
    /// The last state of each direction: the first half of the features of the last step, and the second half
    /// of the features of the first step. It is for layers with
    /// [both directions side by side](crate::Merge::Concat), like PyTorch's `h_n` of the last layer and
    /// Keras' `Bidirectional` without `return_sequences`.
    Ends,
    /// The first step: the last state of a layer that runs in reverse, like ONNX' `Y_h` and Keras'
    /// `go_backwards` without `return_sequences`.
    First,
}

/// Compares two numbers; NaN counts as greater than any number.
fn exceeds(x: f32, most: f32) -> bool {
    x > most || (x.is_nan() && !most.is_nan())
}

impl Pool {
    /// One row for each sequence: `x [T, B, D]` (or batch-major, as `sequences` says), `y [B, D]` with `D`
    /// being `width`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (or of a list in the sequences);
    /// [`Error::Index`] for a length above the steps.
    ///
    /// ```
    /// use recurrent::{Pool, Sequences};
    /// let x = [1.0, 5.0, /**/ 2.0, f32::NAN, /**/ 6.0, f32::NAN]; // [T, B, 1]
    /// let sequences = Sequences::new(3, 2).lengths(&[3, 1]);
    /// let mut y = [0.0; 2];
    /// Pool::Mean.forward(1, sequences, &x, &mut y)?;
    /// assert_eq!(y, [3.0, 5.0]);
    /// Pool::Last.forward(1, sequences, &x, &mut y)?;
    /// assert_eq!(y, [6.0, 5.0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn forward(self, width: usize, sequences: Sequences<'_>, x: &[f32], y: &mut [f32]) -> Result<()> {
        let walk = check(width, sequences, ("x", x.len()), ("y", y.len()))?;
        if width == 0 {
            return Ok(());
        }
        let step = |row: usize| &x[row * width..(row + 1) * width];
        for (b, y) in y.chunks_exact_mut(width).enumerate() {
            y.fill(0.0);
            match self {
                Pool::Last | Pool::First | Pool::Ends => {
                    // The features before this one are those of the last step, the others those of the first.
                    let at = match self {
                        Pool::Last => width,
                        Pool::First => 0,
                        _ => width / 2,
                    };
                    let mut rows = walk.sequence(b);
                    let first = if at < width { rows.next() } else { None };
                    let last = if at > 0 { rows.next_back().or(first) } else { None };
                    let (left, right) = y.split_at_mut(at);
                    for (to, row, from) in [(left, last, 0), (right, first, at)] {
                        if let Some(row) = row {
                            to.copy_from_slice(&step(row)[from..][..to.len()]);
                        }
                    }
                }
                Pool::Mean | Pool::Max => {
                    for (i, y) in y.chunks_mut(WIDE).enumerate() {
                        let (mut sums, mut count) = ([Sum::default(); WIDE], 0);
                        for row in walk.sequence(b) {
                            let x = &step(row)[i * WIDE..][..y.len()];
                            match self {
                                Pool::Mean => sums.iter_mut().zip(x).for_each(|(sum, x)| sum.add(*x)),
                                _ if count == 0 => y.copy_from_slice(x),
                                _ => {
                                    for (y, &x) in y.iter_mut().zip(x) {
                                        *y = if exceeds(x, *y) { x } else { *y };
                                    }
                                }
                            }
                            count += 1;
                        }
                        if let Pool::Mean = self {
                            let count = count.max(1) as f32;
                            y.iter_mut().zip(sums).for_each(|(y, sum)| *y = sum.total() / count);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Computes the gradient of the input from that of the output: `x` of the forward pass and `dx` are
    /// `[T, B, D]` (or batch-major), `dy` is `[B, D]`. Steps that do not take part have a gradient of zero.
    /// `x` is read only for the maximum.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    ///
    /// ```
    /// use recurrent::{Pool, Sequences};
    /// let mut dx = [f32::NAN; 3];
    /// Pool::Max.backward(1, Sequences::new(3, 1), &[1.0, 4.0, 4.0], &[0.5], &mut dx)?;
    /// assert_eq!(dx, [0.0, 0.5, 0.0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn backward(
        self,
        width: usize,
        sequences: Sequences<'_>,
        x: &[f32],
        dy: &[f32],
        dx: &mut [f32],
    ) -> Result<()> {
        let walk = check(width, sequences, ("x", x.len()), ("dy", dy.len()))?;
        check_shape("dx", Need::AS_INPUT, x.len(), dx.len())?;
        dx.fill(0.0);
        let half = width / 2;
        if width == 0 {
            return Ok(());
        }
        for (b, dy) in dy.chunks_exact(width).enumerate() {
            match self {
                Pool::Last => {
                    if let Some(row) = walk.sequence(b).next_back() {
                        dx[row * width..(row + 1) * width].copy_from_slice(dy);
                    }
                }
                Pool::First => {
                    if let Some(row) = walk.sequence(b).next() {
                        dx[row * width..(row + 1) * width].copy_from_slice(dy);
                    }
                }
                Pool::Ends => {
                    if let Some([first, last]) = ends(&walk, b) {
                        dx[last * width..][..half].copy_from_slice(&dy[..half]);
                        dx[first * width + half..][..width - half].copy_from_slice(&dy[half..]);
                    }
                }
                Pool::Mean => {
                    let count = walk.count(b) as f32;
                    for row in walk.sequence(b) {
                        let dx = &mut dx[row * width..(row + 1) * width];
                        dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy / count);
                    }
                }
                Pool::Max => {
                    for (i, dy) in dy.chunks(WIDE).enumerate() {
                        let mut most = [(0.0, None); WIDE];
                        for row in walk.sequence(b) {
                            let at = row * width + i * WIDE;
                            for (most, &x) in most.iter_mut().zip(&x[at..at + dy.len()]) {
                                if most.1.is_none() || exceeds(x, most.0) {
                                    *most = (x, Some(at));
                                }
                            }
                        }
                        for (j, (most, dy)) in most.iter().zip(dy).enumerate() {
                            if let Some(at) = most.1 {
                                dx[at + j] = *dy;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The rows of the first and of the last step of a sequence that takes part.
fn ends(walk: &Walk<'_>, b: usize) -> Option<[usize; 2]> {
    let mut rows = walk.sequence(b);
    let first = rows.next()?;
    Some([first, rows.next_back().unwrap_or(first)])
}

/// Checks the lengths of a buffer `x` of steps and a buffer `y` with one row for each sequence.
fn check<'a>(
    width: usize,
    sequences: Sequences<'a>,
    x: (&'static str, usize),
    y: (&'static str, usize),
) -> Result<Walk<'a>> {
    let walk = sequences.walk(false)?;
    check_shape(x.0, Need::STEPS_ROWS_INPUTS, walk.rows().saturating_mul(width), x.1)?;
    match sequences.batch.checked_mul(width) {
        Some(len) => check_shape(y.0, Need::ROWS_OUTPUTS, len, y.1)?,
        None => return Err(Error::Overflow { buffer: y.0 }),
    }
    Ok(walk)
}
