//! The passes of a recurrent layer, and the checks of their arguments.

use super::args::{Backward, Forward, ForwardTrain, Gradients};
use super::recurrent::Recurrent;
use super::run::run_step;
use super::sequences::Sequences;
use super::weights::{Packed, WeightSource};
use crate::cell;
use crate::error::{Error, Result, check_len, check_room};
use crate::kernel::Walk;
use crate::kernel::pack::{Canonical, aligned_start};
use crate::kernel::view::{Columns, ColumnsMut};
use crate::seq::forward::{self, InPanels, InPlace, StepPass};
use crate::seq::{Passes, run};
use crate::simd::Isa;

/// Length of `[T, B, n]`.
fn sequence_len(walk: &Walk<'_>, n: usize) -> usize {
    walk.rows().saturating_mul(n)
}

/// A recurrent cell with the passes over it: the bound of code that takes a layer of any cell.
///
/// Implemented by [`RnnCell`](crate::RnnCell), [`LstmCell`](crate::LstmCell), [`GruCell`](crate::GruCell) and
/// [`MguCell`](crate::MguCell), and closed, because it builds on private traits.
///
/// ```
/// use recurrent::{Cell, Gru, Lstm, Recurrent, Result};
/// /// The state after one step from zero.
/// fn first<C: Cell>(layer: Recurrent<C>, weights: &[f32], x: &[f32]) -> Result<Vec<f32>> {
///     let (mut state, mut scratch) = (vec![0.0; layer.state_len(1)], vec![0.0; layer.scratch_len(1, 1)]);
///     layer.step(weights, x, &mut state, &mut scratch)?;
///     Ok(state)
/// }
/// let (gru, lstm) = (Gru::new(1, 2), Lstm::new(1, 2));
/// assert_eq!(first(gru, &vec![0.0; gru.weights_len()], &[1.0])?, [0.0; 2]);
/// assert_eq!(first(lstm, &vec![0.0; lstm.weights_len()], &[1.0])?, [0.0; 4]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[allow(private_bounds, reason = "it is closed: the passes are private")]
pub trait Cell: cell::Cell + Passes {}

impl<C: cell::Cell + Passes> Cell for C {}

