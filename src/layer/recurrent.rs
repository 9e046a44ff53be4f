//! The recurrent layer: lengths, views over its weights, and its passes.

use super::buffer::{add, max, mul};
use super::weights::{LayerId, Owner, Weights, WeightsMut};
use crate::cell::{Cell, GruCell, LstmCell, MguCell, Reset, RnnCell};
use crate::error::{Error, Result, check_len};
use crate::kernel::Activation;
use crate::kernel::canonical::Shape;
use crate::kernel::pack::SLACK;
use crate::kernel::product::columns_len;
use crate::seq::block_steps;
use crate::seq::step::{Sizes, stage_len};
use crate::simd::{HAS_VECTORS, Isa, MAX_LANES};

/// A simple recurrent layer, of tanh units or others. [`RnnCell`] has the equation.
///
/// ```
/// use recurrent::{Activation, Rnn};
/// const LAYER: Rnn = Rnn::new(2, 3).activation(Activation::Relu);
/// assert_eq!(LAYER.weights_len(), 3 * (2 + 3 + 2)); // w_ih, w_hh, and two biases
/// ```
pub type Rnn = Recurrent<RnnCell>;
/// A long short-term memory layer. [`LstmCell`] has the equations.
///
/// ```
/// use recurrent::Lstm;
/// const LAYER: Lstm = Lstm::new(2, 3);
/// let (weights, mut scratch) = ([0.0; LAYER.weights_len()], [0.0; LAYER.scratch_len(1, 1)]);
/// let mut state = [0.0, 0.0, 0.0, /* c */ 1.0, 2.0, 4.0];
/// LAYER.step(&weights, &[9.0, 9.0], &mut state, &mut scratch)?;
/// assert_eq!(state[3..], [0.5, 1.0, 2.0]); // without weights the forget gate is half open
/// # Ok::<(), recurrent::Error>(())
/// ```
pub type Lstm = Recurrent<LstmCell>;
/// A gated recurrent unit layer. [`GruCell`] has the equations of both forms.
///
/// ```
/// use recurrent::{Gru, Reset};
/// const KERAS_1: Gru = Gru::new(2, 3).reset(Reset::Before);
/// assert_eq!((KERAS_1.cell().reset, KERAS_1.weights_len()), (Reset::Before, 3 * 3 * (2 + 3 + 2)));
/// ```
pub type Gru = Recurrent<GruCell>;
/// A minimal gated unit layer: one gate, two thirds of a GRU's weights. [`MguCell`] has its equations.
pub type Mgu = Recurrent<MguCell>;

/// A recurrent layer: a cell and its dimensions.
///
/// It is a constant that owns nothing: it tells the length of every buffer, in `f32` elements, and runs passes over
/// buffers of the caller. A length that does not fit into `usize` is `usize::MAX`, and the passes
/// refuse it with [`Error::Overflow`].
///
/// Shapes are row-major; `T` steps, `B` batch rows, `I` inputs, `H` hidden units, `G` gates.
///
/// | buffer | shape | what it is |
/// |---|---|---|
/// | weights, gradients | `w_ih [G*H, I]`, `w_hh [G*H, R]`, `b_ih [G*H]`, `b_hh [G*H]` | one flat slice, PyTorch's order |
/// | state | `h [B, R]`, then for an LSTM `c [B, H]` | the caller's, read and written by every pass |
/// | x, y | `[T, B, I]`, `[T, B, R]` | time-major, or [batch-major](crate::Sequences::batch_major) |
/// | tape | opaque | what a training forward keeps for the backward |
/// | scratch | opaque | garbage before and after |
///
/// `R` is the width of the hidden state: `H`, unless an LSTM has a [`projection`](Lstm::projection).
///
/// # Options
/// Other activations, clipping, coupled gates, peepholes, a projection and recurrent dropout are computed by equations that decide
/// at run time, over sums that go through memory. They give up some speed, and cost layers without them nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent<C> {
    cell: C,
    pub(super) shape: Shape,
    /// Whether anything is asked of the cell that the fused equations do not have.
    pub(super) options: bool,
    /// Whether the hidden weights multiply something that the step itself makes.
    pub(super) two_stages: bool,
    pub(super) reverse: bool,
    pub(super) recurrent_dropout: bool,
    pub(super) isa: Option<Isa>,
}

