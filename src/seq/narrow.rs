//! Passes over narrow weights. They are compiled once for each instruction set, and each cell passes its
//! epilogues.

use core::marker::PhantomData;

use super::forward::{ForwardPass, Projects, time_loop};
use super::step::{PROJECTION, Sizes, StepPass, Steps, one_step, projection};
use crate::kernel::narrow::panels::NarrowPanels;
use crate::kernel::step::batch;
use crate::kernel::step::epilogues::Epilogues;
use crate::kernel::step::row::Stages;
use crate::kernel::step::{Equations, Params};
use crate::kernel::{Checked, Narrow, check};
use crate::simd::{Isa, Op, Region, Simd, dispatch};

/// Packed narrow weights and their format.
pub(crate) type NarrowWeights<'a> = (Narrow, &'a [f32]);

impl<'a, S: Simd> Steps<S, NarrowPanels<'a>> {
    /// The steps of a cell. They run whole batches: a single row is a batch of one.
    #[inline(always)]
    const fn narrow<E: Equations>() -> Self {
        Steps {
            layout: E::LAYOUT,
            second: E::SECOND,
            projects: E::PEEPHOLES,
            step: |s, params, w, t, io, room| {
                batch::step(s, const { &Epilogues::of::<E>() }, params, w, t, io, room)
            },
            single: None,
        }
    }

    /// The panels of both stages, or of the stage and the projection, and the peepholes that follow them.
    fn panels<'w>(
        &self,
        sizes: &Sizes,
        (narrow, data): NarrowWeights<'w>,
    ) -> Option<(Stages<NarrowPanels<'w>>, &'w [f32])> {
        let dims = sizes.dims;
        let (one, mut rest) = NarrowPanels::new(&self.layout, S::LANES, dims, narrow, data)?;
        let mut two = one;
        if let Some(stage) = &self.second {
            (two, rest) = NarrowPanels::new(&stage.layout, S::LANES, dims, narrow, rest)?;
        }
        if sizes.projects {
            (two, rest) = NarrowPanels::new(&PROJECTION, S::LANES, projection(dims), narrow, rest)?;
        }
        Some(([one, two], rest.get(..sizes.peepholes).unwrap_or_default()))
    }
}

/// A pass over one step, or over sequences.
pub(super) trait Pass: Sized {
    fn sizes(&self) -> &Sizes;
    fn over<S: Simd, W: Projects<S>>(
        self,
        s: S,
        steps: &Steps<S, W>,
        params: &Params,
        w: Stages<W>,
        peepholes: &[f32],
    ) -> Checked;
}

impl Pass for &mut StepPass<'_> {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    #[inline(always)]
    fn over<S: Simd, W: Projects<S>>(
        self,
        s: S,
        steps: &Steps<S, W>,
        params: &Params,
        w: Stages<W>,
        peepholes: &[f32],
    ) -> Checked {
        one_step(s, steps, steps.step, params, w, peepholes, self)
    }
}

impl Pass for &mut ForwardPass<'_> {
    fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    #[inline(always)]
    fn over<S: Simd, W: Projects<S>>(
        self,
        s: S,
        steps: &Steps<S, W>,
        params: &Params,
        w: Stages<W>,
        peepholes: &[f32],
    ) -> Checked {
        time_loop(s, steps, params, w, peepholes, self)
    }
}

/// A separate function that all cells share.
struct Over<'a, 'w, S, P> {
    s: S,
    steps: &'a Steps<S, NarrowPanels<'w>>,
    params: &'a Params,
    data: NarrowWeights<'w>,
    pass: P,
}

impl<S: Simd, P: Pass> Region for Over<'_, '_, S, P> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let Over { s, steps, params, data, pass } = self;
        match steps.panels(pass.sizes(), data) {
            Some((w, peepholes)) => pass.over(s, steps, params, w, peepholes),
            None => check(false, "narrow weights of a pass"),
        }
    }
}

/// Runs a pass of a cell.
pub(super) fn narrow<E: Equations, P: Pass>(
    isa: Isa,
    params: &Params,
    data: NarrowWeights<'_>,
    pass: P,
) -> Checked {
    struct Run<'a, E, P>(&'a Params, NarrowWeights<'a>, P, PhantomData<E>);
    impl<E: Equations, P: Pass> Op for Run<'_, E, P> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, data, pass, _) = self;
            let steps = const { &Steps::<S, NarrowPanels<'_>>::narrow::<E>() };
            s.call(Over { s, steps, params, data, pass })
        }
    }
    if cfg!(target_os = "none") {
        // No layer there has narrow weights: tables of named forms would link this all the same.
        return check(false, "a pass from narrow weights");
    }
    dispatch(isa, Run::<E, P>(params, data, pass, PhantomData))
}
