//! What comes from C: pointers and lengths become slices here, and nowhere else.
//!
//! Functions check what can be checked: that a pointer is not null, that it is aligned, that the bytes do not
//! reach around the end of the address space, that what is written overlaps nothing else. What cannot be
//! checked is the caller's promise, which the header states: that so much memory is there, can be read or
//! written, and is not changed by anybody else during the call. All blocks rest on it, under the name
//! *promise*. The functions are called by exported ones only, whose callers have given it.
//!
//! References made here live no longer than the call, but for those in a model: the promise of
//! `recurrent_model_open` and `recurrent_model_pack` is that image, memory and packed weights stay where and
//! as they are for as long as the model is used.

use core::ffi::{c_char, c_void};
use core::mem::{align_of, size_of, size_of_val};

use recurrent_core::image::Form;
use recurrent_core::model::Layer;

use crate::cells::recurrent_cell;
use crate::error::{recurrent_error, Outcome, Refusal};
use crate::model::recurrent_model;
use recurrent_core::Error;

/// Types for which every bit pattern is a valid value.
pub(crate) trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for u32 {}
impl Plain for f32 {}
impl Plain for usize {}

/// A buffer that has been checked by itself, and not yet against others.
#[derive(Clone, Copy)]
pub(crate) struct Given<T> {
    name: &'static str,
    start: *mut T,
    len: usize,
}

/// Where a buffer lies.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    name: &'static str,
    start: usize,
    end: usize,
}

impl Place {
    /// Where a slice lies that the library has already.
    pub(crate) fn of<T>(name: &'static str, slice: &[T]) -> Self {
        let start = slice.as_ptr() as usize;
        Place { name, start, end: start + size_of_val(slice) }
    }
}

#[inline(always)]
fn check<T>(name: &'static str, start: *const T, len: usize) -> Outcome {
    if len == 0 {
        return Ok(());
    }
    if start.is_null() {
        return Err(Refusal::Null(name));
    }
    if !(start as usize).is_multiple_of(align_of::<T>()) {
        return Err(Refusal::Alignment(name, align_of::<T>()));
    }
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize && (start as usize).checked_add(bytes).is_some() => {
            Ok(())
        }
        _ => Err(Refusal::Of(Error::Overflow { buffer: name })),
    }
}

impl<T: Plain> Given<T> {
    /// A buffer that is written.
    #[inline(always)]
    pub(crate) fn new(name: &'static str, start: *mut T, len: usize) -> Outcome<Self> {
        check(name, start, len)?;
        Ok(Given { name, start, len })
    }

    /// A buffer that is read.
    #[inline(always)]
    pub(crate) fn reading(name: &'static str, start: *const T, len: usize) -> Outcome<Self> {
        Given::new(name, start.cast_mut(), len)
    }

    #[inline(always)]
    pub(crate) fn place(&self) -> Place {
        let start = if self.len == 0 { 0 } else { self.start as usize };
        Place { name: self.name, start, end: start + size_of::<T>() * self.len }
    }

    /// The slice; call [`apart`] before.
    #[inline(always)]
    pub(crate) fn slice<'a>(self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the pointer is neither null nor unaligned, and the length fits, by `check`; the memory is
        // there by the promise.
        unsafe { core::slice::from_raw_parts(self.start, self.len) }
    }

    /// The slice for writing; call [`apart`] before.
    #[inline(always)]
    pub(crate) fn slice_mut<'a>(self) -> &'a mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: as in `slice`; nothing else that the call uses overlaps it, by `apart`, and nobody else
        // uses it, by the promise.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

/// Refuses buffers that are written and overlap each other, or another one.
#[inline(always)]
pub(crate) fn apart<const W: usize, const R: usize>(written: [Place; W], read: [Place; R]) -> Outcome {
    let overlaps = |a: &Place, b: &Place| a.start < b.end && b.start < a.end;
    for (i, a) in written.iter().enumerate() {
        for b in written.iter().skip(i + 1).chain(&read) {
            if overlaps(a, b) {
                return Err(Refusal::Overlap(a.name, b.name));
            }
        }
    }
    Ok(())
}

/// A buffer that is only read, beside none that is written.
pub(crate) fn read<'a, T: Plain>(name: &'static str, start: *const T, len: usize) -> Outcome<&'a [T]> {
    Ok(Given::reading(name, start, len)?.slice())
}

/// A buffer of characters that is written, beside none that is read.
pub(crate) fn bytes_mut<'a>(name: &'static str, start: *mut c_char, len: usize) -> Outcome<&'a mut [u8]> {
    Ok(Given::new(name, start.cast(), len)?.slice_mut())
}

/// Flags of one byte each, of which only 0 and 1 are values.
pub(crate) fn flags<'a>(name: &'static str, start: *const u8, len: usize) -> Outcome<&'a [bool]> {
    let flags = read(name, start, len)?;
    if flags.iter().any(|flag| *flag > 1) {
        return Err(Error::Value { argument: name, expected: "bytes that are 0 or 1" }.into());
    }
    // SAFETY: a `bool` is a byte that is 0 or 1, and these are.
    Ok(unsafe { core::slice::from_raw_parts(flags.as_ptr().cast(), flags.len()) })
}

