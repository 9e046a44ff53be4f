//! Files of the safetensors format: PyTorch's parameters, and, where they do not say everything, a plan in the metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use ::safetensors::{Dtype, SafeTensors, View};

use super::error::{Error, Result, damaged, unsupported};
use super::network::Network;
use super::plan::Plan;
use super::tensor::{Element, Tensor, Tensors, elements};
use super::torch;

/// The entry of the metadata that holds the plan.
const PLAN: &str = "recurrent.layers";
const FORMAT: &str = "safetensors file";

/// The model of a file. `plan` takes precedence over that of the file.
pub(super) fn read(bytes: &[u8], plan: Option<&Plan>) -> Result<Network> {
    let refuse = |e| Error::Damaged { format: FORMAT, what: format!("{e}") };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(refuse)?;
    let file = SafeTensors::deserialize(bytes).map_err(refuse)?;
    let mut tensors = Tensors::default();
    for (name, view) in file.iter() {
        let element = match view.dtype() {
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            Dtype::F32 => Element::F32,
            other => {
                return Err(Error::Tensor {
                    name: name.to_string(),
                    expected: "elements of F32, F16 or BF16".to_string(),
                    found: format!("{other:?}"),
                });
            }
        };
        let data = element.widen(view.data());
        if elements(view.shape()) != Some(data.len()) {
            return damaged(FORMAT, format!("tensor `{name}` has another length than its shape"));
        }
        tensors.0.insert(name.to_string(), Tensor { shape: view.shape().to_vec(), data });
    }
    let own = metadata.metadata().as_ref().and_then(|m| m.get(PLAN));
    match (plan, own) {
        (None, Some(words)) => torch::read(tensors, Some(&words.parse()?)),
        _ => torch::read(tensors, plan),
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        self.data.len() * 4
    }
}

/// The file of a model. The plan is written if the parameters alone would not be read as this model, or leave something open.
pub(super) fn write(network: &Network) -> Result<Vec<u8>> {
    let (tensors, plan) = torch::write(network)?;
    // What a file left open stays open: nothing is added to PyTorch's own.
    let plain = torch::read(tensors.clone(), None)
        .is_ok_and(|other| other == *network && (other.notes().is_empty() || !network.notes().is_empty()));
    let words = plan.to_string();
    if !plain && words.parse::<Plan>().ok().as_ref() != Some(&plan) {
        return unsupported(format!("the layers `{words}`"), "a name has a comma or colon, or begins with @");
    }
    let metadata = (!plain).then(|| HashMap::from([(PLAN.to_string(), words)]));
    let named = tensors.0.iter().map(|(name, tensor): (&String, &Tensor)| (name, tensor));
    ::safetensors::serialize(named, metadata)
        .map_err(|e| Error::Damaged { format: FORMAT, what: format!("{e}") })
}
