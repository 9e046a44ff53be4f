//! The one place that chooses compiled code, by a layer's cell and the instruction set.
//!
//! Each form of a cell (its equations with fixed functions, or with options) has a constant [`Table`] of its
//! passes. A layer's description names the table, so a program links only the passes that it calls, of the
//! cells that it names. For layers that are not constants, all passes of a table are linked; therefore there
//! are tables with fewer passes. A pass chooses the instruction set once, for all of its steps.

use super::backward::{BackwardPass, bptt};
use super::forward::{ForwardPass, time_loop};
use super::narrow::{
    NarrowWeights, forward_narrow, forward_narrow_in_place, step_narrow, step_narrow_in_place,
};
use super::sizes::{PROJECTION, Sizes, projection};
use super::step::{StepPass, Steps, has_row, one_step, one_step_in_place, row_steps};
use crate::cell::{Chosen, Elman, Lstm, Mgu, Rectified, ResetAfter, ResetBefore, Standard};
use crate::kernel::narrow::in_place::Words;
use crate::kernel::panel::layout::Layout;
use crate::kernel::panel::pack::{Canonical, Panels};
use crate::kernel::panel::source::InPlace;
use crate::kernel::step::backward::Gradients;
use crate::kernel::step::batch;
use crate::kernel::step::row::Stages;
use crate::kernel::step::single;
use crate::kernel::step::{Equations, Params, SecondStage};
use crate::kernel::vector::has_vectors;
use crate::kernel::{Activation, Checked, Slot, Walk};
use crate::simd::{HAS_VECTORS, Isa, Op, Simd, dispatch, dispatch_single};

/// Which passes a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(crate) enum Reach {
    Nothing,
    Steps,
    Inference,
    All,
}

