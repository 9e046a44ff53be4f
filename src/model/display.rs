//! Short descriptions of layers, for errors that compare models.

use core::fmt::{Display, Formatter, Result};

use super::layer::Layer;
use crate::layer::Pool;
use crate::layer::recurrent::Levels;

/// The kind and the sizes: `gru 4 -> 16`. Options of cells are left out; `Debug` shows them.
///
/// ```
/// use recurrent::{Gru, Merge, Pool, Stack, model::Layer};
/// let both = Layer::Gru(Stack::new(Gru::new(4, 16)).layers(2).bidirectional(Merge::Concat));
/// assert_eq!(both.to_string(), "gru 4 -> 32, 2 layers, bidirectional");
/// assert_eq!(Layer::embedding(96, 8).to_string(), "embedding of 96 ids -> 8");
/// assert_eq!(Layer::Pool(Pool::Mean).to_string(), "pool (mean)");
/// ```
impl Display for Layer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Layer::Embedding(l) => write!(f, "embedding of {} ids -> {}", l.classes(), l.width()),
            Layer::Rnn(l) => levels(f, "rnn", &l.levels),
            Layer::Lstm(l) => levels(f, "lstm", &l.levels),
            Layer::Gru(l) => levels(f, "gru", &l.levels),
            Layer::Mgu(l) => levels(f, "mgu", &l.levels),
            Layer::Dense(l) => write!(f, "dense {} -> {}", l.input(), l.output()),
            Layer::Pool(Pool::Last) => f.write_str("pool (last)"),
            Layer::Pool(Pool::Mean) => f.write_str("pool (mean)"),
            Layer::Pool(Pool::Max) => f.write_str("pool (max)"),
            Layer::Pool(Pool::Ends) => f.write_str("pool (ends)"),
            Layer::Pool(Pool::First) => f.write_str("pool (first)"),
            Layer::Activate(l) => write!(f, "activation ({:?})", l.function()),
            Layer::Scale(l) => write!(f, "scale of {} features", l.width()),
            Layer::Residual => f.write_str("residual"),
            Layer::Dropout(p) => write!(f, "dropout {p}"),
        }
    }
}

fn levels(f: &mut Formatter<'_>, name: &str, levels: &Levels) -> Result {
    write!(f, "{name} {} -> {}", levels.input(), levels.output())?;
    if levels.depth > 1 {
        write!(f, ", {} layers", levels.depth)?;
    }
    f.write_str(match (levels.both.is_some(), levels.first.reverse) {
        (true, _) => ", bidirectional",
        (false, true) => ", reverse",
        (false, false) => "",
    })
}
