//! Keras layers in the JSON of RTNeural's scripts. RTNeural reads `type`, `activation`, `shape` and `weights`
//! of a layer. Keys that other programs add are ignored if they do not change the results.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use serde_json::{Map, Value};

use super::super::error::{Result, damaged, unsupported};
use super::super::layout::{Direction, KERAS, Kind, normalisation, transpose};
use super::super::network::{Builder, Network};
use super::super::note::{Ending, Note};
use super::super::tensor::Tensors;
use super::{FORMAT, no_residual, tensor};
use crate::model::Layer;
use crate::{Activation, Dense, Gru, Lstm};

/// Keys that describe the model and do not change results.
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

/// What AIDA-X computes around the layers: `out_gain (layers(in_gain x) + in_gain x)`. The sum is optional.
struct Around {
    /// The key that requests the sum.
    skip: Option<String>,
    in_gain: f32,
    out_gain: f32,
}

/// Reads the keys that change results, and adds a note for each unknown key.
fn keys(file: &Map<String, Value>, network: &mut Builder) -> Result<Around> {
    let mut around = Around { skip: None, in_gain: 1.0, out_gain: 1.0 };
    for (key, value) in file {
        let number = value.as_f64().or(value.as_bool().map(f64::from)).or(value.is_null().then_some(0.0));
        match (&key[..], number) {
            ("in_skip" | "skip", Some(0.0)) => {}
            ("in_skip" | "skip", Some(1.0)) => around.skip = Some(key.clone()),
            ("in_gain", Some(db)) => around.in_gain = gain(db),
            ("out_gain", Some(db)) => around.out_gain = gain(db),
            ("in_skip" | "skip" | "in_gain" | "out_gain", _) => {
                return unsupported(
                    format!("`{key}` of the file"),
                    format!("is {value}, which is not known"),
                );
            }
            (key, _) => silent(key, network),
        }
    }
    Ok(around)
}

/// Converts a gain in decibels to a factor. AIDA-X treats -90 and below as silence.
fn gain(db: f64) -> f32 {
    if db > -90.0 { libm::pow(10.0, db / 20.0) as f32 } else { 0.0 }
}

fn scale(network: &mut Builder, name: &str, width: usize, by: f32) {
    if by != 1.0 {
        network.scale(name, [by, 0.0].map(|x| vec![x; width]));
    }
}

/// Adds a note for a key that is not known.
fn silent(key: &str, network: &mut Builder) {
    if !SILENT.contains(&key) {
        network.notes.push(Note::LeftOut(format!("`{key}` of the file, which RTNeural does not read")));
    }
}

/// A layer that is being read.
struct Context<'a> {
    network: &'a mut Builder,
    at: String,
    input: usize,
    width: usize,
    tensors: Tensors,
}

