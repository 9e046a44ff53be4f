//! A cell as a value, and its passes: the one place where the kind of a cell becomes code.
//!
//! Everything above describes a layer by values and calls these functions, each of which is compiled once. In firmware, which is
//! compiled as a whole, they are inlined where they are called, so that a constant layer's image has its own cell's code only.

use super::backward::{BackwardPass, InputPass};
use super::forward::{ForwardPass, InPanels, InPlace, Panelled, PanelledStep, StepPass};
use super::{Passes, run};
use crate::cell::{Cell, GruCell, LstmCell, MguCell, Reset, RnnCell};
use crate::error::Result;
use crate::kernel::pack::{Canonical, aligned_start};
use crate::simd::{HAS_VECTORS, Isa};

/// A cell with its options.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AnyCell {
    Rnn(RnnCell),
    Lstm(LstmCell),
    Gru(GruCell),
    Mgu(MguCell),
}

/// The same expression for each kind of cell.
macro_rules! each {
    ($of:expr, $cell:ident => $e:expr) => {
        match $of {
            AnyCell::Rnn($cell) => $e,
            AnyCell::Lstm($cell) => $e,
            AnyCell::Gru($cell) => $e,
            AnyCell::Mgu($cell) => $e,
        }
    };
}

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
        /// Blocks of H rows in the weight matrices.
        gates = GATES;
        /// Vectors of H in the state: 1 for `h`, 2 for `h` and `c`.
        states = STATES;
        /// Bias vectors of H in packed weights.
        biases = BIASES;
        /// Vectors of H that the tape holds for each step of each batch row.
        tape = TAPE;
    }

    /// Products with hidden weights, one after the other, that a step consists of. Between two of them a step without a tape keeps a row of one.
    pub(crate) const fn stages(&self) -> usize {
        match self {
            AnyCell::Gru(GruCell { reset: Reset::Before, .. }) | AnyCell::Mgu(_) => 2,
            _ => 1,
        }
    }

    /// A number of its kind.
    pub(crate) const fn kind(&self) -> usize {
        match self {
            AnyCell::Rnn(_) => 1,
            AnyCell::Lstm(_) => 2,
            AnyCell::Gru(_) => 3,
            AnyCell::Mgu(_) => 4,
        }
    }
}

/// What runs: a cell, whether anything is asked of it that the fused equations do not have, and the instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Runs<'c> {
    pub(crate) cell: &'c AnyCell,
    pub(crate) options: bool,
    pub(crate) isa: Isa,
}

impl Runs<'_> {
    /// Packs canonical weights into panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn pack(self, w: Canonical<'_>, out: &mut [f32]) -> Result<()> {
        let Runs { cell, options, isa } = self;
        each!(*cell, cell => cell.pack(options, isa, w, out));
        Ok(())
    }

    /// One step from weights in panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn step_packed<'a>(self, panels: &InPanels<'a>, pass: &mut StepPass<'a>) -> Result<()> {
        let Runs { cell, options, isa } = self;
        if HAS_VECTORS {
            each!(*cell, cell => run(cell, options, isa, PanelledStep::<true>(panels, pass)));
        } else {
            each!(*cell, cell => run(cell, options, isa, PanelledStep::<false>(panels, pass)));
        }
        Ok(())
    }

    /// One step from canonical weights, where they are.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn step_in_place<'a>(self, w: &Canonical<'a>, pass: &mut StepPass<'a>) -> Result<()> {
        let Runs { cell, options, isa } = self;
        each!(*cell, cell => run(cell, options, isa, InPlace::<_, false>(w, pass)));
        Ok(())
    }

    /// A forward pass from weights in panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn forward_packed(self, data: &[f32], pass: &mut ForwardPass<'_>) -> Result<()> {
        let Runs { cell, options, isa } = self;
        if HAS_VECTORS {
            each!(*cell, cell => run(cell, options, isa, Panelled::<true>(&data, pass)));
        } else {
            each!(*cell, cell => run(cell, options, isa, Panelled::<false>(&data, pass)));
        }
        Ok(())
    }

    /// A forward pass from canonical weights, where they are.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn forward_in_place<'a>(self, w: &Canonical<'a>, pass: &mut ForwardPass<'a>) -> Result<()> {
        let Runs { cell, options, isa } = self;
        each!(*cell, cell => run(cell, options, isa, InPlace::<_, false>(w, pass)));
        Ok(())
    }

    /// A training forward pass, which has a tape. Where there are vectors the weights are packed into `panels` first.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn forward_train<'a>(
        self,
        w: &Canonical<'a>,
        panels: &mut [f32],
        pass: &mut ForwardPass<'a>,
    ) -> Result<()> {
        let Runs { cell, options, isa } = self;
        if HAS_VECTORS {
            let panels = panels.get_mut(aligned_start(panels)..).unwrap_or_default();
            self.pack(*w, panels)?;
            return self.forward_packed(panels, pass);
        }
        each!(*cell, cell => run(cell, options, isa, InPlace::<_, true>(w, pass)));
        Ok(())
    }

    /// A backward pass, but for the gradient of the input.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn backward(self, pass: BackwardPass<'_>) -> Result<()> {
        let Runs { cell, options, isa } = self;
        each!(*cell, cell => run(cell, options, isa, pass));
        Ok(())
    }

    /// The gradient of the input, from the tape that a backward pass leaves.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn input_gradient(self, pass: InputPass<'_>) -> Result<()> {
        let Runs { cell, options, isa } = self;
        each!(*cell, cell => run(cell, options, isa, pass));
        Ok(())
    }
}
