//! The recurrent layer: lengths, views over its weights, and its passes.

use core::marker::PhantomData;

use super::weights::{Weights, WeightsMut};
use crate::cell::{Activation, Cell, GruCell, LstmCell, Reset, RnnCell};
use crate::error::{Result, check_len};
use crate::kernel::product::columns_len;
use crate::seq::block_steps;
use crate::simd::{HAS_VECTORS, Isa, MAX_LANES};

/// A simple recurrent layer (tanh or ReLU).
pub type Rnn = Recurrent<RnnCell>;
/// A long short-term memory layer.
pub type Lstm = Recurrent<LstmCell>;
/// A gated recurrent unit layer.
pub type Gru = Recurrent<GruCell>;

/// A recurrent layer: a cell and its dimensions.
///
/// It is a constant that owns nothing: it tells the length of every buffer, in `f32` elements, and runs passes over
/// buffers of the caller. A length that does not fit into `usize` is `usize::MAX`, and the passes
/// refuse it with [`Error::Overflow`](crate::Error::Overflow).
///
/// Shapes are row-major; `T` steps, `B` batch rows, `I` inputs, `H` hidden units, `G` gates.
///
/// | buffer | shape | what it is |
/// |---|---|---|
/// | weights, gradients | `w_ih [G*H, I]`, `w_hh [G*H, H]`, `b_ih [G*H]`, `b_hh [G*H]` | one flat slice, PyTorch's order |
/// | state | `h [B, H]`, then for an LSTM `c [B, H]` | the caller's, read and written by every pass |
/// | x, y | `[T, B, I]`, `[T, B, H]` | time-major |
/// | tape | opaque | what a training forward keeps for the backward |
/// | scratch | opaque | garbage before and after |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent<C> {
    cell: C,
    input: usize,
    hidden: usize,
    /// Vectors of H of scratch for each batch row that a step of this cell needs besides the next hidden state.
    pub(super) stage: usize,
    pub(super) reverse: bool,
    pub(super) isa: Option<Isa>,
}

impl Rnn {
    /// A layer of `hidden` tanh units over `input` features.
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent {
            cell: RnnCell { activation: Activation::Tanh },
            input,
            hidden,
            stage: 0,
            reverse: false,
            isa: None,
        }
    }

    /// The same layer with another nonlinearity.
    pub const fn activation(mut self, activation: Activation) -> Self {
        self.cell.activation = activation;
        self
    }
}

impl Lstm {
    /// A layer of `hidden` units over `input` features.
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent { cell: LstmCell, input, hidden, stage: 0, reverse: false, isa: None }
    }
}

impl Gru {
    /// A layer of `hidden` units over `input` features, in PyTorch's form (reset after).
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent {
            cell: GruCell { reset: Reset::After },
            input,
            hidden,
            stage: 0,
            reverse: false,
            isa: None,
        }
    }

    /// The same layer in the given form. The two forms have different results for the same weights.
    pub const fn reset(mut self, reset: Reset) -> Self {
        self.cell.reset = reset;
        self.stage = match reset {
            Reset::After => 0,
            Reset::Before => 4,
        };
        self
    }
}

/// Product of lengths; `usize::MAX` if it does not fit.
const fn mul(a: usize, b: usize) -> usize {
    a.saturating_mul(b)
}

