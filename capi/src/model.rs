//! Models from images: opening, packing, passes.

use core::ffi::{c_char, c_void};

use recurrent_core::image::{self, Image};
#[cfg(not(target_os = "none"))]
use recurrent_core::model::Packed;
use recurrent_core::model::{Chain, Ending, Forward, Input, InputMask};
use recurrent_core::{Error, Masked, Sequences};

use crate::border::{self, apart, Given, Memory, Place};
use crate::cells::recurrent_cell;
use crate::error::{answer, recurrent_error, recurrent_status, Outcome, Refusal};

/// A model that was opened: its layers, and where its weights are. It stands in the caller's memory and
/// refers to its image, so that neither moves or changes as long as it is used. Nothing has to be closed.
pub struct recurrent_model {
    pub(crate) magic: u32,
    chain: Chain<'static>,
    image: Image<'static>,
    /// Canonical weights, in the image; empty if they are narrow.
    weights: &'static [f32],
    /// On targets that have no use for packed weights, their code is not linked.
    #[cfg(not(target_os = "none"))]
    packed: Option<Packed<&'static mut [f32]>>,
}

impl recurrent_model {
    pub(crate) const MAGIC: u32 = 0x7265_6375;
}

/// What a pass is given, and what it writes: the input, as values or as ids, and the caller's buffers. What
/// is not used is null, with length 0.
///
/// Shapes are row-major: `T` steps, `B` rows of the batch, `I` and `O` features of the input and the output.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_buffers {
    /// The input of a model that takes values, `[T, B, I]`.
    pub x: *const f32,
    pub x_len: usize,
    /// The input of a model that takes ids, `[T, B]`, each below recurrent_model_classes().
    pub ids: *const u32,
    pub ids_len: usize,
    /// Takes the output, `[T, B, O]`, or `[B, O]` of a pooled model: recurrent_model_output_len() elements.
    pub y: *mut f32,
    pub y_len: usize,
    /// The state: that before the pass, and then that after it. recurrent_model_state_len() elements.
    pub state: *mut f32,
    pub state_len: usize,
    /// Garbage before and after: at least recurrent_model_scratch_len() elements.
    pub scratch: *mut f32,
    pub scratch_len: usize,
}

/// A batch of sequences: its size, and which steps take part. Zeros are the usual case for all but the first
/// two.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_sequences {
    /// Steps, `T`.
    pub steps: usize,
    /// Rows, `B`.
    pub batch: usize,
    /// The steps of each row, `[B]`, or null if all rows have all steps. A row does nothing after its end,
    /// and its output is 0 there.
    pub lengths: *const usize,
    pub lengths_len: usize,
    /// Which steps take part, 0 or 1 for each row of `x`, or null if all do. Others leave the state as it is,
    /// and the output as it was.
    pub mask: *const u8,
    pub mask_len: usize,
    /// Before which steps the state is set to zero, 0 or 1 for each row of `x`, or null.
    pub resets: *const u8,
    pub resets_len: usize,
    /// Not 0 for `x` and `y` as `[B, T, I]` and `[B, T, O]`.
    pub batch_major: u8,
}

/// Writes to `size` how many bytes of memory recurrent_model_open() needs for this image, of `image_len`
/// bytes. Only the image's header is looked at. `image` need not be aligned for this.
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

/// Opens an image: checks all of it once, makes its table of layers in `memory`, and writes the model to
/// `model`, which points into `memory`.
///
/// - `image`, `image_len` bytes, is aligned to RECURRENT_IMAGE_ALIGN bytes. It is not copied: image and
///   memory stay where they are and as they are until the model is used for the last time.
/// - `cells`, `cells_len` pointers, are the cells that the image may have: an image with another is refused
///   by its name.
/// - `memory`, `size` bytes, is aligned to RECURRENT_MODEL_ALIGN bytes and has at least the bytes that
///   recurrent_model_size() says.
///
/// It takes time for each byte of the image, for the checksum: it is for the start of a program. Afterwards
/// any number of threads may use the model.
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
        let weights = if image.is_narrow() { &[] } else { image.weights()? };
        image.extras()?;
        let layers = memory.layers();
        image.link(forms, layers).map_err(|e| match e {
            Error::Layers { layer, what } => Refusal::Cell(layer, what),
            e => Refusal::Of(e),
        })?;
        let chain = Chain::new(layers)?;
        out.put(memory.put(recurrent_model {
            magic: recurrent_model::MAGIC,
            chain,
            image,
            weights,
            #[cfg(not(target_os = "none"))]
            packed: None,
        }));
        Ok(())
    };
    answer(error, run())
}

