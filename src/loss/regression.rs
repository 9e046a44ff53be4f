//! Losses of single elements: binary cross-entropy, squared and absolute errors, Huber's.

use crate::error::{Error, Result, check_len};
use crate::kernel::finish::{PART, logistic};
use crate::kernel::walk::Rows;
use crate::layer::Sequences;
use crate::simd::{Isa, Op, Simd, dispatch};

/// Numbers and what they should be, of the same shape.
struct Pair<'a> {
    names: [&'static str; 2],
    x: &'a [f32],
    targets: &'a [f32],
    dx: Option<&'a mut [f32]>,
}

/// The elements that count: all of them, or rows of so many.
enum Elements<'a> {
    All(usize),
    Rows(Rows<'a>, usize),
}

impl Elements<'_> {
    fn count(&self) -> usize {
        match self {
            Elements::All(len) => *len,
            Elements::Rows(rows, width) => rows.count() * width,
        }
    }

    /// Where they start and how many there are together, in ascending order.
    #[inline(always)]
    fn parts(&self) -> impl Iterator<Item = (usize, usize)> {
        let (all, rows) = match self {
            Elements::All(len) => (Some((0, *len)), None),
            Elements::Rows(rows, width) => (None, Some(rows.iter().map(move |row| (row * width, *width)))),
        };
        all.into_iter().chain(rows.into_iter().flatten())
    }
}

/// Checks lengths, and runs `pass` over the elements that count: all, or those of the rows of `width` elements that take part.
fn mean(
    over: Option<(Sequences<'_>, usize)>,
    mut pair: Pair<'_>,
    pass: impl FnOnce(Pair<'_>, &Elements<'_>) -> f64,
) -> Result<f32> {
    let Pair { names, x, targets, dx } = &mut pair;
    let walk = match over {
        Some((sequences, width)) => {
            let walk = sequences.walk(false)?;
            check_len(names[0], walk.rows().saturating_mul(width), x.len())?;
            Some((walk, width))
        }
        None => None,
    };
    check_len("targets", x.len(), targets.len())?;
    if let Some(dx) = dx {
        check_len(names[1], x.len(), dx.len())?;
    }
    let elements = match &walk {
        Some((walk, width)) if !walk.is_dense() => Elements::Rows(Rows::present(walk), *width),
        _ => Elements::All(x.len()),
    };
    let count = elements.count();
    if count < x.len()
        && let Some(dx) = dx
    {
        dx.fill(0.0);
    }
    if count == 0 {
        return Ok(0.0);
    }
    Ok((pass(pair, &elements) / count as f64) as f32)
}

/// The mean cross-entropy of independent yes-or-no answers, in nats, and the gradient of the mean if asked for.
///
/// ```text
/// loss = mean of (max(l, 0) - l t + log(1 + exp(-|l|)))
/// dlogits = (sigmoid(l) - t) / n
/// ```
///
/// `logits`, `targets` and `dlogits` have the same length, in any shape; targets are probabilities of yes, 0 to 1. This is PyTorch's
/// `binary_cross_entropy_with_logits`; losses are summed in f64. NaN gives NaN. Without elements the loss is 0.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) with the name of the buffer.
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
    binary_cross_entropy_over(Isa::detect(), None, logits, targets, dlogits)
}

/// The same over the rows of a padded batch that take part, each of so many elements.
pub(crate) fn binary_cross_entropy_over(
    isa: Isa,
    over: Option<(Sequences<'_>, usize)>,
    logits: &[f32],
    targets: &[f32],
    dlogits: Option<&mut [f32]>,
) -> Result<f32> {
    let pair = Pair { names: ["logits", "dlogits"], x: logits, targets, dx: dlogits };
    mean(over, pair, |pair, elements| dispatch(isa, Binary(pair, elements)))
}

/// All lengths have been checked.
struct Binary<'a>(Pair<'a>, &'a Elements<'a>);

impl Op for Binary<'_> {
    /// The sum of the losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Binary(Pair { x: logits, targets, mut dx, .. }, elements) = self;
        let scale = (1.0 / elements.count() as f64) as f32;
        let mut loss = 0.0;
        for (first, len) in elements.parts() {
            let (logits, targets) = (&logits[first..][..len], &targets[first..][..len]);
            for (i, (part, targets)) in logits.chunks(PART).zip(targets.chunks(PART)).enumerate() {
                let mut l = [0.0; PART];
                l[..part.len()].copy_from_slice(part);
                let (smaller, tails) = logistic(s, &l);
                for (j, (&l, &t)) in part.iter().zip(targets).enumerate() {
                    // `max` would pass over NaN.
                    let above = if l < 0.0 { 0.0 } else { l };
                    loss +=
                        f64::from(above) - f64::from(l) * f64::from(t) + f64::from(libm::log1pf(tails[j]));
                }
                if let Some(d) = dx.as_deref_mut() {
                    for (j, (d, t)) in d[first + i * PART..].iter_mut().zip(targets).enumerate() {
                        // `sigmoid(l) - t`, of which both may be close to 1.
                        let off = if l[j] < 0.0 { smaller[j] - t } else { (1.0 - t) - smaller[j] };
                        *d = off * scale;
                    }
                }
            }
        }
        loss
    }
}

