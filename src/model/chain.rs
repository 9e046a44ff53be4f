//! Layers on top of each other, in a slice: what all models are made of.

use rand_core::Rng;

use super::args::{Forward, Input, Training};
use super::layer::{Dims, Layer, Part};
use super::{forward, train};
use crate::error::{Error, Result, check_len};
use crate::layer::buffer::{add, max, mul};
use crate::layer::packed::{Fingerprint, Owner, Packed, WeightSource, packed_len};
use crate::simd::Isa;

/// A model whose layers stand in a slice: of a file, of a program's options, or of a [`Model`](super::Model).
///
/// It has the passes and the lengths of a [`Model`](super::Model), whose array is known to the compiler; the results have the same bits, and packed weights
/// of the one are those of the other. There is no limit to the number of layers.
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
    pub(super) recurrent_dropout: f32,
    pub(super) fingerprint: Fingerprint,
}

impl<'a> Chain<'a> {
    /// A model of these layers, from the input to the output.
    ///
    /// # Errors
    /// [`Error::Layers`] if there is no layer; if a layer takes another number of features than the one before it gives; if an
    /// embedding is not the first; if a recurrent layer or a second pool comes after a pool; if dropout or a pool is the first
    /// or dropout the last; if the probability of dropout is not in `0..1`.
    pub const fn new(layers: &'a [Layer]) -> Result<Self> {
        match check(layers) {
            Ok(fingerprint) => Ok(Chain { layers, recurrent_dropout: 0.0, fingerprint }),
            Err(e) => Err(e),
        }
    }

    /// The same with this probability of recurrent dropout in the layers that were made
    /// [able to](crate::Recurrent::recurrent_dropout).
    pub const fn recurrent_dropout(mut self, p: f32) -> Self {
        self.recurrent_dropout = p;
        self
    }

    /// Layers that have been checked.
    pub(super) const fn with(layers: &'a [Layer], recurrent_dropout: f32, fingerprint: Fingerprint) -> Self {
        Chain { layers, recurrent_dropout, fingerprint }
    }

    /// The layers, from the input to the output.
    pub const fn layers(&self) -> &'a [Layer] {
        self.layers
    }

    const fn input_layer(&self) -> Option<&'a Layer> {
        match self.layers {
            [first, ..] => Some(first),
            [] => None,
        }
    }

    pub(super) const fn dims(&self, steps: usize, batch: usize) -> Dims {
        Dims::of(self.layers, 0, steps, batch)
    }

    /// What comes out.
    const fn out(&self, steps: usize, batch: usize) -> Dims {
        Dims::of(self.layers, self.layers.len(), steps, batch)
    }

    /// The sum of a part's lengths over the first layers, and the greatest of them.
    const fn lengths(&self, part: Part, count: usize, steps: usize, batch: usize) -> (usize, usize) {
        let (mut sum, mut greatest, mut i) = (0, 0, 0);
        let mut dims = self.dims(steps, batch);
        while i < count {
            let len = self.layers[i].len(part, dims);
            (sum, greatest) = (add(sum, len), max(greatest, len));
            dims = self.layers[i].after(dims);
            i += 1;
        }
        (sum, greatest)
    }

    const fn sum(&self, part: Part, steps: usize, batch: usize) -> usize {
        self.lengths(part, self.layers.len(), steps, batch).0
    }

    const fn greatest(&self, part: Part, steps: usize, batch: usize) -> usize {
        self.lengths(part, self.layers.len(), steps, batch).1
    }

    /// Length of the outputs of all layers but the last.
    pub(super) const fn between_len(&self, steps: usize, batch: usize) -> usize {
        self.lengths(Part::Output, self.layers.len().saturating_sub(1), steps, batch).0
    }

    /// Length of the outputs of all layers.
    pub(super) const fn outputs_len(&self, steps: usize, batch: usize) -> usize {
        self.sum(Part::Output, steps, batch)
    }

    /// Length of the longest of them.
    pub(super) const fn widest_len(&self, steps: usize, batch: usize) -> usize {
        self.greatest(Part::Output, steps, batch)
    }

    /// Whose weights its passes ask for.
    #[inline(always)]
    pub(super) fn owner(&self) -> Owner {
        let (weights, panels) = (self.weights_len(), self.sum(Part::Panels, 1, 1));
        Owner { what: "model", fingerprint: self.fingerprint, weights, panels, pinned: None }
    }
}

/// Refuses layers that do not fit together.
pub(super) const fn check(layers: &[Layer]) -> Result<Fingerprint> {
    if layers.is_empty() {
        return Err(Error::Layers { layer: 0, what: "is missing" });
    }
    let (mut dims, mut pooled, mut i) = (Dims { steps: 1, batch: 1, width: 0 }, false, 0);
    let mut fingerprint = Fingerprint::new(8);
    while i < layers.len() {
        let is_last = i + 1 == layers.len();
        let what = match (&layers[i], layers[i].input()) {
            (Layer::Embedding(_), _) if i > 0 => "is an embedding, which has to be the first",
            (Layer::Pool(_) | Layer::Dropout(_), _) if i == 0 => "has to have another one below it",
            (Layer::Dropout(_), _) if is_last => "is dropout, which has to have another one above it",
            (Layer::Dropout(p), _) if !(*p >= 0.0 && *p < 1.0) => {
                "has a probability of dropout that is not at least 0 and below 1"
            }
            (Layer::Rnn(_) | Layer::Lstm(_) | Layer::Gru(_) | Layer::Mgu(_) | Layer::Pool(_), _)
                if pooled =>
            {
                "wants steps, and stands above a pool, which leaves none"
            }
            (_, Some(width)) if i > 0 && width != dims.width => {
                "takes another number of features than the one below it gives"
            }
            _ => "",
        };
        if !what.is_empty() {
            return Err(Error::Layers { layer: i, what });
        }
        pooled |= matches!(layers[i], Layer::Pool(_));
        dims = layers[i].after(dims);
        fingerprint = fingerprint.with(layers[i].fingerprint());
        i += 1;
    }
    Ok(fingerprint)
}

