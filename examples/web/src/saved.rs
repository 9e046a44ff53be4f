//! The files that a model can be loaded from: an image, or a file saved by the example `char_rnn`, which
//! contains an image.

/// The contents of a file.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// The layers and the weights, not checked yet.
    pub image: &'a [u8],
    /// The characters, 4 bytes each. `None` for an image, which stores them as its classes.
    pub characters: Option<&'a [u8]>,
}

/// Why a file is rejected, as the end of a sentence.
pub type Refusal = &'static str;

const CUT: Refusal = "it is damaged, because it ends too early";

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

/// The FNV-1a checksum of the bits of floats.
pub fn checksum(floats: &[f32]) -> u64 {
    floats.iter().fold(0xcbf2_9ce4_8422_2325, |hash, x| {
        x.to_le_bytes().iter().fold(hash, |hash: u64, &b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
    })
}

fn word(bytes: &[u8], at: usize) -> Result<usize, Refusal> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or(CUT)?;
    Ok(u32::from_le_bytes(*word) as usize)
}

fn range(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], Refusal> {
    bytes.get(at..).and_then(|rest| rest.get(..len)).ok_or(CUT)
}

/// Finds the parts of a file.
///
/// # Errors
/// If the file is of another kind or damaged. (The image has its own checksum, which is not checked here.)
pub fn open(bytes: &[u8]) -> Result<Saved<'_>, Refusal> {
    if bytes.starts_with(b"RECURIMG") {
        return Ok(Saved { image: bytes, characters: None });
    }
    if !bytes.starts_with(b"charrnn\0") {
        return Err("it is neither an image nor a model that char_rnn has saved");
    }
    let (before, sum) = bytes.split_last_chunk().ok_or(CUT)?;
    if fnv1a(before) != u64::from_le_bytes(*sum) {
        return Err("it is damaged, because its checksum is wrong");
    }
    if word(before, 8)? != 2 {
        return Err("it is of another version of char_rnn");
    }
    // See the table in examples/char_rnn/checkpoint.rs: the vocabulary starts at byte 84, after its length
    // and the length of the losses.
    let (vocabulary, losses) = (word(before, 76)?, word(before, 80)?);
    let characters = range(before, 84, vocabulary.checked_mul(4).ok_or(CUT)?)?;
    let trainer = 84 + characters.len() + losses.checked_mul(4).ok_or(CUT)?;
    // See the table in src/trainer/file.rs: the length of the image is at byte 56, the image from byte 136 on.
    let start = range(before, trainer, 12)?;
    if start != b"RECTRAIN\x02\0\0\0" {
        return Err("it is of another version of char_rnn");
    }
    let len = word(before, trainer.checked_add(56).ok_or(CUT)?)?;
    let image = range(before, trainer.checked_add(136).ok_or(CUT)?, len)?;
    Ok(Saved { image, characters: Some(characters) })
}
