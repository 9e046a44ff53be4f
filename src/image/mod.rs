//! Images: a model and its weights in bytes, which firmware uses where they are, in flash.
//!
//! All numbers are little-endian. An image is
//!
//! ```text
//! byte   0  RECURIMG             magic
//!        8  u32                  version: 2
//!       12  u32                  n, the number of layers
//!       16  u32                  w, the number of weights
//!       20  u32                  CRC-32 (IEEE 802.3, as in zlib) of all other bytes
//!       24  u32                  r, the bytes of all records
//!       28  zeros
//!       32  n times 80 bytes     a record for each layer, from the input to the output
//!           r - n times 80       other records, in ascending order of their tags
//!    32 + r w times f32          the weights, layer after layer, in the layout of this crate
//! ```
//!
//! Weights start at a multiple of 16 bytes, and end where the image does. A record is
//!
//! ```text
//! byte   0  u32                  tag
//!        4  u32                  bytes of the content
//!        8                       content
//!                                zeros, up to a multiple of 16 bytes
//! ```
//!
//! | tag | content |
//! |---|---|
//! | 1 | a layer: the type of its weights, 0 for f32, then 16 words |
//! | 2 | the initial state of one row, where it is not zeros: f32 |
//! | 3 | what follows the last layer, where something does: u32, 1 for a softmax, 2 for its logarithm |
//! | 4 | names of the classes: UTF-8, one to a line |
//! | 5 | which steps are masked by their input: u32, 1 for a value, 2 for an id; then the value, f32, or the id, u32 |
//!
//! A reader refuses records that it does not know. Version 1 is read, too: its layers are the 16 words alone, without tag, length and type, and
//! there are no other records.
//!
//! The words of a layer, which are 0 where it has no use for them:
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
use crate::model::{Chain, Ending, InputMask, Layer, Model};
use record::Record;

const MAGIC: [u8; 8] = *b"RECURIMG";
const HEADER: usize = 32;
/// Where the checksum stands.
const CHECKSUM: usize = 20;
/// Bytes of a layer in version 1, and of its record in version 2.
const OLD_LAYER: usize = 64;
const LAYER: usize = 80;
/// Bytes of what stands before the words of a layer in version 2: tag, length and type of the weights.
const BEFORE: usize = 12;

const TAG_LAYER: u32 = 1;
const TAG_INITIAL: u32 = 2;
const TAG_ENDING: u32 = 3;
const TAG_CLASSES: u32 = 4;
const TAG_MASK: u32 = 5;

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

/// What a header says.
#[derive(Clone, Copy, Debug)]
struct Header {
    is_old: bool,
    layers: usize,
    weights: usize,
    /// Where the weights start.
    end: usize,
}

/// The header, if it is one and the image is as long as it says.
const fn header(bytes: &[u8]) -> Result<Header> {
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
    let is_old = match word(bytes, 8) {
        1 => true,
        2 => false,
        _ => return wrong(8, "the image has a version that this crate does not know; it reads 1 and 2"),
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
        return wrong(24, "the records are shorter than those of the layers");
    }
    Ok(Header { is_old, layers: layers as usize, weights: weights as usize, end: HEADER + records as usize })
}

impl Header {
    /// Where the words of a layer start.
    const fn words(&self, index: usize) -> usize {
        if self.is_old { HEADER + OLD_LAYER * index } else { HEADER + LAYER * index + BEFORE }
    }

    /// The layer at a position.
    const fn layer(&self, bytes: &[u8], index: usize) -> Result<Layer> {
        let at = self.words(index);
        if !self.is_old {
            let start = at - BEFORE;
            if word(bytes, start) != TAG_LAYER || word(bytes, start + 4) as usize != LAYER - 12 {
                return wrong(start, "the record is not that of a layer");
            }
            if word(bytes, start + 8) != 0 {
                return wrong(start + 8, "there is no such type of weights");
            }
        }
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
}

/// The model of an image, for constants: sizes of buffers follow from it. The checksum and the weights are not looked at.
///
/// # Errors
/// [`Error::Image`] with the first byte that is not that of an image of `N` layers; [`Error::Layers`] if they do not fit together.
pub const fn model<const N: usize>(bytes: &[u8]) -> Result<Model<N>> {
    let header = match header(bytes) {
        Ok(header) => header,
        Err(e) => return Err(e),
    };
    if header.layers != N {
        return wrong(12, "the image has another number of layers than the model");
    }
    let (mut all, mut i) = ([Layer::dense(0, 0); N], 0);
    while i < N {
        all[i] = match header.layer(bytes, i) {
            Ok(layer) => layer,
            Err(e) => return Err(e),
        };
        i += 1;
    }
    Model::checked(all)
}

/// What an image says beside layers and weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extras<'a> {
    /// The state of one row to begin with, [`state_len(1)`](Model::state_len) elements; empty for zeros.
    pub initial_state: &'a [f32],
    /// What follows the last layer.
    pub ending: Ending,
    /// Names of the classes, one to a line.
    pub classes: &'a str,
    /// Which steps are masked by their input.
    pub mask: Option<InputMask>,
}

