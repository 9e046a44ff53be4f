//! Images: a model and its weights in bytes, which firmware uses where they are, in flash.
//!
//! All numbers are little-endian. An image is
//!
//! ```text
//! byte   0  RECURIMG             magic
//!        8  u32                  version: 1
//!       12  u32                  n, the number of layers
//!       16  u32                  w, the number of weights
//!       20  u32                  CRC-32 (IEEE 802.3, as in zlib) of all other bytes
//!       24  zeros
//!       32  n times 16 words     the layers, from the input to the output
//!  32+64*n  w times f32          the weights, layer after layer, in the layout of this crate
//! ```
//!
//! Weights start at a multiple of 16 bytes, and end where the image does. The words of a layer, which are 0 where it has no use for them:
//!
//! | word | embedding | rnn, lstm, gru, mgu | dense | pool | dropout | scale | activation | residual |
//! |---|---|---|---|---|---|---|---|---|
//! | 0 | 0 | 1, 2, 3, 7 | 4 | 5 | 6 | 8 | 9 | 10 |
//! | 1 | classes | input | input | 0 last, 1 mean, 2 max, 3 ends | | width | | |
//! | 2 | width | hidden | output | | | | | |
//! | 3 | | [flags](#flags) | | | | | | |
//! | 4 | | layers of the stack | | | | | | |
//! | 5 | | width of the projection, or 0 | | | | | | |
//! | 6 | | clip: f32, or infinity | | | probability: f32 | | | |
//! | 7..16 | | up to three activations | activation, or 0 | | | | activation | |
//!
//! An activation is its number, alpha and beta (f32). The numbers are 1 tanh, 2 sigmoid, 3 ReLU, 4 affine, 5 leaky ReLU, 6 thresholded
//! ReLU, 7 scaled tanh, 8 hard sigmoid, 9 ELU, 10 softsign, 11 softplus.
//!
//! # Flags
//! 1 no biases, 2 reverse, 4 able to train with recurrent dropout, 8 coupled gates, 16 peepholes, 32 reset before, 64 both directions
//! side by side, 128 both directions added. Instruction sets are not in the image.
//!
//! # In firmware
//! ```
//! use recurrent::image::{self, Image};
//! use recurrent::model::Model;
//!
//! // const IMAGE: &[u8] = recurrent::include_image!("model.img");
//! # const IMAGE: &[u8] = recurrent::include_image!("../../tests/data/formats/image_gru.img");
//! const MODEL: Model<2> = match image::model(IMAGE) {
//!     Ok(model) => model,
//!     Err(_) => panic!("not an image of two layers"),
//! };
//! let mut state = [0.0; MODEL.state_len(1)]; // sizes are constants that come from the image
//!
//! let image = Image::from_bytes(IMAGE)?; // every byte is checked
//! let weights: &[f32] = image.weights()?; // and nothing is copied
//! assert_eq!(weights.len(), MODEL.weights_len());
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! `recurrent convert` makes images from the models of other frameworks; [`write()`] makes them from slices.
//! This folder may import every floor below, and no pass is in it.

mod record;

use crate::error::{Error, Result, check_len};
use crate::kernel::bytes::floats;
use crate::model::{Layer, Model};
use record::Record;

const MAGIC: [u8; 8] = *b"RECURIMG";
const VERSION: u32 = 1;
const HEADER: usize = 32;
const RECORD: usize = 64;
/// Where the checksum stands.
const CHECKSUM: usize = 20;

/// Bytes at an address that is a multiple of 16. Made by [`include_image!`](crate::include_image).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(
    /// The bytes.
    pub T,
);

/// The bytes of a file as `include_bytes!` has them, aligned as the weights of an image have to be. [`image`](crate::image) shows its use.
#[macro_export]
macro_rules! include_image {
    ($path:expr) => {{
        const IMAGE: &$crate::image::Aligned<[u8]> = &$crate::image::Aligned(*include_bytes!($path));
        &IMAGE.0
    }};
}

const fn wrong<T>(offset: usize, what: &'static str) -> Result<T> {
    Err(Error::Image { offset, what })
}

const fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// The numbers of layers and of weights, if the header is one.
const fn header(bytes: &[u8]) -> Result<(usize, usize)> {
    if bytes.len() < HEADER {
        return wrong(bytes.len(), "the header is cut off");
    }
    let mut i = 0;
    while i < MAGIC.len() {
        if bytes[i] != MAGIC[i] {
            return wrong(i, "the bytes do not begin as an image does");
        }
        i += 1;
    }
    if word(bytes, 8) != VERSION {
        return wrong(8, "the image has another version than 1");
    }
    let (layers, weights) = (word(bytes, 12) as u64, word(bytes, 16) as u64);
    let len = HEADER as u64 + RECORD as u64 * layers + 4 * weights;
    if (bytes.len() as u64) < len {
        return wrong(bytes.len(), "the image is shorter than its header says");
    }
    if bytes.len() as u64 > len {
        return wrong(len as usize, "more bytes follow than the header says");
    }
    Ok((layers as usize, weights as usize))
}

/// The layer at a position.
const fn layer(bytes: &[u8], index: usize) -> Result<Layer> {
    let at = HEADER + RECORD * index;
    let mut record: Record = [0; 16];
    let mut i = 0;
    while i < record.len() {
        record[i] = word(bytes, at + 4 * i);
        i += 1;
    }
    match record::decode(&record) {
        Ok(layer) => Ok(layer),
        Err((word, what)) => wrong(at + 4 * word, what),
    }
}

/// The model of an image, for constants: sizes of buffers follow from it. The checksum and the weights are not looked at.
///
/// # Errors
/// [`Error::Image`] with the first byte that is not that of an image of `N` layers; [`Error::Layers`] if they do not fit together.
pub const fn model<const N: usize>(bytes: &[u8]) -> Result<Model<N>> {
    let layers = match header(bytes) {
        Ok((layers, _)) => layers,
        Err(e) => return Err(e),
    };
    if layers != N {
        return wrong(12, "the image has another number of layers than the model");
    }
    let (mut all, mut i) = ([Layer::dense(0, 0); N], 0);
    while i < N {
        all[i] = match layer(bytes, i) {
            Ok(layer) => layer,
            Err(e) => return Err(e),
        };
        i += 1;
    }
    Model::checked(all)
}

/// An image that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    layers: usize,
}

impl<'a> Image<'a> {
    /// An image in `bytes`, which need not be aligned for this.
    ///
    /// # Errors
    /// [`Error::Image`] with the first byte that is wrong: of the header, of a layer, of the checksum. Whatever the bytes are, nothing
    /// else happens.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        let (layers, weights) = header(bytes)?;
        if checksum(bytes) != word(bytes, CHECKSUM) {
            return wrong(CHECKSUM, "the checksum is another one: the image is damaged");
        }
        if let Some(i) = (24..HEADER).find(|&i| bytes[i] != 0) {
            return wrong(i, "a byte of the header that has no meaning is not 0");
        }
        let mut len = 0usize;
        for index in 0..layers {
            let layer = layer(bytes, index)?;
            len = len.saturating_add(layer.weights_len());
            let at = HEADER + RECORD * index;
            let encoded = record::encode(&layer, index)?;
            if let Some(i) = (0..16).find(|&i| encoded[i] != word(bytes, at + 4 * i)) {
                return wrong(at + 4 * i, "a word that the layer has no use for is not 0");
            }
        }
        if len != weights {
            return wrong(16, "the number of weights is not that of the layers");
        }
        Ok(Image { bytes, layers })
    }

    /// The layers, from the input to the output.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> {
        let bytes = self.bytes;
        // They have been read before.
        (0..self.layers).map(move |i| layer(bytes, i).unwrap_or(Layer::dense(0, 0)))
    }

    /// Whether it is an image of these layers, whatever their instruction sets and its weights.
    #[cfg(feature = "std")]
    pub(crate) fn same_layers(&self, layers: &[Layer]) -> bool {
        let mut both = self.layers().zip(layers).enumerate();
        layers.len() == self.layers
            && both.all(|(i, (theirs, ours))| {
                let [theirs, ours] = [&theirs, ours].map(|layer| record::encode(layer, i));
                theirs.is_ok() && theirs == ours
            })
    }

    /// The layers as a model.
    ///
    /// # Errors
    /// [`Error::Image`] if there are not `N` of them, [`Error::Layers`] if they do not fit together.
    pub fn model<const N: usize>(&self) -> Result<Model<N>> {
        model(self.bytes)
    }

    fn weight_bytes(&self) -> &'a [u8] {
        &self.bytes[HEADER + RECORD * self.layers..]
    }

    /// The number of weights.
    pub fn weights_len(&self) -> usize {
        self.weight_bytes().len() / 4
    }

    /// The weights, where they are.
    ///
    /// # Errors
    /// [`Error::Image`] if they are not aligned as `f32` are, or if this machine is not little-endian: [`copy_weights`](Self::copy_weights)
    /// serves there.
    pub fn weights(&self) -> Result<&'a [f32]> {
        let offset = HEADER + RECORD * self.layers;
        if cfg!(target_endian = "big") {
            return wrong(offset, "the weights are little-endian, and this machine is not");
        }
        match floats(self.weight_bytes()) {
            Some(weights) => Ok(weights),
            None => wrong(offset, "the weights are not aligned to 4 bytes"),
        }
    }

    /// Copies the weights, on any machine and from any address.
    ///
    /// # Errors
    /// [`Error::Length`] for `weights`.
    pub fn copy_weights(&self, weights: &mut [f32]) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        for (weight, bytes) in weights.iter_mut().zip(self.weight_bytes().chunks_exact(4)) {
            *weight = f32::from_bits(word(bytes, 0));
        }
        Ok(())
    }
}

