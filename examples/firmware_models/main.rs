//! Trains the models of examples/firmware, and computes on this machine the results that the device must get.
//!
//! ```sh
//! cargo run --release --example char_rnn -- --corpus LICENSE-APACHE --cell gru --embedding 16 --hidden 48 --layers 1 \
//!     --batch 16 --steps 48 --lr 0.005 --iters 3000 --save characters.model
//! cargo run --release --example firmware_models -- characters.model
//! ```
//!
//! Without a saved character model, the existing one is kept. Everything else is made again, with the same
//! bits on every machine with fused multiply-adds.

use std::error::Error;
use std::fmt::Write as _;
use std::{env, fs, path::Path};

use recurrent::model::Layer;
use recurrent::{Dense, Gru, Isa, Narrow, image};

#[path = "../firmware/src/characters.rs"]
mod characters;
#[allow(dead_code, reason = "the programs on the device use the rest")]
#[path = "../firmware/models/expected.rs"]
mod expected;
#[path = "../firmware/src/gestures.rs"]
mod gestures;
#[path = "../firmware/src/learn.rs"]
mod learn;
mod sensor;
#[path = "../firmware/src/sum.rs"]
mod sum;
mod training;

use sum::Sum;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The vocabulary and the weights of a model that the example `char_rnn` has saved. That example describes
/// the format.
fn character_model(path: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let bytes = fs::read(path)?;
    let number = |at: usize| -> Result<usize> {
        let field = bytes.get(at..at + 4).ok_or("truncated")?;
        Ok(u32::from_le_bytes(field.try_into()?) as usize)
    };
    let [cell, width, hidden, layers] = [12, 16, 20, 24].map(number);
    if !bytes.starts_with(b"charrnn\0")
        || [cell?, width?, hidden?, layers?] != [2, characters::WIDTH, characters::HIDDEN, 1]
    {
        return Err("not a character model of one GRU of the sizes that the firmware has".into());
    }
    let (vocabulary, losses) = (number(84)?, number(88)?);
    let (start, weights) = (92 + 4 * vocabulary, 92 + 4 * (vocabulary + losses));
    let characters = bytes[92..start].chunks_exact(4).map(|c| match c {
        [c @ 0..0x80, 0, 0, 0] => Ok(*c),
        _ => Err("a character that is not ASCII"),
    });
    let end = weights + 4 * characters::weights_len(vocabulary);
    Ok((
        characters.collect::<std::result::Result<_, _>>()?,
        bytes.get(weights..end).ok_or("truncated")?.into(),
    ))
}

fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn to_bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The bytes of `storage` that are aligned to 4 bytes, as narrow weights have to be.
fn aligned(storage: &mut [u8], len: usize) -> &mut [u8] {
    let start = storage.as_ptr().align_offset(4);
    &mut storage[start..start + len]
}

/// The text that `write` writes, and the checksums of it and of the last logits and state of its writer.
fn write<const SCRATCH: usize>(
    vocabulary: &[u8],
    write: impl FnOnce(&mut characters::Writer<SCRATCH>, &mut String) -> recurrent::Result<()>,
) -> Result<(String, Sum, Sum)> {
    let (mut writer, mut text) = (Box::new(characters::Writer::<SCRATCH>::new()), String::new());
    write(&mut writer, &mut text)?;
    let (mut sum, mut numbers) = (Sum::new(), Sum::new());
    sum.bytes(text.as_bytes());
    let (logits, state) = writer.numbers(vocabulary.len());
    numbers.floats(logits);
    numbers.floats(state);
    Ok((text, sum, numbers))
}

/// The checksum of all scores over the recording.
fn recognise<const SCRATCH: usize>(
    layers: (Gru, Dense),
    weights: gestures::Weights<'_>,
    recording: &[f32],
) -> Result<Sum> {
    let (mut recogniser, mut sum) = (gestures::Recogniser::<SCRATCH>::new(), Sum::new());
    for sample in recording.as_chunks().0 {
        recogniser.sample(layers, weights, sample)?;
        sum.floats(&recogniser.scores);
    }
    Ok(sum)
}

