//! The visitor of a pass from the input to the output, which training and inference share.

use super::args::Input;
use super::layer::{Dims, Layer};
use super::part::Part;
use super::through::Visit;
use crate::error::Result;
use crate::layer::buffer::{add_to, multiply, take, take_mut};
use crate::layer::join::Team;
use crate::layer::packed::Source;
use crate::layer::{self, ForwardTrain, Sequences};
use crate::simd::Isa;

/// Kinds of weights: canonical in `f32`, in panels, and canonical in the formats of the layers.
pub(super) const CANONICAL: u8 = 0;
pub(super) const PANELS: u8 = 1;
pub(super) const WORDS: u8 = 2;

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
    pub(super) fn over<const FROM: u8>(self) -> Up<'a, false, FROM> {
        let Up { team, sequences, weights, x, input, dims, state, rows, y, factors, tapes, scratch } = self;
        Up { team, sequences, weights, x, input, dims, state, rows, y, factors, tapes, scratch }
    }
}

impl<'a, const TRAIN: bool, const FROM: u8> Up<'a, TRAIN, FROM> {
    /// Takes the weights of the next layer.
    #[inline(always)]
    pub(super) fn next(&mut self, layer: &Layer) -> Source<'a> {
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
    pub(super) fn output(&mut self, after: Dims, is_last: bool) -> &'a mut [f32] {
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
    pub(super) fn each_row(&mut self, layer: &Layer, weights: Source<'_>, y: &mut [f32]) -> Result<()> {
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
