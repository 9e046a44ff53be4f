//! All combinations of a cell's options, for tests that go through all of them.

use super::{Cell, Function, Norm, Options};

/// One of each function, with parameters that are not defaults of any framework.
pub const FUNCTIONS: [Function; 11] = [
    Function::Tanh,
    Function::Sigmoid,
    Function::Relu,
    Function::Affine { alpha: 0.7, beta: -0.15 },
    Function::LeakyRelu { alpha: 0.3 },
    Function::ThresholdedRelu { alpha: 0.25 },
    Function::ScaledTanh { alpha: 1.25, beta: 0.6 },
    Function::HardSigmoid { alpha: 0.35, beta: 0.4 },
    Function::Elu { alpha: 0.8 },
    Function::Softsign,
    Function::Softplus,
];

impl Options {
    /// The number of activations that the cell lets one choose.
    pub fn slots(&self) -> usize {
        match self.cell {
            Cell::Mgu => 0,
            Cell::Rnn => 1,
            Cell::Lstm => 3,
            Cell::GruResetAfter | Cell::GruResetBefore => 2,
        }
    }

    /// The default cell and all combinations of the options that can be switched on or off, each with the
    /// default functions and with others. An LSTM's projection has `projected` rows.
    pub fn combinations(cell: Cell, (input, hidden, projected): (usize, usize, usize)) -> Vec<Options> {
        let plain = Options::new(cell, input, hidden);
        let others = match cell {
            Cell::Rnn => [Function::Elu { alpha: 0.5 }; 3],
            _ => [
                Function::HardSigmoid { alpha: 0.35, beta: 0.4 },
                Function::Softsign,
                Function::Elu { alpha: 0.8 },
            ],
        };
        let bits = match cell {
            Cell::Lstm => 6,
            Cell::Mgu => 1,
            _ => 3,
        };
        (0..1 << bits)
            .map(|n: usize| {
                let on = |bit: usize| n >> bit & 1 == 1;
                Options {
                    bias: !on(0),
                    clip: on(1).then_some(0.5),
                    functions: if on(2) { others } else { plain.functions },
                    peepholes: on(3),
                    coupled: on(4),
                    projection: on(5).then_some(projected),
                    ..plain
                }
            })
            .collect()
    }

    /// A cell with layer normalisation, with the options that it allows.
    pub fn normalised(cell: Cell, norm: Norm, input: usize, hidden: usize) -> Vec<Options> {
        let of = |bias| Options { norm: Some(norm), bias, ..Options::new(cell, input, hidden) };
        vec![of(true), of(false)]
    }

    /// The default cell, with each function in each activation slot.
    pub fn with_each_function(cell: Cell, input: usize, hidden: usize) -> Vec<Options> {
        let plain = Options::new(cell, input, hidden);
        let mut all = Vec::new();
        for slot in 0..plain.slots() {
            for function in FUNCTIONS {
                let mut options = plain;
                options.functions[slot] = function;
                all.push(options);
            }
        }
        all
    }
}
