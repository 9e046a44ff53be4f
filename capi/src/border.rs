//! The border to C: pointers and lengths become slices here, and only here.
//!
//! The functions check what they can: that a pointer is not null, that it is aligned, that the bytes do not
//! wrap around the end of the address space, and that written buffers overlap no other buffer. They cannot
//! check that the memory exists, is readable or writable, and is not changed by anybody else during the call.
//! The caller promises that, as the header states; comments here call it the *promise*. Only exported
//! functions call the functions of this file.
//!
//! References made here live no longer than the call, except those in a model. For these, the callers of
//! `recurrent_model_open` and `recurrent_model_pack` promise that image, memory and packed weights neither
//! move nor change while the model is used. Weights of the caller may change between calls: see `Kept`.

use core::ffi::{c_char, c_void};
use core::mem::{align_of, size_of, size_of_val};

use recurrent_core::image::Form;
use recurrent_core::model::Layer;

use crate::cells::recurrent_cell;
use crate::error::{recurrent_error, Outcome, Refusal};
use crate::layers::recurrent_layer;
use crate::model::recurrent_model;
#[cfg(not(target_os = "none"))]
use crate::passes::recurrent_buffers;
use crate::update::recurrent_adam;
use recurrent_core::{Error, Need};

/// Types for which every bit pattern is a valid value.
pub(crate) trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for u64 {}
impl Plain for f32 {}
impl Plain for usize {}
impl Plain for recurrent_adam {}
impl Plain for recurrent_layer {}

/// A buffer that was checked alone, but not yet against other buffers.
#[derive(Clone, Copy)]
pub(crate) struct Given<T> {
    name: &'static str,
    start: *mut T,
    len: usize,
}

/// The range of addresses of a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    name: &'static str,
    start: usize,
    end: usize,
}

impl Place {
    /// The range of a slice that the library already holds.
    pub(crate) fn of<T>(name: &'static str, slice: &[T]) -> Self {
        let start = slice.as_ptr() as usize;
        Place { name, start, end: start + size_of_val(slice) }
    }
}

#[inline(always)]
fn check<T>(name: &'static str, start: *const T, len: usize) -> Outcome {
    check_bytes(name, start as usize, len, (size_of::<T>(), align_of::<T>()))
}

// One function for all types in firmware.
#[cfg_attr(not(target_os = "none"), inline(always))]
#[cfg_attr(target_os = "none", inline(never))]
fn check_bytes(name: &'static str, start: usize, len: usize, (size, align): (usize, usize)) -> Outcome {
    if len == 0 {
        return Ok(());
    }
    if start == 0 {
        return Err(Refusal::Null(name));
    }
    if start & (align - 1) != 0 {
        return Err(Refusal::Alignment(name, align));
    }
    match len.checked_mul(size) {
        Some(bytes) if bytes <= isize::MAX as usize && start.checked_add(bytes).is_some() => Ok(()),
        _ => Err(Refusal::Of(Error::Overflow { buffer: name })),
    }
}

impl<T: Plain> Given<T> {
    /// A buffer to write.
    #[inline(always)]
    pub(crate) fn new(name: &'static str, start: *mut T, len: usize) -> Outcome<Self> {
        check(name, start, len)?;
        Ok(Given { name, start, len })
    }

