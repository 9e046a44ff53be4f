//! Inference: packing, whole batches, and single steps.

use super::args::{Forward, Input};
use super::chain::{Chain, steps_refusal};
use super::layer::{Dims, Layer};
use super::part::Part;
use super::through::{Layers, Visit};
use crate::error::{Error, Need, Result, check_len, check_room, check_shape, said};
use crate::kernel::bytes::bytes_mut;
use crate::kernel::narrow::IN_PLACE;
use crate::layer::buffer::{add_to, multiply, take, take_mut};
use crate::layer::join::Team;
use crate::layer::packed::{Source, WeightSource};
use crate::layer::{self, ForwardTrain, Sequences};
use crate::seq::table::Reach;
use crate::simd::Isa;

/// Kinds of weights: canonical in `f32`, in panels, and canonical in the formats of the layers.
pub(super) const CANONICAL: u8 = 0;
const PANELS: u8 = 1;
const WORDS: u8 = 2;

/// The progress of a pass from the input to the output: the remaining parts of the buffers. `TRAIN`: whether
/// the pass keeps what the backward pass needs. `FROM`: the kind of weights. Both are constants, so that
/// firmware only contains the code for its kind of weights, for any number of layers.
pub(super) struct Up<'a, const TRAIN: bool, const FROM: u8> {
    /// The threads that run the layers. `None`: only the calling thread.
    pub(super) team: Option<Team<'a>>,
    pub(super) sequences: Sequences<'a>,
    pub(super) weights: &'a [f32],
    pub(super) x: Input<'a>,
    pub(super) dims: Dims,
    pub(super) state: &'a mut [f32],
    /// The model's own input, for residual layers; empty if the model takes ids.
    pub(super) input: &'a [f32],
    /// Outputs: of all layers in training, otherwise of all but the last.
    pub(super) rows: &'a mut [f32],
    /// The output of the last layer.
    pub(super) y: &'a mut [f32],
    /// Factors of dropout.
    pub(super) factors: &'a [f32],
    pub(super) tapes: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

impl<'a> Up<'a, false, CANONICAL> {
    /// The same over another kind of weights.
    #[inline(always)]
    fn over<const FROM: u8>(self) -> Up<'a, false, FROM> {
        let Up { team, sequences, weights, x, input, dims, state, rows, y, factors, tapes, scratch } = self;
        Up { team, sequences, weights, x, input, dims, state, rows, y, factors, tapes, scratch }
    }
}

