//! Arithmetic of lengths: what does not fit is `usize::MAX`, which no buffer has.

/// Product of lengths.
pub(crate) const fn mul(a: usize, b: usize) -> usize {
    a.saturating_mul(b)
}

/// Sum of lengths.
pub(crate) const fn add(a: usize, b: usize) -> usize {
    a.saturating_add(b)
}

/// The greater of two lengths.
pub(crate) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
