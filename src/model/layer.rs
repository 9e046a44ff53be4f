//! The layer of a model: a value that describes it.

use crate::cell::{GruCell, LstmCell, MguCell, RnnCell};
use crate::error::Result;
use crate::kernel::Narrow;
use crate::kernel::bytes::bytes;
use crate::kernel::narrow::{IN_PLACE, PACKS};
use crate::layer::buffer::mul;
use crate::layer::packed::Fingerprint;
use crate::layer::recurrent::{Levels, narrow_fingerprint};
use crate::layer::{Activate, Dense, Embedding, Gru, Lstm, Mgu, Pool, Rnn, Scale, Stack};
use crate::simd::Isa;

/// A layer of a [`Model`](super::Model).
///
/// Every variant can be written in a constant. Layers with options are made by their own type and wrapped:
///
/// ```
/// use recurrent::model::Layer;
/// use recurrent::{Dense, Lstm, Merge, Pool, Stack};
/// const ENCODER: Layer = Layer::Lstm(Stack::new(Lstm::new(64, 128).peepholes()).layers(2).bidirectional(Merge::Concat));
/// const HIDDEN: Layer = Layer::Dense(Dense::new(256, 32).relu());
/// const LAST: Layer = Layer::Pool(Pool::Last);
/// assert_eq!(Layer::lstm(3, 5), Layer::from(Lstm::new(3, 5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// A vector for each id. It has to be the first layer; the model then takes ids.
    Embedding(Embedding),
    /// Simple recurrent layers.
    Rnn(Stack<RnnCell>),
    /// LSTM layers.
    Lstm(Stack<LstmCell>),
    /// GRU layers.
    Gru(Stack<GruCell>),
    /// Minimal gated unit layers.
    Mgu(Stack<MguCell>),
    /// A dense layer over each step, or over each sequence if there is a pool below it.
    Dense(Dense),
    /// An activation function of each feature.
    Activate(Activate),
    /// A scale and a shift for each feature.
    Scale(Scale),
    /// Adds the model's input to the output so far. The input has to be values, with at least as many
    /// features. Further features are not added.
    Residual,
    /// Reduces the steps of each sequence to one row. Layers above it get one row for each sequence and
    /// cannot be recurrent.
    Pool(Pool),
    /// Dropout with this probability. It applies in training, by factors. It has to be between other layers.
    Dropout(f32),
}

impl Layer {
    /// An embedding: `classes` vectors of `width` features.
    pub const fn embedding(classes: usize, width: usize) -> Self {
        Layer::Embedding(Embedding::new(classes, width))
    }

    /// A simple recurrent layer of `hidden` tanh units over `input` features.
    pub const fn rnn(input: usize, hidden: usize) -> Self {
        Layer::Rnn(Stack::new(Rnn::new(input, hidden)))
    }

    /// An LSTM layer of `hidden` units over `input` features.
    pub const fn lstm(input: usize, hidden: usize) -> Self {
        Layer::Lstm(Stack::new(Lstm::new(input, hidden)))
    }

    /// A GRU layer of `hidden` units over `input` features.
    pub const fn gru(input: usize, hidden: usize) -> Self {
        Layer::Gru(Stack::new(Gru::new(input, hidden)))
    }

    /// A minimal gated unit layer of `hidden` units over `input` features.
    pub const fn mgu(input: usize, hidden: usize) -> Self {
        Layer::Mgu(Stack::new(Mgu::new(input, hidden)))
    }

    /// A dense layer of `output` units over `input` features, without an activation.
    pub const fn dense(input: usize, output: usize) -> Self {
        Layer::Dense(Dense::new(input, output))
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident, $value:ident => $e:expr;)+) => {
        $(impl From<$type> for Layer {
            fn from($value: $type) -> Self {
                Layer::$variant($e)
            }
        })+
    };
}

from! {
    Activate => Activate, layer => layer;
    Scale => Scale, layer => layer;
    Embedding => Embedding, layer => layer;
    Rnn => Rnn, layer => Stack::new(layer);
    Lstm => Lstm, layer => Stack::new(layer);
    Gru => Gru, layer => Stack::new(layer);
    Mgu => Mgu, layer => Stack::new(layer);
    Stack<RnnCell> => Rnn, stack => stack;
    Stack<LstmCell> => Lstm, stack => stack;
    Stack<GruCell> => Gru, stack => stack;
    Stack<MguCell> => Mgu, stack => stack;
    Dense => Dense, layer => layer;
    Pool => Pool, pool => pool;
}

