//! The activation functions of a cell: the standard ones of its equations, or those chosen by its options.

use crate::kernel::pointwise::math::{sigmoid, tanh};
use crate::kernel::step::{Functions, Params};
use crate::simd::Simd;

/// Sigmoid gates, tanh elsewhere. The value is saved, because the slope can be computed from it.
#[derive(Clone, Copy)]
pub(crate) struct Standard;

impl Functions for Standard {
    const FIXED: bool = true;

    #[inline(always)]
    fn new(_: &Params) -> Self {
        Standard
    }

    #[inline(always)]
    fn value<S: Simd>(self, s: S, place: usize, x: S::V) -> S::V {
        if place == 0 { sigmoid(s, x) } else { tanh(s, x) }
    }

    #[inline(always)]
    fn both<S: Simd>(self, s: S, place: usize, x: S::V) -> (S::V, S::V) {
        self.saved_both(s, place, self.value(s, place, x))
    }

    #[inline(always)]
    fn save<V>(self, _: V, value: V) -> V {
        value
    }

    #[inline(always)]
    fn saved<S: Simd>(self, _: S, _: usize, saved: S::V) -> S::V {
        saved
    }

    #[inline(always)]
    fn saved_both<S: Simd>(self, s: S, place: usize, saved: S::V) -> (S::V, S::V) {
        let from = if place == 0 { saved } else { s.splat(1.0) };
        (saved, s.fnma(saved, saved, from))
    }

    #[inline(always)]
    fn times<S: Simd>(self, s: S, d: S::V, slope: S::V) -> S::V {
        s.mul(d, slope)
    }
}

/// ReLU in place of tanh. The value is used as the slope, so that the gradient is 0, and never -0, where the
/// value is 0.
#[derive(Clone, Copy)]
pub(crate) struct Rectified;

impl Functions for Rectified {
    const FIXED: bool = true;

    #[inline(always)]
    fn new(_: &Params) -> Self {
        Rectified
    }

    #[inline(always)]
    fn value<S: Simd>(self, s: S, _: usize, x: S::V) -> S::V {
        let zero = s.splat(0.0);
        s.lt_select(x, zero, zero, x)
    }

    #[inline(always)]
    fn both<S: Simd>(self, s: S, place: usize, x: S::V) -> (S::V, S::V) {
        let value = self.value(s, place, x);
        (value, value)
    }

    #[inline(always)]
    fn save<V>(self, _: V, value: V) -> V {
        value
    }

    #[inline(always)]
    fn saved<S: Simd>(self, _: S, _: usize, saved: S::V) -> S::V {
        saved
    }

    #[inline(always)]
    fn saved_both<S: Simd>(self, _: S, _: usize, saved: S::V) -> (S::V, S::V) {
        (saved, saved)
    }

    #[inline(always)]
    fn times<S: Simd>(self, s: S, d: S::V, slope: S::V) -> S::V {
        let zero = s.splat(0.0);
        s.lt_select(zero, slope, d, zero)
    }
}

/// Functions chosen at run time, each with its argument clipped. The argument is saved, because the slope of
/// some functions cannot be computed from their value.
#[derive(Clone, Copy)]
pub(crate) struct Chosen(Params);

impl Functions for Chosen {
    const FIXED: bool = false;

    #[inline(always)]
    fn new(params: &Params) -> Self {
        Chosen(*params)
    }

    #[inline(always)]
    fn value<S: Simd>(self, s: S, place: usize, x: S::V) -> S::V {
        self.0.slots[place % 3].value(s, x)
    }

    #[inline(always)]
    fn both<S: Simd>(self, s: S, place: usize, x: S::V) -> (S::V, S::V) {
        self.0.slots[place % 3].both(s, x)
    }

    #[inline(always)]
    fn save<V>(self, x: V, _: V) -> V {
        x
    }

    #[inline(always)]
    fn saved<S: Simd>(self, s: S, place: usize, saved: S::V) -> S::V {
        self.value(s, place, saved)
    }

    #[inline(always)]
    fn saved_both<S: Simd>(self, s: S, place: usize, saved: S::V) -> (S::V, S::V) {
        self.both(s, place, saved)
    }

    #[inline(always)]
    fn times<S: Simd>(self, s: S, d: S::V, slope: S::V) -> S::V {
        s.mul(d, slope)
    }
}
