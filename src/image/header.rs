//! The header, the positions of records, and the checksum.

use super::record::{self, Record};
use crate::error::{Error, Result, said};
use crate::model::Layer;

pub(super) const MAGIC: [u8; 8] = *b"RECURIMG";
pub(super) const HEADER: usize = 32;
/// Position of the checksum.
pub(super) const CHECKSUM: usize = 20;
/// Bytes of a layer in version 1, and of its record in version 2.
pub(super) const OLD_LAYER: usize = 64;
pub(super) const LAYER: usize = 80;
/// Bytes before the words of a layer in version 2: tag, length and type of the weights.
pub(super) const BEFORE: usize = 12;

pub(super) const TAG_LAYER: u32 = 1;
pub(super) const TAG_INITIAL: u32 = 2;
pub(super) const TAG_ENDING: u32 = 3;
pub(super) const TAG_CLASSES: u32 = 4;
pub(super) const TAG_MASK: u32 = 5;

pub(super) const fn wrong<T>(offset: usize, what: &'static str) -> Result<T> {
    Err(Error::Image { offset, what: said(what) })
}

pub(super) const fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The contents of a header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) is_old: bool,
    pub(super) layers: usize,
    pub(super) weights: usize,
    /// Where the weights start.
    pub(super) end: usize,
}

/// Reads the header, and checks that the image has the length that it gives.
pub(super) const fn header(bytes: &[u8]) -> Result<Header> {
    if bytes.len() < HEADER {
        return wrong(bytes.len(), "the header is incomplete");
    }
    let mut i = 0;
    while i < MAGIC.len() {
        if bytes[i] != MAGIC[i] {
            return wrong(i, "not an image: the magic number is missing");
        }
        i += 1;
    }
    let is_old = match word(bytes, 8) {
        1 => true,
        2 => false,
        _ => return wrong(8, "unknown version: this crate reads 1 and 2"),
    };
    let (layers, weights) = (word(bytes, 12) as u64, word(bytes, 16) as u64);
    let records = if is_old { OLD_LAYER as u64 * layers } else { word(bytes, 24) as u64 };
    let len = HEADER as u64 + records + 4 * weights;
    if (bytes.len() as u64) < len {
        return wrong(bytes.len(), "the image is shorter than its header says");
    }
    if bytes.len() as u64 > len {
        return wrong(len as usize, "more bytes follow than the header says");
    }
    if !is_old && (records < LAYER as u64 * layers || !records.is_multiple_of(16)) {
        return wrong(24, "the records are too short for the number of layers");
    }
    Ok(Header { is_old, layers: layers as usize, weights: weights as usize, end: HEADER + records as usize })
}

impl Header {
    /// Where the words of a layer start.
    pub(super) const fn words(&self, index: usize) -> usize {
        if self.is_old { HEADER + OLD_LAYER * index } else { HEADER + LAYER * index + BEFORE }
    }

    /// The words of the layer at a position.
    pub(super) const fn record(&self, bytes: &[u8], index: usize) -> Record {
        let (at, mut record, mut i) = (self.words(index), [0; 16], 0);
        while i < record.len() {
            record[i] = word(bytes, at + 4 * i);
            i += 1;
        }
        record
    }

    /// The layer at a position, without links to its passes.
    pub(super) const fn layer(&self, bytes: &[u8], index: usize) -> Result<Layer> {
        let mut layer = Layer::Residual;
        match self.layer_into(bytes, index, &mut layer) {
            Ok(()) => Ok(layer),
            Err(e) => Err(e),
        }
    }

    /// The same, to where the layer is stored: each copy of it takes flash.
    pub(super) const fn layer_into(&self, bytes: &[u8], index: usize, to: &mut Layer) -> Result<()> {
        let (at, mut narrow) = (self.words(index), None);
        if !self.is_old {
            let start = at - BEFORE;
            if word(bytes, start) != TAG_LAYER || word(bytes, start + 4) as usize != LAYER - 12 {
                return wrong(start, "expected the record of a layer");
            }
            narrow = match record::format(word(bytes, start + 8)) {
                Some(narrow) => narrow,
                None => return wrong(start + 8, "unknown type of weights"),
            };
        }
        if let Err((word, what)) = record::decode(&self.record(bytes, index), to) {
            return wrong(at + 4 * word, what);
        }
        match narrow {
            None => Ok(()),
            #[cfg(all(target_os = "none", feature = "named-forms"))]
            Some(_) => {
                wrong(at - 4, "narrow weights are for constant models on targets without an operating system")
            }
            #[cfg(not(all(target_os = "none", feature = "named-forms")))]
            Some(narrow) => {
                if let Some(levels) = to.levels()
                    && levels.first.cell.is_normalised()
                {
                    return wrong(at - 4, "the weights of a layer with layer normalisation must be f32");
                }
                *to = to.narrow(narrow);
                match to.narrow_format() {
                    Some(_) => Ok(()),
                    None => wrong(at - 4, "this layer has no matrix, so its weights must be f32"),
                }
            }
        }
    }
}

pub(super) const PADDING: &str = "a byte between two records is not 0";

/// The next multiple of 16.
pub(super) const fn padded(at: usize) -> usize {
    at.saturating_add(15) & !15
}

/// CRC-32 of all bytes except the checksum itself.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let (before, after) = bytes.split_at(CHECKSUM);
    !add_crc(add_crc(!0, before), &after[4..])
}

/// CRC-32 of some bytes.
#[cfg(feature = "std")]
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    !add_crc(!0, bytes)
}

/// Takes half a byte at a time: the table has only 64 bytes, which suits small machines.
fn add_crc(start: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let (mut table, mut i) = ([0; 16], 0);
        while i < 16 {
            let (mut c, mut bit) = (i as u32, 0);
            while bit < 4 {
                c = if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 };
                bit += 1;
            }
            table[i] = c;
            i += 1;
        }
        table
    };
    bytes.iter().fold(start, |c, &byte| {
        let c = c ^ u32::from(byte);
        let c = c >> 4 ^ TABLE[(c & 15) as usize];
        c >> 4 ^ TABLE[(c & 15) as usize]
    })
}

#[cfg(test)]
mod tests {
    use super::add_crc;

    /// The check value from catalogues of CRCs.
    #[test]
    fn crc_is_the_one_of_zlib() {
        assert_eq!(!add_crc(!0, b"123456789"), 0xcbf4_3926);
    }
}