/// Lengths, of a slice and of an array.
macro_rules! lengths {
    ($($(#[$doc:meta])* $name:ident($chain:ident $(, $arg:ident)*) -> $type:ty { $e:expr })+) => {
        impl Chain<'_> {
            $($(#[$doc])*
            pub const fn $name(&self $(, $arg: usize)*) -> $type {
                let $chain = self;
                $e
            })+
        }

        impl<const N: usize> super::Model<N> {
            $($(#[$doc])*
            pub const fn $name(&self $(, $arg: usize)*) -> $type {
                self.chain().$name($($arg),*)
            })+
        }
    };
}

lengths! {
    /// Classes of the embedding that it begins with; `None` for a model that takes values.
    classes(chain) -> Option<usize> {
        match chain.input_layer() {
            Some(Layer::Embedding(l)) => Some(l.classes()),
            _ => None,
        }
    }

    /// Features of the input; 1 if it takes ids.
    input(chain) -> usize {
        chain.dims(1, 1).width
    }

    /// Features of the output.
    output(chain) -> usize {
        chain.out(1, 1).width
    }

    /// Whether it has one output for each sequence, because there is a pool, and not one for each step.
    is_pooled(chain) -> bool {
        chain.out(2, 1).steps == 1
    }

    /// Length of the weights, and of their gradients.
    weights_len(chain) -> usize {
        chain.sum(Part::Weights, 1, 1)
    }

    /// Length of packed weights, for any instruction set of this target.
    packed_len(chain) -> usize {
        packed_len(chain.sum(Part::Panels, 1, 1))
    }

    /// Length of the states of `batch` rows: those of all recurrent layers.
    state_len(chain, batch) -> usize {
        chain.sum(Part::State, 1, batch)
    }

    /// Length of the output: `T*B*output`, or `B*output` for a model with a pool.
    output_len(chain, steps, batch) -> usize {
        chain.out(steps, batch).len()
    }

    /// Length of the tape of a training pass: the outputs and the tapes of all layers.
    tape_len(chain, steps, batch) -> usize {
        add(chain.outputs_len(steps, batch), chain.sum(Part::Tape, steps, batch))
    }

    /// Length of the factors of dropout of a training pass.
    dropout_len(chain, steps, batch) -> usize {
        chain.sum(Part::Dropout, steps, batch)
    }

    /// Length of the scratch of a forward pass, and with `steps` 1 of a step.
    scratch_len(chain, steps, batch) -> usize {
        add(chain.between_len(steps, batch), chain.greatest(Part::Scratch, steps, batch))
    }

    /// Length of the scratch of a training pass.
    train_scratch_len(chain, steps, batch) -> usize {
        add(mul(2, chain.widest_len(steps, batch)), chain.greatest(Part::TrainScratch, steps, batch))
    }
}

impl Chain<'_> {
    /// As [`Model::pack`](super::Model::pack).
    ///
    /// # Errors
    /// As there.
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        self.pack_by(weights, packed, |to| self.pack_into(weights, to))
    }

    pub(super) fn pack_into(&self, weights: &[f32], panels: &mut [f32]) -> Result<()> {
        forward::pack_into(self.layers, *self, weights, panels)
    }

    pub(super) fn pack_by<B: AsMut<[f32]>>(
        &self,
        weights: &[f32],
        packed: B,
        pack: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<Packed<B>> {
        check_len("weights", self.weights_len(), weights.len())?;
        let owner = self.owner();
        Packed::new(Isa::detect(), owner.fingerprint, owner.panels, packed, pack)
    }

    /// As [`Model::forward`](super::Model::forward).
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        self.forward_from(weights.into(), args)
    }

    fn forward_from(&self, weights: WeightSource<'_>, args: Forward<'_>) -> Result<()> {
        forward::forward(self.layers, *self, weights, args)
    }

    /// As [`Model::step`](super::Model::step).
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn step<'w, 'x>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: impl Into<Input<'x>>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.step_from(weights.into(), x.into(), y, state, scratch)
    }

    fn step_from(
        &self,
        weights: WeightSource<'_>,
        x: Input<'_>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        forward::step(self.layers, *self, weights, x, y, state, scratch)
    }

    /// As [`Model::forward_backward`](super::Model::forward_backward).
    ///
    /// # Errors
    /// As there.
    pub fn forward_backward(&self, weights: &[f32], args: Training<'_>) -> Result<f32> {
        train::forward_backward(self.layers, *self, weights, args)
    }

    /// As [`Model::init`](super::Model::init).
    ///
    /// # Errors
    /// As there.
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        train::init(self.layers, *self, weights, rng)
    }
}

/// A chain with layers of its own.
#[cfg(feature = "std")]
#[derive(Clone)]
pub(crate) struct Owned {
    layers: std::vec::Vec<Layer>,
    recurrent_dropout: f32,
    fingerprint: Fingerprint,
}

#[cfg(feature = "std")]
impl Owned {
    pub(crate) fn new(chain: Chain<'_>) -> Self {
        let Chain { layers, recurrent_dropout, fingerprint } = chain;
        Owned { layers: layers.to_vec(), recurrent_dropout, fingerprint }
    }

    pub(crate) fn chain(&self) -> Chain<'_> {
        Chain::with(&self.layers, self.recurrent_dropout, self.fingerprint)
    }
}