fn main() -> Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/firmware/models");
    let mut out = String::from("// Written by examples/firmware_models.\n");

    let weights = training::train(None)?;
    println!("gestures: {:.1} % of unseen samples are recognised", 100.0 * training::accuracy(&weights)?);
    for (format, accuracy, largest) in training::narrow(&weights)? {
        println!(
            "from {:8} {:.2} % are, and scores change by at most {largest:.1e}",
            format.name(),
            100.0 * accuracy
        );
    }
    for (format, accuracy, _) in training::narrow(&training::train(Some(Narrow::W8A16))?)? {
        if format == Narrow::W8A16 {
            println!("trained for {}: {:.2} % are", format.name(), 100.0 * accuracy);
        }
    }
    let (recording, labels) = sensor::Hand::new(3).record(gestures::RECORDED);
    fs::write(folder.join("gestures.f32"), to_bytes(&weights))?;
    // For examples/c/firmware.
    let layers = [Layer::from(gestures::CELL), Layer::from(gestures::HEAD)];
    let mut image = vec![0; image::len(&layers)];
    image::write(&layers, &weights, &mut image)?;
    fs::write(folder.join("gestures.img"), image)?;
    fs::write(folder.join("recording.f32"), to_bytes(&recording))?;
    fs::write(folder.join("recording.labels"), labels.iter().map(|&label| label as u8).collect::<Vec<_>>())?;
    let mut storage = [0; gestures::INT8_LEN + 3];
    let int8 = aligned(&mut storage, gestures::INT8_LEN);
    let (cell, head) = weights.split_at(gestures::CELL.weights_len());
    let (cell_int8, head_int8) = int8.split_at_mut(gestures::CELL_INT8.narrow_len());
    gestures::CELL_INT8.round(cell, cell_int8)?;
    gestures::HEAD_INT8.round(head, head_int8)?;
    fs::write(folder.join("gestures.int8"), &*int8)?;
    for (isa, name, what) in [
        (Isa::FUSED, "FUSED", "The checksum of all scores over the recording"),
        (Isa::SCALAR, "SEPARATE", "The same where products and sums are rounded one after the other"),
    ] {
        let (wide, narrow) = ((gestures::CELL, gestures::HEAD), (gestures::CELL_INT8, gestures::HEAD_INT8));
        let [wide, narrow] = [wide, narrow].map(|(cell, head)| (cell.on(isa), head.on(isa)));
        let weights = gestures::wide(weights.as_slice().try_into()?);
        let sum = recognise::<{ gestures::SCRATCH }>(wide, weights, &recording)?;
        write!(out, "\n/// {what}.\npub const GESTURES_{name}: u64 = {:#x};\n", sum.0)?;
        let weights = gestures::int8((&*int8).try_into()?);
        let sum = recognise::<{ gestures::SCRATCH_INT8 }>(narrow, weights, &recording)?;
        write!(
            out,
            "\n/// {what}, from weights of 8 bits.\npub const GESTURES_INT8_{name}: u64 = {:#x};\n",
            sum.0
        )?;
    }

    let (vocabulary, model) = match env::args().nth(1) {
        Some(path) => character_model(&path)?,
        None => (expected::VOCABULARY.to_vec(), fs::read(folder.join("characters.f32"))?),
    };
    fs::write(folder.join("characters.f32"), &model)?;
    let model = from_bytes(&model);
    let len = characters::int8_len(vocabulary.len());
    let mut storage = vec![0; len + 3];
    let int8 = aligned(&mut storage, len);
    characters::round(vocabulary.len(), &model, int8)?;
    fs::write(folder.join("characters.int8"), &*int8)?;
    let int8 = &*int8;
    let (text, sum, numbers) = write::<{ characters::SCRATCH }>(&vocabulary, |writer, text| {
        writer.write(&vocabulary, &model, |c| text.push(char::from(c)))
    })?;
    let (text_int8, sum_int8, numbers_int8) =
        write::<{ characters::SCRATCH_INT8 }>(&vocabulary, |writer, text| {
            writer.write_int8(&vocabulary, int8, |c| text.push(char::from(c)))
        })?;
    println!("characters:\n{text}\n\nfrom weights of 8 bits:\n{text_int8}\n");
    let escaped: String = vocabulary.iter().flat_map(|c| char::from(*c).escape_default()).collect();
    write!(
        out,
        "\n/// The characters of the character model.\npub const VOCABULARY: &[u8] = b\"{escaped}\";\n"
    )?;
    write!(out, "\n/// The checksum of the text that it writes.\npub const TEXT: u64 = {:#x};\n", sum.0)?;
    write!(
        out,
        "\n/// The same of its last logits and state.\npub const TEXT_NUMBERS: u64 = {:#x};\n",
        numbers.0
    )?;
    write!(
        out,
        "\n/// The checksum of its text from weights of 8 bits.\npub const TEXT_INT8: u64 = {:#x};\n",
        sum_int8.0
    )?;
    write!(
        out,
        "\n/// The same of the last logits and state.\npub const TEXT_INT8_NUMBERS: u64 = {:#x};\n",
        numbers_int8.0
    )?;

    let (mut learner, mut last) = (Box::new(learn::Learner::new()), 0.0);
    learner.run(|update, error| {
        if update > learn::UPDATES - 50 {
            last += error / 50.0;
        }
    })?;
    println!("learning: mean squared error of the last 50 updates {last:.5}");
    let mut sum = Sum::new();
    sum.floats(&learner.weights);
    write!(
        out,
        "\n/// The checksum of the weights after training.\npub const LEARNED: u64 = {:#x};\n",
        sum.0
    )?;
    write!(
        out,
        "\n/// The mean squared error of the last 50 updates.\npub const LEARNED_LOSS: f32 = {last:e};\n"
    )?;
    fs::write(folder.join("expected.rs"), out)?;
    Ok(())
}
