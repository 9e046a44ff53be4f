//! Layers on top of each other, each in one direction or in both.

mod forward;
mod train;

use super::buffer::{add, max, mul, take, take_mut};
use super::passes::Cell;
use super::recurrent::Recurrent;
use super::weights::{LayerId, Owner, Packed};
use crate::error::{Error, Result, check_len, check_room};
use crate::kernel::canonical::Canonical;
use crate::kernel::pack::aligned_start;
use crate::simd::Isa;

/// How the outputs of the two directions of a layer become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Side by side: the output is `[T, B, 2*R]`, the forward direction first. PyTorch's way, and Keras' default.
    Concat,
    /// Added: the output is `[T, B, R]`.
    Sum,
}

/// Recurrent layers on top of each other, each in one direction or in both: PyTorch's `num_layers` and `bidirectional`.
///
/// Like a [`Recurrent`] layer it is a constant that owns nothing. Its weights are those of its layers, one
/// after the other, with the reverse direction of a layer behind the forward one; and so are its gradients and its states.
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
    first: Recurrent<C>,
    layers: usize,
    both: Option<Merge>,
}

/// Runs the two directions of a layer. Each writes to buffers of its own, so the results have the same bits in any order.
pub trait Join {
    /// Runs both.
    fn join(&self, forward: impl FnOnce() + Send, reverse: impl FnOnce() + Send);
}

/// One direction after the other, on the thread of the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Join for Sequential {
    fn join(&self, forward: impl FnOnce() + Send, reverse: impl FnOnce() + Send) {
        forward();
        reverse();
    }
}

/// Both directions at the same time: the reverse one on a thread that is started for it, which allocates.
///
/// ```
/// use recurrent::{Forward, Gru, Merge, Sequences, Stack, Threads};
/// let stack = Stack::new(Gru::new(2, 4)).bidirectional(Merge::Sum);
/// let (weights, x) = (vec![0.2; stack.weights_len()], vec![1.0; 5 * 2]);
/// let (mut y, mut state) = (vec![0.0; 5 * stack.output()], vec![0.0; stack.state_len(1)]);
/// let (mut scratch, sequences) = (vec![0.0; stack.scratch_len(5, 1)], Sequences::new(5, 1));
/// let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
/// stack.forward_with(&Threads, &weights, args)?;
/// assert!(y.iter().all(|y| *y != 0.0));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

#[cfg(feature = "std")]
impl Join for Threads {
    fn join(&self, forward: impl FnOnce() + Send, reverse: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(reverse);
            forward();
        });
    }
}

impl<C: Cell> Stack<C> {
    /// One layer in its own direction. Its options are those of all layers.
    pub const fn new(first: Recurrent<C>) -> Self {
        Stack { first, layers: 1, both: None }
    }

    /// The same with `layers` layers, each over the output of the one below it. There is at least one.
    pub const fn layers(mut self, layers: usize) -> Self {
        self.layers = if layers == 0 { 1 } else { layers };
        self
    }

    /// The same with both directions in each layer.
    pub const fn bidirectional(mut self, merge: Merge) -> Self {
        self.both = Some(merge);
        self
    }

