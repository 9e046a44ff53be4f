//! Losses of single elements: binary cross-entropy, squared and absolute errors, Huber's loss.

use super::cross_entropy::check_weights;
use super::elements::{Bent, Binary, Elements, Pass, Squared};
use crate::error::{Error, Result, check_len};
use crate::kernel::Walk;
use crate::kernel::taken::Rows;
use crate::layer::Sequences;
use crate::simd::{Isa, dispatch};

/// A mean over single elements, with its settings: the kind of loss, the weight of each row, and for
/// yes-or-no answers how much more a yes counts than a no.
///
/// ```
/// use recurrent::Elementwise;
/// // Two rows of two elements; the second counts three times as much.
/// let mut dx = [0.0; 4];
/// let of = Elementwise::squared().row_weights(&[1.0, 3.0]);
/// assert_eq!(of.loss(&[1.0, 1.0, /**/ 2.0, 0.0], &[0.0; 4], Some(&mut dx))?, (2.0 + 3.0 * 4.0) / 8.0);
/// assert_eq!(dx, [0.25, 0.25, 1.5, 0.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Elementwise<'a> {
    kind: Kind,
    positive: Option<&'a [f32]>,
    row_weights: Option<&'a [f32]>,
    sequences: Option<Sequences<'a>>,
    isa: Option<Isa>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Binary,
    Squared,
    Absolute,
    /// Huber's loss with this delta.
    Bent(f32),
}

impl<'a> Elementwise<'a> {
    const fn of(kind: Kind) -> Self {
        Elementwise { kind, positive: None, row_weights: None, sequences: None, isa: None }
    }

    /// The loss of [`mean_squared_error`].
    pub const fn squared() -> Self {
        Self::of(Kind::Squared)
    }

    /// The loss of [`mean_absolute_error`].
    pub const fn absolute() -> Self {
        Self::of(Kind::Absolute)
    }

    /// The loss of [`huber`]. [`loss`](Self::loss) rejects a `delta` that is not a finite number above 0.
    pub const fn huber(delta: f32) -> Self {
        Self::of(Kind::Bent(delta))
    }

    /// The loss of [`binary_cross_entropy`].
    pub const fn binary() -> Self {
        Self::of(Kind::Binary)
    }

    /// Multiplies the part of the loss that comes from yes by these weights, one for each output, as
    /// PyTorch's `pos_weight` does. Use it if yes is rare. Losses other than the [binary](Self::binary) one
    /// reject it.
    ///
    /// ```text
    /// loss = mean of -(p t log(sigmoid(l)) + (1 - t) log(1 - sigmoid(l)))
    /// ```
    pub const fn pos_weight(mut self, weights: &'a [f32]) -> Self {
        self.positive = Some(weights);
        self
    }

    /// Weighs each row, `[rows]`; all rows have the same number of elements. The mean is divided by the sum
    /// of the weights. A row with a weight of 0 is not read.
    pub const fn row_weights(mut self, weights: &'a [f32]) -> Self {
        self.row_weights = Some(weights);
        self
    }

    /// The rows are those of a padded batch, in its order. Rows past the end of a sequence and masked rows do
    /// not count, whatever their targets are. Resets make no difference.
    pub const fn over(mut self, sequences: Sequences<'a>) -> Self {
        self.sequences = Some(sequences);
        self
    }