/// A value behind a pointer; `None` if it is null or not aligned.
#[inline(always)]
pub(crate) fn get<T: Copy>(from: *const T) -> Option<T> {
    if from.is_null() || !(from as usize).is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: by the promise it points to a `T`; it is neither null nor unaligned.
    Some(unsafe { *from })
}

/// A struct of arguments.
#[inline(always)]
pub(crate) fn arguments<'a, T>(name: &'static str, from: *const T) -> Outcome<&'a T> {
    check(name, from, 1)?;
    // SAFETY: by the promise it points to a `T`, which consists of pointers and numbers; it is neither null
    // nor unaligned, by `check`.
    Ok(unsafe { &*from })
}

/// Refuses a place for a result that nothing can be written to.
#[inline(always)]
pub(crate) fn result<T>(name: &'static str, to: *mut T) -> Outcome<Out<T>> {
    check(name, to, 1)?;
    Ok(Out(to))
}

/// Where a result goes.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    pub(crate) fn put(self, value: T) {
        // SAFETY: neither null nor unaligned, by `result`; by the promise it points to memory for a `T`.
        // Nothing is dropped.
        unsafe { self.0.write(value) };
    }
}

/// Writes an error, if the caller wants it.
pub(crate) fn put_if_wanted(error: *mut recurrent_error, value: recurrent_error) {
    if let Ok(out) = result("error", error) {
        out.put(value);
    }
}

/// The texts of an error.
pub(crate) fn texts(error: &recurrent_error) -> (&str, &str) {
    let text = |start: *const c_char, len| {
        let bytes: &[u8] = read("error", start.cast(), len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    };
    (text(error.subject, error.subject_len), text(error.what, error.what_len))
}

/// The forms behind pointers to cells.
pub(crate) fn forms<'a>(cells: *const *const recurrent_cell, len: usize) -> Outcome<&'a [&'static Form]> {
    check("cells", cells, len)?;
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: neither null nor unaligned, by `check`; by the promise `len` pointers are there.
    let cells = unsafe { core::slice::from_raw_parts(cells, len) };
    for cell in cells {
        check::<Form>("cells", cell.cast(), 1)?;
    }
    // SAFETY: pointers that are neither null nor unaligned, and by the promise those to forms that the
    // functions of `cells` gave.
    Ok(unsafe { core::slice::from_raw_parts(cells.as_ptr().cast(), len) })
}

/// The memory of a model: the model, and its layers behind it.
pub(crate) struct Memory {
    model: *mut recurrent_model,
    layers: *mut Layer,
    len: usize,
    place: Place,
}

const ALIGN: usize = 8;
const _: () = assert!(align_of::<recurrent_model>() <= ALIGN && align_of::<Layer>() <= ALIGN);
const LAYERS_AT: usize = size_of::<recurrent_model>().next_multiple_of(ALIGN);
// The header's RECURRENT_MODEL_SIZE is enough.
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
            return Err(Error::Length { buffer: "memory", expected: needed, actual: size }.into());
        }
        let place = Place { name: "memory", start: start as usize, end: start as usize + needed };
        // SAFETY: within the memory, which is at least so long.
        let layers_at = unsafe { start.cast::<u8>().add(LAYERS_AT) };
        Ok(Memory { model: start.cast(), layers: layers_at.cast(), len: layers, place })
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// The layers, filled with placeholders. A model that was in this memory before is invalid from now on.
    pub(crate) fn layers(&self) -> &'static mut [Layer] {
        // SAFETY: the memory is aligned for both, long enough, and the caller's to give, by `new` and the
        // promise. Each element is written before it is read. The reference lives as long as the model is
        // used, by the promise.
        unsafe {
            recurrent_model::invalidate(&raw mut (*self.model));
            for i in 0..self.len {
                self.layers.add(i).write(Layer::Residual);
            }
            core::slice::from_raw_parts_mut(self.layers, self.len)
        }
    }

    /// Puts the model into its memory.
    pub(crate) fn put(self, model: recurrent_model) -> *mut recurrent_model {
        // SAFETY: as above.
        unsafe { self.model.write(model) };
        self.model
    }
}

impl recurrent_model {
    /// # Safety
    /// `model` points to memory for one, which need not be one.
    unsafe fn invalidate(model: *mut Self) {
        // SAFETY: a number in that memory.
        unsafe { (&raw mut (*model).magic).write(0) };
    }
}

/// A model that was opened.
#[inline(always)]
pub(crate) fn model<'a>(model: *const recurrent_model) -> Outcome<&'a recurrent_model> {
    check("model", model, 1)?;
    // SAFETY: neither null nor unaligned; by the promise the memory is there. Only the number is read before
    // it is known to be a model.
    if unsafe { (&raw const (*model).magic).read() } != recurrent_model::MAGIC {
        return Err(Refusal::Model);
    }
    // SAFETY: it was opened in this memory, which nobody has written to since, by the promise.
    Ok(unsafe { &*model })
}

/// The same for changing it.
#[cfg(not(target_os = "none"))]
pub(crate) fn model_mut<'a>(of: *mut recurrent_model) -> Outcome<&'a mut recurrent_model> {
    model(of)?;
    // SAFETY: it is one; nobody else uses it during the call, by the promise.
    Ok(unsafe { &mut *of })
}
