//! PyTorch checkpoints (`.pt`, `.pth`): finds the model's parameters, and what a pickled module says about
//! itself.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use half::{bf16, f16};

use super::super::error::{Error, Result, damaged, unclear, unsupported};
use super::super::network::Network;
use super::super::note::Note;
use super::super::plan::{Function, Plan};
use super::super::tensor::{Tensor, Tensors, elements, narrow};
use super::pickle::{FORMAT, Id, Node, Pickle};
use super::storage::{Container, Kind, storage};
use super::{Known, full};

/// The deepest nesting of modules.
const MAX_DEPTH: usize = 32;

/// How deep dictionaries are searched for the model.
const MAX_LEVELS: usize = 2;

/// Keys under which checkpoints keep the parameters of a model.
const KEYS: [&str; 11] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "module",
    "state",
    "checkpoint",
];

/// Reads the model of a checkpoint.
pub(in super::super) fn read(bytes: &[u8], plan: Option<&Plan>) -> Result<Network> {
    let container = Container::open(bytes)?;
    let mut found = Found {
        container: &container,
        tensors: Tensors::default(),
        known: Known::default(),
        integers: Vec::new(),
        left: container.len().saturating_mul(2),
    };
    let root = container.pickle.root();
    let model = model(&container.pickle, root, 0)?;
    if model != root {
        found.beside(root);
    }
    found.collect(model, "", 0)?;
    let Found { tensors, mut known, integers, .. } = found;
    if tensors.0.is_empty() {
        return damaged(FORMAT, "no parameters of 16, 32 or 64 bits are in it");
    }
    if !integers.is_empty() {
        known.left.push(Note::LeftOut(format!("{}, which are not floats", integers.join(", "))));
    }
    super::read_known(tensors, plan, &known)
}

/// The role of a value in a checkpoint.
#[derive(PartialEq)]
enum Role {
    Parameters,
    Module,
    Other,
}

fn role(pickle: &Pickle, id: Id) -> Role {
    match pickle.entries(id) {
        Some(entries) if entries.iter().any(|(_, value)| tensor(pickle, *value).is_some()) => {
            Role::Parameters
        }
        Some(_) => Role::Other,
        None if tensor(pickle, id).is_some() => Role::Other,
        None if attributes(pickle, id).is_some() => Role::Module,
        None => Role::Other,
    }
}

/// The attributes of an object.
fn attributes(pickle: &Pickle, id: Id) -> Option<&[(Id, Id)]> {
    match pickle.node(id) {
        Node::Call { state: Some(state), .. } => pickle.entries(*state),
        _ => None,
    }
}

/// The value that holds the model's parameters: the root, or one of its entries.
fn model(pickle: &Pickle, root: Id, depth: usize) -> Result<Id> {
    let has = |id: &Id| role(pickle, *id) != Role::Other;
    // There may be other tensors besides the model: means of the data, or the state of a random generator.
    if let Some(found) = KEYS.iter().filter_map(|key| pickle.get(root, key)).find(has) {
        return Ok(found);
    }
    if has(&root) {
        return Ok(root);
    }
    if pickle.get(root, "param_groups").is_some() {
        return unsupported("the state of an optimiser", "it holds no parameters: save `model.state_dict()`");
    }
    let inner = |key: &&str| pickle.get(root, key).filter(|&id| pickle.entries(id).is_some());
    if depth < MAX_LEVELS
        && let Some(found) = KEYS.iter().filter_map(inner).find_map(|id| model(pickle, id, depth + 1).ok())
    {
        return Ok(found);
    }
    let name = |id: Id| format!("`{}`", pickle.text(id).unwrap_or(""));
    let entries: Vec<(String, Id)> = match (pickle.entries(root), pickle.list(root)) {
        (Some(entries), _) => entries.iter().map(|(key, value)| (name(*key), *value)).collect(),
        (None, []) => {
            let why = "it holds no dictionary and no module: save `model.state_dict()`";
            return damaged(FORMAT, why);
        }
        (None, items) => items.iter().enumerate().map(|(i, value)| (format!("item {i}"), *value)).collect(),
    };
    let all: Vec<_> = entries.iter().filter(|(_, value)| has(value)).collect();
    match all[..] {
        [(_, one)] => Ok(*one),
        [] => nothing(pickle, &entries),
        _ => {
            let names: Vec<_> = all.iter().map(|(name, _)| &name[..]).collect();
            unclear(format!(
                "the checkpoint holds parameters under {}: save those of one model alone, with \
                 `torch.save(model.state_dict(), path)`",
                names.join(", ")
            ))
        }
    }
}

