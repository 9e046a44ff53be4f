//! The order of modules, if their shapes allow only one.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::error::{Result, unclear};
use super::super::layout::Kind;
use super::super::note::Note;
use super::super::plan::{Item, Plan};
use super::{Known, Module, names};

/// The role of a module in a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Recurrent,
    Embedding,
    Dense,
}

/// The role of a module at its position, and its input features (`None` for ids) and output features. A
/// matrix without a bias is an embedding if it comes first.
fn role(module: &Module, first: bool) -> (Role, Option<usize>, usize) {
    match *module {
        Module::Recurrent { input, width, frame, .. } => {
            let output = if frame.merge.is_some() { width.saturating_mul(2) } else { width };
            (Role::Recurrent, Some(input), output)
        }
        Module::Matrix { columns, bias: false, .. } if first => (Role::Embedding, None, columns),
        Module::Matrix { rows, columns, .. } => (Role::Dense, Some(columns), rows),
    }
}

/// Finds the orders in which the layers fit together, at most two. Linear layers come last: otherwise every
/// order would fit in a model from one feature to one.
fn orders(
    modules: &BTreeMap<String, Module>,
    so_far: &mut Vec<(String, Role)>,
    width: Option<usize>,
    found: &mut Vec<Vec<(String, Role)>>,
) {
    if so_far.len() == modules.len() {
        found.push(so_far.clone());
        return;
    }
    for (name, module) in modules {
        if found.len() > 1 || so_far.iter().any(|(used, _)| used == name) {
            continue;
        }
        let (role, input, output) = role(module, so_far.is_empty());
        let below = so_far.last().map(|(_, role)| *role);
        let late = role == Role::Recurrent && below == Some(Role::Dense);
        if below.is_none() || input == width && !late {
            so_far.push((name.clone(), role));
            orders(modules, so_far, Some(output), found);
            so_far.pop();
        }
    }
}

/// With more modules than this the order has to be given.
const MAX_MODULES: usize = 8;

const SAY: &str = "give the layers in their order with --layers, such as `emb,gru,@last,fc:tanh`";

/// The advice to give a plan, with the layers of the file as an example.
fn say(order: &[(String, Role)]) -> String {
    let mut words: Vec<String> = Vec::new();
    for (index, (name, role)) in order.iter().enumerate() {
        let below = index.checked_sub(1).map(|i| order[i].1);
        let dense = |role: Option<Role>| role == Some(Role::Dense);
        if *role == Role::Dense && below == Some(Role::Recurrent) {
            words.push("@last".to_string());
        }
        match *role == Role::Dense && dense(order.get(index + 1).map(|next| next.1)) {
            true => words.push(format!("{name}:relu")),
            false => words.push(name.clone()),
        }
    }
    format!("give the layers in their order with --layers, such as `{}`", words.join(","))
}

/// The order in which the modules were made, if they fit together in it.
fn made(modules: &BTreeMap<String, Module>, known: &Known) -> Option<Vec<(String, Role)>> {
    let mut order: Vec<(String, Role)> = Vec::new();
    let mut width = None;
    for name in &known.order {
        let (role, input, output) = role(modules.get(name)?, order.is_empty());
        let late = role == Role::Recurrent && order.last().is_some_and(|(_, role)| *role == Role::Dense);
        if late || !order.is_empty() && input != width {
            return None;
        }
        order.push((name.clone(), role));
        width = Some(output);
    }
    (order.len() == modules.len()).then_some(order)
}

/// The plan in the only order that the shapes allow, or otherwise in the order in which the modules were
/// made. Anything that the parameters do not say becomes a note.
pub(super) fn infer(
    modules: &BTreeMap<String, Module>,
    known: &Known,
    notes: &mut Vec<Note>,
) -> Result<Plan> {
    let mut found = Vec::new();
    if modules.len() <= MAX_MODULES {
        orders(modules, &mut Vec::new(), None, &mut found);
    }
    if found.len() != 1
        && let Some(order) = made(modules, known)
    {
        found = [order].into();
        notes.push(Note::Assumed(format!("the layers follow each other as they were made; {OTHERWISE}")));
    }
    let [order] = &found[..] else {
        let names = names(modules.keys().map(|name| &name[..]));
        return unclear(match found.first() {
            None => format!("the layers {names} do not fit together with the linear ones last: {SAY}"),
            Some(one) => format!("the layers {names} fit together in more than one way: {}", say(one)),
        });
    };
    if !known.activations.is_empty() {
        let all: Vec<_> =
            known.activations.iter().map(|(name, class)| format!("`{name}` ({class})")).collect();
        return unclear(format!(
            "the module has {}, and the file does not say where in the model it is: {}",
            all.join(", "),
            say(order)
        ));
    }
    for pair in order.windows(2) {
        if pair[0].1 == Role::Dense {
            return unclear(format!(
                "parameters do not say what is between `{}` and `{}`: {}",
                pair[0].0,
                pair[1].0,
                say(order)
            ));
        }
    }
    if let [(name, Role::Embedding), rest @ ..] = &order[..]
        && let Some(Module::Matrix { rows, columns, .. }) = modules.get(name)
        && (rest.is_empty() || rows == columns)
    {
        return unclear(format!(
            "parameters do not say whether `{name}` is an embedding or a linear layer without a bias: {SAY}, with `{name}` or `{name}:linear`"
        ));
    }
    for (name, _) in order {
        if let Some(Module::Recurrent { kind: Kind::Rnn, .. }) = modules.get(name)
            && !known.functions.contains_key(name)
        {
            return unclear(format!(
                "parameters do not say whether the RNN `{name}` has tanh or ReLU: {SAY}, with `{name}:tanh` or `{name}:relu`"
            ));
        }
    }
    notes.extend(open(order));
    Ok(Plan(order.iter().map(|(name, _)| Item::Module(name.clone(), None)).collect()))
}

const OTHERWISE: &str = "otherwise give the layers with --layers";

/// A note on what the parameters leave open. A single recurrent layer or embedding leaves nothing open.
fn open(order: &[(String, Role)]) -> Option<Note> {
    let mut assumed: Vec<String> = Vec::new();
    for pair in order.windows(2) {
        assumed.push(format!("no function between `{}` and `{}`", pair[0].0, pair[1].0));
    }
    let (last, role) = order.last()?;
    if *role == Role::Dense {
        assumed.push(format!("no function after `{last}`"));
    }
    if assumed.is_empty() {
        return None;
    }
    assumed.push("an output for every step".into());
    let names: Vec<&str> = order.iter().map(|(name, _)| &name[..]).collect();
    let example = match names[..] {
        [ref before @ .., last] if *role == Role::Dense => format!("{},@last,{last}", before.join(",")),
        _ => format!("{},@last", names.join(",")),
    };
    Some(Note::Assumed(format!("{}; {OTHERWISE}, such as `{example}`", assumed.join(", "))))
}