impl Rnn {
    /// A layer of `hidden` tanh units over `input` features.
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::with(RnnCell { activation: Activation::Tanh, clip: f32::INFINITY }, 1, input, hidden)
    }

    /// The same layer with another activation. Tanh and ReLU are fast, the others go the way of the
    /// [options](Recurrent#options).
    pub const fn activation(mut self, activation: Activation) -> Self {
        self.cell.activation = activation;
        self.options |= !matches!(activation, Activation::Tanh | Activation::Relu);
        self
    }

    /// The same layer, with the argument of the activation kept between `-clip` and `clip`, as ONNX' `clip`.
    /// Where it is clipped the gradient is 0.
    pub const fn clip(mut self, clip: f32) -> Self {
        self.cell.clip = clip;
        self.options = true;
        self
    }
}

impl Lstm {
    /// A layer of `hidden` units over `input` features.
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::with(LstmCell::STANDARD, 4, input, hidden)
    }

    /// The same layer with other activations: of the gates `i f o`, of the cell gate `g`, and of the cell state on its way to
    /// the hidden state (ONNX' f, g and h).
    pub const fn activations(mut self, gates: Activation, cell: Activation, hidden: Activation) -> Self {
        (self.cell.gates, self.cell.cell, self.cell.hidden) = (gates, cell, hidden);
        self.options = true;
        self
    }

    /// The same layer, with the argument of every activation kept between `-clip` and `clip`, as ONNX' `clip`.
    /// Where it is clipped the gradient is 0. That is the operator's text; ONNX Runtime 1.31 leaves the cell state on its way to the
    /// hidden state unclipped.
    pub const fn clip(mut self, clip: f32) -> Self {
        self.cell.clip = clip;
        self.options = true;
        self
    }

    /// The same layer with the forget gate `f = 1 - i`, as ONNX' `input_forget`. The rows of the forget gate stay in the
    /// layout of the weights and are not used.
    pub const fn coupled(mut self) -> Self {
        self.cell.coupled = true;
        self.options = true;
        self
    }

    /// The same layer with peepholes: the gates see the cell state (Gers and Schmidhuber 2000). Three more vectors of H
    /// follow in the weights, in the order `i f o`.
    pub const fn peepholes(mut self) -> Self {
        self.cell.peepholes = true;
        self.shape.peepholes = true;
        self.options = true;
        self
    }

    /// The same layer with its output projected to `width` elements (Sak et al. 2014, arXiv:1402.1128; PyTorch's
    /// `proj_size`). The hidden state has that width, and `w_hr [R, H]` follows the biases in the weights.
    pub const fn projection(mut self, width: usize) -> Self {
        self.cell.projection = true;
        self.shape.projection = Some(width);
        self.options = true;
        self
    }
}

impl Gru {
    /// A layer of `hidden` units over `input` features, in PyTorch's form (reset after).
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::with(GruCell::STANDARD, 3, input, hidden)
    }

    /// The same layer in the given form. The two forms have different results for the same weights.
    pub const fn reset(mut self, reset: Reset) -> Self {
        self.cell.reset = reset;
        self.two_stages = matches!(reset, Reset::Before);
        self
    }

    /// The same layer with other activations: of the gates `r z`, and of the new gate (ONNX' f and g).
    pub const fn activations(mut self, gates: Activation, new: Activation) -> Self {
        (self.cell.gates, self.cell.new) = (gates, new);
        self.options = true;
        self
    }

    /// The same layer, with the argument of every activation kept between `-clip` and `clip`, as ONNX' `clip`.
    /// Where it is clipped the gradient is 0.
    pub const fn clip(mut self, clip: f32) -> Self {
        self.cell.clip = clip;
        self.options = true;
        self
    }
}

