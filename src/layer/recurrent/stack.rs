//! The public type of stacked layers: a thin wrapper that adds the cell's type to an untyped description.

use core::marker::PhantomData;

use super::args::{Backward, Forward, ForwardTrain};
use super::cell::Cell;
use super::front::Recurrent;
use super::levels::Levels;
use super::merge::Merge;
use crate::error::Result;
use crate::kernel::Narrow;
use crate::layer::join::{Join, Team};
use crate::layer::narrow::narrow_weights;
use crate::layer::packed::{Packed, WeightSource};
use crate::simd::Isa;

/// Recurrent layers on top of each other, each in one direction or in both: PyTorch's `num_layers` and
/// `bidirectional`.
///
/// Like a [`Recurrent`] layer it is a constant that owns no memory. Its weights are those of its layers, one
/// after the other; in each layer the reverse direction follows the forward one. Gradients and states have
/// the same order.
///
/// ```
/// use recurrent::{Forward, Lstm, Merge, Sequences, Stack};
/// const STACK: Stack<recurrent::LstmCell> = Stack::new(Lstm::new(4, 8)).layers(2).bidirectional(Merge::Concat);
/// let weights = vec![0.1; STACK.weights_len()];
/// let packed = STACK.pack(&weights, vec![0.0; STACK.packed_len()])?;
/// let (steps, batch) = (5, 2);
/// let (x, mut y) = (vec![1.0; steps * batch * 4], vec![0.0; steps * batch * STACK.output()]);
/// let (mut state, mut scratch) = (vec![0.0; STACK.state_len(batch)], vec![0.0; STACK.scratch_len(steps, batch)]);
/// let sequences = Sequences::new(steps, batch).lengths(&[5, 3]);
/// STACK.forward(&packed, Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch })?;
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stack<C> {
    pub(crate) levels: Levels,
    cell: PhantomData<C>,
}

impl<C> Stack<C> {
    /// `levels` must have a cell of this type.
    pub(crate) const fn of(levels: Levels) -> Self {
        Stack { levels, cell: PhantomData }
    }
}

impl<C: Cell> Stack<C> {
    /// A stack of one layer in its own direction. The options of this layer apply to all layers.
    pub const fn new(first: Recurrent<C>) -> Self {
        Self::of(first.levels)
    }

    /// The same stack with `layers` layers, each over the output of the one below. There is always at least
    /// one.
    pub const fn layers(self, layers: usize) -> Self {
        Self::of(Levels::new(self.levels.first, layers, self.levels.both))
    }

    /// The same stack with both directions in each layer.
    pub const fn bidirectional(self, merge: Merge) -> Self {
        Self::of(Levels::new(self.levels.first, self.levels.depth, Some(merge)))
    }

