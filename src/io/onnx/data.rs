//! External data: constants in files beside the model.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::External;
use super::super::error::{Result, damaged};
use super::super::options::missing;
use super::FORMAT;
use super::schema::Tensor;

/// The external files that have been read so far.
#[derive(Default)]
pub(super) struct Data<'a> {
    external: Option<&'a External<'a>>,
    files: RefCell<BTreeMap<String, Rc<[u8]>>>,
    /// Total bytes of the constants so far. They are limited, because many constants may name the same file.
    taken: RefCell<usize>,
}

impl<'a> Data<'a> {
    pub(super) fn new(external: Option<&'a External<'a>>) -> Self {
        Data { external, ..Data::default() }
    }

    /// Total bytes of the files that have been read.
    pub(super) fn len(&self) -> usize {
        self.files.borrow().values().map(|file| file.len()).sum()
    }

    fn file(&self, name: &str) -> Result<Rc<[u8]>> {
        if let Some(file) = self.files.borrow().get(name) {
            return Ok(file.clone());
        }
        let Some(external) = self.external else {
            return Err(missing(name, "only the bytes of the model were given"));
        };
        let file: Rc<[u8]> = external(name).map_err(|e| missing(name, &e.to_string()))?.into();
        self.files.borrow_mut().insert(name.to_string(), file.clone());
        Ok(file)
    }

    /// The bytes of a constant.
    pub(super) fn bytes(&self, name: &str, tensor: &Tensor) -> Result<Vec<u8>> {
        let entry = |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| &e.value[..]);
        let Some(location) = entry("location") else {
            return damaged(
                FORMAT,
                format!("constant `{name}` is in another file, and the model does not name it"),
            );
        };
        let number = |key: &str| entry(key).map(str::parse::<usize>).transpose();
        let (Ok(offset), Ok(length)) = (number("offset"), number("length")) else {
            return damaged(
                FORMAT,
                format!("constant `{name}` has an offset or a length that is not a number"),
            );
        };
        let file = self.file(location)?;
        let rest = file.get(offset.unwrap_or(0)..);
        let part = rest.and_then(|rest| rest.get(..length.unwrap_or(rest.len())));
        let Some(part) = part else {
            return damaged(
                FORMAT,
                format!(
                    "constant `{name}` is beyond the end of `{location}`, which has {} bytes",
                    file.len()
                ),
            );
        };
        let mut taken = self.taken.borrow_mut();
        *taken = taken.saturating_add(part.len());
        if *taken > self.len().saturating_mul(2) {
            return damaged(FORMAT, format!("its constants together are much larger than `{location}`"));
        }
        Ok(part.to_vec())
    }
}
