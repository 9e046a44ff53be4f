//! Flash images: the layers have no names in them, and get the names of their kinds and positions.

use std::format;
use std::vec;
use std::vec::Vec;

use super::error::Result;
use super::network::{Builder, Network};
use crate::image::{Image, len, write as write_image};
use crate::model::Layer;

/// The model of an image.
pub(super) fn read(bytes: &[u8]) -> Result<Network> {
    let image = Image::from_bytes(bytes)?;
    let mut network = Builder::default();
    for (index, layer) in image.layers().enumerate() {
        network.push(format!("{}{index}", super::kind(&layer)), layer);
    }
    network.weights = vec![0.0; image.weights_len()];
    image.copy_weights(&mut network.weights)?;
    network.finish()
}

/// The image of a model.
pub(super) fn write(network: &Network) -> Result<Vec<u8>> {
    let layers: Vec<Layer> = network.layers().collect();
    let mut bytes = vec![0; len(&layers)];
    write_image(&layers, network.weights(), &mut bytes)?;
    Ok(bytes)
}
