//! Sums over all alignments of a sequence with its labels: one step forward and one step back, for the loss
//! of connectionist temporal classification.
//!
//! With `S` labels there are `S + 1` blanks: before, between and after them. A step goes from a state to
//! itself or to the next one. It may also go from a label to the next label, skipping the blank, unless the
//! two labels are the same.
//!
//! ```text
//! blank'_i = (blank_i + label_(i-1)) y_blank
//! label'_i = (label_i + blank_i + [l_i != l_(i-1)] label_(i-1)) y_(l_i)
//! ```
//!
//! Every state is a number `m 2^e` with its own exponent. So the sums are exact to a few units in the last
//! place of an `f32` after any number of steps, even for very unlikely states. Logarithms, the usual form,
//! lose digits with the length of the sequence, and need three exponentials and a logarithm for each state. A
//! common factor for all states of a step is not enough: a state that is 10^-40 of another one may be the
//! only way to the end. An exponent of minus infinity is a zero.

use super::math::{exp_parts, power};
use crate::kernel::{Checked, check};
use crate::simd::Simd;

/// The widest vector. The length of a row of states is a multiple of it, so that the bits do not depend on
/// the vector.
pub(crate) const WIDE: usize = 16;

/// A plane of states has this many elements more than a row of states. In a step forward, labels are at an
/// offset of one, with a zero before them. In a step back, zeros follow them.
pub(crate) const PAD: usize = WIDE;

/// Planes of the states of one step: mantissas and exponents of the blanks, then of the labels.
pub(crate) const PLANES: usize = 4;

/// Numbers `m 2^e`, each with its own exponent.
#[derive(Clone, Copy)]
struct Wide<V> {
    m: V,
    e: V,
}

impl<V: Copy> Wide<V> {
    /// # Safety
    /// `p`, and the address `plane` elements after it, are valid for reading `LANES` elements.
    #[inline(always)]
    unsafe fn load<S: Simd<V = V>>(s: S, p: *const f32, plane: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Wide { m: s.load(p), e: s.load(p.add(plane)) } }
    }

    /// # Safety
    /// `p`, and the address `plane` elements after it, are valid for writing `LANES` elements.
    #[inline(always)]
    unsafe fn store<S: Simd<V = V>>(self, s: S, p: *mut f32, plane: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            s.store(p, self.m);
            s.store(p.add(plane), self.e);
        }
    }

    #[inline(always)]
    fn splat<S: Simd<V = V>>(s: S, [m, e]: [f32; 2]) -> Self {
        Wide { m: s.splat(m), e: s.splat(e) }
    }

    /// The sum. Its exponent is the larger of the two.
    #[inline(always)]
    fn plus<S: Simd<V = V>>(self, s: S, b: Self) -> Self {
        let e = s.max(self.e, b.e);
        let m = s.mul(b.m, power(s, s.sub(b.e, e)));
        Wide { m: s.fma(self.m, power(s, s.sub(self.e, e)), m), e }
    }

    /// The product. Its mantissa is kept far from the limits of an `f32`: one step makes it at most 6 times
    /// as large, or a third.
    #[inline(always)]
    fn times<S: Simd<V = V>>(self, s: S, b: Self) -> Self {
        const LARGE: f32 = 16_777_216.0; // 2^24
        let (m, e) = (s.mul(self.m, b.m), s.add(self.e, b.e));
        let (large, small) = (s.splat(LARGE), s.splat(1.0 / LARGE));
        let down = Wide { m: s.mul(m, small), e: s.add(e, s.splat(24.0)) };
        let up = Wide { m: s.mul(m, large), e: s.sub(e, s.splat(24.0)) };
        let (m_up, e_up) = (s.lt_select(m, small, up.m, m), s.lt_select(m, small, up.e, e));
        Wide { m: s.lt_select(large, m, down.m, m_up), e: s.lt_select(large, m, down.e, e_up) }
    }
}

/// The probabilities that a step gives each label, `[width]`, and the blank, as `m 2^e`.
#[derive(Clone, Copy)]
pub(crate) struct Emissions<'a> {
    pub(crate) m: &'a [f32],
    pub(crate) e: &'a [f32],
    pub(crate) blank: [f32; 2],
}

/// Replaces logarithms `m [width]`, none above 0, by numbers `m 2^e`, times the number `scale`.
#[inline(always)]
pub(crate) fn emissions<S: Simd>(s: S, m: &mut [f32], e: &mut [f32], scale: [f32; 2]) -> Checked {
    check(m.len() == e.len() && m.len().is_multiple_of(WIDE), "emissions of an alignment")?;
    let scale = Wide::splat(s, scale);
    for i in (0..m.len()).step_by(S::LANES) {
        // SAFETY: both lengths are the same multiple of `WIDE`, so of `LANES`, and `i` is below them.
        unsafe {
            let (m, e) = (m.as_mut_ptr().add(i), e.as_mut_ptr().add(i));
            let (mantissa, exponent) = exp_parts(s, s.load(m));
            s.store(m, s.mul(mantissa, scale.m));
            s.store(e, s.add(exponent, scale.e));
        }
    }
    Ok(())
}

