//! Training: the forward pass with a tape, and backpropagation from the last level to the first.

use super::args::{Backward, ForwardTrain};
use super::cut::Cut;
use super::gradients::Gradient;
use super::levels::Levels;
use super::merge::{Merge, both};
use super::pass::Given;
use crate::error::{Error, Need, Result, check_len, check_room, check_shape};
use crate::kernel::Walk;
use crate::kernel::view::Columns;
use crate::layer::buffer::{add_to, multiply, take_last_mut, take_mut};
use crate::layer::gradients::Gradients;
use crate::layer::join::Team;
use crate::layer::packed::Source;
use crate::layer::sequences::Sequences;

/// The inputs of a training pass, for all levels.
#[derive(Clone, Copy)]
struct All<'a> {
    weights: &'a [f32],
    walks: &'a [Walk<'a>; 2],
    x: &'a [f32],
    recurrent_dropout: Option<&'a [f32]>,
    layer_dropout: Option<&'a [f32]>,
    /// Length of a level's output.
    output: usize,
    batch: usize,
}

impl Levels {
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn forward_train(
        &self,
        team: Option<Team<'_>>,
        weights: &[f32],
        args: ForwardTrain<'_>,
    ) -> Result<()> {
        let ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch } = &args;
        let walks = self.walks(*sequences)?;
        let (dropout, state) = ((*recurrent_dropout, *layer_dropout), ("state", state.len()));
        let sizes = (tape.len(), scratch.len());
        self.check(team, weights, *sequences, (x.len(), y.len()), state, dropout, sizes)?;
        self.run_forward_train(team, weights, &walks, args)
    }

    /// The same; the buffers have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn run_forward_train(
        &self,
        team: Option<Team<'_>>,
        weights: &[f32],
        walks: &[Walk<'_>; 2],
        args: ForwardTrain<'_>,
    ) -> Result<()> {
        let ForwardTrain { sequences, x, y, state, recurrent_dropout, layer_dropout, tape, scratch } = args;
        let (steps, batch, rows) = (sequences.steps, sequences.batch, walks[0].rows());
        let (first, is_both, output) = (&self.first, self.both.is_some(), y.len());
        let (states, tapes) = (first.state_len(batch), first.tape_len(steps, batch));
        let all = All { weights, walks, x, recurrent_dropout, layer_dropout, output, batch };
        let (passes, outputs) = tape.split_at_mut(self.passes_len(steps, batch));
        let (mut passes, mut state, mut scratch) = (passes, state, scratch);
        let cut = self.cut(team, steps, batch, None);
        let [own_f, own_r] = self.pair(&mut scratch, self.train_scratch(cut.rows, batch));
        for index in 0..self.depth {
            let (shape, is_last) = (self.shape(index), index + 1 == self.depth);
            let (done, here) = outputs.split_at_mut(self.outputs_at(index, output));
            let x = self.input_of(&all, index, done, scratch);
            let [state_f, state_r] = self.pair(&mut state, states);
            let [tape_f, tape_r] = self.pair(&mut passes, tapes);
            let [given_f, given_r] = self.given(&all, x, index);
            let (to, part) = match self.both {
                Some(Merge::Sum) => here[..2 * output].split_at_mut(output),
                _ if is_last => (&mut *y, &mut [][..]),
                _ => here.split_at_mut(output),
            };
            let [mut y_f, mut y_r] = self.views(to, part, rows);
            both!(
                team,
                is_both,
                first.forward_train(cut, shape, given_f, y_f.take(), state_f, tape_f, own_f),
                first.forward_train(cut, shape, given_r, y_r.take(), state_r, tape_r, own_r),
            );
            if is_last && self.both == Some(Merge::Sum) {
                y.copy_from_slice(&here[..output]);
                add_to(y, &here[output..][..output]);
            }
        }
        Ok(())
    }

    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn backward(&self, team: Option<Team<'_>>, weights: &[f32], args: Backward<'_>) -> Result<()> {
        let Backward { sequences, x, y, dy, dstate, dx, grads, tape, scratch, .. } = &args;
        let walks = self.walks(*sequences)?;
        let (dropout, dstate) = ((args.recurrent_dropout, args.layer_dropout), ("dstate", dstate.len()));
        let sizes = (tape.len(), scratch.len());
        self.check(team, weights, *sequences, (x.len(), y.len()), dstate, dropout, sizes)?;
        if !dy.is_empty() {
            check_shape("dy", Need::AS_OUTPUT, y.len(), dy.len())?;
        }
        if let Some(dx) = dx {
            check_shape("dx", Need::AS_INPUT, x.len(), dx.len())?;
        }
        if let Some(grads) = grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        self.run_backward(team, weights, &walks, args)
    }

    /// The same; the buffers have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn run_backward(
        &self,
        team: Option<Team<'_>>,
        weights: &[f32],
        walks: &[Walk<'_>; 2],
        args: Backward<'_>,
    ) -> Result<()> {
        let Backward { sequences, x, y, dy, dstate, mut dx, mut grads, mode, tape, scratch, .. } = args;
        let Backward { recurrent_dropout, layer_dropout, .. } = args;
        let (steps, batch) = (sequences.steps, sequences.batch);
        let (first, is_both, output) = (&self.first, self.both.is_some(), y.len());
        let (states, tapes) = (first.state_len(batch), first.tape_len(steps, batch));
        let (all, add) = (
            All { weights, walks, x, recurrent_dropout, layer_dropout, output, batch },
            mode == Gradients::Accumulate,
        );
        let (passes, outputs) = tape.split_at_mut(self.passes_len(steps, batch));
        let (mut passes, mut dstate, mut scratch, outputs) = (passes, dstate, scratch, &*outputs);
        let cut = self.cut(team, steps, batch, None);
        let [own_f, own_r] = self.pair(&mut scratch, self.train_scratch(cut.rows, batch));
        let between = if self.depth > 1 { output } else { 0 };
        let room = take_mut(&mut scratch, between);
        let (mut above, mut below) = (take_mut(&mut scratch, between), take_mut(&mut scratch, between));
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
            let [state_f, state_r] = self.last_pair(&mut dstate, states);
            let [tape_f, tape_r] = self.last_pair(&mut passes, tapes);
            let [grads_f, grads_r] = match &mut grads {
                Some(grads) => self.last_pair(grads, shape.len()).map(Some),
                None => [None, None],
            };
            let [given_f, given_r] = self.given(&all, x, index);
            let to = match index {
                0 => dx.take(),
                _ => Some(&mut *below),
            };
            both!(
                team,
                is_both,
                {
                    let (dstate, grads) = (&mut *state_f, grads_f);
                    let gradient = Gradient { dy: dy_f, dstate, grads, add };
                    first.backward_train(cut, shape, given_f, y_f, gradient, tape_f, own_f)
                },
                {
                    let (dstate, grads) = (&mut *state_r, grads_r);
                    let gradient = Gradient { dy: dy_r, dstate, grads, add };
                    first.backward_train(cut, shape, given_r, y_r, gradient, tape_r, own_r)
                },
            );
            if let Some(to) = to {
                let input_cut = self.input_cut(cut);
                first.input_gradient(input_cut, shape, given_f, (&mut *to, false), tape_f, own_f)?;
                if is_both {
                    first.input_gradient(input_cut, shape, given_r, (&mut *to, true), tape_r, own_r)?;
                }
                if let Some(factors) = self.factors_of(&all, index) {
                    multiply(to, factors);
                }
            }
            core::mem::swap(&mut above, &mut below);
        }
        Ok(())
    }

    /// How to split the gradient of the input. Here the directions run one after the other, so each gets all
    /// threads.
    #[inline(always)]
    fn input_cut<'j>(&self, cut: Cut<'j>) -> Cut<'j> {
        Cut { sums: cut.sums * if cut.sums > 1 { self.directions() } else { 1 }, ..cut }
    }

    /// Takes `len` elements from the end for each direction; an empty slice if there is no second direction.
    #[inline(always)]
    fn last_pair<'a>(&self, rest: &mut &'a mut [f32], len: usize) -> [&'a mut [f32]; 2] {
        self.pair(&mut take_last_mut(rest, self.directions() * len), len)
    }

    /// The dropout factors of a level's input, if there are some.
    fn factors_of<'a>(&self, all: &All<'a>, index: usize) -> Option<&'a [f32]> {
        let (factors, below) = all.layer_dropout.zip(index.checked_sub(1))?;
        Some(&factors[below * all.output..][..all.output])
    }

    /// The columns of the two directions in an output or in its gradient.
    fn columns<'a>(&self, of: &'a [f32]) -> [Columns<'a>; 2] {
        let width = self.first.width();
        match self.both {
            Some(Merge::Concat) => {
                [0, width].map(|column| Columns { data: of, ld: 2 * width, column, width })
            }
            _ => [Columns::all(of, width); 2],
        }
    }

    /// The offset of a level's outputs among those on the tape.
    fn outputs_at(&self, index: usize, output: usize) -> usize {
        index * output * if self.both == Some(Merge::Sum) { 2 } else { 1 }
    }

    /// The input of a level: `x`, or the output of the level below. If that needs a sum or dropout, it is
    /// computed in `room`.
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

    /// The inputs of each direction of a level; the same twice if there is one direction.
    #[inline(always)]
    fn given<'a>(&self, all: &All<'a>, x: &'a [f32], index: usize) -> [Given<'a>; 2] {
        let (directions, len) = (self.directions(), self.shape(index).len());
        let below = match index {
            0 => 0,
            _ => directions * (self.first.shape.len() + (index - 1) * len),
        };
        let factors = all.batch * self.first.width();
        [0, directions - 1].map(|direction| {
            let place = (index * directions + direction) * factors;
            Given {
                weights: Source::Canonical(&all.weights[below + direction * len..][..len]),
                walk: &all.walks[direction],
                x,
                factors: all.recurrent_dropout.map(|all| &all[place..][..factors]),
            }
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn check(
        &self,
        team: Option<Team<'_>>,
        weights: &[f32],
        sequences: Sequences<'_>,
        (x, y): (usize, usize),
        (state_name, state): (&'static str, usize),
        (recurrent, between): (Option<&[f32]>, Option<&[f32]>),
        (tape, scratch): (usize, usize),
    ) -> Result<()> {
        let (steps, batch) = (sequences.steps, sequences.batch);
        self.first.check_options()?;
        check_len("weights", self.weights_len(), weights.len())?;
        check_shape(
            "x",
            Need::STEPS_ROWS_INPUTS,
            steps.saturating_mul(batch).saturating_mul(self.input()),
            x,
        )?;
        check_shape("y", Need::STEPS_ROWS_OUTPUTS, self.sequence_len(steps, batch), y)?;
        check_len(state_name, self.state_len(batch), state)?;
        check_len("tape", self.tape_len(steps, batch), tape)?;
        let threads = team.map_or(1, |team| team.threads());
        check_room("scratch", self.train_scratch_len_with(threads, steps, batch), scratch)?;
        if let Some(factors) = recurrent {
            if !self.first.recurrent_dropout {
                let expected = "empty for a layer that was made without it";
                return Err(Error::Value { argument: "recurrent_dropout", expected });
            }
            check_len("recurrent_dropout", self.recurrent_dropout_len(batch), factors.len())?;
        }
        match between {
            Some([_, ..]) if self.depth == 1 => {
                Err(Error::Value { argument: "layer_dropout", expected: "empty for a single layer" })
            }
            Some(factors) => check_len("layer_dropout", self.layer_dropout_len(steps, batch), factors.len()),
            None => Ok(()),
        }
    }
}
