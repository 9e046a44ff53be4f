//! Models whose layers are in a slice. Constant models run through the same code.

use super::held::Held;
#[cfg(not(target_os = "none"))]
use super::held::Lens;
use super::layer::{Dims, Layer};
use super::part::Part;
use crate::error::{Error, Result, said};
use crate::kernel::narrow::IN_PLACE;
use crate::layer::Pool;
#[cfg(feature = "std")]
use crate::layer::Sequences;
#[cfg(feature = "std")]
use crate::layer::buffer::mul;
use crate::layer::buffer::{add, max};
use crate::layer::packed::{Fingerprint, HOLDS_PACKING, Owner, Source, WeightSource, canonical};
use crate::simd::Isa;

/// A model whose layers are in a slice: read from a file, made from a program's options, or those of a
/// [`Model`](super::Model).
///
/// It has the passes and lengths of a [`Model`](super::Model), whose array of layers is known to the
/// compiler. Results have the same bits, and packed weights of one fit the other. The number of layers is not
/// limited.
///
/// ```
/// use recurrent::{Sequences, model::{Chain, Forward, Layer}};
/// let layers: Vec<Layer> = (0..20).map(|i| Layer::gru(if i == 0 { 2 } else { 4 }, 4)).collect();
/// let chain = Chain::new(&layers)?;
/// let weights = vec![0.1; chain.weights_len()];
/// let (mut y, mut state) = (vec![0.0; chain.output_len(3, 1)], vec![0.0; chain.state_len(1)]);
/// let (mut scratch, sequences) = (vec![0.0; chain.scratch_len(3, 1)], Sequences::new(3, 1));
/// let x = (&[1.0; 3 * 2]).into();
/// chain.forward(&weights, Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch })?;
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chain<'a> {
    layers: &'a [Layer],
    /// `None` until it is set.
    pub(super) recurrent_dropout: Option<f32>,
    pub(super) held: Held,
}

impl<'a> Chain<'a> {
    /// Makes a model of these layers, from the input to the output.
    ///
    /// # Errors
    /// [`Error::Features`] if a layer takes another number of features than the one before it gives;
    /// [`Error::Layers`] if there is no layer; if an embedding is not the first; if a recurrent layer, a
    /// residual or a second pool comes after a pool; if a layer without sizes (a pool, an activation, a
    /// residual, dropout) is the first or dropout the last; if the probability of dropout is not in `0..1`.
    pub const fn new(layers: &'a [Layer]) -> Result<Self> {
        match check(layers) {
            Ok(()) => Ok(Chain { layers, recurrent_dropout: None, held: held(layers) }),
            Err(e) => Err(e),
        }
    }

    /// The same with this probability of recurrent dropout, for the layers that were made with
    /// [`recurrent_dropout`](crate::Recurrent::recurrent_dropout). See
    /// [`Model::recurrent_dropout`](super::Model::recurrent_dropout).
    pub const fn recurrent_dropout(mut self, p: f32) -> Self {
        self.recurrent_dropout = Some(p);
        self
    }

    /// Makes a model of layers that have been checked.
    pub(super) const fn with(layers: &'a [Layer], recurrent_dropout: Option<f32>, held: Held) -> Self {
        Chain { layers, recurrent_dropout, held }
    }

    /// Length of the state of one row, for layers that need not fit together.
    pub(crate) const fn state_of(layers: &[Layer]) -> usize {
        Chain::with(layers, None, Held::NONE).state_len(1)
    }

