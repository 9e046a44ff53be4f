//! The second stage of a cell whose hidden weights multiply something that the first stage makes.
//!
//! Everything that passes between the stages stands in the planes of the tape, so the stages share no
//! other buffer; without training a step's worth of tape in scratch serves.

use super::Layout;
use super::canonical::Dims;
use super::pack::Source;
use super::recur::{Before, Tape};
use super::tile::{Acc, Tile, accumulate, drive_step, each_row, load, load_planes, store};
use super::view::{Columns, ColumnsMut};
use super::walk::{Rows, Walk};
use crate::simd::Simd;

/// Planes of the tape that the stages share.
const PLANES: usize = 4;

/// The equations of a second stage, which multiplies one gate of the hidden weights.
pub(crate) trait SecondStage: Copy {
    /// That gate.
    type Weights: Layout;
    /// The plane that the sum starts from, and that takes what is saved.
    const SUM: usize;
    /// The plane that the weights multiply.
    const OPERAND: usize;

    /// The next hidden state, and what is saved in the plane `SUM`.
    fn forward<S: Simd>(self, s: S, sum: S::V, saved: [S::V; 4], h: S::V) -> (S::V, S::V);

    /// From the gradient of the operand: that of the previous hidden state, and those of the first stage's accumulators.
    fn backward<S: Simd>(
        self,
        s: S,
        saved: [S::V; 4],
        h: S::V,
        d_operand: S::V,
        dh: S::V,
    ) -> (S::V, [S::V; 4]);
}

/// The buffers of a forward step.
pub(crate) struct Forward<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    /// `[B, H]`
    pub(crate) h: &'a [f32],
    /// `[B, H]`
    pub(crate) h_next: &'a mut [f32],
    /// `[rows, H]`, unless only the state is wanted.
    pub(crate) y: Option<ColumnsMut<'a>>,
    pub(crate) tape: Tape<'a>,
}

struct SecondTile<'a, E, W> {
    e: E,
    w: W,
    walk: &'a Walk<'a>,
    t: usize,
    hidden: usize,
    h: *const f32,
    h_next: *mut f32,
    y: *mut f32,
    y_ld: usize,
    tape: *mut f32,
    tape_by_walk: bool,
}

impl<S: Simd, E: SecondStage, W: Source<S>> Tile<S> for SecondTile<'_, E, W> {
    const ACC: usize = 1;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let hidden = self.hidden;
        let seq: [usize; MB] = each_row!(|m| self.walk.row(self.t, rows[m]));
        // SAFETY: the rows and panels exist, by the caller's promise, in buffers that `forward_step` has checked, with a row of
        // the tape for each; `SUM` and `OPERAND` are below `PLANES`.
        unsafe {
            let tape: [*mut f32; MB] = each_row!(|m| {
                let row = if self.tape_by_walk { seq[m] } else { rows[m] };
                self.tape.add(row * PLANES * hidden)
            });
            let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
            for m in 0..MB {
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    acc[m][p][0] = load(s, tape[m].add(E::SUM * hidden + unit), hidden - unit);
                }
            }
            let operand = each_row!(|m| tape[m].add(E::OPERAND * hidden).cast_const());
            accumulate(s, &mut acc, 1, [0; 4], self.w.h::<E::Weights>(), panel, operand, 1, hidden);
            for m in 0..MB {
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    let left = hidden - unit;
                    let saved = load_planes(s, tape[m].add(unit), hidden, PLANES, left);
                    let at = rows[m] * hidden + unit;
                    let (next, sum) = self.e.forward(s, acc[m][p][0], saved, load(s, self.h.add(at), left));
                    store(s, self.h_next.add(at), next, left);
                    store(s, tape[m].add(E::SUM * hidden + unit), sum, left);
                    if !self.y.is_null() {
                        store(s, self.y.add(seq[m] * self.y_ld + unit), next, left);
                    }
                }
            }
        }
    }
}

