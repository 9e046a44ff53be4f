//! Models with narrow matrices.

use super::array::Model;
use super::chain::Chain;
use super::layer::{Dims, Layer};
use super::part::Part;
use crate::error::{Result, check_len};
use crate::kernel::Narrow;
use crate::kernel::narrow::check_packs;
use crate::layer::buffer::{take, take_mut};
use crate::layer::narrow::narrow_weights;
use crate::layer::packed::Packed;
use crate::simd::Isa;

impl Chain<'_> {
    #[cfg_attr(all(target_os = "none", not(feature = "named-forms")), inline(always))]
    pub(crate) const fn words_len(&self) -> usize {
        let (layers, mut len, mut i) = (self.layers(), 0usize, 0);
        while i < layers.len() {
            len = len.saturating_add(layers[i].words_len());
            i += 1;
        }
        len
    }

    /// The format of the first layer that has one.
    fn format(&self) -> Option<Narrow> {
        self.layers().iter().find_map(Layer::narrow_format)
    }

    /// Nothing to check: the layers were checked when the chain was made.
    #[allow(clippy::unused_self)]
    const fn check_narrow(&self) -> Result<()> {
        Ok(())
    }

    /// Calls `with` for each layer with its parts of two buffers.
    fn each<T>(
        &self,
        (from, from_len): (&[f32], impl Fn(&Layer) -> usize),
        (to, to_len): (&mut [T], impl Fn(&Layer) -> usize),
        mut with: impl FnMut(&Layer, &[f32], &mut [T]) -> Result<()>,
    ) -> Result<()> {
        let (mut from, mut to) = (from, to);
        self.layers().iter().try_for_each(|layer| {
            let from = take(&mut from, from_len(layer));
            with(layer, from, take_mut(&mut to, to_len(layer)))
        })
    }

    /// Rejects weights that their format cannot hold.
    pub(super) fn check_values(&self, weights: &[f32]) -> Result<()> {
        let mut rest = weights;
        self.layers().iter().try_for_each(|layer| layer.check_values(take(&mut rest, layer.weights_len())))
    }

    fn write_words(&self, weights: &[f32], out: &mut [u8]) -> Result<()> {
        self.each((weights, Layer::weights_len), (out, |l: &Layer| 4 * l.words_len()), Layer::write_words)
    }

    pub(crate) fn widen_words(&self, words: &[f32], weights: &mut [f32]) -> Result<()> {
        self.each((words, Layer::words_len), (weights, Layer::weights_len), Layer::widen_words)
    }

    fn pack_words(&self, words: &[f32], panels: &mut [f32]) -> Result<()> {
        let to = (panels, |l: &Layer| l.len(Part::Panels, Dims::ONE));
        self.each((words, Layer::words_len), to, |layer, from, to| match (layer.levels(), layer) {
            (Some(levels), _) => levels.pack_words(from, to),
            (_, Layer::Dense(l)) => l.pack_words(from, to),
            // Tables and scales are packed without changes.
            _ => {
                to[..from.len()].copy_from_slice(from);
                Ok(())
            }
        })
    }

    fn packed_by<B: AsMut<[f32]>>(
        &self,
        packed: B,
        pack: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<Packed<B>> {
        check_packs(self.format())?;
        let owner = self.owner();
        Packed::new(Isa::detect(), owner.fingerprint, owner.panels, packed, pack)
    }

    narrow_weights!(self => self, "layers");

    pub(super) fn pack_by<B: AsMut<[f32]>>(
        &self,
        weights: &[f32],
        packed: B,
        pack: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<Packed<B>> {
        check_len("weights", self.weights_len(), weights.len())?;
        self.check_values(weights)?;
        self.packed_by(packed, pack)
    }
}

impl<const N: usize> Model<N> {
    /// The same model with all matrices in a narrow format for inference. It runs from packed weights
    /// ([`pack`](Self::pack), [`pack_narrow`](Self::pack_narrow)), or in place from the bytes that
    /// [`round`](Self::round) writes. Training keeps `f32` weights. To choose the format of each layer, use
    /// layers that are [narrow](Layer::narrow).
    ///
    /// # Panics
    /// For integers, if a layer has rows of more than 133,144 elements, because their sums could overflow. In
    /// a constant this is a compile error.
    ///
    /// ```
    /// use recurrent::{Narrow, model::{Layer, Model}};
    /// const WIDE: Model<2> = Model::new([Layer::lstm(64, 64), Layer::dense(64, 8)]);
    /// const MODEL: Model<2> = WIDE.narrow(Narrow::W8A16);
    /// assert!(MODEL.narrow_len() * 100 < 4 * MODEL.weights_len() * 30);
    /// let weights = vec![0.01; MODEL.weights_len()];
    /// let packed = MODEL.pack(&weights, vec![0.0; MODEL.packed_len()])?;
    /// let (mut state, mut y) = (vec![0.0; MODEL.state_len(1)], [0.0; 8]);
    /// let mut scratch = vec![0.0; MODEL.scratch_len(1, 1)];
    /// MODEL.step(&packed, &[1.0; 64], &mut y, &mut state, &mut scratch)?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    #[track_caller]
    pub const fn narrow(self, narrow: Narrow) -> Self {
        let (mut layers, mut i) = (self.layers, 0);
        while i < N {
            layers[i] = layers[i].narrow(narrow);
            i += 1;
        }
        self.with(layers)
    }

    narrow_weights!(self => self.chain(), "layers");
}