/// An image that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    header: Header,
    initial_state: &'a [u8],
    ending: Ending,
    classes: &'a str,
    mask: Option<InputMask>,
}

impl<'a> Image<'a> {
    /// An image in `bytes`, which need not be aligned for this.
    ///
    /// # Errors
    /// [`Error::Image`] with the first byte that is wrong: of the header, of a record, of the checksum. Whatever the bytes are, nothing
    /// else happens.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        let header = header(bytes)?;
        if checksum(bytes) != word(bytes, CHECKSUM) {
            return wrong(CHECKSUM, "checksum mismatch: the image is damaged");
        }
        let unused = if header.is_old { 24 } else { 28 };
        if let Some(i) = (unused..HEADER).find(|&i| bytes[i] != 0) {
            return wrong(i, "a byte of the header that has no meaning is not 0");
        }
        let mut len = 0usize;
        for index in 0..header.layers {
            let layer = header.layer(bytes, index)?;
            len = len.saturating_add(layer.weights_len());
            let (at, encoded) = (header.words(index), record::encode(&layer, index)?);
            if let Some(i) = (0..16).find(|&i| encoded[i] != word(bytes, at + 4 * i)) {
                return wrong(at + 4 * i, "a word that the layer has no use for is not 0");
            }
            if !header.is_old && word(bytes, at + OLD_LAYER) != 0 {
                return wrong(at + OLD_LAYER, PADDING);
            }
        }
        if len != header.weights {
            return wrong(16, "the number of weights is not that of the layers");
        }
        let mut image =
            Image { bytes, header, initial_state: &[], ending: Ending::None, classes: "", mask: None };
        if !header.is_old {
            image.records()?;
        }
        Ok(image)
    }

    /// Reads what follows the layers.
    fn records(&mut self) -> Result<()> {
        let Image { bytes, header, .. } = *self;
        let (mut at, mut before) = (HEADER + LAYER * header.layers, TAG_LAYER);
        while at < header.end {
            // The records are a multiple of 16 bytes long.
            let (tag, len) = (word(bytes, at), word(bytes, at + 4) as usize);
            let start = at + 8;
            let Some(content) = bytes[start..header.end].get(..len) else {
                return wrong(at + 4, "the record is longer than all records");
            };
            if tag <= before {
                return wrong(at, "the record does not follow in the order of the tags");
            }
            match tag {
                TAG_INITIAL => {
                    let mut state = 0usize;
                    for index in 0..header.layers {
                        let layer = [header.layer(bytes, index)?];
                        state = state.saturating_add(Chain::state_of(&layer));
                    }
                    if len == 0 || state.checked_mul(4) != Some(len) {
                        return wrong(at + 4, "the initial state is not as long as that of the layers");
                    }
                    self.initial_state = content;
                }
                TAG_ENDING => {
                    self.ending = match (len, content.first()) {
                        (4, Some(1)) => Ending::Softmax,
                        (4, Some(2)) => Ending::LogSoftmax,
                        _ => return wrong(start, "there is no such ending"),
                    };
                    if content[1..] != [0; 3] {
                        return wrong(start, "there is no such ending");
                    }
                }
                TAG_CLASSES => match core::str::from_utf8(content) {
                    Ok(classes) if !classes.is_empty() => self.classes = classes,
                    _ => return wrong(start, "the names of the classes are not text in UTF-8"),
                },
                TAG_MASK if len == 8 => {
                    self.mask = match (word(bytes, start), word(bytes, start + 4)) {
                        (1, value) if !f32::from_bits(value).is_nan() => {
                            Some(InputMask::Value(f32::from_bits(value)))
                        }
                        (2, id) => Some(InputMask::Id(id)),
                        _ => return wrong(start, "there is no such mask"),
                    };
                }
                TAG_MASK => return wrong(at + 4, "a mask has 8 bytes"),
                _ => return wrong(at, "the record is of a kind that this crate does not know"),
            }
            at = padded(start + len);
            if let Some(i) = (start + len..at).find(|&i| bytes[i] != 0) {
                return wrong(i, PADDING);
            }
            before = tag;
        }
        Ok(())
    }

    /// What the image says beside layers and weights.
    ///
    /// # Errors
    /// As [`weights`](Self::weights), if there is an initial state.
    pub fn extras(&self) -> Result<Extras<'a>> {
        let initial_state = self.in_place(self.initial_state)?;
        Ok(Extras { initial_state, ending: self.ending, classes: self.classes, mask: self.mask })
    }

    /// The layers, from the input to the output.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> {
        let Image { bytes, header, .. } = *self;
        // They have been read before.
        (0..header.layers).map(move |i| header.layer(bytes, i).unwrap_or(Layer::dense(0, 0)))
    }

    /// Whether it is an image of these layers, whatever their instruction sets and its weights.
    #[cfg(feature = "std")]
    pub(crate) fn same_layers(&self, layers: &[Layer]) -> bool {
        let mut both = self.layers().zip(layers).enumerate();
        layers.len() == self.header.layers
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
        &self.bytes[self.header.end..]
    }

    /// The number of weights.
    pub fn weights_len(&self) -> usize {
        self.header.weights
    }

    /// The weights, where they are.
    ///
    /// # Errors
    /// [`Error::Image`] if they are not aligned as `f32` are, or if this machine is not little-endian: [`copy_weights`](Self::copy_weights)
    /// serves there.
    pub fn weights(&self) -> Result<&'a [f32]> {
        self.in_place(self.weight_bytes())
    }

    /// Bytes of the image as floats.
    fn in_place(&self, part: &'a [u8]) -> Result<&'a [f32]> {
        if part.is_empty() {
            return Ok(&[]);
        }
        let offset = part.as_ptr() as usize - self.bytes.as_ptr() as usize;
        if cfg!(target_endian = "big") {
            return wrong(offset, "the numbers are little-endian, and this machine is not");
        }
        match floats(part) {
            Some(numbers) => Ok(numbers),
            None => wrong(offset, "the image is not aligned to 4 bytes"),
        }
    }

    /// Length of the initial state, that of one row of the layers.
    pub fn initial_state_len(&self) -> usize {
        self.layers().fold(0, |len, layer| len.saturating_add(Chain::state_of(&[layer])))
    }

    /// Whether it has an initial state; without one it is zeros.
    pub fn has_initial_state(&self) -> bool {
        !self.initial_state.is_empty()
    }

    /// Copies the initial state of one row: zeros, if the image has none.
    ///
    /// # Errors
    /// [`Error::Length`] for `state`, which has [`state_len(1)`](Model::state_len) elements.
    pub fn copy_initial_state(&self, state: &mut [f32]) -> Result<()> {
        check_len("state", self.initial_state_len(), state.len())?;
        state.fill(0.0);
        copy(self.initial_state, state);
        Ok(())
    }

    /// What follows the last layer.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// Which steps are masked by their input.
    pub fn mask(&self) -> Option<InputMask> {
        self.mask
    }

    /// Names of the classes, one to a line; empty if the image has none.
    pub fn classes(&self) -> &'a str {
        self.classes
    }

    /// Copies the weights, on any machine and from any address.
    ///
    /// # Errors
    /// [`Error::Length`] for `weights`.
    pub fn copy_weights(&self, weights: &mut [f32]) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        copy(self.weight_bytes(), weights);
        Ok(())
    }
}

