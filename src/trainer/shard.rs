//! Some rows of a batch, with all buffers that computing their gradients needs.

use core::ops::Range;
use std::vec::Vec;

use rand_core::Rng;

use super::cut::{Targets, copy};
use super::{Batch, zeros};
use crate::error::Result;
use crate::layer::join::Team;
use crate::layer::{Gradients, Sequences};
use crate::model::{Chain, Input, Training};

/// A part of a batch that runs as a batch by itself.
#[derive(Clone)]
pub(super) struct Shard {
    pub(super) rows: Range<usize>,
    copy: Copied,
    dropout: Vec<f32>,
    tape: Vec<f32>,
    scratch: Vec<f32>,
    /// Number of gradients.
    parameters: usize,
    pub(super) grads: Vec<f32>,
    pub(super) state: Vec<f32>,
    /// The state before the update's batches.
    before: Vec<f32>,
    /// The gradient of the initial states; empty if they are not learned.
    dstate: Vec<f32>,
    /// Total weight of the targets.
    pub(super) weight: f64,
    pub(super) loss: Result<f32>,
}

/// A copy of some rows. Each batch uses some of the lists.
#[derive(Clone, Default)]
struct Copied {
    ids: Vec<u32>,
    values: Vec<f32>,
    targets: Targets,
    mask: Vec<bool>,
    resets: Vec<bool>,
}

/// Gives a buffer the length that a pass needs.
fn fit(buffer: &mut Vec<f32>, name: &'static str, len: usize) -> Result<()> {
    if buffer.len() != len {
        // Free the old buffer before allocating the new one.
        *buffer = Vec::new();
        *buffer = zeros(name, len)?;
    }
    Ok(())
}

impl Shard {
    /// A shard of some rows. `parameters` is the number of weights, plus that of the initial state if it is
    /// learned.
    pub(super) fn new(model: Chain<'_>, parameters: usize, rows: Range<usize>) -> Result<Self> {
        let learned = if parameters > model.weights_len() { model.state_len(rows.len()) } else { 0 };
        Ok(Shard {
            grads: Vec::new(),
            parameters,
            dstate: zeros("dstate", learned)?,
            state: zeros("state", model.state_len(rows.len()))?,
            before: zeros("state", model.state_len(rows.len()))?,
            rows,
            copy: Copied::default(),
            dropout: Vec::new(),
            tape: Vec::new(),
            scratch: Vec::new(),
            weight: 0.0,
            loss: Ok(0.0),
        })
    }

    /// Allocates the buffers for a batch.
    pub(super) fn prepare(&mut self, model: Chain<'_>, threads: usize, batch: Batch<'_>) -> Result<()> {
        let (steps, rows) = (batch.sequences.steps(), self.rows.len());
        fit(&mut self.grads, "grads", self.parameters)?;
        fit(&mut self.dropout, "dropout", model.dropout_len(steps, rows))?;
        fit(&mut self.tape, "tape", model.tape_len(steps, rows))?;
        let of_loss = model.loss_scratch_len(steps, rows, batch.loss);
        fit(&mut self.scratch, "scratch", model.train_scratch_len_with(threads, steps, rows).max(of_loss))
    }

    /// Draws dropout factors for `steps` steps.
    pub(super) fn draw(&mut self, model: Chain<'_>, steps: usize, rng: &mut impl Rng) -> Result<()> {
        model.draw_dropout(&mut self.dropout, steps, self.rows.len(), rng)
    }

    /// Saves the current state for [`restore_state`](Self::restore_state).
    pub(super) fn keep_state(&mut self) {
        self.before.copy_from_slice(&self.state);
    }

    /// Restores the saved state.
    pub(super) fn restore_state(&mut self) {
        self.state.copy_from_slice(&self.before);
    }

    /// Computes the gradients of this shard's rows. The batch must have been checked.
    pub(super) fn run(
        &mut self,
        model: Chain<'_>,
        team: Option<Team<'_>>,
        parameters: &[f32],
        batch: Batch<'_>,
    ) {
        self.loss = self.gradients(model, team, parameters, batch);
    }

    fn gradients(
        &mut self,
        model: Chain<'_>,
        team: Option<Team<'_>>,
        parameters: &[f32],
        batch: Batch<'_>,
    ) -> Result<f32> {
        let Shard { rows, copy, dropout, tape, scratch, grads, state, dstate, .. } = self;
        let batch_rows = rows.len();
        let (weights, initial) = parameters.split_at(model.weights_len());
        let (grads, initial_grads) = grads.split_at_mut(weights.len());
        if !initial.is_empty() {
            model.repeat_state(initial, batch_rows, state)?;
        }
        let Batch { sequences, x, loss } = copy.fill(model, batch, rows.clone());
        self.weight = model.target_weight(sequences, loss).unwrap_or(0.0);
        let (mode, dropout) = (Gradients::Overwrite, Some(&dropout[..]));
        let (total_targets, of_state) = (None, (!initial.is_empty()).then_some(&mut dstate[..]));
        let args = Training {
            sequences,
            x,
            loss,
            total_targets,
            grads,
            mode,
            state,
            dstate: of_state,
            dropout,
            tape,
            scratch,
        };
        let loss = model.forward_backward_on(team, weights, args)?;
        if !initial.is_empty() {
            model.sum_dstate(dstate, batch_rows, initial_grads)?;
        }
        Ok(loss)
    }
}

impl Copied {
    /// The given rows of a batch, as a batch.
    fn fill<'a>(&'a mut self, model: Chain<'_>, batch: Batch<'a>, rows: Range<usize>) -> Batch<'a> {
        let all = batch.sequences;
        if rows.len() == all.batch() {
            return batch;
        }
        let (pooled, output) = (model.is_pooled(), model.output());
        let Copied { ids, values, targets, mask, resets } = self;
        let x = match batch.x {
            Input::Ids(x) => Input::Ids(copy(ids, x, all, &rows, 1, false)),
            Input::Values(x) => Input::Values(copy(values, x, all, &rows, model.input(), false)),
        };
        let loss = targets.cut(batch.loss, all, &rows, output, pooled);
        let sequences = Sequences {
            batch: rows.len(),
            lengths: all.lengths.map(|lengths| &lengths[rows.clone()]),
            mask: all.mask.map(|(of, masked)| (copy(mask, of, all, &rows, 1, false), masked)),
            resets: all.resets.map(|of| copy(resets, of, all, &rows, 1, false)),
            ..all
        };
        Batch { sequences, x, loss }
    }
}
