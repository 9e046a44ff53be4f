//! One layer of a model: a value that says what it is.

use crate::cell::{GruCell, LstmCell, MguCell, RnnCell};
use crate::layer::buffer::{add, mul};
use crate::layer::{Dense, Embedding, Gru, Lstm, Mgu, Pool, Rnn, Stack};

/// A layer of a [`Model`](super::Model).
///
/// Every variant can be written in a constant. What has options is made by its own type and wrapped:
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
    /// A vector for each id. It comes first: models that begin with it take ids.
    Embedding(Embedding),
    /// Simple recurrent layers.
    Rnn(Stack<RnnCell>),
    /// LSTM layers.
    Lstm(Stack<LstmCell>),
    /// GRU layers.
    Gru(Stack<GruCell>),
    /// Minimal gated unit layers.
    Mgu(Stack<MguCell>),
    /// A dense layer: over each step, or over each sequence once a pool has been passed.
    Dense(Dense),
    /// One row out of the steps of each sequence. What follows sees rows of sequences, and is not recurrent.
    Pool(Pool),
    /// Dropout with this probability, in training with factors; it stands between other layers.
    Dropout(f32),
}

/// The same expression for the stack of each cell; `$other` for the other layers.
macro_rules! each {
    ($layer:expr, $s:ident => $e:expr, $($other:pat $(if $guard:expr)? => $value:expr),+ $(,)?) => {
        match $layer {
            $crate::model::Layer::Rnn($s) => $e,
            $crate::model::Layer::Lstm($s) => $e,
            $crate::model::Layer::Gru($s) => $e,
            $crate::model::Layer::Mgu($s) => $e,
            $($other $(if $guard)? => $value),+
        }
    };
}
pub(super) use each;

impl Layer {
    /// `classes` vectors of `width` features.
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
    /// Length of the weights, and of their gradients.
    pub const fn weights_len(&self) -> usize {
        self.len(Part::Weights, Dims { steps: 1, batch: 1, width: 0 })
    }
}

/// What a layer is given: rows of `width` features, `batch` for each step. Past a pool there is one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dims {
    pub(super) steps: usize,
    pub(super) batch: usize,
    pub(super) width: usize,
}

impl Dims {
    pub(super) const fn rows(self) -> usize {
        mul(self.steps, self.batch)
    }

    pub(super) const fn len(self) -> usize {
        mul(self.rows(), self.width)
    }
}

/// A part that a layer has in one of the model's buffers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Weights,
    Packed,
    State,
    Output,
    Tape,
    Dropout,
    Scratch,
    TrainScratch,
}

impl Layer {
    /// Features of the input, if the layer says; ids count as one.
    pub(super) const fn input(&self) -> Option<usize> {
        each!(self, s => Some(s.input()),
            Layer::Embedding(_) => Some(1),
            Layer::Dense(l) => Some(l.input()),
            Layer::Pool(_) | Layer::Dropout(_) => None,
        )
    }

    /// What comes out of it.
    pub(super) const fn after(&self, dims: Dims) -> Dims {
        let width = each!(self, s => s.output(),
            Layer::Embedding(l) => l.width(),
            Layer::Dense(l) => l.output(),
            Layer::Pool(_) => return Dims { steps: 1, ..dims },
            Layer::Dropout(_) => dims.width,
        );
        Dims { width, ..dims }
    }

    /// The length of a part.
    pub(super) const fn len(&self, part: Part, dims: Dims) -> usize {
        let Dims { steps, batch, .. } = dims;
        match part {
            Part::Weights => each!(self, s => s.weights_len(),
                Layer::Embedding(l) => l.weights_len(),
                Layer::Dense(l) => l.weights_len(),
                Layer::Pool(_) | Layer::Dropout(_) => 0,
            ),
            Part::Packed => each!(self, s => s.packed_len(),
                Layer::Dense(l) => l.packed_len(),
                _ => self.len(Part::Weights, dims),
            ),
            Part::State => each!(self, s => s.state_len(batch), _ => 0),
            Part::Output => self.after(dims).len(),
            Part::Tape => each!(self, s => s.tape_len(steps, batch), _ => 0),
            Part::Dropout => each!(self, s => s.drawn_len(batch),
                Layer::Dropout(_) => dims.len(),
                _ => 0,
            ),
            Part::Scratch => each!(self, s => s.scratch_len(steps, batch),
                Layer::Dense(l) => l.scratch_len(),
                _ => 0,
            ),
            // The gradient of the state is in the scratch.
            Part::TrainScratch => {
                each!(self, s => add(s.state_len(batch), s.train_scratch_len(steps, batch)),
                    Layer::Dense(l) => l.scratch_len(),
                    _ => 0,
                )
            }
        }
    }
}
