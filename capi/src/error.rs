//! Errors as codes with texts.

use core::ffi::c_char;

use recurrent_core::Error;

use crate::border;

/// The result of a function: success, or the kind of error.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum recurrent_status {
    /// Success.
    RECURRENT_OK = 0,
    /// A pointer is null.
    RECURRENT_ERROR_NULL = 1,
    /// A pointer is not aligned.
    RECURRENT_ERROR_ALIGNMENT = 2,
    /// A buffer that is written overlaps another one.
    RECURRENT_ERROR_OVERLAP = 3,
    /// A buffer has the wrong length.
    RECURRENT_ERROR_LENGTH = 4,
    /// A length does not fit into memory.
    RECURRENT_ERROR_OVERFLOW = 5,
    /// An id is too large.
    RECURRENT_ERROR_INDEX = 6,
    /// A number is out of its range, or an argument is of the wrong kind.
    RECURRENT_ERROR_VALUE = 7,
    /// The layers do not fit together, are not described well, or do not support this pass.
    RECURRENT_ERROR_LAYERS = 8,
    /// The bytes are not an image, or the image is damaged.
    RECURRENT_ERROR_IMAGE = 9,
    /// The model has a cell that the program did not name.
    RECURRENT_ERROR_CELL = 10,
    /// The pointer does not point to a model that was opened.
    RECURRENT_ERROR_MODEL = 11,
    /// The weights were packed for something else.
    RECURRENT_ERROR_PACKING = 12,
    /// A narrow format cannot hold a weight.
    RECURRENT_ERROR_NARROW = 13,
    /// A bug in the library.
    RECURRENT_ERROR_INTERNAL = 14,
}
use recurrent_status::*;

/// Details of an error, for recurrent_error_text(). The caller owns it. Its texts are constants of the
/// library, and do not end with a 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct recurrent_error {
    /// The code.
    pub status: i32,
    /// The wrong argument, or the wrong part.
    pub subject: *const c_char,
    /// Bytes of `subject`.
    pub subject_len: usize,
    /// What is wrong with it, or what was expected.
    pub what: *const c_char,
    /// Bytes of `what`.
    pub what_len: usize,
    /// The numbers in the text. For RECURRENT_ERROR_LENGTH: the expected length, then the actual one.
    pub numbers: [usize; 3],
}