fn copy(bytes: &[u8], to: &mut [f32]) {
    for (to, bytes) in to.iter_mut().zip(bytes.chunks_exact(4)) {
        *to = f32::from_bits(word(bytes, 0));
    }
}

const PADDING: &str = "a byte between two records is not 0";

/// The next multiple of 16.
const fn padded(at: usize) -> usize {
    at.saturating_add(15) & !15
}

/// Bytes of a record; none if it has no content.
const fn record_len(content: usize) -> usize {
    if content == 0 { 0 } else { padded(content.saturating_add(8)) }
}

/// Bytes of the image of a model; `usize::MAX` if they do not fit.
pub const fn len(layers: &[Layer]) -> usize {
    len_with(layers, &Extras { initial_state: &[], ending: Ending::None, classes: "", mask: None })
}

/// Bytes of the image of a model with these extras; `usize::MAX` if they do not fit.
pub const fn len_with(layers: &[Layer], extras: &Extras<'_>) -> usize {
    let (mut weights, mut i) = (0usize, 0);
    while i < layers.len() {
        weights = weights.saturating_add(layers[i].weights_len());
        i += 1;
    }
    weights.saturating_mul(4).saturating_add(HEADER + LAYER * layers.len()).saturating_add(extras_len(extras))
}

const fn extras_len(extras: &Extras<'_>) -> usize {
    let ending = if matches!(extras.ending, Ending::None) { 0 } else { 4 };
    record_len(4 * extras.initial_state.len())
        + record_len(ending)
        + record_len(extras.classes.len())
        + if extras.mask.is_some() { 16 } else { 0 }
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
    write_with(layers, weights, &Extras::default(), bytes)
}

