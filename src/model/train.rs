//! Training: initial weights, forward with a tape, the loss, and backpropagation from the last layer to the first.

use rand_core::Rng;

use super::args::{Input, Training};
use super::chain::Chain;
use super::layer::{Dims, Layer, Part};
use super::through::{Layers, Visit};
use crate::error::{Result, check_len, check_room};
use crate::layer::buffer::{multiply, take, take_last, take_last_mut, take_mut};
use crate::layer::{Backward, DenseBackward, ForwardTrain, Gradients, Sequences};
use crate::train::dropout;

/// The way up: how far it has come, and what is left of the buffers.
struct Up<'a> {
    sequences: Sequences<'a>,
    x: Input<'a>,
    dims: Dims,
    weights: &'a [f32],
    factors: Option<&'a [f32]>,
    state: &'a mut [f32],
    outputs: &'a mut [f32],
    tapes: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Visit for Up<'_> {
    #[cfg_attr(target_os = "none", inline(always))]
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        let (layer, dims, sequences) = (&layers[index], self.dims, self.sequences);
        let (after, x) = (layer.after(dims), self.x.values());
        let w = take(&mut self.weights, layer.weights_len());
        let y = take_mut(&mut self.outputs, after.len());
        let drawn = layer.len(Part::Dropout, dims);
        let factors = self.factors.as_mut().map(|all| take(all, drawn)).filter(|f| !f.is_empty());
        let scratch = &mut *self.scratch;
        if let Some(levels) = layer.levels() {
            let args = ForwardTrain {
                sequences,
                x,
                y: &mut *y,
                state: take_mut(&mut self.state, layer.len(Part::State, dims)),
                recurrent_dropout: factors,
                layer_dropout: None,
                tape: take_mut(&mut self.tapes, layer.len(Part::Tape, dims)),
                scratch,
            };
            levels.run_forward_train(None, w, &levels.walks(sequences)?, args)?;
        } else {
            match layer {
                Layer::Embedding(l) => l.forward(w, self.x.ids(), y)?,
                Layer::Dense(l) => l.forward(w, dims.rows(), x, y, scratch)?,
                Layer::Pool(pool) => pool.forward(dims.width, sequences, x, y)?,
                _ => {
                    y.copy_from_slice(x);
                    multiply(y, factors.unwrap_or_default());
                }
            }
        }
        (self.x, self.dims) = (Input::Values(y), after);
        Ok(())
    }
}

/// The way down.
struct Down<'a> {
    sequences: Sequences<'a>,
    x: Input<'a>,
    weights: &'a [f32],
    factors: Option<&'a [f32]>,
    grads: &'a mut [f32],
    mode: Gradients,
    outputs: &'a [f32],
    tapes: &'a mut [f32],
    /// Gradients of a layer's output and of its input, which change places.
    dy: &'a mut [f32],
    dx: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Visit for Down<'_> {
    #[cfg_attr(target_os = "none", inline(always))]
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        let (layer, sequences, mode) = (&layers[index], self.sequences, self.mode);
        let dims = Dims::of(layers, index, sequences.steps(), sequences.batch());
        let y = take_last(&mut self.outputs, layer.after(dims).len());
        let below = match index {
            0 => self.x,
            _ => Input::Values(&self.outputs[self.outputs.len() - dims.len()..]),
        };
        let (w, x) = (take_last(&mut self.weights, layer.weights_len()), below.values());
        let grads = take_last_mut(&mut self.grads, layer.weights_len());
        let drawn = layer.len(Part::Dropout, dims);
        let factors = self.factors.as_mut().map(|all| take_last(all, drawn)).filter(|f| !f.is_empty());
        let dy = &mut self.dy[..y.len()];
        if let Layer::Dropout(_) = layer {
            multiply(dy, factors.unwrap_or_default());
            return Ok(());
        }
        let dx = &mut self.dx[..if index == 0 { 0 } else { dims.len() }];
        if let Some(levels) = layer.levels() {
            let (dstate, scratch) = self.scratch.split_at_mut(layer.len(Part::State, dims));
            dstate.fill(0.0);
            let args = Backward {
                sequences,
                x,
                y,
                dy,
                dstate,
                dx: (index > 0).then_some(dx),
                grads: Some(grads),
                mode,
                recurrent_dropout: factors,
                layer_dropout: None,
                tape: take_last_mut(&mut self.tapes, layer.len(Part::Tape, dims)),
                scratch,
            };
            levels.run_backward(None, w, &levels.walks(sequences)?, args)?;
        } else {
            match layer {
                Layer::Embedding(l) => l.backward(below.ids(), dy, grads, mode)?,
                Layer::Pool(pool) => pool.backward(dims.width, sequences, x, dy, dx)?,
                Layer::Dense(l) => {
                    let (dx, grads) = ((index > 0).then_some(dx), Some(grads));
                    let (rows, scratch) = (dims.rows(), &mut *self.scratch);
                    l.backward(w, DenseBackward { rows, x, y, dy, dx, grads, mode, scratch })?;
                }
                _ => {}
            }
        }
        core::mem::swap(&mut self.dy, &mut self.dx);
        Ok(())
    }
}