/// The elements of recurrent_model_pack(): 0 on targets without an operating system, where weights are used
/// in place. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_packed_len(model: *const recurrent_model) -> usize {
    if cfg!(target_os = "none") {
        return 0;
    }
    border::model(model).map_or(0, |model| model.chain.packed_len())
}

/// Arranges the weights for the CPU's vectors, in `packed`, `packed_len` elements of which
/// recurrent_model_packed_len() are needed. Passes of the model run from them from then on, which is several
/// times as fast; all threads and all states share this one copy. An image with narrow weights has to be
/// packed before it is run. The results have the same bits as those from the image in place.
///
/// `packed` stays where it is and as it is as long as the model is used. Nobody else uses the model during
/// this call. Where 0 elements are needed, nothing happens.
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
            [Place::of("image", model.image.narrow()), Place::of("model", core::slice::from_ref(model))],
        )?;
        apart([given.place()], [Place::of("model", model.chain.layers())])?;
        // Packing has checked its arguments when it writes.
        model.packed = None;
        let (chain, to) = (model.chain, given.slice_mut());
        let packed = match model.image.is_narrow() {
            true => chain.pack_narrow(model.image.narrow(), to)?,
            false => chain.pack(model.weights, to)?,
        };
        model.packed = Some(packed);
        Ok(())
    };
    answer(error, run())
}

macro_rules! number {
    ($model:ident, $name:expr) => {
        border::model($model).map_or(0, $name)
    };
}

/// Features of the input, `I`; 1 of a model that takes ids. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_input(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.input())
}

/// Features of the output, `O`. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_output(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.output())
}

/// The ids that a model takes are below this; 0 for a model that takes values, and if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_classes(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.classes().unwrap_or(0))
}

/// 1 for a model that has one output for each sequence, 0 for one that has an output for each step, and if
/// `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_is_pooled(model: *const recurrent_model) -> i32 {
    number!(model, |m| i32::from(m.chain.is_pooled()))
}

/// Elements of the weights. 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_weights_len(model: *const recurrent_model) -> usize {
    number!(model, |m| m.chain.weights_len())
}

/// Elements of the state of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_state_len(model: *const recurrent_model, batch: usize) -> usize {
    number!(model, |m| m.chain.state_len(batch))
}

/// Elements of the output of `steps` steps of `batch` rows. SIZE_MAX if they do not fit into memory, 0 if
/// `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_output_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.output_len(steps, batch))
}

/// Elements of the scratch of recurrent_forward() over `steps` steps of `batch` rows, and with `steps` 1 of
/// recurrent_step(). SIZE_MAX if they do not fit into memory, 0 if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_scratch_len(
    model: *const recurrent_model,
    steps: usize,
    batch: usize,
) -> usize {
    number!(model, |m| m.chain.scratch_len(steps, batch))
}

/// What follows the last layer, which the passes do not compute: 0 for nothing, 1 for recurrent_softmax(), 2
/// for recurrent_log_softmax().
#[no_mangle]
pub extern "C" fn recurrent_model_ending(model: *const recurrent_model) -> i32 {
    number!(model, |m| match m.image.ending() {
        Ending::Softmax => 1,
        Ending::LogSoftmax => 2,
        _ => 0,
    })
}

/// The name of a class, in UTF-8 without a 0 at its end: a part of the image. Writes its bytes to `name_len`,
/// unless that is null. Null if the image has no name for it.
#[no_mangle]
pub extern "C" fn recurrent_model_class_name(
    model: *const recurrent_model,
    class: usize,
    name_len: *mut usize,
) -> *const c_char {
    let name = border::model(model).ok().and_then(|m| m.image.classes().split('\n').nth(class));
    let name = name.filter(|name| !name.is_empty());
    if let Ok(out) = border::result("name_len", name_len) {
        out.put(name.map_or(0, str::len));
    }
    name.map_or(core::ptr::null(), |name| name.as_ptr().cast())
}

