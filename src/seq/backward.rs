//! Backpropagation through time (Werbos 1990): the time loop backward, then the weight gradients of all steps at once.
//!
//! The loop leaves the gradient of every pre-activation in the tape, in place of what the forward pass saved.
//! The gradients of the weights are then a few products over all rows of the tape, outside of the loop.

use super::gradient::{Inputs, Sums};
use super::state_rows;
use super::step::{Sizes, Stage, tape_row};
use crate::kernel::panel::canonical::{Canonical, Parts};
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::product::{Init, Left, Right, columns_len, product};
use crate::kernel::step::Params;
use crate::kernel::step::backward::{BackwardStep, Gradients};
use crate::kernel::view::Columns;
use crate::kernel::walk::Rows;
use crate::kernel::{Checked, Masked, Walk, check};
use crate::simd::{HAS_VECTORS, Isa, Region, Simd, dispatch};

/// A backward pass. All lengths have been checked.
pub(crate) struct BackwardPass<'a> {
    pub(crate) weights: Canonical<'a>,
    pub(crate) sizes: Sizes,
    /// Factors of the hidden state, an option of the cell.
    pub(crate) factors: Option<&'a [f32]>,
    pub(crate) walk: &'a Walk<'a>,
    /// `[rows, I]`
    pub(crate) x: &'a [f32],
    /// `[rows, R]`
    pub(crate) y: Columns<'a>,
    /// `[rows, R]`, unless only the last state has a gradient.
    pub(crate) dy: Option<Columns<'a>>,
    /// `[B, R]`, the initial state of the forward pass.
    pub(crate) h0: &'a [f32],
    /// `[B, R]`: of the last state, then of the initial one.
    pub(crate) dh: &'a mut [f32],
    /// `[B, H]`, or empty.
    pub(crate) dc: &'a mut [f32],
    /// The parts of the weights, if wanted, and whether they are added to.
    pub(crate) grads: Option<Parts<&'a mut [f32]>>,
    pub(crate) accumulate: bool,
    /// `[rows, row of the tape]`
    pub(crate) tape: &'a mut [f32],
    /// What the cell asks for.
    pub(crate) stage: &'a mut [f32],
    /// Room for `w_hh` and `w_hr` in panels of columns, where there are vectors, and then for the operands of large products.
    pub(crate) panels: &'a mut [f32],
}

/// The weights of a backward step.
#[derive(Clone, Copy)]
struct Matrices<'a> {
    w_hh: Right<'a>,
    w_hr: Option<Right<'a>>,
}

/// A backward pass on one instruction set.
#[inline(always)]
pub(super) fn bptt<S: Simd>(s: S, cell: &Gradients<S>, params: &Params, pass: BackwardPass<'_>) -> Checked {
    s.call(Bptt { s, cell, params, pass })
}

/// A function of its own, which all cells share.
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
            weights, sizes, factors, walk, x, y, dy, h0, dh, dc, mut grads, tape, panels, ..
        } = pass;
        let (dims, parts, add, layout) = (sizes.dims, weights.parts(), pass.accumulate, &cell.layout);
        let hidden = dims.hidden;
        // Without units, the number of steps is not bounded by any buffer.
        if hidden == 0 && dims.width == 0 {
            return Ok(());
        }
        let rows = weights.shape().gates * hidden;
        let room = if HAS_VECTORS { columns_len(S::LANES, rows, dims.width) } else { 0 };
        check(room <= panels.len(), "room of a backward pass")?;
        let (w_hh, w_hr) = panels.split_at_mut(room);
        let w_hh = Right::of(s, parts.w_hh, dims.width, w_hh);
        let w_hr = if sizes.projects { Some(Right::of(s, parts.w_hr, hidden, w_hr)) } else { None };
        let w = Matrices { w_hh, w_hr };
        if let (Some(grads), false) = (&mut grads, add) {
            grads.peepholes.fill(0.0);
        }
        let ld = tape_row(layout, &sizes);
        let mut stage = Stage::new(pass.stage, layout, cell.second.is_some(), &sizes, walk.batch());
        for t in (0..walk.steps()).rev() {
            if walk.masked() == Some(Masked::Carry) {
                collect(walk, t, dy, dh);
            }
            let io = BackwardStep {
                walk,
                dims,
                peepholes: parts.peepholes,
                dpeepholes: grads.as_mut().map_or(&mut [][..], |grads| &mut *grads.peepholes),
                h0,
                y,
                dy,
                dh: &mut *dh,
                dc: &mut *dc,
                tape: &mut *tape,
                ld,
                keep_out: sizes.projects,
            };
            step(s, cell, params, w, t, io, factors, &mut stage)?;
            if walk.has_resets() {
                cut(walk, t, [&mut *dh, &mut *dc]);
            }
        }

        let Some(grads) = grads else { return Ok(()) };
        let mut sums = Sums { walk, present: Rows::present(walk), tape: &*tape, ld, add, room: panels };
        sums.same(s, (0, layout.x_gates * hidden), Columns::all(x, dims.input), grads.w_ih)?;
        sums.bias(s, 0, grads.b_ih)?;
        let mut hidden_part = |gate: usize, count: usize, plane: usize, operand: Option<usize>| -> Checked {
            let rows = gate * hidden..(gate + count) * hidden;
            let dw = &mut grads.w_hh[rows.start * dims.width..rows.end * dims.width];
            let columns = (plane * hidden, count * hidden);
            if let Some(db) = grads.b_hh.get_mut(rows) {
                // Where both biases feed the same sums, and both gradients begin at zero, they are the same.
                match grads.b_ih.get(columns.0..columns.0 + columns.1) {
                    Some(same) if !add => db.copy_from_slice(same),
                    _ => sums.bias(s, columns.0, db)?,
                }
            }
            match operand {
                Some(plane) => sums.planes(s, columns, (plane * hidden, hidden), dw),
                None => sums.before(s, columns, (h0, y), factors, dw),
            }
        };
        // Gates whose sums stand side by side are one product.
        let mut gate = 0;
        while gate < layout.h_gates {
            let plane = layout.h_map[gate % 4];
            let mut count = 1;
            while gate + count < layout.h_gates && layout.h_map[(gate + count) % 4] == plane + count {
                count += 1;
            }
            hidden_part(layout.h_first + gate, count, plane, None)?;
            gate += count;
        }
        if let Some(stage) = &cell.second {
            hidden_part(stage.layout.h_first, 1, stage.sum, Some(stage.operand))?;
        }
        if sizes.projects {
            // The step left the gradient of the projection's output at the end of the row, and its input behind the sums.
            let (output, input) = ((ld - dims.width, dims.width), (layout.sums * hidden, hidden));
            sums.planes(s, output, input, grads.w_hr)?;
        }
        Ok(())
    }
}