/// The mean of the squared differences, and its gradient if asked for.
///
/// ```text
/// loss = mean of (x - t)^2
/// dx = 2 (x - t) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `mse_loss`; squares are summed in f64.
/// Without elements the loss is 0.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) with the name of the buffer.
///
/// ```
/// let mut dx = [0.0; 2];
/// assert_eq!(recurrent::mean_squared_error(&[1.0, 5.0], &[0.0, 2.0], Some(&mut dx))?, 5.0);
/// assert_eq!(dx, [1.0, 3.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn mean_squared_error(x: &[f32], targets: &[f32], dx: Option<&mut [f32]>) -> Result<f32> {
    mean_squared_error_over(Isa::detect(), None, x, targets, dx)
}

/// The same over the rows of a padded batch that take part, each of so many elements.
pub(crate) fn mean_squared_error_over(
    isa: Isa,
    over: Option<(Sequences<'_>, usize)>,
    x: &[f32],
    targets: &[f32],
    dx: Option<&mut [f32]>,
) -> Result<f32> {
    let pair = Pair { names: ["x", "dx"], x, targets, dx };
    mean(over, pair, |pair, elements| dispatch(isa, Squared(pair, elements)))
}

/// All lengths have been checked.
struct Squared<'a>(Pair<'a>, &'a Elements<'a>);

impl Op for Squared<'_> {
    /// The sum of the squares.
    type Output = f64;

    /// The compiler's vectors are enough here. The number of chains does not depend on the vector, and squares are
    /// not fused with sums: all sets give the same bits.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Squared(Pair { x, targets, mut dx, .. }, elements) = self;
        let scale = (2.0 / elements.count() as f64) as f32;
        let mut sums = [0.0; PART];
        for (first, len) in elements.parts() {
            let (x, targets) = (&x[first..][..len], &targets[first..][..len]);
            for (x, targets) in x.chunks(PART).zip(targets.chunks(PART)) {
                for ((sum, &x), &t) in sums.iter_mut().zip(x).zip(targets) {
                    let apart = f64::from(x) - f64::from(t);
                    *sum += apart * apart;
                }
            }
            if let Some(dx) = dx.as_deref_mut() {
                for ((d, x), t) in dx[first..].iter_mut().zip(x).zip(targets) {
                    *d = (x - t) * scale;
                }
            }
        }
        sums.iter().sum()
    }
}

/// The mean of the absolute differences, and its gradient if asked for.
///
/// ```text
/// loss = mean of |x - t|
/// dx = sign(x - t) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `l1_loss`; differences are summed in f64. Targets that are far off
/// pull no more than others.
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
    bent_over(Isa::detect(), None, 0.0, x, targets, dx)
}

/// The mean of a loss that is a square near the target and a line further away, and its gradient if asked for (Huber 1964).
///
/// ```text
/// loss = mean of ((x - t)^2 / 2 if |x - t| <= delta, otherwise delta (|x - t| - delta / 2))
/// dx = (x - t, but from -delta to delta) / n
/// ```
///
/// `x`, `targets` and `dx` have the same length, in any shape. This is PyTorch's `huber_loss`; losses are summed in f64.
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
    check_delta(delta)?;
    bent_over(Isa::detect(), None, delta, x, targets, dx)
}

/// Refuses what Huber's loss does not bend at.
pub(super) fn check_delta(delta: f32) -> Result<()> {
    match delta > 0.0 && delta.is_finite() {
        true => Ok(()),
        false => Err(Error::Value { argument: "delta", expected: "a finite number above 0" }),
    }
}

/// Huber's loss over the rows of a padded batch that take part; with a `delta` of 0 the absolute error.
pub(super) fn bent_over(
    isa: Isa,
    over: Option<(Sequences<'_>, usize)>,
    delta: f32,
    x: &[f32],
    targets: &[f32],
    dx: Option<&mut [f32]>,
) -> Result<f32> {
    let pair = Pair { names: ["x", "dx"], x, targets, dx };
    mean(over, pair, |pair, elements| dispatch(isa, Bent(pair, elements, delta)))
}

/// All lengths have been checked.
struct Bent<'a>(Pair<'a>, &'a Elements<'a>, f32);

impl Op for Bent<'_> {
    /// The sum of the losses.
    type Output = f64;

    /// In chains as [`Squared`].
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Bent(Pair { x, targets, mut dx, .. }, elements, delta) = self;
        let n = elements.count() as f64;
        // The slope of the lines.
        let slope = if delta == 0.0 { 1.0 } else { delta };
        let (wide, steep) = (f64::from(delta), f64::from(slope));
        let scale = (1.0 / n) as f32;
        let mut sums = [0.0; PART];
        for (first, len) in elements.parts() {
            let (x, targets) = (&x[first..][..len], &targets[first..][..len]);
            for (x, targets) in x.chunks(PART).zip(targets.chunks(PART)) {
                for ((sum, &x), &t) in sums.iter_mut().zip(x).zip(targets) {
                    let apart = (f64::from(x) - f64::from(t)).abs();
                    *sum += if apart < wide { 0.5 * apart * apart } else { steep * (apart - 0.5 * wide) };
                }
            }
            if let Some(dx) = dx.as_deref_mut() {
                for ((d, x), t) in dx[first..].iter_mut().zip(x).zip(targets) {
                    let apart = x - t;
                    let bent = if apart > delta {
                        slope
                    } else if apart < -delta {
                        -slope
                    } else {
                        apart
                    };
                    *d = bent * scale;
                }
            }
        }
        sums.iter().sum()
    }
}
