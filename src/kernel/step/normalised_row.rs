//! The equations of a cell with layer normalisation on one row, which has been normalised.

use super::{At, Equations};
use crate::kernel::pointwise::normalise::{self, Normalise};
use crate::kernel::vector::{load, load_planes, store};
use crate::simd::{Region, Simd};

/// The forward equations on one row of units. `planes` are four rows; an argument with another length than the
/// row's counts as missing. The code around them is compiled once, for all cells and instruction sets.
pub(super) trait Row {
    /// Layer normalisation of a part of the row.
    fn normalise(&self, part: Normalise<'_>);
    /// Replaces sums by the values to save, and the cell state by the next one. Without a cell state, writes
    /// the output. A missing `h` counts as zeros.
    fn forward(&self, planes: &mut [f32], h: &[f32], c: &mut [f32], output: &mut [f32]);
    /// For a cell with a cell state: writes the output, from saved values and the normalised cell state.
    fn output(&self, planes: &[f32], normal: &[f32], output: &mut [f32]);
}

/// The equations of a backward step. They are apart, so that programs without training do not link them.
pub(super) trait BackwardRow: Row {
    /// The gradients of a normalised part of the row.
    fn normalise_backward(&self, part: normalise::Backward<'_>);
    /// For a cell with a cell state: replaces the normalised cell state by its gradient, and the gradient of
    /// the output by that of the output gate's sum.
    fn output_backward(&self, planes: &[f32], normal: &mut [f32], dh: &mut [f32]);
    /// Replaces saved values by the gradients of the sums, and the gradients of output and cell state by
    /// those of the previous ones, without the part that goes through the weights. If there is a cell state,
    /// `dh` is the gradient of the output gate's sum on entry.
    fn backward(&self, planes: &mut [f32], h: &[f32], c: &[f32], dh: &mut [f32], dc: &mut [f32]);
}

/// Equations on an instruction set.
pub(super) struct On<S, E>(pub(super) S, pub(super) E);

impl<S: Simd, E: Equations> Row for On<S, E> {
    fn normalise(&self, part: Normalise<'_>) {
        self.0.call(part);
    }
    fn forward(&self, planes: &mut [f32], h: &[f32], c: &mut [f32], output: &mut [f32]) {
        self.0.call(Forward(self, planes, h, c, output));
    }
    fn output(&self, planes: &[f32], normal: &[f32], output: &mut [f32]) {
        if const { E::LAYOUT.has_c } {
            self.0.call(Output(self, planes, normal, output));
        }
    }
}

impl<S: Simd, E: Equations> BackwardRow for On<S, E> {
    fn normalise_backward(&self, part: normalise::Backward<'_>) {
        self.0.call(part);
    }
    fn output_backward(&self, planes: &[f32], normal: &mut [f32], dh: &mut [f32]) {
        if const { E::LAYOUT.has_c } {
            self.0.call(OutputBackward(self, planes, normal, dh));
        }
    }
    fn backward(&self, planes: &mut [f32], h: &[f32], c: &[f32], dh: &mut [f32], dc: &mut [f32]) {
        self.0.call(Backward(self, planes, h, c, dh, dc));
    }
}

/// The start of a row, or null if it is missing.
#[inline(always)]
fn start(row: &[f32], hidden: usize) -> *const f32 {
    if row.len() == hidden { row.as_ptr() } else { core::ptr::null() }
}

/// The same for writing.
#[inline(always)]
fn start_mut(row: &mut [f32], hidden: usize) -> *mut f32 {
    if row.len() == hidden { row.as_mut_ptr() } else { core::ptr::null_mut() }
}

/// Loads some units of a row; zeros if it is missing.
/// # Safety
/// `row` is null, or a row in which `left` elements follow `unit`.
#[inline(always)]
unsafe fn get<S: Simd>(s: S, row: *const f32, unit: usize, left: usize) -> S::V {
    // SAFETY: the caller's promise.
    if row.is_null() { s.splat(0.0) } else { unsafe { load(s, row.add(unit), left) } }
}

/// Stores some units of a row, unless it is missing.
/// # Safety
/// As for [`get`].
#[inline(always)]
unsafe fn put<S: Simd>(s: S, row: *mut f32, unit: usize, v: S::V, left: usize) {
    if !row.is_null() {
        // SAFETY: the caller's promise.
        unsafe { store(s, row.add(unit), v, left) }
    }
}

/// The arguments of the equations for one vector of units.
/// # Safety
/// As for [`get`], for all rows and the four planes.
#[inline(always)]
unsafe fn at<S: Simd>(
    s: S,
    planes: *const f32,
    hidden: usize,
    [h, c]: [*const f32; 2],
    unit: usize,
) -> At<S::V> {
    let left = hidden - unit;
    // SAFETY: the caller's promise.
    unsafe {
        At {
            planes: load_planes(s, planes.add(unit), hidden, 4, left),
            h: get(s, h, unit, left),
            c: get(s, c, unit, left),
            p: [s.splat(0.0); 3],
        }
    }
}

/// Stores some units of the four planes.
/// # Safety
/// As for [`at`].
#[inline(always)]
unsafe fn put_planes<S: Simd>(s: S, planes: *mut f32, hidden: usize, unit: usize, v: [S::V; 4]) {
    for (plane, v) in v.into_iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { store(s, planes.add(plane * hidden + unit), v, hidden - unit) }
    }
}

struct Forward<'a, S, E>(&'a On<S, E>, &'a mut [f32], &'a [f32], &'a mut [f32], &'a mut [f32]);