/// Reads a model. The only states are those of the cells, and each layer gives its outputs at every step.
/// `len` is the length of the file.
pub(super) fn read(file: &Map<String, Value>, len: usize) -> Result<Network> {
    let last = |what: &str, shape: Option<&Value>| match shape
        .and_then(Value::as_array)
        .and_then(|s| s.last()?.as_u64())
    {
        Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        None => damaged(FORMAT, format!("`{what}` is not a list that ends in a number")),
    };
    let mut network = Builder::default();
    let around = keys(file, &mut network)?;
    let Some(Value::Array(layers)) = file.get("layers") else {
        return damaged(FORMAT, "`layers` is not a list");
    };
    let mut input = last("in_shape", file.get("in_shape"))?;
    let first = input;
    if first > len {
        return damaged(FORMAT, format!("`in_shape` says {first} features, more than the file has bytes"));
    }
    scale(&mut network, "in_gain", first, around.in_gain);
    for (index, layer) in layers.iter().enumerate() {
        let at = format!("layers[{index}]");
        let Value::Object(layer) = layer else { return damaged(FORMAT, format!("`{at}` is not an object")) };
        let word = |key: &str| layer.get(key).and_then(Value::as_str);
        let name = word("name").map_or(format!("layers.{index}"), str::to_string);
        if network.ending != Ending::None {
            return unsupported(at, "follows a softmax, which this crate has only after the last layer");
        }
        let kind = word("type").unwrap_or("without a type");
        let function = word("activation").unwrap_or("");
        if kind == "activation" {
            activation(&mut network, function, &at)?;
            continue;
        }
        let width = last(&format!("{at}.shape"), layer.get("shape"))?;
        let tensors = match (kind, layer.get("weights")) {
            (
                "dense" | "time-distributed-dense" | "lstm" | "gru" | "batchnorm",
                Some(Value::Array(weights)),
            ) => weights
                .iter()
                .enumerate()
                .map(|(i, w)| {
                    let name = format!("{at}.weights[{i}]");
                    Ok((name.clone(), tensor(&name, w)?))
                })
                .collect::<Result<_>>()?,
            ("dense" | "time-distributed-dense" | "lstm" | "gru" | "batchnorm", _) => {
                return damaged(FORMAT, format!("`{at}.weights` is not a list"));
            }
            _ => return foreign(kind, &at),
        };
        let mut context = Context { network: &mut network, at, input, width, tensors: Tensors(tensors) };
        match kind {
            "dense" | "time-distributed-dense" => context.dense(name, function)?,
            "lstm" => context.recurrent(name, Kind::Lstm, function)?,
            "batchnorm" => {
                context.normalisation(name, layer.get("epsilon").and_then(Value::as_f64), function)?
            }
            _ => context.recurrent(name, Kind::Gru, function)?,
        }
        context.tensors.finish()?;
        input = width;
    }
    match around.skip {
        // The sum adds the input after its gain.
        Some(_) if around.in_gain == 0.0 => {
            return unsupported(
                "`in_gain` of the file",
                "silences the input, which the file also adds to the output",
            );
        }
        Some(key) => {
            scale(&mut network, "skip_gain", input, 1.0 / around.in_gain);
            // The plugin adds the first input to its only output.
            if input != 1 || first == 0 {
                return no_residual(&key, first, input);
            }
            network.push("", Layer::Residual);
            scale(&mut network, "out_gain", input, around.in_gain * around.out_gain);
        }
        None => scale(&mut network, "out_gain", input, around.out_gain),
    }
    network.finish()
}

/// The error for a layer that this crate does not have.
fn foreign<T>(kind: &str, at: &str) -> Result<T> {
    let why = match kind {
        conv if conv.starts_with("conv") => "is a convolution, which this crate does not have",
        "batchnorm2d" => "normalises images, which this crate does not have",
        "prelu" => "is an activation with weights, which this crate does not have",
        _ => "this crate has dense, lstm, gru, batchnorm and activation",
    };
    unsupported(format!("{at}: layer `{kind}`"), why)
}

/// Adds an activation: to the last layer if that is dense and has none, otherwise as a separate layer.
fn activation(network: &mut Builder, function: &str, at: &str) -> Result<()> {
    let function = match function {
        "" | "linear" => return Ok(()),
        "softmax" => {
            network.ending = Ending::Softmax;
            return Ok(());
        }
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "sigmoid" => Activation::Sigmoid,
        "elu" => Activation::Elu { alpha: 1.0 },
        other => {
            return unsupported(format!("activation `{other}` of {at}"), "is not known");
        }
    };
    network.activate(function);
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

    /// Adds a scale and a shift for each feature, from the mean, the variance and, if given, `gamma` and
    /// `beta`.
    fn normalisation(&mut self, name: String, epsilon: Option<f64>, function: &str) -> Result<()> {
        let width = self.width;
        if width != self.input {
            return damaged(
                FORMAT,
                format!("`{}` has a width that differs from that of the layer before it", self.at),
            );
        }
        let is_affine = self.tensors.0.len() > 2;
        let first = if is_affine { 2 } else { 0 };
        let (mean, variance) = (self.take(first, &[width])?, self.take(first + 1, &[width])?);
        let (gamma, beta) = match is_affine {
            true => (self.take(0, &[width])?, self.take(1, &[width])?),
            false => (vec![1.0; width], vec![0.0; width]),
        };
        let epsilon = epsilon.unwrap_or(0.001);
        self.network
            .scale(name, normalisation([&gamma, &beta, &mean, &variance], |v| libm::sqrt(v + epsilon)));
        activation(self.network, function, &self.at)
    }

    fn recurrent(&mut self, name: String, kind: Kind, function: &str) -> Result<()> {
        if !["", "tanh"].contains(&function) {
            return unsupported(
                format!("activation `{function}` of {}", self.at),
                "RTNeural's layer always has tanh",
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
