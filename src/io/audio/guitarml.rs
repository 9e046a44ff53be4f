//! Models of Automated-GuitarAmpModelling, which GuitarML's plugins, NeuralPi, Chowdhury's BYOD and others
//! load. `model_data` describes the layers. `state_dict` holds PyTorch's parameters of a recurrent module
//! `rec` and a linear module `lin`.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Map, Value};

use super::super::error::{Error, Result, damaged, unsupported};
use super::super::network::Network;
use super::super::plan::{Function, Item, Plan};
use super::{FORMAT, no_residual, size, tensors};
use crate::io::torch;
use crate::model::Layer;

pub(super) fn read(file: &Map<String, Value>) -> Result<Network> {
    let object = |key: &str| match file.get(key) {
        Some(Value::Object(object)) => Ok(object),
        _ => damaged(FORMAT, format!("`{key}` is not an object")),
    };
    let (data, parameters) = (object("model_data")?, object("state_dict")?);
    let word = |key: &str| data.get(key).and_then(Value::as_str);
    match word("model") {
        Some("SimpleRNN") => {}
        other => {
            let other = other.unwrap_or("without a name");
            return unsupported(format!("a model `{other}`"), "only `SimpleRNN` models can be read");
        }
    }
    // By default the layer adds the first feature of its input.
    let skip = match data.get("skip") {
        Some(skip) => skip.as_f64().or(skip.as_bool().map(f64::from)),
        None => Some(1.0),
    };
    let tensors = tensors(parameters)?;
    let (input, hidden, output) =
        (size(data, "input_size")?, size(data, "hidden_size")?, size(data, "output_size")?);
    let depth = if data.contains_key("num_layers") { size(data, "num_layers")? } else { 1 };
    let (function, gates) = match word("unit_type") {
        Some("LSTM") => (None, 4),
        Some("GRU") => (None, 3),
        Some("RNN") => (Some(Function::Tanh), 1),
        other => {
            let other = other.unwrap_or("");
            return unsupported(
                format!("`unit_type` \"{other}\""),
                "this crate has \"LSTM\", \"GRU\" and \"RNN\"",
            );
        }
    };
    let rows = hidden.saturating_mul(gates);
    let expected = [
        ("rec.weight_ih_l0".to_string(), [rows, input]),
        (format!("rec.weight_hh_l{}", depth.saturating_sub(1)), [rows, hidden]),
        ("lin.weight".to_string(), [output, hidden]),
    ];
    for (name, shape) in &expected {
        if tensors.shape(name) != Some(shape) {
            return Err(Error::Tensor {
                name: name.clone(),
                expected: format!("shape {shape:?}, as `model_data` says"),
                found: tensors.shape(name).map_or("no such tensor".to_string(), super::super::tensor::show),
            });
        }
    }
    if tensors.shape(&format!("rec.weight_hh_l{depth}")).is_some() {
        return damaged(FORMAT, "`num_layers` is smaller than the number of layers in `state_dict`");
    }
    let mut items: Vec<Item> =
        [Item::Module("rec".to_string(), function), Item::Module("lin".to_string(), None)].into();
    match skip {
        Some(0.0) => {}
        Some(skip) if skip == output as f64 && output <= input => items.push(Item::Plain(Layer::Residual)),
        _ => return no_residual("skip", input, output),
    }
    torch::read(tensors, Some(&Plan(items)))
}