/// The error for a checkpoint without parameters.
fn nothing(pickle: &Pickle, entries: &[(String, Id)]) -> Result<Id> {
    let is_array = |id: Id| match pickle.node(id) {
        Node::Call { of, .. } => pickle.global(*of).is_some_and(|of| of.starts_with("numpy")),
        _ => false,
    };
    if entries.iter().any(|(_, value)| is_array(*value)) {
        return unsupported(
            "a checkpoint of NumPy arrays",
            "save tensors: `torch.save({k: torch.tensor(v) for k, v in arrays.items()}, path)`",
        );
    }
    let names: Vec<_> = entries.iter().take(8).map(|(name, _)| &name[..]).collect();
    unsupported(
        format!("a checkpoint of {}", names.join(", ")),
        format!("it has no parameters at the top level, nor under {}", KEYS.join(", ")),
    )
}

/// The arguments of the function that rebuilds a tensor: storage, first element, sizes and strides.
fn tensor(pickle: &Pickle, id: Id) -> Option<&[Id]> {
    let mut id = id;
    for _ in 0..4 {
        let Node::Call { of, args, .. } = pickle.node(id) else { return None };
        let args = pickle.list(*args);
        match pickle.global(*of)? {
            "torch._utils _rebuild_tensor_v2"
            | "torch._utils _rebuild_tensor"
            | "torch._utils _rebuild_tensor_v3" => {
                return Some(args);
            }
            "torch._utils _rebuild_parameter" | "torch._utils _rebuild_parameter_with_state" => {
                id = *args.first()?
            }
            // Function, class, arguments and state.
            "torch._tensor _rebuild_from_type_v2" => {
                return match pickle.global(*args.first()?)? {
                    "torch._utils _rebuild_tensor_v2" => Some(pickle.list(*args.get(2)?)),
                    _ => None,
                };
            }
            "torch.nn.parameter Parameter" => id = *args.first()?,
            _ => return None,
        }
    }
    None
}

/// What has been found so far.
struct Found<'a> {
    container: &'a Container,
    tensors: Tensors,
    known: Known,
    /// Names of tensors whose elements are not floats.
    integers: Vec<String>,
    /// How many elements may still be read. Without a limit, tensors that share a storage could make a small
    /// file huge.
    left: usize,
}