    /// Pins the instruction set, as [`Dense::on`](crate::Dense::on).
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Weights of the rows, if there are any.
    #[cfg(feature = "std")]
    pub(crate) const fn weights(&self) -> Option<&'a [f32]> {
        self.row_weights
    }

    /// The loss, and its gradient if asked for. `x`, `targets` and `dx` have the same length: `[rows, O]`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (or of a list in the sequences,
    /// or of the weights); [`Error::Index`] for a length above the steps; [`Error::Value`] for a `delta` that
    /// is not a finite number above 0, for weights that are negative, infinite or NaN, for a number of
    /// weights that does not divide the elements into rows of equal length, and for a `pos_weight` that this
    /// loss does not use.
    pub fn loss(&self, x: &[f32], targets: &[f32], dx: Option<&mut [f32]>) -> Result<f32> {
        let (name, gradient) = match self.kind {
            Kind::Binary => ("logits", "dlogits"),
            _ => ("x", "dx"),
        };
        let walk = self.walk()?;
        let width = self.check(walk.as_ref(), name, x.len())?;
        check_len("targets", x.len(), targets.len())?;
        if let Some(dx) = &dx {
            check_len(gradient, x.len(), dx.len())?;
        }
        let elements = self.elements(walk.as_ref(), x.len(), width);
        let (count, total) = elements.count();
        let mut dx = dx;
        if (count < x.len() || self.row_weights.is_some())
            && let Some(dx) = dx.as_deref_mut()
        {
            dx.fill(0.0);
        }
        if total == 0.0 {
            return Ok(0.0);
        }
        let isa = self.isa.unwrap_or_else(Isa::detect);
        let pass = Pass { x, targets, dx, elements: &elements, total };
        let sum = match self.kind {
            Kind::Binary => dispatch(isa, Binary(pass, self.positive)),
            Kind::Squared => dispatch(isa, Squared(pass)),
            Kind::Absolute => dispatch(isa, Bent(pass, 0.0)),
            Kind::Bent(delta) => dispatch(isa, Bent(pass, delta)),
        };
        Ok((sum / total) as f32)
    }

    /// The divisor of the mean over `rows` rows of `width` elements: the number of rows that take part, or
    /// the sum of their weights.
    pub(super) fn weight(&self, rows: usize, width: usize) -> Result<f64> {
        let walk = self.walk()?;
        self.check(walk.as_ref(), "targets", rows.saturating_mul(width))?;
        if let Some(weights) = self.row_weights {
            check_len("row_weights", rows, weights.len())?;
        }
        if let Some(positive) = self.positive {
            check_len("pos_weight", width, positive.len())?;
        }
        // Rows without elements count as rows of one element do.
        Ok(self.elements(walk.as_ref(), rows, 1).count().1)
    }

    fn walk(&self) -> Result<Option<Walk<'a>>> {
        self.sequences.map(|sequences| sequences.walk(false)).transpose()
    }

    /// Rejects settings that do not fit `len` elements. Returns the elements of a row, if rows matter.
    fn check(&self, walk: Option<&Walk<'_>>, name: &'static str, len: usize) -> Result<usize> {
        match self.kind {
            Kind::Bent(delta) if !(delta > 0.0 && delta.is_finite()) => {
                return Err(Error::Value { argument: "delta", expected: "a finite number above 0" });
            }
            Kind::Squared | Kind::Absolute | Kind::Bent(_) if self.positive.is_some() => {
                let expected = "unset unless the loss is binary cross-entropy";
                return Err(Error::Value { argument: "pos_weight", expected });
            }
            _ => {}
        }
        let rows = match (walk, self.row_weights) {
            (Some(walk), _) => walk.rows(),
            (None, Some(weights)) => weights.len(),
            (None, None) => 1,
        };
        let width = len.checked_div(rows).unwrap_or(0);
        check_len(name, rows.saturating_mul(width), len)?;
        if let Some(weights) = self.row_weights {
            check_weights("row_weights", rows, weights)?;
        }
        if let Some(positive) = self.positive {
            // Without rows the number of outputs is unknown.
            let unknown = walk.is_none() && self.row_weights.is_none();
            let whole = unknown && len.checked_rem(positive.len()) == Some(0);
            check_weights("pos_weight", if whole || len == 0 { positive.len() } else { width }, positive)?;
        }
        Ok(width)
    }

    fn elements<'w>(&self, walk: Option<&'w Walk<'w>>, len: usize, width: usize) -> Elements<'w>
    where
        'a: 'w,
    {
        match (walk, self.row_weights) {
            (Some(walk), weights) if weights.is_some() || !walk.is_dense() => {
                Elements::Rows(Rows::present(walk), width, weights)
            }
            (None, Some(weights)) => Elements::Rows(Rows::all(weights.len()), width, Some(weights)),
            _ => Elements::All(len),
        }
    }
}

