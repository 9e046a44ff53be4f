//! One step of a cell with layer normalisation (Ba et al. 2016, arXiv:1607.06450), forward and backward.
//!
//! The products of all gates go to memory and are normalised there, those with the input and those with the
//! hidden state separately. The equations of the cell then run on the results, as they do on plain sums. A
//! cell state is normalised between two parts of the equations. The tape keeps the products and the previous
//! cell state, from which the backward pass computes everything else again.
//!
//! All of this is row by row. What happens to a row is compiled once for all cells and instruction sets. Only
//! the products, the loops that normalise and the [`Equations`] are compiled for each instruction set, so that
//! the code of all other cells stays the largest part of the library.

use super::backward::{BackwardStep, Gradients};
use super::normalised_row::{BackwardRow, On, Row};
use super::{Equations, Input, Params, Step, Tape};
use crate::kernel::panel::canonical::{Dims, Vectors};
use crate::kernel::panel::layout::{Layout, NONE};
use crate::kernel::panel::product::Left;
use crate::kernel::panel::source::Projection;
use crate::kernel::pointwise::normalise::{self, Normalise};
use crate::kernel::rows::previous::Before;
use crate::kernel::rows::taken::Rows;
use crate::kernel::rows::view::Matrix;
use crate::kernel::{Checked, check};
use crate::simd::{Region, Simd};

/// The layout of a matrix alone, as one gate of hidden weights.
pub(crate) const MATRIX: Layout = Layout::hidden_gate(0);

/// Scratch of a step: the products of all rows, and planes of one row.
pub(crate) const fn room_len(gates: usize, batch: usize, hidden: usize) -> usize {
    if batch == 0 {
        return 0;
    }
    let products = batch.saturating_mul(gates).saturating_mul(2);
    hidden.saturating_mul(products.saturating_add(PLANES))
}

/// The planes of a row in scratch: products with the input and with the hidden state, sums, and two of the
/// cell state.
const PLANES: usize = 4 + 4 + 4 + 2;

/// The layout of the tape: the products of all gates with the input, those with the hidden state, and the
/// previous cell state.
pub(crate) const fn tape_layout<E: Equations>() -> Layout {
    let gates = E::LAYOUT.gates();
    Layout {
        sums: 2 * gates,
        x_gates: gates,
        h_gates: gates,
        h_map: [gates, gates + 1, gates + 2, gates + 3],
        h_first: 0,
        bias_x: [NONE; 4],
        bias_h: [NONE; 4],
        has_c: E::LAYOUT.has_c,
    }
}

/// A cell, apart from its equations.
struct Cell {
    /// How the gates feed the sums.
    layout: &'static Layout,
    /// The gates that are normalised together.
    groups: [usize; 2],
    /// Whether the normalised cell state is carried on to the next step.
    carries_normalised: bool,
}

impl Cell {
    fn of<E: Equations>(params: &Params) -> Self {
        let carries_normalised = params.carries_normalised;
        Cell { layout: const { &E::LAYOUT }, groups: E::NORMALISED, carries_normalised }
    }

    /// Elements of a row of products, and of the cell state, for this number of units.
    fn lens(&self, hidden: usize) -> (usize, usize) {
        (self.layout.gates() * hidden, if self.layout.has_c { hidden } else { 0 })
    }

    /// The parts of a row of products that are normalised together.
    fn ranges(&self, hidden: usize) -> [core::ops::Range<usize>; 2] {
        let [first, second] = self.groups.map(|gates| gates * hidden);
        [0..first, first..first + second]
    }

    /// Normalises both products of a row in place, and adds them up.
    fn sums(
        &self,
        on: &dyn Row,
        v: &Vectors<&[f32]>,
        from_x: &mut [f32],
        from_h: &mut [f32],
        planes: &mut [f32],
    ) {
        let hidden = planes.len() / 4;
        for of in self.ranges(hidden).into_iter().filter(|of| !of.is_empty()) {
            let bias = v.b_ih.get(of.clone()).unwrap_or_default();
            on.normalise(Normalise { x: &mut from_x[of.clone()], gain: &v.g_ih[of.clone()], bias });
            let bias = v.b_hh.get(of.clone()).unwrap_or_default();
            on.normalise(Normalise { x: &mut from_h[of.clone()], gain: &v.g_hh[of], bias });
        }
        let (sums, others) = planes.split_at_mut(from_x.len());
        sums.copy_from_slice(from_x);
        others.fill(0.0);
        for (gate, from) in from_h.chunks_exact(hidden.max(1)).enumerate() {
            let to = &mut planes[self.layout.h_map[gate % 4] * hidden..][..hidden];
            to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        }
    }