/// One step back: leaves the gradients of the sums in the tape, and those of the previous state in `dh` and `dc`.
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
) -> Checked {
    let (walk, dims, ld, layout) = (io.walk, io.dims, io.ld, &cell.layout);
    let (hidden, width, batch) = (dims.hidden, dims.width, io.walk.batch());
    let rows = Rows::step(walk, t);
    if let Some(w_hr) = w.w_hr {
        // What is left of the hidden state's gradient is what the projection's weights see.
        add_output_gradient(walk, t, io.dy.take(), io.dh, width);
        let of = Rows::batch(walk, t);
        let left = Left { data: &*io.dh, ld: width, rows: of, count: 1, len: width, at: [0; 4] };
        product(s, left, w_hr, stage.output, Init::Zero)?;
        for b in of.iter() {
            let dh = &mut io.dh[b * width..][..width];
            let end = (walk.row(t, b) + 1) * ld;
            io.tape[end - width..end].copy_from_slice(dh);
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
            tape: &mut *io.tape,
            ld,
            keep_out,
        };
        cell.first(s, params, t, &mut inner)?;
    } else {
        cell.first(s, params, t, &mut io)?;
    }
    if let Some(second) = &cell.second {
        let d_operand = stage.planes.get_mut(..batch * hidden).unwrap_or_default();
        let at = [second.sum, 0, 0, 0];
        let left = Left { data: &*io.tape, ld, rows, count: 1, len: hidden, at };
        let right = Right { first: second.layout.h_first * hidden, ..w.w_hh };
        product(s, left, right, d_operand, Init::Zero)?;
        if let Some(factors) = factors {
            d_operand.iter_mut().zip(factors).for_each(|(d, factor)| *d *= factor);
        }
        cell.last(s, params, t, &mut io, d_operand)?;
    }
    let left = Left { data: &*io.tape, ld, rows, count: layout.h_gates, len: hidden, at: layout.h_map };
    let Some(factors) = factors else { return product(s, left, w.w_hh, io.dh, Init::Accumulate) };
    product(s, left, w.w_hh, stage.seen, Init::Zero)?;
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

/// Adds the gradients of the outputs of a step to those of the hidden states.
fn add_output_gradient(walk: &Walk<'_>, t: usize, dy: Option<Columns<'_>>, dh: &mut [f32], width: usize) {
    if let Some(dy) = dy {
        for b in Rows::step(walk, t).iter() {
            let dh = &mut dh[b * width..][..width];
            dh.iter_mut().zip(dy.row(walk.row(t, b))).for_each(|(dh, dy)| *dh += dy);
        }
    }
}

/// The gradient of the input, from the tape that a backward pass leaves. All lengths have been checked.
pub(crate) struct InputPass<'a> {
    pub(crate) walk: &'a Walk<'a>,
    pub(crate) sizes: Sizes,
    pub(crate) w_ih: &'a [f32],
    /// `[rows, I]`
    pub(crate) dx: &'a mut [f32],
    /// Whether it is added to.
    pub(crate) add: bool,
    /// `[rows, TAPE * H]`
    pub(crate) tape: &'a [f32],
    /// Room for `w_ih` in panels of columns, where there are vectors.
    pub(crate) panels: &'a mut [f32],
}

/// The same for all cells.
pub(crate) fn input_gradient(isa: Isa, layout: &Layout, pass: InputPass<'_>) -> Checked {
    let InputPass { walk, sizes, w_ih, dx, add, tape, panels } = pass;
    let (ld, len) = (tape_row(layout, &sizes), layout.x_gates * sizes.dims.hidden);
    dispatch(isa, Inputs { walk, tape, ld, len, w_ih, dx, add, panels })
}

/// Adds the gradients of the outputs that only repeat a carried state.
#[cold]
fn collect(walk: &Walk<'_>, t: usize, dy: Option<Columns<'_>>, dh: &mut [f32]) {
    let Some(dy) = dy else { return };
    for (b, dh) in state_rows(dh, walk.batch()) {
        if t < walk.len(b) && !walk.active(t, b) {
            dh.iter_mut().zip(dy.row(walk.row(t, b))).for_each(|(dh, dy)| *dh += dy);
        }
    }
}

/// No gradient goes back over a reset.
#[cold]
fn cut(walk: &Walk<'_>, t: usize, gradients: [&mut [f32]; 2]) {
    for gradient in gradients {
        let rows = state_rows(gradient, walk.batch());
        rows.filter(|(b, _)| walk.resets(t, *b)).for_each(|(_, row)| row.fill(0.0));
    }
}
