//! Plans: what a file of PyTorch's parameters does not say, which is the order of the layers, their
//! activations, and layers without parameters. A plan is text such as `emb, rnn:relu, @last, fc:tanh`.

use core::fmt;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::error::{Error, Result};
use crate::model::{Ending, Layer};
use crate::{Activate, Activation, Pool};

/// An item of a plan.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a plan has a few items, while a file is read")]
pub(super) enum Item {
    /// A module with this name, and the function that it applies to its sums.
    Module(String, Option<Function>),
    /// A layer without parameters.
    Plain(Layer),
    /// What follows the last layer.
    Ending(Ending),
}

/// The function of PyTorch's RNN, or the one after a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// No function. It marks a linear layer that would be taken for an embedding.
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
const PLAIN: [(&str, Item); 13] = [
    ("last", Item::Plain(Layer::Pool(Pool::Last))),
    ("mean", Item::Plain(Layer::Pool(Pool::Mean))),
    ("max", Item::Plain(Layer::Pool(Pool::Max))),
    ("states", Item::Plain(Layer::Pool(Pool::Ends))),
    ("first", Item::Plain(Layer::Pool(Pool::First))),
    ("tanh", Item::Plain(Layer::Activate(Activate::new(Activation::Tanh)))),
    ("relu", Item::Plain(Layer::Activate(Activate::new(Activation::Relu)))),
    ("sigmoid", Item::Plain(Layer::Activate(Activate::new(Activation::Sigmoid)))),
    ("softsign", Item::Plain(Layer::Activate(Activate::new(Activation::Softsign)))),
    ("softplus", Item::Plain(Layer::Activate(Activate::new(Activation::Softplus)))),
    ("residual", Item::Plain(Layer::Residual)),
    ("softmax", Item::Ending(Ending::Softmax)),
    ("log_softmax", Item::Ending(Ending::LogSoftmax)),
];

fn find<T: Copy>(table: &[(&str, T)], word: &str) -> Option<T> {
    table.iter().find(|(name, _)| *name == word).map(|&(_, value)| value)
}

fn name<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table.iter().find(|(_, v)| v == value).map_or("", |&(name, _)| name)
}

impl Plan {
    /// The names of the modules in the plan.
    pub(super) fn modules(&self) -> BTreeSet<&str> {
        let names = self.0.iter().filter_map(|item| match item {
            Item::Module(name, _) => Some(&name[..]),
            Item::Plain(_) | Item::Ending(_) => None,
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
                (Some(plain), None) => PLAIN.iter().find(|(name, _)| *name == plain).map(|(_, item)| item.clone()),
                (Some(_), Some(_)) => None,
                (None, Some(f)) => find(&FUNCTIONS, f).map(|f| Item::Module(item.to_string(), Some(f))),
                (None, None) => Some(Item::Module(item.to_string(), None)),
            };
            parsed.ok_or_else(|| Error::Unclear {
                what: format!(
                    "`{word}` is not a layer: a name, `name:linear`, `name:tanh`, `name:relu`, `name:sigmoid`, `@last`, `@mean`, `@max`, \
                     `@states`, `@first`, `@relu`, `@tanh`, `@sigmoid`, `@softsign`, `@softplus`, `@residual`, `@softmax`, `@log_softmax` or `@dropout:0.1`"
                ),
            })
        });
        let items: Vec<Item> = items.collect::<Result<_>>()?;
        match items.iter().rev().skip(1).find(|item| matches!(item, Item::Ending(_))) {
            Some(ending) => {
                let what = format!("`@{}` can only be the last item of a plan", name(&PLAIN, ending));
                Err(Error::Unclear { what })
            }
            None => Ok(Plan(items)),
        }
    }
}

impl Item {
    /// Whether plans have a word for this item.
    pub(super) fn has_word(&self) -> bool {
        match self {
            Item::Module(..) | Item::Plain(Layer::Dropout(_)) => true,
            other => PLAIN.iter().any(|(_, item)| item == other),
        }
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
                Item::Plain(Layer::Dropout(p)) => write!(f, "@dropout:{p}")?,
                other => write!(f, "@{}", name(&PLAIN, other))?,
            }
        }
        Ok(())
    }
}
