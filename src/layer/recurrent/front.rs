//! The public type of a recurrent layer: a thin wrapper that adds the cell's type to an untyped description.

use core::marker::PhantomData;

use super::args::{Backward, Forward, ForwardTrain};
use super::cell::Cell;
use super::description::Description;
use super::levels::Levels;
use super::weights::{Weights, WeightsMut};
use crate::error::{Error, Result, check_len};
use crate::kernel::Narrow;
use crate::layer::join::{Join, Team};
use crate::layer::narrow::narrow_weights;
use crate::layer::packed::{Packed, WeightSource};
use crate::simd::Isa;

/// A recurrent layer: a cell and its dimensions.
///
/// It is a constant that owns no memory. It tells the length of every buffer, in `f32` elements, and runs
/// passes over the caller's buffers. A length that does not fit into `usize` is reported as `usize::MAX`, and
/// the passes reject it with [`Error::Overflow`].
///
/// Shapes are row-major: `T` steps, `B` batch rows, `I` inputs, `H` hidden units, `G` gates.
///
/// | buffer | shape | what it is |
/// |---|---|---|
/// | weights, gradients | `w_ih [G*H, I]`, `w_hh [G*H, R]`, `b_ih [G*H]`, `b_hh [G*H]` | one flat slice, PyTorch's order |
/// | state | `h [B, R]`, then for an LSTM `c [B, H]` | the caller's, read and written by every pass |
/// | x, y | `[T, B, I]`, `[T, B, R]` | time-major, or [batch-major](crate::Sequences::batch_major) |
/// | tape | opaque | values that a training forward pass keeps for the backward pass |
/// | scratch | opaque | contents do not matter before or after a pass |
///
/// `R` is the width of the hidden state: `H`, unless an LSTM has a [`projection`](crate::Lstm::projection).
///
/// # Options
/// Other activations, clipping, coupled gates, peepholes, a projection and recurrent dropout use slower code:
/// equations that decide at run time, over sums in memory. [Layer normalisation](crate::Lstm::layer_norm)
/// needs all sums of a step before its equations: with it, a layer of 64 units takes 1.5 to 1.8 times as long
/// in batches of 8 rows or more, forward or with gradients, and one row 1.7 times (a step) to 3 times (a
/// sequence). Layers without options are not affected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recurrent<C> {
    pub(crate) levels: Levels,
    cell: PhantomData<C>,
}

impl<C> Recurrent<C> {
    /// `layer` must have a cell of this type.
    pub(super) const fn of(layer: Description) -> Self {
        Recurrent { levels: Levels::single(layer), cell: PhantomData }
    }
}

