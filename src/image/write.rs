//! Writing an image.

use super::header::{
    CHECKSUM, HEADER, LAYER, MAGIC, TAG_CLASSES, TAG_ENDING, TAG_INITIAL, TAG_LAYER, TAG_MASK, checksum,
    padded,
};
use super::read::Extras;
use super::record;
use crate::error::{Error, Result, check_len};
use crate::layer::buffer::take;
use crate::model::{Chain, Ending, InputMask, Layer};

/// Length of a record in bytes; 0 if it has no content.
const fn record_len(content: usize) -> usize {
    if content == 0 { 0 } else { padded(content.saturating_add(8)) }
}

/// Length of the image of a model in bytes; `usize::MAX` if it does not fit.
pub const fn len(layers: &[Layer]) -> usize {
    len_with(layers, &Extras { initial_state: &[], ending: Ending::None, classes: "", mask: None })
}

/// Length of the image of a model with these extras in bytes; `usize::MAX` if it does not fit.
pub const fn len_with(layers: &[Layer], extras: &Extras<'_>) -> usize {
    let (mut weights, mut i) = (0usize, 0);
    while i < layers.len() {
        weights = weights.saturating_add(layers[i].words_len());
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
/// [`Error::Length`] or [`Error::Overflow`] for `weights` or `bytes`; [`Error::Layers`] for a layer that an
/// image cannot hold, because a size does not fit into 32 bits, a projection has no width, or a clip is not
/// above 0; [`Error::Narrow`] for a weight that its layer's format cannot hold.
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

/// Writes an image with extras. `bytes` has [`len_with`]`(layers, extras)` elements.
///
/// # Errors
/// Those of [`write()`]; [`Error::Length`] for an initial state that is not as long as that of the layers.
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
    let words = (total - HEADER - records) / 4;
    let expected = layers.iter().fold(0usize, |len, layer| len.saturating_add(layer.weights_len()));
    check_len("weights", expected, weights.len())?;
    if !extras.initial_state.is_empty() {
        check_len("initial_state", Chain::state_of(layers), extras.initial_state.len())?;
    }
    let size = |n: usize, buffer| u32::try_from(n).map_err(|_| Error::Overflow { buffer });
    let (count, weight_count) = (size(layers.len(), "bytes")?, size(words, "weights")?);
    let records = size(records, "bytes")?;
    for (index, layer) in layers.iter().enumerate() {
        record::encode(layer, index)?;
    }
    let mut rest = weights;
    for layer in layers {
        let weights = take(&mut rest, layer.weights_len());
        layer.check_narrow()?;
        layer.check_values(weights)?;
        if cfg!(target_endian = "big") && layer.narrow_format().is_some() {
            let expected = "in f32: narrow weights are written on little-endian machines only";
            return Err(Error::Value { argument: "layers", expected });
        }
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
        put(bytes, &mut at, record::format_number(layer.narrow_format()));
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
    let mut rest = weights;
    for layer in layers {
        let (from, to) = (take(&mut rest, layer.weights_len()), &mut bytes[at..][..4 * layer.words_len()]);
        match layer.narrow_format() {
            Some(_) => layer.write_words(from, to)?,
            None => {
                for (weight, to) in from.iter().zip(to.chunks_exact_mut(4)) {
                    to.copy_from_slice(&weight.to_bits().to_le_bytes());
                }
            }
        }
        at += 4 * layer.words_len();
    }
    let sum = checksum(bytes);
    bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// Writes a word and advances the position.
fn put(bytes: &mut [u8], at: &mut usize, word: u32) {
    bytes[*at..*at + 4].copy_from_slice(&word.to_le_bytes());
    *at += 4;
}
