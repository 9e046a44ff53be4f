//! Passes over narrow weights. Over packed ones they are compiled once for each instruction set, and each
//! cell passes its epilogues. Over weights in place they are steps row by row, as over `f32` weights in
//! place.

use core::marker::PhantomData;

use super::forward::{ForwardPass, Projects, time_loop};
use super::sizes::{PROJECTION, Sizes, projection};
use super::step::{StepPass, Steps, has_row, one_step, one_step_in_place, row_steps};
use crate::kernel::narrow::in_place::{NarrowInPlace, Words};
use crate::kernel::narrow::panels::NarrowPanels;
use crate::kernel::narrow::row::{BytePanels, with_dot};
use crate::kernel::narrow::{IN_PLACE, PACKS};
use crate::kernel::step::batch;
use crate::kernel::step::epilogues::Epilogues;
use crate::kernel::step::row::Stages;
use crate::kernel::step::single::{self, SingleRow};
use crate::kernel::step::stream;
use crate::kernel::step::{Equations, Params};
use crate::kernel::{Checked, Narrow, Walk, check};
use crate::simd::{Dot, HAS_VECTORS, Isa, Op, Region, Simd, dispatch, dispatch_single};

/// Packed narrow weights and their format.
pub(crate) type NarrowWeights<'a> = (Narrow, &'a [f32]);
/// Panels, their format, and whether they are for a dot product of bytes.
type Data<'a> = ((Narrow, Dot), &'a [f32]);

/// Whether steps of a row from integers keep their sums in registers, if the CPU has a dot product of bytes.
/// With 16 registers a tile has one panel, too few chains where weights come from the cache anyway: 100 steps
/// of a GRU of 512 units took 10 % longer (Zen 5, AVX-VNNI).
const fn takes_rows<S: Simd>(hidden: usize) -> bool {
    S::ACCUMULATORS >= 16 || hidden <= 128
}

impl<'a, S: Simd> Steps<S, NarrowPanels<'a>> {
    /// The steps of a cell.
    #[inline(always)]
    const fn narrow<E: Equations>() -> Self {
        Steps {
            layout: E::LAYOUT,
            second: E::SECOND,
            projects: E::PEEPHOLES,
            step: batch::step::<S, E, NarrowPanels<'a>>,
            single: if has_row::<E>() { Some(steps_of_a_row::<S, E>) } else { None },
            ahead: false,
        }
    }

    /// The panels of both stages, or of the stage and the projection, and the peepholes that follow them.
    fn panels<'w>(
        &self,
        sizes: &Sizes,
        (narrow, data): Data<'w>,
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

/// Several steps of a single row.
fn steps_of_a_row<S: Simd, E: Equations>(
    s: S,
    params: &Params,
    w: NarrowPanels<'_>,
    io: SingleRow<'_, '_>,
) -> Checked {
    if const { S::DOT }
        && takes_rows::<S>(io.dims.hidden)
        && let Some(w) = BytePanels::new(w)
    {
        return row_steps::<S, E, _>(s, params, w, io);
    }
    stream::steps(s, const { &Epilogues::of::<E>() }, params, w, io)
}

/// A pass over one step, or over sequences.
pub(super) trait Pass: Sized {
    fn sizes(&self) -> &Sizes;
    /// Runs one step of one row from integers, if this is one and the CPU has a dot product of bytes: the
    /// functions that cells share would take as long as a quarter of a small step. `None` if it is not.
    #[inline(always)]
    fn single<S: Simd, E: Equations>(&mut self, _s: S, _params: &Params, _data: Data<'_>) -> Option<Checked> {
        None
    }
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
        self.sizes
    }

    #[inline(always)]
    fn single<S: Simd, E: Equations>(&mut self, s: S, params: &Params, data: Data<'_>) -> Option<Checked> {
        let dims = self.sizes.dims;
        if self.batch != 1 || self.sizes.projects || !takes_rows::<S>(dims.hidden) || !data.0.0.has_scales() {
            return None;
        }
        // An RNN's step shares the code of its sequences. That of cells with gates is compiled apart, because a
        // step of 32 units takes 12 % less time so.
        if const { E::LAYOUT.sums == 1 } {
            let (panels, _) = NarrowPanels::new(const { &E::LAYOUT }, S::LANES, dims, data.0, data.1)?;
            let w = BytePanels::new(panels)?;
            return Some(row_steps::<S, E, _>(s, params, w, self.row(&Walk::step(1))));
        }
        with_dot(s, data.0.1, ByteStep(s, &mut (params, data, self), PhantomData::<E>))
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
        if let Some(row) = steps.single
            && self.batch == 1
            && !self.sizes.projects
        {
            return row(s, params, w[0], self.row(&Walk::step(1)));
        }
        one_step(s, steps, params, w, peepholes, self)
    }
}

