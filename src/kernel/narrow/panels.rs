//! Narrow matrices in panels: as [those of `f32`](crate::kernel::panel::pack), but for the weights.
//!
//! ```text
//! bias   [sums][L]                   f32
//! input  [x_gates][L]                scales, f32, of integers only
//!        [I][x_gates][L]             weights of 16 bits
//!        [I/2][x_gates][L][2]        weights of 8 bits
//! hidden                             the same
//! ```
//!
//! Units past the last one are zero, and so is what fills the last word of a unit.

use core::marker::PhantomData;
use core::ops::Range;

use super::Narrow;
use super::codes::write_codes;
use super::matrix::{Matrix, store};
use super::sums::{Right, Sums};
use crate::kernel::bytes::{bytes, bytes_mut};
use crate::kernel::panel::canonical::{Dims, Parts, Shape};
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::{Matrices, Operand, ready};
use crate::kernel::panel::product::Left;
use crate::kernel::panel::source::Projection;
use crate::kernel::panel::sums::{Job, Planes, Start};
use crate::kernel::rows::list::RowList;
use crate::kernel::{Checked, check};
use crate::simd::Simd;

/// The weights of a layer, to be packed: matrices to be rounded or already narrow, and the rest as it is.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    shape: Shape,
    narrow: Narrow,
    w_ih: Matrix<'a>,
    w_hh: Matrix<'a>,
    w_hr: Matrix<'a>,
    /// Biases and peepholes.
    rest: Parts<&'a [f32]>,
}

/// Rows of the projection, and their length.
const fn projection(shape: &Shape) -> (usize, usize) {
    match shape.projection {
        Some(width) => (width, shape.hidden),
        None => (0, 0),
    }
}

/// Words of narrow weights: as canonical ones, with each matrix in its own format and its scales behind it; `usize::MAX` if they do not fit.
pub(crate) const fn words_len(shape: &Shape, narrow: Narrow) -> usize {
    let rows = shape.gates.saturating_mul(shape.hidden);
    let biases = if shape.bias { rows.saturating_mul(2) } else { 0 };
    let (outputs, inputs) = projection(shape);
    narrow
        .matrix_len(rows, shape.input)
        .saturating_add(narrow.matrix_len(rows, shape.width()))
        .saturating_add(narrow.matrix_len(outputs, inputs))
        .saturating_add(biases)
        .saturating_add(shape.peepholes_len())
}

impl<'a> Given<'a> {
    /// Weights of `f32`; `None` if the length is not the layer's.
    pub(crate) fn floats(shape: Shape, narrow: Narrow, flat: &'a [f32]) -> Option<Self> {
        let parts = shape.split(flat)?;
        let [w_ih, w_hh, w_hr] = [parts.w_ih, parts.w_hh, parts.w_hr].map(Matrix::Floats);
        Some(Given { shape, narrow, w_ih, w_hh, w_hr, rest: parts })
    }

    /// Narrow weights; `None` if the length is not the layer's.
    pub(crate) fn words(shape: Shape, narrow: Narrow, words: &'a [f32]) -> Option<Self> {
        let (mut left, rows) = (words, shape.gates * shape.hidden);
        let w_ih = Matrix::take(narrow, rows, shape.input, &mut left)?;
        let w_hh = Matrix::take(narrow, rows, shape.width(), &mut left)?;
        let (b_ih, rest) = left.split_at_checked(if shape.bias { rows } else { 0 })?;
        let (b_hh, mut rest) = rest.split_at_checked(b_ih.len())?;
        let (outputs, inputs) = projection(&shape);
        let w_hr = Matrix::take(narrow, outputs, inputs, &mut rest)?;
        let rest = Parts { b_ih, b_hh, peepholes: rest, ..Parts::default() };
        let fits = rest.peepholes.len() == shape.peepholes_len();
        fits.then_some(Given { shape, narrow, w_ih, w_hh, w_hr, rest })
    }

    /// One matrix of `f32`, `[hidden, input]`, and its biases, which have its length.
    pub(crate) fn matrix(shape: Shape, narrow: Narrow, w: &'a [f32], b: &'a [f32]) -> Self {
        let none = Matrix::Floats(&[]);
        let rest = Parts { b_ih: b, ..Parts::default() };
        Given { shape, narrow, w_ih: Matrix::Floats(w), w_hh: none, w_hr: none, rest }
    }

    /// The same of narrow weights; `None` if they are too short.
    pub(crate) fn words_of_matrix(shape: Shape, narrow: Narrow, words: &'a [f32]) -> Option<Self> {
        let mut left = words;
        let w_ih = Matrix::take(narrow, shape.hidden, shape.input, &mut left)?;
        (left.len() == shape.hidden).then_some(Given { w_ih, ..Given::matrix(shape, narrow, &[], left) })
    }

