//! Named tensors of 32-bit floats, as read from files.

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use half::{bf16, f16};

use super::error::{Error, Result};

/// A tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<f32>,
}

/// Element types that convert to `f32` without loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
}

impl Element {
    pub(super) fn size(self) -> usize {
        if self == Element::F32 { 4 } else { 2 }
    }

    /// Converts little-endian elements to `f32`. Bytes after the last whole element are ignored.
    pub(super) fn widen(self, bytes: &[u8]) -> Vec<f32> {
        let pairs = bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self {
            Element::F16 => pairs.map(|b| f16::from_le_bytes(b).to_f32()).collect(),
            Element::Bf16 => pairs.map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
            Element::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
        }
    }
}

/// Rounds a 64-bit float of a tensor. A number that is too large for 32 bits is rejected, because it would
/// become infinite.
pub(super) fn narrow(name: &str, x: f64) -> Result<f32> {
    match x as f32 {
        narrow if x.is_finite() && !narrow.is_finite() => Err(Error::Tensor {
            name: name.to_string(),
            expected: "numbers that a 32-bit float can hold".to_string(),
            found: format!("{x:e}"),
        }),
        narrow => Ok(narrow),
    }
}

/// The number of elements of a shape; `None` if it does not fit.
pub(super) fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

/// A shape as text for messages.
pub(super) fn show(shape: &[usize]) -> String {
    format!("shape {shape:?}")
}

fn wrong_shape(name: &str, expected: String, found: &[usize]) -> Result<()> {
    Err(Error::Tensor { name: name.to_string(), expected, found: show(found) })
}

/// Rejects a shape with a 0 in it: the data would not bound the other sizes.
pub(super) fn check_sizes(name: &str, found: &[usize]) -> Result<()> {
    if found.contains(&0) { wrong_shape(name, "sizes above 0".to_string(), found) } else { Ok(()) }
}

/// Rejects a shape other than the expected one, or with a 0 in it.
pub(super) fn check_shape(name: &str, expected: &[usize], found: &[usize]) -> Result<()> {
    if found == expected { check_sizes(name, found) } else { wrong_shape(name, show(expected), found) }
}

/// The tensors of a file. Layers take them one by one. Tensors that are left at the end belong to no layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Tensors(pub(super) BTreeMap<String, Tensor>);

impl Tensors {
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(|t| &t.shape[..])
    }

    /// Takes the data of a tensor, which must have this shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        match self.0.remove(name) {
            None => Err(Error::Tensor {
                name: name.to_string(),
                expected: show(shape),
                found: "no such tensor".to_string(),
            }),
            Some(t) => check_shape(name, shape, &t.shape).map(|()| t.data),
        }
    }

    /// Rejects tensors that no layer has taken.
    pub(super) fn finish(&self) -> Result<()> {
        match self.0.first_key_value() {
            None => Ok(()),
            Some((name, t)) => Err(Error::Tensor {
                name: name.clone(),
                expected: "no such tensor, because it belongs to no layer of the model".to_string(),
                found: show(&t.shape),
            }),
        }
    }
}