impl<S: Simd, E: Equations> Region for Forward<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Forward(&On(s, e), planes, h, c, output) = self;
        let hidden = planes.len() / 4;
        let (planes, h) = (planes.as_mut_ptr(), start(h, hidden));
        let (c, output) = (start_mut(c, hidden), start_mut(output, hidden));
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            // SAFETY: every row has `hidden` elements or is null.
            unsafe {
                let next = e.forward(s, at(s, planes, hidden, [h, c], unit));
                put_planes(s, planes, hidden, unit, next.saved);
                if E::LAYOUT.has_c {
                    put(s, c, unit, next.c, left);
                } else {
                    put(s, output, unit, next.h, left);
                }
            }
        }
    }
}

struct Output<'a, S, E>(&'a On<S, E>, &'a [f32], &'a [f32], &'a mut [f32]);

impl<S: Simd, E: Equations> Region for Output<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Output(&On(s, e), planes, normal, output) = self;
        let hidden = planes.len() / 4;
        let (o, normal) = (planes[3 * hidden..].as_ptr(), start(normal, hidden));
        let output = start_mut(output, hidden);
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            // SAFETY: every row has `hidden` elements or is null.
            unsafe {
                put(s, output, unit, e.output(s, get(s, o, unit, left), get(s, normal, unit, left)), left)
            }
        }
    }
}

struct OutputBackward<'a, S, E>(&'a On<S, E>, &'a [f32], &'a mut [f32], &'a mut [f32]);

impl<S: Simd, E: Equations> Region for OutputBackward<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let OutputBackward(&On(s, e), planes, normal, dh) = self;
        let hidden = planes.len() / 4;
        let (o, normal) = (planes[3 * hidden..].as_ptr(), start_mut(normal, hidden));
        let dh = start_mut(dh, hidden);
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            // SAFETY: every row has `hidden` elements or is null.
            unsafe {
                let (o, c, d) = (get(s, o, unit, left), get(s, normal, unit, left), get(s, dh, unit, left));
                let (d_o, d_c) = e.output_backward(s, o, c, d);
                put(s, dh, unit, d_o, left);
                put(s, normal, unit, d_c, left);
            }
        }
    }
}

struct Backward<'a, S, E>(&'a On<S, E>, &'a mut [f32], &'a [f32], &'a [f32], &'a mut [f32], &'a mut [f32]);

impl<S: Simd, E: Equations> Region for Backward<'_, S, E> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Backward(&On(s, e), planes, h, c, dh, dc) = self;
        let hidden = planes.len() / 4;
        let (planes, h, c) = (planes.as_mut_ptr(), start(h, hidden), start(c, hidden));
        let (dh, dc) = (start_mut(dh, hidden), start_mut(dc, hidden));
        for unit in (0..hidden).step_by(S::LANES) {
            let left = hidden - unit;
            // SAFETY: every row has `hidden` elements or is null.
            unsafe {
                let (given, d_c) = (get(s, dh, unit, left), get(s, dc, unit, left));
                // The output of a cell with a cell state is not that of the equations: it has no gradient
                // here.
                let d = if E::LAYOUT.has_c { s.splat(0.0) } else { given };
                let mut prev = e.backward(s, at(s, planes, hidden, [h, c], unit), d, d_c);
                if E::LAYOUT.has_c {
                    prev.dsums[3] = given;
                }
                put_planes(s, planes, hidden, unit, prev.dsums);
                put(s, dh, unit, prev.dh, left);
                put(s, dc, unit, prev.dc, left);
            }
        }
    }
}
