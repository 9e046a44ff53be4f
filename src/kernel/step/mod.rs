//! One step of a cell over a batch, forward and backward.
//!
//! A cell is its [`Equations`], on vectors of units in registers. They are used in two ways:
//! - [`batch`] and [`epilogues`]: sums of products for all rows ([`panel::sums`](super::panel::sums)) go to
//!   memory, some units at a time, and an epilogue computes the equations from them. The code for sums does
//!   not depend on the cell, and epilogues do not depend on the tile, so the amount of code is a sum and not
//!   a product.
//! - [`row`]: a step of one small row, and every step on instruction sets without vectors, keeps sums and
//!   equations in registers. This is one function for each combination of cell, instruction set and kind of
//!   weights. It is worth it, because handing buffers from one function to the next takes longer than the
//!   sums of 8 units.
//!
//! [`stream`] is the first of these for a single row, with less overhead, from narrow weights.
//!
//! [`project`] computes the input part of several steps of a batch before they run.
//!
//! [`normalised`] is a step of a cell with layer normalisation: it needs all sums of a row before the
//! equations.
//!
//! This folder may import the kernel's `panel`, `pointwise`, `rows` and `vector`, and `simd`.

pub(crate) mod ahead;
pub(crate) mod backward;
pub(crate) mod batch;
pub(crate) mod epilogues;
mod io;
pub(crate) mod normalised;
mod normalised_row;
pub(crate) mod project;
pub(crate) mod row;
pub(crate) mod single;
pub(crate) mod stream;
mod units;

pub(crate) use io::Step;

use super::panel::layout::Layout;
use super::pointwise::activation::Slot;
use super::rows::view::ColumnsMut;
use super::rows::walk::Walk;
use crate::simd::Simd;

/// The cell options that the equations use. Cells without options do not read them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Params {
    /// Activation functions, indexed by [place](Functions).
    pub(crate) slots: [Slot; 3],
    /// Whether an LSTM's forget gate is `1 - i`.
    pub(crate) coupled: bool,
    /// Whether an LSTM has peepholes.
    pub(crate) peepholes: bool,
    /// Whether an LSTM with layer normalisation carries the normalised cell state on to the next step.
    pub(crate) carries_normalised: bool,
}

/// The second stage of a cell: there hidden weights multiply a result of the first stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SecondStage {
    /// The layout of the one gate whose hidden weights this stage multiplies.
    pub(crate) layout: Layout,
    /// The plane with the sum that the product is added to.
    pub(crate) sum: usize,
    /// The plane with the operand of the product.
    pub(crate) operand: usize,
}

/// The equations of a cell on vectors of units. They do not access memory.
///
/// The forward equations save their values in the order of the sums: the backward equations replace each
/// saved value by the gradient of the sum with the same number.
pub(crate) trait Equations: Copy {
    /// How the weights of the first stage feed the sums.
    const LAYOUT: Layout;
    /// The second stage, if there is one. Then [`forward`](Self::forward) does not compute the state, which
    /// [`second`](Self::second) does; it saves the operand of the second stage and the values that stage
    /// needs.
    const SECOND: Option<SecondStage> = None;
    /// Whether the equations read the previous hidden state, apart from the products with weights.
    const READS_H: bool;
    /// Whether the cell can have peepholes.
    const PEEPHOLES: bool = false;
    /// With layer normalisation: the gates that are normalised together, in order.
    const NORMALISED: [usize; 2] = [0; 2];
    /// Whether it is faster to handle several vectors at once: true for short equations without decisions at
    /// run time.
    const SEVERAL: bool;

    fn new(params: &Params) -> Self;

    /// Computes the new state and the values to save from the finished sums.
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> Next<S::V>;

    /// Computes the gradients of the sums and of the previous state from saved values. The part that goes
    /// through the hidden weights is not included.
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dh: S::V, dc: S::V) -> Prev<S::V>;

    /// The second stage: computes the state from the values that the first stage saved and from the finished
    /// sum in its plane.
    #[inline(always)]
    fn second<S: Simd>(self, _: S, at: At<S::V>) -> Next<S::V> {
        Next { h: at.h, c: at.c, saved: at.planes }
    }

    /// From the gradient of the second stage's operand: the rest of `dh` (the part that is not in it yet),
    /// and the gradients of the sums.
    #[inline(always)]
    fn second_backward<S: Simd>(self, _: S, at: At<S::V>, _d_operand: S::V, dh: S::V) -> (S::V, [S::V; 4]) {
        (dh, at.planes)
    }

    /// With layer normalisation, for a cell with a cell state: the output, from the sum of the output gate
    /// and the normalised cell state.
    #[inline(always)]
    fn output<S: Simd>(self, _: S, _o: S::V, c: S::V) -> S::V {
        c
    }

    /// The gradients of the two arguments of [`output`](Self::output), from that of the output.
    #[inline(always)]
    fn output_backward<S: Simd>(self, _: S, _o: S::V, _c: S::V, dh: S::V) -> (S::V, S::V) {
        (dh, dh)
    }
}

