//! The functions that the page calls, and all unsafe code: only here do addresses and lengths become slices.
//!
//! An instance of the module holds one model. For another model, the page makes another instance. So memory
//! is never freed, and a rejected file leaves the current model intact. All functions return at once. A
//! function that can fail reports it in its return value; `message` then has the reason.

use core::cell::UnsafeCell;

use recurrent::Error;
use recurrent::image::Image;

use crate::names;
use crate::session::Session;
use crate::shape::Shape;
use crate::training::{Training, Window};

/// The end of the last error message.
struct Message {
    bytes: [u8; 256],
    len: usize,
}

impl Message {
    fn set(&mut self, words: &str) {
        self.bytes.iter_mut().zip(words.bytes()).for_each(|(to, from)| *to = from);
        self.len = words.len().min(self.bytes.len());
    }
}

/// A value that the module keeps between calls.
struct Kept<T>(UnsafeCell<T>);

// SAFETY: a module has one thread.
unsafe impl<T> Sync for Kept<T> {}

impl<T> Kept<T> {
    const fn new(value: T) -> Self {
        Kept(UnsafeCell::new(value))
    }

    /// A function must not call this again on the same value while it holds the reference.
    #[allow(clippy::mut_from_ref, reason = "a module has one thread, and an exported function asks once")]
    fn get(&self) -> &mut T {
        // SAFETY: a module has one thread, exported functions do not call each other, and each calls this
        // again on the same value only after it has dropped the reference.
        unsafe { &mut *self.0.get() }
    }
}

static SESSION: Kept<Option<Session<'static>>> = Kept::new(None);
static MESSAGE: Kept<Message> = Kept::new(Message { bytes: [0; 256], len: 0 });
/// The names of the characters, followed by the last image.
static OUT: Kept<Option<&'static mut [u8]>> = Kept::new(None);
static UPDATES: Kept<u32> = Kept::new(0);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

const PAGE: usize = 65536;

/// Allocates memory filled with zeros; `None` if there is not enough.
fn grow<T: Zeros>(len: usize) -> Option<&'static mut [T]> {
    let bytes = len.checked_mul(size_of::<T>()).filter(|&bytes| bytes <= isize::MAX as usize)?;
    let before = core::arch::wasm32::memory_grow::<0>(bytes.div_ceil(PAGE));
    if before == usize::MAX {
        return None;
    }
    // SAFETY: these pages are new, so nothing else refers to them. They are zeros, which are valid values of
    // `T`, and their address is a multiple of the page size.
    Some(unsafe { core::slice::from_raw_parts_mut((before * PAGE) as *mut T, len) })
}

/// Types for which all-zero bytes are a valid value.
trait Zeros {}
impl Zeros for u8 {}
impl Zeros for u32 {}
impl Zeros for f32 {}

/// The data that the page has written into memory from [`alloc`].
fn given<T: Zeros>(address: usize, len: usize) -> Result<&'static [T], &'static str> {
    let end = len.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(address));
    let room = core::arch::wasm32::memory_size::<0>().saturating_mul(PAGE);
    if end.is_none_or(|end| end > room) || address == 0 || !address.is_multiple_of(align_of::<T>()) {
        return Err("bug of the page: that is not in the memory");
    }
    // SAFETY: `alloc` gave this memory to the page alone, and the page has stopped writing to it. All bytes
    // are valid values of `T`.
    Ok(unsafe { core::slice::from_raw_parts(address as *const T, len) })
}

const MEMORY: &str = "there is too little memory";

/// The return value of a call: 0, or 1 and a message.
fn answer(result: Result<(), Refusal>) -> u32 {
    let Err(refusal) = result else { return 0 };
    MESSAGE.get().set(match refusal {
        Refusal::Pass(error) => words_of(error),
        Refusal::Words(words) => words,
    });
    1
}

/// The message of an error, without numbers: the code to format them would be a tenth of the module.
fn words_of(error: Error) -> &'static str {
    match error {
        Error::Image { what, .. } | Error::Layers { what, .. } => what,
        Error::Value { expected, .. } => expected,
        Error::Index { .. } => "a character has an id that the model does not have",
        _ => "a bug of the page: the buffers do not fit the model",
    }
}