impl<C: Cell> Recurrent<C> {
    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.levels.first.shape.input
    }

    /// Units, `H`.
    pub const fn hidden(&self) -> usize {
        self.levels.first.shape.hidden
    }

    /// Width of the hidden state and of the output, `R`: `H`, unless there is a projection.
    pub const fn width(&self) -> usize {
        self.levels.first.shape.width()
    }

    /// Gates, `G`: blocks of H rows in the weights.
    pub const fn gates(&self) -> usize {
        self.levels.first.shape.gates
    }

    /// Whether the weights have biases.
    pub const fn has_bias(&self) -> bool {
        self.levels.first.shape.bias
    }

    /// Whether sequences are run in reverse.
    pub const fn is_reverse(&self) -> bool {
        self.levels.first.reverse
    }

    /// Whether the layer can train with recurrent dropout.
    pub const fn has_recurrent_dropout(&self) -> bool {
        self.levels.first.recurrent_dropout
    }

    /// The same layer with or without biases. If `bias` is false, the weights contain none.
    pub const fn bias(self, bias: bool) -> Self {
        let mut layer = self.levels.first;
        layer.shape.bias = bias;
        Self::of(layer)
    }

    /// The same layer, running each row of a sequence from its last step to its first. Outputs stay at the
    /// step of their input, so the last state is the output of the first step.
    pub const fn reverse(self) -> Self {
        let mut layer = self.levels.first;
        layer.reverse = true;
        Self::of(layer)
    }

    /// The same layer with support for recurrent dropout in training (Gal and Ghahramani 2016,
    /// arXiv:1512.05287): in all steps the hidden state is multiplied by one mask before it meets its
    /// weights. The mask is an argument of the training passes, and is the same for all gates. (Keras draws
    /// one mask for each gate of an LSTM or GRU; this is not supported.)
    pub const fn recurrent_dropout(self) -> Self {
        let mut layer = self.levels.first;
        layer.recurrent_dropout = true;
        Self::of(layer)
    }

    /// The same layer pinned to an instruction set, instead of the best one for the CPU.
    pub const fn on(self, isa: Isa) -> Self {
        let mut layer = self.levels.first;
        layer.isa = Some(isa);
        Self::of(layer)
    }

    /// The same layer with narrow matrices in inference. It runs from packed weights ([`pack`](Self::pack),
    /// [`pack_narrow`](Self::pack_narrow)), or in place from the bytes that [`round`](Self::round) writes
    /// ([`WeightSource::Narrow`]). Training uses weights in `f32`.
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    pub const fn narrow(self, narrow: Narrow) -> Self {
        let mut layer = self.levels.first;
        layer.narrow = Some(narrow);
        Self::of(layer)
    }

    /// The narrow format of the matrices; `None` for `f32`.
    pub const fn narrow_format(&self) -> Option<Narrow> {
        self.levels.first.format()
    }

    /// The instruction set that passes run on: the one [pinned](Self::on), otherwise the best one of the CPU
    /// for this number of units.
    pub fn isa(&self) -> Isa {
        self.levels.first.isa()
    }

    /// Length of the weights, and of their gradients: `G*H*(I + R + 2)`, plus `R*H` for a projection, plus
    /// `3*H` for peepholes, plus `2*G*H` for layer normalisation, and `2*H` more if there is a cell state.
    pub const fn weights_len(&self) -> usize {
        self.levels.weights_len()
    }

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        self.levels.packed_len()
    }

    /// Length of the state of `batch` rows: `B*R`, plus `B*H` for an LSTM.
    pub const fn state_len(&self, batch: usize) -> usize {
        self.levels.first.state_len(batch)
    }

    /// Length of the tape of a training pass: `B*R + T*B*P*H`, where `P` is 1 for an RNN, 5 for an LSTM, 4
    /// for a GRU or an MGU. A projection adds `T*B*R`. With layer normalisation `P` is 9 for an LSTM, 6 for a
    /// GRU.
    pub const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        self.levels.first.tape_len(steps, batch)
    }

    /// Length of the scratch of [`forward`](Self::forward). With `steps` 1 it is that of
    /// [`step`](Self::step).
    pub const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        self.levels.first.scratch_len(steps, batch)
    }

    /// Length of the scratch of [`forward_with`](Self::forward_with) on `threads` [threads](Join::threads).
    pub const fn scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        self.levels.scratch_len_with(threads, steps, batch)
    }

    /// Length of the scratch of [`forward_train`](Self::forward_train) and [`backward`](Self::backward).
    pub const fn train_scratch_len(&self, batch: usize) -> usize {
        self.levels.first.train_scratch_len(batch)
    }

    /// Length of the scratch of [`forward_train_with`](Self::forward_train_with) and
    /// [`backward_with`](Self::backward_with) on `threads` [threads](Join::threads).
    pub const fn train_scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        self.levels.train_scratch_len_with(threads, steps, batch)
    }

    /// Named parts of a flat buffer of weights or gradients.
    ///
    /// # Errors
    /// [`Error::Length`] if it does not have [`weights_len`](Self::weights_len) elements.
    pub fn weights<'a>(&self, flat: &'a [f32]) -> Result<Weights<'a, C::Gate>> {
        check_len("weights", self.weights_len(), flat.len())?;
        let shape = self.levels.first.shape;
        Weights::new(&shape, flat).ok_or(Error::Overflow { buffer: "weights" })
    }

    /// Named parts of a flat buffer of weights or gradients, for writing.
    ///
    /// # Errors
    /// [`Error::Length`] if it does not have [`weights_len`](Self::weights_len) elements.
    pub fn weights_mut<'a>(&self, flat: &'a mut [f32]) -> Result<WeightsMut<'a, C::Gate>> {
        check_len("weights", self.weights_len(), flat.len())?;
        let shape = self.levels.first.shape;
        WeightsMut::new(&shape, flat).ok_or(Error::Overflow { buffer: "weights" })
    }

    /// Arranges canonical weights for this layer's instruction set, in a buffer of
    /// [`packed_len`](Self::packed_len) elements.
    ///
    /// Pack once after loading or changing weights, then run any number of passes.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights` or `packed`.
    ///
    /// ```
    /// use recurrent::Lstm;
    /// let layer = Lstm::new(8, 16);
    /// let weights = vec![0.1; layer.weights_len()];
    /// let packed = layer.pack(&weights, vec![0.0; layer.packed_len()])?;
    /// let mut state = vec![0.0; layer.state_len(1)];
    /// let mut scratch = vec![0.0; layer.scratch_len(1, 1)];
    /// layer.step(&packed, &[1.0; 8], &mut state, &mut scratch)?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        self.levels.pack(weights, packed)
    }

    narrow_weights!(self => self.levels, "layer");

    /// One step: computes the next state of each row from its input. The new hidden state is the output.
    ///
    /// `x` is `[B, I]` and `state` `[B, H]` (for an LSTM `h` then `c`). The length of `state` determines the
    /// batch `B`. `scratch` has at least [`scratch_len(1, B)`](Self::scratch_len) elements. Any number of
    /// steps gives the same bits as one [`forward`](Self::forward) over all of them.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Packing`] if the
    /// weights were packed for another layer.
    #[inline(always)]
    pub fn step<'w>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: &[f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.levels.step(weights.into(), x, state, scratch).map(drop)
    }

    /// Runs a batch of sequences from a given state. Computes every hidden state and the last state.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (or of a list in the sequences);
    /// [`Error::Index`] for a length above the steps; [`Error::Packing`] if the weights were packed for
    /// another layer, or for another instruction set than the layer is pinned to.
    ///
    /// ```
    /// use recurrent::{Forward, Gru, Sequences};
    /// const LAYER: Gru = Gru::new(3, 5);
    /// let weights = [0.1; LAYER.weights_len()];
    /// let x = [1.0; 4 * 2 * 3];
    /// let mut y = [0.0; 4 * 2 * 5];
    /// let mut state = [0.0; LAYER.state_len(2)];
    /// let mut scratch = [0.0; LAYER.scratch_len(4, 2)];
    /// let sequences = Sequences::new(4, 2);
    /// LAYER.forward(&weights, Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch })?;
    /// assert_eq!(state, y[3 * 2 * 5..]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        self.levels.forward(None, weights.into(), args)
    }

    /// The same on several threads, if there is enough work for them. Each takes a part of the batch rows,
    /// or of the units in each step of a large layer. The results have the same bits. `scratch` has at least
    /// [`scratch_len_with`](Self::scratch_len_with) elements.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_with<'w>(
        &self,
        join: &dyn Join,
        weights: impl Into<WeightSource<'w>>,
        args: Forward<'_>,
    ) -> Result<()> {
        self.levels.forward(Team::of(join), weights.into(), args)
    }

    /// Like [`forward`](Self::forward), but from canonical weights. It keeps on the tape what
    /// [`backward`](Self::backward) needs. The outputs have the same bits.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (or of a list in the sequences);
    /// [`Error::Index`] for a length above the steps; [`Error::Value`] for dropout factors if the layer does
    /// not support them.
    #[inline(always)]
    pub fn forward_train(&self, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        self.levels.forward_train(None, weights, args)
    }

    /// The same on several threads, as [`forward_with`](Self::forward_with). `scratch` has at least
    /// [`train_scratch_len_with`](Self::train_scratch_len_with) elements.
    ///
    /// # Errors
    /// Those of [`forward_train`](Self::forward_train).
    pub fn forward_train_with(&self, join: &dyn Join, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        self.levels.forward_train(Team::of(join), weights, args)
    }

    /// Backpropagation through time: computes the gradients of the weights, the input and the initial state
    /// from those of the outputs and of the last state.
    ///
    /// `weights`, `x`, `y` and `tape` are those of the forward pass. For truncated backpropagation, run
    /// `forward_train` and `backward` on one chunk after the other: carry the state over, and set `dstate` to
    /// zero for every chunk.
    ///
    /// # Errors
    /// Those of [`forward_train`](Self::forward_train).
    ///
    /// ```
    /// use recurrent::{Activation, Backward, ForwardTrain, Rnn, Sequences};
    /// const LAYER: Rnn = Rnn::new(1, 1).activation(Activation::Relu);
    /// const T: usize = 3;
    /// let weights = [2.0, 0.5, 0.0, 0.0]; // h' = 2 x + h / 2, where that is positive
    /// let (sequences, x) = (Sequences::new(T, 1), [1.0, 1.0, 1.0]);
    /// let (mut y, mut state, mut tape) = ([0.0; T], [0.0; 1], [0.0; LAYER.tape_len(T, 1)]);
    /// let mut scratch = [0.0; LAYER.train_scratch_len(1)];
    /// LAYER.forward_train(&weights, ForwardTrain {
    ///     sequences, x: &x, y: &mut y, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
    /// })?;
    /// assert_eq!(y, [2.0, 3.0, 3.5]);
    ///
    /// let (mut dstate, mut dx, mut grads) = ([1.0], [0.0; T], [0.0; LAYER.weights_len()]); // the loss is the last state
    /// LAYER.backward(&weights, Backward {
    ///     sequences, x: &x, y: &y, dstate: &mut dstate, dx: Some(&mut dx), grads: Some(&mut grads),
    ///     tape: &mut tape, scratch: &mut scratch, ..Default::default()
    /// })?;
    /// assert_eq!(dx, [0.5, 1.0, 2.0]);
    /// assert_eq!(dstate, [0.125]); // now of the initial state
    /// assert_eq!(grads, [1.75, 4.0, 1.75, 1.75]); // w_ih, w_hh, b_ih, b_hh
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn backward(&self, weights: &[f32], args: Backward<'_>) -> Result<()> {
        self.levels.backward(None, weights, args)
    }

    /// The same on several threads. First each thread takes a part of the batch rows through the steps. Then
    /// the threads share the gradients of the weights, each of which is one sum over all rows in the order of
    /// a single thread. So the results have the same bits, and no partial sums are added. (A layer with
    /// peepholes or layer normalisation runs its steps on one thread, because the steps sum up the gradients
    /// of peepholes, gains and biases.)
    ///
    /// # Errors
    /// Those of [`backward`](Self::backward).
    pub fn backward_with(&self, join: &dyn Join, weights: &[f32], args: Backward<'_>) -> Result<()> {
        self.levels.backward(Team::of(join), weights, args)
    }
}