    /// A buffer to read.
    #[inline(always)]
    pub(crate) fn reading(name: &'static str, start: *const T, len: usize) -> Outcome<Self> {
        Given::new(name, start.cast_mut(), len)
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> Place {
        let start = if self.len == 0 { 0 } else { self.start as usize };
        Place { name: self.name, start, end: start + size_of::<T>() * self.len }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slice; call [`apart`] first.
    #[inline(always)]
    pub(crate) fn slice<'a>(self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: `check` made sure that the pointer is neither null nor unaligned, and that the length fits.
        // By the promise the memory exists.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }

    /// The only element of a buffer of length 1, for reading and writing; call [`apart`] first.
    #[inline(always)]
    pub(crate) fn only<'a>(self) -> Outcome<&'a mut T> {
        self.slice_mut().first_mut().ok_or(Refusal::Null(self.name))
    }

    /// The slice for writing; call [`apart`] first.
    #[inline(always)]
    pub(crate) fn slice_mut<'a>(self) -> &'a mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: as in `slice`. By `apart` nothing else in this call overlaps it, and by the promise nobody
        // else uses it.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

/// Rejects written buffers that overlap each other or a buffer that is read.
#[inline(always)]
pub(crate) fn apart<const W: usize, const R: usize>(written: [Place; W], read: [Place; R]) -> Outcome {
    are_apart(&written, &read)
}

// One function for all numbers of buffers in firmware.
#[cfg_attr(not(target_os = "none"), inline(always))]
#[cfg_attr(target_os = "none", inline(never))]
pub(crate) fn are_apart(written: &[Place], read: &[Place]) -> Outcome {
    let overlaps = |a: &Place, b: &Place| a.start < b.end && b.start < a.end;
    for (i, a) in written.iter().enumerate() {
        for b in written.iter().skip(i + 1).chain(read) {
            if overlaps(a, b) {
                return Err(Refusal::Overlap(a.name, b.name));
            }
        }
    }
    Ok(())
}

/// Memory as a first byte and a number of bytes, which is not 0.
#[cfg(not(target_os = "none"))]
type Bytes = (usize, usize);

/// The buffers of a step. The input is no enum: what the compiler does with its tag takes longer than the
/// checks.
#[cfg(not(target_os = "none"))]
pub(crate) struct Sure<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) ids: &'a [u32],
    pub(crate) takes_ids: bool,
    pub(crate) y: &'a mut [f32],
    pub(crate) state: &'a mut [f32],
    pub(crate) scratch: &'a mut [f32],
}

/// The buffers of a step, if they are surely in order: none is empty, null, unaligned or too long, and the
/// written ones are apart from each other and from all that is read, `kept` included. It takes a few
/// nanoseconds, where the exact checks take a third of the step of a small layer. `None` does not mean that
/// something is wrong.
#[cfg(not(target_os = "none"))]
#[inline(always)]
pub(crate) fn sure<'a>(of: &recurrent_buffers, kept: Bytes) -> Option<Sure<'a>> {
    let whole = |start: *const f32, len: usize| (start as usize, size_of::<f32>().wrapping_mul(len));
    let x = whole(of.x, of.x_len);
    let [y, state, scratch] = [(of.y, of.y_len), (of.state, of.state_len), (of.scratch, of.scratch_len)]
        .map(|(start, len)| whole(start, len));
    let (starts, lens) =
        (x.0 | y.0 | state.0 | scratch.0, of.x_len | of.y_len | of.state_len | of.scratch_len);
    // Aligned, and far from the end of the address space, so that no sum wraps around.
    let fit = (starts & (align_of::<f32>() - 1) == 0)
        & (starts >> (usize::BITS - 4) == 0)
        & (lens >> (usize::BITS - 8) == 0)
        & (kept.1 >> (usize::BITS - 4) == 0);
    let some = |of: Bytes| (of.0 != 0) & (of.1 != 0);
    // The end of `b` is behind the start of `a`, by less than both lengths.
    let meet = |a: Bytes, b: Bytes| {
        let behind = b.0.wrapping_add(b.1).wrapping_sub(a.0);
        behind.wrapping_sub(1) < a.1.wrapping_add(b.1).wrapping_sub(1)
    };
    let good = fit & some(x) & some(y) & some(state) & some(scratch) & (of.ids_len == 0);
    let met = meet(y, state) | meet(y, scratch) | meet(state, scratch);
    let read = meet(y, x) | meet(state, x) | meet(scratch, x);
    let of_model = meet(y, kept) | meet(state, kept) | meet(scratch, kept);
    if !good | met | read | of_model {
        return None;
    }
    // SAFETY: the pointers are neither null nor unaligned, and the lengths fit. The written buffers overlap
    // nothing that this call uses. By the promise the memory exists, and nobody else uses it.
    unsafe {
        Some(Sure {
            x: core::slice::from_raw_parts(of.x, of.x_len),
            ids: &[],
            takes_ids: false,
            y: core::slice::from_raw_parts_mut(of.y, of.y_len),
            state: core::slice::from_raw_parts_mut(of.state, of.state_len),
            scratch: core::slice::from_raw_parts_mut(of.scratch, of.scratch_len),
        })
    }
}

/// The memory from the first to the last byte of these places.
#[cfg(not(target_os = "none"))]
pub(crate) fn span(places: &[Place]) -> Bytes {
    let places = || places.iter().filter(|place| place.end > place.start);
    let start = places().map(|place| place.start).min().unwrap_or(0);
    let end = places().map(|place| place.end).max().unwrap_or(0);
    (start, end - start)
}

/// Weights that a model refers to between calls: those of its image, or those of the caller, who may change
/// them between calls. So it is no reference.
#[derive(Clone, Copy)]
pub(crate) struct Kept {
    start: *const f32,
    len: usize,
}

impl Kept {
    /// Weights that were checked.
    pub(crate) fn new(weights: &[f32]) -> Self {
        Kept { start: weights.as_ptr(), len: weights.len() }
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> Place {
        let start = self.start as usize;
        Place { name: "weights", start, end: start + size_of::<f32>() * self.len }
    }

    /// The weights, for this call.
    #[inline(always)]
    pub(crate) fn slice<'a>(&self) -> &'a [f32] {
        // SAFETY: pointer and length are those of a slice. By the promise its memory exists as long as the
        // model refers to it, and nobody changes it during the call.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }
}

/// A buffer to read, in a call that writes no buffer.
pub(crate) fn read<'a, T: Plain>(name: &'static str, start: *const T, len: usize) -> Outcome<&'a [T]> {
    Ok(Given::reading(name, start, len)?.slice())
}

/// A buffer of characters to write, in a call that reads no buffer.
pub(crate) fn bytes_mut<'a>(name: &'static str, start: *mut c_char, len: usize) -> Outcome<&'a mut [u8]> {
    Ok(Given::new(name, start.cast(), len)?.slice_mut())
}

