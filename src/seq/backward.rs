//! Backpropagation through time (Werbos 1990): the backward time loop.
//!
//! The loop overwrites what the forward pass saved in the tape with the gradient of every pre-activation.
//! After the loop, `gradient` computes the gradients of the weights of all steps at once, in a few products
//! over all rows of the tape.

use super::sizes::{Sizes, Stage, tape_row};
use super::state_rows;
use crate::kernel::panel::canonical::Canonical;
use crate::kernel::panel::product::{Init, Left, Right, columns_len, product_on};
use crate::kernel::step::Params;
use crate::kernel::step::backward::{BackwardStep, Gradients};
use crate::kernel::taken::Rows;
use crate::kernel::team::Team;
use crate::kernel::view::{Columns, ColumnsMut, Matrix};
use crate::kernel::{Checked, Masked, Walk, check};
use crate::simd::{HAS_VECTORS, Isa, Op, Region, Simd, dispatch};

/// A backward pass, without the gradients of weights and input. All lengths have been checked.
pub(crate) struct BackwardPass<'a> {
    pub(crate) weights: Canonical<'a>,
    pub(crate) sizes: Sizes,
    /// Dropout factors of the hidden state, an option of the layer.
    pub(crate) factors: Option<&'a [f32]>,
    pub(crate) walk: &'a Walk<'a>,
    /// `[rows, R]`
    pub(crate) y: Columns<'a>,
    /// `[rows, R]`, unless only the last state has a gradient.
    pub(crate) dy: Option<Columns<'a>>,
    /// `[B, R]`, the initial state of the forward pass.
    pub(crate) h0: &'a [f32],
    /// `[B, R]`: the gradient of the last state on entry, that of the initial state on return.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) dc: &'a mut [f32],
    /// The gradient of the peepholes, if it is requested. The pass adds to it.
    pub(crate) dpeepholes: &'a mut [f32],
    /// `[rows, row of the tape]`
    pub(crate) tape: ColumnsMut<'a>,
    /// Scratch of a step, `stage_len` elements.
    pub(crate) stage: &'a mut [f32],
    /// `w_hh` and `w_hr` in panels of columns, as packed by [`pack_columns`]; empty on targets without
    /// vectors.
    pub(crate) panels: &'a [f32],
    /// The threads that share the products of each step.
    pub(crate) team: Option<Team<'a>>,
}

/// The weights of a backward step.
#[derive(Clone, Copy)]
struct Matrices<'a> {
    w_hh: Right<'a>,
    w_hr: Option<Right<'a>>,
}

/// Packs the weights that a backward pass reads into panels of columns. On targets without vectors the panels
/// are not read.
pub(crate) fn pack_columns(isa: Isa, weights: Canonical<'_>, sizes: &Sizes, panels: &mut [f32]) -> Checked {
    struct Pack<'a>(Canonical<'a>, &'a Sizes, &'a mut [f32]);
    impl Op for Pack<'_> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Pack(weights, sizes, panels) = self;
            let (dims, parts) = (sizes.dims, weights.parts());
            let (first, second) = lengths::<S>(&weights, sizes);
            check(first.saturating_add(second) <= panels.len(), "room of a backward pass")?;
            let (w_hh, w_hr) = panels.split_at_mut(first);
            Right::of(s, parts.w_hh, dims.width, w_hh);
            if sizes.projects {
                Right::of(s, parts.w_hr, dims.hidden, w_hr);
            }
            Ok(())
        }
    }
    dispatch(isa, Pack(weights, sizes, panels))
}

/// Lengths of the panels of `w_hh` and of `w_hr`.
#[inline(always)]
fn lengths<S: Simd>(weights: &Canonical<'_>, sizes: &Sizes) -> (usize, usize) {
    let dims = sizes.dims;
    let projection = if sizes.projects { columns_len(S::LANES, dims.width, dims.hidden) } else { 0 };
    (columns_len(S::LANES, weights.shape().gates * dims.hidden, dims.width), projection)
}

/// A backward pass on one instruction set.
#[inline(always)]
pub(super) fn bptt<S: Simd>(s: S, cell: &Gradients<S>, params: &Params, pass: BackwardPass<'_>) -> Checked {
    s.call(Bptt { s, cell, params, pass })
}

/// A separate function that all cells share.
struct Bptt<'a, 'b, S> {
    s: S,
    cell: &'a Gradients<S>,
    params: &'a Params,
    pass: BackwardPass<'b>,
}

impl<S: Simd> Region for Bptt<'_, '_, S> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Bptt { s, cell, params, pass } = self;
        let BackwardPass {
            weights,
            sizes,
            factors,
            walk,
            y,
            dy,
            h0,
            dh,
            dc,
            dpeepholes,
            mut tape,
            panels,
            team,
            ..
        } = pass;
        let (dims, parts, layout) = (sizes.dims, weights.parts(), &cell.layout);
        let hidden = dims.hidden;
        // Without units, the number of steps is not bounded by any buffer.
        if hidden == 0 && dims.width == 0 {
            return Ok(());
        }
        let (first, _) = if HAS_VECTORS { lengths::<S>(&weights, &sizes) } else { (0, 0) };
        let Some((w_hh, w_hr)) = panels.split_at_checked(first) else {
            return check(false, "panels of a backward pass");
        };
        let w = Matrices {
            w_hh: Right::packed(parts.w_hh, dims.width, w_hh),
            w_hr: if sizes.projects { Some(Right::packed(parts.w_hr, hidden, w_hr)) } else { None },
        };
        let ld = tape_row(layout, &sizes);
        let mut stage = Stage::new(pass.stage, layout, cell.second.is_some(), &sizes, walk.batch());
        let room = core::mem::take(&mut stage.sums);
        for t in (0..walk.steps()).rev() {
            if walk.masked() == Some(Masked::Carry) {
                collect(walk, t, dy, dh);
            }
            let io = BackwardStep {
                walk,
                dims,
                peepholes: parts.peepholes,
                dpeepholes: &mut *dpeepholes,
                h0,
                y,
                dy,
                dh: &mut *dh,
                dc: &mut *dc,
                tape: tape.reborrow(),
                ld,
                keep_out: sizes.projects,
                room: &mut *room,
            };
            step(s, cell, params, w, t, io, factors, &mut stage, team)?;
            if walk.has_resets() {
                cut(walk, t, [&mut *dh, &mut *dc]);
            }
        }
        Ok(())
    }
}

