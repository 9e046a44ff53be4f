//! Writes a network in the form in which RTNeural's script writes a Keras model, for plugins that load such
//! files.

use std::format;
use std::vec;
use std::vec::Vec;

use serde_json::{Value, json};

use super::super::error::{Result, unsupported};
use super::super::layout::{KERAS, Kind, transpose};
use super::super::network::{Named, Network};
use crate::model::{Ending, Layer};
use crate::{Activation, Cell, GruCell, LstmCell, Recurrent, Stack};

/// The file of a network, which RTNeural's `json_parser` reads. RTNeural runs step by step from a state of
/// zeros; models that need something else are rejected.
pub(in super::super) fn write(network: &Network) -> Result<Vec<u8>> {
    let (mut layers, mut width) = (Vec::new(), 0);
    for (named, weights) in network.parts() {
        width = layer(&mut layers, named, weights, width)?;
    }
    let input = network.layers().next().and_then(|layer| layer.input());
    match network.ending() {
        Ending::None => {}
        Ending::Softmax => layers.push(activation("softmax", width)),
        Ending::LogSoftmax => {
            return unsupported("the log-softmax after the last layer", "RTNeural has none");
        }
    }
    let file = json!({ "in_shape": [null, null, input.unwrap_or(0)], "layers": layers });
    Ok(serde_json::to_vec(&file).unwrap_or_default())
}

/// An activation as a separate layer. RTNeural requires `weights` in every layer.
fn activation(name: &str, width: usize) -> Value {
    json!({ "type": "activation", "activation": name, "shape": [null, null, width], "weights": [] })
}

/// A matrix with this number of columns, as a list of rows.
fn matrix(w: &[f32], columns: usize) -> Value {
    w.chunks(columns.max(1)).map(list).collect()
}

fn list(w: &[f32]) -> Value {
    // Every f32 is exactly an f64, and its digits are read back as the same f32.
    w.iter().map(|&x| Value::from(f64::from(x))).collect()
}

/// RTNeural's name of an activation.
fn function(f: Activation, named: &Named) -> Result<&'static str> {
    match f {
        Activation::Tanh => Ok("tanh"),
        Activation::Relu => Ok("relu"),
        Activation::Sigmoid => Ok("sigmoid"),
        Activation::Elu { alpha: 1.0 } => Ok("elu"),
        other => refuse(named, &format!("RTNeural does not have the activation {other:?}")),
    }
}

fn refuse<T>(named: &Named, why: &str) -> Result<T> {
    let name = if named.name.is_empty() { super::super::kind(&named.layer) } else { &named.name };
    unsupported(format!("layer `{name}`"), why)
}

/// Appends a layer. Returns the width of its output.
fn layer(layers: &mut Vec<Value>, named: &Named, weights: &[f32], width: usize) -> Result<usize> {
    if let Some(x) = weights.iter().find(|x| !x.is_finite()) {
        return refuse(named, &format!("has the weight {x}, which JSON cannot hold"));
    }
    match named.layer {
        Layer::Dense(l) => {
            let (w, b) = weights.split_at(l.output() * l.input());
            let f = l.activation().map_or(Ok(""), |f| function(f, named))?;
            layers.push(json!({
                "type": "dense",
                "activation": f,
                "shape": [null, null, l.output()],
                "weights": [matrix(&transpose(w, l.input()), l.output()), list(b)],
            }));
            Ok(l.output())
        }
        Layer::Activate(l) => {
            layers.push(activation(function(l.function(), named)?, width));
            Ok(width)
        }
        Layer::Dropout(_) => Ok(width),
        Layer::Lstm(stack) => {
            if stack.layer(0, 0).cell() != LstmCell::STANDARD {
                return refuse(named, "RTNeural's LSTM has no such options");
            }
            recurrent(layers, named, Kind::Lstm, &stack, weights)
        }
        Layer::Gru(stack) => {
            if stack.layer(0, 0).cell() != GruCell::STANDARD {
                return refuse(named, "RTNeural's GRU has no such options");
            }
            recurrent(layers, named, Kind::Gru, &stack, weights)
        }
        Layer::Rnn(_) => refuse(named, "RTNeural has LSTM and GRU only"),
        Layer::Mgu(_) => refuse(named, "RTNeural has no minimal gated unit"),
        Layer::Embedding(_) => refuse(named, "RTNeural has no embedding"),
        Layer::Pool(_) => refuse(named, "RTNeural gives an output for every step, and does not pool"),
        Layer::Scale(_) => refuse(named, "RTNeural has no layer that only scales and shifts"),
        Layer::Residual => refuse(named, "RTNeural does not add the input to the output"),
    }
}

fn recurrent<C: Cell>(
    layers: &mut Vec<Value>,
    named: &Named,
    kind: Kind,
    stack: &Stack<C>,
    weights: &[f32],
) -> Result<usize> {
    if stack.merge().is_some() || stack.layer(0, 0).is_reverse() {
        return refuse(named, "RTNeural has no layers that run in reverse");
    }
    let (hidden, mut rest) = (stack.layer(0, 0).hidden(), weights);
    let rows = kind.gates() * hidden;
    for index in 0..stack.depth() {
        let layer: Recurrent<C> = stack.layer(index, 0);
        let (own, others) = rest.split_at(layer.weights_len());
        rest = others;
        let parts = layer.weights(own)?;
        let blocks = |w: &[f32]| {
            let mut out = Vec::new();
            KERAS.unblock(kind, w, &mut out);
            out
        };
        let kernel = matrix(&transpose(&blocks(parts.w_ih), layer.input()), rows);
        let hidden_kernel = matrix(&transpose(&blocks(parts.w_hh), hidden), rows);
        let (b_ih, b_hh) = match layer.has_bias() {
            true => (blocks(parts.b_ih), blocks(parts.b_hh)),
            false => (vec![0.0; rows], vec![0.0; rows]),
        };
        let (kind, bias) = match kind {
            // An LSTM has one bias.
            Kind::Lstm => ("lstm", list(&b_ih.iter().zip(&b_hh).map(|(a, b)| a + b).collect::<Vec<_>>())),
            _ => ("gru", matrix(&[b_ih, b_hh].concat(), rows)),
        };
        layers.push(json!({
            "type": kind,
            "activation": "tanh",
            "shape": [null, null, hidden],
            "weights": [kernel, hidden_kernel, bias],
        }));
    }
    Ok(hidden)
}
