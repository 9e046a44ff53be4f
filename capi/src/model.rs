//! Models: opening images, weights, packing.

use core::ffi::c_void;

use recurrent_core::image::{self, Image};
use recurrent_core::model::Chain;
#[cfg(not(target_os = "none"))]
use recurrent_core::model::Packed;
use recurrent_core::{Error, Need};

use crate::border::{self, apart, Given, Kept, Memory, Place};
use crate::cells::recurrent_cell;
use crate::error::{answer, recurrent_error, recurrent_status, Outcome, Refusal};

/// An open model: its layers, and where its weights are. It is in the caller's memory and refers to its
/// image, so neither may move or change while the model is used. It need not be closed.
pub struct recurrent_model {
    pub(crate) magic: u32,
    pub(crate) chain: Chain<'static>,
    /// `None` for a model from a description.
    pub(crate) image: Option<Image<'static>>,
    /// Canonical weights, in the image or of the caller; empty if the image has narrow weights, or if a model
    /// without an image has not been given any.
    pub(crate) weights: Kept,
    /// Not on targets without packed weights, so that their code is not linked.
    #[cfg(not(target_os = "none"))]
    pub(crate) packed: Option<Packed<&'static mut [f32]>>,
    /// The memory that contains the model, its image and its weights, and perhaps more: the first byte, and the
    /// number of bytes.
    #[cfg(not(target_os = "none"))]
    pub(crate) span: (usize, usize),
}

impl recurrent_model {
    pub(crate) const MAGIC: u32 = 0x7265_6375;

    /// A model without packed weights. [`Memory::put`](border::Memory::put) measures it.
    #[inline(always)]
    pub(crate) fn new(chain: Chain<'static>, image: Option<Image<'static>>, weights: Kept) -> Self {
        recurrent_model {
            magic: Self::MAGIC,
            chain,
            image,
            weights,
            #[cfg(not(target_os = "none"))]
            packed: None,
            #[cfg(not(target_os = "none"))]
            span: (0, 0),
        }
    }

    /// Sets the span. Call it after every change.
    #[cfg(not(target_os = "none"))]
    pub(crate) fn measure(&mut self) {
        self.span = border::span(&self.places());
    }

    /// The bytes of the image's weights.
    #[inline(always)]
    pub(crate) fn image_bytes(&self) -> &'static [u8] {
        self.image.map_or(&[], |image| image.narrow())
    }
}

/// The weights of an image in place; none if they are narrow, or without an image.
fn own_weights(image: Option<&Image<'static>>) -> Outcome<Kept> {
    Ok(Kept::new(match image {
        Some(image) if !image.is_narrow() => image.weights()?,
        _ => &[],
    }))
}

/// Writes to `size` the number of bytes of memory that recurrent_model_open() needs for this image of
/// `image_len` bytes. Only reads the image's header. `image` need not be aligned here.
///
/// Fails with RECURRENT_ERROR_NULL, RECURRENT_ERROR_ALIGNMENT (of `size`) and RECURRENT_ERROR_IMAGE.
#[no_mangle]
pub extern "C" fn recurrent_model_size(
    image: *const u8,
    image_len: usize,
    size: *mut usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let bytes = border::read("image", image, image_len)?;
        let out = border::result("size", size)?;
        out.put(border::memory_len(image::layers_len(bytes)?));
        Ok(())
    };
    answer(error, run())
}

/// Opens an image: checks all of it, makes a table of its layers in `memory`, and writes the model to
/// `model`, which then points into `memory`.
///
/// - `image` has `image_len` bytes and is aligned to RECURRENT_IMAGE_ALIGN bytes. It is not copied: image and
///   memory must not move or change until the last use of the model.
/// - `cells` has `cells_len` pointers: the cells that the image may have. An image with any other cell is
///   rejected, and the error names that cell.
/// - `memory` has `size` bytes, at least as many as recurrent_model_size() gives, and is aligned to
///   RECURRENT_MODEL_ALIGN bytes.
///
/// The checksum takes time for each byte of the image, so call this when the program starts. Afterwards any
/// number of threads may use the model.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH (of `memory`), _IMAGE, _CELL, and _LAYERS
/// for layers that do not fit together.
#[no_mangle]
pub extern "C" fn recurrent_model_open(
    image: *const u8,
    image_len: usize,
    cells: *const *const recurrent_cell,
    cells_len: usize,
    memory: *mut c_void,
    size: usize,
    model: *mut *mut recurrent_model,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let bytes = border::read::<u8>("image", image, image_len)?;
        if image_len > 0 && !(image as usize).is_multiple_of(4) {
            return Err(Refusal::Alignment("image", 4));
        }
        let forms = border::forms(cells, cells_len)?;
        let out = border::result("model", model)?;
        let memory = Memory::new(memory, size, image::layers_len(bytes)?)?;
        apart([memory.place()], [Place::of("image", bytes), Place::of("cells", forms)])?;
        let image = Image::from_bytes(bytes)?;
        let weights = own_weights(Some(&image))?;
        image.initial_state()?;
        let layers = memory.layers();
        image.link(forms, layers)?;
        let chain = Chain::new(layers)?;
        out.put(memory.put(recurrent_model::new(chain, Some(image), weights)));
        Ok(())
    };
    answer(error, run())
}

