//! Networks with narrow matrices.

use std::vec;

use super::error::Result;
use super::network::{Named, Network};
use crate::Narrow;
use crate::kernel::bytes::bytes_mut;
use crate::model::Layer;

/// Whether a narrow layer represents these weights exactly.
fn is_exact(layer: &Layer, weights: &[f32]) -> bool {
    let (mut words, mut held) = (vec![0.0; layer.words_len()], vec![0.0; weights.len()]);
    layer.check_narrow().is_ok()
        && layer.check_values(weights).is_ok()
        && layer.write_words(weights, bytes_mut(&mut words)).is_ok()
        && layer.widen_words(&words, &mut held).is_ok()
        && weights.iter().zip(&held).all(|(a, b)| a.to_bits() == b.to_bits())
}

impl Network {
    /// The same network, with each layer's matrices in the format that `format` returns, or in `f32`. The
    /// weights are rounded to values that the format can represent, but stay `f32` in memory. Rounding them
    /// again changes nothing.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) for a weight that its format cannot represent, or for rows that
    /// are too long for integers.
    ///
    /// ```
    /// use recurrent::{Narrow, io::{self, Format, Network, ReadOptions}};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/image_gru.img");
    /// # let path = std::path::Path::new(path);
    /// let (network, ..) = ReadOptions::new().open(path)?;
    /// let wide = io::write(&network, Format::Image)?.len();
    /// let narrow = network.with_formats(|_| Some(Narrow::W8A16))?;
    /// assert!(io::write(&narrow, Format::Image)?.len() < wide);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn with_formats(mut self, format: impl Fn(&Named) -> Option<Narrow>) -> Result<Self> {
        let mut at = 0;
        for named in &mut self.layers {
            let layer = match format(named) {
                Some(narrow) => named.layer.narrow(narrow),
                None => named.layer.wide(),
            };
            let weights = &mut self.weights[at..][..layer.weights_len()];
            layer.check_narrow()?;
            layer.check_values(weights)?;
            let mut words = vec![0.0; layer.words_len()];
            layer.write_words(weights, bytes_mut(&mut words))?;
            layer.widen_words(&words, weights)?;
            named.layer = layer;
            at += weights.len();
        }
        Ok(self)
    }

    /// The same network, with each `f32` layer in the 16-bit format that represents its matrices exactly:
    /// `Bf16`, or else `F16`. Layers that fit neither stay `f32`. So the tensors of 16-bit files keep their
    /// format.
    pub fn with_exact_formats(mut self) -> Self {
        let mut at = 0;
        for named in &mut self.layers {
            let weights = &self.weights[at..][..named.layer.weights_len()];
            at += weights.len();
            if named.layer.narrow_format().is_none() {
                let fits = |layer: &Layer| is_exact(layer, weights);
                let narrow = [Narrow::Bf16, Narrow::F16].map(|format| named.layer.narrow(format));
                named.layer = narrow.into_iter().find(fits).unwrap_or(named.layer);
            }
        }
        self
    }

    /// The same network with every layer in `f32`. The weights of a narrow network stay rounded.
    pub fn wide(mut self) -> Self {
        for named in &mut self.layers {
            named.layer = named.layer.wide();
        }
        self
    }

    /// Whether a layer has narrow matrices. Only images can store that.
    pub fn is_narrow(&self) -> bool {
        self.layers().any(|layer| layer.narrow_format().is_some())
    }
}
