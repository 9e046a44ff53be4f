//! The equations of one step of each cell.
//!
//! A cell is a small value with its options ([`RnnCell`], [`LstmCell`], [`GruCell`]). Its file states the
//! equations, writes them down on vectors of units ([`Equations`]), and says which kernels one step
//! consists of ([`Steps`]; the defaults are those of a cell whose step is one pass over its panels). Memory and
//! time are the business of the floors below and above. This folder may import `kernel` and `simd`.
//!
//! To add a cell:
//! 1. a folder with `mod.rs`: the equations with their source, the gate order, `impl Equations`;
//! 2. `impl Steps` on the same type, and on the type that users see `impl Cell` with its counts and `impl Choose`;
//! 3. `oracle.rs`: the same in f64, from the equations, sharing nothing; `tests/common/oracle.rs` includes it;
//! 4. a type alias and a constructor in `layer/recurrent.rs`, and a line in the table of `tests/common`,
//!    after which every test runs over it.

use crate::kernel::pack::{self, Canonical, Panels, Source};
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::recur::{self, BackwardStep, ForwardStep, tape_planes};
use crate::kernel::walk::Rows;
use crate::kernel::{Equations, Layout};
use crate::simd::Simd;

mod gru;
mod lstm;
mod rnn;

pub use gru::{GruCell, GruGate, Reset};
pub use lstm::{LstmCell, LstmGate};
pub use rnn::{Activation, RnnCell, RnnGate};

/// A recurrent cell: what [`Recurrent`](crate::Recurrent) needs to know of it.
///
/// Implemented by [`RnnCell`], [`LstmCell`] and [`GruCell`], and closed, because it builds on a private trait.
#[allow(private_bounds)]
pub trait Cell: Choose {
    /// Blocks of H rows in the weight matrices.
    const GATES: usize;
    /// Vectors of H in the state: 1 for `h`, 2 for `h` and `c`.
    const STATES: usize;
    /// Bias vectors of H in packed weights.
    const BIASES: usize;
    /// Vectors of H that the tape holds for each step of each batch row.
    const TAPE: usize;
    /// The gates, in canonical order.
    type Gate: Gate;
}

/// From a cell's options, which are values, to its equations, which are a type.
pub(crate) trait Choose: Copy {
    fn run<P: Pass>(self, pass: P) -> P::Output;
}

/// What is done with the equations.
pub(crate) trait Pass {
    type Output;
    fn run<K: Steps>(self, cell: K) -> Self::Output;
}

/// A gate of a cell, in canonical order.
pub trait Gate: Copy {
    /// Position among the blocks of H rows of the weight matrices.
    fn index(self) -> usize;
}

/// The weights of the cell's stages, packed or in place.
pub(crate) type Stages<W> = [W; 2];

/// Which rows of `w_hh` get their gradient from which planes of the tape.
#[derive(Clone, Copy)]
pub(crate) struct HiddenGradient {
    /// First gate of `w_hh`, and how many.
    pub(crate) gate: usize,
    pub(crate) count: usize,
    /// First plane of the tape with the gradients.
    pub(crate) plane: usize,
    /// What the weights multiply: the previous hidden state, or this plane of the tape.
    pub(crate) operand: Option<usize>,
}

/// The kernels that a step of a cell consists of.
pub(crate) trait Steps: Copy {
    /// The equations of the first stage.
    type First: Equations;
    fn first(self) -> Self::First;

    /// How `w_hh` and `b_hh` get their gradients.
    const HIDDEN_GRADIENTS: &'static [HiddenGradient];

    /// Packs the weights of all stages.
    fn pack(lanes: usize, w: Canonical<'_>, out: &mut [f32]) {
        pack::pack::<Self::First>(lanes, w, out);
    }

    /// Where the stages' panels are; `None` if `data` is too short.
    #[inline(always)]
    fn panels(lanes: usize, input: usize, hidden: usize, data: &[f32]) -> Option<Stages<Panels>> {
        let (panels, _) = Panels::new::<Self::First>(lanes, input, hidden, data)?;
        Some([panels, panels])
    }

    /// One step. `stage` has `STAGE` vectors of H for each batch row.
    #[inline(always)]
    fn forward_step<S: Simd, W: Source<S>, const TRAIN: bool>(
        self,
        s: S,
        [w, _]: Stages<W>,
        t: usize,
        io: ForwardStep<'_>,
        _stage: &mut [f32],
    ) {
        recur::forward_step::<S, _, W, TRAIN>(s, self.first(), w, t, io);
    }

    /// One step back: leaves the gradients of the pre-activations in the tape, and those of the previous
    /// state in `dh` and `dc`. `w_hh` is the whole matrix `[G*H, H]`.
    #[inline(always)]
    fn backward_step<S: Simd>(
        self,
        s: S,
        w_hh: Right<'_>,
        t: usize,
        mut io: BackwardStep<'_>,
        _stage: &mut [f32],
    ) {
        recur::backward_step(s, self.first(), t, io.reborrow());
        let BackwardStep { walk, hidden, dh, tape, .. } = io;
        let left = Left {
            data: tape,
            ld: tape_planes::<Self::First>() * hidden,
            rows: Rows::step(walk, t),
            count: Self::First::HG,
            len: hidden,
            at: Self::First::HMAP,
        };
        product(s, left, w_hh, dh, Init::Accumulate);
    }
}
