//! PyTorch's parameters: `nn.Embedding`, `nn.RNN`, `nn.LSTM`, `nn.GRU` and their cells, `nn.Linear`, under
//! any prefix.

pub(super) mod checkpoint;
mod opcodes;
mod order;
mod pickle;
mod storage;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

pub(super) use write::write;

use super::error::{Error, Result, unclear, unsupported};
use super::layout::{Direction, Kind, TORCH};
use super::network::{Builder, Frame, Network};
use super::note::Note;
use super::plan::{Function, Item, Plan};
use super::tensor::{Tensors, show};
use crate::model::Layer;
use crate::{Activation, Dense, Embedding, Gru, Lstm, Merge, Rnn};

/// What the shapes of a module's parameters show.
#[derive(Clone, Debug)]
enum Module {
    Recurrent {
        kind: Kind,
        input: usize,
        hidden: usize,
        width: usize,
        frame: Frame,
        /// Parameters of a cell have no suffix for layer and direction.
        is_cell: bool,
    },
    /// A matrix, which may be an embedding if it has no bias.
    Matrix { rows: usize, columns: usize, bias: bool },
}

/// What a file says besides the parameters.
#[derive(Debug, Default)]
struct Known {
    /// Modules in the order in which they were made, if the file keeps it.
    order: Vec<String>,
    /// The functions of RNNs.
    functions: BTreeMap<String, Function>,
    /// Modules that are functions, and their classes.
    activations: Vec<(String, String)>,
    /// What the file has that is not a parameter of the model.
    left: Vec<Note>,
}

fn full(prefix: &str, leaf: &str) -> String {
    if prefix.is_empty() { leaf.to_string() } else { format!("{prefix}.{leaf}") }
}

fn leaf(part: &str, layer: usize, reverse: bool, is_cell: bool) -> String {
    match (is_cell, reverse) {
        (true, _) => part.to_string(),
        (false, false) => format!("{part}_l{layer}"),
        (false, true) => format!("{part}_l{layer}_reverse"),
    }
}

/// The module that a tensor belongs to.
pub(super) fn prefix(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(prefix, _)| prefix)
}

fn matrix(tensors: &Tensors, name: &str) -> Result<(usize, usize)> {
    match tensors.shape(name) {
        Some(&[rows, columns]) => Ok((rows, columns)),
        other => Err(Error::Tensor {
            name: name.to_string(),
            expected: "a matrix".to_string(),
            found: other.map_or("no such tensor".to_string(), show),
        }),
    }
}

/// The reason why a module is not supported, if its parameters are those of a known kind.
fn foreign(tensors: &Tensors, prefix: &str) -> Option<&'static str> {
    let has = |leaf: &str| tensors.shape(&full(prefix, leaf));
    let weight = has("weight").map(<[usize]>::len);
    match weight {
        _ if has("running_mean").is_some() => {
            Some("is a BatchNorm, which this crate does not have: fold it into the linear layer beside it")
        }
        Some(1) => {
            Some("is a normalisation or a PReLU (its weight has one axis), which this crate does not have")
        }
        Some(3..) => {
            Some("is a convolution (its weight has more than two axes), which this crate does not have")
        }
        _ if has("in_proj_weight").is_some() => Some("is attention in a graph, which is not read"),
        _ if has("weight_g").is_some()
            || has("weight_ih_l0_g").is_some()
            || has("weight_hh_l0_raw").is_some() =>
        {
            Some("has its weights in parts (by weight_norm, for example): remove that before saving")
        }
        _ if has("scale").is_some_and(<[usize]>::is_empty) => {
            Some("is quantised, which is not supported here: save the model before quantisation")
        }
        _ => None,
    }
}

