//! Shared by the targets: checks for every file that can be read, and calls with arbitrary arguments.

pub mod buffers;
pub mod others;

use recurrent::io::{Format, Network, Plan, describe, read, size, write};
use recurrent::model::{Input, Layer};

/// Maximal total length of the buffers of a run, so that an input does not take long.
const SMALL: usize = 1 << 16;

/// Reads a file and, if that succeeds, does everything with the model that is possible with any model.
pub fn check(bytes: &[u8], format: Format, plan: Option<&Plan>) {
    let Ok(network) = read(bytes, format, plan) else { return };
    let layers: Vec<Layer> = network.layers().collect();
    layers.iter().for_each(|layer| drop(describe(layer)));
    let needs = size::of(&layers, 2, 3).expect("layers that were read fit together");
    // Its image must contain the same network, except for names.
    if let Ok(image) = write(&network, Format::Image) {
        let other = read(&image, Format::Image, None).expect("an image that was written can be read");
        assert!(other.layers().eq(network.layers()), "other layers");
        assert!(bits(other.weights()).eq(bits(network.weights())), "other weights");
    }
    if let Ok(tensors) = write(&network, Format::Safetensors) {
        // A plan may be needed to read these tensors, so this may fail.
        let _ = read(&tensors, Format::Safetensors, None);
    }
    let all = [needs.weights, needs.packed, needs.state, needs.scratch, needs.output];
    if all.into_iter().fold(0, usize::saturating_add) < SMALL && needs.input < SMALL {
        drop(write(&network, Format::Source));
        run(&network, &layers[0], needs);
    }
}

fn run(network: &Network, first: &Layer, needs: size::Needs) {
    let (steps, batch) = (2, 3);
    let (ids, values) = (vec![0; steps * batch], vec![0.5; steps * batch * needs.input]);
    let x = if matches!(first, Layer::Embedding(_)) { Input::Ids(&ids) } else { Input::Values(&values) };
    let y = network.run(x, steps, batch).expect("it runs");
    assert_eq!(y.len(), size::of(&network.layers().collect::<Vec<_>>(), steps, batch).unwrap().output);
}

/// Writes the CRC-32 of everything but the four bytes at 20 to these bytes of an image.
pub fn sign(bytes: &mut [u8]) {
    let mut crc = !0_u32;
    for (_, byte) in bytes.iter().enumerate().filter(|(at, _)| !(20..24).contains(at)) {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    bytes[20..24].copy_from_slice(&(!crc).to_le_bytes());
}

fn bits(of: &[f32]) -> impl Iterator<Item = u32> {
    of.iter().map(|x| x.to_bits())
}