impl Layer {
    /// The same layer with matrices in a narrow format for inference. A layer without a matrix does not
    /// change.
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    pub const fn narrow(self, narrow: Narrow) -> Self {
        self.with_format(Some(narrow))
    }

    /// The same layer with all weights in `f32`.
    pub const fn wide(self) -> Self {
        self.with_format(None)
    }

    const fn with_format(self, narrow: Option<Narrow>) -> Self {
        match self {
            Layer::Embedding(l) => Layer::Embedding(l.with_format(narrow)),
            Layer::Dense(l) => Layer::Dense(l.with_format(narrow)),
            Layer::Rnn(stack) => Layer::Rnn(stack.with_format(narrow)),
            Layer::Lstm(stack) => Layer::Lstm(stack.with_format(narrow)),
            Layer::Gru(stack) => Layer::Gru(stack.with_format(narrow)),
            Layer::Mgu(stack) => Layer::Mgu(stack.with_format(narrow)),
            other => other,
        }
    }

    /// The format of its matrices; `None` for `f32`, and for a layer without a matrix.
    pub const fn narrow_format(&self) -> Option<Narrow> {
        if !PACKS && !IN_PLACE {
            return None;
        }
        match self {
            Layer::Embedding(l) => l.narrow_format(),
            Layer::Dense(l) => l.narrow_format(),
            _ => match self.levels() {
                Some(levels) => levels.first.format(),
                None => None,
            },
        }
    }

    /// Rejects a format whose sums are too short for the layer's rows.
    pub(crate) const fn check_narrow(&self) -> Result<()> {
        if !PACKS && !IN_PLACE {
            return Ok(());
        }
        match (self, self.levels()) {
            (Layer::Dense(l), _) => l.check_narrow(),
            (_, Some(levels)) => levels.check_narrow(),
            _ => Ok(()),
        }
    }

    /// Rejects weights that the layer's format cannot hold.
    pub(crate) fn check_values(&self, weights: &[f32]) -> Result<()> {
        match (self, self.levels()) {
            (Layer::Embedding(l), _) => l.check_values(weights),
            (Layer::Dense(l), _) => l.check_values(weights),
            (_, Some(levels)) => levels.check_values(weights),
            _ => Ok(()),
        }
    }

    /// Rounds checked weights to words, as bytes. Without a narrow format the weights are copied.
    pub(crate) fn write_words(&self, weights: &[f32], out: &mut [u8]) -> Result<()> {
        match (self, self.levels()) {
            (Layer::Embedding(l), _) => l.write_words(weights, out)?,
            (Layer::Dense(l), _) => l.write_words(weights, out)?,
            (_, Some(levels)) => levels.write_words(weights, out)?,
            _ => out.copy_from_slice(bytes(weights)),
        }
        Ok(())
    }

    /// Converts words back to `f32` weights.
    pub(crate) fn widen_words(&self, words: &[f32], weights: &mut [f32]) -> Result<()> {
        match (self, self.levels()) {
            (Layer::Embedding(l), _) => l.widen_words(words, weights)?,
            (Layer::Dense(l), _) => l.widen_words(words, weights)?,
            (_, Some(levels)) => levels.widen_words(words, weights)?,
            _ => weights.copy_from_slice(words),
        }
        Ok(())
    }

    /// Length of the weights in the layer's own format, in words.
    pub(crate) const fn words_len(&self) -> usize {
        if !PACKS && !IN_PLACE {
            return self.weights_len();
        }
        match (self, self.levels()) {
            (Layer::Embedding(l), _) => l.words_len(),
            (Layer::Dense(l), _) => l.words_len(),
            (_, Some(levels)) => levels.words_len(),
            _ => self.weights_len(),
        }
    }

    /// Length of the weights, and of their gradients.
    pub const fn weights_len(&self) -> usize {
        match self {
            Layer::Embedding(l) => l.weights_len(),
            Layer::Dense(l) => l.weights_len(),
            Layer::Scale(l) => l.weights_len(),
            _ => match self.levels() {
                Some(levels) => levels.weights_len(),
                None => 0,
            },
        }
    }

