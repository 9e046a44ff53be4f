//! Sums over all alignments of a sequence with its labels: one step forward and one step back, for the loss
//! of connectionist temporal classification.
//!
//! With `S` labels there are `S + 1` blanks: before, between and after them. A step goes on from a state to
//! itself or to the next one, and from a label to the next label past the blank, unless both are the same.
//!
//! ```text
//! blank'_i = (blank_i + label_(i-1)) y_blank
//! label'_i = (label_i + blank_i + [l_i != l_(i-1)] label_(i-1)) y_(l_i)
//! ```
//!
//! Every state is a number `m 2^e` with an exponent of its own, so that the sums are exact to a few units in
//! the last place of an f32 after any number of steps, and however unlikely the way to a state is.
//! Logarithms, the usual form, have fewer digits the longer the sequence is, and take three exponentials and
//! a logarithm for each state. A common factor for all states of a step is not enough: a state that is 10^-40
//! of another one may be where the only ways to the end go through. An exponent of minus infinity is a zero.

use super::math::{exp_parts, power};
use crate::kernel::{Checked, check};
use crate::simd::Simd;

/// The widest vector: rows of states are a multiple of it, so that bits do not depend on the vector.
pub(crate) const WIDE: usize = 16;

/// A plane of states has this many elements more than a row of states. Labels stand at an offset of one in a
/// step forward, with a zero before them; those of a step back have zeros after them.
pub(crate) const PAD: usize = WIDE;

/// Planes of the states of one step: mantissas and exponents of the blanks, then of the labels.
pub(crate) const PLANES: usize = 4;

/// Numbers with exponents of their own.
#[derive(Clone, Copy)]
struct Wide<V> {
    m: V,
    e: V,
}

impl<V: Copy> Wide<V> {
    /// # Safety
    /// `p` and what is `plane` elements after it are valid for reading `LANES` elements.
    #[inline(always)]
    unsafe fn load<S: Simd<V = V>>(s: S, p: *const f32, plane: usize) -> Self {
        // SAFETY: the caller's.
        unsafe { Wide { m: s.load(p), e: s.load(p.add(plane)) } }
    }

    /// # Safety
    /// `p` and what is `plane` elements after it are valid for writing `LANES` elements.
    #[inline(always)]
    unsafe fn store<S: Simd<V = V>>(self, s: S, p: *mut f32, plane: usize) {
        // SAFETY: the caller's.
        unsafe {
            s.store(p, self.m);
            s.store(p.add(plane), self.e);
        }
    }

    #[inline(always)]
    fn splat<S: Simd<V = V>>(s: S, [m, e]: [f32; 2]) -> Self {
        Wide { m: s.splat(m), e: s.splat(e) }
    }

    /// The greatest exponent decides which one the sum has.
    #[inline(always)]
    fn plus<S: Simd<V = V>>(self, s: S, b: Self) -> Self {
        let e = s.max(self.e, b.e);
        let m = s.mul(b.m, power(s, s.sub(b.e, e)));
        Wide { m: s.fma(self.m, power(s, s.sub(self.e, e)), m), e }
    }

    /// The product, with a mantissa that stays far from the limits of an f32. A step makes it at most 6 times
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

/// What a step gives each label, `[width]`, and the blank: probabilities `m 2^e`.
#[derive(Clone, Copy)]
pub(crate) struct Emissions<'a> {
    pub(crate) m: &'a [f32],
    pub(crate) e: &'a [f32],
    pub(crate) blank: [f32; 2],
}

/// Makes of logarithms `m [width]`, none of them above 0, numbers `m 2^e`, times the number `scale`.
#[inline(always)]
pub(crate) fn emissions<S: Simd>(s: S, m: &mut [f32], e: &mut [f32], scale: [f32; 2]) -> Checked {
    check(m.len() == e.len() && m.len().is_multiple_of(WIDE), "emissions of an alignment")?;
    let scale = Wide::splat(s, scale);
    for i in (0..m.len()).step_by(S::LANES) {
        // SAFETY: lengths are the same multiple of `WIDE`, and so of `LANES`, and `i` is below them.
        unsafe {
            let (m, e) = (m.as_mut_ptr().add(i), e.as_mut_ptr().add(i));
            let (mantissa, exponent) = exp_parts(s, s.load(m));
            s.store(m, s.mul(mantissa, scale.m));
            s.store(e, s.add(exponent, scale.e));
        }
    }
    Ok(())
}

/// One step forward, from the states before it to those after it, `[4, width + PAD]`, labels at an offset of
/// one. `skip [width + PAD]` is 0 for a label that differs from the one before it, otherwise minus infinity.
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
        // SAFETY: `i + LANES <= width`, one more is in each plane of `width + PAD` elements, and there are
        // four planes.
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

/// One step back. `ways [4, width + PAD]` are the ways to the end from the states of the step after this one,
/// with what that step gives them, and become those of this one. `states` are the states after this step, as
/// [`forward`] makes them.
///
/// The parts of all ways that go through each label, in units of `2^peak`, come into `through [width]`; those
/// through all blanks, and through all labels, are returned.
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
            // SAFETY: `i + LANES <= width`, one more is in each plane of `width + PAD` elements, and there
            // are four planes. What is read of `ways` is at `i` or behind it, where nothing was written.
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

/// The sum of all chains. (A function, because closures and iterators over vectors are left as calls.)
#[inline(always)]
fn total<S: Simd>(s: S, sums: [S::V; WIDE]) -> f32 {
    let mut chains = [0.0; WIDE];
    for v in 0..WIDE / S::LANES {
        // SAFETY: `v < WIDE / LANES`, so `(v + 1) * LANES <= WIDE`.
        unsafe { s.store(chains.as_mut_ptr().add(v * S::LANES), sums[v]) }
    }
    chains.iter().sum()
}

/// The part of the ways from a state on, and of those to it, in units of `2^peak`.
#[inline(always)]
fn part<S: Simd>(s: S, to: Wide<S::V>, from: Wide<S::V>, peak: S::V) -> S::V {
    let e = s.sub(s.add(to.e, from.e), peak);
    s.mul(s.mul(to.m, from.m), power(s, e))
}
