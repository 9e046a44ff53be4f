//! The sums of a step: what both kinds of forward step start with.

use super::ahead::{Ahead, has_room};
use super::{Layout, Tape};
use crate::kernel::canonical::Dims;
use crate::kernel::pack::Source;
use crate::kernel::tile::{Acc, accumulate, each_row, load};
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

/// Operands of the sums of step `t`.
#[derive(Clone, Copy)]
pub(super) struct Sums<'a, W> {
    w: W,
    pub(super) walk: &'a Walk<'a>,
    pub(super) t: usize,
    input: usize,
    pub(super) hidden: usize,
    width: usize,
    /// One of the three, as `Input` says.
    x: *const f32,
    block: *const f32,
    block_first: usize,
    pub(super) h: *const f32,
    /// Null for none.
    pub(super) tape: *mut f32,
    pub(super) tape_by_walk: bool,
    pub(super) ld: usize,
    /// What is computed beside, in steps of one row.
    pub(super) ahead: Option<&'a Ahead<'a>>,
}

impl<'a, W> Sums<'a, W> {
    /// `None` for buffers of a wrong length, and for weights of other sizes. `h` is `[B, width]`, and rows of the tape have `ld` elements.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new<S: Simd, E: Layout>(
        s: S,
        w: W,
        walk: &'a Walk<'a>,
        t: usize,
        dims: Dims,
        x: Input<'_>,
        h: &[f32],
        tape: Tape<'_>,
        ld: usize,
        ahead: Option<&'a Ahead<'a>>,
    ) -> Option<Self>
    where
        W: Source<S>,
    {
        let Dims { input, hidden, width } = dims;
        let batch = walk.batch();
        let kept = !matches!(tape, Tape::None);
        let (tape, tape_rows, tape_by_walk) = tape.parts(walk);
        let fits = t < walk.steps()
            && w.fits::<E>(s, dims)
            && h.len() == batch * width
            && tape.len() >= tape_rows * ld
            && ahead.is_none_or(|ahead| ahead.is_of::<S, E>(dims))
            && match x {
                Input::Raw(x) => x.len() == walk.rows() * input,
                Input::Block { data, first } => {
                    first <= t && data.len() >= (t - first + 1) * batch * E::XG * hidden
                }
                Input::Tape => tape_by_walk && E::XG * hidden <= ld,
            };
        debug_assert!(fits);
        if !fits {
            return None;
        }
        let (mut raw, mut block, mut block_first) = (core::ptr::null(), core::ptr::null(), 0);
        match x {
            Input::Raw(x) => raw = x.as_ptr(),
            Input::Block { data, first } => (block, block_first) = (data.as_ptr(), first),
            Input::Tape => {}
        }
        let (h, tape) = (h.as_ptr(), if kept { tape.as_mut_ptr() } else { core::ptr::null_mut() });
        Some(Sums {
            w,
            walk,
            t,
            input,
            hidden,
            width,
            x: raw,
            block,
            block_first,
            h,
            tape,
            tape_by_walk,
            ld,
            ahead,
        })
    }

    /// The row of the tape for a batch row, whose row in the sequence is `seq`.
    /// # Safety
    /// There is a tape, and the row is one of the batch.
    #[inline(always)]
    pub(super) unsafe fn tape_row(&self, row: usize, seq: usize) -> *mut f32 {
        // SAFETY: the caller's, in the buffer that `new` has checked.
        unsafe { self.tape.add(self.ld * if self.tape_by_walk { seq } else { row }) }
    }

    /// Bias, input and hidden state, in this order.
    /// # Safety
    /// The rows are of the batch and take part in the step, `seq` are their rows in the sequence, and the panels exist.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd, E: Layout, const MB: usize, const NP: usize>(
        &self,
        s: S,
        rows: [usize; MB],
        seq: [usize; MB],
        panel: usize,
    ) -> Acc<S::V, MB, NP>
    where
        W: Source<S>,
    {
        let hidden = self.hidden;
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the panels exist, by the caller's promise, and `w` has them, as `new` has checked; all row offsets below are
        // those of rows that the walk and the batch have, in buffers whose lengths `new` has checked.
        unsafe {
            for p in 0..NP {
                let bias = self.w.bias::<E>(s, panel + p);
                for m in 0..MB {
                    acc[m][p] = bias;
                }
            }
            if !self.x.is_null() {
                let x = each_row!(|m| self.x.add(seq[m] * self.input));
                accumulate(s, &mut acc, E::XG, [0, 1, 2, 3], self.w.x::<E>(), panel, x, 1, self.input);
            } else {
                for m in 0..MB {
                    let from = if self.block.is_null() {
                        self.tape.cast_const().add(seq[m] * self.ld)
                    } else {
                        let step = self.t - self.block_first;
                        self.block.add((step * self.walk.batch() + rows[m]) * E::XG * hidden)
                    };
                    for p in 0..NP {
                        let unit = (panel + p) * S::LANES;
                        for g in 0..E::XG {
                            acc[m][p][g] = load(s, from.add(g * hidden + unit), hidden - unit);
                        }
                    }
                }
            }
            let h = each_row!(|m| self.h.add(rows[m] * self.width));
            if const { MB == 1 && has_room::<S, E>(NP) }
                && let Some(piece) = self.ahead.and_then(Ahead::take)
            {
                let Sums { input, hidden, width, .. } = *self;
                piece.beside::<S, E, W, NP>(
                    s,
                    self.w,
                    &mut acc[0],
                    panel,
                    h[0],
                    Dims { input, hidden, width },
                );
                return acc;
            }
            accumulate(s, &mut acc, E::HG, E::HMAP, self.w.h::<E>(), panel, h, 1, self.width);
        }
        acc
    }
}
