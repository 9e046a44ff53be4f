//! The canonical layout of a recurrent layer's weights: PyTorch's, one part after the other.

use super::layout::{Layout, NONE};

/// The options and sizes that decide the layout of a layer's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) gates: usize,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// The width of the hidden state: `hidden`, or the outputs of the projection.
    pub(crate) width: usize,
    pub(crate) projects: bool,
    pub(crate) bias: bool,
    pub(crate) peepholes: bool,
    /// Vectors of H that layer normalisation adds to the weights: the gains, and the bias of the cell state.
    /// 0 without layer normalisation.
    pub(crate) norm: usize,
}

/// The parts of the weights; those that a layer does not have are empty.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Parts<T> {
    /// `[G*H, I]`
    pub(crate) w_ih: T,
    /// `[G*H, R]`, where `R` is the width of the hidden state
    pub(crate) w_hh: T,
    /// `[G*H]`
    pub(crate) b_ih: T,
    /// `[G*H]`
    pub(crate) b_hh: T,
    /// `[R, H]`, the projection
    pub(crate) w_hr: T,
    /// `[3, H]`, in the order `i f o`; in a layer with layer normalisation all [vectors](Vectors) instead,
    /// with the biases, because its steps need all of them in one place. `b_ih` and `b_hh` are empty then.
    pub(crate) peepholes: T,
}

/// The vectors of a layer with layer normalisation, in this order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Vectors<T> {
    /// `[G*H]`, or empty
    pub(crate) b_ih: T,
    /// `[G*H]`, or empty
    pub(crate) b_hh: T,
    /// `[G*H]`, the gain of the input part
    pub(crate) g_ih: T,
    /// `[G*H]`, the gain of the hidden part
    pub(crate) g_hh: T,
    /// `[H]`, the gain of the cell state, or empty
    pub(crate) g_c: T,
    /// `[H]`, the bias of the cell state, or empty
    pub(crate) b_c: T,
}

impl<T> Vectors<T> {
    /// The lengths of the parts of `len` elements in all, for a layer of `rows` sums. Without a cell state,
    /// `cell` is 0.
    fn lens(len: usize, rows: usize, cell: usize) -> Option<[usize; 6]> {
        let gains = 2 * rows + 2 * cell;
        let bias = if len > gains { rows } else { 0 };
        (len == gains + 2 * bias).then_some([bias, bias, rows, rows, cell, cell])
    }
}

impl<'a> Vectors<&'a [f32]> {
    /// The parts of a flat buffer; `None` if its length is not the layer's.
    pub(crate) fn split(flat: &'a [f32], rows: usize, cell: usize) -> Option<Self> {
        let mut rest = flat;
        let parts = Self::lens(flat.len(), rows, cell)?.map(|len| {
            let (part, others) = rest.split_at(len);
            rest = others;
            part
        });
        let [b_ih, b_hh, g_ih, g_hh, g_c, b_c] = parts;
        Some(Vectors { b_ih, b_hh, g_ih, g_hh, g_c, b_c })
    }
}

impl<'a> Vectors<&'a mut [f32]> {
    /// The same for writing. Without a buffer, the parts are empty.
    pub(crate) fn split_mut(flat: &'a mut [f32], rows: usize, cell: usize) -> Option<Self> {
        let lens = if flat.is_empty() { [0; 6] } else { Self::lens(flat.len(), rows, cell)? };
        let mut rest = flat;
        let parts = lens.map(|len| {
            let (part, others) = core::mem::take(&mut rest).split_at_mut(len);
            rest = others;
            part
        });
        let [b_ih, b_hh, g_ih, g_hh, g_c, b_c] = parts;
        Some(Vectors { b_ih, b_hh, g_ih, g_hh, g_c, b_c })
    }
}

impl Shape {
    /// A layer without options.
    pub(crate) const fn new(gates: usize, input: usize, hidden: usize) -> Self {
        Shape { gates, input, hidden, width: hidden, projects: false, bias: true, peepholes: false, norm: 0 }
    }

    /// The same layer with its output projected to `width` elements.
    pub(crate) const fn project(self, width: usize) -> Self {
        Shape { width, projects: true, ..self }
    }

    /// Elements of a row of the hidden state, `R`.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Elements of the peepholes, `3*H`, or none; of all vectors of a layer with layer normalisation.
    pub(crate) const fn peepholes_len(&self) -> usize {
        let vectors = match self.norm {
            0 if self.peepholes => 3,
            0 => 0,
            norm if self.bias => norm + 2 * self.gates,
            norm => norm,
        };
        self.hidden.saturating_mul(vectors)
    }

    /// Elements of the cell state that layer normalisation has gains for.
    pub(crate) const fn norm_cell(&self) -> usize {
        if self.norm > 2 * self.gates { self.hidden } else { 0 }
    }

    /// Whether sums start from biases. Those of a layer with layer normalisation are added later.
    const fn biased(&self) -> bool {
        self.bias && self.norm == 0
    }

    pub(crate) const fn dims(&self) -> Dims {
        Dims { input: self.input, hidden: self.hidden, width: self.width() }
    }

    /// The length of each part, in order; `usize::MAX` for one that does not fit.
    const fn lens(&self) -> [usize; 6] {
        let rows = self.gates.saturating_mul(self.hidden);
        let bias = if self.biased() { rows } else { 0 };
        let projection = if self.projects { self.width.saturating_mul(self.hidden) } else { 0 };
        [
            rows.saturating_mul(self.input),
            rows.saturating_mul(self.width()),
            bias,
            bias,
            projection,
            self.peepholes_len(),
        ]
    }