#[inline(always)]
pub(super) fn forward_backward<L: Layers + ?Sized>(
    layers: &L,
    chain: Chain<'_>,
    weights: &[f32],
    args: Training<'_>,
) -> Result<f32> {
    let Training { sequences, x, loss, grads, mode, state, dropout: factors, tape, scratch } = args;
    let (width, pooled) = (chain.output(), chain.is_pooled());
    check_len("weights", chain.weights_len(), weights.len())?;
    chain.check_input(sequences, x)?;
    let (steps, batch) = (sequences.steps(), sequences.batch());
    loss.count(width, sequences, pooled)?;
    check_len("grads", chain.weights_len(), grads.len())?;
    check_len("state", chain.state_len(batch), state.len())?;
    if let Some(factors) = factors {
        check_len("dropout", chain.dropout_len(steps, batch), factors.len())?;
    }
    check_len("tape", chain.tape_len(steps, batch), tape.len())?;
    check_room("scratch", chain.train_scratch_len(steps, batch), scratch.len())?;

    let dims = chain.dims(steps, batch);
    let (outputs, tapes) = tape.split_at_mut(chain.outputs_len(steps, batch));
    layers.up(&mut Up {
        sequences,
        x,
        dims,
        weights,
        factors,
        state,
        outputs: &mut *outputs,
        tapes: &mut *tapes,
        scratch: &mut *scratch,
    })?;
    let widest = chain.widest_len(steps, batch);
    let (dy, scratch) = scratch.split_at_mut(widest);
    let (dx, scratch) = scratch.split_at_mut(widest);
    let outputs = &*outputs;
    let y = &outputs[outputs.len() - chain.output_len(steps, batch)..];
    let mean = loss.mean(width, sequences, pooled, y, Some(&mut dy[..y.len()]))?;
    layers.down(&mut Down {
        sequences,
        x,
        weights,
        factors,
        grads,
        mode,
        outputs,
        tapes,
        dy,
        dx,
        scratch,
    })?;
    Ok(mean)
}

/// Draws weights layer by layer.
struct Init<'a, R> {
    weights: &'a mut [f32],
    rng: &'a mut R,
}

impl<R: Rng> Visit for Init<'_, R> {
    #[cfg_attr(target_os = "none", inline(always))]
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        let layer = &layers[index];
        let weights = take_mut(&mut self.weights, layer.weights_len());
        match (layer.levels(), layer) {
            (Some(levels), _) => levels.init(weights, self.rng),
            (_, Layer::Embedding(l)) => l.init(weights, self.rng),
            (_, Layer::Dense(l)) => l.init(weights, self.rng),
            _ => Ok(()),
        }
    }
}

#[inline(always)]
pub(super) fn init<L: Layers + ?Sized>(
    layers: &L,
    chain: Chain<'_>,
    weights: &mut [f32],
    rng: &mut impl Rng,
) -> Result<()> {
    check_len("weights", chain.weights_len(), weights.len())?;
    layers.up(&mut Init { weights, rng })
}

impl Chain<'_> {
    /// As [`Model::draw_dropout`](super::Model::draw_dropout).
    ///
    /// # Errors
    /// As there.
    pub fn draw_dropout(
        &self,
        factors: &mut [f32],
        steps: usize,
        batch: usize,
        rng: &mut impl Rng,
    ) -> Result<()> {
        check_len("factors", self.dropout_len(steps, batch), factors.len())?;
        let recurrent = self.recurrent_dropout;
        dropout(&mut [], recurrent, rng)?;
        let (mut rest, mut dims) = (factors, self.dims(steps, batch));
        for layer in self.layers() {
            let p = if let Layer::Dropout(p) = layer { *p } else { recurrent };
            dropout(take_mut(&mut rest, layer.len(Part::Dropout, dims)), p, rng)?;
            dims = layer.after(dims);
        }
        Ok(())
    }
}
