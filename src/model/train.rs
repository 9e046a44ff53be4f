//! Training: forward with a tape, the loss, and backpropagation from the last layer to the first.

use core::ops::Range;

use super::Model;
use super::args::{Input, Training};
use super::layer::{Layer, Part, each};
use crate::error::{Error, Result, check_len, check_room};
use crate::layer::buffer::{add, mul, multiply, take_mut};
use crate::layer::{Backward, DenseBackward, ForwardTrain};

impl<const N: usize> Model<N> {
    /// The mean loss of a batch of sequences, and its gradients; the states become the last ones. For one of several batches they are shares
    /// of a mean over all: [`total_targets`](Training::total_targets).
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer;
    /// [`Error::Index`] for an id that is not below the embedding's classes or a target that is not below the
    /// outputs; [`Error::Value`] for values where ids are wanted, or the reverse, for a probability of recurrent dropout
    /// that no layer has a use for, and for fewer targets in total than in this batch.
    ///
    /// ```
    /// use recurrent::{Sequences, model::{Layer, Loss, Model, Training}, train::{Adam, clip_scale}};
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// const MODEL: Model<3> = Model::new([Layer::embedding(5, 4), Layer::gru(4, 8), Layer::dense(8, 5)]);
    /// let (steps, batch) = (6, 2);
    /// let (mut weights, mut grads) = (vec![0.0; MODEL.weights_len()], vec![0.0; MODEL.weights_len()]);
    /// let (mut tape, mut state) = (vec![0.0; MODEL.tape_len(steps, batch)], vec![0.0; MODEL.state_len(batch)]);
    /// let mut scratch = vec![0.0; MODEL.train_scratch_len(steps, batch)];
    /// let (mut adam, mut moments) = (Adam::new(0.02), vec![0.0; Adam::moments_len(weights.len())]);
    /// MODEL.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let x = [0, 1, /**/ 1, 2, /**/ 2, 3, /**/ 3, 4, /**/ 4, 0, /**/ 0, 1]; // [T, B]
    /// let next = x.map(|id| (id + 1) % 5);
    /// let mut losses = vec![];
    /// for _ in 0..40 {
    ///     state.fill(0.0);
    ///     losses.push(MODEL.forward_backward(&weights, Training {
    ///         sequences: Sequences::new(steps, batch), x: (&x).into(), loss: Loss::classes(&next),
    ///         grads: &mut grads, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
    ///     })?);
    ///     if let Some(clip) = clip_scale(&grads, 5.0)? {
    ///         adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale)?;
    ///     }
    /// }
    /// assert!(losses[0] > 1.3 && losses[39] < 0.3);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn forward_backward(&self, weights: &[f32], args: Training<'_>) -> Result<f32> {
        let Training { sequences, x, loss, total_targets, grads, mode, state, dropout, tape, scratch } = args;
        check_len("weights", self.weights_len(), weights.len())?;
        self.check_input(sequences, x)?;
        let (steps, batch) = (sequences.steps(), sequences.batch());
        let targets = self.targets(sequences, loss)?;
        if total_targets.is_some_and(|total| total < targets) {
            let expected = "at least the number of targets that count in this batch";
            return Err(Error::Value { argument: "total_targets", expected });
        }
        self.check_recurrent_dropout()?;
        check_len("grads", self.weights_len(), grads.len())?;
        check_len("state", self.state_len(batch), state.len())?;
        check_len("dropout", self.dropout_len(steps, batch), dropout.unwrap_or_default().len())?;
        check_len("tape", self.tape_len(steps, batch), tape.len())?;
        check_room("scratch", self.train_scratch_len(steps, batch), scratch.len())?;