    /// The length of all parts together; `usize::MAX` if it does not fit.
    pub(crate) const fn len(&self) -> usize {
        let lens = self.lens();
        let (mut sum, mut i) = (0usize, 0);
        while i < lens.len() {
            sum = sum.saturating_add(lens[i]);
            i += 1;
        }
        sum
    }

    /// The parts of a flat buffer; `None` if its length is not the layer's.
    #[inline(always)]
    pub(crate) fn split<'a>(&self, flat: &'a [f32]) -> Option<Parts<&'a [f32]>> {
        let mut parts: [&[f32]; 6] = [&[]; 6];
        let mut rest = flat;
        for (part, len) in parts.iter_mut().zip(self.lens()) {
            (*part, rest) = rest.split_at_checked(len)?;
        }
        let [w_ih, w_hh, b_ih, b_hh, w_hr, peepholes] = parts;
        rest.is_empty().then_some(Parts { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes })
    }

    /// The parts of a flat buffer; `None` if its length is not the layer's.
    pub(crate) fn split_mut<'a>(&self, flat: &'a mut [f32]) -> Option<Parts<&'a mut [f32]>> {
        let mut parts: [&mut [f32]; 6] = [&mut [], &mut [], &mut [], &mut [], &mut [], &mut []];
        let mut rest = flat;
        for (part, len) in parts.iter_mut().zip(self.lens()) {
            (*part, rest) = rest.split_at_mut_checked(len)?;
        }
        let [w_ih, w_hh, b_ih, b_hh, w_hr, peepholes] = parts;
        rest.is_empty().then_some(Parts { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes })
    }
}

/// The weights of a layer in place. The parts have the lengths that the shape says; tiles rely on this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Canonical<'a> {
    shape: Shape,
    parts: Parts<&'a [f32]>,
}

impl<'a> Canonical<'a> {
    /// `None` if the length is not the layer's.
    #[inline(always)]
    pub(crate) fn new(shape: Shape, flat: &'a [f32]) -> Option<Self> {
        Some(Canonical { shape, parts: shape.split(flat)? })
    }

    #[inline(always)]
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    #[inline(always)]
    pub(crate) fn parts(&self) -> &Parts<&'a [f32]> {
        &self.parts
    }

    /// The projection as a separate stage, whose rows are the hidden weights. Without a projection the stage
    /// has no units.
    pub(crate) fn projection(&self) -> Self {
        let outputs = if self.shape.projects { self.shape.width } else { 0 };
        Self::matrix(self.parts.w_hr, outputs, self.shape.hidden)
    }

    /// The input weights and the hidden weights as separate stages.
    pub(crate) fn matrices(&self) -> [Self; 2] {
        let (Shape { input, hidden, width, .. }, Parts { w_ih, w_hh, .. }) = (self.shape, self.parts);
        let rows = self.shape.gates * hidden;
        [Self::matrix(w_ih, rows, input), Self::matrix(w_hh, rows, width)]
    }

    /// A matrix `[outputs, inputs]` as the hidden weights of a stage.
    fn matrix(w_hh: &'a [f32], outputs: usize, inputs: usize) -> Self {
        let shape = Shape { bias: false, ..Shape::new(1, 0, outputs).project(inputs) };
        Canonical { shape, parts: Parts { w_hh, ..Parts::default() } }
    }

    /// The initial value of a unit's sum.
    /// # Safety
    /// `unit` is below the shape's `hidden`, `sum < 4`, and the shape has all [gates](Layout::gates) of the
    /// layout.
    #[inline(always)]
    pub(super) unsafe fn bias(&self, layout: &Layout, sum: usize, unit: usize) -> f32 {
        if !self.shape.biased() {
            return 0.0;
        }
        // SAFETY: if there are biases, `b_ih` and `b_hh` have `gates * hidden` elements.
        unsafe { self.parts.bias_of(layout, sum, unit, self.shape.hidden) }
    }
}

impl Parts<&[f32]> {
    /// The initial value of a sum of unit `unit` of `hidden` units.
    /// # Safety
    /// `sum < 4`, `unit < hidden`, and both biases have `hidden` elements for each gate of the layout.
    #[inline(always)]
    pub(crate) unsafe fn bias_of(&self, layout: &Layout, sum: usize, unit: usize, hidden: usize) -> f32 {
        let part = |from: &[f32], gate: usize| match gate {
            NONE => 0.0,
            // SAFETY: the caller's promise.
            gate => unsafe { *from.get_unchecked(gate * hidden + unit) },
        };
        part(self.b_ih, layout.bias_x[sum]) + part(self.b_hh, layout.bias_h[sum])
    }

    /// The initial value of a sum of unit `unit` of `hidden` units. A missing bias counts as zero.
    pub(crate) fn bias(&self, layout: &Layout, sum: usize, unit: usize, hidden: usize) -> f32 {
        let part = |from: &[f32], gate: usize| match gate {
            NONE => 0.0,
            gate => from.get(gate * hidden + unit).copied().unwrap_or_default(),
        };
        part(self.b_ih, layout.bias_x[sum]) + part(self.b_hh, layout.bias_h[sum])
    }
}

/// Sizes of a layer, as the kernels need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dims {
    pub(crate) input: usize,
    /// Units.
    pub(crate) hidden: usize,
    /// Elements of a row of the hidden state: `hidden`, unless there is a projection.
    pub(crate) width: usize,
}