/// The reason why the border or the crate rejects a call.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    Null(&'static str),
    Alignment(&'static str, usize),
    Overlap(&'static str, &'static str),
    Model,
    /// The position of a layer, and what is wrong with its description.
    Description(usize, &'static str),
    Of(Error),
}

impl From<Error> for Refusal {
    #[cold]
    fn from(error: Error) -> Self {
        Refusal::Of(error)
    }
}

pub(crate) type Outcome<T = ()> = Result<T, Refusal>;

/// What an error says of a buffer that may be longer.
const OR_MORE: &str = "or more";

/// The subject of an error in the description of a layer.
const DESCRIPTION: &str = "description";

/// The parts of a `recurrent_error`.
type Parts = (recurrent_status, &'static str, &'static str, [usize; 3]);

#[cold]
fn parts(refusal: Refusal) -> Parts {
    match refusal {
        Refusal::Null(of) => (RECURRENT_ERROR_NULL, of, "", [0; 3]),
        Refusal::Alignment(of, to) => (RECURRENT_ERROR_ALIGNMENT, of, "", [to, 0, 0]),
        Refusal::Overlap(of, other) => (RECURRENT_ERROR_OVERLAP, of, other, [0; 3]),
        Refusal::Model => (RECURRENT_ERROR_MODEL, "model", "", [0; 3]),
        Refusal::Description(layer, what) => (RECURRENT_ERROR_LAYERS, DESCRIPTION, what, [layer, 0, 0]),
        Refusal::Of(error) => match error {
            Error::Length { buffer, expected, actual, need } => {
                let what = need.shape().unwrap_or(if need.is_minimum() { OR_MORE } else { "" });
                (RECURRENT_ERROR_LENGTH, buffer, what, [expected, actual, 0])
            }
            Error::Overflow { buffer } => (RECURRENT_ERROR_OVERFLOW, buffer, "", [0; 3]),
            Error::Index { buffer, position, id, limit } => {
                (RECURRENT_ERROR_INDEX, buffer, "", [position, id, limit])
            }
            Error::Value { argument, expected } => (RECURRENT_ERROR_VALUE, argument, expected, [0; 3]),
            Error::Narrow { part, index, format } => (RECURRENT_ERROR_NARROW, part, format, [index, 0, 0]),
            Error::Layers { layer, what } => (RECURRENT_ERROR_LAYERS, "", what, [layer, 0, 0]),
            Error::Features { layer, takes, given } => {
                (RECURRENT_ERROR_LAYERS, "features", "", [layer, takes, given])
            }
            Error::Form { layer, form } => (RECURRENT_ERROR_CELL, "", form, [layer, 0, 0]),
            Error::Image { offset, what } => (RECURRENT_ERROR_IMAGE, "", what, [offset, 0, 0]),
            Error::Packing { what } => (RECURRENT_ERROR_PACKING, "", what, [0; 3]),
            Error::Internal { what } => (RECURRENT_ERROR_INTERNAL, "", what, [0; 3]),
            _ => (RECURRENT_ERROR_INTERNAL, "", "an error that the interface does not know", [0; 3]),
        },
    }
}

/// Returns the code of an outcome, and writes the details to `error` if it is not null.
#[inline(always)]
pub(crate) fn answer(error: *mut recurrent_error, outcome: Outcome) -> recurrent_status {
    match outcome {
        Ok(()) => RECURRENT_OK,
        Err(refusal) => refuse(error, refusal),
    }
}

#[cold]
#[inline(never)]
fn refuse(error: *mut recurrent_error, refusal: Refusal) -> recurrent_status {
    let (status, subject, what, numbers) = parts(refusal);
    let whole = recurrent_error {
        status: status as i32,
        subject: subject.as_ptr().cast(),
        subject_len: subject.len(),
        what: what.as_ptr().cast(),
        what_len: what.len(),
        numbers,
    };
    border::put_if_wanted(error, whole);
    status
}

/// A part of a text.
enum Piece<'a> {
    Text(&'a str),
    Number(usize),
}
use Piece::{Number, Text};

/// Writes as much as fits, and counts all bytes. (Not by `core::fmt`, which would take most of the flash of
/// `recurrent_error_text`.)
struct Room<'a> {
    text: &'a mut [u8],
    len: usize,
}

impl Room<'_> {
    fn write(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces {
            match *piece {
                Text(text) => text.bytes().for_each(|byte| self.put(byte)),
                Number(n) => {
                    let (mut power, mut rest) = (1, n);
                    while n / power > 9 {
                        power *= 10;
                    }
                    while power > 0 {
                        self.put(b'0' + (rest / power) as u8);
                        (rest, power) = (rest % power, power / 10);
                    }
                }
            }
        }
    }

    fn put(&mut self, byte: u8) {
        if let Some(at) = self.text.get_mut(self.len) {
            *at = byte;
        }
        self.len += 1;
    }
}