/// Flags of one byte each; only 0 and 1 are valid.
pub(crate) fn flags<'a>(name: &'static str, start: *const u8, len: usize) -> Outcome<&'a [bool]> {
    let flags = read(name, start, len)?;
    if flags.iter().any(|flag| *flag > 1) {
        return Err(Error::Value { argument: name, expected: "bytes that are 0 or 1" }.into());
    }
    // SAFETY: a `bool` is a byte that is 0 or 1, and all of these are.
    Ok(unsafe { core::slice::from_raw_parts(flags.as_ptr().cast(), flags.len()) })
}

/// A value behind a pointer; `None` if it is null or not aligned.
#[inline(always)]
pub(crate) fn get<T: Copy>(from: *const T) -> Option<T> {
    if from.is_null() || !(from as usize).is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: the pointer is neither null nor unaligned, and by the promise it points to a `T`.
    Some(unsafe { *from })
}

/// The struct of arguments at a pointer.
#[inline(always)]
pub(crate) fn arguments<'a, T>(name: &'static str, from: *const T) -> Outcome<&'a T> {
    check(name, from, 1)?;
    // SAFETY: by `check` the pointer is neither null nor unaligned. By the promise it points to a `T`, which
    // consists of pointers and numbers.
    Ok(unsafe { &*from })
}

/// Checks the pointer that a result will be written to.
#[inline(always)]
pub(crate) fn result<T>(name: &'static str, to: *mut T) -> Outcome<Out<T>> {
    check(name, to, 1)?;
    Ok(Out(to))
}

/// The place of a result.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn put(self, value: T) {
        // SAFETY: by `result` the pointer is neither null nor unaligned, and by the promise it points to
        // memory for a `T`. Nothing is dropped.
        unsafe { self.0.write(value) };
    }
}

/// Writes an error, unless the pointer is null.
pub(crate) fn put_if_wanted(error: *mut recurrent_error, value: recurrent_error) {
    if let Ok(out) = result("error", error) {
        out.put(value);
    }
}

