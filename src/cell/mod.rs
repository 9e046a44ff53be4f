//! The equations of one step of each cell.
//!
//! A cell is a small value with its options ([`RnnCell`], [`LstmCell`], [`GruCell`], [`MguCell`]). Its file states the
//! equations and writes them down on vectors of units ([`Equations`]). Most cells are [`Fused`]: a step is one pass over their
//! panels; others have two stages ([`two_stage`]). What only some users ask of a cell
//! (other activations, clipping, peepholes, a projection, recurrent dropout) stands in its `options.rs`, over the slower kernels of
//! [`options`], and costs nobody else anything. Memory and time are the business of the floors below and above.
//! This folder may import `kernel` and `simd`.
//!
//! To add a cell (the guide's chapter `adding_a_cell` explains each step, with an example):
//! 1. a folder with `mod.rs`: the equations with their source, the gate order, `impl Equations`;
//! 2. `impl Fused` or `impl SecondStage` on the same type, and on the type that users see `impl Cell` with its counts and `impl Choose`;
//! 3. `oracle.rs`: the same in f64, from the equations, sharing nothing; `tests/common/oracle.rs` includes it;
//! 4. its name in `passes!` of `seq/mod.rs` and in `seq/any.rs`, a type alias and a constructor in `layer/recurrent/cells.rs`, and a line in
//!    the table of `tests/common`, after which every test runs over it.

use crate::kernel::pack::{self, Canonical, Dims, InPlace, Panels, Source};
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::recur::{self, BackwardStep, ForwardStep, RowStep, tape_planes};
use crate::kernel::walk::Rows;
use crate::kernel::{Equations, Layout};
use crate::simd::{Isa, Simd};

mod gru;
mod lstm;
mod mgu;
mod options;
mod rnn;
mod two_stage;

pub(crate) use options::stage_len;

pub use gru::{GruCell, GruGate, Reset};
pub use lstm::{LstmCell, LstmGate};
pub use mgu::{MguCell, MguGate};
pub use rnn::{RnnCell, RnnGate};

/// What a layer needs to know of a cell, for its lengths.
pub(crate) trait Cell: Choose + Send + Sync {
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
    /// `options` says whether anything is asked of the cell that the fused equations do not have.
    fn form(self, options: bool) -> Form;
    /// Runs a pass with the equations of the form.
    fn run<P: Pass>(self, form: Form, isa: Isa, pass: P);
}

/// Which equations are asked of a cell. A layer is a constant most often, so its form and its instruction set are, and as
/// arguments of their own they are so for the linker, too: an image has the code that its layers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A cell's first fused equations.
    First,
    /// Its second ones.
    Second,
    /// With options.
    General,
}

/// What is done with the equations.
pub(crate) trait Pass {
    fn run<K: Steps>(self, isa: Isa, cell: K);
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
    /// How the weights feed the sums of the first stage.
    type Sums: Layout;

    /// How `w_hh` and `b_hh` get their gradients.
    const HIDDEN_GRADIENTS: &'static [HiddenGradient];

    /// Whether there is code of its own for steps of one row: [`row_step`](Self::row_step), and what is computed beside a step.
    const SINGLE_ROW: bool = false;

    /// Elements of a row of the tape. It starts with the planes of the sums.
    #[inline(always)]
    fn tape_row(self, dims: Dims) -> usize {
        tape_planes::<Self::Sums>() * dims.hidden
    }

    /// Packs the weights of all stages, and returns the room that is left.
    fn pack<'o>(self, lanes: usize, w: Canonical<'_>, out: &'o mut [f32]) -> &'o mut [f32] {
        pack::pack::<Self::Sums>(lanes, w, out)
    }

    /// Where the stages' panels are, and what follows them; `None` if `data` is too short.
    #[inline(always)]
    fn panels(self, lanes: usize, dims: Dims, data: &[f32]) -> Option<(Stages<Panels<'_>>, &[f32])> {
        let (panels, rest) = Panels::new::<Self::Sums>(lanes, dims, data)?;
        Some(([panels, panels], rest))
    }

    /// The weights of the stages where they are.
    #[inline(always)]
    fn in_place(w: Canonical<'_>) -> Stages<InPlace<'_>> {
        [InPlace(w); 2]
    }

    /// One step.
    fn forward_step<S: Simd, W: Source<S>, const TRAIN: bool>(
        self,
        s: S,
        w: Stages<W>,
        t: usize,
        io: ForwardStep<'_>,
        stage: &mut [f32],
    );

    /// One step of one row in inference, for cells that say so in `SINGLE_ROW`. `ONE` promises that it is a single tile.
    #[inline(always)]
    fn row_step<S: Simd, W: Source<S>, const ONE: bool>(self, _: S, _: Stages<W>, _: usize, _: RowStep<'_>) {
        const { assert!(!Self::SINGLE_ROW, "a cell that says so has one") }
    }

    /// One step back: leaves the gradients of the sums in the tape, and those of the previous
    /// state in `dh` and `dc`. `w_hh` is the whole matrix `[G*H, R]`, `w_hr` the projection `[R, H]`.
    fn backward_step<S: Simd>(self, s: S, w: Matrices<'_>, t: usize, io: BackwardStep<'_>, stage: &mut [f32]);
}

/// The weights of a backward step.
#[derive(Clone, Copy)]
pub(crate) struct Matrices<'a> {
    pub(crate) w_hh: Right<'a>,
    pub(crate) w_hr: Option<Right<'a>>,
}

/// A cell whose step is one pass over its panels, with the equations in the tiles' registers.
pub(crate) trait Fused: Equations {
    /// The same layout under one name for all cells that have it.
    type Sums: Layout;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient];
}

impl<E: Fused> Steps for E {
    type Sums = E::Sums;
    const HIDDEN_GRADIENTS: &'static [HiddenGradient] = E::HIDDEN_GRADIENTS;
    const SINGLE_ROW: bool = true;

    #[inline(always)]
    fn forward_step<S: Simd, W: Source<S>, const TRAIN: bool>(
        self,
        s: S,
        [w, _]: Stages<W>,
        t: usize,
        io: ForwardStep<'_>,
        _stage: &mut [f32],
    ) {
        recur::forward_step::<S, _, W, TRAIN>(s, self, w, t, io);
    }

    #[inline(always)]
    fn row_step<S: Simd, W: Source<S>, const ONE: bool>(
        self,
        s: S,
        [w, _]: Stages<W>,
        t: usize,
        io: RowStep<'_>,
    ) {
        recur::row_step::<S, _, W, ONE>(s, self, w, t, io);
    }

    #[inline(always)]
    fn backward_step<S: Simd>(
        self,
        s: S,
        w: Matrices<'_>,
        t: usize,
        mut io: BackwardStep<'_>,
        _stage: &mut [f32],
    ) {
        recur::backward_step(s, self, t, io.reborrow());
        let BackwardStep { walk, dims, dh, tape, .. } = io;
        let rows = Rows::step(walk, t);
        let (ld, len) = (self.tape_row(dims), dims.hidden);
        let left = Left { data: tape, ld, rows, count: E::HG, len, at: E::HMAP };
        product(s, left, w.w_hh, dh, Init::Accumulate);
    }
}
