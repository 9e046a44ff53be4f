//! The containers of checkpoints: a zip file (since PyTorch 1.6), or pickles followed by the bytes of the
//! tensors.

use std::collections::BTreeMap;
use std::format;
use std::io::{Cursor, Read};
use std::string::{String, ToString};
use std::vec::Vec;

use zip::ZipArchive;

use super::super::error::{Result, damaged, unsupported};
use super::opcodes;
use super::pickle::{FORMAT, Id, Node, Pickle};

/// The element type of a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F16,
    Bf16,
    F32,
    F64,
    /// Integers and other types, with their size in bytes.
    Other(usize),
}

impl Kind {
    pub(super) fn size(self) -> usize {
        match self {
            Kind::F16 | Kind::Bf16 => 2,
            Kind::F32 => 4,
            Kind::F64 => 8,
            Kind::Other(size) => size,
        }
    }

    fn of(class: &str) -> Option<Self> {
        let name = class.rsplit([' ', '.']).next().unwrap_or(class);
        Some(match name {
            "HalfStorage" => Kind::F16,
            "BFloat16Storage" => Kind::Bf16,
            "FloatStorage" => Kind::F32,
            "DoubleStorage" => Kind::F64,
            "LongStorage" | "ComplexFloatStorage" => Kind::Other(8),
            "IntStorage" | "QInt32Storage" => Kind::Other(4),
            "ShortStorage" => Kind::Other(2),
            "ComplexDoubleStorage" => Kind::Other(16),
            "CharStorage" | "ByteStorage" | "BoolStorage" | "UntypedStorage" | "QInt8Storage"
            | "QUInt8Storage" => Kind::Other(1),
            _ => return None,
        })
    }
}

/// A checkpoint: its pickle, and the bytes of its storages.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) pickle: Pickle,
    storages: BTreeMap<String, Vec<u8>>,
}

/// The element type, the key and the length of a storage, from its persistent id.
pub(super) fn storage(pickle: &Pickle, id: Id) -> Option<(Kind, &str, usize)> {
    let Node::Persistent(of) = pickle.node(id) else { return None };
    match pickle.list(*of) {
        [word, class, key, _, len, ..] if pickle.text(*word) == Some("storage") => {
            Some((Kind::of(pickle.global(*class)?)?, pickle.text(*key)?, pickle.size(*len)?))
        }
        _ => None,
    }
}

/// All storages of a pickle: element type, key and length.
pub(super) fn storages(pickle: &Pickle) -> impl Iterator<Item = (Kind, &str, usize)> {
    pickle.ids().filter_map(|id| storage(pickle, id))
}

impl Container {
    pub(super) fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.storages.get(key).map(|bytes| &bytes[..])
    }

    /// Total bytes of all storages.
    pub(super) fn len(&self) -> usize {
        self.storages.values().map(Vec::len).sum()
    }

    pub(super) fn open(bytes: &[u8]) -> Result<Self> {
        if bytes.starts_with(b"PK") { zip(bytes) } else { legacy(bytes) }
    }
}

fn zip(bytes: &[u8]) -> Result<Container> {
    let refuse = |e: &dyn ToString| super::super::Error::Damaged { format: FORMAT, what: e.to_string() };
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| refuse(&e))?;
    let names: Vec<String> = zip.file_names().flatten().map(|name| name.to_string()).collect();
    let Some(pickle) = names.iter().find(|name| name.ends_with("data.pkl")) else {
        return damaged(FORMAT, "the archive has no `data.pkl`");
    };
    let folder = pickle.trim_end_matches("data.pkl").to_string();
    // PyTorch does not compress its entries, so together they are not longer than the file.
    let mut left = bytes.len();
    let mut entry = |name: &str| -> Result<Vec<u8>> {
        let mut entry = zip.by_name(name).map_err(|e| refuse(&format!("{name}: {e}")))?;
        let mut data = Vec::new();
        entry
            .by_ref()
            .take(left as u64 + 1)
            .read_to_end(&mut data)
            .map_err(|e| refuse(&format!("{name}: {e}")))?;
        match left.checked_sub(data.len()) {
            Some(rest) => left = rest,
            None => {
                return damaged(FORMAT, format!("{name}: its unpacked content is larger than the archive"));
            }
        }
        Ok(data)
    };
    let order = format!("{folder}byteorder");
    if names.contains(&order) && entry(&order)? != b"little" {
        return unsupported("a checkpoint of a big-endian machine", "save it on a little-endian one");
    }
    let (pickle, _) = opcodes::read(&entry(pickle)?).map(|(pickle, rest)| (pickle, rest.len()))?;
    let mut storages = BTreeMap::new();
    let prefix = format!("{folder}data/");
    for name in &names {
        if let Some(key) = name.strip_prefix(&prefix[..]) {
            storages.insert(key.to_string(), entry(name)?);
        }
    }
    Ok(Container { pickle, storages })
}

/// Reads pickles of a magic number, a version, the machine, the object and the keys of its storages, followed
/// by the bytes of the storages.
fn legacy(bytes: &[u8]) -> Result<Container> {
    let (magic, rest) = opcodes::read(bytes)?;
    // The magic number does not fit into an `i64`.
    if !matches!(magic.node(magic.root()), Node::Other) {
        return match magic.node(magic.root()) {
            Node::Call { of, .. } => unsupported(
                format!("a pickle of `{}`", magic.global(*of).unwrap_or("").replace(' ', ".")),
                "it was not written by `torch.save`: load it in Python, and save the model with its framework",
            ),
            _ => damaged(FORMAT, "it is a pickle that `torch.save` did not write"),
        };
    }
    let (_, rest) = opcodes::read(rest)?;
    let (system, rest) = opcodes::read(rest)?;
    let little = system.get(system.root(), "little_endian").map(|id| system.node(id).clone());
    if matches!(little, Some(Node::Bool(false))) {
        return unsupported("a checkpoint of a big-endian machine", "save it on a little-endian one");
    }
    let (pickle, rest) = opcodes::read(rest)?;
    let (keys, mut rest) = opcodes::read(rest)?;
    let kinds: BTreeMap<&str, Kind> = storages(&pickle).map(|(kind, key, _)| (key, kind)).collect();
    let mut storages = BTreeMap::new();
    for key in keys.list(keys.root()) {
        let key = keys.text(*key).unwrap_or("");
        let Some(kind) = kinds.get(key) else {
            return damaged(FORMAT, format!("the storage `{key}` belongs to no tensor"));
        };
        let len = rest.split_first_chunk().map(|(len, rest)| (u64::from_le_bytes(*len), rest));
        let len =
            len.and_then(|(len, rest)| Some((usize::try_from(len).ok()?.checked_mul(kind.size())?, rest)));
        let Some((data, others)) = len.and_then(|(len, rest)| rest.split_at_checked(len)) else {
            return damaged(FORMAT, format!("the file ends within the storage `{key}`"));
        };
        storages.insert(key.to_string(), data.to_vec());
        rest = others;
    }
    Ok(Container { pickle, storages })
}