    /// The same stack pinned to an instruction set, instead of the best one for the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.levels.first.isa = Some(isa);
        self
    }

    /// The same stack with narrow matrices in inference. It runs from packed weights ([`pack`](Self::pack),
    /// [`pack_narrow`](Self::pack_narrow)), or in place from the bytes that [`round`](Self::round) writes
    /// ([`WeightSource::Narrow`]). Training uses weights in `f32`.
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    pub const fn narrow(self, narrow: Narrow) -> Self {
        self.with_format(Some(narrow))
    }

    pub(crate) const fn with_format(self, narrow: Option<Narrow>) -> Self {
        Self::of(self.levels.with_format(narrow))
    }

    /// The narrow format of the matrices; `None` for `f32`.
    pub const fn narrow_format(&self) -> Option<Narrow> {
        self.levels.first.format()
    }

    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.levels.input()
    }

    /// Features of the output: `R`, or `2*R` if two directions are concatenated.
    pub const fn output(&self) -> usize {
        self.levels.output()
    }

    /// The number of directions: 1 or 2.
    pub const fn directions(&self) -> usize {
        self.levels.directions()
    }

    /// How the outputs of the two directions are merged; `None` if there is one direction.
    pub const fn merge(&self) -> Option<Merge> {
        self.levels.both
    }

    /// The number of layers.
    pub const fn depth(&self) -> usize {
        self.levels.depth
    }

    /// One layer in one of its directions.
    pub const fn layer(&self, index: usize, direction: usize) -> Recurrent<C> {
        let mut layer = self.levels.level(index);
        if self.levels.both.is_some() {
            layer.reverse = direction == 1;
        }
        Recurrent::of(layer)
    }

    /// Length of the weights, and of their gradients.
    pub const fn weights_len(&self) -> usize {
        self.levels.weights_len()
    }

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        self.levels.packed_len()
    }

    /// Length of the states of `batch` rows: `h [B, R]` for each layer and direction, followed for an LSTM by
    /// `c [B, H]`.
    pub const fn state_len(&self, batch: usize) -> usize {
        self.levels.state_len(batch)
    }

    /// Length of the factors of recurrent dropout, `[B, R]` for each layer and direction.
    pub const fn recurrent_dropout_len(&self, batch: usize) -> usize {
        self.levels.recurrent_dropout_len(batch)
    }

    /// Length of the factors of dropout between layers: one for each output of each layer except the last.
    pub const fn layer_dropout_len(&self, steps: usize, batch: usize) -> usize {
        self.levels.layer_dropout_len(steps, batch)
    }

    /// Length of the tape of a training pass: those of all layers and directions, and the outputs of the
    /// layers in between.
    pub const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        self.levels.tape_len(steps, batch)
    }

    /// Length of the scratch of [`forward`](Self::forward).
    pub const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        self.levels.scratch_len(steps, batch)
    }

    /// Length of the scratch of [`forward_with`](Self::forward_with) on `threads` [threads](Join::threads).
    pub const fn scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        self.levels.scratch_len_with(threads, steps, batch)
    }

    /// Length of the scratch of [`forward_train`](Self::forward_train) and [`backward`](Self::backward).
    pub const fn train_scratch_len(&self, steps: usize, batch: usize) -> usize {
        self.levels.train_scratch_len(steps, batch)
    }

    /// Length of the scratch of [`forward_train_with`](Self::forward_train_with) and
    /// [`backward_with`](Self::backward_with) on `threads` [threads](Join::threads).
    pub const fn train_scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        self.levels.train_scratch_len_with(threads, steps, batch)
    }

    /// Arranges canonical weights for this stack's instruction set, in a buffer of
    /// [`packed_len`](Self::packed_len) elements.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`
    /// or `packed`.
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        self.levels.pack(weights, packed)
    }

    narrow_weights!(self => self.levels, "layers");

    /// Runs a batch of sequences from given states. Computes the last layer's outputs, and the last states of
    /// all layers.
    ///
    /// The arguments are those of [`Recurrent::forward`](crate::Recurrent::forward), with this stack's
    /// lengths. `y` is `[T, B, output]`, or empty if only the states are needed.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer; [`Error::Packing`](crate::Error::Packing) if the weights were packed for something
    /// else.
    #[inline(always)]
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        self.levels.forward(None, weights.into(), args)
    }

    /// The same on several threads, if there is enough work for them: both directions of a layer at the same
    /// time, and batch rows, or the units of large layers, in parts. If neither is cut, the layers of a stack
    /// that runs forward from packed weights work at the same time: each is a block of steps behind the layer
    /// below. The results have the same bits. `scratch` has at least
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

    /// One step of each layer, which takes the output of the layer below. Returns the output of the last
    /// layer, `[B, R]`, which is part of `state`.
    ///
    /// `x` is `[B, I]`; `state` and `scratch` are those of [`forward`](Self::forward) with one step, and the
    /// results have the same bits. The stack must have one direction. If it runs in reverse, steps are still
    /// taken in the order of the calls.
    ///
    /// # Errors
    /// Those of [`Recurrent::step`](crate::Recurrent::step); [`Error::Value`](crate::Error::Value) for a
    /// stack with both directions.
    ///
    /// ```
    /// use recurrent::{Gru, GruCell, Stack};
    /// const STACK: Stack<GruCell> = Stack::new(Gru::new(2, 4)).layers(2);
    /// let weights = [0.1; STACK.weights_len()];
    /// let (mut state, mut scratch) = ([0.0; STACK.state_len(1)], [0.0; STACK.scratch_len(1, 1)]);
    /// let y = STACK.step(&weights, &[1.0, -1.0], &mut state, &mut scratch)?;
    /// assert_eq!(y.len(), 4);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn step<'w, 's>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: &'s [f32],
        state: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<&'s [f32]> {
        self.levels.step(weights.into(), x, state, scratch)
    }

    /// Like [`forward`](Self::forward), but from canonical weights. It keeps on the tape what
    /// [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer; [`Error::Value`](crate::Error::Value) for factors of recurrent dropout, if the layer
    /// does not support it.
    #[inline(always)]
    pub fn forward_train(&self, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        self.levels.forward_train(None, weights, args)
    }

    /// The same on several threads, as [`forward_with`](Self::forward_with). The results have the same bits.
    /// `scratch` has at least [`train_scratch_len_with`](Self::train_scratch_len_with) elements.
    ///
    /// # Errors
    /// Those of [`forward_train`](Self::forward_train).
    pub fn forward_train_with(&self, join: &dyn Join, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        self.levels.forward_train(Team::of(join), weights, args)
    }

    /// Backpropagation through time and layers: computes the gradients of the weights, the input and the
    /// initial states from those of the outputs and of the last states.
    ///
    /// # Errors
    /// Those of [`forward_train`](Self::forward_train).
    #[inline(always)]
    pub fn backward(&self, weights: &[f32], args: Backward<'_>) -> Result<()> {
        self.levels.backward(None, weights, args)
    }

    /// The same on several threads, as [`forward_with`](Self::forward_with). The results have the same bits.
    /// `scratch` has at least [`train_scratch_len_with`](Self::train_scratch_len_with) elements.
    ///
    /// # Errors
    /// Those of [`forward_train`](Self::forward_train).
    pub fn backward_with(&self, join: &dyn Join, weights: &[f32], args: Backward<'_>) -> Result<()> {
        self.levels.backward(Team::of(join), weights, args)
    }
}
