//! What a file of PyTorch's parameters does not say: the order of the layers, their activations, and layers without
//! parameters. It is said in words, as `emb, rnn:relu, @last, fc:tanh`.

use core::fmt;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::error::{Error, Result};
use crate::Pool;
use crate::model::Layer;

/// An item of a plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    /// A module of this name, and what it does with its sums.
    Module(String, Option<Function>),
    /// A layer without parameters.
    Plain(Layer),
}

/// What PyTorch's RNN or the function behind a linear layer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// None: a linear layer that would be taken for an embedding.
    Linear,
    Tanh,
    Relu,
    Sigmoid,
}

/// The layers of a model, in order.
///
/// ```
/// use recurrent::io::Plan;
/// let plan: Plan = "emb, rnn:relu, @last, fc".parse()?;
/// assert_eq!(plan.to_string(), "emb,rnn:relu,@last,fc");
/// # Ok::<(), recurrent::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan(pub(super) Vec<Item>);

const FUNCTIONS: [(&str, Function); 4] = [
    ("linear", Function::Linear),
    ("tanh", Function::Tanh),
    ("relu", Function::Relu),
    ("sigmoid", Function::Sigmoid),
];
const POOLS: [(&str, Pool); 3] = [("last", Pool::Last), ("mean", Pool::Mean), ("max", Pool::Max)];

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == word).map(|&(_, value)| value)
}

fn name<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("", |&(name, _)| name)
}

impl Plan {
    /// The names of the modules in it.
    pub(super) fn modules(&self) -> BTreeSet<&str> {
        let names = self.0.iter().filter_map(|item| match item {
            Item::Module(name, _) => Some(&name[..]),
            Item::Plain(_) => None,
        });
        names.collect()
    }
}

impl core::str::FromStr for Plan {
    type Err = Error;

    fn from_str(words: &str) -> Result<Self> {
        let items = words.split(',').map(|word| {
            let word = word.trim();
            let (item, tail) = match word.split_once(':') {
                Some((item, tail)) => (item, Some(tail)),
                None => (word, None),
            };
            let parsed = match (item.strip_prefix('@'), tail) {
                (Some("dropout"), Some(p)) => p.parse().ok().map(|p| Item::Plain(Layer::Dropout(p))),
                (Some(pool), None) => find(&POOLS, pool).map(|p| Item::Plain(Layer::Pool(p))),
                (Some(_), Some(_)) => None,
                (None, Some(f)) => find(&FUNCTIONS, f).map(|f| Item::Module(item.to_string(), Some(f))),
                (None, None) => Some(Item::Module(item.to_string(), None)),
            };
            parsed.ok_or_else(|| Error::Unclear {
                what: format!(
                    "`{word}` is not a layer: a name, `name:linear`, `name:tanh`, `name:relu`, `name:sigmoid`, `@last`, `@mean`, `@max` \
                     or `@dropout:0.1`"
                ),
            })
        });
        Ok(Plan(items.collect::<Result<_>>()?))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match item {
                Item::Module(module, None) => f.write_str(module)?,
                Item::Module(module, Some(function)) => {
                    write!(f, "{module}:{}", name(&FUNCTIONS, function))?;
                }
                Item::Plain(Layer::Pool(pool)) => write!(f, "@{}", name(&POOLS, pool))?,
                Item::Plain(Layer::Dropout(p)) => write!(f, "@dropout:{p}")?,
                Item::Plain(other) => write!(f, "{other:?}")?,
            }
        }
        Ok(())
    }
}
