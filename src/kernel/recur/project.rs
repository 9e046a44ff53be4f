//! The input part of many steps at once.

use super::{Layout, tape_planes};
use crate::kernel::pack::Source;
use crate::kernel::tile::{Acc, Tile, accumulate, drive, store};
use crate::kernel::walk::Walk;
use crate::simd::Simd;

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