    /// The layers, from the input to the output.
    pub const fn layers(&self) -> &'a [Layer] {
        self.layers
    }

    /// The instruction set of the losses: that of the last layer that has one. So a training on a chosen
    /// instruction set has the bits of that set.
    pub(crate) fn isa(&self) -> Isa {
        self.layers.iter().rev().find_map(Layer::isa).unwrap_or_else(Isa::detect)
    }

    pub(super) const fn input_layer(&self) -> Option<&'a Layer> {
        match self.layers {
            [first, ..] => Some(first),
            [] => None,
        }
    }

    pub(super) const fn dims(&self, steps: usize, batch: usize) -> Dims {
        Dims::of(self.layers, 0, steps, batch)
    }

    /// The dimensions of the output.
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(super) const fn out(&self, steps: usize, batch: usize) -> Dims {
        Dims::of(self.layers, self.layers.len(), steps, batch)
    }

    /// The sum of the lengths of a part over the first `count` layers, and the greatest of these lengths. In
    /// firmware the compiler computes both for constant layers.
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    const fn lengths_of<const HERE: bool>(
        &self,
        part: Part,
        count: usize,
        steps: usize,
        batch: usize,
    ) -> (usize, usize) {
        let (mut sum, mut greatest, mut i) = (0, 0, 0);
        let mut dims = self.dims(steps, batch);
        while i < count {
            let layer = &self.layers[i];
            let len = if HERE { layer.len_in_place(part, dims) } else { layer.other_len(part, dims) };
            (sum, greatest) = (add(sum, len), max(greatest, len));
            dims = self.layers[i].after(dims);
            i += 1;
        }
        (sum, greatest)
    }

    #[inline(always)]
    const fn lengths(&self, part: Part, count: usize, steps: usize, batch: usize) -> (usize, usize) {
        match part.is_in_place() {
            true => self.lengths_of::<true>(part, count, steps, batch),
            false => self.lengths_of::<false>(part, count, steps, batch),
        }
    }

    #[inline(always)]
    pub(super) const fn sum(&self, part: Part, steps: usize, batch: usize) -> usize {
        self.lengths(part, self.layers.len(), steps, batch).0
    }

    #[inline(always)]
    pub(super) const fn greatest(&self, part: Part, steps: usize, batch: usize) -> usize {
        self.lengths(part, self.layers.len(), steps, batch).1
    }

    /// Length of the scratch that layers use in turn.
    #[inline(always)]
    pub(super) const fn scratch_of_layers(&self, threads: usize, steps: usize, batch: usize) -> usize {
        let greatest = self.greatest(Part::Scratch(threads), steps, batch);
        #[cfg(not(target_os = "none"))]
        let greatest = max(greatest, super::overlap::scratch_len(self.layers, threads, steps, batch));
        greatest
    }

    /// Approximate number of multiply-adds of a pass, with padding.
    #[cfg(feature = "std")]
    pub(crate) fn work(&self, sequences: Sequences<'_>) -> usize {
        mul(mul(sequences.steps(), sequences.batch()), self.sum(Part::Weights, 1, 1))
    }

    /// Length of all panels.
    #[inline(always)]
    pub(super) const fn panels_len(&self) -> usize {
        self.sum(Part::Panels, 1, 1)
    }

    /// Length of the outputs of all layers but the last.
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(super) const fn between_len(&self, steps: usize, batch: usize) -> usize {
        self.lengths(Part::Output, self.layers.len().saturating_sub(1), steps, batch).0
    }

    /// Length of the outputs of all layers.
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(super) const fn outputs_len(&self, steps: usize, batch: usize) -> usize {
        self.sum(Part::Output, steps, batch)
    }

    /// Length of the longest output of a layer.
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(super) const fn widest_len(&self, steps: usize, batch: usize) -> usize {
        self.greatest(Part::Output, steps, batch)
    }

    /// Whether a layer has narrow matrices.
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(crate) const fn is_narrow(&self) -> bool {
        let mut i = 0;
        while i < self.layers.len() {
            if self.layers[i].narrow_format().is_some() {
                return true;
            }
            i += 1;
        }
        false
    }

    /// Rejects weights of another model.
    #[inline(always)]
    pub(super) fn check_weights<'w>(&self, weights: WeightSource<'w>) -> Result<Source<'w>> {
        match weights {
            WeightSource::Canonical(flat) => canonical(flat, self.weights_len(), self.is_narrow()),
            weights => weights.check(self.owner()),
        }
    }

    /// Describes the packed weights that the model's passes accept.
    #[inline(always)]
    pub(super) fn owner(&self) -> Owner {
        #[cfg(target_os = "none")]
        let (weights, panels) = (self.weights_len(), self.panels_len());
        #[cfg(not(target_os = "none"))]
        let (weights, panels) = (self.held.lens.weights, self.held.lens.panels);
        Owner {
            what: "model",
            fingerprint: if HOLDS_PACKING { self.held.fingerprint } else { new_fingerprint(self.layers) },
            weights,
            panels,
            pinned: None,
            narrow: self.is_narrow(),
            words: if IN_PLACE && self.is_narrow() { Some(self.words_len()) } else { None },
        }
    }
}

