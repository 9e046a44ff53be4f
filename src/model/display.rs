//! Layers in a few words, for errors that tell one model from another.

use core::fmt::{Display, Formatter, Result};

use super::Layer;
use crate::layer::{Cell, Stack};

/// The kind and the sizes: `gru 4 -> 16`. Options of cells are left out; `Debug` has them.
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
            Layer::Rnn(l) => stack(f, "rnn", l),
            Layer::Lstm(l) => stack(f, "lstm", l),
            Layer::Gru(l) => stack(f, "gru", l),
            Layer::Mgu(l) => stack(f, "mgu", l),
            Layer::Dense(l) => write!(f, "dense {} -> {}", l.input(), l.output()),
            Layer::Pool(crate::layer::Pool::Last) => f.write_str("pool (last)"),
            Layer::Pool(crate::layer::Pool::Mean) => f.write_str("pool (mean)"),
            Layer::Pool(crate::layer::Pool::Max) => f.write_str("pool (max)"),
            Layer::Dropout(p) => write!(f, "dropout {p}"),
        }
    }
}

fn stack<C: Cell>(f: &mut Formatter<'_>, name: &str, stack: &Stack<C>) -> Result {
    write!(f, "{name} {} -> {}", stack.input(), stack.output())?;
    if stack.depth() > 1 {
        write!(f, ", {} layers", stack.depth())?;
    }
    f.write_str(match (stack.merge().is_some(), stack.layer(0, 0).is_reverse()) {
        (true, _) => ", bidirectional",
        (false, true) => ", reverse",
        (false, false) => "",
    })
}