        let at = |part, layer| self.range(part, layer, steps, batch);
        let factors = |layer| dropout.map(|all| &all[at(Part::Dropout, layer)]).filter(|f| !f.is_empty());
        let (outputs, tapes) = tape.split_at_mut(at(Part::Output, N - 1).end);
        let (mut rest, mut below) = (&mut *outputs, x);
        for (i, layer) in self.layers.iter().enumerate() {
            let dims = self.dims(i, steps, batch);
            let (w, x) = (&weights[at(Part::Weights, i)], below.values());
            let y = take_mut(&mut rest, layer.len(Part::Output, dims));
            let train = ForwardTrain {
                sequences,
                x,
                y: &mut *y,
                state: &mut state[at(Part::State, i)],
                recurrent_dropout: factors(i),
                layer_dropout: None,
                tape: &mut tapes[at(Part::Tape, i)],
                scratch,
            };
            each!(layer, s => s.forward_train(w, train)?,
                Layer::Embedding(l) => l.forward(w, below.ids(), y)?,
                Layer::Dense(l) => l.forward(w, dims.rows(), x, y, scratch)?,
                Layer::Pool(pool) => pool.forward(dims.width, sequences, x, y)?,
                Layer::Dropout(_) => {
                    y.copy_from_slice(x);
                    multiply(y, factors(i).unwrap_or_default());
                }
            );
            below = Input::Values(y);
        }

        let (mut dy, mut dx, own) = self.split_scratch(scratch, steps, batch);
        let y = &outputs[at(Part::Output, N - 1)];
        let mut mean = loss.mean(self.output(), sequences, self.is_pooled(), y, Some(&mut dy[..y.len()]))?;
        if let Some(total) = total_targets {
            let share = targets as f64 / total.max(1) as f64;
            mean = (f64::from(mean) * share) as f32;
            dy[..y.len()].iter_mut().for_each(|d| *d *= share as f32);
        }

        for (i, layer) in self.layers.iter().enumerate().rev() {
            let (dims, y) = (self.dims(i, steps, batch), &outputs[at(Part::Output, i)]);
            let below = if i == 0 { x } else { Input::Values(&outputs[at(Part::Output, i - 1)]) };
            let (w, x, dy_here) = (&weights[at(Part::Weights, i)], below.values(), &mut dy[..y.len()]);
            let (dx_here, grads) =
                (&mut dx[..if i == 0 { 0 } else { dims.len() }], &mut grads[at(Part::Weights, i)]);
            each!(layer, s => {
                    let (dstate, scratch) = own.split_at_mut(s.state_len(batch));
                    dstate.fill(0.0);
                    let (tape, recurrent_dropout) = (&mut tapes[at(Part::Tape, i)], factors(i));
                    let (dx, grads) = ((i > 0).then_some(dx_here), Some(grads));
                    s.backward(w, Backward {
                        sequences, x, y, dy: dy_here, dstate, dx, grads, mode, recurrent_dropout,
                        layer_dropout: None, tape, scratch,
                    })?;
                },
                Layer::Embedding(l) => l.backward(below.ids(), dy_here, grads, mode)?,
                Layer::Dense(l) => {
                    let (dx, grads) = ((i > 0).then_some(dx_here), Some(grads));
                    let rows = dims.rows();
                    l.backward(w, DenseBackward { rows, x, y, dy: dy_here, dx, grads, mode, scratch: own })?;
                },
                Layer::Pool(pool) => pool.backward(dims.width, sequences, x, dy_here, dx_here)?,
                Layer::Dropout(_) => {
                    multiply(dy_here, factors(i).unwrap_or_default());
                    continue;
                }
            );
            core::mem::swap(&mut dy, &mut dx);
        }
        Ok(mean)
    }

    /// Where a layer's part stands among those of all layers.
    fn range(&self, part: Part, layer: usize, steps: usize, batch: usize) -> Range<usize> {
        let start = self.lengths(part, layer, steps, batch).0;
        start..add(start, self.layers[layer].len(part, self.dims(layer, steps, batch)))
    }

    /// Gradients of a layer's output and of its input, which change places, and what a layer computes in.
    fn split_scratch<'a>(
        &self,
        scratch: &'a mut [f32],
        steps: usize,
        batch: usize,
    ) -> (&'a mut [f32], &'a mut [f32], &'a mut [f32]) {
        let widest = self.lengths(Part::Output, N, steps, batch).1;
        let (rows, own) = scratch.split_at_mut(mul(2, widest));
        let (dy, dx) = rows.split_at_mut(widest);
        (dy, dx, own)
    }
}