/// Bytes of the image of a model; `usize::MAX` if they do not fit.
pub const fn len(layers: &[Layer]) -> usize {
    let (mut weights, mut i) = (0usize, 0);
    while i < layers.len() {
        weights = weights.saturating_add(layers[i].weights_len());
        i += 1;
    }
    weights.saturating_mul(4).saturating_add(HEADER + RECORD * layers.len())
}

/// Writes the image of a model into `bytes`, which has [`len`]`(layers)` elements.
///
/// # Errors
/// [`Error::Length`] or [`Error::Overflow`] for `weights` or `bytes`; [`Error::Layers`] for a layer that no image can hold, because a size
/// does not fit into 32 bits, a projection has no width, or a clip is not above 0.
///
/// ```
/// use recurrent::image::{self, Image};
/// use recurrent::model::Layer;
/// const LAYERS: [Layer; 2] = [Layer::gru(2, 3), Layer::dense(3, 1)];
/// let weights = [0.5; LAYERS[0].weights_len() + LAYERS[1].weights_len()];
/// let mut bytes = [0; image::len(&LAYERS)];
/// image::write(&LAYERS, &weights, &mut bytes)?;
///
/// let image = Image::from_bytes(&bytes)?;
/// assert!(image.layers().eq(LAYERS));
/// let mut copy = weights.map(|_| 0.0);
/// image.copy_weights(&mut copy)?;
/// assert_eq!(copy, weights);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn write(layers: &[Layer], weights: &[f32], bytes: &mut [u8]) -> Result<()> {
    let total = len(layers);
    check_len("bytes", total, bytes.len())?;
    check_len("weights", (total - HEADER - RECORD * layers.len()) / 4, weights.len())?;
    let size = |n: usize, buffer| u32::try_from(n).map_err(|_| Error::Overflow { buffer });
    let (count, weight_count) = (size(layers.len(), "bytes")?, size(weights.len(), "weights")?);
    for (index, layer) in layers.iter().enumerate() {
        record::encode(layer, index)?;
    }

    bytes[..HEADER].fill(0);
    bytes[..8].copy_from_slice(&MAGIC);
    let mut put = |at: usize, word: u32| bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    put(8, VERSION);
    put(12, count);
    put(16, weight_count);
    let mut at = HEADER;
    for (index, layer) in layers.iter().enumerate() {
        for word in record::encode(layer, index)? {
            put(at, word);
            at += 4;
        }
    }
    for weight in weights {
        put(at, weight.to_bits());
        at += 4;
    }
    let sum = checksum(bytes);
    bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// CRC-32 of everything but itself.
fn checksum(bytes: &[u8]) -> u32 {
    let (before, after) = bytes.split_at(CHECKSUM);
    !add_crc(add_crc(!0, before), &after[4..])
}

/// CRC-32 of some bytes.
#[cfg(feature = "std")]
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    !add_crc(!0, bytes)
}

/// Half a byte at a time: a table of 64 bytes, because this is for small machines.
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

    /// The check value that catalogues of CRCs give.
    #[test]
    fn crc_is_the_one_of_zlib() {
        assert_eq!(!add_crc(!0, b"123456789"), 0xcbf4_3926);
    }
}