/// The second stage of one step of the whole batch.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn forward_step<S: Simd, E: SecondStage, W: Source<S>>(
    s: S,
    e: E,
    w: W,
    t: usize,
    io: Forward<'_>,
) {
    const { assert!(E::SUM < PLANES && E::OPERAND < PLANES) };
    let Forward { walk, dims, h, h_next, mut y, tape } = io;
    let hidden = dims.hidden;
    let state = walk.batch() * hidden;
    let (tape, tape_rows, tape_by_walk) = tape.parts(walk);
    let fits = t < walk.steps()
        && w.fits::<E::Weights>(s, Dims { width: hidden, ..dims })
        && h.len() == state
        && h_next.len() == state
        && y.as_ref().is_none_or(|y| y.has(walk.rows(), hidden))
        && tape.len() >= tape_rows * PLANES * hidden
        && (tape_rows == if tape_by_walk { walk.rows() } else { walk.batch() });
    debug_assert!(fits);
    if !fits {
        return;
    }
    let (y, y_ld) = y.as_mut().map_or((core::ptr::null_mut(), 0), |y| (y.start(0), y.ld()));
    let tile = SecondTile {
        e,
        w,
        walk,
        t,
        hidden,
        h: h.as_ptr(),
        h_next: h_next.as_mut_ptr(),
        y,
        y_ld,
        tape: tape.as_mut_ptr(),
        tape_by_walk,
    };
    // SAFETY: every row below `batch` and every panel below the ceiling of `hidden / LANES` exist in the
    // buffers whose lengths were just checked, and in `w`.
    unsafe { drive_step(s, &tile, Rows::step(walk, t), hidden.div_ceil(S::LANES), t) }
}

/// The buffers of what lies between the two products of a backward step.
pub(crate) struct Backward<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) hidden: usize,
    /// `[B, H]`, the initial state.
    pub(crate) h0: &'a [f32],
    /// `[rows, H]`, the outputs.
    pub(crate) y: Columns<'a>,
    /// `[B, H]`, gradient of what the second stage's weights multiply.
    pub(crate) d_operand: &'a [f32],
    /// `[B, H]`, in place.
    pub(crate) dh: &'a mut [f32],
    /// `[rows, PLANES * H]`
    pub(crate) tape: &'a mut [f32],
}

/// From the gradient of the second stage's operand to those of the first stage's accumulators.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn backward_step<S: Simd, E: SecondStage>(s: S, e: E, t: usize, io: Backward<'_>) {
    let Backward { walk, hidden, h0, y, d_operand, dh, tape } = io;
    let state = walk.batch() * hidden;
    let fits = t < walk.steps()
        && d_operand.len() == state
        && dh.len() == state
        && tape.len() == walk.rows() * PLANES * hidden;
    debug_assert!(fits);
    let (Some(before), true) = (Before::new(walk, h0, y, hidden), fits) else { return };
    for b in Rows::step(walk, t).iter() {
        let row = walk.row(t, b);
        let h = before.get(t, b);
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            let at = b * hidden + unit;
            // SAFETY: `b < batch` takes part in step `t < steps`, so `row < walk.rows()`; the tape and the states were just
            // checked to hold these rows, and `h` is null or a row that `Before::new` checked. `left` elements follow `unit`.
            unsafe {
                let saved_at = tape.as_mut_ptr().add(row * PLANES * hidden + unit);
                let saved = load_planes(s, saved_at, hidden, PLANES, left);
                let (prev, dacc) = e.backward(
                    s,
                    saved,
                    if h.is_null() { s.splat(0.0) } else { load(s, h.add(unit), left) },
                    load(s, d_operand.as_ptr().add(at), left),
                    load(s, dh.as_ptr().add(at), left),
                );
                store(s, dh.as_mut_ptr().add(at), prev, left);
                for (a, d) in dacc.into_iter().enumerate() {
                    store(s, saved_at.add(a * hidden), d, left);
                }
            }
        }
    }
}