enum Refusal {
    Pass(Error),
    Words(&'static str),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Pass(error)
    }
}

impl From<&'static str> for Refusal {
    fn from(words: &'static str) -> Self {
        Refusal::Words(words)
    }
}

fn session() -> Result<&'static mut Session<'static>, Refusal> {
    SESSION.get().as_mut().ok_or(Refusal::Words("there is no model"))
}

/// Allocates `len` bytes; 0 if there is not enough memory.
#[unsafe(no_mangle)]
extern "C" fn alloc(len: usize) -> usize {
    grow::<u8>(len).map_or(0, |bytes| bytes.as_mut_ptr() as usize)
}

fn new(shape: Shape, vocabulary: &'static [u32]) -> Result<Session<'static>, Refusal> {
    let room = grow(Session::room(shape)).ok_or(MEMORY)?;
    Ok(Session::new(shape, None, vocabulary, room))
}

/// Creates a new model from the Unicode scalar values of its characters and its sizes.
#[unsafe(no_mangle)]
extern "C" fn start(
    vocabulary: usize,
    vocabulary_len: usize,
    embedding: usize,
    hidden: usize,
    layers: usize,
    seed: u32,
) -> u32 {
    let start = || {
        let shape = Shape { vocabulary: vocabulary_len, embedding, hidden, layers };
        let mut session = new(shape, given(vocabulary, vocabulary_len)?)?;
        session.seed(seed.into());
        session.init()?;
        *SESSION.get() = Some(session);
        Ok(())
    };
    answer(start())
}

/// Loads the model of an image.
#[unsafe(no_mangle)]
extern "C" fn open(file: usize, len: usize) -> u32 {
    let open = || {
        let bytes: &[u8] = given(file, len)?;
        if bytes.starts_with(b"charrnn\0") {
            return Err(
                "it is a training of char_rnn: its option --image saves an image, which the page reads"
                    .into(),
            );
        }
        let image = Image::from_bytes(bytes)?;
        let shape = Shape::of(&image)?;
        let vocabulary: &mut [u32] = grow(shape.vocabulary).ok_or(MEMORY)?;
        if !names::read(image.classes(), vocabulary) {
            return Err("it does not say which characters its classes are".into());
        }
        let mut session = new(shape, vocabulary)?;
        session.load(&image)?;
        *SESSION.get() = Some(session);
        Ok(())
    };
    answer(open())
}

/// Starts training on a text of ids.
#[unsafe(no_mangle)]
extern "C" fn train(text: usize, len: usize, batch: usize, steps: usize) -> u32 {
    let train = || {
        let (session, text, window) = (session()?, given::<u32>(text, len)?, Window { batch, steps });
        let both = batch.saturating_mul(steps);
        if both == 0 || len <= both {
            return Err("the text is too short".into());
        }
        let room = grow(Training::room(session.network(), window)).ok_or(MEMORY)?;
        let ids = grow(both.saturating_mul(2)).ok_or(MEMORY)?;
        let training = Training::new(session.network(), window, text, room, ids);
        session.set_training(training);
        *UPDATES.get() = 0;
        Ok(())
    };
    answer(train())
}

/// Makes one update. Returns its loss, or NaN if it was rejected or the training has diverged.
#[unsafe(no_mangle)]
extern "C" fn update(rate: f32) -> f32 {
    let update = || {
        let update = session()?.update(rate)?;
        if update.scale.is_none() {
            return Err("the training diverged: a smaller learning rate may help".into());
        }
        *UPDATES.get() += 1;
        Ok(update.loss)
    };
    match update() {
        Ok(loss) => loss,
        Err(refusal) => {
            answer(Err(refusal));
            f32::NAN
        }
    }
}

/// Number of updates since the training began.
#[unsafe(no_mangle)]
extern "C" fn updates() -> u32 {
    *UPDATES.get()
}

/// Resets a reader to before the first character.
#[unsafe(no_mangle)]
extern "C" fn rewind(reader: usize) {
    if let Ok(session) = session() {
        session.rewind(reader);
    }
}

/// Gives a character to a reader.
#[unsafe(no_mangle)]
extern "C" fn read(reader: usize, id: u32) -> u32 {
    answer(session().and_then(|session| Ok(session.read(reader, id)?)))
}

/// Draws the next character, after the last one read; -1 if this fails.
#[unsafe(no_mangle)]
extern "C" fn draw(temperature: f32, top_p: f32) -> i32 {
    match session().and_then(|session| Ok(session.draw(temperature, top_p)?)) {
        Ok(id) => id as i32,
        Err(refusal) => {
            answer(Err(refusal));
            -1
        }
    }
}

/// A part of the model, as an address and a length in elements.
#[unsafe(no_mangle)]
extern "C" fn part(which: u32) -> usize {
    let Ok(session) = session() else { return 0 };
    match which {
        0 => session.weights().as_ptr() as usize,
        1 => session.logits().as_ptr() as usize,
        2 => session.vocabulary().as_ptr() as usize,
        reader => session.state(reader as usize - 3).as_ptr() as usize,
    }
}

#[unsafe(no_mangle)]
extern "C" fn part_len(which: u32) -> usize {
    let Ok(session) = session() else { return 0 };
    match which {
        0 => session.weights().len(),
        1 => session.logits().len(),
        2 => session.vocabulary().len(),
        reader => session.state(reader as usize - 3).len(),
    }
}

/// The number of characters, features of a character, units, or layers.
#[unsafe(no_mangle)]
extern "C" fn size(which: u32) -> usize {
    let Ok(session) = session() else { return 0 };
    let Shape { vocabulary, embedding, hidden, layers } = session.shape();
    match which {
        0 => vocabulary,
        1 => embedding,
        2 => hidden,
        _ => layers,
    }
}

/// The FNV-1a checksum of the weights.
#[unsafe(no_mangle)]
extern "C" fn checksum() -> u64 {
    session().map_or(0, |session| session.checksum())
}

/// Makes an image of the model. Returns its length, or 0 on failure. `image` returns its address.
#[unsafe(no_mangle)]
extern "C" fn save() -> usize {
    match session().and_then(image_of) {
        Ok(len) => len,
        Err(refusal) => {
            answer(Err(refusal));
            0
        }
    }
}

/// Writes the names of the characters, followed by the image. The length is always the same, so memory is
/// allocated once.
fn image_of(session: &mut Session<'static>) -> Result<usize, Refusal> {
    let names_len = names::len(session.vocabulary());
    let kept = OUT.get();
    if kept.is_none() {
        // Besides the names: the header of a record, and its padding.
        let image = session.image_len("").saturating_add(names_len).saturating_add(32);
        *kept = Some(grow(image.saturating_add(names_len)).ok_or(MEMORY)?);
    }
    let out = kept.as_deref_mut().unwrap_or_default();
    let (names, image) = out.split_at_mut(names_len);
    names::write(session.vocabulary(), names);
    let names = core::str::from_utf8(names).map_err(|_| "the characters are no text")?;
    let len = session.image_len(names);
    session.write_image(names, image.get_mut(..len).ok_or(MEMORY)?)?;
    Ok(len)
}

/// The address of the last image.
#[unsafe(no_mangle)]
extern "C" fn image() -> usize {
    let names = session().map_or(0, |session| names::len(session.vocabulary()));
    OUT.get().as_ref().map_or(0, |out| out.as_ptr() as usize + names)
}

/// The address of the last message, in UTF-8.
#[unsafe(no_mangle)]
extern "C" fn message() -> usize {
    MESSAGE.get().bytes.as_ptr() as usize
}

#[unsafe(no_mangle)]
extern "C" fn message_len() -> usize {
    MESSAGE.get().len
}

/// Whether this module was compiled with vectors.
#[unsafe(no_mangle)]
extern "C" fn vectors() -> u32 {
    cfg!(target_feature = "simd128").into()
}
