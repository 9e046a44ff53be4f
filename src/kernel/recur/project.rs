//! The input part of many steps at once.

use super::Layout;
use crate::kernel::canonical::Dims;
use crate::kernel::pack::Source;
use crate::kernel::tile::{Acc, Tile, accumulate, drive, each_row, store};
use crate::kernel::walk::{Rows, Walk};
use crate::simd::Simd;

struct ProjectTile<'a, E, W> {
    w: W,
    equations: core::marker::PhantomData<E>,
    rows: Rows<'a>,
    input: usize,
    hidden: usize,
    x: *const f32,
    out: *mut f32,
    /// Distance of two rows of `out`, and whether they are counted by the walk (a tape) or from the block's start.
    ld: usize,
    by_walk: bool,
}

impl<S: Simd, E: Layout, W: Source<S>> Tile<S> for ProjectTile<'_, E, W> {
    const ACC: usize = E::XG;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let seq: [usize; MB] = each_row!(|m| self.rows.source(rows[m]));
        let mut acc: Acc<S::V, MB, NP> = [[[s.splat(0.0); 4]; NP]; MB];
        // SAFETY: the panels and rows exist, by the caller's promise, in buffers and weights that `project` has checked.
        unsafe {
            for p in 0..NP {
                let bias = self.w.bias::<E>(s, panel + p);
                for m in 0..MB {
                    acc[m][p] = bias;
                }
            }
            let x = each_row!(|m| self.x.add(seq[m] * self.input));
            accumulate(s, &mut acc, E::XG, [0, 1, 2, 3], self.w.x::<E>(), panel, x, 1, self.input);
            for m in 0..MB {
                let to = self.out.add(self.ld * if self.by_walk { seq[m] } else { rows[m] });
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
/// `out` is a block `[count * B, XG*H]`, or the tape, whose first planes take it; its rows have `ld` elements.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) fn project<S: Simd, E: Layout, W: Source<S>>(
    s: S,
    w: W,
    walk: &Walk<'_>,
    dims: Dims,
    (first, count): (usize, usize),
    x: &[f32],
    out: &mut [f32],
    (ld, by_walk): (usize, bool),
) {
    let (rows, Dims { input, hidden, .. }) = (walk.rows(), dims);
    let fits = first + count <= walk.steps()
        && w.fits::<E>(s, dims)
        && x.len() == rows * input
        && E::XG * hidden <= ld
        && out.len() >= ld * if by_walk { rows } else { count * walk.batch() };
    debug_assert!(fits);
    if !fits {
        return;
    }
    let rows = Rows::block(walk, first, count);
    let tile = ProjectTile::<E, W> {
        w,
        equations: core::marker::PhantomData,
        rows,
        input,
        hidden,
        x: x.as_ptr(),
        out: out.as_mut_ptr(),
        ld,
        by_walk,
    };
    // SAFETY: the rows of `count` steps exist in the buffers just checked, and so do the panels of `hidden` units, in `w` too.
    unsafe { drive(s, &tile, rows, hidden.div_ceil(S::LANES)) }
}
