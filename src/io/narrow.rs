//! Networks whose matrices are narrow.

use std::vec;

use super::error::Result;
use super::network::{Named, Network};
use crate::Narrow;
use crate::kernel::bytes::bytes_mut;

impl Network {
    /// The same with the matrices of each layer in the format that `format` says, or in `f32`. The weights are rounded: they stay `f32` in memory, as
    /// those that the format holds. Rounding them again changes nothing.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) for a weight that its format cannot hold, or rows too long for integers.
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

    /// The same with every layer in `f32`: of a narrow network with weights that are already rounded.
    pub fn wide(mut self) -> Self {
        for named in &mut self.layers {
            named.layer = named.layer.wide();
        }
        self
    }

    /// Whether a layer has narrow matrices. Only images hold that.
    pub fn is_narrow(&self) -> bool {
        self.layers().any(|layer| layer.narrow_format().is_some())
    }
}