/// The mean cross-entropy of independent yes-or-no answers, in nats, and the gradient of the mean if asked
/// for.
///
/// ```text
/// loss = mean of (max(l, 0) - l t + log(1 + exp(-|l|)))
/// dlogits = (sigmoid(l) - t) / n
/// ```
///
/// `logits`, `targets` and `dlogits` have the same length, in any shape; targets are probabilities of yes, 0
/// to 1. This is PyTorch's `binary_cross_entropy_with_logits`; losses are summed in f64. NaN gives NaN.
/// Without elements the loss is 0.
///
/// # Errors
/// [`Error::Length`] with the name of the buffer.
///
/// ```
/// let mut dlogits = [0.0; 2];
/// let loss = recurrent::binary_cross_entropy(&[0.0, 80.0], &[0.0, 1.0], Some(&mut dlogits))?;
/// assert!((loss - 0.5 * 2f32.ln()).abs() < 1e-6);
/// assert_eq!(dlogits[0], 0.25);
/// assert!((-1e-35..0.0).contains(&dlogits[1])); // what is left of 1 - sigmoid(80), halved
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn binary_cross_entropy(logits: &[f32], targets: &[f32], dlogits: Option<&mut [f32]>) -> Result<f32> {
    Elementwise::binary().loss(logits, targets, dlogits)
}

/// The mean of the squared differences, and its gradient if asked for.
///
/// ```text
/// loss = mean of (x - t)^2
/// dx = 2 (x - t) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `mse_loss`; squares are
/// summed in f64. Without elements the loss is 0.
///
/// # Errors
/// [`Error::Length`] with the name of the buffer.
///
/// ```
/// let mut dx = [0.0; 2];
/// assert_eq!(recurrent::mean_squared_error(&[1.0, 5.0], &[0.0, 2.0], Some(&mut dx))?, 5.0);
/// assert_eq!(dx, [1.0, 3.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn mean_squared_error(x: &[f32], targets: &[f32], dx: Option<&mut [f32]>) -> Result<f32> {
    Elementwise::squared().loss(x, targets, dx)
}

/// The mean of the absolute differences, and its gradient if asked for.
///
/// ```text
/// loss = mean of |x - t|
/// dx = sign(x - t) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `l1_loss`; differences are
/// summed in f64. Outliers have no larger gradient than other targets.
///
/// # Errors
/// [`Error::Length`] with the name of the buffer.
///
/// ```
/// let mut dx = [0.0; 2];
/// assert_eq!(recurrent::mean_absolute_error(&[1.0, 5.0], &[2.0, 2.0], Some(&mut dx))?, 2.0);
/// assert_eq!(dx, [-0.5, 0.5]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn mean_absolute_error(x: &[f32], targets: &[f32], dx: Option<&mut [f32]>) -> Result<f32> {
    Elementwise::absolute().loss(x, targets, dx)
}

/// The mean of a loss that is quadratic near the target and linear further away, and its gradient if asked
/// for (Huber 1964).
///
/// ```text
/// loss = mean of ((x - t)^2 / 2 if |x - t| <= delta, otherwise delta (|x - t| - delta / 2))
/// dx = (x - t, but from -delta to delta) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `huber_loss`; losses are
/// summed in f64.
///
/// # Errors
/// [`Error::Length`] with the name of the buffer; [`Error::Value`] if `delta` is not a finite number above 0.
///
/// ```
/// let mut dx = [0.0; 2];
/// assert_eq!(recurrent::huber(1.0, &[1.5, 5.0], &[1.0, 2.0], Some(&mut dx))?, (0.125 + 2.5) / 2.0);
/// assert_eq!(dx, [0.25, 0.5]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn huber(delta: f32, x: &[f32], targets: &[f32], dx: Option<&mut [f32]>) -> Result<f32> {
    Elementwise::huber(delta).loss(x, targets, dx)
}