/// Writes the text of an error.
fn say(room: &mut Room<'_>, status: i32, subject: &str, what: &str, [first, second, third]: [usize; 3]) {
    let is = |code: recurrent_status| status == code as i32;
    let (subject, what_or_end) = (Text(subject), what);
    let what = Text(what);
    if is(RECURRENT_OK) {
        room.write(&[Text("no error")]);
    } else if is(RECURRENT_ERROR_NULL) {
        room.write(&[Text("`"), subject, Text("` is null")]);
    } else if is(RECURRENT_ERROR_ALIGNMENT) {
        room.write(&[Text("`"), subject, Text("` is not aligned to "), Number(first), Text(" bytes")]);
    } else if is(RECURRENT_ERROR_OVERLAP) {
        room.write(&[Text("`"), subject, Text("` is written to, but overlaps `"), what, Text("`")]);
    } else if is(RECURRENT_ERROR_LENGTH) {
        room.write(&[Text("`"), subject, Text("` has "), Number(second)]);
        room.write(&[Text(" elements, and needs "), Number(first)]);
        match what_or_end {
            "" => {}
            OR_MORE => room.write(&[Text(" "), what]),
            _ => room.write(&[Text(": "), what]),
        }
    } else if is(RECURRENT_ERROR_OVERFLOW) {
        room.write(&[Text("the length of `"), subject, Text("` does not fit into memory")]);
    } else if is(RECURRENT_ERROR_INDEX) {
        room.write(&[Text("`"), subject, Text("["), Number(first), Text("]` is "), Number(second)]);
        room.write(&[Text(", and must be below "), Number(third)]);
    } else if is(RECURRENT_ERROR_VALUE) {
        room.write(&[Text("`"), subject, Text("` must be "), what]);
    } else if is(RECURRENT_ERROR_LAYERS) || is(RECURRENT_ERROR_CELL) {
        room.write(&[Text("layer "), Number(first), Text(" of the model ")]);
        if is(RECURRENT_ERROR_CELL) {
            room.write(&[Text("is of the form "), what, Text(", which the program did not name")]);
        } else if let Text("features") = subject {
            room.write(&[Text("takes "), Number(second)]);
            room.write(&[Text(" features, but the layer below it gives "), Number(third)]);
        } else if let Text(DESCRIPTION) = subject {
            room.write(&[Text("is not described well: "), what]);
        } else {
            room.write(&[what]);
        }
    } else if is(RECURRENT_ERROR_IMAGE) {
        room.write(&[Text("byte "), Number(first), Text(" of the image: "), what]);
    } else if is(RECURRENT_ERROR_MODEL) {
        room.write(&[Text("the memory of the model is not that of a model that was opened")]);
    } else if is(RECURRENT_ERROR_PACKING) {
        room.write(&[Text("weights were packed for another "), what]);
    } else if is(RECURRENT_ERROR_NARROW) {
        room.write(&[Text("`"), subject, Text("["), Number(first), Text("]` cannot be held in "), what]);
    } else if is(RECURRENT_ERROR_INTERNAL) {
        room.write(&[Text("a bug of the library ("), what]);
        room.write(&[Text("): the results are not valid; please report it")]);
    } else {
        room.write(&[Text("an unknown error")]);
    }
}

/// Writes the text of an error to `text`: at most `text_len` bytes, including a 0 at the end. Returns the
/// length of the whole text without the 0, like snprintf(). `error` must come from a function of this
/// library. Returns 0 if `error` is null.
///
/// In firmware only this function links the words around the details, which take about a kilobyte.
#[no_mangle]
pub extern "C" fn recurrent_error_text(
    error: *const recurrent_error,
    text: *mut c_char,
    text_len: usize,
) -> usize {
    let Some(error) = border::get(error) else { return 0 };
    let Ok(text) = border::bytes_mut("text", text, text_len) else { return 0 };
    let (subject, what) = border::texts(&error);
    let (room, end) = match text.split_last_mut() {
        Some((end, room)) => (room, Some(end)),
        None => (&mut [][..], None),
    };
    let last = room.len();
    let mut room = Room { text: room, len: 0 };
    say(&mut room, error.status, subject, what, error.numbers);
    let Room { text, len } = room;
    if let Some(end) = end {
        *end = 0;
    }
    if len < last {
        if let Some(end) = text.get_mut(len) {
            *end = 0;
        }
    }
    len
}

/// The name of a code, as in this header. It is a constant of the library that ends with a 0, and never null.
#[no_mangle]
pub extern "C" fn recurrent_status_name(status: i32) -> *const c_char {
    // One text, without a table of pointers: each name ends with a 0. The last one is for all other codes.
    const NAMES: &str = concat!(
        "RECURRENT_OK\0",
        "RECURRENT_ERROR_NULL\0",
        "RECURRENT_ERROR_ALIGNMENT\0",
        "RECURRENT_ERROR_OVERLAP\0",
        "RECURRENT_ERROR_LENGTH\0",
        "RECURRENT_ERROR_OVERFLOW\0",
        "RECURRENT_ERROR_INDEX\0",
        "RECURRENT_ERROR_VALUE\0",
        "RECURRENT_ERROR_LAYERS\0",
        "RECURRENT_ERROR_IMAGE\0",
        "RECURRENT_ERROR_CELL\0",
        "RECURRENT_ERROR_MODEL\0",
        "RECURRENT_ERROR_PACKING\0",
        "RECURRENT_ERROR_NARROW\0",
        "RECURRENT_ERROR_INTERNAL\0",
        "an unknown status\0",
    );
    const COUNT: usize = 15;
    let mut before = usize::try_from(status).map_or(COUNT, |at| at.min(COUNT));
    let mut names = NAMES.as_bytes();
    while let (1.., [byte, rest @ ..]) = (before, names) {
        before -= usize::from(*byte == 0);
        names = rest;
    }
    names.as_ptr().cast()
}
