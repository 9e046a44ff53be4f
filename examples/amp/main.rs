//! Plays a sound through a model of an amplifier, in blocks of 64 samples as a plugin gets them, and prints
//! which part of the available time this takes.
//!
//! ```sh
//! examples/c/amp/make_sound.py in.wav
//! cargo run --release --example amp -- examples/c/amp/amp.img in.wav out.wav
//! ```
//!
//! `recurrent convert` makes images from models of GuitarML, AIDA-X, NAM and RTNeural. The input is a WAV
//! file of 16 bits and one channel, the output one of 32-bit floats. All memory is taken before the first
//! block. `examples/c/amp` does the same in C, with the same samples.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use recurrent::Sequences;
use recurrent::image::Image;
use recurrent::model::{Chain, Forward, Layer};

const BLOCK: usize = 64;

/// Plays a sound through a model of an amplifier
#[derive(Parser)]
struct Options {
    /// The model, an image of one input and one output
    model: PathBuf,
    /// A WAV file of 16 bits and one channel
    input: PathBuf,
    /// Where to write the sound
    output: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let bytes = fs::read(&options.model)?;
    let image = Image::from_bytes(&bytes)?;
    let layers: Vec<Layer> = image.layers().collect();
    let chain = Chain::new(&layers)?;
    if (chain.input(), chain.output()) != (1, 1) {
        return Err("the model has not one input and one output".into());
    }
    let packed = vec![0.0; chain.packed_len()];
    let packed = match image.is_narrow() {
        true => chain.pack_narrow(image.narrow(), packed)?,
        false => {
            let mut weights = vec![0.0; chain.weights_len()];
            image.copy_weights(&mut weights)?;
            chain.pack(&weights, packed)?
        }
    };
    let mut reader = WavReader::open(&options.input)?;
    let spec = reader.spec();
    if (spec.channels, spec.bits_per_sample, spec.sample_format) != (1, 16, SampleFormat::Int) {
        return Err("the input has not 16 bits and one channel".into());
    }
    let x: Vec<f32> =
        reader.samples::<i16>().map(|s| s.map(|s| f32::from(s) / 32768.0)).collect::<Result<_, _>>()?;
    let mut y = vec![0.0; x.len()];

    // One voice. Another voice has its own state and scratch, and shares the weights.
    let (mut state, mut scratch) = (vec![0.0; chain.state_len(1)], vec![0.0; chain.scratch_len(BLOCK, 1)]);
    image.copy_initial_state(&mut state)?;
    let (mut total, mut worst) = (Duration::ZERO, Duration::ZERO);
    for (x, y) in x.chunks(BLOCK).zip(y.chunks_mut(BLOCK)) {
        let start = Instant::now();
        let sequences = Sequences::new(x.len(), 1);
        chain.forward(
            &packed,
            Forward { sequences, x: x.into(), y, state: &mut state, scratch: &mut scratch },
        )?;
        let took = start.elapsed();
        (total, worst) = (total + took, worst.max(took));
    }

    let spec = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..spec };
    let mut writer = WavWriter::create(&options.output, spec)?;
    y.iter().try_for_each(|y| writer.write_sample(*y))?;
    writer.finalize()?;
    let sound = x.len() as f64 / f64::from(spec.sample_rate);
    let total = total.as_secs_f64();
    println!("{sound:.1} s of sound in {total:.3} s: {:.1} times as fast as real time", sound / total);
    let lasts = 1e6 * BLOCK as f64 / f64::from(spec.sample_rate);
    println!("worst block of {BLOCK} samples {} us, of {lasts:.0} us that it lasts", worst.as_micros());
    Ok(())
}