impl<'a, const TRAIN: bool, const FROM: u8> Up<'a, TRAIN, FROM> {
    /// Takes the weights of the next layer.
    #[inline(always)]
    fn next(&mut self, layer: &Layer) -> Source<'a> {
        match FROM {
            PANELS => Source::Panels(
                take(&mut self.weights, layer.len(Part::Panels, self.dims)),
                layer.isa().unwrap_or(Isa::PORTABLE),
            ),
            WORDS => {
                let words = take(&mut self.weights, layer.words_len());
                match layer.narrow_format() {
                    Some(_) => Source::Words(words),
                    None => Source::Canonical(words),
                }
            }
            _ => Source::Canonical(take(&mut self.weights, layer.weights_len())),
        }
    }

    /// Takes the buffer for the output of a layer.
    #[inline(always)]
    fn output(&mut self, after: Dims, is_last: bool) -> &'a mut [f32] {
        match is_last && !TRAIN {
            true => core::mem::take(&mut self.y),
            false => take_mut(&mut self.rows, after.len()),
        }
    }

    /// Runs a layer that is not recurrent.
    #[inline(always)]
    fn around(&mut self, layer: &Layer, weights: Source<'_>, y: &mut [f32]) -> Result<()> {
        match layer {
            Layer::Pool(pool) => pool.forward(self.dims.width, self.sequences, self.x.values(), y),
            _ => self.each_row(layer, weights, y),
        }
    }

    /// Runs a layer that treats all rows alike. In firmware whose layers are not constants, single steps and
    /// sequences share this function.
    #[cfg_attr(not(all(target_os = "none", feature = "named-forms")), inline(always))]
    fn each_row(&mut self, layer: &Layer, weights: Source<'_>, y: &mut [f32]) -> Result<()> {
        let (dims, x) = (self.dims, self.x.values());
        // The compiler need not know it from the caller.
        let weights = if FROM == CANONICAL { Source::Canonical(weights.flat()) } else { weights };
        match layer {
            Layer::Embedding(l) if FROM != CANONICAL => {
                l.forward_words(weights.flat().get(..l.words_len()).unwrap_or_default(), self.x.ids(), y)
            }
            Layer::Embedding(l) => {
                l.forward(weights.flat().get(..l.weights_len()).unwrap_or_default(), self.x.ids(), y)
            }
            Layer::Dense(l) => l.run_forward(self.team, weights, dims.rows(), x, y, self.scratch),
            Layer::Activate(l) => l.forward(x, y),
            Layer::Scale(l) => l.forward(weights.flat().get(..l.weights_len()).unwrap_or_default(), x, y),
            Layer::Residual => {
                y.copy_from_slice(x);
                let (width, rows) = (dims.width.max(1), dims.rows());
                let input = self.input.chunks_exact((self.input.len() / rows.max(1)).max(1));
                y.chunks_exact_mut(width).zip(input).for_each(|(y, input)| add_to(y, input));
                Ok(())
            }
            _ => {
                y.copy_from_slice(x);
                multiply(y, take(&mut self.factors, dims.len()));
                Ok(())
            }
        }
    }
}

impl<const TRAIN: bool, const FROM: u8> Visit for Up<'_, TRAIN, FROM> {
    #[cfg_attr(target_os = "none", inline(always))]
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        let (layer, dims, sequences) = (&layers[index], self.dims, self.sequences);
        let (weights, after) = (self.next(layer), layer.after(dims));
        if let (Layer::Dropout(_), false) = (layer, TRAIN) {
            return Ok(());
        }
        let y = self.output(after, index + 1 == layers.len());
        if let Some(levels) = layer.levels() {
            let (x, walks) = (self.x.values(), levels.walks(sequences)?);
            let state = take_mut(&mut self.state, layer.len(Part::State, dims));
            let scratch = &mut *self.scratch;
            if TRAIN {
                let factors = take(&mut self.factors, layer.len(Part::Dropout, dims));
                let args = ForwardTrain {
                    sequences,
                    x,
                    y: &mut *y,
                    state,
                    recurrent_dropout: Some(factors).filter(|f| !f.is_empty()),
                    layer_dropout: None,
                    tape: take_mut(&mut self.tapes, layer.len(Part::Tape, dims)),
                    scratch,
                };
                levels.run_forward_train(self.team, weights.flat(), &walks, args)?;
            } else {
                let args = layer::Forward { sequences, x, y: &mut *y, state, scratch };
                levels.run_forward(self.team, weights, &walks, args)?;
            }
        } else {
            self.around(layer, weights, y)?;
        }
        (self.x, self.dims) = (Input::Values(y), after);
        Ok(())
    }
}

/// A single step. The output of a recurrent layer is a part of its state, so it needs no buffer.
struct Step<'a, const FROM: u8>(Up<'a, false, FROM>);

impl<const FROM: u8> Visit for Step<'_, FROM> {
    #[cfg_attr(target_os = "none", inline(always))]
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        let (Step(at), layer) = (self, &layers[index]);
        let (weights, dims, after) = (at.next(layer), at.dims, layer.after(at.dims));
        let is_last = index + 1 == layers.len();
        let made = if let Some(levels) = layer.levels() {
            let state = take_mut(&mut at.state, layer.len(Part::State, dims));
            levels.run_step(weights, dims.batch, at.x.values(), state, at.scratch)?
        } else if !matches!(layer, Layer::Pool(_) | Layer::Dropout(_)) {
            let y = at.output(after, is_last);
            at.each_row(layer, weights, y)?;
            y
        } else {
            at.x.values()
        };
        if is_last && !at.y.is_empty() {
            at.y.copy_from_slice(made);
        }
        (at.x, at.dims) = (Input::Values(made), after);
        Ok(())
    }
}

