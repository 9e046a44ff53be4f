//! Training: the forward pass with a tape, and backpropagation from the last layer to the first.

use super::forward::{add_to, walks};
use super::{Join, Merge, Sequential, Stack};
use crate::error::{Result, check_len, check_room};
use crate::kernel::Walk;
use crate::kernel::canonical::Canonical;
use crate::kernel::view::{Columns, ColumnsMut};
use crate::layer::Cell;
use crate::layer::args::{Backward, ForwardTrain, Gradients};
use crate::layer::buffer::{multiply, take_mut};

/// What a training pass of one layer in both of its directions is given.
struct Layer<'a> {
    weights: [Canonical<'a>; 2],
    factors: [Option<&'a [f32]>; 2],
    tape: [&'a mut [f32]; 2],
    /// States, or their gradients.
    state: [&'a mut [f32]; 2],
    scratch: [&'a mut [f32]; 2],
}

/// Runs both directions.
fn both(
    join: &impl Join,
    forward: impl FnOnce() -> Result<()> + Send,
    reverse: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    let (mut first, mut second) = (Ok(()), Ok(()));
    join.join(|| first = forward(), || second = reverse());
    first.and(second)
}

/// A number of elements for each direction; none for a second one that there is not.
fn pair(of: &mut [f32], first: usize, len: usize, directions: usize) -> [&mut [f32]; 2] {
    let (a, b) = of[first..][..directions * len].split_at_mut(len);
    [a, b]
}

impl<C: Cell> Stack<C> {
    /// As [`forward`](Self::forward), from canonical weights, and keeps on the tape what [`backward`](Self::backward) needs.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name of the buffer;
    /// [`Error::Value`](crate::Error::Value) for factors of recurrent dropout, if the layer was not made with it.
    pub fn forward_train(&self, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        self.forward_train_with(&Sequential, weights, args)
    }

    /// The same, with the two directions of each layer run by `join`. The results have the same bits.
    ///
    /// # Errors
    /// As for [`forward_train`](Self::forward_train).
    pub fn forward_train_with(
        &self,
        join: &impl Join,
        weights: &[f32],
        args: ForwardTrain<'_>,
    ) -> Result<()> {
        let ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch } = args;
        let walks = walks(self, sequences)?;
        let (dims, rows) = ((sequences.steps, sequences.batch), walks[0].rows());
        self.check(weights, &walks[0], (x.len(), y.len()), ("state", state.len()))?;
        self.check_rooms(dims, (recurrent_dropout, layer_dropout), tape.len(), scratch.len())?;

        let (width, output) = (self.first.width(), y.len());
        let mut scratch = scratch;
        let own = take_mut(&mut scratch, self.directions() * self.own(dims.1));
        let (passes, outputs) = self.split_tape(tape, dims);
        for index in 0..self.layers {
            let (done, here) = outputs.split_at_mut(self.outputs_at(index, output));
            let x = self.input_of(index, x, done, layer_dropout, scratch, output);
            let is_last = index + 1 == self.layers;
            let layer = self.at(index, dims, weights, recurrent_dropout, passes, state, own)?;
            let Layer { weights: [w_f, w_r], factors: [f_f, f_r], .. } = layer;
            let ([tape_f, tape_r], [state_f, state_r], [own_f, own_r]) =
                (layer.tape, layer.state, layer.scratch);
            let (forward, reverse) = (self.layer(index, 0), self.layer(index, 1));
            let (to_f, to_r) = match self.both {
                Some(Merge::Sum) => {
                    let (a, b) = here[..2 * output].split_at_mut(output);
                    (ColumnsMut::new(a, rows, width), Some(ColumnsMut::new(b, rows, width)))
                }
                both => {
                    let to = if is_last { &mut *y } else { &mut here[..output] };
                    let to = ColumnsMut::new(to, rows, self.output());
                    match both {
                        None => (to, None),
                        Some(_) => {
                            let (left, right) = to.split(width);
                            (left, Some(right))
                        }
                    }
                }
            };
            let run_f = || forward.run_forward_train(w_f, &walks[0], x, to_f, state_f, f_f, tape_f, own_f);
            match to_r {
                None => run_f()?,
                Some(to_r) => both(join, run_f, || {
                    reverse.run_forward_train(w_r, &walks[1], x, to_r, state_r, f_r, tape_r, own_r)
                })?,
            }
            if is_last && self.both == Some(Merge::Sum) {
                y.copy_from_slice(&here[..output]);
                add_to(y, &here[output..][..output]);
            }
        }
        Ok(())
    }

    /// Backpropagation through time and layers: from the gradients of the outputs and of the last states to those of the
    /// weights, the input and the initial states.
    ///
    /// # Errors
    /// As for [`forward_train`](Self::forward_train).
    pub fn backward(&self, weights: &[f32], args: Backward<'_>) -> Result<()> {
        self.backward_with(&Sequential, weights, args)
    }

    /// The same, with the two directions of each layer run by `join`. The results have the same bits.
    ///
    /// # Errors
    /// As for [`forward_train`](Self::forward_train).
    pub fn backward_with(&self, join: &impl Join, weights: &[f32], args: Backward<'_>) -> Result<()> {
        let Backward { sequences, x, y, dy, dstate, dx, grads, mode, .. } = args;
        let (recurrent_dropout, layer_dropout) = (args.recurrent_dropout, args.layer_dropout);
        let (tape, scratch, mut dx) = (args.tape, args.scratch, dx);
        let walks = walks(self, sequences)?;
        let dims = (sequences.steps, sequences.batch);
        self.check(weights, &walks[0], (x.len(), y.len()), ("dstate", dstate.len()))?;
        if !dy.is_empty() {
            check_len("dy", y.len(), dy.len())?;
        }
        if let Some(dx) = &dx {
            check_len("dx", x.len(), dx.len())?;
        }
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        self.check_rooms(dims, (recurrent_dropout, layer_dropout), tape.len(), scratch.len())?;

        let (output, add) = (y.len(), mode == Gradients::Accumulate);
        let (mut scratch, mut grads) = (scratch, grads);
        let own = take_mut(&mut scratch, self.directions() * self.own(dims.1));
        let between = if self.layers > 1 { output } else { 0 };
        let room = take_mut(&mut scratch, between);
        let (mut above, mut below) = (take_mut(&mut scratch, between), take_mut(&mut scratch, between));
        let (passes, outputs) = self.split_tape(tape, dims);
        let outputs = &*outputs;
        for index in (0..self.layers).rev() {
            let is_last = index + 1 == self.layers;
            let x = self.input_of(index, x, outputs, layer_dropout, room, output);
            let here = outputs.get(self.outputs_at(index, output)..).unwrap_or_default();
            let [y_f, y_r] = match self.both {
                Some(Merge::Sum) => {
                    let (a, b) = here.split_at(output);
                    [Columns::all(a, self.output()), Columns::all(&b[..output], self.output())]
                }
                _ => self.columns(if is_last { y } else { &here[..output] }),
            };
            let [dy_f, dy_r] = match is_last {
                true if dy.is_empty() => [None; 2],
                true => self.columns(dy).map(Some),
                false => self.columns(above).map(Some),
            };
            let layer = self.at(index, dims, weights, recurrent_dropout, passes, dstate, own)?;
            let Layer { weights: [w_f, w_r], factors: [f_f, f_r], .. } = layer;
            let ([tape_f, tape_r], [state_f, state_r], [own_f, own_r]) =
                (layer.tape, layer.state, layer.scratch);
            let (forward, reverse) = (self.layer(index, 0), self.layer(index, 1));
            let (mut grads_f, mut grads_r) = (None, None);
            if let Some(grads) = &mut grads {
                let len = forward.weights_len();
                let [a, b] = pair(grads, self.weights_at(index), len, self.directions());
                (grads_f, grads_r) = (Some(a), Some(b));
            }
            let (tape_forward, own_forward) = (&mut *tape_f, &mut *own_f);
            let run_f = || {
                let (y, grads) = ((y_f, dy_f), (grads_f, add));
                forward.run_backward(w_f, &walks[0], x, y, state_f, grads, f_f, tape_forward, own_forward)
            };
            let (tape_reverse, own_reverse) = (&mut *tape_r, &mut *own_r);
            match self.both {
                None => run_f()?,
                Some(_) => both(join, run_f, || {
                    let (y, grads) = ((y_r, dy_r), (grads_r, add));
                    reverse.run_backward(w_r, &walks[1], x, y, state_r, grads, f_r, tape_reverse, own_reverse)
                })?,
            }
            let to = match index {
                0 => dx.take(),
                _ => Some(&mut *below),
            };
            let Some(to) = to else { continue };
            forward.run_input_gradient(w_f, &walks[0], (&mut *to, false), tape_f, own_f)?;
            if self.both.is_some() {
                reverse.run_input_gradient(w_r, &walks[1], (&mut *to, true), tape_r, own_r)?;
            }
            if let (Some(factors), 1..) = (layer_dropout, index) {
                multiply(to, &factors[(index - 1) * output..][..output]);
            }
            core::mem::swap(&mut above, &mut below);
        }
        Ok(())
    }

    /// The two directions' columns of an output or of its gradient.
    fn columns<'a>(&self, of: &'a [f32]) -> [Columns<'a>; 2] {
        let width = self.first.width();
        match self.both {
            Some(Merge::Concat) => {
                [0, width].map(|column| Columns { data: of, ld: 2 * width, column, width })
            }
            _ => [Columns::all(of, width); 2],
        }
    }

    /// Where a layer's weights start.
    fn weights_at(&self, index: usize) -> usize {
        match index {
            0 => 0,
            _ => {
                let (first, other) = (self.layer(0, 0).weights_len(), self.layer(1, 0).weights_len());
                self.directions() * (first + (index - 1) * other)
            }
        }
    }

    /// Where a layer's outputs start among those that the tape keeps.
    fn outputs_at(&self, index: usize, output: usize) -> usize {
        index * output * if self.both == Some(Merge::Sum) { 2 } else { 1 }
    }

    /// What a layer sees: the input, or what the layer below it made of it, in `room` if that is not kept as it is.
    fn input_of<'a>(
        &self,
        index: usize,
        x: &'a [f32],
        outputs: &'a [f32],
        dropout: Option<&[f32]>,
        room: &'a mut [f32],
        output: usize,
    ) -> &'a [f32] {
        let Some(below) = index.checked_sub(1) else { return x };
        let made = &outputs[self.outputs_at(below, output)..];
        let factors = dropout.map(|factors| &factors[below * output..][..output]);
        let sum = self.both == Some(Merge::Sum);
        if !sum && factors.is_none() {
            return &made[..output];
        }
        let room = &mut room[..output];
        room.copy_from_slice(&made[..output]);
        if sum {
            add_to(room, &made[output..][..output]);
        }
        if let Some(factors) = factors {
            multiply(room, factors);
        }
        room
    }

    /// The tapes of all layers and directions, and the outputs.
    fn split_tape<'a>(
        &self,
        tape: &'a mut [f32],
        (steps, batch): (usize, usize),
    ) -> (&'a mut [f32], &'a mut [f32]) {
        let pass = self.first.tape_len(steps, batch);
        tape.split_at_mut(self.layers * self.directions() * pass)
    }

    /// The parts of the buffers that belong to one layer.
    #[allow(clippy::too_many_arguments)]
    fn at<'a>(
        &self,
        index: usize,
        (steps, batch): (usize, usize),
        weights: &'a [f32],
        dropout: Option<&'a [f32]>,
        tape: &'a mut [f32],
        state: &'a mut [f32],
        scratch: &'a mut [f32],
    ) -> Result<Layer<'a>> {
        let (layer, directions) = (self.layer(index, 0), self.directions());
        let len = layer.weights_len();
        let w = |direction: usize| {
            let at = self.weights_at(index) + direction.min(directions - 1) * len;
            self.canonical(&layer, &weights[at..][..len])
        };
        let factors = batch * layer.width();
        let factors = |direction: usize| {
            let at = (index * directions + direction.min(directions - 1)) * factors;
            dropout.map(|all| &all[at..][..factors])
        };
        let (tapes, states) = (layer.tape_len(steps, batch), layer.state_len(batch));
        Ok(Layer {
            weights: [w(0)?, w(1)?],
            factors: [factors(0), factors(1)],
            tape: pair(tape, index * directions * tapes, tapes, directions),
            state: pair(state, index * directions * states, states, directions),
            scratch: pair(scratch, 0, self.own(batch), directions),
        })
    }

    fn check(
        &self,
        weights: &[f32],
        walk: &Walk<'_>,
        (x, y): (usize, usize),
        (name, state): (&'static str, usize),
    ) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        check_len("x", walk.rows().saturating_mul(self.input()), x)?;
        check_len("y", walk.rows().saturating_mul(self.output()), y)?;
        check_len(name, self.state_len(walk.batch()), state)
    }

    fn check_rooms(
        &self,
        (steps, batch): (usize, usize),
        (recurrent, between): (Option<&[f32]>, Option<&[f32]>),
        tape: usize,
        scratch: usize,
    ) -> Result<()> {
        self.first.check_recurrent_dropout(recurrent, self.recurrent_dropout_len(batch))?;
        if let Some(factors) = between {
            check_len("layer_dropout", self.layer_dropout_len(steps, batch), factors.len())?;
        }
        check_len("tape", self.tape_len(steps, batch), tape)?;
        check_room("scratch", self.train_scratch_len(steps, batch), scratch)
    }
}
