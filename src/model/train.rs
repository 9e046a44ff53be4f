//! Training: initial weights, forward with a tape, the loss, and backpropagation from the last layer to the
//! first.

use rand_core::Rng;

use super::args::{Input, Training};
use super::chain::Chain;
use super::layer::{Dims, Layer};
use super::part::Part;
use super::through::{Layers, Visit};
use super::up::{CANONICAL, Up};
use crate::error::{Error, Result, check_len, check_room};
use crate::layer::buffer::{add, add_to, multiply, take_last, take_last_mut, take_mut};
use crate::layer::join::Team;
use crate::layer::{Backward, DenseBackward, Gradients, Sequences};
use crate::loss::{Loss, Outputs};
use crate::seq::table::Reach;
use crate::train::dropout;

/// The backward pass, from the last layer to the first. `OWN`: whether it is one with a loss of the program,
/// which may ask for more gradients. It is a constant, so that other programs do not contain the code.
pub(super) struct Down<'a, const OWN: bool> {
    /// The threads that run the layers. `None`: only the calling thread.
    pub(super) team: Option<Team<'a>>,
    pub(super) sequences: Sequences<'a>,
    pub(super) x: Input<'a>,
    pub(super) weights: &'a [f32],
    pub(super) factors: &'a [f32],
    pub(super) grads: &'a mut [f32],
    pub(super) mode: Gradients,
    pub(super) outputs: &'a [f32],
    pub(super) tapes: &'a mut [f32],
    /// Gradients of a layer's output and of its input. They are swapped after each layer.
    pub(super) dy: &'a mut [f32],
    pub(super) dx: &'a mut [f32],
    /// Takes the gradients of the initial states; empty if they are not asked for. With `OWN` it holds those
    /// of the last states before.
    pub(super) dstate: &'a mut [f32],
    /// With `OWN`: takes the gradient of the model's input through the first layer, and that through residual
    /// layers; empty if they are not asked for.
    pub(super) dinput: [&'a mut [f32]; 2],
    pub(super) scratch: &'a mut [f32],
}

