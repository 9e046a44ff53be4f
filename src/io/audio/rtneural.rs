//! Layers as Keras has them, in the JSON of RTNeural's scripts. RTNeural reads `type`, `activation`, `shape` and `weights` of a layer; what other
//! programs add beside them is passed over if it changes no number.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Map, Value};

use super::super::error::{Result, damaged, unsupported};
use super::super::layout::{Direction, KERAS, Kind, transpose};
use super::super::network::{Builder, Network};
use super::super::note::{Ending, Note};
use super::super::tensor::Tensors;
use super::{FORMAT, SKIP, tensor};
use crate::model::Layer;
use crate::{Dense, Gru, Lstm};

/// Keys of a file that say something about the model, and change nothing.
const SILENT: [&str; 16] = [
    "in_shape",
    "layers",
    "metadata",
    "input_batch",
    "output_batch",
    "author",
    "name",
    "version",
    "date",
    "samplerate",
    "sample_rate",
    "model_type",
    "loss",
    "description",
    "license",
    "params",
];

/// Refuses what changes numbers, and notes what is not known.
fn keys(file: &Map<String, Value>, network: &mut Builder) -> Result<()> {
    for (key, value) in file {
        let zero = value.as_f64() == Some(0.0) || matches!(value, Value::Null | Value::Bool(false));
        match &key[..] {
            "in_skip" | "skip" if !zero => return unsupported(format!("`{key}` of the file"), SKIP),
            "in_gain" | "out_gain" if !zero => {
                return unsupported(
                    format!("`{key}` of the file, {value} dB"),
                    "scales the signal, which no layer of this crate does: set it to 0, and scale the signal yourself",
                );
            }
            "in_skip" | "skip" | "in_gain" | "out_gain" => {}
            silent if SILENT.contains(&silent) => {}
            other => network
                .notes
                .push(Note::LeftOut(format!("`{other}` of the file, which RTNeural does not read"))),
        }
    }
    Ok(())
}

/// A layer on its way.
struct Context<'a> {
    network: &'a mut Builder,
    at: String,
    input: usize,
    width: usize,
    tensors: Tensors,
}

/// Layers have no state but that of their cells, and each gives its outputs at every step.
pub(super) fn read(file: &Map<String, Value>) -> Result<Network> {
    let last = |what: &str, shape: Option<&Value>| match shape
        .and_then(Value::as_array)
        .and_then(|s| s.last()?.as_u64())
    {
        Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        None => damaged(FORMAT, format!("`{what}` is not a list that ends in a number")),
    };
    let mut network = Builder::default();
    keys(file, &mut network)?;
    let Some(Value::Array(layers)) = file.get("layers") else {
        return damaged(FORMAT, "`layers` is not a list");
    };
    let mut input = last("in_shape", file.get("in_shape"))?;
    for (index, layer) in layers.iter().enumerate() {
        let at = format!("layers[{index}]");
        let Value::Object(layer) = layer else { return damaged(FORMAT, format!("`{at}` is not an object")) };
        let word = |key: &str| layer.get(key).and_then(Value::as_str);
        let name = word("name").map_or(format!("layers.{index}"), str::to_string);
        if network.ending != Ending::None {
            return unsupported(at, "follows a softmax, which can only stand at the end here");
        }
        let kind = word("type").unwrap_or("without a type");
        let function = word("activation").unwrap_or("");
        if kind == "activation" {
            activation(&mut network, function, &at)?;
            continue;
        }
        let width = last(&format!("{at}.shape"), layer.get("shape"))?;
        let tensors = match (kind, layer.get("weights")) {
            ("dense" | "time-distributed-dense" | "lstm" | "gru", Some(Value::Array(weights))) => weights
                .iter()
                .enumerate()
                .map(|(i, w)| {
                    let name = format!("{at}.weights[{i}]");
                    Ok((name.clone(), tensor(&name, w)?))
                })
                .collect::<Result<_>>()?,
            ("dense" | "time-distributed-dense" | "lstm" | "gru", _) => {
                return damaged(FORMAT, format!("`{at}.weights` is not a list"));
            }
            _ => return foreign(kind, &at),
        };
        let mut context = Context { network: &mut network, at, input, width, tensors: Tensors(tensors) };
        match kind {
            "dense" | "time-distributed-dense" => context.dense(name, function)?,
            "lstm" => context.recurrent(name, Kind::Lstm, function)?,
            _ => context.recurrent(name, Kind::Gru, function)?,
        }
        context.tensors.finish()?;
        input = width;
    }
    network.finish()
}

/// Refuses a layer that this crate does not have.
fn foreign<T>(kind: &str, at: &str) -> Result<T> {
    let why = match kind {
        conv if conv.starts_with("conv") => "is a convolution, which this crate does not have",
        "batchnorm" | "batchnorm2d" => "scales and shifts, which no layer of this crate does",
        "prelu" => "is an activation with weights, which this crate does not have",
        _ => "this crate has dense, lstm, gru and activation",
    };
    unsupported(format!("{at}: layer `{kind}`"), why)
}

/// An activation after the layers so far.
fn activation(network: &mut Builder, function: &str, at: &str) -> Result<()> {
    let dense = match (function, network.last()) {
        ("" | "linear", _) => return Ok(()),
        ("softmax", _) => {
            network.ending = Ending::Softmax;
            return Ok(());
        }
        (_, Some(Layer::Dense(dense))) if dense.activation().is_none() => dense,
        _ => {
            return unsupported(
                format!("activation `{function}` of {at}"),
                "does not follow a dense layer without one: this crate has none as a layer of its own",
            );
        }
    };
    *dense = match function {
        "tanh" => dense.tanh(),
        "relu" => dense.relu(),
        "sigmoid" => dense.sigmoid(),
        other => {
            return unsupported(format!("activation `{other}` of {at}"), "dense layers do not have it");
        }
    };
    Ok(())
}

impl Context<'_> {
    fn take(&mut self, i: usize, shape: &[usize]) -> Result<Vec<f32>> {
        self.tensors.take(&format!("{}.weights[{i}]", self.at), shape)
    }

    fn dense(&mut self, name: String, function: &str) -> Result<()> {
        let (input, width) = (self.input, self.width);
        let (w, b) = (self.take(0, &[input, width])?, self.take(1, &[width])?);
        self.network.weights.extend(transpose(&w, width));
        self.network.weights.extend(b);
        self.network.push(name, Dense::new(input, width));
        activation(self.network, function, &self.at)
    }

    fn recurrent(&mut self, name: String, kind: Kind, function: &str) -> Result<()> {
        if !["", "tanh"].contains(&function) {
            return unsupported(
                format!("activation `{function}` of {}", self.at),
                "RTNeural's layer has tanh",
            );
        }
        let (input, width) = (self.input, self.width);
        let rows = kind.gates().saturating_mul(width);
        let (w_ih, w_hh) = (self.take(0, &[input, rows])?, self.take(1, &[width, rows])?);
        let bias = match kind {
            Kind::Gru => {
                let mut both = self.take(2, &[2, rows])?;
                let second = both.split_off(rows);
                (both, Some(second))
            }
            _ => (self.take(2, &[rows])?, None),
        };
        let from = Direction { w_ih, w_hh, bias: Some(bias), ..Direction::default() };
        KERAS.append(kind, width, from, &mut self.network.weights);
        match kind {
            Kind::Gru => self.network.push(name, Gru::new(input, width)),
            _ => self.network.push(name, Lstm::new(input, width)),
        }
        Ok(())
    }
}
