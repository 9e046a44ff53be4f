//! JSON of audio plugins: RTNeural (also as written by AIDA-X and others), the amp models of GuitarML and
//! Automated-GuitarAmpModelling, and the Neural Amp Modeler. The keys of a file show which of them it is.

mod guitarml;
mod nam;
mod rtneural;
pub(super) mod write;

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Map, Value};

use super::error::{Error, Result, damaged, plan_given, unsupported};
use super::network::Network;
use super::plan::Plan;
use super::tensor::{Tensor, Tensors};
use super::torch;

const FORMAT: &str = "JSON model";

pub(super) fn read(bytes: &[u8], plan: Option<&Plan>) -> Result<Network> {
    // Files that were written on Windows may begin with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file = match serde_json::from_slice(bytes) {
        Ok(Value::Object(file)) => file,
        Ok(_) => return damaged(FORMAT, "it is not an object"),
        Err(e) => return damaged(FORMAT, e.to_string()),
    };
    let has = |key: &str| file.contains_key(key);
    match plan {
        None if has("layers") => rtneural::read(&file, bytes.len()),
        None if has("architecture") => nam::read(&file),
        None if has("model_data") => guitarml::read(&file),
        Some(_) if has("layers") || has("architecture") || has("model_data") => plan_given(),
        // PyTorch's parameters as lists of numbers.
        _ => {
            let parameters = match file.get("state_dict") {
                Some(Value::Object(parameters)) => parameters,
                _ => &file,
            };
            torch::read(tensors(parameters)?, plan)
        }
    }
}

/// Converts named lists of numbers to tensors.
fn tensors(of: &Map<String, Value>) -> Result<Tensors> {
    let mut tensors = Tensors::default();
    for (name, value) in of {
        tensors.0.insert(name.clone(), tensor(name, value)?);
    }
    Ok(tensors)
}

/// Converts nested lists of numbers to a tensor.
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

/// Reads the size under a key.
fn size(object: &Map<String, Value>, key: &str) -> Result<usize> {
    match object.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok()) {
        Some(n) => Ok(n),
        None => damaged(FORMAT, format!("`{key}` is not a size")),
    }
}

/// The error for a sum with the input that cannot be expressed.
fn no_residual<T>(key: &str, input: usize, output: usize) -> Result<T> {
    unsupported(
        format!("`{key}` with {input} inputs and {output} outputs"),
        "the input can only be added to every output, and there must be at least as many inputs as outputs",
    )
}
