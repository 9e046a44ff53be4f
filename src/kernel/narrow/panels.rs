//! Narrow matrices in panels: the layout of the [`f32` panels](crate::kernel::panel::pack), with other
//! weights.
//!
//! ```text
//! bias   [sums][L]                   f32
//! input  [x_gates][L]                scales, f32, of integers only
//!        [x_gates][L]                offsets, i32, of integers only
//!        [I][x_gates][L]             weights of 16 bits
//!        [I/2][x_gates][L][2]        weights of 8 bits
//!        [I/4][x_gates][L][4]        weights of 8 bits for a dot product of bytes
//!        [I/4][x_gates][4][L]        weights of 8 bits where sums take four elements without it
//! hidden                             the same
//! ```
//!
//! Units past the last one are zero. So is the padding in the last word of a unit. The offset of a row of
//! weights is -128 times their sum, or 128 times where all bytes are signed; it is zero where there is no dot
//! product of bytes.

use core::marker::PhantomData;
use core::ops::Range;

use super::Narrow;
use super::codes::{write_bytes, write_codes};
use super::kinds::plane_len;
use super::matrix::store;
use super::sums::{Product, Sums};
use super::unpacked::Unpacked;
use crate::kernel::bytes::bytes_mut;
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::operand::{Matrices, Operand, ready};
use crate::kernel::panel::product::Left;
use crate::kernel::panel::source::Projection;
use crate::kernel::panel::sums::{Job, Planes, Start};
use crate::kernel::rows::list::RowList;
use crate::kernel::{Checked, check};
use crate::simd::{Dot, Simd};

/// Offsets of the parts of a panel, in words from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) dims: Dims,
    panels: usize,
    pub(super) panel: usize,
    /// Scales and weights, of the input side and of the hidden side.
    pub(super) scales: [usize; 2],
    pub(super) codes: [usize; 2],
}

impl Sizes {
    /// Without units there are no panels. The other sizes are not validated then, and may wrap around.
    const fn new(layout: &Layout, lanes: usize, dims: Dims, narrow: Narrow) -> Self {
        let Dims { input, hidden, width } = dims;
        let beside = narrow.beside();
        let x = layout.sums * lanes;
        let x_codes = x + beside * layout.x_gates * lanes;
        let h = x_codes.wrapping_add((lanes * layout.x_gates).wrapping_mul(narrow.unit_len(input)));
        let h_codes = h.wrapping_add(beside * layout.h_gates * lanes);
        let panel = h_codes.wrapping_add((lanes * layout.h_gates).wrapping_mul(narrow.unit_len(width)));
        Sizes { dims, panels: hidden.div_ceil(lanes), panel, scales: [x, h], codes: [x_codes, h_codes] }
    }

    const fn len(self) -> usize {
        self.panels.wrapping_mul(self.panel)
    }
}

/// Packs into the first elements of `out`, and returns the rest of it.
pub(crate) fn pack<'o>(
    layout: &Layout,
    (lanes, dot): (usize, Dot),
    w: &Unpacked<'_>,
    out: &'o mut [f32],
) -> &'o mut [f32] {
    let (dims, narrow) = (w.shape.dims(), w.narrow);
    let order = Order::of(narrow, dot);
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
                    let mut sum = 0i32;
                    for i in 0..k {
                        let code = row.code(i);
                        sum = sum.wrapping_add(i32::from(code as i8));
                        store(narrow, codes, order.place(lanes, gates, i, g, lane), code);
                    }
                    if narrow.has_scales() {
                        let at = sizes.scales[side] + g * lanes + lane;
                        before[at] = row.scale;
                        let offset = if dot.is_used() { sum.wrapping_mul(Dot::OFFSET) } else { 0 };
                        before[at + gates * lanes] = f32::from_bits(offset.cast_unsigned());
                    }
                }
            }
        }
    }
    rest
}

/// Packs the weights that a format holds into panels of `f32`, as [`pack`](crate::kernel::panel::pack::pack)
/// does.
pub(crate) fn pack_wide<'o>(
    layout: &Layout,
    (lanes, _): (usize, Dot),
    w: &Unpacked<'_>,
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

/// The order of the weights of a panel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Singles,
    Pairs,
    /// Fours, for each of which all lanes follow each other.
    Fours,
    /// For a dot product of bytes.
    Bytes,
}

impl Order {
    const fn of(narrow: Narrow, dot: Dot) -> Self {
        match narrow {
            Narrow::F16 | Narrow::Bf16 => Order::Singles,
            _ if dot.is_used() => Order::Bytes,
            Narrow::W8A8 if dot.has_fours() => Order::Bytes,
            Narrow::W8A16 if dot.has_fours() => Order::Fours,
            _ => Order::Pairs,
        }
    }

