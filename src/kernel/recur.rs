//! One step of a cell over a batch, forward and backward, and the input projection of many steps at once.
//!
//! The tile's chain of multiply-adds starts at the bias, goes over the input and then over the hidden
//! state. Doing the input part ahead for many steps (the projection) and storing the unfinished sums
//! between does not change the chain, so it does not change the bits.

use super::pack::Source;
use super::tile::{Acc, Tile, accumulate, drive};
use super::walk::Walk;
use crate::simd::Simd;

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
    /// The gate of `w_hh` that each hidden gate is, in canonical order.
    const HROWS: [usize; 4];
    /// The gate of `b_ih` in each accumulator, or `NONE`.
    const BIAS_X: [usize; 4];
    /// The gate of `b_hh` in each accumulator, or `NONE`.
    const BIAS_H: [usize; 4];
    /// Whether there is a cell state besides the hidden state.
    const HAS_C: bool;
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

/// Where a step finds its input.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    /// `[rows, I]`, rows as the walk counts them.
    Raw(&'a [f32]),
    /// Projected: `[block rows, XG*H]`; the first row belongs to step `first`.
    Block { data: &'a [f32], first: usize },
    /// Projected, in the first planes of the tape.
    Tape,
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
    /// The buffer, how many rows it has, and whether they are counted by the walk.
    pub(crate) fn parts(self, walk: Walk) -> (&'a mut [f32], usize, bool) {
        match self {
            Tape::None => (&mut [], 0, false),
            Tape::Sequence(tape) => (tape, walk.rows(), true),
            Tape::Step(tape) => (tape, walk.batch, false),
        }
    }
}

/// The buffers of one forward step.
pub(crate) struct ForwardStep<'a> {
    pub(crate) walk: Walk,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    pub(crate) x: Input<'a>,
    /// `[B, H]`
    pub(crate) h: &'a [f32],
    /// `[B, H]`
    pub(crate) h_next: &'a mut [f32],
    /// `[B, H]`, or empty for a cell without one.
    pub(crate) c: &'a mut [f32],
    /// `[rows, H]`, or empty if only the state is wanted.
    pub(crate) y: &'a mut [f32],
    pub(crate) tape: Tape<'a>,
}

struct ForwardTile<E, W, const TRAIN: bool> {
    e: E,
    w: W,
    walk: Walk,
    t: usize,
    input: usize,
    hidden: usize,
    /// One of the three, as `Input` says; the tape comes through `tape`.
    x: *const f32,
    block: *const f32,
    block_first: usize,
    h: *const f32,
    h_next: *mut f32,
    c: *mut f32,
    y: *mut f32,
    tape: *mut f32,
    tape_by_walk: bool,
}

impl<S: Simd, E: Equations, W: Source<S>, const TRAIN: bool> Tile<S> for ForwardTile<E, W, TRAIN> {
    const ACC: usize = E::ACC;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, row: usize, panel: usize) {
        let hidden = self.hidden;
        let seq: [usize; MB] = core::array::from_fn(|m| self.walk.row(self.t, row + m));
        let ld = tape_planes::<E>() * hidden;
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the panels exist, by the caller's promise; all row offsets below are those of rows that
        // the walk and the batch have, in buffers whose lengths `forward_step` has checked.
        unsafe {
            for p in 0..NP {
                let bias = self.w.bias::<E>(s, panel + p);
                for m in 0..MB {
                    acc[m][p] = bias;
                }
            }
            if !self.x.is_null() {
                let x = core::array::from_fn(|m| self.x.add(seq[m] * self.input));
                accumulate(s, &mut acc, E::XG, [0, 1, 2, 3], self.w.x::<E>(), panel, x, 1, self.input);
            } else {
                for m in 0..MB {
                    let from = if self.block.is_null() {
                        self.tape.cast_const().add(seq[m] * ld)
                    } else {
                        let step = self.t - self.block_first;
                        self.block.add((step * self.walk.batch + row + m) * E::XG * hidden)
                    };
                    for p in 0..NP {
                        let unit = (panel + p) * S::LANES;
                        for g in 0..E::XG {
                            acc[m][p][g] = load(s, from.add(g * hidden + unit), hidden - unit);
                        }
                    }
                }
            }
            let h = core::array::from_fn(|m| self.h.add((row + m) * hidden));
            accumulate(s, &mut acc, E::HG, E::HMAP, self.w.h::<E>(), panel, h, 1, hidden);
            // A copy, so that this loop, which is too large to be unrolled, does not keep the sums above in memory.
            let acc = acc;
            for m in 0..MB {
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    let left = hidden - unit;
                    let at = (row + m) * hidden + unit;
                    let h = load(s, self.h.add(at), left);
                    let c = if E::HAS_C { load(s, self.c.cast_const().add(at), left) } else { s.splat(0.0) };
                    let next = self.e.forward(s, acc[m][p], h, c);
                    store(s, self.h_next.add(at), next.h, left);
                    if E::HAS_C {
                        store(s, self.c.add(at), next.c, left);
                    }
                    if !self.y.is_null() {
                        store(s, self.y.add(seq[m] * hidden + unit), next.h, left);
                    }
                    if TRAIN {
                        let tape_row = if self.tape_by_walk { seq[m] } else { row + m };
                        let tape = self.tape.add(tape_row * ld + unit);
                        for a in 0..E::ACC {
                            store(s, tape.add(a * hidden), next.saved[a], left);
                        }
                        if E::HAS_C {
                            store(s, tape.add(E::ACC * hidden), c, left);
                        }
                    }
                }
            }
        }
    }
}