/// Puts the states of `batch` rows to where sequences begin: the initial state of the image, or zeros.
/// `state` has recurrent_model_state_len() elements.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _OVERFLOW, _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_reset(
    model: *const recurrent_model,
    batch: usize,
    state: *mut f32,
    state_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let given = Given::new("state", state, state_len)?;
        apart([given.place()], model.places())?;
        let (chain, state) = (model.chain, given.slice_mut());
        let initial = model.image.extras()?.initial_state;
        if initial.is_empty() {
            let expected = chain.state_len(batch);
            if state.len() != expected {
                return Err(match expected {
                    usize::MAX => Error::Overflow { buffer: "state" },
                    _ => Error::Length { buffer: "state", expected, actual: state.len() },
                }
                .into());
            }
            state.fill(0.0);
            return Ok(());
        }
        Ok(chain.repeat_state(initial, batch, state)?)
    };
    answer(error, run())
}

/// 1 if the image says that steps with a certain input are padding, which recurrent_model_mask() finds; 0 if
/// not, and if `model` is null.
#[no_mangle]
pub extern "C" fn recurrent_model_has_mask(model: *const recurrent_model) -> i32 {
    number!(model, |m| i32::from(m.image.mask().is_some()))
}

/// Writes which steps of an input take part, 1, and which are padding, 0, to `mask`: an element for each row
/// of `x`, or each id. The mask is for recurrent_sequences; a step that is padding is one not to call
/// recurrent_step() for. All are 1 for an image that masks nothing.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _VALUE (values for ids, or the reverse),
/// _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_model_mask(
    model: *const recurrent_model,
    x: *const f32,
    x_len: usize,
    ids: *const u32,
    ids_len: usize,
    mask: *mut u8,
    mask_len: usize,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let (x, ids) = (Given::reading("x", x, x_len)?, Given::reading("ids", ids, ids_len)?);
        let to = Given::new("mask", mask, mask_len)?;
        apart([to.place()], [x.place(), ids.place()])?;
        apart([to.place()], model.places())?;
        let rows = model.rows(x.slice(), ids.slice())?;
        if mask_len != rows {
            return Err(Error::Length { buffer: "mask", expected: rows, actual: mask_len }.into());
        }
        let (x, ids) = (x.slice(), ids.slice());
        for (row, to) in to.slice_mut().iter_mut().enumerate() {
            let width = x.len() / rows;
            *to = u8::from(match model.image.mask() {
                Some(InputMask::Value(value)) => x[row * width..][..width].iter().any(|x| *x != value),
                Some(InputMask::Id(id)) => ids[row] != id,
                _ => true,
            });
        }
        Ok(())
    };
    answer(error, run())
}

/// Places of what a model reads.
impl recurrent_model {
    #[inline(always)]
    fn places(&self) -> [Place; 3] {
        #[cfg(target_os = "none")]
        let packed = Place::of("packed", &[0.0f32; 0]);
        #[cfg(not(target_os = "none"))]
        let packed =
            Place::of("packed", self.packed.as_ref().map_or(&[][..], |packed| packed.as_ref().into_inner()));
        [Place::of("model", core::slice::from_ref(self)), Place::of("image", self.image.narrow()), packed]
    }

    /// How many rows an input has.
    fn rows(&self, x: &[f32], ids: &[u32]) -> Outcome<usize> {
        if self.chain.classes().is_some() && !x.is_empty() {
            return Err(Error::Value { argument: "x", expected: "empty, for a model that takes ids" }.into());
        }
        if self.chain.classes().is_none() && !ids.is_empty() {
            return Err(
                Error::Value { argument: "ids", expected: "empty, for a model that takes values" }.into()
            );
        }
        let width = self.chain.input().max(1);
        if !x.len().is_multiple_of(width) {
            let expected = x.len() / width * width;
            return Err(Error::Length { buffer: "x", expected, actual: x.len() }.into());
        }
        Ok(ids.len() + x.len() / width)
    }
}

/// What a pass runs on.
struct Buffers<'a> {
    x: Input<'a>,
    y: &'a mut [f32],
    state: &'a mut [f32],
    scratch: &'a mut [f32],
}

