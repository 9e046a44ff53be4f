//! One step of a cell over a batch, forward and backward, and the input projection of many steps at once.
//!
//! The tile's chain of multiply-adds starts at the bias, goes over the input and then over the hidden
//! state. Doing the input part ahead for many steps (the projection) and storing the unfinished sums
//! between does not change the chain, so it does not change the bits.

use super::NONE;
use super::walk::Walk;
use crate::simd::Simd;

mod ahead;
mod backward;
mod forward;
mod pointwise;
mod project;
mod sums;

pub(crate) use ahead::{AHEAD, Ahead, has_room};
pub(crate) use backward::{BackwardStep, Before, backward_step};
pub(crate) use forward::{ForwardStep, RowStep, forward_step, is_one_tile, row_step};
pub(crate) use pointwise::{
    At, Back, PointsBackward, PointsForward, Pointwise, SumsStep, points_backward, points_forward, sums_step,
};
pub(crate) use project::project;
pub(crate) use sums::Input;

/// How the weights of a cell (or of one stage of it) feed its accumulators.
///
/// A panel of units has `ACC` accumulators. Each is a pre-activation: a bias, plus the products with the
/// input for the gates that feed it, plus those with the hidden state.
pub(crate) trait Layout: Copy {
    /// Accumulators, at most 4.
    const ACC: usize;
    /// Gates of the input weights; gate g is rows `g*H..` of `w_ih` and feeds accumulator g.
    const XG: usize;
    /// Gates of the hidden weights.
    const HG: usize;
    /// The accumulator that each hidden gate feeds.
    const HMAP: [usize; 4];
    /// The gate of `w_hh` that the first hidden gate is; the others follow it.
    const HFIRST: usize;
    /// The gate of `b_ih` in each accumulator, or `NONE`.
    const BIAS_X: [usize; 4];
    /// The gate of `b_hh` in each accumulator, or `NONE`.
    const BIAS_H: [usize; 4];
    /// Whether there is a cell state besides the hidden state.
    const HAS_C: bool;
}

/// One gate of the hidden weights by itself, without biases: what a second stage multiplies, or a projection.
#[derive(Clone, Copy)]
pub(crate) struct HiddenGate<const GATE: usize>;

impl<const GATE: usize> Layout for HiddenGate<GATE> {
    const ACC: usize = 0;
    const XG: usize = 0;
    const HG: usize = 1;
    const HMAP: [usize; 4] = [0; 4];
    const HFIRST: usize = GATE;
    const BIAS_X: [usize; 4] = [NONE; 4];
    const BIAS_H: [usize; 4] = [NONE; 4];
    const HAS_C: bool = false;
}

/// The equations of a cell (or of its first stage) on vectors of units. No memory is touched here.
///
/// What the training forward saves has the accumulators' order, because the backward pass replaces each
/// saved value by the gradient of the accumulator of the same number.
pub(crate) trait Equations: Layout {
    /// Activations and the new state from the finished accumulators.
    fn forward<S: Simd>(self, s: S, acc: [S::V; 4], h: S::V, c: S::V) -> Next<S::V>;

    /// Gradients of the accumulators and of the previous state, except for what comes through the hidden weights.
    fn backward<S: Simd>(self, s: S, saved: [S::V; 4], h: S::V, c: S::V, dh: S::V, dc: S::V) -> Prev<S::V>;
}

/// What a forward step makes.
pub(crate) struct Next<V> {
    pub(crate) h: V,
    pub(crate) c: V,
    /// For the backward pass, one value for each accumulator.
    pub(crate) saved: [V; 4],
}

/// What a backward step makes.
pub(crate) struct Prev<V> {
    /// The part of the gradient of the previous hidden state that does not go through the weights.
    pub(crate) dh: V,
    pub(crate) dc: V,
    /// Gradients of the accumulators.
    pub(crate) dacc: [V; 4],
}

/// Vectors of H in one row of the tape: the accumulators' values, and the previous cell state.
pub(crate) const fn tape_planes<E: Layout>() -> usize {
    E::ACC + E::HAS_C as usize
}

/// Where a step saves what the backward pass needs.
pub(crate) enum Tape<'a> {
    /// Nowhere.
    None,
    /// `[rows, tape_planes * H]`, rows as the walk counts them.
    Sequence(&'a mut [f32]),
    /// `[B, tape_planes * H]`, for this step only.
    Step(&'a mut [f32]),
}

impl Tape<'_> {
    pub(crate) fn reborrow(&mut self) -> Tape<'_> {
        match self {
            Tape::None => Tape::None,
            Tape::Sequence(tape) => Tape::Sequence(tape),
            Tape::Step(tape) => Tape::Step(tape),
        }
    }
}

impl<'a> Tape<'a> {
    /// This one, or room for a step.
    pub(crate) fn or(self, room: &'a mut [f32]) -> Self {
        match self {
            Tape::None => Tape::Step(room),
            tape => tape,
        }
    }

    /// The buffer, how many rows it has, and whether they are counted by the walk.
    pub(crate) fn parts(self, walk: &Walk<'_>) -> (&'a mut [f32], usize, bool) {
        match self {
            Tape::None => (&mut [], 0, false),
            Tape::Sequence(tape) => (tape, walk.rows(), true),
            Tape::Step(tape) => (tape, walk.batch(), false),
        }
    }
}

/// What only cells with options have.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extra<'a> {
    /// `[3, H]` peepholes, or empty.
    pub(crate) peepholes: &'a [f32],
    /// `[B, width]`: factors of the hidden state where it is multiplied by its weights, in all steps.
    pub(crate) factors: Option<&'a [f32]>,
}