    /// The index of weight `i` of a unit's gate among the weights of a panel.
    const fn place(self, lanes: usize, gates: usize, i: usize, g: usize, lane: usize) -> usize {
        let together = match self {
            Order::Singles => 1,
            Order::Pairs => 2,
            Order::Fours | Order::Bytes => 4,
        };
        let (group, within) = (i / together * gates + g, i % together);
        match self {
            Order::Fours => (group * together + within) * lanes + lane,
            _ => (group * lanes + lane) * together + within,
        }
    }
}

/// The narrow panels of one stage.
#[derive(Clone, Copy)]
pub(crate) struct NarrowPanels<'a> {
    pub(super) start: *const f32,
    pub(super) narrow: Narrow,
    /// Whether the panels are for a dot product of bytes.
    pub(super) dot: Dot,
    pub(super) sizes: Sizes,
    data: PhantomData<&'a [f32]>,
}

impl<'a> NarrowPanels<'a> {
    /// The panels at the start of `data`, and the rest of it; `None` if they do not fit.
    pub(crate) fn new(
        layout: &Layout,
        lanes: usize,
        dims: Dims,
        (narrow, dot): (Narrow, Dot),
        data: &'a [f32],
    ) -> Option<(Self, &'a [f32])> {
        let sizes = Sizes::new(layout, lanes, dims, narrow);
        let (own, rest) = data.split_at_checked(sizes.len())?;
        Some((NarrowPanels { start: own.as_ptr(), narrow, dot, sizes, data: PhantomData }, rest))
    }

    /// `c [B, H] = left [B, k] * w^T + start`, where `w` holds the input weights or the hidden weights of one
    /// gate. Rows of `c` that do not take part are not changed.
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
        let start = if layout.sums == 0 { Start::ZERO } else { Start::vector(bias, step) };
        let to = c.as_mut_ptr();
        while list.fill(left.rows, &mut taken) {
            let from = left.of.start(0);
            let none = core::ptr::null_mut();
            let mut operand =
                Operand { hidden, left: from, ld: left.of.ld(), rows: list.sources(), k, codes: none };
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
            // SAFETY: the buffers were checked: they have all rows of the list, `k` elements on the left, and
            // all panels of the columns.
            unsafe {
                ready(s, &self, &mut operand, &mut *room)?;
                self.sums(s, layout, &[operand], job, 0..dims.hidden.div_ceil(S::LANES));
            }
        }
        Ok(())
    }
}

impl NarrowPanels<'_> {
    /// The product of an operand.
    #[inline(always)]
    fn product<'o>(&self, operand: &Operand<'o>) -> Product<'o> {
        let side = usize::from(operand.hidden);
        Product {
            operand: *operand,
            codes: self.start.wrapping_add(self.sizes.codes[side]),
            scales: self.start.wrapping_add(self.sizes.scales[side]),
            room: self.narrow.room_len(operand.k),
        }
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
            // The buffer in which a panel is widened.
            operand.codes = if room.is_empty() { core::ptr::null_mut() } else { room.as_mut_ptr() };
            return Ok(());
        }
        let (k, len) = (operand.k, self.narrow.room_len(operand.k));
        let (Some(largest), Some(words)) = (self.narrow.largest(k), len.checked_mul(operand.rows.len()))
        else {
            return check(false, "length of a row of integers");
        };
        check(words <= room.len(), "room for integers")?;
        let (to, order) = (room.as_mut_ptr(), Order::of(self.narrow, self.dot));
        operand.codes = to;
        for (i, row) in operand.rows.iter().enumerate() {
            let from = operand.left.wrapping_add(row * operand.ld);
            let (to, largest) = (to.wrapping_add(i * len), largest as f32);
            // SAFETY: the caller's promise for the row; the room has been checked. It has two bytes for each
            // element, in whole vectors.
            unsafe {
                match self.narrow {
                    _ if !S::DOT || order != Order::Bytes => write_codes(s, from, k, largest, to),
                    Narrow::W8A8 => write_bytes(s, from, k, (largest, 128.0), 0, to),
                    _ => write_bytes(s, from, k, (largest, 32768.0), plane_len(len), to),
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    unsafe fn sums(&self, s: S, _: &Layout, operands: &[Operand<'_>], job: Job<'_>, panels: Range<usize>) {
        let run = |products: &[Product<'_>]| {
            let (dot, panel) = (self.dot, self.sizes.panel);
            // SAFETY: the caller's promise. The panels exist, and `ready` was called for the operands.
            unsafe { Sums { s, job: &job, products, dot, panel, panels }.run(self.narrow) };
        };
        match operands {
            [x, h] => run(&[self.product(x), self.product(h)]),
            [of] => run(&[self.product(of)]),
            _ => {}
        }
    }
}