    /// Writes one narrow matrix and its biases.
    pub(crate) fn write_matrix(&self, out: &mut [u8]) {
        let Shape { input, hidden, .. } = self.shape;
        self.w_ih.write(self.narrow, hidden, input, out).copy_from_slice(bytes(self.rest.b_ih));
    }

    /// Writes the weights that one narrow matrix and its biases stand for.
    pub(crate) fn widen_matrix(&self, out: &mut [f32]) {
        let Shape { input, hidden, .. } = self.shape;
        let (w, b) = out.split_at_mut(hidden * input);
        self.w_ih.widen(self.narrow, hidden, input, w);
        b.copy_from_slice(self.rest.b_ih);
    }

    /// The name of the first part with a weight that the format cannot hold, and the weight's place in it.
    pub(crate) fn refused(&self) -> Option<(&'static str, usize)> {
        let parts = [("w_ih", self.w_ih), ("w_hh", self.w_hh), ("w_hr", self.w_hr)];
        parts.into_iter().find_map(|(name, of)| Some((name, of.refused(self.narrow)?)))
    }

    /// Writes narrow weights into `out`, which has [`words_len`] words.
    pub(crate) fn write(&self, out: &mut [u8]) {
        let (shape, rest) = (&self.shape, &self.rest);
        let rows = shape.gates * shape.hidden;
        let out = self.w_ih.write(self.narrow, rows, shape.input, out);
        let mut out = self.w_hh.write(self.narrow, rows, shape.width(), out);
        for bias in [rest.b_ih, rest.b_hh] {
            let (to, others) = out.split_at_mut(size_of_val(bias));
            to.copy_from_slice(bytes(bias));
            out = others;
        }
        let (outputs, inputs) = projection(shape);
        self.w_hr.write(self.narrow, outputs, inputs, out).copy_from_slice(bytes(rest.peepholes));
    }

    /// Writes the weights that the narrow ones stand for into `out`, which has the length of canonical weights.
    pub(crate) fn widen(&self, out: &mut [f32]) {
        let (shape, rest) = (&self.shape, &self.rest);
        let Some(to) = shape.split_mut(out) else { return };
        let (outputs, inputs) = projection(shape);
        let all = [
            (to.w_ih, self.w_ih, shape.input, shape.gates * shape.hidden),
            (to.w_hh, self.w_hh, shape.width(), shape.gates * shape.hidden),
            (to.w_hr, self.w_hr, inputs, outputs),
        ];
        for (to, from, k, rows) in all {
            from.widen(self.narrow, rows, k, to);
        }
        to.b_ih.copy_from_slice(rest.b_ih);
        to.b_hh.copy_from_slice(rest.b_hh);
        to.peepholes.copy_from_slice(rest.peepholes);
    }

    /// The projection, as if its rows were the hidden weights of a layer. Without one it has no units.
    pub(crate) fn projection(&self) -> Self {
        let (hidden, width) = projection(&self.shape);
        let shape = Shape { projection: Some(width), bias: false, ..Shape::new(1, 0, hidden) };
        let none: &[f32] = &[];
        let (none, rest) = (Matrix::Floats(none), Parts::default());
        Given { shape, w_ih: none, w_hh: self.w_hr, w_hr: none, rest, ..*self }
    }

    pub(crate) fn peepholes(&self) -> &'a [f32] {
        self.rest.peepholes
    }

    pub(crate) fn has_projection(&self) -> bool {
        self.shape.projection.is_some()
    }
}

/// Where the parts of a panel stand, in words from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    panels: usize,
    panel: usize,
    /// Input weights, then hidden ones: scales and what follows them.
    scales: [usize; 2],
    codes: [usize; 2],
}

impl Sizes {
    /// Without units there are none, and the other sizes may be anything, and wrap around.
    const fn new(layout: &Layout, lanes: usize, dims: Dims, narrow: Narrow) -> Self {
        let Dims { input, hidden, width } = dims;
        let scale = narrow.has_scales() as usize;
        let x = layout.sums * lanes;
        let x_codes = x + scale * layout.x_gates * lanes;
        let h = x_codes.wrapping_add((lanes * layout.x_gates).wrapping_mul(narrow.unit_len(input)));
        let h_codes = h.wrapping_add(scale * layout.h_gates * lanes);
        let panel = h_codes.wrapping_add((lanes * layout.h_gates).wrapping_mul(narrow.unit_len(width)));
        Sizes { panels: hidden.div_ceil(lanes), panel, scales: [x, h], codes: [x_codes, h_codes] }
    }

    const fn len(self) -> usize {
        self.panels.wrapping_mul(self.panel)
    }
}