impl<const OWN: bool> Visit for Down<'_, OWN> {
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
        let factors = take_last(&mut self.factors, layer.len(Part::Dropout, dims));
        let dy = &mut self.dy[..y.len()];
        match layer {
            Layer::Dropout(_) => {
                multiply(dy, factors);
                return Ok(());
            }
            // The gradient of a sum is that of both parts, so `dy` does not change.
            Layer::Residual => {
                let [_, through] = &mut self.dinput;
                if OWN && !through.is_empty() {
                    let of_input = through.len() / dims.rows();
                    let rows = through.chunks_exact_mut(of_input).zip(dy.chunks_exact(dims.width.max(1)));
                    rows.for_each(|(through, dy)| add_to(through, dy));
                }
                return Ok(());
            }
            _ => {}
        }
        let [first, _] = &mut self.dinput;
        let dx = match index {
            0 if OWN => &mut **first,
            0 => &mut [],
            _ => &mut self.dx[..dims.len()],
        };
        let dx = (index > 0 || OWN && !dx.is_empty()).then_some(dx);
        if let Some(levels) = layer.levels() {
            let len = layer.len(Part::State, dims);
            let given = len.min(self.dstate.len());
            let mut dstate = take_last_mut(&mut self.dstate, given);
            let mut scratch = &mut *self.scratch;
            if dstate.is_empty() {
                dstate = take_mut(&mut scratch, len);
            }
            if !OWN || given == 0 {
                dstate.fill(0.0);
            }
            let args = Backward {
                sequences,
                x,
                y,
                dy,
                dstate,
                dx,
                grads: Some(grads),
                mode,
                recurrent_dropout: Some(factors).filter(|f| !f.is_empty()),
                layer_dropout: None,
                tape: take_last_mut(&mut self.tapes, layer.len(Part::Tape, dims)),
                scratch,
            };
            levels.run_backward(self.team, w, &levels.walks(sequences)?, args)?;
        } else {
            match layer {
                Layer::Embedding(l) => l.backward(below.ids(), dy, grads, mode)?,
                Layer::Pool(pool) => pool.backward(dims.width, sequences, x, dy, dx.unwrap_or_default())?,
                Layer::Activate(l) => l.backward(x, dy, dx.unwrap_or_default())?,
                Layer::Scale(l) => l.backward(w, x, dy, dx, Some(grads), mode)?,
                Layer::Dense(l) => {
                    let grads = Some(grads);
                    let (rows, scratch) = (dims.rows(), &mut *self.scratch);
                    l.backward_on(self.team, w, DenseBackward { rows, x, y, dy, dx, grads, mode, scratch })?;
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
    team: Option<Team<'_>>,
    weights: &[f32],
    args: Training<'_>,
) -> Result<f32> {
    let Training { sequences, x, loss, total_targets, grads, mode, state, dstate, dropout, tape, scratch } =
        args;
    let (width, pooled) = (chain.output(), chain.is_pooled());
    let factors = chain.check_training(weights, sequences, x, dropout, tape)?;
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let (_, weight) = loss.count(width, sequences, pooled)?;
    if total_targets.is_some_and(|total| !(total >= weight && total.is_finite())) {
        let expected = "at least the number, or the weight, of the targets that count in this batch";
        return Err(Error::Value { argument: "total_targets", expected });
    }
    check_len("grads", chain.weights_len(), grads.len())?;
    check_len("state", chain.state_len(batch), state.len())?;
    let dstate = dstate.unwrap_or_default();
    if !dstate.is_empty() {
        check_len("dstate", state.len(), dstate.len())?;
    }
    let threads = team.map_or(1, |team| team.threads());
    let room = chain.train_scratch_len_with(threads, steps, batch);
    check_room("scratch", room.max(chain.loss_scratch_len(steps, batch, loss)), scratch.len())?;

    let dims = chain.dims(steps, batch);
    let (outputs, tapes) = tape.split_at_mut(chain.outputs_len(steps, batch));
    layers.up(&mut Up::<true, CANONICAL> {
        team,
        sequences,
        weights,
        x,
        input: x.values(),
        dims,
        state,
        rows: &mut *outputs,
        y: &mut [],
        factors,
        tapes: &mut *tapes,
        scratch: &mut *scratch,
    })?;
    let widest = chain.widest_len(steps, batch);
    let (dy, scratch) = scratch.split_at_mut(widest);
    let outputs = &*outputs;
    let y = &outputs[outputs.len() - chain.output_len(steps, batch)..];
    let isa = chain.isa();
    let dlogits = Some(&mut dy[..y.len()]);
    let mut mean =
        loss.mean(Outputs { isa, width, sequences, pooled, y, dy: dlogits, scratch: &mut *scratch })?;
    let (dx, scratch) = scratch.split_at_mut(widest);
    if let Some(total) = total_targets {
        let share = if total > 0.0 { weight / total } else { 0.0 };
        // The mean over no targets may be NaN.
        mean = if share > 0.0 { (f64::from(mean) * share) as f32 } else { 0.0 };
        dy[..y.len()].iter_mut().for_each(|d| *d *= share as f32);
    }
    layers.down(&mut Down::<false> {
        team,
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
        dstate,
        dinput: Default::default(),
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
            (_, Layer::Scale(l)) => l.init(weights),
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
    /// Like [`Model::draw_dropout`](super::Model::draw_dropout).
    ///
    /// # Errors
    /// Those of [`Model::draw_dropout`](super::Model::draw_dropout).
    pub fn draw_dropout(
        &self,
        factors: &mut [f32],
        steps: usize,
        batch: usize,
        rng: &mut impl Rng,
    ) -> Result<()> {
        check_len("factors", self.dropout_len(steps, batch), factors.len())?;
        self.check_recurrent_dropout()?;
        let recurrent = match self.recurrent_dropout {
            None if self.has_recurrent_dropout() => {
                let expected = "set with `Model::recurrent_dropout`, because a layer was made with it";
                return Err(Error::Value { argument: "recurrent_dropout", expected });
            }
            p => p.unwrap_or(0.0),
        };
        dropout(&mut [], recurrent, rng)?;
        let (mut rest, mut dims) = (factors, self.dims(steps, batch));
        for layer in self.layers() {
            let p = if let Layer::Dropout(p) = layer { *p } else { recurrent };
            dropout(take_mut(&mut rest, layer.len(Part::Dropout, dims)), p, rng)?;
            dims = layer.after(dims);
        }
        Ok(())
    }

    /// Like [`Model::targets`](super::Model::targets).
    ///
    /// # Errors
    /// Those of [`Model::targets`](super::Model::targets).
    pub fn targets(&self, sequences: Sequences<'_>, loss: Loss<'_>) -> Result<usize> {
        Ok(self.count_targets(sequences, loss)?.0)
    }

    /// Like [`Model::target_weight`](super::Model::target_weight).
    ///
    /// # Errors
    /// Those of [`Model::target_weight`](super::Model::target_weight).
    pub fn target_weight(&self, sequences: Sequences<'_>, loss: Loss<'_>) -> Result<f64> {
        Ok(self.count_targets(sequences, loss)?.1)
    }

    /// Both of these.
    pub(crate) fn count_targets(&self, sequences: Sequences<'_>, loss: Loss<'_>) -> Result<(usize, f64)> {
        loss.count(self.output(), sequences, self.is_pooled())
    }

    /// Length of the scratch of a training pass for its loss.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn loss_scratch_len(&self, steps: usize, batch: usize, loss: Loss<'_>) -> usize {
        add(self.widest_len(steps, batch), loss.scratch_len(steps))
    }

    /// Whether a layer was made for training with recurrent dropout.
    fn has_recurrent_dropout(&self) -> bool {
        self.layers().iter().filter_map(Layer::levels).any(|levels| levels.drawn_len(1) > 0)
    }

    /// Checks what all training passes are given. Returns the factors of dropout, which are empty without it.
    #[inline(always)]
    pub(super) fn check_training<'f>(
        &self,
        weights: &[f32],
        sequences: Sequences<'_>,
        x: Input<'_>,
        dropout: Option<&'f [f32]>,
        tape: &[f32],
    ) -> Result<&'f [f32]> {
        let (steps, batch, factors) = (sequences.steps(), sequences.batch(), dropout.unwrap_or_default());
        check_len("weights", self.weights_len(), weights.len())?;
        self.check_linked(Reach::All)?;
        self.check_input(sequences, x)?;
        self.check_recurrent_dropout()?;
        check_len("dropout", self.dropout_len(steps, batch), factors.len())?;
        check_len("tape", self.tape_len(steps, batch), tape.len())?;
        Ok(factors)
    }

    /// Rejects a probability of recurrent dropout that no layer uses.
    pub(super) fn check_recurrent_dropout(&self) -> Result<()> {
        if self.recurrent_dropout.is_some_and(|p| p != 0.0) && !self.has_recurrent_dropout() {
            let expected = "0 unless a layer was made with `Recurrent::recurrent_dropout`";
            return Err(Error::Value { argument: "recurrent_dropout", expected });
        }
        Ok(())
    }
}
