//! The order of modules, where their shapes leave only one.

use std::collections::BTreeMap;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::error::{Result, unclear};
use super::super::layout::Kind;
use super::super::plan::{Item, Plan};
use super::Module;

/// What a module is in a model.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    Recurrent,
    Embedding,
    Dense,
}

/// What a module is in its place, with the features that go in (none for ids) and come out. A matrix without a bias
/// is an embedding if it comes first.
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

/// All orders in which the layers fit together, up to two. Linear layers come last: in a model from one feature to one, every order
/// would fit.
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

/// With more modules than this an order has to be given.
const MAX_MODULES: usize = 8;

const SAY: &str = "say the layers in their order with --layers, such as `emb,gru,@last,fc:tanh`";

/// The plan that the shapes leave as the only one.
pub(super) fn infer(modules: &BTreeMap<String, Module>) -> Result<Plan> {
    let mut found = Vec::new();
    if modules.len() <= MAX_MODULES {
        orders(modules, &mut Vec::new(), None, &mut found);
    }
    let [order] = &found[..] else {
        let names: Vec<_> = modules.keys().map(|n| format!("`{n}`")).collect();
        let names = names.join(", ");
        return unclear(match found.len() {
            0 => format!("the layers {names} do not fit together with the linear ones last: {SAY}"),
            _ => format!("the layers {names} fit together in more than one way: {SAY}"),
        });
    };
    for pair in order.windows(2) {
        if pair[0].1 == Role::Dense {
            return unclear(format!(
                "parameters do not say what stands between `{}` and `{}`: {SAY}",
                pair[0].0, pair[1].0
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
        if let Some(Module::Recurrent { kind: Kind::Rnn, .. }) = modules.get(name) {
            return unclear(format!(
                "parameters do not say whether the RNN `{name}` has tanh or ReLU: {SAY}, with `{name}:tanh` or `{name}:relu`"
            ));
        }
    }
    Ok(Plan(order.iter().map(|(name, _)| Item::Module(name.clone(), None)).collect()))
}