impl Mgu {
    /// A layer of `hidden` units over `input` features (Zhou et al. 2016, arXiv:1603.09420).
    ///
    /// ```
    /// use recurrent::{Gru, Mgu};
    /// assert_eq!(3 * Mgu::new(8, 16).weights_len(), 2 * Gru::new(8, 16).weights_len());
    /// ```
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent { two_stages: true, ..Recurrent::with(MguCell, 2, input, hidden) }
    }
}

impl<C: Copy> Recurrent<C> {
    const fn with(cell: C, gates: usize, input: usize, hidden: usize) -> Self {
        Recurrent {
            cell,
            shape: Shape::new(gates, input, hidden),
            options: false,
            two_stages: false,
            reverse: false,
            recurrent_dropout: false,
            isa: None,
        }
    }
}

impl<C: Cell> Recurrent<C> {
    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.shape.input
    }

    /// Units, `H`.
    pub const fn hidden(&self) -> usize {
        self.shape.hidden
    }

    /// Width of the hidden state and of the output, `R`: `H`, unless there is a projection.
    pub const fn width(&self) -> usize {
        self.shape.width()
    }

    /// The cell and its options.
    pub const fn cell(&self) -> C {
        self.cell
    }

    /// Whether the weights have biases.
    pub const fn has_bias(&self) -> bool {
        self.shape.bias
    }

    /// Whether sequences are run in reverse.
    pub const fn is_reverse(&self) -> bool {
        self.reverse
    }

    /// Whether it is able to train with recurrent dropout.
    pub const fn has_recurrent_dropout(&self) -> bool {
        self.recurrent_dropout
    }

    /// The same layer without biases, if `bias` is false: the weights have none then.
    pub const fn bias(mut self, bias: bool) -> Self {
        self.shape.bias = bias;
        self
    }

    /// The same layer over sequences in reverse: each row from its last step to its first. Outputs stay at the step of their
    /// input, so the last state is the output of the first step.
    pub const fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The same layer, able to train with recurrent dropout (Gal and Ghahramani 2016, arXiv:1512.05287): the hidden state is
    /// multiplied by one mask in all steps where it meets its weights. The mask is an argument of the training passes, and the same for
    /// all gates. (Keras draws one for each gate of an LSTM or GRU: that cannot be expressed.)
    pub const fn recurrent_dropout(mut self) -> Self {
        self.recurrent_dropout = true;
        self
    }

    /// The same layer pinned to an instruction set, instead of the best one of the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The instruction set that passes run on: the best one of the CPU for so few or so many units, unless the layer is
    /// [pinned](Self::on) to one.
    #[inline]
    pub fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(|| Isa::detect_for(self.hidden()))
    }

    /// Length of the weights, and of their gradients: `G*H*(I + R + 2)`, and `R*H` for a projection, `3*H` for peepholes.
    pub const fn weights_len(&self) -> usize {
        self.shape.len()
    }

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        let (hidden, width) = (self.hidden(), self.width());
        let Some(units) = hidden.checked_next_multiple_of(MAX_LANES) else { return usize::MAX };
        let panels = mul(units, add(C::BIASES, mul(C::GATES, add(self.input(), width))));
        let projection = match self.shape.projection {
            Some(width) => columns_len(MAX_LANES, hidden, width),
            None => 0,
        };
        match add(panels, add(self.shape.peepholes_len(), projection)) {
            0 => 0,
            len => add(len, SLACK),
        }
    }

    /// Length of the state of `batch` rows: `B*R`, and for an LSTM `B*H` more.
    pub const fn state_len(&self, batch: usize) -> usize {
        mul(batch, add(self.width(), mul(C::STATES - 1, self.hidden())))
    }

    /// Length of the tape of a training pass: `B*R + T*B*P*H`, with `P` 1 for an RNN, 5 for an LSTM, 4 for a GRU or an MGU; with a
    /// projection `T*B*R` more.
    pub const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        add(mul(batch, self.width()), mul(mul(steps, batch), self.tape_row()))
    }

    const fn tape_row(&self) -> usize {
        let projection = match self.shape.projection {
            Some(width) => width,
            None => 0,
        };
        add(mul(self.hidden(), C::TAPE), projection)
    }

    /// Length of the scratch of [`forward`](Self::forward), and with `steps` 1 of [`step`](Self::step).
    pub const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        add(self.step_scratch(batch), self.block_len(steps, batch))
    }

    /// Length of the scratch of [`forward_train`](Self::forward_train) and [`backward`](Self::backward).
    pub const fn train_scratch_len(&self, batch: usize) -> usize {
        add(self.step_scratch(batch), max(self.train_packed_len(), self.columns_len()))
    }

    /// The next hidden state and the stage.
    pub(super) const fn step_scratch(&self, batch: usize) -> usize {
        add(mul(batch, self.width()), self.stage_len(batch))
    }

    /// Scratch of what a step of the cell needs.
    pub(super) const fn stage_len(&self, batch: usize) -> usize {
        stage_len(C::TAPE, self.two_stages, &self.sizes(), batch)
    }

    pub(super) const fn sizes(&self) -> Sizes {
        Sizes {
            dims: self.shape.dims(),
            peepholes: self.shape.peepholes_len(),
            projects: self.shape.projection.is_some(),
            drops: self.recurrent_dropout,
        }
    }

    const fn block_len(&self, steps: usize, batch: usize) -> usize {
        match block_steps(steps, batch) {
            0 | 1 => 0,
            ahead => mul(mul(ahead, batch), mul(C::GATES, self.hidden())),
        }
    }

    /// Training packs the weights anew in each pass, on targets with vectors.
    const fn train_packed_len(&self) -> usize {
        if HAS_VECTORS { self.packed_len() } else { 0 }
    }

    const fn columns_len(&self) -> usize {
        if !HAS_VECTORS {
            return 0;
        }
        let (rows, hidden, width) = (mul(C::GATES, self.hidden()), self.hidden(), self.width());
        let w_hr = match self.shape.projection {
            Some(_) => columns_len(MAX_LANES, width, hidden),
            None => 0,
        };
        max(add(columns_len(MAX_LANES, rows, width), w_hr), columns_len(MAX_LANES, rows, self.input()))
    }

    pub(super) const fn id(&self) -> LayerId {
        LayerId { shape: self.shape, two_stages: self.two_stages, layers: 1, both: None }
    }

    pub(super) const fn owner(&self) -> Owner {
        Owner::Recurrent(self.id())
    }

    /// Named parts of a flat buffer of weights or gradients.
    ///
    /// # Errors
    /// [`Error::Length`] if it does not have [`weights_len`](Self::weights_len) elements.
    pub fn weights<'a>(&self, flat: &'a [f32]) -> Result<Weights<'a, C::Gate>> {
        check_len("weights", self.weights_len(), flat.len())?;
        let parts = self.shape.split(flat).ok_or(Error::Overflow { buffer: "weights" })?;
        Ok(Weights::new(parts, C::GATES))
    }

    /// Named parts of a flat buffer of weights or gradients, for writing.
    ///
    /// # Errors
    /// [`Error::Length`] if it does not have [`weights_len`](Self::weights_len) elements.
    pub fn weights_mut<'a>(&self, flat: &'a mut [f32]) -> Result<WeightsMut<'a, C::Gate>> {
        check_len("weights", self.weights_len(), flat.len())?;
        let parts = self.shape.split_mut(flat).ok_or(Error::Overflow { buffer: "weights" })?;
        Ok(WeightsMut::new(parts, C::GATES))
    }
}