/// The input of the equations for one vector of units.
#[derive(Clone, Copy)]
pub(crate) struct At<V> {
    /// Sums, or saved values.
    pub(crate) planes: [V; 4],
    /// The previous hidden state, if the equations read it.
    pub(crate) h: V,
    /// The previous cell state, if the cell has one.
    pub(crate) c: V,
    /// An LSTM's peepholes, or zeros.
    pub(crate) p: [V; 3],
}

/// The result of a forward step.
pub(crate) struct Next<V> {
    pub(crate) h: V,
    pub(crate) c: V,
    /// Values for the backward pass, one for each sum.
    pub(crate) saved: [V; 4],
}

/// The result of a backward step.
pub(crate) struct Prev<V> {
    /// The part of the gradient of the previous hidden state that does not go through the weights.
    pub(crate) dh: V,
    pub(crate) dc: V,
    /// Gradients of the sums.
    pub(crate) dsums: [V; 4],
    /// Gradients of the peepholes.
    pub(crate) dp: [V; 3],
    /// The output of the step, computed again for a projection.
    pub(crate) out: V,
}

/// The activation functions of a cell, identified by their place: 0 for gates, 1 for the new value, 2 for the
/// function that an LSTM applies to the cell state in its output.
pub(crate) trait Functions: Copy {
    /// Whether the functions are known at compile time.
    const FIXED: bool;

    fn new(params: &Params) -> Self;
    /// The value of a function.
    fn value<S: Simd>(self, s: S, place: usize, x: S::V) -> S::V;
    /// The value and the slope of a function.
    fn both<S: Simd>(self, s: S, place: usize, x: S::V) -> (S::V, S::V);
    /// Chooses what to save: the argument or the value.
    fn save<V>(self, x: V, value: V) -> V;
    /// The value, from what was saved.
    fn saved<S: Simd>(self, s: S, place: usize, saved: S::V) -> S::V;
    /// The value and the slope, from what was saved.
    fn saved_both<S: Simd>(self, s: S, place: usize, saved: S::V) -> (S::V, S::V);
    /// Multiplies a gradient by a slope.
    fn times<S: Simd>(self, s: S, d: S::V, slope: S::V) -> S::V;
}

/// Where a step saves values for the backward pass.
pub(crate) enum Tape<'a> {
    /// Nothing is saved.
    None,
    /// `[rows, ld]`; the walk numbers the rows.
    Sequence(ColumnsMut<'a>),
    /// `[B, ld]`, for this step only.
    Step(&'a mut [f32]),
}

impl<'a> Tape<'a> {
    /// The start of the rows of `ld` elements, null if there are none; whether all rows of the walk exist;
    /// and whether the walk numbers the rows.
    #[inline(always)]
    pub(crate) fn parts(self, walk: &Walk<'_>, ld: usize) -> (*mut f32, bool, bool) {
        match self {
            Tape::None => (core::ptr::null_mut(), true, false),
            Tape::Sequence(mut tape) => (tape.start(0), tape.has(walk, ld) && tape.ld() == ld, true),
            Tape::Step(tape) => (tape.as_mut_ptr(), tape.len() >= walk.batch() * ld, false),
        }
    }
}

/// The input of a step.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// `[rows, I]`; the walk numbers the rows.
    Raw(&'a [f32]),
    /// Projected: `[block rows, x_gates*H]`; the first row belongs to step `first`.
    Block { data: &'a [f32], first: usize },
    /// Projected, in the first planes of the tape.
    Tape,
}

/// Loads the peepholes of some units, or zeros.
/// # Safety
/// `of` is null or has three rows of `hidden` elements; `unit < hidden`.
#[inline(always)]
unsafe fn peepholes<S: Simd>(s: S, of: *const f32, hidden: usize, unit: usize) -> [S::V; 3] {
    let mut p = [s.splat(0.0); 3];
    if !of.is_null() {
        for i in 0..3 {
            // SAFETY: the caller promises three rows, of which `hidden - unit` elements follow `unit`.
            p[i] = unsafe { super::vector::load(s, of.add(i * hidden + unit), hidden - unit) };
        }
    }
    p
}

/// The start of the peepholes; null if there are none. `None` if the length is neither 0 nor `3 * hidden`.
#[inline(always)]
fn peepholes_start(of: &[f32], hidden: usize) -> Option<*const f32> {
    match of.len() {
        0 => Some(core::ptr::null()),
        len => (len == 3 * hidden).then_some(of.as_ptr()),
    }
}
