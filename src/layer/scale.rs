//! A scale and a shift for each feature.

use super::buffer::{Sum, WIDE};
use super::gradients::Gradients;
use crate::error::{Need, Result, check_len, check_shape};

/// Multiplies each feature by its own factor and adds its own offset: `y_j = x_j scale_j + shift_j`.
///
/// Use it for normalisation with constants: with the mean and the deviation of each feature in a data set, as
/// Keras' `Normalization` does, or for a batch normalisation that has been trained. Weights and gradients are
/// `scale [D]`, then `shift [D]`. It needs no scratch.
///
/// ```
/// use recurrent::Scale;
/// const LAYER: Scale = Scale::new(2);
/// let weights = [10.0, 0.5, /* shift */ 1.0, -1.0];
/// let mut y = [0.0; 4];
/// LAYER.forward(&weights, &[1.0, 2.0, /**/ 3.0, 4.0], &mut y)?;
/// assert_eq!(y, [11.0, 0.0, /**/ 31.0, 1.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    width: usize,
}

impl Scale {
    /// A layer for rows of `width` features.
    pub const fn new(width: usize) -> Self {
        Scale { width }
    }

    /// Computes the weights that normalise features with this mean and deviation to a mean of 0 and a
    /// deviation of 1.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) for `mean`, `deviation` or `weights`.
    pub fn normalise(&self, mean: &[f32], deviation: &[f32], weights: &mut [f32]) -> Result<()> {
        check_len("mean", self.width, mean.len())?;
        check_len("deviation", self.width, deviation.len())?;
        check_len("weights", self.weights_len(), weights.len())?;
        let (scale, shift) = weights.split_at_mut(self.width);
        for (j, (mean, deviation)) in mean.iter().zip(deviation).enumerate() {
            (scale[j], shift[j]) = (1.0 / deviation, -mean / deviation);
        }
        Ok(())
    }

    /// Features of a row, `D`.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Length of the weights, and of their gradients: `2*D`.
    pub const fn weights_len(&self) -> usize {
        self.width.saturating_mul(2)
    }

    /// Scales and shifts the rows of `x [rows, D]` into `y [rows, D]`.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer.
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    pub fn forward(&self, weights: &[f32], x: &[f32], y: &mut [f32]) -> Result<()> {
        self.check(weights, ("x", x.len()))?;
        check_shape("y", Need::AS_INPUT, x.len(), y.len())?;
        let (scale, shift) = weights.split_at(self.width);
        for (x, y) in self.rows(x).zip(y.chunks_exact_mut(self.width.max(1))) {
            for j in 0..self.width {
                y[j] = x[j] * scale[j] + shift[j];
            }
        }
        Ok(())
    }

    /// Computes the gradients of the weights and of the input from that of the output: `dscale_j` is the sum
    /// over the rows of `dy_j x_j`, `dshift_j` is the sum of `dy_j`, and `dx_j = dy_j scale_j`. `x` is that
    /// of the forward pass. Where `dy` is 0, as in padding, `x` is not used.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer.
    ///
    /// ```
    /// use recurrent::{Gradients, Scale};
    /// let (mut dx, mut grads) = ([0.0; 2], [0.0; 2]);
    /// Scale::new(1).backward(&[3.0, 1.0], &[2.0, 5.0], &[1.0, 10.0], Some(&mut dx), Some(&mut grads), Gradients::Overwrite)?;
    /// assert_eq!((dx, grads), ([3.0, 30.0], [52.0, 11.0]));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn backward(
        &self,
        weights: &[f32],
        x: &[f32],
        dy: &[f32],
        dx: Option<&mut [f32]>,
        grads: Option<&mut [f32]>,
        mode: Gradients,
    ) -> Result<()> {
        self.check(weights, ("x", x.len()))?;
        check_shape("dy", Need::AS_INPUT, x.len(), dy.len())?;
        if let Some(dx) = &dx {
            check_shape("dx", Need::AS_INPUT, x.len(), dx.len())?;
        }
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        if let Some(dx) = dx {
            for (dy, dx) in self.rows(dy).zip(dx.chunks_exact_mut(self.width.max(1))) {
                for j in 0..self.width {
                    dx[j] = dy[j] * weights[j];
                }
            }
        }
        let Some(grads) = grads else { return Ok(()) };
        if mode == Gradients::Overwrite {
            grads.fill(0.0);
        }
        let (dscale, dshift) = grads.split_at_mut(self.width);
        let blocks = dscale.chunks_mut(WIDE).zip(dshift.chunks_mut(WIDE));
        for (block, (dscale, dshift)) in blocks.enumerate() {
            let (mut scales, mut shifts) = ([Sum::default(); WIDE], [Sum::default(); WIDE]);
            let columns = block * WIDE..block * WIDE + dscale.len();
            for (x, dy) in self.rows(x).zip(self.rows(dy)) {
                for (j, (&x, &dy)) in x[columns.clone()].iter().zip(&dy[columns.clone()]).enumerate() {
                    if dy != 0.0 {
                        scales[j].add(dy * x);
                        shifts[j].add(dy);
                    }
                }
            }
            for j in 0..dscale.len() {
                dscale[j] += scales[j].total();
                dshift[j] += shifts[j].total();
            }
        }
        Ok(())
    }

    /// Sets the weights to a scale of 1 and a shift of 0.
    pub fn init(&self, weights: &mut [f32]) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        let (scale, shift) = weights.split_at_mut(self.width);
        scale.fill(1.0);
        shift.fill(0.0);
        Ok(())
    }

    fn rows<'a>(&self, of: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        of.chunks_exact(self.width.max(1))
    }

    fn check(&self, weights: &[f32], x: (&'static str, usize)) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        let rows = x.1.checked_div(self.width).unwrap_or(0);
        check_shape(x.0, Need::ROWS_INPUTS, rows * self.width, x.1)
    }
}