/// Packs into the first elements of `out`, and returns what is left of it.
pub(crate) fn pack<'o>(layout: &Layout, lanes: usize, w: &Given<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
    let (dims, narrow) = (w.shape.dims(), w.narrow);
    let sizes = Sizes::new(layout, lanes, dims, narrow);
    let (out, rest) = out.split_at_mut(sizes.len());
    if out.is_empty() || layout.gates() > w.shape.gates {
        return rest;
    }
    out.fill(0.0);
    let sides =
        [(w.w_ih, dims.input, 0, layout.x_gates), (w.w_hh, dims.width, layout.h_first, layout.h_gates)];
    for (index, panel) in out.chunks_exact_mut(sizes.panel).enumerate() {
        for lane in 0..lanes.min(dims.hidden - index * lanes) {
            let unit = index * lanes + lane;
            for sum in 0..layout.sums {
                panel[sum * lanes + lane] = w.rest.bias(layout, sum, unit, dims.hidden);
            }
            for (side, (matrix, k, first, gates)) in sides.into_iter().enumerate() {
                let (before, codes) = panel.split_at_mut(sizes.codes[side]);
                let codes = bytes_mut(codes);
                for g in 0..gates {
                    let row = matrix.row(narrow, (first + g) * dims.hidden + unit, k);
                    if narrow.has_scales() {
                        before[sizes.scales[side] + g * lanes + lane] = row.scale;
                    }
                    for i in 0..k {
                        store(narrow, codes, place(narrow, lanes, gates, i, g, lane), row.code(i));
                    }
                }
            }
        }
    }
    rest
}

/// Packs the weights that a format holds into panels of `f32`, as [`pack`](crate::kernel::panel::pack::pack) does.
pub(crate) fn pack_wide<'o>(
    layout: &Layout,
    lanes: usize,
    w: &Given<'_>,
    out: &'o mut [f32],
) -> &'o mut [f32] {
    let dims = w.shape.dims();
    let unit = layout.sums + layout.x_gates * dims.input + layout.h_gates * dims.width;
    let (out, rest) = out.split_at_mut(dims.hidden.div_ceil(lanes) * unit * lanes);
    if out.is_empty() || layout.gates() > w.shape.gates {
        return rest;
    }
    out.fill(0.0);
    for unit_index in 0..dims.hidden {
        let panel = &mut out[unit_index / lanes * unit * lanes..][..unit * lanes];
        let mut column = panel.iter_mut().skip(unit_index % lanes).step_by(lanes);
        for (sum, to) in column.by_ref().take(layout.sums).enumerate() {
            *to = w.rest.bias(layout, sum, unit_index, dims.hidden);
        }
        let sides =
            [(w.w_ih, dims.input, 0, layout.x_gates), (w.w_hh, dims.width, layout.h_first, layout.h_gates)];
        for (matrix, k, first, gates) in sides {
            for i in 0..k {
                for (g, to) in column.by_ref().take(gates).enumerate() {
                    *to = matrix.row(w.narrow, (first + g) * dims.hidden + unit_index, k).value(i);
                }
            }
        }
    }
    rest
}

/// The place of weight `i` of a unit's gate among the weights of a panel.
const fn place(narrow: Narrow, lanes: usize, gates: usize, i: usize, g: usize, lane: usize) -> usize {
    let together = pairs(narrow);
    ((i / together * gates + g) * lanes + lane) * together + i % together
}

/// Elements of a row that are multiplied at once.
const fn pairs(narrow: Narrow) -> usize {
    if narrow.has_scales() { 2 } else { 1 }
}

/// Narrow panels of one stage.
#[derive(Clone, Copy)]
pub(crate) struct NarrowPanels<'a> {
    start: *const f32,
    narrow: Narrow,
    sizes: Sizes,
    data: PhantomData<&'a [f32]>,
}

impl<'a> NarrowPanels<'a> {
    /// The panels at the start of `data`, and the rest of it; `None` if they do not fit.
    pub(crate) fn new(
        layout: &Layout,
        lanes: usize,
        dims: Dims,
        narrow: Narrow,
        data: &'a [f32],
    ) -> Option<(Self, &'a [f32])> {
        let sizes = Sizes::new(layout, lanes, dims, narrow);
        let (own, rest) = data.split_at_checked(sizes.len())?;
        Some((NarrowPanels { start: own.as_ptr(), narrow, sizes, data: PhantomData }, rest))
    }

