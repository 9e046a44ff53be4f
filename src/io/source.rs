//! Rust source: a model as a constant and its weights as a static array.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::network::Network;
use crate::model::Layer;
use crate::{Activation, Cell, GruCell, LstmCell, Reset, Stack};

/// Names that the expressions of layers may use, for the imports.
const NAMES: [&str; 13] = [
    "Activate",
    "Activation",
    "Dense",
    "Gru",
    "Lstm",
    "LstmNorm",
    "Merge",
    "Mgu",
    "Pool",
    "Reset",
    "Rnn",
    "Scale",
    "Stack",
];

/// The source of a module with `MODEL` and `WEIGHTS`. Floats have enough digits to be read back exactly.
pub(super) fn write(network: &Network) -> String {
    let layers: Vec<String> = network
        .named()
        .iter()
        .map(|named| {
            // A line end would end the comment, and the rest of the name would be compiled.
            let name =
                named.name.replace(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'), "?");
            let comment = if name.is_empty() { name } else { format!(" // {name}") };
            format!("    {},{comment}\n", layer(&named.layer))
        })
        .collect();
    let (count, layers, n) = (layers.len(), layers.concat(), network.weights().len());
    let used: Vec<&str> = NAMES.into_iter().filter(|name| layers.contains(&format!("{name}::"))).collect();
    let imports = match &used[..] {
        [] => String::new(),
        [one] => format!("use recurrent::{one};\n"),
        more => format!("use recurrent::{{{}}};\n", more.join(", ")),
    };
    let mut out = format!(
        "// Written by `recurrent convert`.\n\nuse recurrent::model::{{Layer, Model}};\n{imports}\n\
         /// The model.\n#[rustfmt::skip]\npub const MODEL: Model<{count}> = Model::new([\n{layers}]);\n\n\
         /// Its weights.\n#[rustfmt::skip]\n#[allow(clippy::approx_constant, clippy::excessive_precision)]\n\
         pub static WEIGHTS: [f32; {n}] = [\n"
    );
    for row in network.weights().chunks(8) {
        out.push_str("   ");
        for &x in row {
            out.push(' ');
            out.push_str(&float(x));
            out.push(',');
        }
        out.push('\n');
    }
    out.push_str("];\n");
    out
}

/// The shortest text that reads back as the same float.
fn float(x: f32) -> String {
    if x.is_finite() { format!("{x:?}") } else { format!("f32::from_bits({:#x})", x.to_bits()) }
}

/// A layer as an expression.
pub(super) fn layer(layer: &Layer) -> String {
    let narrow = match layer.narrow_format() {
        Some(format) => format!(".narrow(Narrow::{format:?})"),
        None => String::new(),
    };
    wide(layer) + &narrow
}

/// The same without the format of the weights.
fn wide(layer: &Layer) -> String {
    match layer {
        Layer::Embedding(l) => format!("Layer::embedding({}, {})", l.classes(), l.width()),
        Layer::Dense(l) => {
            let function = match l.activation() {
                Some(Activation::Tanh) => ".tanh()",
                Some(Activation::Relu) => ".relu()",
                Some(Activation::Sigmoid) => ".sigmoid()",
                _ => "",
            };
            format!("Layer::Dense(Dense::new({}, {}){function})", l.input(), l.output())
        }
        Layer::Rnn(s) => {
            let cell = s.layer(0, 0).cell();
            let function = match cell.activation {
                Activation::Tanh => String::new(),
                f => format!(".activation({})", activation(f)),
            };
            format!("Layer::Rnn({})", stack("Rnn", s, function + &clip(cell.clip)))
        }
        Layer::Lstm(s) => {
            let first = s.layer(0, 0);
            let cell = first.cell();
            let mut options = String::new();
            let LstmCell { gates, cell: g, hidden, .. } = LstmCell::STANDARD;
            if (cell.gates, cell.cell, cell.hidden) != (gates, g, hidden) {
                let [a, b, c] = [cell.gates, cell.cell, cell.hidden].map(activation);
                options += &format!(".activations({a}, {b}, {c})");
            }
            options += &clip(cell.clip);
            options += if cell.coupled { ".coupled()" } else { "" };
            options += if cell.peepholes { ".peepholes()" } else { "" };
            if cell.projection {
                options += &format!(".projection({})", first.width());
            }
            if let Some(norm) = cell.norm {
                options += &format!(".layer_norm(LstmNorm::{norm:?})");
            }
            format!("Layer::Lstm({})", stack("Lstm", s, options))
        }
        Layer::Gru(s) => {
            let cell = s.layer(0, 0).cell();
            let mut options =
                String::from(if cell.reset == Reset::Before { ".reset(Reset::Before)" } else { "" });
            if (cell.gates, cell.new) != (GruCell::STANDARD.gates, GruCell::STANDARD.new) {
                options += &format!(".activations({}, {})", activation(cell.gates), activation(cell.new));
            }
            options += if cell.norm { ".layer_norm()" } else { "" };
            format!("Layer::Gru({})", stack("Gru", s, options + &clip(cell.clip)))
        }
        Layer::Mgu(s) => format!("Layer::Mgu({})", stack("Mgu", s, String::new())),
        Layer::Pool(pool) => format!("Layer::Pool(Pool::{pool:?})"),
        Layer::Activate(l) => format!("Layer::Activate(Activate::new({}))", activation(l.function())),
        Layer::Scale(l) => format!("Layer::Scale(Scale::new({}))", l.width()),
        Layer::Residual | Layer::Dropout(_) => format!("Layer::{layer:?}"),
    }
}

fn clip(clip: f32) -> String {
    if clip == f32::INFINITY { String::new() } else { format!(".clip({})", float(clip)) }
}

/// The `Debug` form of an activation is valid Rust.
fn activation(f: Activation) -> String {
    format!("Activation::{f:?}")
}

fn stack<C: Cell>(cell: &str, stack: &Stack<C>, mut options: String) -> String {
    let first = stack.layer(0, 0);
    options += if first.has_bias() { "" } else { ".bias(false)" };
    options += if first.has_recurrent_dropout() { ".recurrent_dropout()" } else { "" };
    options += if stack.merge().is_none() && first.is_reverse() { ".reverse()" } else { "" };
    let mut text = format!("Stack::new({cell}::new({}, {}){options})", first.input(), first.hidden());
    if stack.depth() > 1 {
        text += &format!(".layers({})", stack.depth());
    }
    if let Some(merge) = stack.merge() {
        text += &format!(".bidirectional(Merge::{merge:?})");
    }
    text
}
