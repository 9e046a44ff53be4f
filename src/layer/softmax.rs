//! Softmax and its logarithm, forward and backward.

use crate::error::{Error, Need, Result, check_len};
use crate::kernel::softmax::{BLOCK, exp_sum, max};
use crate::simd::{Isa, Op, Simd, dispatch};

/// Checks that `x` holds whole rows, and that the other buffers are as long.
fn check(classes: usize, x: (&'static str, usize), others: &[(&'static str, usize)]) -> Result<()> {
    if x.1.checked_rem(classes).unwrap_or(x.1) != 0 {
        let expected = x.1.checked_div(classes).unwrap_or(0) * classes;
        return Err(Error::Length { buffer: x.0, expected, actual: x.1, need: Need::EXACT });
    }
    others.iter().try_for_each(|&(buffer, len)| check_len(buffer, x.1, len))
}

/// The softmax of each row: `x [rows, classes]`, `y [rows, classes]`.
///
/// ```text
/// y_j = exp(x_j - max x) / sum over k of exp(x_k - max x)
/// ```
///
/// The row's maximum is subtracted first, so no exponential overflows. An element of minus infinity gives 0.
/// A row with NaN or infinity, or of minus infinity only, gives NaN.
///
/// # Errors
/// [`Error::Length`] if `x` does not hold whole rows, or `y` is not as long.
///
/// ```
/// let mut y = [0.0; 4];
/// recurrent::softmax(2, &[1000.0, 1000.0, /**/ 0.0, f32::NEG_INFINITY], &mut y)?;
/// assert_eq!(y, [0.5, 0.5, /**/ 1.0, 0.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn softmax(classes: usize, x: &[f32], y: &mut [f32]) -> Result<()> {
    check(classes, ("x", x.len()), &[("y", y.len())])?;
    if classes > 0 {
        dispatch(Isa::detect(), Forward { classes, x, y, log: false });
    }
    Ok(())
}

/// The logarithm of the [`softmax`] of each row: `x [rows, classes]`, `y [rows, classes]`.
///
/// ```text
/// y_j = x_j - max x - log(sum over k of exp(x_k - max x))
/// ```
///
/// It is exact even where the softmax itself is too small for an f32.
///
/// # Errors
/// [`Error::Length`] if `x` does not hold whole rows, or `y` is not as long.
///
/// ```
/// let mut y = [0.0; 2];
/// recurrent::log_softmax(2, &[0.0, -500.0], &mut y)?;
/// assert_eq!(y, [0.0, -500.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn log_softmax(classes: usize, x: &[f32], y: &mut [f32]) -> Result<()> {
    check(classes, ("x", x.len()), &[("y", y.len())])?;
    if classes > 0 {
        dispatch(Isa::detect(), Forward { classes, x, y, log: true });
    }
    Ok(())
}

/// Computes the gradient of the input of a [`softmax`] from that of its output: `y`, `dy` and `dx` are
/// `[rows, classes]`.
///
/// ```text
/// dx_j = y_j (dy_j - sum over k of y_k dy_k)
/// ```
///
/// # Errors
/// [`Error::Length`] if `y` does not hold whole rows, or another buffer is not as long.
///
/// ```
/// let mut dx = [0.0; 2];
/// recurrent::softmax_backward(2, &[0.5, 0.5], &[1.0, 0.0], &mut dx)?;
/// assert_eq!(dx, [0.25, -0.25]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn softmax_backward(classes: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) -> Result<()> {
    check(classes, ("y", y.len()), &[("dy", dy.len()), ("dx", dx.len())])?;
    if classes > 0 {
        dispatch(Isa::detect(), Backward { classes, y, dy, dx, log: false });
    }
    Ok(())
}

/// Computes the gradient of the input of a [`log_softmax`] from that of its output: `y`, `dy` and `dx` are
/// `[rows, classes]`.
///
/// ```text
/// dx_j = dy_j - exp(y_j) sum over k of dy_k
/// ```
///
/// # Errors
/// [`Error::Length`] if `y` does not hold whole rows, or another buffer is not as long.
///
/// ```
/// let (mut y, mut dx) = ([0.0; 2], [0.0; 2]);
/// recurrent::log_softmax(2, &[3.0, 3.0], &mut y)?;
/// recurrent::log_softmax_backward(2, &y, &[1.0, 0.0], &mut dx)?;
/// assert!((dx[0] - 0.5).abs() < 1e-6 && (dx[1] + 0.5).abs() < 1e-6);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn log_softmax_backward(classes: usize, y: &[f32], dy: &[f32], dx: &mut [f32]) -> Result<()> {
    check(classes, ("y", y.len()), &[("dy", dy.len()), ("dx", dx.len())])?;
    if classes > 0 {
        dispatch(Isa::detect(), Backward { classes, y, dy, dx, log: true });
    }
    Ok(())
}