    /// From the gradients of the sums to those of the products, which replace the products. Adds to the
    /// gradients of gains and biases. `room` has the length of a row of products.
    fn sums_backward(
        &self,
        on: &dyn BackwardRow,
        v: &Vectors<&[f32]>,
        d: &mut Vectors<&mut [f32]>,
        (of_x, of_h): (&mut [f32], &mut [f32]),
        planes: &[f32],
        room: &mut [f32],
    ) {
        let hidden = planes.len() / 4;
        for (gate, to) in room.chunks_exact_mut(hidden.max(1)).enumerate() {
            to.copy_from_slice(&planes[self.layout.h_map[gate % 4] * hidden..][..hidden]);
        }
        for of in self.ranges(hidden).into_iter().filter(|of| !of.is_empty()) {
            let (x, gain, d_gain) = (&mut of_x[of.clone()], &v.g_ih[of.clone()], d.g_ih.get_mut(of.clone()));
            let (d_gain, d_bias) =
                (d_gain.unwrap_or_default(), d.b_ih.get_mut(of.clone()).unwrap_or_default());
            on.normalise_backward(normalise::Backward { x, gain, d: &planes[of.clone()], d_gain, d_bias });
            let (x, gain, d_gain) = (&mut of_h[of.clone()], &v.g_hh[of.clone()], d.g_hh.get_mut(of.clone()));
            let (d_gain, d_bias) =
                (d_gain.unwrap_or_default(), d.b_hh.get_mut(of.clone()).unwrap_or_default());
            on.normalise_backward(normalise::Backward { x, gain, d: &room[of], d_gain, d_bias });
        }
    }
}

/// The backward functions of a cell.
pub(crate) const fn gradients<S: Simd, E: Equations>() -> Gradients<S> {
    Gradients {
        layout: tape_layout::<E>(),
        second: None,
        first: |s, params, t, io| backward(&Cell::of::<E>(params), &On(s, E::new(params)), t, io),
        last: |_, _, _, _, _| Ok(()),
    }
}

/// One step of a batch. `w` are the input weights and the hidden weights, each as a [`MATRIX`]; the vectors
/// are in place of peepholes.
#[inline(always)]
pub(crate) fn step<S: Simd, E: Equations, W: Projection<S>>(
    s: S,
    params: &Params,
    w: [W; 2],
    t: usize,
    io: Step<'_>,
    room: &mut [f32],
) -> Checked {
    step_of(s, &Cell::of::<E>(params), &On(s, E::new(params)), w, t, io, room)
}

/// The same for all cells.
fn step_of<S: Simd, W: Projection<S>>(
    s: S,
    cell: &Cell,
    equations: &dyn Row,
    w: [W; 2],
    t: usize,
    io: Step<'_>,
    room: &mut [f32],
) -> Checked {
    let Dims { input, hidden, width } = io.dims;
    let (walk, (rows, _)) = (io.walk, cell.lens(hidden));
    let Input::Raw(x) = io.x else { return check(false, "input of a step with layer normalisation") };
    let len = walk.batch() * rows;
    if len == 0 {
        return Ok(());
    }
    check(room.len() >= 2 * len + PLANES * hidden, "scratch of a step with layer normalisation")?;
    let (from_x, room) = room.split_at_mut(len);
    let (from_h, room) = room.split_at_mut(len);
    let left = |of, rows, len| Left { of, rows, count: 1, len, at: [0; 4] };
    let of_x = left(Matrix::new(x, input), Rows::step(walk, t), input);
    let of_h = left(Matrix::new(io.seen, width), Rows::batch(walk, t), width);
    let dims = |width| Dims { input: 0, hidden: rows, width };
    s.call(Product { s, w: w[0], left: of_x, dims: dims(input), c: &mut *from_x })?;
    s.call(Product { s, w: w[1], left: of_h, dims: dims(width), c: &mut *from_h })?;
    forward(cell, equations, t, io, (from_x, from_h), room)
}

/// The products of a batch with one matrix.
struct Product<'a, S, W> {
    s: S,
    w: W,
    left: Left<'a>,
    dims: Dims,
    c: &'a mut [f32],
}

impl<S: Simd, W: Projection<S>> Region for Product<'_, S, W> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Product { s, w, left, dims, c } = self;
        w.project(s, &MATRIX, left, dims, c, &mut [])
    }
}