/// Determines the module under a prefix.
fn module(tensors: &Tensors, prefix: &str) -> Result<Module> {
    if let Some(why) = foreign(tensors, prefix) {
        return unsupported(format!("module `{prefix}`"), why);
    }
    let is_cell = tensors.shape(&full(prefix, "weight_ih")).is_some();
    let name = |part: &str, layer, reverse| full(prefix, &leaf(part, layer, reverse, is_cell));
    if !is_cell && tensors.shape(&name("weight_ih", 0, false)).is_none() {
        let (rows, columns) = matrix(tensors, &full(prefix, "weight"))?;
        let bias = tensors.shape(&full(prefix, "bias"));
        return match bias {
            Some(&[n]) if n != rows => Err(Error::Tensor {
                name: full(prefix, "weight"),
                expected: format!("{n} rows, because `{}` has {}", full(prefix, "bias"), show(&[n])),
                found: show(&[rows, columns]),
            }),
            _ => Ok(Module::Matrix { rows, columns, bias: bias.is_some() }),
        };
    }
    let (rows, input) = matrix(tensors, &name("weight_ih", 0, false))?;
    let w_hh = name("weight_hh", 0, false);
    let (_, width) = matrix(tensors, &w_hh)?;
    let projection = name("weight_hr", 0, false);
    let (kind, hidden) = match tensors.shape(&projection) {
        Some(_) => (Some(Kind::Lstm), rows / 4),
        None => {
            let kinds = [Kind::Rnn, Kind::Gru, Kind::Lstm];
            (kinds.into_iter().find(|k| width.checked_mul(k.gates()) == Some(rows)), width)
        }
    };
    let Some(kind) = kind.filter(|_| hidden > 0) else {
        return Err(Error::Tensor {
            name: w_hh,
            expected: format!("{rows} rows, and {rows} columns, or a third or a quarter of that"),
            found: format!("{width} columns"),
        });
    };
    let has = |part: &str, layer, reverse| tensors.shape(&name(part, layer, reverse)).is_some();
    let depth = if is_cell { 1 } else { (0..).take_while(|&l| has("weight_ih", l, false)).count() };
    let merge = (!is_cell && has("weight_ih", 0, true)).then_some(Merge::Concat);
    let frame = Frame { depth, merge, reverse: false, bias: has("bias_ih", 0, false) };
    Ok(Module::Recurrent { kind, input, hidden, width, frame, is_cell })
}

/// Reads the model of PyTorch's parameters. With a plan, tensors of other modules are left out; without one
/// they are rejected.
pub(super) fn read(tensors: Tensors, plan: Option<&Plan>) -> Result<Network> {
    read_known(tensors, plan, &Known::default())
}

fn names<'a>(of: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = of.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn read_known(mut tensors: Tensors, plan: Option<&Plan>, known: &Known) -> Result<Network> {
    let all: BTreeSet<String> = tensors.0.keys().map(|name| prefix(name).to_string()).collect();
    let mut modules = BTreeMap::new();
    let mut notes = known.left.clone();
    let inferred;
    let plan = match plan {
        Some(plan) => {
            for item in &plan.0 {
                let Item::Module(name, _) = item else { continue };
                if !all.contains(name) {
                    let there = names(all.iter().map(|name| &name[..]));
                    return unclear(format!(
                        "the plan names `{name}`, but the file has these modules: {there}"
                    ));
                }
                modules.insert(name.clone(), module(&tensors, name)?);
            }
            // A tensor outside of any module is listed by its own name.
            let left: BTreeSet<&str> = tensors
                .0
                .keys()
                .map(|tensor| (&tensor[..], prefix(tensor)))
                .filter(|(_, module)| !modules.contains_key(*module))
                .map(|(tensor, module)| if module.is_empty() { tensor } else { module })
                .collect();
            if !left.is_empty() {
                let left = names(left);
                notes.push(Note::LeftOut(format!("{left}, which the plan of the layers does not name")));
            }
            plan
        }
        None => {
            let leaves = ["weight_ih", "weight_ih_l0", "weight_hh", "weight_hh_l0", "weight"];
            for name in all {
                let is_known = leaves.iter().any(|leaf| tensors.shape(&full(&name, leaf)).is_some());
                if !is_known && foreign(&tensors, &name).is_none() {
                    return unknown(&tensors, &name);
                }
                let module = module(&tensors, &name)?;
                modules.insert(name, module);
            }
            inferred = order::infer(&modules, known, &mut notes)?;
            &inferred
        }
    };
    let mut network = Builder::default();
    network.notes = notes;
    for (position, item) in plan.0.iter().enumerate() {
        match item {
            Item::Plain(layer) => network.push("", *layer),
            Item::Ending(ending) => network.ending = *ending,
            Item::Module(name, function) => {
                let Some(module) = modules.get(name) else { continue };
                let function = function.or_else(|| known.functions.get(name).copied());
                add(&mut network, &mut tensors, (name, module, function, position == 0))?;
            }
        }
    }
    tensors.0.retain(|name, _| modules.contains_key(prefix(name)));
    tensors.finish()?;
    network.finish()
}