impl<C: Cell> Recurrent<C> {
    fn canonical<'a>(&self, flat: &'a [f32]) -> Result<Canonical<'a>> {
        check_len("weights", self.weights_len(), flat.len())?;
        Canonical::new(self.shape, flat).ok_or(Error::Overflow { buffer: "weights" })
    }

    /// Arranges canonical weights for this layer's instruction set, in a buffer of [`packed_len`](Self::packed_len) elements.
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
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], mut packed: B) -> Result<Packed<B>> {
        let w = self.canonical(weights)?;
        let (isa, buffer) = (self.isa(), packed.as_mut());
        check_room("packed", self.packed_len(), buffer.len())?;
        let start = aligned_start(buffer);
        self.cell().pack(self.options, isa, w, &mut buffer[start..]);
        Ok(Packed { isa, owner: self.owner(), start, data: packed })
    }

    /// The source of the weights for a pass, and the instruction set to run it on.
    #[inline(always)]
    fn source<'a>(&self, weights: WeightSource<'a>) -> Result<(Isa, forward::Weights<'a>)> {
        match weights {
            WeightSource::Canonical(flat) => {
                Ok((self.isa(), forward::Weights::InPlace(self.canonical(flat)?)))
            }
            WeightSource::Packed(packed) => {
                packed.check(self.owner(), self.isa, self.packed_len())?;
                let panels = packed.data.get(packed.start..).unwrap_or_default();
                Ok((packed.isa, forward::Weights::Packed(panels)))
            }
        }
    }

    /// One step: the next state of each row from its input. The hidden state that it leaves is the output.
    ///
    /// `x` is `[B, I]` and `state` `[B, H]` (for an LSTM `h` then `c`); the batch is what `state` has room for.
    /// `scratch` has at least [`scratch_len(1, B)`](Self::scratch_len) elements. Any number of steps gives the
    /// same bits as one [`forward`](Self::forward) over all of them.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Packing`] if the weights were packed for another layer.
    #[inline(always)]
    pub fn step<'w>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: &[f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        // Before anything else sees the layer: that it is a constant is known to the compiler for as long.
        let (cell, options, isa) = (self.cell(), self.options, self.isa());
        match weights.into() {
            WeightSource::Canonical(flat) => {
                // Returned by value, this large thing would be on the stack twice.
                let mut pass = None;
                let w = self.canonical(flat)?;
                self.step_pass(x, state, scratch, &mut pass)?;
                if let Some(pass) = &mut pass {
                    run(cell, options, isa, InPlace::<_, false>(&w, pass));
                }
            }
            WeightSource::Packed(packed) => {
                packed.check(self.owner(), self.isa, self.packed_len())?;
                let mut pass = None;
                self.step_pass(x, state, scratch, &mut pass)?;
                if let Some(pass) = &mut pass {
                    let data = packed.data.get(packed.start..).unwrap_or_default();
                    let (dims, peepholes) = (self.shape.dims(), self.shape.peepholes_len());
                    run_step(cell, options, packed.isa, &InPanels { data, dims, peepholes }, pass);
                }
            }
        }
        Ok(())
    }

    /// The batch that a state has room for.
    fn step_batch(&self, x: usize, state: usize) -> Result<usize> {
        let row = self.state_len(1);
        // Most often there is one row, and a division takes as long as a small layer's activations.
        if state == row {
            return Ok(1);
        }
        match (state.checked_div(row), state.checked_rem(row)) {
            (Some(batch), Some(0)) => Ok(batch),
            _ => {
                // `x` says how many rows were meant.
                let rows = x.checked_div(self.input()).unwrap_or(1).max(1);
                check_len("state", self.state_len(rows), state).map(|()| rows)
            }
        }
    }

    /// The buffers of a step. Nothing in it can panic. A constant layer's lengths are constants in it.
    #[inline(always)]
    fn step_pass<'a>(
        &self,
        x: &'a [f32],
        state: &'a mut [f32],
        scratch: &'a mut [f32],
        out: &mut Option<StepPass<'a>>,
    ) -> Result<()> {
        let batch = self.step_batch(x.len(), state.len())?;
        check_len("x", batch.saturating_mul(self.input()), x.len())?;
        check_len("state", self.state_len(batch), state.len())?;
        check_room("scratch", self.step_scratch(batch), scratch.len())?;
        let units = batch.saturating_mul(self.width());
        let parts = state.split_at_mut_checked(units).zip(scratch.split_at_mut_checked(units));
        let Some(((h, c), (h_next, stage))) = parts else {
            return Err(Error::Overflow { buffer: "scratch" });
        };
        let stage = stage.get_mut(..batch.saturating_mul(self.stage_row())).unwrap_or_default();
        *out = Some(StepPass { batch, x, h, c, h_next, stage });
        Ok(())
    }

    /// A batch of sequences from a given state: every hidden state, and the last state.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (also of the sequences' lists); [`Error::Index`] for a length above the
    /// steps; [`Error::Packing`] if the weights were packed for another layer, or for another instruction set than it is pinned to.
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
        let (isa, weights) = self.source(weights.into())?;
        let Forward { sequences, x, y, state, scratch } = args;
        let walk = sequences.walk(self.reverse)?;
        self.check_sequence(&walk, x.len(), state.len())?;
        if !y.is_empty() {
            check_len("y", sequence_len(&walk, self.width()), y.len())?;
        }
        check_room("scratch", self.scratch_len(sequences.steps, sequences.batch), scratch.len())?;
        let y = (!y.is_empty()).then(|| ColumnsMut::new(y, walk.rows(), self.width()));
        self.run_forward(isa, weights, &walk, x, y, state, scratch);
        Ok(())
    }

    /// As [`forward`](Self::forward), from canonical weights, and keeps on the tape what [`backward`](Self::backward) needs.
    /// The outputs have the same bits.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer (also of the sequences' lists); [`Error::Index`] for a length above the
    /// steps; [`Error::Value`] for factors of dropout that the layer was not made for.
    pub fn forward_train(&self, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        let w = self.canonical(weights)?;
        let ForwardTrain { sequences, x, y, state, recurrent_dropout: factors, layer_dropout, tape, scratch } =
            args;
        let walk = sequences.walk(self.reverse)?;
        self.check_train(
            &walk,
            sequences,
            x.len(),
            y.len(),
            ("state", state.len()),
            tape.len(),
            scratch.len(),
        )?;
        self.check_factors(factors, layer_dropout, sequences.batch)?;
        let y = ColumnsMut::new(y, walk.rows(), self.width());
        self.run_forward_train(w, &walk, x, y, state, factors, tape, scratch);
        Ok(())
    }

    /// Backpropagation through time: from the gradients of the outputs and of the last state to those of the weights,
    /// the input and the initial state.
    ///
    /// `weights`, `x`, `y` and `tape` are those of the forward pass. For truncated backpropagation, run `forward_train` and
    /// `backward` on one chunk after the other: carry the state, and start every chunk's `dstate` at zero.
    ///
    /// # Errors
    /// As [`forward_train`](Self::forward_train).
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
    pub fn backward(&self, weights: &[f32], args: Backward<'_>) -> Result<()> {
        let weights = self.canonical(weights)?;
        let Backward {
            sequences,
            x,
            y,
            dy,
            dstate,
            dx,
            grads,
            mode,
            recurrent_dropout: factors,
            layer_dropout,
            tape,
            scratch,
        } = args;
        let walk = sequences.walk(self.reverse)?;
        self.check_train(
            &walk,
            sequences,
            x.len(),
            y.len(),
            ("dstate", dstate.len()),
            tape.len(),
            scratch.len(),
        )?;
        if !dy.is_empty() {
            check_len("dy", y.len(), dy.len())?;
        }
        if let Some(dx) = &dx {
            check_len("dx", x.len(), dx.len())?;
        }
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        self.check_factors(factors, layer_dropout, sequences.batch)?;
        let accumulate = mode == Gradients::Accumulate;
        let (y, dy) = (Columns::all(y, self.width()), Columns::all(dy, self.width()));
        let dy = (!dy.data.is_empty()).then_some(dy);
        self.run_backward(weights, &walk, x, (y, dy), dstate, (grads, accumulate), factors, tape, scratch);
        if let Some(dx) = dx {
            self.run_input_gradient(weights, &walk, (dx, false), tape, scratch);
        }
        Ok(())
    }

    fn check_factors(
        &self,
        factors: Option<&[f32]>,
        layer_dropout: Option<&[f32]>,
        batch: usize,
    ) -> Result<()> {
        if layer_dropout.is_some() {
            return Err(Error::Value { argument: "layer_dropout", expected: "none, for a single layer" });
        }
        self.check_recurrent_dropout(factors, batch.saturating_mul(self.width()))
    }

    /// `len` is that of the factors of all layers that are like this one.
    pub(super) fn check_recurrent_dropout(&self, factors: Option<&[f32]>, len: usize) -> Result<()> {
        match factors {
            None => Ok(()),
            Some(_) if !self.recurrent_dropout => Err(Error::Value {
                argument: "recurrent_dropout",
                expected: "none, for a layer that was not made with it",
            }),
            Some(factors) => check_len("recurrent_dropout", len, factors.len()),
        }
    }

    #[inline(always)]
    fn check_sequence(&self, walk: &Walk<'_>, x: usize, state: usize) -> Result<()> {
        check_len("x", sequence_len(walk, self.input()), x)?;
        check_len("state", self.state_len(walk.batch()), state)
    }

    #[allow(clippy::too_many_arguments)]
    fn check_train(
        &self,
        walk: &Walk<'_>,
        sequences: Sequences<'_>,
        x: usize,
        y: usize,
        (name, state): (&'static str, usize),
        tape: usize,
        scratch: usize,
    ) -> Result<()> {
        check_len("x", sequence_len(walk, self.input()), x)?;
        check_len("y", sequence_len(walk, self.width()), y)?;
        check_len(name, self.state_len(walk.batch()), state)?;
        check_len("tape", self.tape_len(sequences.steps, sequences.batch), tape)?;
        check_room("scratch", self.train_scratch_len(sequences.batch), scratch)
    }
}
