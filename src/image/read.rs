//! Reading an image: it is checked once, and used in place.

use super::header::{
    CHECKSUM, HEADER, Header, LAYER, OLD_LAYER, PADDING, TAG_CLASSES, TAG_ENDING, TAG_INITIAL, TAG_LAYER,
    TAG_MASK, checksum, header, padded, word, wrong,
};
use super::record;
use super::utf8::is_utf8;
use crate::error::{Error, Result, check_len};
use crate::kernel::bytes::floats;
use crate::layer::buffer::{take, take_mut};
use crate::model::{Chain, Ending, InputMask, Layer, Model};
use crate::seq::form::Form;

/// What an image holds besides layers and weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extras<'a> {
    /// The initial state of one row, [`state_len(1)`](Model::state_len) elements; empty for zeros.
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
    /// UTF-8.
    classes: &'a [u8],
    mask: Option<InputMask>,
}

impl<'a> Image<'a> {
    /// Checks an image. `bytes` need not be aligned for this.
    ///
    /// # Errors
    /// [`Error::Image`] with the position of the first wrong byte of the header, of a record, or of the
    /// checksum. Any bytes are safe to pass: invalid ones only give this error.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self> {
        let header = header(bytes)?;
        if checksum(bytes) != word(bytes, CHECKSUM) {
            return wrong(CHECKSUM, "checksum mismatch: the image is damaged");
        }
        let unused = if header.is_old { 24 } else { 28 };
        if let Some(i) = (unused..HEADER).find(|&i| bytes[i] != 0) {
            return wrong(i, "a reserved byte of the header is not 0");
        }
        let mut len = 0usize;
        let mut layer = Layer::Residual;
        for index in 0..header.layers {
            header.layer_into(bytes, index, &mut layer)?;
            len = len.saturating_add(layer.words_len());
            let at = header.words(index);
            if let Some(i) = record::unused(&header.record(bytes, index)) {
                return wrong(at + 4 * i, record::UNUSED);
            }
            if !header.is_old && word(bytes, at + OLD_LAYER) != 0 {
                return wrong(at + OLD_LAYER, PADDING);
            }
        }
        if len != header.weights {
            return wrong(16, "the number of weights differs from what the layers need");
        }
        let mut image =
            Image { bytes, header, initial_state: &[], ending: Ending::None, classes: &[], mask: None };
        if !header.is_old {
            image.records()?;
        }
        Ok(image)
    }

    /// Reads the records that follow the layers.
    fn records(&mut self) -> Result<()> {
        let Image { bytes, header, .. } = *self;
        let (mut at, mut before) = (HEADER + LAYER * header.layers, TAG_LAYER);
        while at < header.end {
            // Reading 8 bytes is safe: the total length of the records is a multiple of 16 bytes.
            let (tag, len) = (word(bytes, at), word(bytes, at + 4) as usize);
            let start = at + 8;
            let Some(content) = bytes[start..header.end].get(..len) else {
                return wrong(at + 4, "the record ends after the part for records");
            };
            if tag <= before {
                return wrong(at, "the records are not in the order of their tags");
            }
            match tag {
                TAG_INITIAL => {
                    if len == 0 || self.initial_state_len().checked_mul(4) != Some(len) {
                        return wrong(
                            at + 4,
                            "the initial state has a length that differs from what the layers need",
                        );
                    }
                    self.initial_state = content;
                }
                TAG_ENDING if len == 4 => {
                    self.ending = match word(bytes, start) {
                        1 => Ending::Softmax,
                        2 => Ending::LogSoftmax,
                        _ => return wrong(start, "unknown ending"),
                    };
                }
                TAG_ENDING => return wrong(at + 4, "an ending must have 4 bytes"),
                TAG_CLASSES if !content.is_empty() && is_utf8(content) => self.classes = content,
                TAG_CLASSES => return wrong(start, "the names of the classes are not UTF-8"),
                TAG_MASK if len == 8 => {
                    self.mask = match (word(bytes, start), word(bytes, start + 4)) {
                        (1, value) if !f32::from_bits(value).is_nan() => {
                            Some(InputMask::Value(f32::from_bits(value)))
                        }
                        (2, id) => Some(InputMask::Id(id)),
                        _ => return wrong(start, "unknown mask"),
                    };
                }
                TAG_MASK => return wrong(at + 4, "a mask must have 8 bytes"),
                _ => return wrong(at, "unknown kind of record"),
            }
            at = padded(start + len);
            if let Some(i) = (start + len..at).find(|&i| bytes[i] != 0) {
                return wrong(i, PADDING);
            }
            before = tag;
        }
        Ok(())
    }

    /// What the image holds besides layers and weights.
    ///
    /// # Errors
    /// Those of [`weights`](Self::weights), if there is an initial state.
    pub fn extras(&self) -> Result<Extras<'a>> {
        let initial_state = self.initial_state()?;
        Ok(Extras { initial_state, ending: self.ending, classes: self.classes(), mask: self.mask })
    }

    /// The initial state of one row, in place; empty for zeros.
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    pub fn initial_state(&self) -> Result<&'a [f32]> {
        self.in_place(self.initial_state)
    }

    /// The layers, from the input to the output.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = Layer> {
        self.unlinked().map(Layer::linked)
    }

    /// The layers without links to their passes.
    fn unlinked(&self) -> impl ExactSizeIterator<Item = Layer> {
        let Image { bytes, header, .. } = *self;
        // The layers have been decoded successfully before.
        (0..header.layers).map(move |i| header.layer(bytes, i).unwrap_or(Layer::dense(0, 0)))
    }

    /// Writes the layers to a slice of the same length, for a [`Chain`]. Their cells have to be of the given
    /// forms. So a program that does not know its model at compile time links only the passes of these forms.
    /// ([`layers`](Self::layers) links all passes of all cells.)
    ///
    /// # Errors
    /// [`Error::Length`] for `layers`; [`Error::Form`] for a layer whose form is not among `forms`, with
    /// the name of the form.
    ///
    /// ```
    /// use recurrent::image::{self, Form, Image};
    /// use recurrent::model::{Chain, Layer};
    /// # const IMAGE: &[u8] = recurrent::include_image!("../../tests/data/formats/image_gru.img");
    /// let image = Image::from_bytes(IMAGE)?;
    /// let mut layers = [Layer::Residual; 8]; // room for eight
    /// let layers = &mut layers[..image::layers_len(IMAGE)?];
    /// image.link(&[&Form::GRU.steps()], layers)?;
    /// let chain = Chain::new(layers)?;
    /// let (mut y, mut state) = (vec![0.0; chain.output()], vec![0.0; chain.state_len(1)]);
    /// let mut scratch = vec![0.0; chain.scratch_len(1, 1)];
    /// let x = vec![0.5; chain.input()];
    /// chain.step(image.weights()?, &x, &mut y, &mut state, &mut scratch)?;
    ///
    /// let refused = image.link(&[&Form::LSTM], &mut [Layer::Residual; 2]).unwrap_err();
    /// assert!(refused.to_string().contains("is of the form GRU, which the program did not name"));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn link(&self, forms: &[&Form], layers: &mut [Layer]) -> Result<()> {
        check_len("layers", self.header.layers, layers.len())?;
        // Nothing is written before all layers are known to have a form. (In one loop, because the code of
        // both would be the same.)
        let mut layer = Layer::Residual;
        for writes in [false, true] {
            for (index, to) in layers.iter_mut().enumerate() {
                self.header.layer_into(self.bytes, index, &mut layer)?;
                if let Err(form) = layer.link_to(forms) {
                    return Err(Error::Form { layer: index, form: form.name() });
                }
                if writes {
                    *to = layer;
                }
            }
        }
        Ok(())
    }

    /// Whether the image has these layers. Instruction sets and weights are not compared.
    #[cfg(feature = "std")]
    pub(crate) fn same_layers(&self, layers: &[Layer]) -> bool {
        let mut both = self.unlinked().zip(layers).enumerate();
        layers.len() == self.header.layers
            && both.all(|(i, (theirs, ours))| {
                let [theirs, ours] = [&theirs, ours].map(|layer| record::encode(layer, i));
                theirs.is_ok() && theirs == ours
            })
    }

    /// The layers as a model.
    ///
    /// # Errors
    /// [`Error::Image`] if there are not `N` layers, [`Error::Layers`] if they do not fit together.
    pub fn model<const N: usize>(&self) -> Result<Model<N>> {
        model(self.bytes)
    }

    fn weight_bytes(&self) -> &'a [u8] {
        &self.bytes[self.header.end..]
    }

    /// The number of weights.
    pub fn weights_len(&self) -> usize {
        self.unlinked().fold(0, |len, layer| len.saturating_add(layer.weights_len()))
    }

    /// Whether any layer has narrow weights.
    pub fn is_narrow(&self) -> bool {
        self.unlinked().any(|layer| layer.narrow_format().is_some())
    }

    /// The bytes of all weights in place, for [`Model::pack_narrow`], and for passes of firmware.
    pub fn narrow(&self) -> &'a [u8] {
        self.weight_bytes()
    }

    /// The weights in place, if all of them are `f32`.
    ///
    /// # Errors
    /// [`Error::Image`] if layers have narrow weights: use [`narrow`](Self::narrow). [`Error::Image`] if the
    /// weights are not aligned like `f32`, or if this machine is not little-endian: use
    /// [`copy_weights`](Self::copy_weights).
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    pub fn weights(&self) -> Result<&'a [f32]> {
        if self.is_narrow() {
            return wrong(self.header.end, "the weights are narrow: use `narrow`");
        }
        self.in_place(self.weight_bytes())
    }

    /// Interprets bytes of the image as floats, in place.
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    fn in_place(&self, part: &'a [u8]) -> Result<&'a [f32]> {
        if part.is_empty() {
            return Ok(&[]);
        }
        let offset = part.as_ptr() as usize - self.bytes.as_ptr() as usize;
        if cfg!(target_endian = "big") {
            return wrong(offset, "the image is little-endian, but this machine is big-endian");
        }
        match floats(part) {
            Some(numbers) => Ok(numbers),
            None => wrong(offset, "the image is not aligned to 4 bytes"),
        }
    }

    /// Length of the initial state of one row.
    pub fn initial_state_len(&self) -> usize {
        self.unlinked().fold(0, |len, layer| len.saturating_add(Chain::state_of(&[layer])))
    }

    /// Whether the image has an initial state. Without one it is zeros.
    pub fn has_initial_state(&self) -> bool {
        !self.initial_state.is_empty()
    }

    /// Copies the initial state of one row; zeros if the image has none.
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
        // They have been checked.
        core::str::from_utf8(self.classes).unwrap_or_default()
    }

    /// Copies the weights, converted to `f32`. `f32` weights can be copied on any machine and from any
    /// address. Narrow weights have to be aligned to 4 bytes, on a little-endian machine.
    ///
    /// # Errors
    /// [`Error::Length`] for `weights`; [`Error::Image`] for narrow weights that cannot be read here.
    pub fn copy_weights(&self, weights: &mut [f32]) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        if !self.is_narrow() {
            copy(self.weight_bytes(), weights);
            return Ok(());
        }
        let (mut words, mut rest) = (self.in_place(self.weight_bytes())?, weights);
        for layer in self.unlinked() {
            let from = take(&mut words, layer.words_len());
            layer.widen_words(from, take_mut(&mut rest, layer.weights_len()))?;
        }
        Ok(())
    }
}

