//! The step of one row from panels, with what it needs computed once.
//!
//! The input part of a step does not depend on the step before. A CPU begins it while the step before ends,
//! if few instructions lie between the two. Computing lengths and choosing the pass in each step took 250
//! instructions, and a step of 32 units took 20 to 26 % longer (Zen 5).

use super::description::Description;
use crate::error::{Error, Result};
use crate::kernel::step::Params;
use crate::kernel::{Checked, Narrow};
use crate::layer::packed::HOLDS_PACKING;
use crate::seq::narrow::NarrowWeights;
use crate::seq::sizes::Sizes;
use crate::seq::step::StepPass;
use crate::seq::table::Reach;
use crate::simd::{HAS_VECTORS, Isa};

/// The pass of a layer, for the format of its weights. A layer in `f32` links no pass for narrow weights.
#[derive(Clone, Copy)]
enum Run {
    Wide(fn(Isa, &Params, &[f32], &mut StepPass<'_>) -> Checked),
    Narrow(fn(Isa, &Params, NarrowWeights<'_>, &mut StepPass<'_>) -> Checked, Narrow),
}

/// The step of one row, if there is one. On targets without vectors it takes no memory.
#[derive(Clone, Copy)]
pub(super) struct Ready([Option<ReadyStep>; HAS_VECTORS as usize]);

impl Ready {
    pub(super) const fn new(layer: &Description) -> Self {
        Ready([ReadyStep::new(layer); HAS_VECTORS as usize])
    }

    #[inline(always)]
    pub(super) const fn get(&self) -> Option<&ReadyStep> {
        match self.0.first() {
            Some(ready) => ready.as_ref(),
            None => None,
        }
    }
}

/// The step of one row of a layer, from panels.
#[derive(Clone, Copy)]
pub(super) struct ReadyStep {
    run: Run,
    params: Params,
    sizes: Sizes,
}

impl ReadyStep {
    /// `None` for a layer without passes, for options that exclude each other, and on targets without
    /// vectors, whose constant layers need nothing at run time.
    const fn new(layer: &Description) -> Option<Self> {
        if !HAS_VECTORS || !HOLDS_PACKING {
            return None;
        }
        if matches!(layer.passes.reach, Reach::Nothing) || layer.check_options().is_err() {
            return None;
        }
        let table = layer.passes.table(layer.cell.form(layer.options));
        let run = match layer.packed_format() {
            Some(narrow) => Run::Narrow(table.step_narrow, narrow),
            None => Run::Wide(table.step),
        };
        Some(ReadyStep { run, params: layer.cell.params(), sizes: layer.sizes(&layer.shape) })
    }

    /// The same for a layer with another number of inputs.
    pub(super) const fn with_input(self, input: usize) -> Self {
        let mut ready = self;
        ready.sizes.dims.input = input;
        ready
    }

    /// Runs the step, and returns the new hidden state. The buffers are those of one row, and have been
    /// checked.
    #[inline(always)]
    pub(super) fn run<'s>(
        &self,
        isa: Isa,
        panels: &[f32],
        x: &[f32],
        state: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<&'s [f32]> {
        let ReadyStep { run, params, sizes } = self;
        let width = sizes.dims.width;
        let parts = state.split_at_mut_checked(width).zip(scratch.split_at_mut_checked(width));
        let Some(((h, c), (h_next, stage))) = parts else {
            return Err(Error::Overflow { buffer: "scratch" });
        };
        let pass = &mut StepPass { sizes, batch: 1, x, h: &mut *h, c, h_next, stage };
        match *run {
            Run::Wide(run) => run(isa, params, panels, pass)?,
            Run::Narrow(run, narrow) => run(isa, params, (narrow, panels), pass)?,
        }
        Ok(h)
    }
}

/// All values are equal: they follow from the layer, and from what is linked.
impl PartialEq for Ready {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl core::fmt::Debug for Ready {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Ready")
    }
}
