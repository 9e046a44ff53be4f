//! JSON of RTNeural, in both of its forms: layers as Keras has them, and PyTorch's parameters.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Map, Value};

use super::error::{Error, Result, damaged, plan_given, unsupported};
use super::layout::{Direction, KERAS, Kind, transpose};
use super::network::{Builder, Network};
use super::plan::Plan;
use super::tensor::{Tensor, Tensors};
use super::torch;
use crate::{Dense, Gru, Lstm};

const FORMAT: &str = "RTNeural JSON file";

pub(super) fn read(bytes: &[u8], plan: Option<&Plan>) -> Result<Network> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(file)) if file.contains_key("layers") => match plan {
            None => layers(&file),
            Some(_) => plan_given(),
        },
        Ok(Value::Object(file)) => {
            let mut tensors = Tensors::default();
            for (name, value) in &file {
                tensors.0.insert(name.clone(), tensor(name, value)?);
            }
            torch::read(tensors, plan)
        }
        Ok(_) => damaged(FORMAT, "it is not an object"),
        Err(e) => damaged(FORMAT, e.to_string()),
    }
}

/// Lists in lists of numbers.
fn tensor(name: &str, value: &Value) -> Result<Tensor> {
    let mut tensor = Tensor { shape: Vec::new(), data: Vec::new() };
    let mut first = value;
    while let Value::Array(items) = first {
        tensor.shape.push(items.len());
        first = items.first().unwrap_or(&Value::Null);
    }
    collect(name, value, &tensor.shape, &mut tensor.data)?;
    Ok(tensor)
}

fn collect(name: &str, value: &Value, shape: &[usize], data: &mut Vec<f32>) -> Result<()> {
    let wrong = |expected: String, found: &Value| {
        let found = match found {
            Value::Array(items) => format!("a list of {}", items.len()),
            other => other.to_string().chars().take(40).collect(),
        };
        Err(Error::Tensor { name: name.to_string(), expected, found })
    };
    match (shape, value) {
        ([], Value::Number(number)) => match number.as_f64().map(|x| x as f32) {
            Some(x) if x.is_finite() => data.push(x),
            _ => return wrong("a number that fits into 32 bits".to_string(), value),
        },
        ([], _) => return wrong("a number".to_string(), value),
        ([n, inner @ ..], Value::Array(items)) if items.len() == *n => {
            items.iter().try_for_each(|item| collect(name, item, inner, data))?;
        }
        ([n, ..], _) => return wrong(format!("a list of {n}, as those beside it"), value),
    }
    Ok(())
}

/// The Keras form. Layers have no state but that of their cells, and each gives its outputs at every step.
fn layers(file: &Map<String, Value>) -> Result<Network> {
    let last = |what: &str, shape: Option<&Value>| match shape
        .and_then(Value::as_array)
        .and_then(|s| s.last()?.as_u64())
    {
        Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        None => damaged(FORMAT, format!("`{what}` is not a list that ends in a number")),
    };
    for key in file.keys() {
        if !["in_shape", "layers"].contains(&&key[..]) {
            return unsupported(format!("`{key}` of the file"), "is not known");
        }
    }
    let mut input = last("in_shape", file.get("in_shape"))?;
    let Some(Value::Array(layers)) = file.get("layers") else {
        return damaged(FORMAT, "`layers` is not a list");
    };
    let mut network = Builder::default();
    for (index, layer) in layers.iter().enumerate() {
        let at = format!("layers[{index}]");
        let Value::Object(layer) = layer else { return damaged(FORMAT, format!("`{at}` is not an object")) };
        for key in layer.keys() {
            if !["name", "type", "activation", "shape", "weights"].contains(&&key[..]) {
                return unsupported(format!("`{key}` of {at}"), "is not known");
            }
        }
        let word = |key: &str| layer.get(key).and_then(Value::as_str);
        let name = word("name").map_or(format!("layers.{index}"), str::to_string);
        let width = last(&format!("{at}.shape"), layer.get("shape"))?;
        let tensors = match layer.get("weights") {
            Some(Value::Array(weights)) => weights
                .iter()
                .enumerate()
                .map(|(i, w)| {
                    let name = format!("{at}.weights[{i}]");
                    Ok((name.clone(), tensor(&name, w)?))
                })
                .collect::<Result<_>>()?,
            _ => return damaged(FORMAT, format!("`{at}.weights` is not a list")),
        };
        let mut tensors = Tensors(tensors);
        let mut take = |i: usize, shape: &[usize]| tensors.take(&format!("{at}.weights[{i}]"), shape);
        let function = word("activation").unwrap_or("");
        match (word("type"), function) {
            (Some("dense" | "time-distributed-dense"), _) => {
                let (w, b) = (take(0, &[input, width])?, take(1, &[width])?);
                network.weights.extend(transpose(&w, width));
                network.weights.extend(b);
                let dense = Dense::new(input, width);
                network.push(
                    name,
                    match function {
                        "" | "linear" => dense,
                        "tanh" => dense.tanh(),
                        "relu" => dense.relu(),
                        "sigmoid" => dense.sigmoid(),
                        other => {
                            return unsupported(
                                format!("activation `{other}` of {at}"),
                                "dense layers do not have it",
                            );
                        }
                    },
                );
            }
            (Some(kind @ ("lstm" | "gru")), "" | "tanh") => {
                let kind = if kind == "lstm" { Kind::Lstm } else { Kind::Gru };
                let rows = kind.gates().saturating_mul(width);
                let (w_ih, w_hh) = (take(0, &[input, rows])?, take(1, &[width, rows])?);
                let bias = match kind {
                    Kind::Gru => {
                        let mut both = take(2, &[2, rows])?;
                        let second = both.split_off(rows);
                        (both, Some(second))
                    }
                    _ => (take(2, &[rows])?, None),
                };
                let from = Direction { w_ih, w_hh, bias: Some(bias), ..Direction::default() };
                KERAS.append(kind, width, from, &mut network.weights);
                match kind {
                    Kind::Gru => network.push(name, Gru::new(input, width)),
                    _ => network.push(name, Lstm::new(input, width)),
                }
            }
            (Some("lstm" | "gru"), other) => {
                return unsupported(format!("activation `{other}` of {at}"), "RTNeural's layer has tanh");
            }
            (kind, _) => {
                let kind = kind.unwrap_or("without a type");
                return unsupported(format!("{at}: layer `{kind}`"), "this crate has dense, lstm and gru");
            }
        }
        tensors.finish()?;
        input = width;
    }
    network.finish()
}