/// A whole vector where there is room for one, otherwise the `left` elements that there are.
/// # Safety
/// `p` is valid for reading `left` elements.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(s: S, p: *const f32, left: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { if left >= S::LANES { s.load(p) } else { s.load_n(p, left) } }
}

/// A whole vector where there is room for one, otherwise the `left` elements that there are.
/// # Safety
/// `p` is valid for writing `left` elements.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V, left: usize) {
    // SAFETY: the caller's.
    unsafe { if left >= S::LANES { s.store(p, v) } else { s.store_n(p, v, left) } }
}

/// The same `left` units of the first `count` planes of a row of the tape.
/// # Safety
/// `p` and what is `plane`, `2 * plane`, ... elements after it are valid for reading `left` elements.
#[inline(always)]
pub(crate) unsafe fn load_planes<S: Simd>(
    s: S,
    p: *const f32,
    plane: usize,
    count: usize,
    left: usize,
) -> [S::V; 4] {
    let mut v = [s.splat(0.0); 4];
    for a in 0..count {
        // SAFETY: the caller's.
        v[a] = unsafe { load(s, p.add(a * plane), left) };
    }
    v
}

/// Null for an empty slice, which here means that there is no such buffer.
fn start(of: &mut [f32]) -> *mut f32 {
    if of.is_empty() { core::ptr::null_mut() } else { of.as_mut_ptr() }
}

/// One step of the whole batch. `TRAIN` says whether there is a tape.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn forward_step<S: Simd, E: Equations, W: Source<S>, const TRAIN: bool>(
    s: S,
    e: E,
    w: W,
    t: usize,
    io: ForwardStep<'_>,
) {
    let ForwardStep { walk, input, hidden, x, h, h_next, c, y, tape } = io;
    let (rows, state) = (walk.rows(), walk.batch * hidden);
    let (tape, tape_rows, tape_by_walk) = tape.parts(walk);
    let fits = t < walk.steps
        && h.len() == state
        && h_next.len() == state
        && c.len() == if E::HAS_C { state } else { 0 }
        && (y.is_empty() || y.len() == rows * hidden)
        && tape.len() >= tape_rows * tape_planes::<E>() * hidden
        && (!TRAIN || tape_rows == if tape_by_walk { rows } else { walk.batch })
        && match x {
            Input::Raw(x) => x.len() == rows * input,
            Input::Block { data, first } => {
                first <= t && data.len() >= (t - first + 1) * walk.batch * E::XG * hidden
            }
            Input::Tape => tape_by_walk,
        };
    debug_assert!(fits);
    if !fits {
        return;
    }
    let (mut raw, mut block, mut block_first) = (core::ptr::null(), core::ptr::null(), 0);
    match x {
        Input::Raw(x) => raw = x.as_ptr(),
        Input::Block { data, first } => (block, block_first) = (data.as_ptr(), first),
        Input::Tape => {}
    }
    let tile = ForwardTile::<E, W, TRAIN> {
        e,
        w,
        walk,
        t,
        input,
        hidden,
        x: raw,
        block,
        block_first,
        h: h.as_ptr(),
        h_next: h_next.as_mut_ptr(),
        c: c.as_mut_ptr(),
        y: start(y),
        tape: tape.as_mut_ptr(),
        tape_by_walk,
    };
    // SAFETY: every row below `batch` and every panel below the ceiling of `hidden / LANES` exist in the
    // buffers whose lengths were just checked; `w` was made for the same sizes.
    unsafe { drive(s, &tile, walk.batch, hidden.div_ceil(S::LANES)) }
}

struct ProjectTile<E, W> {
    w: W,
    equations: core::marker::PhantomData<E>,
    walk: Walk,
    first: usize,
    input: usize,
    hidden: usize,
    x: *const f32,
    out: *mut f32,
    /// Distance of two rows of `out`, and whether they are counted by the walk (a tape) or from the block's start.
    ld: usize,
    by_walk: bool,
}