    /// `c [B, H] = left [B, k] * w^T + start`, where `w` holds the input weights of one gate, or the hidden ones. Rows that take no part are left as
    /// they are.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn multiply<S: Simd>(
        self,
        s: S,
        layout: &Layout,
        hidden: bool,
        left: Left<'_>,
        dims: Dims,
        c: &mut [f32],
        room: &mut [f32],
    ) -> Checked {
        let (k, gates) = if hidden { (dims.width, layout.h_gates) } else { (dims.input, layout.x_gates) };
        let fits = self.fits(s, layout, dims)
            && gates == 1
            && left.is_matrix(k)
            && c.len() == left.rows.end().saturating_mul(dims.hidden);
        check(fits, "narrow product")?;
        let (mut list, mut taken) = (RowList::new(), left.rows.iter());
        let (bias, step) = Matrices::<S>::biases(&self);
        let start = if layout.sums == 0 { Start::Zero } else { Start::Vector(bias, step) };
        let to = c.as_mut_ptr();
        while list.fill(left.rows, &mut taken) {
            let from = left.data.as_ptr();
            let none = core::ptr::null_mut();
            let mut operand =
                Operand { hidden, left: from, ld: left.ld, rows: list.sources(), k, codes: none };
            let out = Planes { start: to, ld: dims.hidden, rows: list.rows(), planes: [0; 4] };
            let job = Job {
                gates: 1,
                parts: &[],
                start: [start; 4],
                from: Planes { start: to.cast_const(), ld: out.ld, rows: out.rows, planes: [0; 4] },
                out,
                columns: dims.hidden,
                exact: false,
                descending: false,
            };
            // SAFETY: all rows of the list and all panels of the columns exist in the buffers that were checked, with `k` elements on the left.
            unsafe {
                ready(s, &self, &mut operand, &mut *room)?;
                self.sums(s, layout, &[operand], job, 0..dims.hidden.div_ceil(S::LANES));
            }
        }
        Ok(())
    }
}

impl<S: Simd> Projection<S> for NarrowPanels<'_> {
    #[inline(always)]
    fn project(
        self,
        s: S,
        layout: &Layout,
        left: Left<'_>,
        dims: Dims,
        c: &mut [f32],
        room: &mut [f32],
    ) -> Checked {
        self.multiply(s, layout, true, left, dims, c, room)
    }
}

impl<S: Simd> Matrices<S> for NarrowPanels<'_> {
    #[inline(always)]
    fn fits(&self, _: S, layout: &Layout, dims: Dims) -> bool {
        self.sizes == Sizes::new(layout, S::LANES, dims, self.narrow)
    }

    #[inline(always)]
    fn biases(&self) -> (*const f32, usize) {
        (self.start, self.sizes.panel)
    }

    #[inline(always)]
    fn row_room_len(&self, k: usize) -> usize {
        self.narrow.room_len(k)
    }

    #[inline(always)]
    fn room_len(&self, k: usize, rows: usize) -> usize {
        self.narrow.room_len(k).saturating_mul(rows).saturating_add(self.narrow.widened_len(k, rows))
    }

    #[inline(always)]
    unsafe fn ready(&self, s: S, operand: &mut Operand<'_>, room: &mut [f32]) -> Checked {
        if !self.narrow.has_scales() {
            // Where a panel is widened.
            operand.codes = if room.is_empty() { core::ptr::null_mut() } else { room.as_mut_ptr() };
            return Ok(());
        }
        let (k, len) = (operand.k, self.narrow.room_len(operand.k));
        let (Some(largest), Some(words)) = (self.narrow.largest(k), len.checked_mul(operand.rows.len()))
        else {
            return check(false, "length of a row of integers");
        };
        check(words <= room.len(), "room for integers")?;
        let to = room.as_mut_ptr();
        operand.codes = to;
        for (i, row) in operand.rows.iter().enumerate() {
            let from = operand.left.wrapping_add(row * operand.ld);
            // SAFETY: the caller's promise for the row; the room has been checked.
            unsafe { write_codes(s, from, k, largest as f32, to.wrapping_add(i * len)) };
        }
        Ok(())
    }

    #[inline(always)]
    unsafe fn sums(
        &self,
        s: S,
        _: &Layout,
        operands: &[Operand<'_>],
        mut job: Job<'_>,
        panels: Range<usize>,
    ) {
        for operand in operands {
            let side = usize::from(operand.hidden);
            let right = Right {
                codes: self.start.wrapping_add(self.sizes.codes[side]),
                scales: self.start.wrapping_add(self.sizes.scales[side]),
                panel: self.sizes.panel,
                room: self.narrow.room_len(operand.k),
            };
            // SAFETY: the caller's promise: the panels exist, and the operand has been made ready.
            unsafe { Sums { s, job: &job, operand, right, panels: panels.clone() }.run(self.narrow) };
            job.start = [Start::From; 4];
            job.from = Planes {
                start: job.out.start.cast_const(),
                ld: job.out.ld,
                rows: job.out.rows,
                planes: job.out.planes,
            };
        }
    }
}
