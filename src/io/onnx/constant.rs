//! Constants of a graph.

use std::borrow::Cow;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use super::schema::{self, Node, element};

use super::super::error::{Error, Result, damaged, unsupported};
use super::super::tensor::{Element, Tensor, elements, narrow};
use super::data::Data;
use super::value::{Ints, Size, Value};
use super::{Attributes, FORMAT, show};

/// Whether an element type is an integer type.
pub(super) fn is_integer(of: i32) -> bool {
    matches!(of, 2..=7 | 12 | 13)
}

/// Converts little-endian integers of a type.
fn integers(of: i32, raw: &[u8]) -> Option<Vec<i64>> {
    let (size, signed) = match of {
        element::INT8 => (1, true),
        element::UINT8 => (1, false),
        element::INT16 => (2, true),
        element::UINT16 => (2, false),
        element::INT32 => (4, true),
        element::UINT32 => (4, false),
        _ => (8, true),
    };
    let widen = |bytes: &[u8]| {
        let negative = signed && bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        all[..size].copy_from_slice(bytes);
        i64::from_le_bytes(all)
    };
    raw.len().is_multiple_of(size).then(|| raw.chunks_exact(size).map(widen).collect())
}

/// The value of an initialiser.
pub(super) fn value(name: &str, tensor: &schema::Tensor, data: &Data<'_>) -> Result<Value> {
    let wrong = |expected: &str, found: String| {
        Err(Error::Tensor { name: name.to_string(), expected: expected.to_string(), found })
    };
    let raw: Option<Cow<'_, [u8]>> = match tensor.data_location {
        0 => tensor.raw_data.as_deref().map(Cow::Borrowed),
        _ => Some(Cow::Owned(data.bytes(name, tensor)?)),
    };
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let Some(shape) = shape else { return wrong("a shape", format!("shape {:?}", tensor.dims)) };
    let widen = |element: Element, bytes: &[u8]| match bytes.len() % element.size() {
        0 => Some(element.widen(bytes)),
        _ => None,
    };
    // Half-precision floats that are not raw are stored in 32-bit integers, one in each.
    let halves = || tensor.int32_data.iter().flat_map(|&x| (x as u16).to_le_bytes()).collect::<Vec<_>>();
    let data = match (tensor.data_type, &raw) {
        (element::FLOAT, Some(raw)) => widen(Element::F32, raw),
        (element::FLOAT, None) => Some(tensor.float_data.clone()),
        (element::FLOAT16, Some(raw)) => widen(Element::F16, raw),
        (element::FLOAT16, None) => widen(Element::F16, &halves()),
        (element::BFLOAT16, Some(raw)) => widen(Element::Bf16, raw),
        (element::BFLOAT16, None) => widen(Element::Bf16, &halves()),
        (element::DOUBLE, None) => {
            Some(tensor.double_data.iter().map(|&x| narrow(name, x)).collect::<Result<_>>()?)
        }
        (element::DOUBLE, Some(raw)) => match raw.as_chunks() {
            (wide, []) => {
                Some(wide.iter().map(|b| narrow(name, f64::from_le_bytes(*b))).collect::<Result<_>>()?)
            }
            _ => None,
        },
        (integer, raw) if is_integer(integer) => {
            let data = match raw {
                Some(raw) => integers(integer, raw),
                None if integer == element::INT64 => Some(tensor.int64_data.clone()),
                None => Some(tensor.int32_data.iter().map(|&n| i64::from(n)).collect()),
            };
            let known = |data: Vec<i64>| data.into_iter().map(Size::Known).collect();
            return match data {
                Some(data) if elements(&shape) == Some(data.len()) => {
                    Ok(Value::Ints(Ints { shape, data: known(data) }))
                }
                data => wrong(
                    &format!("data of shape {shape:?}"),
                    data.map_or(
                        "a number of bytes that is not a multiple of the element size".to_string(),
                        |d| format!("{} whole elements", d.len()),
                    ),
                ),
            };
        }
        // No layer has such weights. A node that needs weights reports it.
        _ => return Ok(Value::Other),
    };
    match data {
        Some(data) if elements(&shape) == Some(data.len()) => {
            Ok(Value::Floats(Rc::new(Tensor { shape, data })))
        }
        data => wrong(
            &format!("data of shape {shape:?}"),
            data.map_or("a number of bytes that is not a multiple of the element size".to_string(), |d| {
                format!("{} elements", d.len())
            }),
        ),
    }
}

/// The value of a node `Constant`.
pub(super) fn node(node: &Node, data: &Data<'_>) -> Result<Value> {
    let attribute = node.attribute.first();
    let floats = |shape: Vec<usize>, data: Vec<f32>| Value::Floats(Rc::new(Tensor { shape, data }));
    match attribute.map(|a| (&a.name[..], a)) {
        Some(("value", a)) => match &a.t {
            Some(tensor) => {
                let name: String = node.output.first().cloned().unwrap_or_default();
                value(&name, tensor, data)
            }
            None => damaged(FORMAT, format!("the {} has no value", show(node))),
        },
        Some(("value_int", a)) => Ok(Value::Ints(Ints::scalar(Size::Known(a.i)))),
        Some(("value_ints", a)) => {
            Ok(Value::Ints(Ints::list(a.ints.iter().map(|&n| Size::Known(n)).collect())))
        }
        Some(("value_float", a)) => Ok(floats(Vec::new(), [a.f].into())),
        Some(("value_floats", a)) => Ok(floats([a.floats.len()].into(), a.floats.clone())),
        _ => Ok(Value::Other),
    }
}

/// The value that a node `ConstantOfShape` fills its output with; by default a float zero.
pub(super) fn fill(node: &Node) -> Result<Value> {
    let mut attributes = Attributes::new(node);
    let fill = attributes.get("value").and_then(|a| a.t.as_ref());
    attributes.finish()?;
    match fill {
        Some(tensor) if tensor.data_location != 0 => unsupported(show(node), "has its value in another file"),
        Some(tensor) => value("value", tensor, &Data::default()),
        None => Ok(Value::Zeros(None)),
    }
}