/// The passes of one form of a cell.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    /// A reference, because the layout is handed on by reference: a reference into the table itself would
    /// link all of its functions.
    pub(crate) layout: &'static Layout,
    pub(crate) second: Option<&'static SecondStage>,
    /// One step over weights in panels, and over canonical weights in place.
    pub(crate) step: fn(Isa, &Params, &[f32], &mut StepPass<'_>) -> Checked,
    pub(crate) step_in_place: fn(Isa, &Params, &Canonical<'_>, &mut StepPass<'_>) -> Checked,
    /// Sequences, over weights in panels and over canonical weights in place.
    pub(crate) forward: fn(Isa, &Params, &[f32], &mut ForwardPass<'_>) -> Checked,
    pub(crate) forward_in_place: fn(Isa, &Params, &Canonical<'_>, &mut ForwardPass<'_>) -> Checked,
    /// Sequences with a tape, over canonical weights, for targets without vectors. Other targets train over
    /// panels with `forward`.
    pub(crate) train_in_place: fn(Isa, &Params, &Canonical<'_>, &mut ForwardPass<'_>) -> Checked,
    pub(crate) backward: fn(Isa, &Params, BackwardPass<'_>) -> Checked,
    /// One step, and sequences, over narrow weights in panels.
    pub(crate) step_narrow: fn(Isa, &Params, NarrowWeights<'_>, &mut StepPass<'_>) -> Checked,
    pub(crate) forward_narrow: fn(Isa, &Params, NarrowWeights<'_>, &mut ForwardPass<'_>) -> Checked,
    /// The same over narrow weights in place.
    pub(crate) step_narrow_in_place: fn(Isa, &Params, Words<'_>, &mut StepPass<'_>) -> Checked,
    pub(crate) forward_narrow_in_place: fn(Isa, &Params, Words<'_>, &mut ForwardPass<'_>) -> Checked,
}

/// A table as a static, which programs share. In the unit tests of this crate it is a constant instead: a
/// static is compiled with everything that it names, used or not, which made the tests take four times as
/// long.
macro_rules! table {
    ($visibility:vis $name:ident = $table:expr) => {
        #[cfg(not(test))]
        $visibility static $name: Table = $table;
        #[cfg(test)]
        $visibility const $name: Table = $table;
    };
}

macro_rules! tables {
    ($($name:ident = $kind:ident: $table:expr;)*) => {
        /// A form of a cell: its equations with fixed functions, or with options.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $($kind,)*
        }

        $(table!($name = $table);)*

        #[cfg(feature = "named-forms")]
        mod inference {
            use super::*;
            $(table!(pub(super) $name = $table.without_training());)*
        }

        #[cfg(feature = "named-forms")]
        mod steps {
            use super::*;
            $(table!(pub(super) $name = $table.without_training().without_sequences());)*
        }

        impl Table {
            /// All passes of a form.
            #[inline(always)]
            pub(crate) const fn all(kind: Kind) -> &'static Table {
                match kind {
                    $(Kind::$kind => &$name,)*
                }
            }

            /// The passes of a form, up to `reach`.
            #[cfg(feature = "named-forms")]
            pub(crate) const fn with(kind: Kind, reach: Reach) -> &'static Table {
                match (reach, kind) {
                    (Reach::Nothing, _) => &fewer::NOTHING,
                    $((Reach::Steps, Kind::$kind) => &steps::$name,)*
                    $((Reach::Inference, Kind::$kind) => &inference::$name,)*
                    (Reach::All, _) => Table::all(kind),
                }
            }
        }
    };
}
tables! {
    RNN_TANH = RnnTanh: Table::of::<Elman<Standard>>();
    RNN_RELU = RnnRelu: Table::of::<Elman<Rectified>>();
    RNN = RnnOptions: Table::of::<Elman<Chosen>>();
    LSTM_STANDARD = Lstm: Table::of::<Lstm<Standard>>();
    LSTM = LstmOptions: Table::of::<Lstm<Chosen>>();
    LSTM_NORMALISED = LstmNormalised: Table::normalised::<Lstm<Standard>>();
    GRU_AFTER_STANDARD = Gru: Table::of::<ResetAfter<Standard>>();
    GRU_AFTER = GruOptions: Table::of::<ResetAfter<Chosen>>();
    GRU_BEFORE_STANDARD = GruResetBefore: Table::of::<ResetBefore<Standard>>();
    GRU_BEFORE = GruResetBeforeOptions: Table::of::<ResetBefore<Chosen>>();
    GRU_NORMALISED = GruNormalised: Table::normalised::<ResetAfter<Standard>>();
    MGU = Mgu: Table::of::<Mgu>();
}

/// The parameters of equations without options.
pub(super) const NO_OPTIONS: Params = {
    let slot = Slot { f: Activation::Tanh, clip: f32::INFINITY };
    Params { slots: [slot; 3], coupled: false, peepholes: false, carries_normalised: false }
};

impl Table {
    const fn of<E: Equations>() -> Self {
        Table {
            layout: const { &E::LAYOUT },
            second: const { &E::SECOND }.as_ref(),
            step: step::<E>,
            step_in_place: step_in_place::<E>,
            forward: forward::<E>,
            forward_in_place: forward_in_place::<E, HAS_VECTORS>,
            train_in_place: forward_in_place::<E, true>,
            backward: backward::<E>,
            step_narrow: step_narrow::<E>,
            forward_narrow: forward_narrow::<E>,
            step_narrow_in_place: step_narrow_in_place::<E>,
            forward_narrow_in_place: forward_narrow_in_place::<E>,
        }
    }
}

/// Canonical weights of both stages, or of the stage and the projection.
#[inline(always)]
fn in_place<'a>(w: &Canonical<'a>) -> Stages<InPlace<'a>> {
    let second = if w.shape().projects { w.projection() } else { *w };
    [InPlace(*w), InPlace(second)]
}

