//! Steps of cells with options: the sums go to the tape as they are, and the equations follow over the stored sums.
//!
//! The fused steps of `forward` keep equations in the registers of each tile, which is fast and multiplies the code by every
//! shape of a tile. Equations that decide at run time stand here once for each instruction set. What is saved are
//! the sums themselves, because some activations cannot be differentiated from their value.

use super::sums::{Input, Sums};
use super::{Before, Layout, Tape};
use crate::kernel::canonical::Dims;
use crate::kernel::pack::Source;
use crate::kernel::tile::{Tile, drive_step, each_row, load, load_planes, store};
use crate::kernel::walk::{Rows, Walk};
use crate::simd::{Region, Simd};

/// Equations over stored sums.
pub(crate) trait Pointwise: Copy {
    /// Stored sums, at most 4.
    const SUMS: usize;
    /// Whether there is a cell state, whose previous value is stored behind the sums.
    const HAS_C: bool;
    /// Whether the previous hidden state is read.
    const HAS_H: bool;

    /// The output and the cell state.
    fn forward<S: Simd>(self, s: S, at: At<S::V>) -> (S::V, S::V);

    /// From the gradients of the output and of the cell state to those of the sums, of the previous states and of the parameters.
    fn backward<S: Simd>(self, s: S, at: At<S::V>, dout: S::V, dc: S::V) -> Back<S::V>;
}

/// What the equations see of one vector of units.
#[derive(Clone, Copy)]
pub(crate) struct At<V> {
    pub(crate) sums: [V; 4],
    pub(crate) h: V,
    pub(crate) c: V,
    /// Parameters of the units: an LSTM's peepholes, or zeros.
    pub(crate) p: [V; 3],
}

/// What a step back makes.
#[derive(Clone, Copy)]
pub(crate) struct Back<V> {
    /// What takes the place of the sums.
    pub(crate) dsums: [V; 4],
    /// The part of the gradient of the previous hidden state that does not go through the weights.
    pub(crate) dh: V,
    pub(crate) dc: V,
    pub(crate) dp: [V; 3],
    /// The output again.
    pub(crate) out: V,
}

struct SumsTile<'a, E, W>(Sums<'a, W>, core::marker::PhantomData<E>);

impl<S: Simd, E: Layout, W: Source<S>> Tile<S> for SumsTile<'_, E, W> {
    // Fewer shapes of tiles than a step without options has, because there would be as many of them again.
    const ACC: usize = 4;

    #[inline(always)]
    unsafe fn run<const MB: usize, const NP: usize>(&self, s: S, rows: [usize; MB], panel: usize) {
        let (sums, hidden) = (&self.0, self.0.hidden);
        let seq: [usize; MB] = each_row!(|m| sums.walk.row(sums.t, rows[m]));
        // SAFETY: the rows and panels exist, by the caller's promise, in buffers and weights that `Sums::new` has checked; there is
        // a tape, whose rows have `ACC` planes, as `sums_step` has checked.
        unsafe {
            let acc = sums.run::<S, E, MB, NP>(s, rows, seq, panel);
            for m in 0..MB {
                let to = sums.tape_row(rows[m], seq[m]);
                for p in 0..NP {
                    let unit = (panel + p) * S::LANES;
                    for a in 0..E::ACC {
                        store(s, to.add(a * hidden + unit), acc[m][p][a], hidden - unit);
                    }
                }
            }
        }
    }
}

/// The buffers of the sums of one step.
pub(crate) struct SumsStep<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) dims: Dims,
    pub(crate) x: Input<'a>,
    /// `[B, width]`
    pub(crate) h: &'a [f32],
    /// Rows of `ld` elements, which start with the sums.
    pub(crate) tape: Tape<'a>,
    pub(crate) ld: usize,
}

