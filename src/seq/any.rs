//! A cell as a value, and its passes.
//!
//! Layers describe a cell by values, together with the table of its passes, and call these functions, which
//! call the table. In firmware these functions are inlined into their callers, so that the image of a
//! constant layer holds only the code of its own cell.

use super::backward::{BackwardPass, pack_columns};
use super::form::Passes;
use super::forward::ForwardPass;
use super::gradient::{GradientPass, InputPass, input_gradient, weight_gradients};
use super::narrow::NarrowWeights;
use super::sizes::Sizes;
use super::step::StepPass;
use super::table::{self, Kind, Table};
use crate::cell::{Cell, GruCell, LstmCell, MguCell, Reset, RnnCell};
use crate::error::Result;
use crate::kernel::Activation;
use crate::kernel::narrow::in_place::Words;
use crate::kernel::narrow::unpacked::Unpacked;
use crate::kernel::pack::Canonical;
use crate::kernel::step::Params;
use crate::simd::Isa;

/// A cell with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AnyCell {
    Rnn(RnnCell),
    Lstm(LstmCell),
    Gru(GruCell),
    Mgu(MguCell),
}

/// The text of all cells with layer normalisation and an option that excludes it.
pub(crate) const NORM_EXCLUDED: &str = "has layer normalisation and an option that excludes it";

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $constant:ident;)+) => {
        $($(#[$doc])*
        pub(crate) const fn $name(&self) -> usize {
            match self {
                AnyCell::Rnn(_) => RnnCell::$constant,
                AnyCell::Lstm(_) => LstmCell::$constant,
                AnyCell::Gru(_) => GruCell::$constant,
                AnyCell::Mgu(_) => MguCell::$constant,
            }
        })+
    };
}

impl AnyCell {
    counts! {
        /// Number of gates: blocks of H rows in the weight matrices.
        gates = GATES;
        /// Number of vectors of H in the state: 1 for `h`, 2 for `h` and `c`.
        states = STATES;
        /// Number of bias vectors of H in packed weights.
        biases = BIASES;
        /// The same for the tape, without layer normalisation.
        plain_tape = TAPE;
    }

    /// Number of vectors of H that the tape holds for each step of each batch row.
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    pub(crate) const fn tape(&self) -> usize {
        match self.is_normalised() {
            true => 2 * self.gates() + self.states() - 1,
            false => self.plain_tape(),
        }
    }

    /// Whether the cell has layer normalisation.
    #[inline(always)]
    pub(crate) const fn is_normalised(&self) -> bool {
        match self {
            AnyCell::Lstm(cell) => cell.norm.is_some(),
            AnyCell::Gru(cell) => cell.norm,
            _ => false,
        }
    }

    /// Number of vectors of H that layer normalisation adds to the weights: the gains of the two products,
    /// and gain and bias of the cell state.
    pub(crate) const fn norm(&self) -> usize {
        match self.is_normalised() {
            true => 2 * self.gates() + 2 * (self.states() - 1),
            false => 0,
        }
    }

    /// What excludes layer normalisation, if the cell has both.
    pub(crate) const fn norm_refusal(&self) -> Option<&'static str> {
        // A shorter text for firmware whose layers are not constants. Constants fail when they are compiled.
        if cfg!(all(target_os = "none", feature = "named-forms")) {
            let excluded = match self {
                AnyCell::Lstm(cell) => cell.norm.is_some() && cell.has_options(),
                AnyCell::Gru(cell) => {
                    cell.norm && (matches!(cell.reset, Reset::Before) || cell.has_options())
                }
                _ => false,
            };
            return if excluded { Some(NORM_EXCLUDED) } else { None };
        }
        match self {
            AnyCell::Lstm(cell) if cell.norm.is_some() && cell.has_options() => Some(
                "cannot combine layer normalisation with other activations, clip, coupled gates, peepholes or projection",
            ),
            AnyCell::Gru(GruCell { norm: true, reset: Reset::Before, .. }) => {
                Some("must reset after the product, if it has layer normalisation")
            }
            AnyCell::Gru(cell) if cell.norm && cell.has_options() => {
                Some("cannot combine layer normalisation with other activations or clip")
            }
            _ => None,
        }
    }

    /// Number of consecutive products with hidden weights in a step. If there are two, a step without a tape
    /// keeps what a tape row would hold in between.
    pub(crate) const fn stages(&self) -> usize {
        match self {
            AnyCell::Gru(GruCell { reset: Reset::Before, .. }) | AnyCell::Mgu(_) => 2,
            _ => 1,
        }
    }

    /// The form of the cell. `options` says whether it needs anything that the forms with fixed functions do
    /// not have.
    #[inline(always)]
    pub(crate) const fn form(&self, options: bool) -> Kind {
        match (self, options) {
            (AnyCell::Rnn(RnnCell { activation: Activation::Tanh, .. }), false) => Kind::RnnTanh,
            (AnyCell::Rnn(RnnCell { activation: Activation::Relu, .. }), false) => Kind::RnnRelu,
            (AnyCell::Rnn(_), _) => Kind::RnnOptions,
            (AnyCell::Lstm(_), false) => Kind::Lstm,
            (AnyCell::Lstm(LstmCell { norm: Some(_), .. }), true) => Kind::LstmNormalised,
            (AnyCell::Lstm(_), true) => Kind::LstmOptions,
            (AnyCell::Gru(GruCell { reset: Reset::After, .. }), false) => Kind::Gru,
            (AnyCell::Gru(GruCell { norm: true, .. }), true) => Kind::GruNormalised,
            (AnyCell::Gru(GruCell { reset: Reset::After, .. }), true) => Kind::GruOptions,
            (AnyCell::Gru(_), false) => Kind::GruResetBefore,
            (AnyCell::Gru(_), true) => Kind::GruResetBeforeOptions,
            (AnyCell::Mgu(_), _) => Kind::Mgu,
        }
    }

    /// The options as parameters of the cell's equations.
    #[inline(always)]
    pub(crate) const fn params(&self) -> Params {
        match self {
            AnyCell::Rnn(cell) => cell.params(),
            AnyCell::Lstm(cell) => cell.params(),
            AnyCell::Gru(cell) => cell.params(),
            AnyCell::Mgu(_) => table::NO_OPTIONS,
        }
    }

    /// The number of the cell's kind.
    pub(crate) const fn kind(&self) -> usize {
        match self {
            AnyCell::Rnn(_) => 1,
            AnyCell::Lstm(_) => 2,
            AnyCell::Gru(_) => 3,
            AnyCell::Mgu(_) => 4,
        }
    }
}

