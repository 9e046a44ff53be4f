//! Constants of a graph.

use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use super::schema::{self, Node, element};

use super::super::error::{Error, Result, damaged};
use super::super::tensor::{Element, Tensor, elements};
use super::{Attributes, FORMAT, Value, show};

/// The value of an initialiser.
pub(super) fn value(name: &str, tensor: &schema::Tensor) -> Result<Value> {
    let wrong = |expected: &str, found: String| {
        Err(Error::Tensor { name: name.to_string(), expected: expected.to_string(), found })
    };
    if tensor.data_location != 0 {
        return wrong("data inside of the file", "data in another file".to_string());
    }
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let Some(shape) = shape else { return wrong("a shape", format!("shape {:?}", tensor.dims)) };
    let widen = |element: Element, bytes: &[u8]| match bytes.len() % element.size() {
        0 => Some(element.widen(bytes)),
        _ => None,
    };
    let ints = |len: usize, data: Vec<i64>| match elements(&shape) == Some(len) && data.len() == len {
        true => Ok(Value::Ints(data.into())),
        false => wrong(&format!("data of shape {shape:?}"), format!("{} whole elements", data.len())),
    };
    // Halves that are not raw stand in 32-bit integers, one in each.
    let halves = || tensor.int32_data.iter().flat_map(|&x| (x as u16).to_le_bytes()).collect::<Vec<_>>();
    let data = match (tensor.data_type, &tensor.raw_data) {
        (element::FLOAT, Some(raw)) => widen(Element::F32, raw),
        (element::FLOAT, None) => Some(tensor.float_data.clone()),
        (element::FLOAT16, Some(raw)) => widen(Element::F16, raw),
        (element::FLOAT16, None) => widen(Element::F16, &halves()),
        (element::BFLOAT16, Some(raw)) => widen(Element::Bf16, raw),
        (element::BFLOAT16, None) => widen(Element::Bf16, &halves()),
        (element::INT64, Some(raw)) => {
            let whole = raw.chunks_exact(8).filter_map(|b| b.try_into().ok());
            return ints(raw.len().div_ceil(8), whole.map(i64::from_le_bytes).collect());
        }
        (element::INT64, None) => return ints(tensor.int64_data.len(), tensor.int64_data.clone()),
        // Not a weight of any layer: what takes it for one says so.
        _ => return Ok(Value::Other),
    };
    match data {
        Some(data) if elements(&shape) == Some(data.len()) => {
            Ok(Value::Floats(Rc::new(Tensor { shape, data })))
        }
        data => wrong(
            &format!("data of shape {shape:?}"),
            data.map_or("bytes that are not whole".to_string(), |d| format!("{} elements", d.len())),
        ),
    }
}

/// The value of a node `Constant`.
pub(super) fn node(node: &Node) -> Result<Value> {
    let attribute = node.attribute.first();
    match attribute.map(|a| (&a.name[..], a)) {
        Some(("value", a)) => match &a.t {
            Some(tensor) => value(&node.output.first().cloned().unwrap_or_default(), tensor),
            None => damaged(FORMAT, format!("the {} has no value", show(node))),
        },
        Some(("value_int", a)) => Ok(Value::Ints([a.i].into())),
        Some(("value_ints", a)) => Ok(Value::Ints(a.ints.clone().into())),
        _ => Ok(Value::Other),
    }
}

/// Whether a node `ConstantOfShape` makes zeros, which it does if it says nothing else.
pub(super) fn fills_with_zero(node: &Node) -> Result<bool> {
    let mut attributes = Attributes::new(node);
    let fill = attributes.get("value").and_then(|a| a.t.as_ref());
    attributes.finish()?;
    Ok(match fill.map(|tensor| value("value", tensor)).transpose()? {
        None => true,
        Some(Value::Floats(t)) => t.data.iter().all(|&x| x == 0.0),
        Some(_) => false,
    })
}