/// The sums of one step of the whole batch.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn sums_step<S: Simd, E: Layout, W: Source<S>>(s: S, w: W, t: usize, io: SumsStep<'_>) {
    let SumsStep { walk, dims, x, h, tape, ld } = io;
    let fits = E::ACC * dims.hidden <= ld && !matches!(tape, Tape::None);
    let sums = Sums::new::<S, E>(s, w, walk, t, dims, x, h, tape, ld, None);
    debug_assert!(fits);
    let (Some(sums), true) = (sums, fits) else { return };
    let tile = SumsTile::<E, W>(sums, core::marker::PhantomData);
    // SAFETY: the rows and panels exist in the buffers just checked, and the panels in `w`, which `Sums::new` has checked.
    unsafe { drive_step(s, &tile, Rows::step(walk, t), dims.hidden.div_ceil(S::LANES), t) }
}

/// The buffers of the equations of one step forward.
pub(crate) struct PointsForward<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) hidden: usize,
    pub(crate) tape: Tape<'a>,
    pub(crate) ld: usize,
    /// `[B, H]`, if the equations read it.
    pub(crate) h: &'a [f32],
    /// `[B, H]`, in place, or empty.
    pub(crate) c: &'a mut [f32],
    /// `[3, H]`, or empty.
    pub(crate) parameters: &'a [f32],
    /// `[B, H]`
    pub(crate) out: &'a mut [f32],
}

/// Parameters of some units, or zeros.
/// # Safety
/// `unit < hidden`.
#[inline(always)]
unsafe fn parameters<S: Simd>(s: S, of: &[f32], hidden: usize, unit: usize) -> [S::V; 3] {
    let mut p = [s.splat(0.0); 3];
    if of.len() == 3 * hidden {
        for i in 0..3 {
            // SAFETY: three rows of `hidden`, just checked, of which `hidden - unit` elements follow `unit`.
            p[i] = unsafe { load(s, of.as_ptr().add(i * hidden + unit), hidden - unit) };
        }
    }
    p
}

/// The equations of one step of the whole batch.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn points_forward<S: Simd, E: Pointwise>(s: S, e: E, t: usize, io: PointsForward<'_>) {
    s.call(Forward { s, e, t, io });
}

/// A function of its own, because several passes share it.
struct Forward<'a, S, E> {
    s: S,
    e: E,
    t: usize,
    io: PointsForward<'a>,
}

impl<S: Simd, E: Pointwise> Region for Forward<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Forward { s, e, t, io } = self;
        let PointsForward { walk, hidden, tape, ld, h, c, parameters: p, out } = io;
        let state = walk.batch() * hidden;
        let (tape, tape_rows, by_walk) = tape.parts(walk);
        let fits = t < walk.steps()
            && tape.len() >= tape_rows * ld
            && (E::SUMS + E::HAS_C as usize) * hidden <= ld
            && (!E::HAS_H || h.len() == state)
            && (!E::HAS_C || c.len() == state)
            && out.len() == state
            && (tape_rows == if by_walk { walk.rows() } else { walk.batch() });
        debug_assert!(fits);
        if !fits {
            return;
        }
        for b in Rows::step(walk, t).iter() {
            let row = if by_walk { walk.row(t, b) } else { b };
            for unit in (0..hidden).step_by(S::LANES) {
                let (left, at) = (hidden - unit, b * hidden + unit);
                let zero = s.splat(0.0);
                // SAFETY: `b < batch` takes part in step `t < steps`, so `row` is one of the tape; tape and states were just checked
                // to hold these rows. `left` elements follow `unit` in each.
                unsafe {
                    let sums = tape.as_mut_ptr().add(row * ld + unit);
                    let c_prev = if E::HAS_C { load(s, c.as_ptr().add(at), left) } else { zero };
                    let now = At {
                        sums: load_planes(s, sums, hidden, E::SUMS, left),
                        h: if E::HAS_H { load(s, h.as_ptr().add(at), left) } else { zero },
                        c: c_prev,
                        p: parameters(s, p, hidden, unit),
                    };
                    let (next, c_next) = e.forward(s, now);
                    store(s, out.as_mut_ptr().add(at), next, left);
                    if E::HAS_C {
                        store(s, sums.add(E::SUMS * hidden), c_prev, left);
                        store(s, c.as_mut_ptr().add(at), c_next, left);
                    }
                }
            }
        }
    }
}