impl Found<'_> {
    /// Adds a note about the float tensors besides the model.
    fn beside(&mut self, root: Id) {
        let pickle = &self.container.pickle;
        let is_float = |id: Id| match tensor(pickle, id).and_then(|args| storage(pickle, *args.first()?)) {
            Some((kind, ..)) => !matches!(kind, Kind::Other(_)),
            None => false,
        };
        let all = pickle.entries(root).unwrap_or(&[]).iter().filter(|(_, value)| is_float(*value));
        let names: Vec<_> = all.map(|(key, _)| format!("`{}`", pickle.text(*key).unwrap_or(""))).collect();
        if !names.is_empty() {
            let what = format!("{}, beside the parameters of the model", names.join(", "));
            self.known.left.push(Note::LeftOut(what));
        }
    }

    /// Collects the parameters of a dictionary or a module.
    fn collect(&mut self, id: Id, prefix: &str, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return damaged(FORMAT, format!("its modules are nested deeper than {MAX_DEPTH}"));
        }
        let pickle = &self.container.pickle;
        if let Some(entries) = pickle.entries(id) {
            return self.entries(entries, prefix);
        }
        let Some(entries) = attributes(pickle, id) else { return Ok(()) };
        self.own(id, prefix);
        let group =
            |key: &str| entries.iter().find(|(k, _)| pickle.text(*k) == Some(key)).map(|(_, value)| *value);
        let Some(modules) = group("_modules") else {
            // A module of TorchScript has its parameters and modules as attributes.
            self.entries(entries, prefix)?;
            for &(key, value) in entries {
                if let (Some(key), Some(_)) = (pickle.text(key), attributes(pickle, value)) {
                    self.collect(value, &full(prefix, key), depth + 1)?;
                }
            }
            return Ok(());
        };
        for group in ["_parameters", "_buffers"].into_iter().filter_map(group) {
            self.entries(pickle.entries(group).unwrap_or(&[]), prefix)?;
        }
        for &(key, value) in pickle.entries(modules).unwrap_or(&[]) {
            if let Some(key) = pickle.text(key) {
                self.collect(value, &full(prefix, key), depth + 1)?;
            }
        }
        Ok(())
    }

    /// Collects what a module says about itself besides its parameters.
    fn own(&mut self, id: Id, prefix: &str) {
        let pickle = &self.container.pickle;
        let attribute = |key: &str| {
            let found = attributes(pickle, id)?.iter().find(|(k, _)| pickle.text(*k) == Some(key));
            found.map(|(_, value)| *value)
        };
        let function = match attribute("mode").and_then(|mode| pickle.text(mode)) {
            Some("RNN_TANH") => Some(Function::Tanh),
            Some("RNN_RELU") => Some(Function::Relu),
            _ => None,
        };
        if let Some(function) = function {
            self.known.functions.insert(prefix.to_string(), function);
        }
        if let Node::Call { of, .. } = pickle.node(id)
            && let Some(class) = pickle.global(*of)
            && let Some(class) = class.strip_prefix("torch.nn.modules.activation ")
        {
            self.known.activations.push((prefix.to_string(), class.to_string()));
        }
    }

    fn entries(&mut self, entries: &[(Id, Id)], prefix: &str) -> Result<()> {
        let pickle = &self.container.pickle;
        for &(key, value) in entries {
            let (Some(key), Some(args)) = (pickle.text(key), tensor(pickle, value)) else { continue };
            let name = full(prefix, key);
            if let Some(tensor) = self.tensor(&name, args)? {
                let module = super::prefix(&name).to_string();
                if self.known.order.last() != Some(&module) {
                    self.known.order.push(module);
                }
                if self.tensors.0.insert(name.clone(), tensor).is_some() {
                    return damaged(FORMAT, format!("it has two tensors `{name}`"));
                }
            }
        }
        Ok(())
    }

    /// Reads a tensor; `None` if its elements are not floats, because no layer uses such tensors.
    fn tensor(&mut self, name: &str, args: &[Id]) -> Result<Option<Tensor>> {
        let pickle = &self.container.pickle;
        let broken = |what: &str| damaged(FORMAT, format!("tensor `{name}` {what}"));
        let [of, first, sizes, strides, ..] = *args else {
            return broken("has no storage, sizes or strides");
        };
        let Some((kind, key, _)) = storage(pickle, of) else {
            return broken("has a storage that is not known");
        };
        let numbers =
            |id: Id| pickle.list(id).iter().map(|&n| pickle.size(n)).collect::<Option<Vec<usize>>>();
        let (Some(first), Some(shape), Some(strides)) =
            (pickle.size(first), numbers(sizes), numbers(strides))
        else {
            return broken("has sizes that are not numbers");
        };
        match kind {
            Kind::F16 | Kind::Bf16 | Kind::F32 | Kind::F64 => {}
            Kind::Other(_) => {
                let element = args.get(6).and_then(|id| pickle.global(*id)).unwrap_or("");
                if element.contains("float") {
                    return Err(Error::Tensor {
                        name: name.to_string(),
                        expected: "floats of 16, 32 or 64 bits".to_string(),
                        found: element.replace(' ', "."),
                    });
                }
                self.integers.push(format!("`{name}`"));
                return Ok(None);
            }
        }
        let Some(bytes) = self.container.bytes(key) else { return broken("has no data in the file") };
        let stored = bytes.len() / kind.size();
        let len = match elements(&shape) {
            Some(len) if len <= stored && shape.len() == strides.len() && shape.len() <= 8 => len,
            _ => return broken("has more elements than its storage"),
        };
        let Some(left) = self.left.checked_sub(len.saturating_mul(kind.size())) else {
            return broken("and those before it share their data so often that they do not fit into memory");
        };
        self.left = left;
        let last = shape.iter().zip(&strides).try_fold(first, |at, (size, stride)| {
            size.saturating_sub(1).checked_mul(*stride).and_then(|n| at.checked_add(n))
        });
        if len > 0 && last.is_none_or(|last| last >= stored) {
            return broken("reaches beyond its storage");
        }
        let element = |at: usize| {
            let b = &bytes[at * kind.size()..][..kind.size()];
            match *b {
                [a, b, c, d] => Ok(f32::from_le_bytes([a, b, c, d])),
                [a, b] if kind == Kind::F16 => Ok(f16::from_le_bytes([a, b]).to_f32()),
                [a, b] => Ok(bf16::from_le_bytes([a, b]).to_f32()),
                [a, b, c, d, e, f, g, h] => narrow(name, f64::from_le_bytes([a, b, c, d, e, f, g, h])),
                _ => Ok(f32::NAN),
            }
        };
        let data = (0..len).map(|index| {
            // The position in each axis, starting with the last.
            let (mut rest, mut at) = (index, first);
            for (size, stride) in shape.iter().zip(&strides).rev() {
                at += rest % size * stride;
                rest /= size;
            }
            element(at)
        });
        Ok(Some(Tensor { data: data.collect::<Result<_>>()?, shape }))
    }
}
