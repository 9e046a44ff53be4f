//! The recording that the firmware reads, and what it must read in it.

use std::fs;
use std::path::PathBuf;

use crate::common::Failure;
use crate::morse::{RATE, Reader, Receiver, TONE};
use crate::signal::Operator;
use crate::sum::Sum;

/// Where the firmware has its models.
pub fn folder() -> PathBuf {
    concat!(env!("CARGO_MANIFEST_DIR"), "/examples/firmware/models").into()
}

/// Writes a recording with samples of 8 bits, the text that is read in it, and the checksum of all scores,
/// which is the same on all machines with a fused multiply-add. Returns the text.
pub fn write(weights: &[f32]) -> Result<String, Failure> {
    let mut operator = Operator::new(9);
    let (marks, seconds) = operator.key(b"CQ DE GRU 73 K", 24.0);
    let sound = operator.sound(&marks, seconds, crate::RATIO);
    let loudest = sound.iter().fold(0f32, |most, s| most.max(s.abs()));
    let samples: Vec<i8> = sound.iter().map(|s| (s / loudest * 127.0).round() as i8).collect();
    let (mut receiver, mut reader) = (Receiver::new(RATE, TONE), Reader::new());
    let (mut text, mut scores) = (String::new(), Sum::new());
    for sample in &samples {
        if let Some(strength) = receiver.sample(f32::from(*sample)) {
            text.extend(reader.frame(weights, strength)?.map(char::from));
            scores.floats(&reader.logits);
        }
    }
    let expected = format!(
        "// Written by examples/morse.\n\n\
         /// The text in the recording.\npub const TEXT: &[u8] = b\"{text}\";\n\n\
         /// The checksum of the scores after each frame.\npub const SCORES: u64 = {:#x};\n",
        scores.0
    );
    let samples: Vec<u8> = samples.into_iter().map(i8::cast_unsigned).collect();
    for (name, bytes) in [("morse.pcm", samples.as_slice()), ("morse.rs", expected.as_bytes())] {
        let path = folder().join(name);
        fs::write(&path, bytes).map_err(|e| Failure(format!("cannot write {}: {e}", path.display())))?;
    }
    Ok(text)
}
