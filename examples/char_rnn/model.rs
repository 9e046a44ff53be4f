//! The model: an embedding, a stack of recurrent layers, a dense layer.

use recurrent::model::{Layer, Model};
use recurrent::{Dense, Embedding, Gru, Lstm, Result, Rnn, Stack};

/// Which recurrent cell the layers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    pub const ALL: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];

    pub fn name(self) -> &'static str {
        match self {
            Cell::Rnn => "rnn",
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        }
    }
}

/// Everything that the number of parameters depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub cell: Cell,
    pub vocabulary: usize,
    pub embedding: usize,
    pub hidden: usize,
    pub layers: usize,
}

impl Shape {
    pub fn model(self) -> Result<Model<3>> {
        let Shape { cell, vocabulary, embedding, hidden, layers } = self;
        let recurrent: Layer = match cell {
            Cell::Rnn => Stack::new(Rnn::new(embedding, hidden)).layers(layers).into(),
            Cell::Lstm => Stack::new(Lstm::new(embedding, hidden)).layers(layers).into(),
            Cell::Gru => Stack::new(Gru::new(embedding, hidden)).layers(layers).into(),
        };
        Model::checked([
            Embedding::new(vocabulary, embedding).into(),
            recurrent,
            Dense::new(hidden, vocabulary).into(),
        ])
    }
}
