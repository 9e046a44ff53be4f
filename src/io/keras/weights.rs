//! The weights of a model: in groups that are named by the classes of the layers (archives), or in a list for
//! each layer (HDF5 files).

use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use hdf5_pure::{AttrValue, DType, File};

use super::super::error::{Error, Result, damaged};
use super::super::tensor::{check_shape, elements, show};
use super::config::{FORMAT, refuse};

/// The file that holds the weights.
pub(super) struct Weights {
    file: File,
    /// Length of the file in bytes.
    len: usize,
    /// How the groups of layers are named; `None` if there is a list for each layer.
    groups: Option<Groups>,
    /// The lists of the layers that were used so far.
    lists: BTreeMap<String, Vec<String>>,
}

/// How groups are named. Versions below 2.14 have another first part, and Windows has another separator.
struct Groups {
    first: &'static str,
    separator: char,
}

/// The place of a layer's weights.
#[derive(Clone, Debug)]
pub(super) struct Place {
    group: String,
    /// How many weights in the list come before them.
    skip: usize,
}

/// A text in any of the forms in which files store it.
pub(super) fn text(value: &AttrValue) -> Option<&str> {
    match value {
        AttrValue::VarLenString(text)
        | AttrValue::VarLenAsciiString(text)
        | AttrValue::String(text)
        | AttrValue::AsciiString(text)
        | AttrValue::StringSized { value: text, .. }
        | AttrValue::AsciiStringSized { value: text, .. } => Some(text),
        _ => None,
    }
}

/// Texts in any of the forms in which files store them.
fn texts(value: &AttrValue) -> Option<&[String]> {
    match value {
        AttrValue::StringArray(texts)
        | AttrValue::StringArraySized { values: texts, .. }
        | AttrValue::AsciiStringArray(texts)
        | AttrValue::AsciiStringArraySized { values: texts, .. }
        | AttrValue::VarLenStringArray(texts)
        | AttrValue::VarLenAsciiStringArray(texts)
        | AttrValue::VarLenAsciiCharArray(texts) => Some(texts),
        _ => None,
    }
}

impl Weights {
    pub(super) fn groups(file: File, len: usize) -> Self {
        let names = file.root().groups().unwrap_or_default();
        let all = ["layers", "_layer_checkpoint_dependencies"];
        let found =
            all.into_iter().flat_map(|first| ['/', '\\'].map(|separator| Groups { first, separator }));
        let mut found = found.filter(|g| match g.separator {
            '/' => names.iter().any(|name| name == g.first),
            other => {
                names.iter().any(|n| n.strip_prefix(g.first).is_some_and(|rest| rest.starts_with(other)))
            }
        });
        let groups = found.next().unwrap_or(Groups { first: "layers", separator: '/' });
        Weights { file, len, groups: Some(groups), lists: BTreeMap::new() }
    }

    pub(super) fn lists(file: File, len: usize) -> Self {
        Weights { file, len, groups: None, lists: BTreeMap::new() }
    }

    /// The place of a layer's weights. `class` is its class and number, as groups are named.
    pub(super) fn place(&self, class: &str, name: &str) -> Result<Place> {
        let Some(Groups { first, separator }) = self.groups else {
            return Ok(Place { group: name.to_string(), skip: 0 });
        };
        let group = format!("{first}{separator}{class}");
        let attributes = match self.file.group(&format!("{group}/vars")) {
            Ok(vars) => vars.attrs().map_err(refuse)?,
            Err(_) => Default::default(),
        };
        // Keras 3 stores the name of the layer that the weights belong to.
        match attributes.get("name").and_then(text) {
            Some(other) if other != name => {
                damaged(FORMAT, format!("the weights in `{group}` are those of `{other}`, not of `{name}`"))
            }
            _ => Ok(Place { group, skip: 0 }),
        }
    }

    /// The largest number of floats that the file can hold.
    pub(super) fn most(&self) -> usize {
        self.len / size_of::<f32>()
    }

    /// The place of the weights of a part of a layer, after `skip` weights of other parts.
    pub(super) fn part(&self, of: &Place, part: &str, skip: usize) -> Place {
        match &self.groups {
            Some(groups) => Place { group: format!("{}{}{part}", of.group, groups.separator), skip: 0 },
            None => Place { group: of.group.clone(), skip: of.skip + skip },
        }
    }

    /// The path of a weight.
    fn path(&mut self, place: &Place, index: usize) -> Result<String> {
        if self.groups.is_some() {
            return Ok(format!("{}/vars/{index}", place.group));
        }
        let group = format!("model_weights/{}", place.group);
        if !self.lists.contains_key(&group) {
            let attributes = match self.file.group(&group) {
                Ok(found) => found.attrs().map_err(refuse)?,
                Err(e) => return Err(refuse(format!("{group}: {e}"))),
            };
            let names = attributes.get("weight_names").and_then(texts).unwrap_or_default();
            self.lists.insert(group.clone(), names.to_vec());
        }
        let names = self.lists.get(&group).map_or(&[][..], |names| names);
        match names.get(place.skip + index) {
            Some(name) => Ok(format!("{group}/{name}")),
            None => damaged(FORMAT, format!("layer `{}` has {} weights only", place.group, names.len())),
        }
    }

    /// Reads a tensor, which must have this shape.
    pub(super) fn take(&mut self, place: &Place, index: usize, shape: &[usize]) -> Result<Vec<f32>> {
        let name = &self.path(place, index)?;
        let wrong = |found: String| Error::Tensor { name: name.to_string(), expected: show(shape), found };
        let data = self.file.dataset(name).map_err(|e| wrong(e.to_string()))?;
        let found = data.shape().map_err(refuse)?.into_iter();
        let found: Vec<usize> = found.map(|d| usize::try_from(d).unwrap_or(usize::MAX)).collect();
        check_shape(name, shape, &found)?;
        match data.dtype().map_err(refuse)? {
            DType::F32 => {}
            other => return Err(wrong(format!("elements of {other:?}"))),
        }
        // Keras does not compress its tensors, so none is longer than the file.
        match elements(shape) {
            Some(n) if n <= self.most() => {}
            _ => return damaged(FORMAT, format!("tensor `{name}` is longer than the file")),
        }
        data.read_f32().map_err(refuse)
    }
}