/// The error for a module without any known parameter.
fn unknown<T>(tensors: &Tensors, module: &str) -> Result<T> {
    let of_it = tensors.0.iter().find(|(name, _)| prefix(name) == module);
    let (name, shape) =
        of_it.map_or((String::new(), String::new()), |(name, t)| (name.clone(), show(&t.shape)));
    let expected = "a parameter of an embedding, a recurrent or a linear layer, or a plan of the layers (--layers) that leaves it out";
    Err(Error::Tensor { name, expected: expected.to_string(), found: shape })
}

fn add(
    network: &mut Builder,
    tensors: &mut Tensors,
    (name, module, function, first): (&str, &Module, Option<Function>, bool),
) -> Result<()> {
    match *module {
        Module::Matrix { rows, columns, bias } => {
            network.weights.extend(tensors.take(&full(name, "weight"), &[rows, columns])?);
            if first && !bias && function.is_none() {
                network.push(name, Embedding::new(rows, columns));
                return Ok(());
            }
            let b = if bias { tensors.take(&full(name, "bias"), &[rows])? } else { vec![0.0; rows] };
            network.weights.extend(b);
            let dense = Dense::new(columns, rows);
            network.push(
                name,
                match function {
                    None | Some(Function::Linear) => dense,
                    Some(Function::Tanh) => dense.tanh(),
                    Some(Function::Relu) => dense.relu(),
                    Some(Function::Sigmoid) => dense.sigmoid(),
                },
            );
        }
        Module::Recurrent { kind, input, hidden, width, frame, is_cell } => {
            let layer = match (kind, function) {
                (Kind::Rnn, Some(Function::Tanh)) => Layer::Rnn(frame.stack(Rnn::new(input, hidden))),
                (Kind::Rnn, Some(Function::Relu)) => {
                    Layer::Rnn(frame.stack(Rnn::new(input, hidden).activation(Activation::Relu)))
                }
                (Kind::Lstm, None)
                    if tensors.shape(&full(name, &leaf("weight_hr", 0, false, is_cell))).is_some() =>
                {
                    Layer::Lstm(frame.stack(Lstm::new(input, hidden).projection(width)))
                }
                (Kind::Lstm, None) => Layer::Lstm(frame.stack(Lstm::new(input, hidden))),
                (Kind::Gru, None) => Layer::Gru(frame.stack(Gru::new(input, hidden))),
                (Kind::Rnn, _) => {
                    return unclear(format!(
                        "the RNN `{name}` has tanh or ReLU: give `{name}:tanh` or `{name}:relu`"
                    ));
                }
                _ => {
                    return unsupported(
                        format!("layer `{name}`"),
                        "the activations of PyTorch's LSTM and GRU are fixed",
                    );
                }
            };
            directions(network, tensors, (name, module))?;
            network.push(name, layer);
        }
    }
    Ok(())
}

/// Takes the parameters of all layers and directions of a recurrent module.
fn directions(network: &mut Builder, tensors: &mut Tensors, (name, module): (&str, &Module)) -> Result<()> {
    let &Module::Recurrent { kind, input, hidden, width, frame, is_cell } = module else { return Ok(()) };
    let count = if frame.merge.is_some() { 2 } else { 1 };
    let rows = kind.gates().saturating_mul(hidden);
    for layer in 0..frame.depth {
        let columns = if layer == 0 { input } else { width.saturating_mul(count) };
        for reverse in [false, true].into_iter().take(count) {
            let full = |part: &str| full(name, &leaf(part, layer, reverse, is_cell));
            let projects = tensors.shape(&full("weight_hr")).is_some();
            let from = Direction {
                w_ih: tensors.take(&full("weight_ih"), &[rows, columns])?,
                w_hh: tensors.take(&full("weight_hh"), &[rows, width])?,
                bias: match frame.bias {
                    true => Some((
                        tensors.take(&full("bias_ih"), &[rows])?,
                        Some(tensors.take(&full("bias_hh"), &[rows])?),
                    )),
                    false => None,
                },
                w_hr: match projects || width != hidden {
                    true => tensors.take(&full("weight_hr"), &[width, hidden])?,
                    false => Vec::new(),
                },
                peepholes: Vec::new(),
            };
            TORCH.append(kind, hidden, from, &mut network.weights);
        }
    }
    Ok(())
}