    /// The recurrent layers in it, with the cell as a value instead of a type.
    #[inline(always)]
    pub(crate) const fn levels(&self) -> Option<&Levels> {
        match self {
            Layer::Rnn(stack) => Some(&stack.levels),
            Layer::Lstm(stack) => Some(&stack.levels),
            Layer::Gru(stack) => Some(&stack.levels),
            Layer::Mgu(stack) => Some(&stack.levels),
            _ => None,
        }
    }
}

/// The dimensions of a layer's input: `batch` rows of `width` features for each step. Above a pool there is
/// one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dims {
    pub(super) steps: usize,
    pub(super) batch: usize,
    pub(super) width: usize,
}

impl Dims {
    /// For lengths that depend only on the layer.
    pub(super) const ONE: Dims = Dims { steps: 1, batch: 1, width: 1 };

    /// The dimensions of the input of layer `index`. For the index after the last layer: the dimensions of
    /// the model's output.
    pub(super) const fn of(layers: &[Layer], index: usize, steps: usize, batch: usize) -> Self {
        let width = match layers {
            [first, ..] => first.input(),
            [] => None,
        };
        let width = match width {
            Some(width) => width,
            None => 0,
        };
        let (mut dims, mut i) = (Dims { steps, batch, width }, 0);
        while i < index {
            dims = layers[i].after(dims);
            i += 1;
        }
        dims
    }

    pub(super) const fn rows(self) -> usize {
        mul(self.steps, self.batch)
    }

    pub(super) const fn len(self) -> usize {
        mul(self.rows(), self.width)
    }
}

impl Layer {
    /// Number of input features, if the layer defines it. An id counts as one feature.
    pub(crate) const fn input(&self) -> Option<usize> {
        match self {
            Layer::Embedding(_) => Some(1),
            Layer::Dense(l) => Some(l.input()),
            Layer::Scale(l) => Some(l.width()),
            _ => match self.levels() {
                Some(levels) => Some(levels.input()),
                None => None,
            },
        }
    }

    /// The dimensions of the layer's output.
    pub(super) const fn after(&self, dims: Dims) -> Dims {
        let width = match self {
            Layer::Embedding(l) => l.width(),
            Layer::Dense(l) => l.output(),
            Layer::Scale(l) => l.width(),
            Layer::Pool(_) => return Dims { steps: 1, ..dims },
            _ => match self.levels() {
                Some(levels) => levels.output(),
                None => dims.width,
            },
        };
        Dims { width, ..dims }
    }

    /// Why the layer cannot run step by step, if it cannot.
    #[inline(always)]
    pub(super) const fn steps_refusal(&self) -> Option<&'static str> {
        match (self.levels(), self) {
            (Some(levels), _) if !levels.is_causal() => Some("does not run forward"),
            (_, Layer::Pool(pool)) if !matches!(pool, Pool::Last) => {
                Some("is a pool that needs the whole sequence")
            }
            _ => None,
        }
    }

    /// The instruction set that its passes run on, if they depend on one.
    #[inline(always)]
    pub(super) fn isa(&self) -> Option<Isa> {
        match (self.levels(), self) {
            (Some(levels), _) => Some(levels.first.isa()),
            (_, Layer::Dense(l)) => Some(l.isa()),
            (_, Layer::Activate(l)) => Some(l.isa()),
            _ => None,
        }
    }

    /// Identifies how the layer's weights are packed. Includes the instruction set that the layer is pinned
    /// to, and its direction.
    pub(super) const fn fingerprint(&self) -> Fingerprint {
        let (fingerprint, pinned) = match self {
            Layer::Embedding(l) => {
                let of = Fingerprint::new(6).and(l.classes()).and(l.width());
                (narrow_fingerprint(of, l.narrow_format()), None)
            }
            Layer::Dense(l) => (l.fingerprint(), l.pinned()),
            Layer::Scale(l) => (Fingerprint::new(10).and(l.width()), None),
            _ => match self.levels() {
                Some(levels) => (levels.fingerprint().and(levels.first.reverse as usize), levels.first.isa),
                None => (Fingerprint::new(7), None),
            },
        };
        fingerprint.and(match pinned {
            Some(isa) => isa.lanes(),
            None => 0,
        })
    }
}