/// One step back: writes the gradients of the sums to the tape, and those of the previous state to `dh` and
/// `dc`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn step<S: Simd>(
    s: S,
    cell: &Gradients<S>,
    params: &Params,
    w: Matrices<'_>,
    t: usize,
    mut io: BackwardStep<'_>,
    factors: Option<&[f32]>,
    stage: &mut Stage<'_>,
    team: Option<Team<'_>>,
) -> Checked {
    let (walk, dims, ld, layout) = (io.walk, io.dims, io.ld, &cell.layout);
    let (hidden, width, batch) = (dims.hidden, dims.width, io.walk.batch());
    let rows = Rows::step(walk, t);
    if let Some(w_hr) = w.w_hr {
        // After this, `dh` is the complete gradient of the projection's output.
        add_output_gradient(walk, t, io.dy.take(), io.dh, width);
        let of = Rows::batch(walk, t);
        let left = Left { of: Matrix::new(io.dh, width), rows: of, count: 1, len: width, at: [0; 4] };
        product_on(team, s, left, w_hr, stage.output, Init::Zero)?;
        for b in of.iter() {
            let dh = &mut io.dh[b * width..][..width];
            let kept = io.tape.row(walk.row(t, b)).iter_mut().skip(ld - width);
            kept.zip(&*dh).for_each(|(kept, dh)| *kept = *dh);
            dh.fill(0.0);
        }
        let BackwardStep { peepholes, h0, y, keep_out, .. } = io;
        let mut inner = BackwardStep {
            walk,
            dims,
            peepholes,
            dpeepholes: &mut *io.dpeepholes,
            h0,
            y,
            dy: None,
            dh: &mut *stage.output,
            dc: &mut *io.dc,
            tape: io.tape.reborrow(),
            ld,
            keep_out,
            room: &mut *io.room,
        };
        cell.first(s, params, t, &mut inner)?;
    } else {
        cell.first(s, params, t, &mut io)?;
    }
    if let Some(second) = &cell.second {
        let d_operand = stage.planes.get_mut(..batch * hidden).unwrap_or_default();
        let at = [second.sum, 0, 0, 0];
        let left = Left { of: io.tape.matrix(), rows, count: 1, len: hidden, at };
        let right = Right { first: second.layout.h_first * hidden, ..w.w_hh };
        product_on(team, s, left, right, d_operand, Init::Zero)?;
        if let Some(factors) = factors {
            d_operand.iter_mut().zip(factors).for_each(|(d, factor)| *d *= factor);
        }
        cell.last(s, params, t, &mut io, d_operand)?;
    }
    let left = Left { of: io.tape.matrix(), rows, count: layout.h_gates, len: hidden, at: layout.h_map };
    let Some(factors) = factors else {
        return product_on(team, s, left, w.w_hh, io.dh, Init::Accumulate);
    };
    product_on(team, s, left, w.w_hh, stage.seen, Init::Zero)?;
    for b in rows.iter() {
        let row = b * width..(b + 1) * width;
        for ((dh, d), factor) in
            io.dh[row.clone()].iter_mut().zip(&stage.seen[row.clone()]).zip(&factors[row])
        {
            *dh += d * factor;
        }
    }
    Ok(())
}

/// Adds the gradients of a step's outputs to those of the hidden states.
fn add_output_gradient(walk: &Walk<'_>, t: usize, dy: Option<Columns<'_>>, dh: &mut [f32], width: usize) {
    if let Some(dy) = dy {
        for b in Rows::step(walk, t).iter() {
            let dh = &mut dh[b * width..][..width];
            dh.iter_mut().zip(dy.row(walk.row(t, b))).for_each(|(dh, dy)| *dh += dy);
        }
    }
}

/// Adds the gradients of outputs that only repeat a carried state.
#[cold]
fn collect(walk: &Walk<'_>, t: usize, dy: Option<Columns<'_>>, dh: &mut [f32]) {
    let Some(dy) = dy else { return };
    for (b, dh) in state_rows(dh, walk.batch()) {
        if t < walk.len(b) && !walk.active(t, b) {
            dh.iter_mut().zip(dy.row(walk.row(t, b))).for_each(|(dh, dy)| *dh += dy);
        }
    }
}

/// Zeroes gradients where the state was reset: no gradient goes back over a reset.
#[cold]
fn cut(walk: &Walk<'_>, t: usize, gradients: [&mut [f32]; 2]) {
    for gradient in gradients {
        let rows = state_rows(gradient, walk.batch());
        rows.filter(|(b, _)| walk.resets(t, *b)).for_each(|(_, row)| row.fill(0.0));
    }
}