/// The rows of a forward step, from their products.
fn forward(
    cell: &Cell,
    equations: &dyn Row,
    t: usize,
    io: Step<'_>,
    (from_x, from_h): (&mut [f32], &mut [f32]),
    room: &mut [f32],
) -> Checked {
    let Step { walk, dims, h, h_next, c, mut y, tape, ld, peepholes, .. } = io;
    let hidden = dims.hidden;
    let ((rows, cells), state) = (cell.lens(hidden), walk.batch() * hidden);
    let mut tape = match tape {
        Tape::Sequence(tape) => Some(tape),
        _ => None,
    };
    let fits = t < walk.steps()
        && h.len() == state
        && h_next.len() == state
        && c.len() == walk.batch() * cells
        && y.as_ref().is_none_or(|y| y.has(walk, hidden))
        && tape.as_ref().is_none_or(|tape| tape.has(walk, ld) && ld == 2 * rows + cells);
    check(fits, "step with layer normalisation")?;
    let Some(v) = Vectors::split(peepholes, rows, cells) else {
        return check(false, "vectors of a step with layer normalisation");
    };
    let (planes, room) = room.split_at_mut(4 * hidden);
    let normal = &mut room[..cells];
    for b in Rows::step(walk, t).iter() {
        let (row, state) = (walk.row(t, b), b * hidden..(b + 1) * hidden);
        let (from_x, from_h) = (&mut from_x[b * rows..][..rows], &mut from_h[b * rows..][..rows]);
        let (output, c) = (&mut h_next[state.clone()], &mut c[b * cells..][..cells]);
        if let Some(tape) = &mut tape {
            let (of_x, rest) = tape.row(row).split_at_mut(rows);
            let (of_h, of_c) = rest.split_at_mut(rows);
            of_x.copy_from_slice(from_x);
            of_h.copy_from_slice(from_h);
            of_c.copy_from_slice(c);
        }
        cell.sums(equations, &v, from_x, from_h, planes);
        equations.forward(planes, &h[state], c, output);
        if cells > 0 {
            normal.copy_from_slice(c);
            equations.normalise(Normalise { x: &mut *normal, gain: v.g_c, bias: v.b_c });
            equations.output(planes, normal, output);
            if cell.carries_normalised {
                c.copy_from_slice(normal);
            }
        }
        if let Some(y) = &mut y {
            y.row(row).copy_from_slice(output);
        }
    }
    Ok(())
}

/// The rows of a backward step. It leaves the gradients of the products in the tape.
fn backward(cell: &Cell, equations: &dyn BackwardRow, t: usize, io: &mut BackwardStep<'_>) -> Checked {
    let &mut BackwardStep { walk, dims, peepholes, h0, y, dy, ld, .. } = io;
    let hidden = dims.hidden;
    let ((rows, cells), state) = (cell.lens(hidden), walk.batch() * hidden);
    let fits = t < walk.steps()
        && io.dh.len() == state
        && io.dc.len() == walk.batch() * cells
        && dy.is_none_or(|dy| dy.has(walk.rows(), hidden))
        && ld == 2 * rows + cells
        && io.tape.has(walk, ld)
        && io.room.len() >= PLANES * hidden;
    check(fits, "backward step with layer normalisation")?;
    let gradients = Vectors::split_mut(&mut *io.dpeepholes, rows, cells);
    let parts = (Before::new(walk, h0, y, hidden), Vectors::split(peepholes, rows, cells), gradients);
    let (Some(before), Some(v), Some(mut d)) = parts else {
        return check(false, "vectors of a backward step with layer normalisation");
    };
    let (from_x, room) = io.room.split_at_mut(rows);
    let (from_h, room) = room.split_at_mut(rows);
    let (planes, room) = room.split_at_mut(4 * hidden);
    let (next, room) = room.split_at_mut(cells);
    let normal = &mut room[..cells];
    for b in Rows::step(walk, t).iter() {
        let row = walk.row(t, b);
        let (dh, dc) = (&mut io.dh[b * hidden..][..hidden], &mut io.dc[b * cells..][..cells]);
        if let Some(dy) = dy {
            dh.iter_mut().zip(dy.row(row)).for_each(|(dh, dy)| *dh += dy);
        }
        let (of_x, rest) = io.tape.row(row).split_at_mut(rows);
        let (of_h, c) = rest.split_at_mut(rows);
        let h = before.row(t, b);
        // The step again, up to its values.
        from_x.copy_from_slice(of_x);
        from_h.copy_from_slice(of_h);
        cell.sums(equations, &v, from_x, from_h, planes);
        next.copy_from_slice(c);
        equations.forward(planes, h, next, &mut []);
        if cells > 0 {
            normal.copy_from_slice(next);
            equations.normalise(Normalise { x: &mut *normal, gain: v.g_c, bias: v.b_c });
            equations.output_backward(planes, normal, dh);
            if cell.carries_normalised {
                normal.iter_mut().zip(&*dc).for_each(|(d, dc)| *d += dc);
            }
            // From here on `next` is the gradient of the cell state.
            let (d_gain, d_bias) = (&mut *d.g_c, &mut *d.b_c);
            equations.normalise_backward(normalise::Backward {
                x: &mut *next,
                gain: v.g_c,
                d: normal,
                d_gain,
                d_bias,
            });
            match cell.carries_normalised {
                true => dc.copy_from_slice(next),
                false => dc.iter_mut().zip(&*next).for_each(|(dc, d)| *dc += d),
            }
        }
        equations.backward(planes, h, c, dh, dc);
        cell.sums_backward(equations, &v, &mut d, (of_x, of_h), planes, from_h);
    }
    Ok(())
}