fn copy(bytes: &[u8], to: &mut [f32]) {
    for (to, bytes) in to.iter_mut().zip(bytes.chunks_exact(4)) {
        *to = f32::from_bits(word(bytes, 0));
    }
}

/// The number of layers of an image. The checksum and the layers are not checked.
///
/// # Errors
/// [`Error::Image`] with the position of the first wrong byte of the header, or if the image has another
/// length.
pub const fn layers_len(bytes: &[u8]) -> Result<usize> {
    match header(bytes) {
        Ok(header) => Ok(header.layers),
        Err(e) => Err(e),
    }
}

/// The model of an image, for constants from which the lengths of buffers follow. The checksum and the
/// weights are not checked.
///
/// # Errors
/// [`Error::Image`] with the position of the first byte that is wrong in an image of `N` layers;
/// [`Error::Layers`] if the layers do not fit together.
pub const fn model<const N: usize>(bytes: &[u8]) -> Result<Model<N>> {
    let header = match header(bytes) {
        Ok(header) => header,
        Err(e) => return Err(e),
    };
    if header.layers != N {
        return wrong(12, "the number of layers differs from the model's");
    }
    let (mut all, mut i) = ([Layer::dense(0, 0); N], 0);
    while i < N {
        all[i] = match header.layer(bytes, i) {
            Ok(layer) => layer.linked(),
            Err(e) => return Err(e),
        };
        i += 1;
    }
    Model::checked(all)
}