/// One step of one row from integers. The arguments are passed as one reference: copying them would stall,
/// because they were just written.
struct ByteStep<'a, 'b, 'c, S, E>(S, &'a mut (&'a Params, Data<'a>, &'b mut StepPass<'c>), PhantomData<E>);

impl<S: Simd, E: Equations> Region for ByteStep<'_, '_, '_, S, E> {
    type Output = Checked;
    #[inline(always)]
    fn run(self) -> Checked {
        let ByteStep(s, (params, (format, data), pass), _) = self;
        let panels = NarrowPanels::new(const { &E::LAYOUT }, S::LANES, pass.sizes.dims, *format, data);
        let Some(w) = panels.and_then(|(panels, _)| BytePanels::new(panels)) else {
            return check(false, "narrow weights of a step");
        };
        single::steps(s, E::new(params), w, pass.row(&Walk::step(1)))
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
    data: Data<'w>,
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

pub(super) fn step_narrow<E: Equations>(
    isa: Isa,
    params: &Params,
    data: NarrowWeights<'_>,
    pass: &mut StepPass<'_>,
) -> Checked {
    narrow::<E, _>(isa, params, data, pass)
}

pub(super) fn forward_narrow<E: Equations>(
    isa: Isa,
    params: &Params,
    data: NarrowWeights<'_>,
    pass: &mut ForwardPass<'_>,
) -> Checked {
    narrow::<E, _>(isa, params, data, pass)
}

/// Runs a pass of a cell.
#[inline(always)]
fn narrow<E: Equations, P: Pass>(isa: Isa, params: &Params, data: NarrowWeights<'_>, pass: P) -> Checked {
    struct Run<'a, E, P>(&'a Params, Data<'a>, P, PhantomData<E>);
    impl<E: Equations, P: Pass> Op for Run<'_, E, P> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, data, mut pass, _) = self;
            if const { S::DOT && has_row::<E>() }
                && let Some(done) = pass.single::<S, E>(s, params, data)
            {
                return done;
            }
            let steps = const { &Steps::<S, NarrowPanels<'_>>::narrow::<E>() };
            s.call(Over { s, steps, params, data, pass })
        }
    }
    if !PACKS {
        // Nothing is packed there: tables of named forms would link this all the same.
        return check(false, "a pass from packed narrow weights");
    }
    let (narrow, data) = data;
    dispatch(isa, Run::<E, P>(params, ((narrow, isa.dot()), data), pass, PhantomData))
}

/// The weights of both stages, or of the stage and the projection.
#[inline(always)]
fn stages<'a, const INT: bool>(w: &NarrowInPlace<'a, INT>) -> Stages<NarrowInPlace<'a, INT>> {
    [*w, if w.shape().projects { w.projection() } else { *w }]
}

/// The steps of a cell over weights in place.
struct InPlace<'a, 'w, E, P, const INT: bool>(&'a Params, NarrowInPlace<'w, INT>, P, PhantomData<E>);

impl<E: Equations, const INT: bool> Op for InPlace<'_, '_, E, &mut StepPass<'_>, INT> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let InPlace(params, w, pass, _) = self;
        one_step_in_place::<S, E, _>(s, params, stages(&w), w.peepholes(), pass)
    }
}

impl<E: Equations, const INT: bool> Op for InPlace<'_, '_, E, &mut ForwardPass<'_>, INT> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let InPlace(params, w, pass, _) = self;
        let steps = const { &Steps::<S, NarrowInPlace<'_, INT>>::by_rows::<E, HAS_VECTORS>() };
        time_loop(s, steps, params, stages(&w), w.peepholes(), pass)
    }
}

macro_rules! in_place {
    ($(#[$attribute:meta])* $name:ident, $pass:ty, $what:literal) => {
        #[doc = concat!("A ", $what, " of a cell.")]
        $(#[$attribute])*
        pub(super) fn $name<E: Equations>(isa: Isa, params: &Params, words: Words<'_>, pass: &mut $pass) -> Checked {
            const WRONG: &str = concat!("weights of a ", $what);
            if !IN_PLACE {
                return check(false, WRONG);
            }
            match words.narrow.has_scales() {
                true => match NarrowInPlace::<true>::new(words) {
                    Some(w) => dispatch_single(isa, InPlace(params, w, pass, PhantomData::<E>)),
                    None => check(false, WRONG),
                },
                false => match NarrowInPlace::<false>::new(words) {
                    Some(w) => dispatch_single(isa, InPlace(params, w, pass, PhantomData::<E>)),
                    None => check(false, WRONG),
                },
            }
        }
    };
}
in_place!(
    #[cfg_attr(target_os = "none", inline(always))]
    step_narrow_in_place,
    StepPass<'_>,
    "step over narrow weights in place"
);
in_place!(forward_narrow_in_place, ForwardPass<'_>, "forward pass over narrow weights in place");
