//! One step of a cell over a batch, forward and backward.
//!
//! A cell is its [`Equations`], on vectors of units in registers. They are used in two ways:
//! - [`batch`] and [`epilogues`]: sums of products for all rows ([`panel::sums`](super::panel::sums)) go to memory, some units at a time, and
//!   an epilogue computes the equations from there. Sums know no cell, epilogues know no tile, so the two add up.
//! - [`row`]: a step of one small row, and every step on sets without vectors, keeps sums and equations in registers. It is one function
//!   for each cell, set and kind of weights: a product, which is worth it, because handing buffers from one function to the next
//!   takes longer than the sums of 8 units.
//!
//! It may import the kernel's `panel`, `rows` and `vector`, and `simd`.

pub(crate) mod ahead;
pub(crate) mod backward;
pub(crate) mod batch;
pub(crate) mod epilogues;
mod io;
pub(crate) mod row;
mod units;

pub(crate) use io::Step;

use super::panel::layout::Layout;
use super::pointwise::activation::Slot;
use super::rows::view::ColumnsMut;
use super::rows::walk::Walk;
use crate::simd::Simd;

/// The options of a cell that its equations see. Those of a cell without options are not read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Params {
    /// Activation functions, by their [place](Functions).
    pub(crate) slots: [Slot; 3],
    /// Whether an LSTM's forget gate is `1 - i`.
    pub(crate) coupled: bool,
    /// Whether an LSTM's gates see the cell state.
    pub(crate) peepholes: bool,
}

/// The second stage of a cell whose hidden weights multiply something that the first stage makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SecondStage {
    /// The one gate of the hidden weights that it multiplies.
    pub(crate) layout: Layout,
    /// The plane whose sum the product goes on with.
    pub(crate) sum: usize,
    /// The plane that the weights multiply.
    pub(crate) operand: usize,
}

/// The equations of a cell on vectors of units. No memory is touched here.
///
/// What the forward equations save has the order of the sums, because the backward equations replace each
/// saved value by the gradient of the sum of the same number.
pub(crate) trait Equations: Copy {
    /// How the weights of the first stage feed the sums.
    const LAYOUT: Layout;
    /// The second stage, if there is one. Then [`forward`](Self::forward) leaves the state to [`second`](Self::second), and saves its
    /// operand and what it needs.
    const SECOND: Option<SecondStage> = None;
    /// Whether the previous hidden state is read, besides by the weights.
    const READS_H: bool;
    /// Whether there may be peepholes.
    const PEEPHOLES: bool = false;
    /// Whether several vectors at once gain something: for short equations without a choice at run time.
    const SEVERAL: bool;

    fn new(params: &Params) -> Self;

    /// From the finished sums: the new state, and what is saved.
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> Next<S::V>;

    /// From what was saved: gradients of the sums and of the previous state, except for what comes through the hidden weights.
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dh: S::V, dc: S::V) -> Prev<S::V>;

    /// The second stage, from what the first one saved, with the finished sum in its plane.
    #[inline(always)]
    fn second<S: Simd>(self, _: S, at: At<S::V>) -> Next<S::V> {
        Next { h: at.h, c: at.c, saved: at.planes }
    }

    /// From the gradient of the second stage's operand: what is left for `dh` besides what is in it, and gradients of the sums.
    #[inline(always)]
    fn second_backward<S: Simd>(self, _: S, at: At<S::V>, _d_operand: S::V, dh: S::V) -> (S::V, [S::V; 4]) {
        (dh, at.planes)
    }
}

/// What the equations see of one vector of units.
#[derive(Clone, Copy)]
pub(crate) struct At<V> {
    /// Sums, or what was saved.
    pub(crate) planes: [V; 4],
    /// The previous hidden state, if it is read.
    pub(crate) h: V,
    /// The previous cell state, if there is one.
    pub(crate) c: V,
    /// An LSTM's peepholes, or zeros.
    pub(crate) p: [V; 3],
}

