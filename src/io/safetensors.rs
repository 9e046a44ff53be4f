//! Files of the safetensors format: PyTorch's parameters, with a plan in the metadata if they do not say
//! everything.
//!
//! If parameters share their memory, such as those of an embedding that is also the output layer,
//! `safetensors.torch.save_model` stores one of them. It writes the names of the others into the metadata:
//! `{"encoder.weight": "decoder.weight"}` says that the former is the latter.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use ::safetensors::{Dtype, SafeTensors, View};

use super::error::{Error, Result, damaged, unsupported};
use super::network::Network;
use super::note::Note;
use super::plan::Plan;
use super::size::SHARED;
use super::tensor::{Element, Tensor, Tensors, elements, narrow};
use super::torch;

/// The entry of the metadata that holds the plan.
const PLAN: &str = "recurrent.layers";
const FORMAT: &str = "safetensors file";

/// Reads the model of a file. `plan` takes precedence over the plan in the file.
pub(super) fn read(bytes: &[u8], plan: Option<&Plan>) -> Result<Network> {
    let refuse = |e| Error::Damaged { format: FORMAT, what: format!("{e}") };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(refuse)?;
    let file = SafeTensors::deserialize(bytes).map_err(refuse)?;
    let words = metadata.metadata().as_ref();
    let own = words.and_then(|m| m.get(PLAN)).map(|words| words.parse()).transpose()?;
    let plan: Option<&Plan> = plan.or(own.as_ref());
    let modules = plan.map(Plan::modules);
    // Of modules that the plan leaves out, only the names of the tensors are needed.
    let is_left = |name: &&str| modules.as_ref().is_some_and(|named| !named.contains(torch::prefix(name)));
    let mut aliases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (alias, stored) in words.into_iter().flatten() {
        if alias != PLAN && file.tensor(alias).is_err() {
            aliases.entry(stored).or_default().push(alias);
        }
    }
    let mut tensors = Tensors::default();
    let mut room = bytes.len().saturating_mul(SHARED);
    for (name, view) in file.iter() {
        let tied = aliases.get(name).into_iter().flatten().copied();
        let (left, wanted): (Vec<&str>, Vec<&str>) = core::iter::once(name).chain(tied).partition(is_left);
        let mut insert = |name: &str, data| {
            tensors.0.insert(name.to_string(), Tensor { shape: view.shape().to_vec(), data });
        };
        left.into_iter().for_each(|name| insert(name, Vec::new()));
        let Some(first) = wanted.first() else { continue };
        let data = floats(first, view.dtype(), view.data())?;
        if elements(view.shape()) != Some(data.len()) {
            return damaged(FORMAT, format!("tensor `{name}` has a length that differs from its shape"));
        }
        for wanted in wanted {
            // Names take little room in the file, but each is a copy in memory.
            let Some(less) = room.checked_sub(view.data().len()) else {
                return damaged(FORMAT, format!("tensor `{name}` has a layer number that no model has"));
            };
            room = less;
            insert(wanted, data.clone());
        }
    }
    torch::read(tensors, plan)
}

/// Converts elements to 32-bit floats. Those of 64 bits are rounded, or rejected if they are too large.
fn floats(name: &str, dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>> {
    match dtype {
        Dtype::F16 => Ok(Element::F16.widen(bytes)),
        Dtype::BF16 => Ok(Element::Bf16.widen(bytes)),
        Dtype::F32 => Ok(Element::F32.widen(bytes)),
        Dtype::F64 => {
            bytes.as_chunks().0.iter().map(|b| narrow(name, f64::from_le_bytes(*b))).collect()
        }
        other => Err(Error::Tensor {
            name: name.to_string(),
            expected:
                "elements of F64, F32, F16 or BF16, or a plan of the layers (--layers) that leaves its module out"
                    .to_string(),
            found: format!("{other:?}"),
        }),
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

/// Writes the file of a model. The plan is included if the parameters alone would be read as another model,
/// or would leave something open.
pub(super) fn write(network: &Network) -> Result<Vec<u8>> {
    let (tensors, plan) = torch::write(network)?;
    // If the file that was read left something open, this file may do so, too. PyTorch's own files get no
    // plan.
    let was_open = network.notes().iter().any(|note| matches!(note, Note::Assumed(_)));
    let plain = torch::read(tensors.clone(), None)
        .is_ok_and(|other| other == *network && (other.notes().is_empty() || was_open));
    let words = plan.to_string();
    if !plain && words.parse::<Plan>().ok().as_ref() != Some(&plan) {
        return unsupported(format!("the layers `{words}`"), "a name has a comma or colon, or begins with @");
    }
    let metadata = (!plain).then(|| HashMap::from([(PLAN.to_string(), words)]));
    let named = tensors.0.iter().map(|(name, tensor): (&String, &Tensor)| (name, tensor));
    ::safetensors::serialize(named, metadata)
        .map_err(|e| Error::Damaged { format: FORMAT, what: format!("{e}") })
}