/// The same with what else there is to say; `bytes` has [`len_with`]`(layers, extras)` elements.
///
/// # Errors
/// As [`write()`]; [`Error::Length`] for an initial state that is not as long as that of the layers.
///
/// ```
/// use recurrent::image::{self, Extras, Image};
/// use recurrent::model::{Ending, Layer};
/// const LAYERS: [Layer; 2] = [Layer::gru(1, 2), Layer::dense(2, 2)];
/// let extras = Extras { initial_state: &[0.5, -0.5], ending: Ending::Softmax, classes: "no\nyes", ..Extras::default() };
/// let mut bytes = vec![0; image::len_with(&LAYERS, &extras)];
/// image::write_with(&LAYERS, &[0.5; LAYERS[0].weights_len() + LAYERS[1].weights_len()], &extras, &mut bytes)?;
/// let image = Image::from_bytes(&bytes)?;
/// assert_eq!((image.ending(), image.classes()), (Ending::Softmax, "no\nyes"));
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn write_with(layers: &[Layer], weights: &[f32], extras: &Extras<'_>, bytes: &mut [u8]) -> Result<()> {
    let total = len_with(layers, extras);
    check_len("bytes", total, bytes.len())?;
    let records = LAYER * layers.len() + extras_len(extras);
    check_len("weights", (total - HEADER - records) / 4, weights.len())?;
    if !extras.initial_state.is_empty() {
        check_len("initial_state", Chain::state_of(layers), extras.initial_state.len())?;
    }
    let size = |n: usize, buffer| u32::try_from(n).map_err(|_| Error::Overflow { buffer });
    let (count, weight_count) = (size(layers.len(), "bytes")?, size(weights.len(), "weights")?);
    let records = size(records, "bytes")?;
    for (index, layer) in layers.iter().enumerate() {
        record::encode(layer, index)?;
    }

    bytes.fill(0);
    bytes[..8].copy_from_slice(&MAGIC);
    let mut at = 8;
    for word in [2, count, weight_count, 0, records, 0] {
        put(bytes, &mut at, word);
    }
    for (index, layer) in layers.iter().enumerate() {
        put(bytes, &mut at, TAG_LAYER);
        put(bytes, &mut at, (LAYER - 12) as u32);
        put(bytes, &mut at, 0);
        for word in record::encode(layer, index)? {
            put(bytes, &mut at, word);
        }
        at += 4;
    }
    if !extras.initial_state.is_empty() {
        put(bytes, &mut at, TAG_INITIAL);
        put(bytes, &mut at, 4 * extras.initial_state.len() as u32);
        extras.initial_state.iter().for_each(|x| put(bytes, &mut at, x.to_bits()));
        at = padded(at);
    }
    let ending = match extras.ending {
        Ending::None => 0,
        Ending::Softmax => 1,
        Ending::LogSoftmax => 2,
    };
    if ending > 0 {
        for word in [TAG_ENDING, 4, ending, 0] {
            put(bytes, &mut at, word);
        }
    }
    if !extras.classes.is_empty() {
        put(bytes, &mut at, TAG_CLASSES);
        put(bytes, &mut at, extras.classes.len() as u32);
        bytes[at..at + extras.classes.len()].copy_from_slice(extras.classes.as_bytes());
        at = padded(at + extras.classes.len());
    }
    if let Some(mask) = extras.mask {
        let (kind, of) = match mask {
            InputMask::Value(value) => (1, value.to_bits()),
            InputMask::Id(id) => (2, id),
        };
        for word in [TAG_MASK, 8, kind, of] {
            put(bytes, &mut at, word);
        }
    }
    for (weight, to) in weights.iter().zip(bytes[at..].chunks_exact_mut(4)) {
        to.copy_from_slice(&weight.to_bits().to_le_bytes());
    }
    let sum = checksum(bytes);
    bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Writes a word, and goes on behind it.
fn put(bytes: &mut [u8], at: &mut usize, word: u32) {
    bytes[*at..*at + 4].copy_from_slice(&word.to_le_bytes());
    *at += 4;
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
