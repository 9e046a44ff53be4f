//! Flash images. Layers have no names in images: they are named by kind and position.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::error::Result;
use super::network::{Builder, Network};
use crate::image::{Extras, Image, len_with, write_with};
use crate::model::{Chain, Layer};

/// Reads the model of an image.
pub(super) fn read(bytes: &[u8]) -> Result<Network> {
    let image = Image::from_bytes(bytes)?;
    let mut network = Builder::default();
    network.ending = image.ending();
    network.mask = image.mask();
    for (index, layer) in image.layers().enumerate() {
        network.push(format!("{}{index}", super::kind(&layer)), layer);
    }
    network.weights = vec![0.0; image.weights_len()];
    image.copy_weights(&mut network.weights)?;
    if image.has_initial_state() {
        let layers: Vec<Layer> = image.layers().collect();
        network.initial_state = vec![0.0; Chain::state_of(&layers)];
        image.copy_initial_state(&mut network.initial_state)?;
    }
    network.finish()?.with_classes(image.classes().lines().map(str::to_string).collect())
}

/// Writes the image of a model.
pub(super) fn write(network: &Network) -> Result<Vec<u8>> {
    let layers: Vec<Layer> = network.layers().collect();
    let classes: String = network.classes().join("\n");
    let extras = Extras {
        initial_state: network.initial_state(),
        ending: network.ending(),
        classes: &classes,
        mask: network.mask(),
    };
    let mut bytes = vec![0; len_with(&layers, &extras)];
    write_with(&layers, network.weights(), &extras, &mut bytes)?;
    Ok(bytes)
}