/// Rejects layers that do not fit together.
pub(super) const fn check(layers: &[Layer]) -> Result<()> {
    if layers.is_empty() {
        return Err(Error::Layers { layer: 0, what: said("is missing") });
    }
    let (mut dims, mut pooled, mut i) = (Dims { steps: 1, batch: 1, width: 0 }, false, 0);
    let width = Dims::of(layers, 0, 1, 1).width;
    while i < layers.len() {
        let is_last = i + 1 == layers.len();
        if let Some(levels) = layers[i].levels()
            && let Some(what) = levels.first.cell.norm_refusal()
        {
            return Err(Error::Layers { layer: i, what: said(what) });
        }
        if let Err(e) = layers[i].check_narrow() {
            return Err(e);
        }
        let what = match (&layers[i], layers[i].input()) {
            (Layer::Embedding(_), _) if i > 0 => "is an embedding, which must be the first layer",
            (Layer::Pool(_) | Layer::Dropout(_) | Layer::Activate(_) | Layer::Residual, _) if i == 0 => {
                "needs a layer below it"
            }
            (Layer::Dropout(_), _) if is_last => "is dropout, which needs a layer above it",
            (Layer::Dropout(p), _) if !(*p >= 0.0 && *p < 1.0) => {
                "has a dropout probability outside of 0 <= p < 1"
            }
            (Layer::Rnn(_) | Layer::Lstm(_) | Layer::Gru(_) | Layer::Mgu(_) | Layer::Pool(_), _)
                if pooled =>
            {
                "needs a sequence, but a pool below it has already reduced it to one row"
            }
            (Layer::Pool(Pool::Ends), _) if !dims.width.is_multiple_of(2) => {
                "takes the ends of both directions, and needs an even number of features"
            }
            (Layer::Residual, _) if pooled => {
                "adds the input, which is a sequence, but a pool below it has already reduced it to one row"
            }
            (Layer::Residual, _) if matches!(layers[0], Layer::Embedding(_)) => {
                "adds the input, which is ids and has no features"
            }
            (Layer::Residual, _) if dims.width > width => {
                return Err(Error::Features { layer: i, takes: width, given: dims.width });
            }
            (_, Some(takes)) if i > 0 && takes != dims.width => {
                return Err(Error::Features { layer: i, takes, given: dims.width });
            }
            _ => "",
        };
        if !what.is_empty() {
            return Err(Error::Layers { layer: i, what: said(what) });
        }
        pooled |= matches!(layers[i], Layer::Pool(_));
        dims = layers[i].after(dims);
        i += 1;
    }
    Ok(())
}

/// What a model of these layers holds.
pub(super) const fn held(layers: &[Layer]) -> Held {
    Held {
        fingerprint: if HOLDS_PACKING { new_fingerprint(layers) } else { Fingerprint::NONE },
        #[cfg(not(target_os = "none"))]
        lens: {
            let chain = Chain::with(layers, None, Held::NONE);
            let quick = chain.classes().is_none() && chain.input() > 0 && steps_refusal(layers).is_none();
            Lens {
                weights: chain.weights_len(),
                panels: chain.panels_len(),
                input: if quick { chain.input() } else { usize::MAX },
                output: chain.output(),
                state: chain.state_len(1),
                scratch: chain.scratch_len(1, 1),
                between: chain.between_len(1, 1),
            }
        },
    }
}

/// The first layer that cannot run step by step, and why.
#[cfg_attr(target_os = "none", inline(always))]
pub(super) const fn steps_refusal(layers: &[Layer]) -> Option<(usize, &'static str)> {
    let mut index = 0;
    while index < layers.len() {
        if let Some(what) = layers[index].steps_refusal() {
            return Some((index, what));
        }
        index += 1;
    }
    None
}

/// Identifies how the weights of these layers are packed.
const fn new_fingerprint(layers: &[Layer]) -> Fingerprint {
    let (mut fingerprint, mut i) = (Fingerprint::new(8), 0);
    while i < layers.len() {
        fingerprint = fingerprint.with(layers[i].fingerprint());
        i += 1;
    }
    fingerprint
}

/// A chain that owns its layers.
#[cfg(feature = "std")]
#[derive(Clone)]
pub(crate) struct Owned {
    layers: std::vec::Vec<Layer>,
    recurrent_dropout: Option<f32>,
    held: Held,
}

#[cfg(feature = "std")]
impl Owned {
    pub(crate) fn new(chain: Chain<'_>) -> Self {
        let Chain { layers, recurrent_dropout, held } = chain;
        Owned { layers: layers.to_vec(), recurrent_dropout, held }
    }

    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain::with(&self.layers, self.recurrent_dropout, self.held)
    }
}