    /// The same stack pinned to an instruction set, instead of the best one of the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.first.isa = Some(isa);
        self
    }

    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.first.input()
    }

    /// Features of the output: `R`, or `2*R` if two directions are concatenated.
    pub const fn output(&self) -> usize {
        match self.both {
            Some(Merge::Concat) => mul(self.first.width(), 2),
            _ => self.first.width(),
        }
    }

    /// 1 or 2.
    pub const fn directions(&self) -> usize {
        if self.both.is_some() { 2 } else { 1 }
    }

    /// How the two directions of each layer become one; `None` if there is one direction.
    pub const fn merge(&self) -> Option<Merge> {
        self.both
    }

    /// The number of layers.
    pub const fn depth(&self) -> usize {
        self.layers
    }

    /// One of the layers, in one of its directions.
    pub const fn layer(&self, index: usize, direction: usize) -> Recurrent<C> {
        let mut layer = self.first;
        if index > 0 {
            layer.shape.input = self.output();
        }
        if self.both.is_some() {
            layer.reverse = direction == 1;
        }
        layer
    }

    /// The sum over all layers and directions of a length, of which the first layer's and that of any other are given.
    const fn total(&self, first: usize, other: usize) -> usize {
        mul(self.directions(), add(first, mul(self.layers - 1, other)))
    }

    /// Length of the weights, and of their gradients.
    pub const fn weights_len(&self) -> usize {
        self.total(self.layer(0, 0).weights_len(), self.layer(1, 0).weights_len())
    }

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        self.total(self.layer(0, 0).packed_len(), self.layer(1, 0).packed_len())
    }

    /// Length of the states of `batch` rows: for each layer and direction `h [B, R]`, then for an LSTM `c [B, H]`.
    pub const fn state_len(&self, batch: usize) -> usize {
        let state = self.first.state_len(batch);
        self.total(state, state)
    }

    /// Length of the factors of recurrent dropout, `[B, R]` for each layer and direction.
    pub const fn recurrent_dropout_len(&self, batch: usize) -> usize {
        let factors = mul(batch, self.first.width());
        self.total(factors, factors)
    }

    /// The same, or none for layers that were not made with it.
    pub(crate) const fn drawn_len(&self, batch: usize) -> usize {
        if self.first.recurrent_dropout { self.recurrent_dropout_len(batch) } else { 0 }
    }

    /// Whether an output depends on its past only, so that steps can be taken one by one.
    pub(crate) const fn is_causal(&self) -> bool {
        self.both.is_none() && !self.first.reverse
    }

    /// Length of the factors of dropout between layers: one for each output of each layer but the last.
    pub const fn layer_dropout_len(&self, steps: usize, batch: usize) -> usize {
        mul(self.layers - 1, self.sequence_len(steps, batch))
    }

    /// Length of the tape of a training pass: those of all layers and directions, and the outputs of the layers in between.
    pub const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        let tape = self.first.tape_len(steps, batch);
        add(self.total(tape, tape), self.outputs_len(steps, batch))
    }

    /// What the backward pass needs of outputs besides the last layer's. When directions are added, the parts are needed.
    const fn outputs_len(&self, steps: usize, batch: usize) -> usize {
        let output = self.sequence_len(steps, batch);
        match self.both {
            Some(Merge::Sum) => mul(mul(output, 2), self.layers),
            _ => mul(output, self.layers - 1),
        }
    }

    /// Length of a layer's output.
    const fn sequence_len(&self, steps: usize, batch: usize) -> usize {
        mul(mul(steps, batch), self.output())
    }

    /// Length of the scratch of [`forward`](Self::forward).
    pub const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        let layer = mul(self.directions(), self.first.scratch_len(steps, batch));
        let between = if self.layers > 1 { 2 } else { 0 };
        let parts = if let Some(Merge::Sum) = self.both { 1 } else { 0 };
        add(layer, mul(self.sequence_len(steps, batch), between + parts))
    }

    /// Length of the scratch of [`forward_train`](Self::forward_train) and [`backward`](Self::backward).
    pub const fn train_scratch_len(&self, steps: usize, batch: usize) -> usize {
        let layer = mul(self.directions(), self.own(batch));
        let between = if self.layers > 1 { 3 } else { 0 };
        add(layer, mul(self.sequence_len(steps, batch), between))
    }

    /// Scratch of one direction of any layer in training.
    const fn own(&self, batch: usize) -> usize {
        let (first, last) = (self.layer(0, 0), self.layer(self.layers - 1, 0));
        max(first.train_scratch_len(batch), last.train_scratch_len(batch))
    }

    fn owner(&self) -> Owner {
        Owner::Recurrent(LayerId { layers: self.layers, both: self.both, ..self.first.id() })
    }
}

impl<C: Cell> Stack<C> {
    /// Arranges canonical weights for this stack's instruction set, in a buffer of [`packed_len`](Self::packed_len) elements.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights` or `packed`.
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], mut packed: B) -> Result<Packed<B>> {
        check_len("weights", self.weights_len(), weights.len())?;
        let buffer = packed.as_mut();
        check_room("packed", self.packed_len(), buffer.len())?;
        let start = aligned_start(buffer);
        let (isa, mut from, mut to) = (self.first.isa(), weights, &mut buffer[start..]);
        for layer in self.each() {
            let w = self.canonical(&layer, take(&mut from, layer.weights_len()))?;
            // The last one may lack what was left out to align the first.
            let len = layer.packed_len().min(to.len());
            layer.cell().table(layer.options).pack(isa, w, take_mut(&mut to, len));
        }
        Ok(Packed { isa, owner: self.owner(), start, data: packed })
    }

    fn canonical<'a>(&self, layer: &Recurrent<C>, weights: &'a [f32]) -> Result<Canonical<'a>> {
        Canonical::new(layer.shape, weights).ok_or(Error::Overflow { buffer: "weights" })
    }

    /// All layers and directions, in the order of their weights.
    fn each(self) -> impl Iterator<Item = Recurrent<C>> {
        let directions = self.directions();
        (0..mul(self.layers, directions)).map(move |n| self.layer(n / directions, n % directions))
    }
}
