//! Training: the forward pass with a tape, and backpropagation from the last level to the first.

use super::args::{Backward, ForwardTrain};
use super::join::{Join, Merge, run_both};
use super::levels::Levels;
use super::pass::{Given, Gradient};
use crate::error::{Error, Result, check_len, check_room};
use crate::kernel::Walk;
use crate::kernel::view::{Columns, ColumnsMut};
use crate::layer::buffer::{add_to, multiply, take_last_mut, take_mut};
use crate::layer::gradients::Gradients;
use crate::layer::sequences::Sequences;

/// What both training passes are given for all levels.
#[derive(Clone, Copy)]
struct All<'a> {
    weights: &'a [f32],
    walks: &'a [Walk<'a>; 2],
    x: &'a [f32],
    recurrent_dropout: Option<&'a [f32]>,
    layer_dropout: Option<&'a [f32]>,
    /// Length of a level's output.
    output: usize,
}

impl Levels {
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward_train(
        &self,
        join: Option<&dyn Join>,
        weights: &[f32],
        args: ForwardTrain<'_>,
    ) -> Result<()> {
        let ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch } = &args;
        let walks = self.walks(*sequences)?;
        let (dropout, state) = ((*recurrent_dropout, *layer_dropout), ("state", state.len()));
        self.check(weights, *sequences, (x.len(), y.len()), state, dropout, (tape.len(), scratch.len()))?;
        self.run_forward_train(join, weights, &walks, args)
    }

    /// The same over buffers that have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn run_forward_train(
        &self,
        join: Option<&dyn Join>,
        weights: &[f32],
        walks: &[Walk<'_>; 2],
        args: ForwardTrain<'_>,
    ) -> Result<()> {
        let ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch } = args;
        let (steps, batch, rows) = (sequences.steps, sequences.batch, walks[0].rows());
        let (first, width, output) = (&self.first, self.first.width(), y.len());
        let (states, tapes) = (first.state_len(batch), first.tape_len(steps, batch));
        let all = All { weights, walks, x, recurrent_dropout, layer_dropout, output };
        let (passes, outputs) = tape.split_at_mut(self.passes_len(steps, batch));
        let (mut passes, mut state, mut scratch) = (passes, state, scratch);
        let own = self.train_scratch(batch);
        let own_f = take_mut(&mut scratch, own);
        let own_r = take_mut(&mut scratch, if self.both.is_some() { own } else { 0 });
        for index in 0..self.depth {
            let (shape, is_last) = (self.shape(index), index + 1 == self.depth);
            let (done, here) = outputs.split_at_mut(self.outputs_at(index, output));
            let x = self.input_of(&all, index, done, scratch);
            let (state_f, tape_f) = (take_mut(&mut state, states), take_mut(&mut passes, tapes));
            let given_f = self.given(&all, x, index, 0, batch);
            let to = match self.both {
                Some(Merge::Sum) => &mut here[..2 * output],
                _ if is_last => &mut *y,
                _ => &mut here[..output],
            };
            let Some(merge) = self.both else {
                let to = ColumnsMut::new(to, rows, width);
                first.forward_train(shape, given_f, to, state_f, tape_f, own_f)?;
                continue;
            };
            let (mut y_f, mut y_r) = match merge {
                Merge::Sum => {
                    let (a, b) = to.split_at_mut(output);
                    (ColumnsMut::new(a, rows, width), ColumnsMut::new(b, rows, width))
                }
                Merge::Concat => ColumnsMut::new(to, rows, 2 * width).split(width),
            };
            let (state_r, tape_r) = (take_mut(&mut state, states), take_mut(&mut passes, tapes));
            let given_r = self.given(&all, x, index, 1, batch);
            run_both(
                join,
                || first.forward_train(shape, given_f, y_f.reborrow(), state_f, tape_f, own_f),
                || first.forward_train(shape, given_r, y_r.reborrow(), state_r, tape_r, own_r),
            )?;
            if is_last && merge == Merge::Sum {
                y.copy_from_slice(&here[..output]);
                add_to(y, &here[output..][..output]);
            }
        }
        Ok(())
    }

    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn backward(
        &self,
        join: Option<&dyn Join>,
        weights: &[f32],
        args: Backward<'_>,
    ) -> Result<()> {
        let Backward { sequences, x, y, dy, dstate, dx, grads, tape, scratch, .. } = &args;
        let walks = self.walks(*sequences)?;
        let (dropout, dstate) = ((args.recurrent_dropout, args.layer_dropout), ("dstate", dstate.len()));
        self.check(weights, *sequences, (x.len(), y.len()), dstate, dropout, (tape.len(), scratch.len()))?;
        if !dy.is_empty() {
            check_len("dy", y.len(), dy.len())?;
        }
        if let Some(dx) = dx {
            check_len("dx", x.len(), dx.len())?;
        }
        if let Some(grads) = grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        self.run_backward(join, weights, &walks, args)
    }

    /// The same over buffers that have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn run_backward(
        &self,
        join: Option<&dyn Join>,
        weights: &[f32],
        walks: &[Walk<'_>; 2],
        args: Backward<'_>,
    ) -> Result<()> {
        let Backward { sequences, x, y, dy, dstate, mut dx, mut grads, mode, tape, scratch, .. } = args;
        let Backward { recurrent_dropout, layer_dropout, .. } = args;
        let (steps, batch) = (sequences.steps, sequences.batch);
        let (first, output, add) = (&self.first, y.len(), mode == Gradients::Accumulate);
        let (states, tapes) = (first.state_len(batch), first.tape_len(steps, batch));
        let all = All { weights, walks, x, recurrent_dropout, layer_dropout, output };
        let (passes, outputs) = tape.split_at_mut(self.passes_len(steps, batch));
        let (mut passes, mut dstate, mut scratch, outputs) = (passes, dstate, scratch, &*outputs);
        let own = self.train_scratch(batch);
        let own_f = take_mut(&mut scratch, own);
        let own_r = take_mut(&mut scratch, if self.both.is_some() { own } else { 0 });
        let between = if self.depth > 1 { output } else { 0 };
        let room = take_mut(&mut scratch, between);
        let (mut above, mut below) = (take_mut(&mut scratch, between), take_mut(&mut scratch, between));
        // From the last level to the first, and of each the reverse direction first.
        for index in (0..self.depth).rev() {
            let (shape, is_last) = (self.shape(index), index + 1 == self.depth);
            let x = self.input_of(&all, index, outputs, room);
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
            let mut take_grads = || grads.as_mut().map(|grads| take_last_mut(grads, shape.len()));
            let mut next = || (take_last_mut(&mut dstate, states), take_last_mut(&mut passes, tapes));
            let to = match index {
                0 => dx.take(),
                _ => Some(&mut *below),
            };
            let given_f = self.given(&all, x, index, 0, batch);
            let Some(_) = self.both else {
                let ((dstate, tape), grads) = (next(), take_grads());
                let gradient = Gradient { dy: dy_f, dstate, grads, add };
                first.backward(shape, given_f, y_f, gradient, tape, own_f)?;
                if let Some(to) = to {
                    first.input_gradient(shape, given_f, (&mut *to, false), tape, own_f)?;
                    self.drop_out(&all, index, to);
                }
                core::mem::swap(&mut above, &mut below);
                continue;
            };
            let given_r = self.given(&all, x, index, 1, batch);
            let ((dstate_r, tape_r), mut grads_r) = (next(), take_grads());
            let ((dstate_f, tape_f), mut grads_f) = (next(), take_grads());
            run_both(
                join,
                || {
                    let (dstate, grads) = (&mut *dstate_f, grads_f.as_deref_mut());
                    let gradient = Gradient { dy: dy_f, dstate, grads, add };
                    first.backward(shape, given_f, y_f, gradient, tape_f, own_f)
                },
                || {
                    let (dstate, grads) = (&mut *dstate_r, grads_r.as_deref_mut());
                    let gradient = Gradient { dy: dy_r, dstate, grads, add };
                    first.backward(shape, given_r, y_r, gradient, tape_r, own_r)
                },
            )?;
            if let Some(to) = to {
                first.input_gradient(shape, given_f, (&mut *to, false), tape_f, own_f)?;
                first.input_gradient(shape, given_r, (&mut *to, true), tape_r, own_r)?;
                self.drop_out(&all, index, to);
            }
            core::mem::swap(&mut above, &mut below);
        }
        Ok(())
    }

    /// The factors of what goes into a level, if there are some.
    fn factors_of<'a>(&self, all: &All<'a>, index: usize) -> Option<&'a [f32]> {
        let (factors, below) = all.layer_dropout.zip(index.checked_sub(1))?;
        Some(&factors[below * all.output..][..all.output])
    }

    /// The gradient of what came out of the level below, from that of what went into this one.
    fn drop_out(&self, all: &All<'_>, index: usize, to: &mut [f32]) {
        if let Some(factors) = self.factors_of(all, index) {
            multiply(to, factors);
        }
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

    /// Where a level's outputs start among those that the tape keeps.
    fn outputs_at(&self, index: usize, output: usize) -> usize {
        index * output * if self.both == Some(Merge::Sum) { 2 } else { 1 }
    }

    /// What a level sees: the input, or what the level below it made of it, in `room` if that is not kept as it is.
    fn input_of<'a>(
        &self,
        all: &All<'a>,
        index: usize,
        outputs: &'a [f32],
        room: &'a mut [f32],
    ) -> &'a [f32] {
        let Some(below) = index.checked_sub(1) else { return all.x };
        let (made, output) = (&outputs[self.outputs_at(below, all.output)..], all.output);
        let (sum, factors) = (self.both == Some(Merge::Sum), self.factors_of(all, index));
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

    /// What one direction of a level is given.
    #[inline(always)]
    fn given<'a>(
        &self,
        all: &All<'a>,
        x: &'a [f32],
        index: usize,
        direction: usize,
        batch: usize,
    ) -> Given<'a> {
        let (place, len) = (index * self.directions() + direction, self.shape(index).len());
        // Those of the first level are as long as each other, and so are all others.
        let first = self.first.shape.len();
        let start = match index {
            0 => direction * first,
            _ => self.directions() * first + (place - self.directions()) * len,
        };
        let factors = batch * self.first.width();
        Given {
            weights: &all.weights[start..][..len],
            walk: &all.walks[direction],
            x,
            factors: all.recurrent_dropout.map(|all| &all[place * factors..][..factors]),
        }
    }

    fn check(
        &self,
        weights: &[f32],
        sequences: Sequences<'_>,
        (x, y): (usize, usize),
        (state_name, state): (&'static str, usize),
        (recurrent, between): (Option<&[f32]>, Option<&[f32]>),
        (tape, scratch): (usize, usize),
    ) -> Result<()> {
        let (steps, batch) = (sequences.steps, sequences.batch);
        check_len("weights", self.weights_len(), weights.len())?;
        check_len("x", steps.saturating_mul(batch).saturating_mul(self.input()), x)?;
        check_len("y", self.sequence_len(steps, batch), y)?;
        check_len(state_name, self.state_len(batch), state)?;
        check_len("tape", self.tape_len(steps, batch), tape)?;
        check_room("scratch", self.train_scratch_len(steps, batch), scratch)?;
        if let Some(factors) = recurrent {
            if !self.first.recurrent_dropout {
                let expected = "none, for a layer that was not made with it";
                return Err(Error::Value { argument: "recurrent_dropout", expected });
            }
            check_len("recurrent_dropout", self.recurrent_dropout_len(batch), factors.len())?;
        }
        match between {
            Some([_, ..]) if self.depth == 1 => {
                Err(Error::Value { argument: "layer_dropout", expected: "none, for a single layer" })
            }
            Some(factors) => check_len("layer_dropout", self.layer_dropout_len(steps, batch), factors.len()),
            None => Ok(()),
        }
    }
}