/// The two texts of an error.
pub(crate) fn texts(error: &recurrent_error) -> (&str, &str) {
    let text = |start: *const c_char, len| {
        let bytes: &[u8] = read("error", start.cast(), len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    };
    (text(error.subject, error.subject_len), text(error.what, error.what_len))
}

/// The forms that pointers to cells refer to.
pub(crate) fn forms<'a>(cells: *const *const recurrent_cell, len: usize) -> Outcome<&'a [&'static Form]> {
    check("cells", cells, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: by `check` the pointer is neither null nor unaligned, and by the promise it points to `len`
    // pointers.
    let cells = unsafe { core::slice::from_raw_parts(cells, len) };
    for cell in cells {
        check::<Form>("cells", cell.cast(), 1)?;
    }
    // SAFETY: these pointers are neither null nor unaligned. By the promise, functions in `cells` returned
    // them, so they point to forms.
    Ok(unsafe { core::slice::from_raw_parts(cells.as_ptr().cast(), len) })
}

/// The memory of a model: first the model, then its layers.
pub(crate) struct Memory {
    model: *mut recurrent_model,
    layers: *mut Layer,
    len: usize,
    place: Place,
}

const ALIGN: usize = 8;
const _: () = assert!(align_of::<recurrent_model>() <= ALIGN && align_of::<Layer>() <= ALIGN);
const LAYERS_AT: usize = size_of::<recurrent_model>().next_multiple_of(ALIGN);
// RECURRENT_MODEL_SIZE in the header is large enough.
const _: () = assert!(LAYERS_AT <= size_of::<usize>() * 64 && size_of::<Layer>() <= size_of::<usize>() * 56);

/// Bytes that a model of `layers` layers needs.
pub(crate) fn memory_len(layers: usize) -> usize {
    layers.saturating_mul(size_of::<Layer>()).saturating_add(LAYERS_AT)
}

impl Memory {
    /// Checks the caller's memory for a model of `layers` layers.
    pub(crate) fn new(start: *mut c_void, size: usize, layers: usize) -> Outcome<Self> {
        check("memory", start.cast::<u8>(), size.max(1))?;
        if !(start as usize).is_multiple_of(ALIGN) {
            return Err(Refusal::Alignment("memory", ALIGN));
        }
        let needed = memory_len(layers);
        if size < needed {
            return Err(Error::Length {
                buffer: "memory",
                expected: needed,
                actual: size,
                need: Need::AT_LEAST,
            }
            .into());
        }
        let place = Place { name: "memory", start: start as usize, end: start as usize + needed };
        // SAFETY: within the memory, which has at least this length.
        let layers_at = unsafe { start.cast::<u8>().add(LAYERS_AT) };
        Ok(Memory { model: start.cast(), layers: layers_at.cast(), len: layers, place })
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The layers, filled with placeholders. This invalidates any model that was in this memory before.
    pub(crate) fn layers(&self) -> &'static mut [Layer] {
        // SAFETY: by `new` and the promise, the memory is aligned for both, long enough, and may be used.
        // Each element is written before it is read. By the promise, the reference is valid as long as the
        // model is used.
        unsafe {
            recurrent_model::invalidate(&raw mut (*self.model));
            for i in 0..self.len {
                self.layers.add(i).write(Layer::Residual);
            }
            core::slice::from_raw_parts_mut(self.layers, self.len)
        }
    }

    /// Writes the model into its memory.
    pub(crate) fn put(self, model: recurrent_model) -> *mut recurrent_model {
        // SAFETY: as above.
        unsafe { self.model.write(model) };
        #[cfg(not(target_os = "none"))]
        // SAFETY: the model was written just now, and nobody else has its address.
        unsafe {
            (*self.model).measure();
        }
        self.model
    }
}

impl recurrent_model {
    /// # Safety
    /// `model` points to memory for a model. It need not contain one.
    unsafe fn invalidate(model: *mut Self) {
        // SAFETY: writes a number into that memory.
        unsafe { (&raw mut (*model).magic).write(0) };
    }
}

/// A model, after checking that it was opened.
#[inline(always)]
pub(crate) fn model<'a>(model: *const recurrent_model) -> Outcome<&'a recurrent_model> {
    check("model", model, 1)?;
    // SAFETY: the pointer is neither null nor unaligned, and by the promise the memory exists. Until this
    // check succeeds, only this number is read.
    if unsafe { (&raw const (*model).magic).read() } != recurrent_model::MAGIC {
        return Err(Refusal::Model);
    }
    // SAFETY: the model was opened in this memory, and by the promise nobody has written to it since.
    Ok(unsafe { &*model })
}

/// The same for a model that the call changes.
pub(crate) fn model_mut<'a>(of: *mut recurrent_model) -> Outcome<&'a mut recurrent_model> {
    model(of)?;
    // SAFETY: it is a model, and by the promise nobody else uses it during the call.
    Ok(unsafe { &mut *of })
}