/// All lengths have been checked. `classes` is not 0.
struct Forward<'a> {
    classes: usize,
    x: &'a [f32],
    y: &'a mut [f32],
    log: bool,
}

impl Op for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Forward { classes, x, y, log } = self;
        for (x, y) in x.chunks_exact(classes).zip(y.chunks_exact_mut(classes)) {
            if log {
                let most = max(s, x);
                let sum: f64 = x.chunks(BLOCK).map(|block| exp_sum(s, block, most, None, None)).sum();
                // Adding the maximum and the logarithm first would lose the digits of the logarithm.
                let (most, log) = (f64::from(most), libm::log(sum));
                for (x, y) in x.iter().zip(y) {
                    *y = (f64::from(*x) - most - log) as f32;
                }
            } else {
                softmax_row(s, x, y);
            }
        }
    }
}

/// The softmax of one row. `x` and `y` have the same length.
#[inline(always)]
pub(super) fn softmax_row<S: Simd>(s: S, x: &[f32], y: &mut [f32]) {
    let most = max(s, x);
    let mut sum = 0.0;
    for (i, block) in x.chunks(BLOCK).enumerate() {
        sum += exp_sum(s, block, most, None, Some(&mut y[i * BLOCK..]));
    }
    let scale = (1.0 / sum) as f32;
    for y in y {
        *y *= scale;
    }
}

/// Turns the gradient `d` of one row's softmax into the gradient of its input, in place.
#[inline(always)]
pub(super) fn softmax_row_backward(y: &[f32], d: &mut [f32]) {
    // The probabilities are rounded, so their sum is not quite 1. If all of `d` is close to the mean, that
    // error would dominate `d - mean`. So the mean is divided by the actual sum.
    let whole = sum(y, None);
    let mean = if whole == 0.0 { 0.0 } else { sum(y, Some(d)) / whole };
    for (d, y) in d.iter_mut().zip(y) {
        // If the gradients are about the same, only their differences count. An f32 mean would lose them.
        *d = *y * (f64::from(*d) - mean) as f32;
    }
}

/// The logarithm of 0.6: at most one class has a larger probability.
const CERTAIN: f32 = -0.5;

/// All lengths have been checked. `classes` is not 0.
struct Backward<'a> {
    classes: usize,
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    log: bool,
}

/// The sum of `a b`, or of `a`. It uses sixteen chains, so that the bits do not depend on the vector length.
/// A product of two f32 is exact in f64.
#[inline(always)]
fn sum(a: &[f32], b: Option<&[f32]>) -> f64 {
    let mut sums = [0.0; 16];
    for i in (0..a.len()).step_by(16) {
        let a = &a[i..a.len().min(i + 16)];
        match b {
            Some(b) => {
                for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(&b[i..]) {
                    *sum += f64::from(a) * f64::from(b);
                }
            }
            None => {
                for (sum, &a) in sums.iter_mut().zip(a) {
                    *sum += f64::from(a);
                }
            }
        }
    }
    sums.iter().sum()
}

impl Op for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Backward { classes, y, dy, dx, log } = self;
        let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
        for ((y, dy), dx) in rows.zip(dx.chunks_exact_mut(classes)) {
            if log {
                let total = sum(dy, None);
                for (i, block) in y.chunks(BLOCK).enumerate() {
                    exp_sum(s, block, 0.0, None, Some(&mut dx[i * BLOCK..]));
                }
                for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
                    // For a class with a probability near 1 the difference from 1 counts. An f32 has no
                    // digits for it.
                    let p = if *y > CERTAIN { libm::exp(f64::from(*y)) } else { f64::from(*dx) };
                    *dx = (f64::from(*dy) - p * total) as f32;
                }
            } else {
                dx.copy_from_slice(dy);
                softmax_row_backward(y, dx);
            }
        }
    }
}