/// Checks the buffers of a pass, against each other and what the model reads.
#[inline(always)]
fn buffers<'a, const R: usize>(
    model: &recurrent_model,
    of: &recurrent_buffers,
    others: [Place; R],
) -> Outcome<Buffers<'a>> {
    let x = Given::reading("x", of.x, of.x_len)?;
    let ids = Given::reading("ids", of.ids, of.ids_len)?;
    let y = Given::new("y", of.y, of.y_len)?;
    let state = Given::new("state", of.state, of.state_len)?;
    let scratch = Given::new("scratch", of.scratch, of.scratch_len)?;
    let written = [y.place(), state.place(), scratch.place()];
    let [a, b, c] = model.places();
    apart(written, [x.place(), ids.place(), a, b, c])?;
    if R > 0 {
        apart(written, others)?;
    }
    let x = match model.chain.classes() {
        Some(_) if of.x_len == 0 => Input::Ids(ids.slice()),
        None if of.ids_len > 0 => {
            return Err(
                Error::Value { argument: "ids", expected: "empty, for a model that takes values" }.into()
            )
        }
        _ => Input::Values(x.slice()),
    };
    Ok(Buffers { x, y: y.slice_mut(), state: state.slice_mut(), scratch: scratch.slice_mut() })
}

/// Runs a pass from the weights that there are.
macro_rules! run {
    ($model:ident, $pass:ident($($arg:expr),+)) => {{
        #[cfg(not(target_os = "none"))]
        if let Some(packed) = &$model.packed {
            return Ok($model.chain.$pass(packed $(, $arg)+)?);
        }
        Ok($model.chain.$pass($model.weights $(, $arg)+)?)
    }};
}

/// One step of each row: as many rows as the input has. This is the way of a stream, sample by sample. `y` is
/// `[B, O]`; the scratch is that of 1 step.
///
/// A model that ends in a pool of the last step gives at each step what it would say if the sequence ended
/// there.
///
/// Real time: bounded by the sizes of the model; no allocation, lock, or system call. Any number of threads
/// may call it at a time with the same model and different buffers.
///
/// Fails with RECURRENT_ERROR_NULL, _ALIGNMENT, _OVERLAP, _LENGTH, _INDEX (an id), _VALUE (values for ids or
/// the reverse, narrow weights that are not packed), _LAYERS (the model needs whole sequences), _MODEL.
#[no_mangle]
pub extern "C" fn recurrent_step(
    model: *const recurrent_model,
    buffers: *const recurrent_buffers,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let Buffers { x, y, state, scratch } =
            self::buffers(model, border::arguments("buffers", buffers)?, [])?;
        run!(model, step(x, y, state, scratch))
    };
    answer(error, run())
}

/// A batch of sequences from given states: the outputs, and the last states. Cut into any chunks, the
/// sequences give the same bits, if no layer runs in reverse and there is no pool.
///
/// Real time: as recurrent_step(), for all of its steps.
///
/// Fails as recurrent_step(), but for models that need whole sequences; with RECURRENT_ERROR_LAYERS for a
/// cell that was named for steps alone, and RECURRENT_ERROR_INDEX for a length above the steps.
#[no_mangle]
pub extern "C" fn recurrent_forward(
    model: *const recurrent_model,
    sequences: *const recurrent_sequences,
    buffers: *const recurrent_buffers,
    error: *mut recurrent_error,
) -> recurrent_status {
    let run = || -> Outcome {
        let model = border::model(model)?;
        let of = border::arguments("sequences", sequences)?;
        let lengths = Given::reading("lengths", of.lengths, of.lengths_len)?;
        let mask = border::flags("mask", of.mask, of.mask_len)?;
        let resets = border::flags("resets", of.resets, of.resets_len)?;
        let others = [lengths.place(), Place::of("mask", mask), Place::of("resets", resets)];
        let buffers = border::arguments("buffers", buffers)?;
        let Buffers { x, y, state, scratch } = self::buffers(model, buffers, others)?;
        let mut sequences = Sequences::new(of.steps, of.batch);
        if of.batch_major != 0 {
            sequences = sequences.batch_major();
        }
        if !of.lengths.is_null() {
            sequences = sequences.lengths(lengths.slice());
        }
        if !of.mask.is_null() {
            sequences = sequences.mask(mask, Masked::Carry);
        }
        if !of.resets.is_null() {
            sequences = sequences.resets(resets);
        }
        run!(model, forward(Forward { sequences, x, y, state, scratch }))
    };
    answer(error, run())
}
