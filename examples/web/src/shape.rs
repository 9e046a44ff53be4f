//! The layers of a character model: an embedding, a stack of recurrent layers, a dense layer.

use recurrent::image::{Form, Image};
use recurrent::model::Layer;
use recurrent::{Dense, Embedding, Error, Gru, Isa, Lstm, Result, Rnn, Stack};

/// The cells that the page knows, which are those of the example `char_rnn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Lstm,
    Gru,
    Rnn,
}

/// Everything that the number of weights depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub cell: Cell,
    /// Different characters.
    pub vocabulary: usize,
    /// Features of a character.
    pub embedding: usize,
    /// Units of each recurrent layer.
    pub hidden: usize,
    /// Recurrent layers.
    pub layers: usize,
}

/// The passes that are linked into the module.
const FORMS: [&Form; 3] = [&Form::LSTM, &Form::GRU, &Form::RNN_TANH];

const OTHER: Error = Error::Layers { layer: 1, what: "is not that of a character model" };

impl Shape {
    /// The layers; for an instruction set, if one is given.
    pub fn layers(self, isa: Option<Isa>) -> [Layer; 3] {
        let Shape { cell, vocabulary, embedding, hidden, layers } = self;
        let mut dense = Dense::new(hidden, vocabulary);
        if let Some(isa) = isa {
            dense = dense.on(isa);
        }
        macro_rules! stack {
            ($cell:ident) => {{
                let stack = Stack::new($cell::new(embedding, hidden)).layers(layers);
                isa.map_or(stack, |isa| stack.on(isa)).into()
            }};
        }
        let recurrent = match cell {
            Cell::Lstm => stack!(Lstm),
            Cell::Gru => stack!(Gru),
            Cell::Rnn => stack!(Rnn),
        };
        [Embedding::new(vocabulary, embedding).into(), recurrent, dense.into()]
    }

    /// The shape of an image's layers.
    ///
    /// # Errors
    /// If they are others than those of a character model, or narrow.
    pub fn of(image: &Image<'_>) -> Result<Self> {
        let mut layers = [Layer::Residual; 3];
        image.link(&FORMS, &mut layers)?;
        let [Layer::Embedding(embedding), recurrent, Layer::Dense(_)] = layers else { return Err(OTHER) };
        let (cell, hidden, depth) = match recurrent {
            Layer::Lstm(stack) => (Cell::Lstm, stack.output(), stack.depth()),
            Layer::Gru(stack) => (Cell::Gru, stack.output(), stack.depth()),
            Layer::Rnn(stack) => (Cell::Rnn, stack.output(), stack.depth()),
            _ => return Err(OTHER),
        };
        let (vocabulary, embedding) = (embedding.classes(), embedding.width());
        let shape = Shape { cell, vocabulary, embedding, hidden, layers: depth };
        // Whatever else the layers have, such as a second direction or an activation, they do not have here.
        if shape.layers(None) == layers { Ok(shape) } else { Err(OTHER) }
    }
}
