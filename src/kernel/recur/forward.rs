//! One step forward.

use super::{Equations, Tape, tape_planes};
use crate::kernel::pack::Source;
use crate::kernel::tile::{Acc, Tile, accumulate, drive, load, store};
use crate::kernel::walk::Walk;
use crate::simd::Simd;

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