/// Sum of lengths; `usize::MAX` if it does not fit.
const fn add(a: usize, b: usize) -> usize {
    a.saturating_add(b)
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

impl<C: Cell> Recurrent<C> {
    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.input
    }

    /// Hidden units, `H`.
    pub const fn hidden(&self) -> usize {
        self.hidden
    }

    /// The cell and its options.
    pub const fn cell(&self) -> C {
        self.cell
    }

    /// The same layer over sequences in reverse: each row from its last step to its first. Outputs stay at the step of their
    /// input, so the last state is the output of the first step.
    pub const fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The same layer pinned to an instruction set, instead of the best one of the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The instruction set that passes run on.
    #[inline]
    pub fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(Isa::detect)
    }

    /// Length of the weights, and of their gradients: `G*H*(I + H + 2)`.
    pub const fn weights_len(&self) -> usize {
        mul(mul(C::GATES, self.hidden), add(add(self.input, self.hidden), 2))
    }

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        let Some(units) = self.hidden.checked_next_multiple_of(MAX_LANES) else { return usize::MAX };
        mul(units, add(C::BIASES, mul(C::GATES, add(self.input, self.hidden))))
    }

    /// Length of the state of `batch` rows: `B*H`, twice for an LSTM.
    pub const fn state_len(&self, batch: usize) -> usize {
        mul(mul(C::STATES, batch), self.hidden)
    }

    /// Length of the tape of a training pass: `B*H + T*B*P*H`, with `P` 1 for an RNN, 5 for an LSTM, 4 for a GRU.
    pub const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        let state = mul(batch, self.hidden);
        add(state, mul(mul(steps, state), C::TAPE))
    }

    /// Length of the scratch of [`forward`](Self::forward), and with `steps` 1 of [`step`](Self::step).
    pub const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        add(self.step_scratch(batch), self.block_len(steps, batch))
    }

    /// Length of the scratch of [`forward_train`](Self::forward_train) and [`backward`](Self::backward).
    pub const fn train_scratch_len(&self, batch: usize) -> usize {
        add(self.step_scratch(batch), max(self.train_packed_len(), self.columns_len()))
    }

    const fn step_scratch(&self, batch: usize) -> usize {
        mul(mul(batch, self.hidden), 1 + self.stage)
    }

    pub(super) const fn block_len(&self, steps: usize, batch: usize) -> usize {
        match block_steps(steps, batch) {
            0 | 1 => 0,
            ahead => mul(mul(ahead, batch), mul(C::GATES, self.hidden)),
        }
    }

    /// Training packs the weights anew in each pass, on targets with vectors.
    const fn train_packed_len(&self) -> usize {
        if HAS_VECTORS { self.packed_len() } else { 0 }
    }

    const fn columns_len(&self) -> usize {
        let rows = mul(C::GATES, self.hidden);
        let (w_hh, w_ih) = (self.hidden, self.input);
        if w_hh > usize::MAX - MAX_LANES || w_ih > usize::MAX - MAX_LANES {
            return usize::MAX;
        }
        if HAS_VECTORS { columns_len(MAX_LANES, rows, max(w_hh, w_ih)) } else { 0 }
    }

    /// Named parts of a flat buffer of weights or gradients.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if it does not have [`weights_len`](Self::weights_len) elements.
    pub fn weights<'a>(&self, flat: &'a [f32]) -> Result<Weights<'a, C::Gate>> {
        check_len("weights", self.weights_len(), flat.len())?;
        let (w_ih, rest) = flat.split_at(C::GATES * self.hidden * self.input);
        let (w_hh, rest) = rest.split_at(C::GATES * self.hidden * self.hidden);
        let (b_ih, b_hh) = rest.split_at(C::GATES * self.hidden);
        Ok(Weights { w_ih, w_hh, b_ih, b_hh, hidden: self.hidden, gate: PhantomData })
    }

    /// Named parts of a flat buffer of weights or gradients, for writing.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) if it does not have [`weights_len`](Self::weights_len) elements.
    pub fn weights_mut<'a>(&self, flat: &'a mut [f32]) -> Result<WeightsMut<'a, C::Gate>> {
        check_len("weights", self.weights_len(), flat.len())?;
        let (w_ih, rest) = flat.split_at_mut(C::GATES * self.hidden * self.input);
        let (w_hh, rest) = rest.split_at_mut(C::GATES * self.hidden * self.hidden);
        let (b_ih, b_hh) = rest.split_at_mut(C::GATES * self.hidden);
        Ok(WeightsMut { w_ih, w_hh, b_ih, b_hh, hidden: self.hidden, gate: PhantomData })
    }
}