/// One step forward, from the states `from` to the states `to`. Both are `[4, width + PAD]`, with labels at
/// an offset of one. `skip [width + PAD]` is 0 for a label that differs from the one before it, otherwise
/// minus infinity.
#[inline(always)]
pub(crate) fn forward<S: Simd>(
    s: S,
    y: Emissions<'_>,
    skip: &[f32],
    from: &[f32],
    to: &mut [f32],
) -> Checked {
    let width = y.m.len();
    let plane = width + PAD;
    let fits = width.is_multiple_of(WIDE) && y.e.len() == width && skip.len() == plane;
    check(fits && from.len() == PLANES * plane && to.len() == from.len(), "step of an alignment")?;
    let blank = Wide::splat(s, y.blank);
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    for i in (0..width).step_by(S::LANES) {
        // SAFETY: `i + LANES <= width`, there are four planes of `width + PAD` elements each, and accesses
        // end at most one element after `i + LANES`.
        unsafe {
            let blanks = Wide::load(s, from.add(i), plane);
            let before = Wide::load(s, from.add(2 * plane + i), plane);
            let own = Wide::load(s, from.add(2 * plane + i + 1), plane);
            let of_label = Wide { m: s.load(y.m.as_ptr().add(i)), e: s.load(y.e.as_ptr().add(i)) };
            let skipping = Wide { m: before.m, e: s.add(before.e, s.load(skip.as_ptr().add(i))) };
            blanks.plus(s, before).times(s, blank).store(s, to.add(i), plane);
            let label = own.plus(s, blanks).plus(s, skipping).times(s, of_label);
            label.store(s, to.add(2 * plane + i + 1), plane);
        }
    }
    Ok(())
}

/// One step back. `ways [4, width + PAD]` has a sum for each state: the sum over all ways from this state, at
/// the next step, to the end, with the probabilities of the next step. The function replaces these sums by
/// those of this step. `states` are the states after this step, as [`forward`] computes them.
///
/// Writes the total of all ways through each label, in units of `2^peak`, to `through [width]`. Returns the
/// totals of those through any blank, and through any label.
#[inline(always)]
pub(crate) fn backward<S: Simd>(
    s: S,
    y: Emissions<'_>,
    skip: &[f32],
    states: &[f32],
    ways: &mut [f32],
    peak: f32,
    through: &mut [f32],
) -> Result<[f32; 2], crate::kernel::Wrong> {
    let width = y.m.len();
    let plane = width + PAD;
    let fits = width.is_multiple_of(WIDE) && y.e.len() == width && skip.len() == plane;
    let lengths = states.len() == PLANES * plane && ways.len() == states.len() && through.len() == width;
    check(fits && lengths, "step back of an alignment")?;
    let blank = Wide::splat(s, y.blank);
    let (states, ways, through) = (states.as_ptr(), ways.as_mut_ptr(), through.as_mut_ptr());
    let (peak, zero) = (s.splat(peak), s.splat(0.0));
    let mut sums = [[zero; WIDE]; 2];
    for first in (0..width).step_by(WIDE) {
        for v in 0..WIDE / S::LANES {
            let i = first + v * S::LANES;
            // SAFETY: `i + LANES <= width`, there are four planes of `width + PAD` elements each, and
            // accesses end at most one element after `i + LANES`. `ways` is read only at `i` and after it,
            // where nothing was written yet.
            unsafe {
                let blanks = Wide::load(s, ways.add(i), plane);
                let labels = Wide::load(s, ways.add(2 * plane + i), plane);
                let next_blanks = Wide::load(s, ways.add(i + 1), plane);
                let next_labels = Wide::load(s, ways.add(2 * plane + i + 1), plane);
                let skip = s.load(skip.as_ptr().add(i + 1));
                let skipping = Wide { m: next_labels.m, e: s.add(next_labels.e, skip) };
                let of_label = Wide { m: s.load(y.m.as_ptr().add(i)), e: s.load(y.e.as_ptr().add(i)) };
                let from_blanks = blanks.plus(s, labels);
                let from_labels = labels.plus(s, next_blanks).plus(s, skipping);
                let of_blanks = part(s, Wide::load(s, states.add(i), plane), from_blanks, peak);
                let to_labels = Wide::load(s, states.add(2 * plane + i + 1), plane);
                let of_labels = part(s, to_labels, from_labels, peak);
                sums[0][v] = s.add(sums[0][v], of_blanks);
                sums[1][v] = s.add(sums[1][v], of_labels);
                s.store(through.add(i), of_labels);
                from_blanks.times(s, blank).store(s, ways.add(i), plane);
                from_labels.times(s, of_label).store(s, ways.add(2 * plane + i), plane);
            }
        }
    }
    Ok([total(s, sums[0]), total(s, sums[1])])
}

/// The sum of all chains. This is a function because the compiler does not inline closures and iterators over
/// vectors.
#[inline(always)]
fn total<S: Simd>(s: S, sums: [S::V; WIDE]) -> f32 {
    let mut chains = [0.0; WIDE];
    for v in 0..WIDE / S::LANES {
        // SAFETY: `v < WIDE / LANES`, so `(v + 1) * LANES <= WIDE`.
        unsafe { s.store(chains.as_mut_ptr().add(v * S::LANES), sums[v]) }
    }
    chains.iter().sum()
}

/// The product of the ways to a state and of the ways from it to the end, in units of `2^peak`.
#[inline(always)]
fn part<S: Simd>(s: S, to: Wide<S::V>, from: Wide<S::V>, peak: S::V) -> S::V {
    let e = s.sub(s.add(to.e, from.e), peak);
    s.mul(s.mul(to.m, from.m), power(s, e))
}