#[inline(always)]
fn kind(weights: Source<'_>) -> u8 {
    match weights {
        Source::Canonical(_) => CANONICAL,
        Source::Panels(..) => PANELS,
        Source::Words(_) => WORDS,
    }
}

#[inline(always)]
pub(super) fn forward<L: Layers + ?Sized>(
    layers: &L,
    chain: Chain<'_>,
    team: Option<Team<'_>>,
    weights: WeightSource<'_>,
    args: Forward<'_>,
) -> Result<()> {
    let Forward { sequences, x, y, state, scratch } = args;
    let weights = chain.check_weights(weights)?;
    chain.check_linked(Reach::Inference)?;
    sequences.check()?;
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let threads = team.map_or(1, |team| team.threads());
    let lens = [y.len(), state.len(), scratch.len()];
    chain.check_buffers([threads, steps, batch], x, Need::STEPS_ROWS_OUTPUTS, lens)?;
    let (rows, scratch) = scratch.split_at_mut(chain.between_len(steps, batch));
    let dims = chain.dims(steps, batch);
    let (kind, weights) = (kind(weights), weights.flat());
    let (factors, tapes, input) = (&[][..], &mut [][..], x.values());
    let mut up = Up::<false, CANONICAL> {
        team,
        sequences,
        weights,
        x,
        input,
        dims,
        state,
        rows,
        y,
        factors,
        tapes,
        scratch,
    };
    match kind {
        PANELS => layers.up(&mut up.over::<PANELS>()),
        WORDS if IN_PLACE => layers.up(&mut up.over::<WORDS>()),
        _ => layers.up(&mut up),
    }
}

#[inline(always)]
pub(super) fn step<L: Layers + ?Sized>(
    layers: &L,
    chain: Chain<'_>,
    weights: WeightSource<'_>,
    x: Input<'_>,
    y: &mut [f32],
    state: &mut [f32],
    scratch: &mut [f32],
) -> Result<()> {
    let weights = chain.check_weights(weights)?;
    #[cfg(target_os = "none")]
    let of_row = None;
    #[cfg(not(target_os = "none"))]
    let of_row = chain.held.lens.between([x.values().len(), y.len(), state.len(), scratch.len()]);
    let (batch, between) = match of_row {
        Some(between) => (1, between),
        None => chain.check_step(x, [y.len(), state.len(), scratch.len()])?,
    };
    let sequences = Sequences::new(1, batch);
    let (rows, scratch) = scratch.split_at_mut(between);
    let dims = chain.dims(1, batch);
    let (kind, weights) = (kind(weights), weights.flat());
    let (factors, tapes, input) = (&[][..], &mut [][..], x.values());
    let up = Up::<false, CANONICAL> {
        team: None,
        sequences,
        weights,
        x,
        input,
        dims,
        state,
        rows,
        y,
        factors,
        tapes,
        scratch,
    };
    match kind {
        PANELS => layers.up(&mut Step(up.over::<PANELS>())),
        WORDS if IN_PLACE => layers.up(&mut Step(up.over::<WORDS>())),
        _ => layers.up(&mut Step(up)),
    }
}

/// Packs the weights of one layer after the other.
struct Packing<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Visit for Packing<'_> {
    #[cfg_attr(target_os = "none", inline(always))]
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        let layer = &layers[index];
        let from = take(&mut self.from, layer.weights_len());
        let to = take_mut(&mut self.to, layer.len(Part::Panels, Dims::ONE));
        match (layer.levels(), layer) {
            (Some(levels), _) => levels.pack_into(from, to),
            (_, Layer::Dense(l)) => l.pack_into(from, to),
            (_, Layer::Embedding(l)) => l.write_words(from, bytes_mut(&mut to[..l.words_len()])),
            _ => {
                to[..from.len()].copy_from_slice(from);
                Ok(())
            }
        }
    }
}

