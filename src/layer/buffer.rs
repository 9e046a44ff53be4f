//! Lengths of flat buffers, and functions that split them. A length that does not fit is `usize::MAX`, which
//! the passes reject.

/// Product of lengths; `usize::MAX` if it does not fit.
pub(crate) const fn mul(a: usize, b: usize) -> usize {
    a.saturating_mul(b)
}

/// Sum of lengths; `usize::MAX` if it does not fit.
pub(crate) const fn add(a: usize, b: usize) -> usize {
    a.saturating_add(b)
}

/// The greater of two lengths.
pub(crate) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Splits the first `n` elements off `rest`.
pub(crate) fn take<'a>(rest: &mut &'a [f32], n: usize) -> &'a [f32] {
    let (first, others) = rest.split_at(n);
    *rest = others;
    first
}

/// Splits the first `n` elements off `rest`.
pub(crate) fn take_mut<'a, T>(rest: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (first, others) = core::mem::take(rest).split_at_mut(n);
    *rest = others;
    first
}

/// Splits the last `n` elements off `rest`.
pub(crate) fn take_last<'a>(rest: &mut &'a [f32], n: usize) -> &'a [f32] {
    let (others, last) = rest.split_at(rest.len() - n);
    *rest = others;
    last
}

/// Splits the last `n` elements off `rest`.
pub(crate) fn take_last_mut<'a>(rest: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let all = core::mem::take(rest);
    let (others, last) = all.split_at_mut(all.len() - n);
    *rest = others;
    last
}

/// `a += b`
pub(crate) fn add_to(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// `a *= b`
pub(crate) fn multiply(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a *= b);
}

/// Number of features that are summed over rows at once: a cache line.
pub(crate) const WIDE: usize = 16;

/// A compensated sum: it adds the rounding error of each addition to the next term (Kahan 1965, with Knuth's
/// exact addition). Over ten thousand equal steps a plain sum is off by 1e-4.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    sum: f32,
    lost: f32,
}

impl Sum {
    #[inline(always)]
    pub(crate) fn add(&mut self, x: f32) {
        let x = x + self.lost;
        let sum = self.sum + x;
        let of_x = sum - self.sum;
        let of_sum = sum - of_x;
        let lost = (self.sum - of_sum) + (x - of_x);
        // The error is NaN if a term was not finite. Then the sum itself is not finite, and the error is
        // dropped.
        self.lost = if lost.is_finite() { lost } else { 0.0 };
        self.sum = sum;
    }

    #[inline(always)]
    pub(crate) fn total(self) -> f32 {
        self.sum + self.lost
    }
}