/// The buffers of the equations of one step backward.
pub(crate) struct PointsBackward<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) hidden: usize,
    /// `[rows, ld]`: the sums, then what takes their place.
    pub(crate) tape: &'a mut [f32],
    pub(crate) ld: usize,
    /// If the equations read the hidden state.
    pub(crate) before: Option<Before<'a>>,
    /// `[3, H]`, or empty.
    pub(crate) parameters: &'a [f32],
    /// Added to: `[3, H]`, or empty.
    pub(crate) dparameters: &'a mut [f32],
    /// `[B, H]`: the gradient of the output, then what reaches the previous hidden state past the weights.
    pub(crate) dout: &'a mut [f32],
    /// `[B, H]`, in place, or empty.
    pub(crate) dc: &'a mut [f32],
    /// Whether the output takes the place of the previous cell state in the tape.
    pub(crate) keep_out: bool,
}

/// The equations of one step of the whole batch, backward.
///
/// Buffers of a wrong length are a mistake of the floor above: nothing is done with them.
#[inline(always)]
pub(crate) fn points_backward<S: Simd, E: Pointwise>(s: S, e: E, t: usize, io: PointsBackward<'_>) {
    s.call(Backward { s, e, t, io });
}

struct Backward<'a, S, E> {
    s: S,
    e: E,
    t: usize,
    io: PointsBackward<'a>,
}

impl<S: Simd, E: Pointwise> Region for Backward<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Backward { s, e, t, io } = self;
        let PointsBackward { walk, hidden, tape, ld, before, parameters: p, dparameters, dout, dc, keep_out } =
            io;
        let state = walk.batch() * hidden;
        let fits = t < walk.steps()
            && tape.len() == walk.rows() * ld
            && (E::SUMS + E::HAS_C as usize) * hidden <= ld
            && before.is_none_or(|before| before.is_of(walk) && before.width() == hidden)
            && (!E::HAS_C || dc.len() == state)
            && dout.len() == state;
        debug_assert!(fits);
        if !fits {
            return;
        }
        for b in Rows::step(walk, t).iter() {
            let row = walk.row(t, b);
            let h = before.map_or(core::ptr::null(), |before| before.get(t, b));
            for unit in (0..hidden).step_by(S::LANES) {
                let (left, at) = (hidden - unit, b * hidden + unit);
                let zero = s.splat(0.0);
                // SAFETY: `b < batch` takes part in step `t < steps`, so `row < walk.rows()`; the tape and the states were just
                // checked to hold these rows, and `h` is null or a row that `Before::new` checked. `left` elements follow `unit`.
                unsafe {
                    let sums = tape.as_mut_ptr().add(row * ld + unit);
                    // Without a cell state it may be past the end, and is not used.
                    let c_at = sums.wrapping_add(E::SUMS * hidden);
                    let now = At {
                        sums: load_planes(s, sums, hidden, E::SUMS, left),
                        h: if h.is_null() { zero } else { load(s, h.add(unit), left) },
                        c: if E::HAS_C { load(s, c_at, left) } else { zero },
                        p: parameters(s, p, hidden, unit),
                    };
                    let grad_c = if E::HAS_C { load(s, dc.as_ptr().add(at), left) } else { zero };
                    let prev = e.backward(s, now, load(s, dout.as_ptr().add(at), left), grad_c);
                    for a in 0..E::SUMS {
                        store(s, sums.add(a * hidden), prev.dsums[a], left);
                    }
                    store(s, dout.as_mut_ptr().add(at), prev.dh, left);
                    if E::HAS_C {
                        store(s, dc.as_mut_ptr().add(at), prev.dc, left);
                        if keep_out {
                            store(s, c_at, prev.out, left);
                        }
                    }
                    if dparameters.len() == 3 * hidden {
                        for i in 0..3 {
                            let d = dparameters.as_mut_ptr().add(i * hidden + unit);
                            store(s, d, s.add(load(s, d, left), prev.dp[i]), left);
                        }
                    }
                }
            }
        }
    }
}
