//! Passes of the losses of single elements, and the elements that they run over.

use crate::kernel::finish::{PART, logistic};
use crate::kernel::taken::Rows;
use crate::simd::{Op, Simd};

/// The elements that count: all of them, or rows of a given width, with a weight for each row.
pub(super) enum Elements<'a> {
    All(usize),
    Rows(Rows<'a>, usize, Option<&'a [f32]>),
}

impl Elements<'_> {
    /// The number of elements, and the sum of their weights.
    pub(super) fn count(&self) -> (usize, f64) {
        match self {
            Elements::All(len) => (*len, *len as f64),
            Elements::Rows(rows, width, None) => (rows.count() * width, (rows.count() * width) as f64),
            Elements::Rows(rows, width, Some(weights)) => {
                let sum: f64 = rows.iter().map(|row| f64::from(weights[row])).sum();
                (rows.count() * width, sum * *width as f64)
            }
        }
    }

    /// Ranges of elements in ascending order: the first element, the length, and the weight.
    #[inline(always)]
    fn parts(&self) -> impl Iterator<Item = (usize, usize, f64)> {
        let (all, rows) = match self {
            Elements::All(len) => (Some((0, *len, 1.0)), None),
            Elements::Rows(rows, width, weights) => {
                let weight = move |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
                (None, Some(rows.iter().map(move |row| (row * width, *width, weight(row)))))
            }
        };
        all.into_iter().chain(rows.into_iter().flatten()).filter(|(_, _, weight)| *weight != 0.0)
    }
}

/// Outputs and targets. All lengths have been checked.
pub(super) struct Pass<'a> {
    pub(super) x: &'a [f32],
    pub(super) targets: &'a [f32],
    pub(super) dx: Option<&'a mut [f32]>,
    pub(super) elements: &'a Elements<'a>,
    /// The sum of the elements' weights.
    pub(super) total: f64,
}

/// Binary cross-entropy, with the weights of yes if there are any.
pub(super) struct Binary<'a>(pub(super) Pass<'a>, pub(super) Option<&'a [f32]>);

impl Op for Binary<'_> {
    /// The sum of the losses.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let Binary(Pass { x: logits, targets, mut dx, elements, total }, positive) = self;
        let mut loss = 0.0;
        for (first, len, weight) in elements.parts() {
            let scale = (weight / total) as f32;
            let (logits, targets) = (&logits[first..][..len], &targets[first..][..len]);
            for (i, (part, targets)) in logits.chunks(PART).zip(targets.chunks(PART)).enumerate() {
                let mut l = [0.0; PART];
                l[..part.len()].copy_from_slice(part);
                let (smaller, tails) = logistic(s, &l);
                let p = |j: usize| positive.map_or(1.0, |p| p[(i * PART + j) % p.len()]);
                for (j, (&l, &t)) in part.iter().zip(targets).enumerate() {
                    // `max` would ignore NaN.
                    let above = if l < 0.0 { 0.0 } else { l };
                    let tail = f64::from(libm::log1pf(tails[j]));
                    let mut of = f64::from(above) - f64::from(l) * f64::from(t) + tail;
                    if positive.is_some() {
                        // The weight of yes counts `-log(sigmoid(l))` another `p - 1` times.
                        let below = if l < 0.0 { -l } else { 0.0 };
                        of += (f64::from(p(j)) - 1.0) * f64::from(t) * (f64::from(below) + tail);
                    }
                    loss += weight * of;
                }
                if let Some(d) = dx.as_deref_mut() {
                    for (j, (d, &t)) in d[first + i * PART..].iter_mut().zip(targets).enumerate() {
                        // `sigmoid(l) - t` with the weights of yes and no. Both may be close to 1, so the
                        // subtraction is arranged to keep digits.
                        let (yes, both) = (p(j) * t, 1.0 + (p(j) - 1.0) * t);
                        let off =
                            if l[j] < 0.0 { both * smaller[j] - yes } else { (1.0 - t) - both * smaller[j] };
                        *d = off * scale;
                    }
                }
            }
        }
        loss
    }
}

pub(super) struct Squared<'a>(pub(super) Pass<'a>);

impl Op for Squared<'_> {
    /// The sum of the squares.
    type Output = f64;

    /// Plain loops are enough: the compiler vectorises them. The number of chains does not depend on the
    /// width of vectors, and squares are not fused with sums. So all instruction sets give the same bits.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Squared(Pass { x, targets, mut dx, elements, total }) = self;
        let mut sums = [0.0; PART];
        for (first, len, weight) in elements.parts() {
            let scale = (2.0 * weight / total) as f32;
            let (x, targets) = (&x[first..][..len], &targets[first..][..len]);
            for (x, targets) in x.chunks(PART).zip(targets.chunks(PART)) {
                for ((sum, &x), &t) in sums.iter_mut().zip(x).zip(targets) {
                    let apart = f64::from(x) - f64::from(t);
                    *sum += weight * (apart * apart);
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

/// Huber's loss with its delta. With a delta of 0 it is the absolute error.
pub(super) struct Bent<'a>(pub(super) Pass<'a>, pub(super) f32);

impl Op for Bent<'_> {
    /// The sum of the losses.
    type Output = f64;

    /// Sums in chains, as [`Squared`] does.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f64 {
        let Bent(Pass { x, targets, mut dx, elements, total }, delta) = self;
        // The slope of the linear parts.
        let slope = if delta == 0.0 { 1.0 } else { delta };
        let (wide, steep) = (f64::from(delta), f64::from(slope));
        let mut sums = [0.0; PART];
        for (first, len, weight) in elements.parts() {
            let scale = (weight / total) as f32;
            let (x, targets) = (&x[first..][..len], &targets[first..][..len]);
            for (x, targets) in x.chunks(PART).zip(targets.chunks(PART)) {
                for ((sum, &x), &t) in sums.iter_mut().zip(x).zip(targets) {
                    let apart = (f64::from(x) - f64::from(t)).abs();
                    let of = if apart < wide { 0.5 * apart * apart } else { steep * (apart - 0.5 * wide) };
                    *sum += weight * of;
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
