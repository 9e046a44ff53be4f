//! The two halves of a training pass, for a program that computes its loss between them.

use super::args::{Backward, ForwardTrain};
use super::chain::Chain;
use super::layer::Layer;
use super::through::Layers;
use super::train::Down;
use super::up::{CANONICAL, Up};
use crate::error::{Error, Need, Result, check_len, check_room, check_shape};
use crate::layer::buffer::add_to;
use crate::loss::clear_absent;

#[inline(always)]
pub(super) fn forward_train<L: Layers + ?Sized>(
    layers: &L,
    chain: Chain<'_>,
    weights: &[f32],
    args: ForwardTrain<'_>,
) -> Result<()> {
    let ForwardTrain { sequences, x, y, state, dropout, tape, scratch } = args;
    let factors = chain.check_training(weights, sequences, x, dropout, tape)?;
    let (steps, batch) = (sequences.steps(), sequences.batch());
    check_shape("y", Need::STEPS_ROWS_OUTPUTS, chain.output_len(steps, batch), y.len())?;
    check_len("state", chain.state_len(batch), state.len())?;
    check_room("scratch", chain.train_scratch_len(steps, batch), scratch.len())?;

    let (dims, input) = (chain.dims(steps, batch), x.values());
    let (outputs, tapes) = tape.split_at_mut(chain.outputs_len(steps, batch));
    layers.up(&mut Up::<true, CANONICAL> {
        team: None,
        sequences,
        weights,
        x,
        input,
        dims,
        state,
        rows: &mut *outputs,
        y: &mut [],
        factors,
        tapes,
        scratch,
    })?;
    y.copy_from_slice(&outputs[outputs.len() - y.len()..]);
    Ok(())
}

#[inline(always)]
pub(super) fn backward<L: Layers + ?Sized>(
    layers: &L,
    chain: Chain<'_>,
    weights: &[f32],
    args: Backward<'_>,
) -> Result<()> {
    let Backward { sequences, x, dy, dx, dstate, grads, mode, dropout, tape, scratch } = args;
    let factors = chain.check_training(weights, sequences, x, dropout, tape)?;
    let (steps, batch) = (sequences.steps(), sequences.batch());
    check_shape("dy", Need::STEPS_ROWS_OUTPUTS, chain.output_len(steps, batch), dy.len())?;
    let (wants_dx, dx) = (dx.is_some(), dx.unwrap_or_default());
    if wants_dx {
        if chain.classes().is_some() {
            let expected = "absent for a model that takes ids, which have no gradient";
            return Err(Error::Value { argument: "dx", expected });
        }
        check_shape("dx", Need::STEPS_ROWS_INPUTS, chain.dims(steps, batch).len(), dx.len())?;
    }
    let (has_dstate, dstate) = (dstate.is_some(), dstate.unwrap_or_default());
    if has_dstate {
        check_len("dstate", chain.state_len(batch), dstate.len())?;
    }
    check_len("grads", chain.weights_len(), grads.len())?;
    check_room("scratch", chain.backward_scratch_len(steps, batch), scratch.len())?;

    let (outputs, tapes) = tape.split_at_mut(chain.outputs_len(steps, batch));
    let (through, scratch) = scratch.split_at_mut(chain.through_len(steps, batch));
    let through = if wants_dx { through } else { &mut [] };
    through.fill(0.0);
    let widest = chain.widest_len(steps, batch);
    let (of_output, scratch) = scratch.split_at_mut(widest);
    let (of_input, scratch) = scratch.split_at_mut(widest);
    of_output[..dy.len()].copy_from_slice(dy);
    if !chain.is_pooled() {
        clear_absent(&mut of_output[..dy.len()], chain.output(), sequences)?;
    }
    layers.down(&mut Down::<true> {
        team: None,
        sequences,
        x,
        weights,
        factors,
        grads,
        mode,
        outputs,
        tapes,
        dy: of_output,
        dx: of_input,
        dstate,
        dinput: [&mut *dx, &mut *through],
        scratch,
    })?;
    add_to(dx, through);
    Ok(())
}

impl Chain<'_> {
    /// Like [`Model::forward_train`](super::Model::forward_train).
    ///
    /// # Errors
    /// Those of [`Model::forward_train`](super::Model::forward_train).
    pub fn forward_train(&self, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        forward_train(self.layers(), *self, weights, args)
    }

    /// Like [`Model::backward`](super::Model::backward).
    ///
    /// # Errors
    /// Those of [`Model::backward`](super::Model::backward).
    pub fn backward(&self, weights: &[f32], args: Backward<'_>) -> Result<()> {
        backward(self.layers(), *self, weights, args)
    }

    /// Length of the gradients of the input through residual layers, in a scratch.
    pub(super) const fn through_len(&self, steps: usize, batch: usize) -> usize {
        let (layers, mut i) = (self.layers(), 0);
        while i < layers.len() {
            if matches!(layers[i], Layer::Residual) {
                return self.dims(steps, batch).len();
            }
            i += 1;
        }
        0
    }
}