/// Calls a pass of the table with the options of the cell. A cell without options passes the constant
/// `NO_OPTIONS`: computing its parameters would be noticeable in a small step. (This is a macro because the
/// compiler does not inline a closure here, and a constant cell would no longer be constant.)
macro_rules! call {
    ($runs:ident, $pass:ident, $($arg:expr),+) => {{
        let pass = $runs.table().$pass;
        let checked = match $runs.options {
            true => pass($runs.isa, &$runs.cell.params(), $($arg),+),
            false => pass($runs.isa, &table::NO_OPTIONS, $($arg),+),
        };
        Ok(checked?)
    }};
}

/// What runs: a cell, whether it needs the form with options, its passes, and the instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Runs<'c> {
    pub(crate) cell: &'c AnyCell,
    pub(crate) options: bool,
    pub(crate) passes: Passes,
    pub(crate) isa: Isa,
}

impl Runs<'_> {
    #[inline(always)]
    fn table(self) -> &'static Table {
        self.passes.table(self.cell.form(self.options))
    }

    /// Packs canonical weights into panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn pack(self, w: Canonical<'_>, out: &mut [f32]) {
        self.table().pack(self.isa, w, out);
    }

    /// One step from weights in panels.
    #[inline(always)]
    pub(crate) fn step_packed(self, data: &[f32], pass: &mut StepPass<'_>) -> Result<()> {
        call!(self, step, data, pass)
    }

    /// One step from canonical weights in place.
    #[inline(always)]
    pub(crate) fn step_in_place(self, w: &Canonical<'_>, pass: &mut StepPass<'_>) -> Result<()> {
        call!(self, step_in_place, w, pass)
    }

    /// A forward pass from weights in panels.
    #[inline(always)]
    pub(crate) fn forward_packed(self, data: &[f32], pass: &mut ForwardPass<'_>) -> Result<()> {
        call!(self, forward, data, pass)
    }

    /// A forward pass from canonical weights in place.
    #[inline(always)]
    pub(crate) fn forward_in_place(self, w: &Canonical<'_>, pass: &mut ForwardPass<'_>) -> Result<()> {
        call!(self, forward_in_place, w, pass)
    }

    /// Packs weights with narrow matrices into panels: in their format, or widened to `f32` if `wide` is set.
    pub(crate) fn pack_narrow(self, w: &Unpacked<'_>, wide: bool, out: &mut [f32]) {
        self.table().pack_narrow(self.isa, w, wide, out);
    }

    /// One step from narrow weights in panels.
    pub(crate) fn step_narrow(self, data: NarrowWeights<'_>, pass: &mut StepPass<'_>) -> Result<()> {
        call!(self, step_narrow, data, pass)
    }

    /// One step from narrow weights in place.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn step_narrow_in_place(self, w: Words<'_>, pass: &mut StepPass<'_>) -> Result<()> {
        call!(self, step_narrow_in_place, w, pass)
    }

    /// A forward pass from narrow weights in place.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn forward_narrow_in_place(self, w: Words<'_>, pass: &mut ForwardPass<'_>) -> Result<()> {
        call!(self, forward_narrow_in_place, w, pass)
    }

    /// A forward pass from narrow weights in panels.
    pub(crate) fn forward_narrow(self, data: NarrowWeights<'_>, pass: &mut ForwardPass<'_>) -> Result<()> {
        call!(self, forward_narrow, data, pass)
    }

    /// A forward pass for training, with a tape, from canonical weights in place. It serves targets without
    /// vectors; with vectors training packs the weights.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn train_in_place(self, w: &Canonical<'_>, pass: &mut ForwardPass<'_>) -> Result<()> {
        call!(self, train_in_place, w, pass)
    }

    /// Packs weights for a backward pass.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn pack_columns(self, w: Canonical<'_>, sizes: &Sizes, panels: &mut [f32]) -> Result<()> {
        Ok(pack_columns(self.isa, w, sizes, panels)?)
    }

    /// A backward pass, without the gradients of weights and input.
    #[inline(always)]
    pub(crate) fn backward(self, pass: BackwardPass<'_>) -> Result<()> {
        call!(self, backward, pass)
    }

    /// Computes the gradients of weights from the tape that a backward pass leaves.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn weight_gradients(self, pass: GradientPass<'_>) -> Result<()> {
        let &Table { layout, second, .. } = self.table();
        Ok(weight_gradients(self.isa, layout, second, pass)?)
    }

    /// Computes the gradient of the input from the tape that a backward pass leaves.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn input_gradient(self, pass: InputPass<'_>) -> Result<()> {
        Ok(input_gradient(self.isa, self.table().layout, pass)?)
    }
}
