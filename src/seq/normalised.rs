//! The passes of cells with layer normalisation.
//!
//! They go through the same time loops as all other cells, with a separate step function. The two matrices
//! are packed like projections, each by itself, because their products are normalised separately.

use core::marker::PhantomData;

use super::backward::{BackwardPass, bptt};
use super::forward::Projects;
use super::narrow::Pass;
use super::sizes::Sizes;
use super::step::Steps;
use super::table::Table;
use crate::kernel::panel::canonical::Dims;
use crate::kernel::panel::pack::{Canonical, Panels};
use crate::kernel::panel::source::InPlace;
use crate::kernel::step::normalised::{self, MATRIX};
use crate::kernel::step::{Equations, Params};
use crate::kernel::{Checked, check};
use crate::simd::{Isa, Op, Simd, dispatch, dispatch_single};

impl Table {
    /// The passes of a cell with layer normalisation. Such a layer rejects narrow weights.
    pub(super) const fn normalised<E: Equations>() -> Self {
        Table {
            layout: const { &normalised::tape_layout::<E>() },
            second: None,
            step: |isa, params, data, pass| packed::<E, _>(isa, params, data, pass),
            step_in_place: |isa, params, w, pass| in_place::<E, _>(isa, params, w, pass),
            forward: |isa, params, data, pass| packed::<E, _>(isa, params, data, pass),
            forward_in_place: |isa, params, w, pass| in_place::<E, _>(isa, params, w, pass),
            train_in_place: |isa, params, w, pass| in_place::<E, _>(isa, params, w, pass),
            backward: backward::<E>,
            step_narrow: |_, _, _, _| check(false, "narrow weights with layer normalisation"),
            forward_narrow: |_, _, _, _| check(false, "narrow weights with layer normalisation"),
            step_narrow_in_place: |_, _, _, _| check(false, "narrow weights with layer normalisation"),
            forward_narrow_in_place: |_, _, _, _| check(false, "narrow weights with layer normalisation"),
        }
    }
}

impl<S: Simd, W: Projects<S>> Steps<S, W> {
    /// Steps of a whole batch, whose weights are two matrices.
    const fn normalised<E: Equations>() -> Self {
        Steps {
            layout: normalised::tape_layout::<E>(),
            second: None,
            projects: false,
            step: normalised::step::<S, E, W>,
            single: None,
            ahead: false,
        }
    }
}

/// The two matrices in panels, and the vectors that follow them.
#[inline(always)]
fn panels<'a>(lanes: usize, sizes: &Sizes, data: &'a [f32]) -> Option<([Panels<'a>; 2], &'a [f32])> {
    let Dims { input, hidden, width } = sizes.dims;
    let of = |width| Dims { input: 0, hidden: sizes.normalised * hidden, width };
    let (x, rest) = Panels::new(&MATRIX, lanes, of(input), data)?;
    let (h, rest) = Panels::new(&MATRIX, lanes, of(width), rest)?;
    Some(([x, h], rest.get(..sizes.peepholes)?))
}

/// A pass over weights in panels.
fn packed<E: Equations, P: Pass>(isa: Isa, params: &Params, data: &[f32], pass: P) -> Checked {
    struct Run<'a, E, P>(&'a Params, &'a [f32], P, PhantomData<E>);
    impl<E: Equations, P: Pass> Op for Run<'_, E, P> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, data, pass, _) = self;
            let Some((w, vectors)) = panels(S::LANES, pass.sizes(), data) else {
                return check(false, "packed weights with layer normalisation");
            };
            pass.over(s, const { &Steps::<S, Panels<'_>>::normalised::<E>() }, params, w, vectors)
        }
    }
    dispatch(isa, Run::<E, P>(params, data, pass, PhantomData))
}

/// A pass over canonical weights in place.
fn in_place<E: Equations, P: Pass>(isa: Isa, params: &Params, w: &Canonical<'_>, pass: P) -> Checked {
    struct Run<'a, 'w, E, P>(&'a Params, &'a Canonical<'w>, P, PhantomData<E>);
    impl<E: Equations, P: Pass> Op for Run<'_, '_, E, P> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, w, pass, _) = self;
            let steps = const { &Steps::<S, InPlace<'_>>::normalised::<E>() };
            pass.over(s, steps, params, w.matrices().map(InPlace), w.parts().peepholes)
        }
    }
    dispatch_single(isa, Run::<E, P>(params, w, pass, PhantomData))
}

fn backward<E: Equations>(isa: Isa, params: &Params, pass: BackwardPass<'_>) -> Checked {
    struct Run<'a, 'b, E>(&'a Params, BackwardPass<'b>, PhantomData<E>);
    impl<E: Equations> Op for Run<'_, '_, E> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            bptt(s, const { &normalised::gradients::<S, E>() }, self.0, self.1)
        }
    }
    dispatch(isa, Run::<E>(params, pass, PhantomData))
}