impl<S: Simd, E: Layout, W: Source<S>> Tile<S> for ProjectTile<E, W> {
    const ACC: usize = E::XG;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, row: usize, panel: usize) {
        let batch = self.walk.batch;
        let seq: [usize; MB] = core::array::from_fn(|m| {
            let r = row + m;
            self.walk.row(self.first + r / batch, r % batch)
        });
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the panels and rows exist, by the caller's promise, in buffers that `project` has checked.
        unsafe {
            for p in 0..NP {
                let bias = self.w.bias::<E>(s, panel + p);
                for m in 0..MB {
                    acc[m][p] = bias;
                }
            }
            let x = core::array::from_fn(|m| self.x.add(seq[m] * self.input));
            accumulate(s, &mut acc, E::XG, [0, 1, 2, 3], self.w.x::<E>(), panel, x, 1, self.input);
            for m in 0..MB {
                let to = self.out.add(self.ld * if self.by_walk { seq[m] } else { row + m });
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    for g in 0..E::XG {
                        store(s, to.add(g * self.hidden + unit), acc[m][p][g], self.hidden - unit);
                    }
                }
            }
        }
    }
}

/// The input part of steps `first..first + count`: `bias + W_ih x`, one row for each step of each batch row.
///
/// `out` is a block `[count * B, XG*H]`, or the tape, whose first planes take it.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn project<S: Simd, E: Layout, W: Source<S>>(
    s: S,
    w: W,
    walk: Walk,
    (input, hidden): (usize, usize),
    (first, count): (usize, usize),
    x: &[f32],
    out: &mut [f32],
    into_tape: bool,
) {
    let rows = walk.rows();
    let ld = hidden * if into_tape { tape_planes::<E>() } else { E::XG };
    let fits = first + count <= walk.steps
        && x.len() == rows * input
        && out.len() >= ld * if into_tape { rows } else { count * walk.batch };
    debug_assert!(fits);
    if !fits || walk.batch == 0 {
        return;
    }
    let tile = ProjectTile::<E, W> {
        w,
        equations: core::marker::PhantomData,
        walk,
        first,
        input,
        hidden,
        x: x.as_ptr(),
        out: out.as_mut_ptr(),
        ld,
        by_walk: into_tape,
    };
    // SAFETY: the rows of `count` steps and the panels of `hidden` units exist in the buffers just checked.
    unsafe { drive(s, &tile, count * walk.batch, hidden.div_ceil(S::LANES)) }
}

/// The buffers of the elementwise part of one backward step.
pub(crate) struct BackwardStep<'a> {
    pub(crate) walk: Walk,
    pub(crate) hidden: usize,
    /// `[B, H]`, the state before the step.
    pub(crate) h: &'a [f32],
    /// `[rows, H]`, or empty if only the last state has a gradient.
    pub(crate) dy: &'a [f32],
    /// `[B, H]`: of the state after the step, then what reaches the state before it past the weights.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, in place, or empty for a cell without one.
    pub(crate) dc: &'a mut [f32],
    /// `[rows, tape_planes * H]`: saved values, then the gradients of the accumulators.
    pub(crate) tape: &'a mut [f32],
}

/// The elementwise part of one backward step of the whole batch.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn backward_step<S: Simd, E: Equations>(s: S, e: E, t: usize, io: BackwardStep<'_>) {
    let BackwardStep { walk, hidden, h, dy, dh, dc, tape } = io;
    let (rows, state, ld) = (walk.rows(), walk.batch * hidden, tape_planes::<E>() * hidden);
    let fits = t < walk.steps
        && h.len() == state
        && dh.len() == state
        && dc.len() == if E::HAS_C { state } else { 0 }
        && (dy.is_empty() || dy.len() == rows * hidden)
        && tape.len() == rows * ld;
    debug_assert!(fits);
    if !fits {
        return;
    }
    for b in 0..walk.batch {
        let row = walk.row(t, b);
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            let at = b * hidden + unit;
            // SAFETY: `b` and `row` are rows of the buffers just checked, and `left` elements of each row follow `unit`.
            unsafe {
                let saved_at = tape.as_mut_ptr().add(row * ld + unit);
                let saved = load_planes(s, saved_at, hidden, E::ACC, left);
                let mut grad = load(s, dh.as_ptr().add(at), left);
                if !dy.is_empty() {
                    grad = s.add(grad, load(s, dy.as_ptr().add(row * hidden + unit), left));
                }
                let (mut c, mut grad_c) = (s.splat(0.0), s.splat(0.0));
                if E::HAS_C {
                    c = load(s, saved_at.add(E::ACC * hidden), left);
                    grad_c = load(s, dc.as_ptr().add(at), left);
                }
                let prev = e.backward(s, saved, load(s, h.as_ptr().add(at), left), c, grad, grad_c);
                for a in 0..E::ACC {
                    store(s, saved_at.add(a * hidden), prev.dacc[a], left);
                }
                store(s, dh.as_mut_ptr().add(at), prev.dh, left);
                if E::HAS_C {
                    store(s, dc.as_mut_ptr().add(at), prev.dc, left);
                }
            }
        }
    }
}
