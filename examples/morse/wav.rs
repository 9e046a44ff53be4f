//! Recordings as WAV files.

use std::path::Path;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::Failure;
use crate::morse::RATE;

/// The first channel of a recording, and its samples per second.
pub fn read(path: &Path) -> Result<(Vec<f32>, f32), Failure> {
    let name = |e: &dyn std::fmt::Display| Failure(format!("cannot read {}: {e}", path.display()));
    let mut reader = WavReader::open(path).map_err(|e| name(&e))?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = reader.spec();
    if sample_rate < RATE as u32 {
        return Err(name(&format_args!("it has {sample_rate} samples per second, expected at least {RATE}")));
    }
    let samples: Result<Vec<f32>, _> = match sample_format {
        SampleFormat::Float => reader.samples::<f32>().collect(),
        SampleFormat::Int => {
            let full = 1.0 / (1u64 << (bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|s| s.map(|s| s as f32 * full)).collect()
        }
    };
    let samples = samples.map_err(|e| name(&e))?;
    Ok((samples.into_iter().step_by(channels.into()).collect(), sample_rate as f32))
}

/// Writes one channel with samples of 16 bits.
pub fn write(path: &Path, sound: &[f32]) -> Result<(), Failure> {
    let name = |e: hound::Error| Failure(format!("cannot write {}: {e}", path.display()));
    let spec = WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::create(path, spec).map_err(name)?;
    for sample in sound {
        writer.write_sample((sample * 32767.0).clamp(-32768.0, 32767.0) as i16).map_err(name)?;
    }
    writer.finalize().map_err(name)
}

/// The frequency of the strongest tone between 300 and 1200 Hz, to 5 Hz. The power of each is measured by the
/// filter of Goertzel (1958) over fifths of a second, because the key interrupts the tone.
pub fn strongest(sound: &[f32], rate: f32) -> f32 {
    let power = |tone: f32| {
        let turn = 2.0 * (std::f32::consts::TAU * tone / rate).cos();
        let pieces = sound.chunks((rate / 5.0) as usize).map(|piece| {
            let (a, b) = piece.iter().fold((0.0, 0.0), |(a, b), sample| (sample + turn * a - b, a));
            a * a + b * b - turn * a * b
        });
        pieces.sum::<f32>()
    };
    let tones = (0..=180).map(|i| 300.0 + 5.0 * i as f32).map(|tone| (power(tone), tone));
    tones.fold((0.0, 600.0), |best, of| if of.0 > best.0 { of } else { best }).1
}