/// What a forward step makes.
pub(crate) struct Next<V> {
    pub(crate) h: V,
    pub(crate) c: V,
    /// For the backward pass, one value for each sum.
    pub(crate) saved: [V; 4],
}

/// What a backward step makes.
pub(crate) struct Prev<V> {
    /// The part of the gradient of the previous hidden state that does not go through the weights.
    pub(crate) dh: V,
    pub(crate) dc: V,
    /// Gradients of the sums.
    pub(crate) dsums: [V; 4],
    /// Gradients of the peepholes.
    pub(crate) dp: [V; 3],
    /// The output of the step again, for a projection.
    pub(crate) out: V,
}

/// The activation functions of a cell. A cell names a function by its place: 0 for gates, 1 for the new value, 2 for an LSTM's cell
/// state on its way to the hidden state.
pub(crate) trait Functions: Copy {
    /// Whether the functions are known at compile time.
    const FIXED: bool;

    fn new(params: &Params) -> Self;
    /// The value of a function.
    fn value<S: Simd>(self, s: S, place: usize, x: S::V) -> S::V;
    /// The value and the slope.
    fn both<S: Simd>(self, s: S, place: usize, x: S::V) -> (S::V, S::V);
    /// What is saved of the argument and the value.
    fn save<V>(self, x: V, value: V) -> V;
    /// The value of what was saved.
    fn saved<S: Simd>(self, s: S, place: usize, saved: S::V) -> S::V;
    /// The value and the slope of what was saved.
    fn saved_both<S: Simd>(self, s: S, place: usize, saved: S::V) -> (S::V, S::V);
    /// A gradient times a slope.
    fn times<S: Simd>(self, s: S, d: S::V, slope: S::V) -> S::V;
}

/// Where a step saves what the backward pass needs.
pub(crate) enum Tape<'a> {
    /// Nowhere.
    None,
    /// `[rows, ld]`, rows as the walk counts them.
    Sequence(ColumnsMut<'a>),
    /// `[B, ld]`, for this step only.
    Step(&'a mut [f32]),
}

impl<'a> Tape<'a> {
    /// Where its rows of `ld` elements start, null if there are none; whether it has those of the walk; and
    /// whether these are counted by it.
    #[inline(always)]
    pub(crate) fn parts(self, walk: &Walk<'_>, ld: usize) -> (*mut f32, bool, bool) {
        match self {
            Tape::None => (core::ptr::null_mut(), true, false),
            Tape::Sequence(mut tape) => (tape.start(0), tape.has(walk, ld) && tape.ld() == ld, true),
            Tape::Step(tape) => (tape.as_mut_ptr(), tape.len() >= walk.batch() * ld, false),
        }
    }
}

/// Where a step finds its input.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// `[rows, I]`, rows as the walk counts them.
    Raw(&'a [f32]),
    /// Projected: `[block rows, x_gates*H]`; the first row belongs to step `first`.
    Block { data: &'a [f32], first: usize },
    /// Projected, in the first planes of the tape.
    Tape,
}

/// Peepholes of some units, or zeros.
/// # Safety
/// `of` is null or has three rows of `hidden` elements; `unit < hidden`.
#[inline(always)]
unsafe fn peepholes<S: Simd, E: Equations>(s: S, of: *const f32, hidden: usize, unit: usize) -> [S::V; 3] {
    let mut p = [s.splat(0.0); 3];
    if E::PEEPHOLES && !of.is_null() {
        for i in 0..3 {
            // SAFETY: the caller's: three rows, of which `hidden - unit` elements follow `unit`.
            p[i] = unsafe { super::vector::load(s, of.add(i * hidden + unit), hidden - unit) };
        }
    }
    p
}

/// The start of the peepholes; null if there are none. `None` for another length than `3 * hidden`.
#[inline(always)]
fn peepholes_start(of: &[f32], hidden: usize) -> Option<*const f32> {
    match of.len() {
        0 => Some(core::ptr::null()),
        len => (len == 3 * hidden).then_some(of.as_ptr()),
    }
}