#[inline(always)]
pub(super) fn pack_into<L: Layers + ?Sized>(
    layers: &L,
    _: Chain<'_>,
    weights: &[f32],
    panels: &mut [f32],
) -> Result<()> {
    layers.up(&mut Packing { from: weights, to: panels })
}

impl Chain<'_> {
    /// Rejects an input that does not fit. It runs before a pass, so that no pass stops halfway.
    pub(crate) fn check_input(&self, sequences: Sequences<'_>, x: Input<'_>) -> Result<()> {
        sequences.check()?;
        self.check_x(sequences.steps(), sequences.batch(), x)
    }

    /// The same for sequences without lists.
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    fn check_x(&self, steps: usize, batch: usize, x: Input<'_>) -> Result<()> {
        let expected = self.dims(steps, batch).len();
        match (self.layers().first(), x) {
            (Some(Layer::Embedding(table)), Input::Ids(ids)) => {
                check_shape("x", Need::STEPS_ROWS, expected, ids.len())?;
                table.check(ids)
            }
            (Some(Layer::Embedding(_)), Input::Values(_)) => Err(Error::Value {
                argument: "x",
                expected: said("ids for a model that begins with an embedding"),
            }),
            (_, Input::Values(values)) => check_shape("x", Need::STEPS_ROWS_INPUTS, expected, values.len()),
            (_, Input::Ids(_)) => {
                Err(Error::Value { argument: "x", expected: said("values for a model without an embedding") })
            }
        }
    }

    /// Rejects buffers of a step that do not fit: the input, and the lengths of the output, of the state and of
    /// the scratch. Returns the number of rows, and the length of the outputs of all layers but the last.
    #[cfg_attr(target_os = "none", inline(always))]
    fn check_step(&self, x: Input<'_>, lens: [usize; 3]) -> Result<(usize, usize)> {
        self.check_steps()?;
        // If `x` is shorter than a row, it is checked as one row, so that the error says how long a row is.
        let rows = x.len().checked_div(self.input()).unwrap_or(0);
        let batch = if rows == 0 && x.len() > 0 { 1 } else { rows };
        self.check_buffers([1, 1, batch], x, Need::ROWS_OUTPUTS, lens)?;
        Ok((batch, self.between_len(1, batch)))
    }

    /// Rejects buffers that do not fit: the input, and the lengths of the output, of the state and of the
    /// scratch. `need` says what the output's length is made of.
    #[cfg_attr(not(all(target_os = "none", feature = "named-forms")), inline(always))]
    fn check_buffers(
        &self,
        [threads, steps, batch]: [usize; 3],
        x: Input<'_>,
        need: Need,
        [y, state, scratch]: [usize; 3],
    ) -> Result<()> {
        self.check_x(steps, batch, x)?;
        check_shape("y", need, self.output_len(steps, batch), y)?;
        check_len("state", self.state_len(batch), state)?;
        check_room("scratch", self.scratch_len_with(threads, steps, batch), scratch)
    }

    /// Rejects layers of an image that were linked without this pass.
    #[inline(always)]
    pub(super) fn check_linked(&self, reach: Reach) -> Result<()> {
        let fewer = |layer: &Layer| layer.levels().is_some_and(|levels| levels.first.passes.reach < reach);
        match self.layers().iter().position(fewer) {
            Some(layer) => Err(Error::Layers {
                layer,
                what: said("was linked without this pass: name a form that has it"),
            }),
            None => Ok(()),
        }
    }

    /// Rejects a model that cannot run step by step.
    pub(crate) const fn check_steps(&self) -> Result<()> {
        match steps_refusal(self.layers()) {
            Some((layer, what)) => Err(Error::Layers { layer, what: said(what) }),
            None => Ok(()),
        }
    }
}