impl<'a, S: Simd> Steps<S, Panels<'a>> {
    /// Steps of a whole batch at once, on instruction sets with vectors.
    #[inline(always)]
    const fn of<E: Equations>() -> Self {
        if const { !has_vectors::<S>() } {
            return Self::by_rows::<E, HAS_VECTORS>();
        }
        Steps {
            layout: E::LAYOUT,
            second: E::SECOND,
            projects: E::PEEPHOLES,
            step: batch::step::<S, E, Panels<'a>>,
            single: if has_row::<E>() { Some(row_steps::<S, E, Panels<'a>>) } else { None },
            ahead: true,
        }
    }

    /// The panels of both stages, or of the stage and the projection, and the peepholes that follow them.
    #[inline(always)]
    fn panels<'w>(&self, sizes: &Sizes, data: &'w [f32]) -> Option<(Stages<Panels<'w>>, &'w [f32])> {
        let (dims, lanes) = (sizes.dims, S::LANES);
        let (one, mut rest) = Panels::new(&self.layout, lanes, dims, data)?;
        let mut two = one;
        if let Some(stage) = &self.second {
            (two, rest) = Panels::new(&stage.layout, lanes, dims, rest)?;
        }
        // Cells with fixed functions have only these.
        if !self.projects {
            return Some(([one, two], &[]));
        }
        if sizes.projects {
            (two, rest) = Panels::new(&PROJECTION, lanes, projection(dims), rest)?;
        }
        Some(([one, two], rest.get(..sizes.peepholes).unwrap_or_default()))
    }
}

fn step<E: Equations>(isa: Isa, params: &Params, data: &[f32], pass: &mut StepPass<'_>) -> Checked {
    /// The arguments are passed as one reference. Copying them would stall, because they were just written.
    struct Run<'a, 'b, E>(
        &'a mut (&'a Params, &'a [f32], &'a mut StepPass<'b>),
        core::marker::PhantomData<E>,
    );
    impl<E: Equations> Op for Run<'_, '_, E> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run((params, data, pass), _) = self;
            if const { has_row::<E>() && has_vectors::<S>() } && pass.batch == 1 {
                let Some((w, _)) = Panels::new(const { &E::LAYOUT }, S::LANES, pass.sizes.dims, data) else {
                    return crate::kernel::check(false, "packed weights of a step of one row");
                };
                return single::steps(s, E::new(params), w, pass.row(&Walk::step(1)));
            }
            let steps = const { &Steps::<S, Panels<'_>>::of::<E>() };
            let Some((w, peepholes)) = steps.panels(pass.sizes, data) else {
                return crate::kernel::check(false, "packed weights of a step");
            };
            one_step(s, steps, params, w, peepholes, pass)
        }
    }
    dispatch(isa, Run::<E>(&mut (params, data, pass), core::marker::PhantomData))
}

#[cfg_attr(target_os = "none", inline(always))]
fn step_in_place<E: Equations>(
    isa: Isa,
    params: &Params,
    w: &Canonical<'_>,
    pass: &mut StepPass<'_>,
) -> Checked {
    struct Run<'a, 'b, 'w, E>(
        &'a Params,
        &'a Canonical<'w>,
        &'a mut StepPass<'b>,
        core::marker::PhantomData<E>,
    );
    impl<E: Equations> Op for Run<'_, '_, '_, E> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, w, pass, _) = self;
            one_step_in_place::<S, E, _>(s, params, in_place(w), w.parts().peepholes, pass)
        }
    }
    dispatch_single(isa, Run::<E>(params, w, pass, core::marker::PhantomData))
}

fn forward<E: Equations>(isa: Isa, params: &Params, data: &[f32], pass: &mut ForwardPass<'_>) -> Checked {
    struct Run<'a, 'b, E>(&'a Params, &'a [f32], &'a mut ForwardPass<'b>, core::marker::PhantomData<E>);
    impl<E: Equations> Op for Run<'_, '_, E> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, data, pass, _) = self;
            let steps = const { &Steps::<S, Panels<'_>>::of::<E>() };
            let Some((w, peepholes)) = steps.panels(&pass.sizes, data) else {
                return crate::kernel::check(false, "packed weights of a forward pass");
            };
            time_loop(s, steps, params, w, peepholes, pass)
        }
    }
    dispatch(isa, Run::<E>(params, data, pass, core::marker::PhantomData))
}