/// The number of elements for recurrent_model_pack(). 0 on targets without an operating system, where weights
/// are used in place, and if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_packed_len(model: *const recurrent_model) -> usize {
    if cfg!(target_os = "none") {
        return 0;
    }
    border::model(model).map_or(0, |model| model.chain.packed_len())
}

/// Arranges the weights for the CPU's vectors, in `packed`. Its `packed_len` elements must be
/// recurrent_model_packed_len(). From then on the passes use these weights, and run several times as fast.
/// All threads and all states share this copy. An image with narrow weights must be packed before it is run.
/// The results have the same bits as with the weights in the image.
///
/// `packed` must not move or change while the model is used. Nobody else may use the model during this call.
/// If 0 elements are needed, nothing happens.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _MODEL, _NARROW.
#[no_mangle]
pub extern "C" fn recurrent_model_pack(
    model: *mut recurrent_model,
    packed: *mut f32,
    packed_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    #[cfg(target_os = "none")]
    let run = || -> Outcome {
        let _ = (packed, packed_len);
        border::model(model).map(drop)
    };
    #[cfg(not(target_os = "none"))]
    let run = || -> Outcome {
        let given = Given::new("packed", packed, packed_len)?;
        let model = border::model_mut(model)?;
        apart(
            [given.place()],
            [Place::of("image", model.image_bytes()), Place::of("model", core::slice::from_ref(model))],
        )?;
        apart([given.place()], [Place::of("model", model.chain.layers()), model.weights.place()])?;
        // If packing returns an error after this line, the model has no packed weights.
        model.packed = None;
        model.measure();
        let (chain, to) = (model.chain, given.slice_mut());
        let packed = match (model.image, model.weights.slice()) {
            (Some(image), []) if image.is_narrow() => chain.pack_narrow(image.narrow(), to)?,
            (_, weights) => chain.pack(weights, to)?,
        };
        model.packed = Some(packed);
        model.measure();
        Ok(())
    };
    answer(error, run())
}

/// Copies the weights of the image, as f32, to `weights`: `weights_len` elements,
/// recurrent_model_weights_len(). Training begins with this copy. The layout is that of PyTorch, layer by
/// layer; narrow weights are converted. Of a model from recurrent_model_build() it copies the weights of
/// recurrent_model_set_weights().
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _VALUE (the model has no weights), _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_model_copy_weights(
    model: *const recurrent_model,
    weights: *mut f32,
    weights_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let given = Given::new("weights", weights, weights_len)?;
        apart([given.place()], model.places())?;
        let Some(image) = model.image else {
            apart([given.place()], [model.weights.place()])?;
            return copy_given(model.weights.slice(), given.slice_mut(), model.chain.weights_len());
        };
        Ok(image.copy_weights(given.slice_mut())?)
    };
    answer(error, run())
}

/// Copies weights of the caller.
fn copy_given(from: &[f32], to: &mut [f32], expected: usize) -> Outcome {
    if to.len() != expected {
        let (actual, need) = (to.len(), Need::EXACT);
        return Err(Error::Length { buffer: "weights", expected, actual, need }.into());
    }
    if from.len() != expected {
        let expected = "a model with weights: call recurrent_model_set_weights() first";
        return Err(Error::Value { argument: "model", expected }.into());
    }
    to.copy_from_slice(from);
    Ok(())
}

/// From now on the model runs with these weights of the caller: `weights_len` elements,
/// recurrent_model_weights_len(), in the layout of recurrent_model_copy_weights(). With `weights_len` 0, it
/// runs with those of its image again, or has none if it has no image. The weights are used in place, not
/// copied: they must not move until the last use of the model, or the next call of this function. They may
/// change between calls, but not during a call with this model. Nobody else may use the model during this
/// call.
///
/// Packed weights are copies, so this call drops them, and after recurrent_model_pack() the passes do not use
/// the given weights. To run with a change of the weights, pack again; without packing, the passes see it at
/// once. A model with narrow weights has to be packed, which rounds the given weights.
///
/// Real time: only writes a pointer.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP (with the model), _LENGTH, _OVERFLOW, _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_model_set_weights(
    model: *mut recurrent_model,
    weights: *const f32,
    weights_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let given = Given::reading("weights", weights, weights_len)?;
        let model = border::model_mut(model)?;
        apart(
            [Place::of("model", core::slice::from_ref(model)), Place::of("model", model.chain.layers())],
            [given.place()],
        )?;
        let expected = model.chain.weights_len();
        let weights = match weights_len {
            0 => own_weights(model.image.as_ref())?,
            len if len == expected => Kept::new(given.slice()),
            actual => {
                let need = Need::EXACT;
                return Err(Error::Length { buffer: "weights", expected, actual, need }.into());
            }
        };
        model.weights = weights;
        #[cfg(not(target_os = "none"))]
        {
            model.packed = None;
            model.measure();
        }
        Ok(())
    };
    answer(error, run())
}