fn forward_in_place<E: Equations, const SAVE: bool>(
    isa: Isa,
    params: &Params,
    w: &Canonical<'_>,
    pass: &mut ForwardPass<'_>,
) -> Checked {
    struct Run<'a, 'b, 'w, E, const SAVE: bool>(
        &'a Params,
        &'a Canonical<'w>,
        &'a mut ForwardPass<'b>,
        core::marker::PhantomData<E>,
    );
    impl<E: Equations, const SAVE: bool> Op for Run<'_, '_, '_, E, SAVE> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            let Run(params, w, pass, _) = self;
            let steps = const { &Steps::<S, InPlace<'_>>::by_rows::<E, SAVE>() };
            time_loop(s, steps, params, in_place(w), w.parts().peepholes, pass)
        }
    }
    dispatch_single(isa, Run::<E, SAVE>(params, w, pass, core::marker::PhantomData))
}

fn backward<E: Equations>(isa: Isa, params: &Params, pass: BackwardPass<'_>) -> Checked {
    struct Run<'a, 'b, E>(&'a Params, BackwardPass<'b>, core::marker::PhantomData<E>);
    impl<E: Equations> Op for Run<'_, '_, E> {
        type Output = Checked;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Checked {
            bptt(s, const { &Gradients::of::<E>() }, self.0, self.1)
        }
    }
    dispatch(isa, Run::<E>(params, pass, core::marker::PhantomData))
}

/// Tables with fewer passes, and the replacement for the passes left out.
#[cfg(feature = "named-forms")]
mod fewer {
    use super::*;

    table!(pub(super) NOTHING = MISSING);

    const MISSING: Table = Table {
        layout: &<Elman<Standard> as Equations>::LAYOUT,
        second: None,
        step: |_, _, _, _| missing(),
        step_in_place: |_, _, _, _| missing(),
        forward: |_, _, _, _| missing(),
        forward_in_place: |_, _, _, _| missing(),
        train_in_place: |_, _, _, _| missing(),
        backward: |_, _, _| missing(),
        step_narrow: |_, _, _, _| missing(),
        forward_narrow: |_, _, _, _| missing(),
        step_narrow_in_place: |_, _, _, _| missing(),
        forward_narrow_in_place: |_, _, _, _| missing(),
    };

    /// Replaces a pass that the table does not have.
    #[cold]
    fn missing() -> Checked {
        crate::kernel::check(false, "a pass that the program left out of the form that it named")
    }

    impl Table {
        /// The same without training. On targets without vectors it also has no packed weights, which save
        /// nothing there.
        pub(super) const fn without_training(self) -> Self {
            let Table { layout, second, .. } = self;
            let Table { step, step_in_place, forward, forward_in_place, step_narrow, forward_narrow, .. } =
                self;
            let Table { step_narrow_in_place, forward_narrow_in_place, .. } = self;
            let inference = Table { layout, second, step_in_place, forward_in_place, ..MISSING };
            match HAS_VECTORS {
                true => Table {
                    step,
                    forward,
                    step_narrow,
                    forward_narrow,
                    step_narrow_in_place,
                    forward_narrow_in_place,
                    ..inference
                },
                false => inference,
            }
        }

        /// The same without sequences.
        pub(super) const fn without_sequences(self) -> Self {
            let Table { forward, forward_in_place, forward_narrow, forward_narrow_in_place, .. } = MISSING;
            Table { forward, forward_in_place, forward_narrow, forward_narrow_in_place, ..self }
        }
    }
}
