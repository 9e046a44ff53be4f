//! Layers on top of each other whose matrices are narrow: their words, and what their format cannot hold.

use super::description::Description;
use super::levels::Levels;
use crate::error::Result;
use crate::kernel::Narrow;
use crate::kernel::bytes::bytes;

impl Levels {
    /// Rejects a format whose sums can overflow for the layers' rows.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) const fn check_narrow(&self) -> Result<()> {
        match self.first.check_narrow() {
            Ok(()) if self.depth > 1 => self.level(1).check_narrow(),
            checked => checked,
        }
    }

    /// Words of the weights in the layers' format.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) const fn words_len(&self) -> usize {
        self.total(self.first.words_len(), self.level(1).words_len())
    }

    /// The same layers with matrices in another format, or in `f32`.
    pub(crate) const fn with_format(self, narrow: Option<Narrow>) -> Self {
        let first = Description { narrow, ..self.first };
        Levels::new(first, self.depth, self.both)
    }

    /// Rejects weights that their format cannot hold, and a format whose sums can overflow.
    pub(crate) fn check_values(&self, weights: &[f32]) -> Result<()> {
        self.check_narrow()?;
        let nowhere = (&mut [0u8; 0][..], |_: &Description| 0);
        self.each((weights, Description::weights_len), nowhere, |level, from, _| match level.format() {
            Some(narrow) => Description::rounded(level.shape, narrow, from).map(drop),
            None => Ok(()),
        })
    }

    /// Rounds weights to the bytes of words. The weights must have been checked. Without a format they are
    /// copied.
    pub(crate) fn write_words(&self, weights: &[f32], out: &mut [u8]) -> Result<()> {
        let (from, to) = ((weights, Description::weights_len), (out, |l: &Description| 4 * l.words_len()));
        self.each(from, to, |level, from, to| {
            match level.format() {
                Some(narrow) => Description::rounded(level.shape, narrow, from)?.write(to),
                None => to.copy_from_slice(bytes(from)),
            }
            Ok(())
        })
    }

    /// Converts words to their `f32` weights.
    pub(crate) fn widen_words(&self, words: &[f32], weights: &mut [f32]) -> Result<()> {
        let (from, to) = ((words, Description::words_len), (weights, Description::weights_len));
        self.each(from, to, |level, from, to| {
            match level.format() {
                Some(narrow) => level.given(narrow, from)?.widen(to),
                None => to.copy_from_slice(from),
            }
            Ok(())
        })
    }

    /// Packs words. They must have been checked.
    pub(crate) fn pack_words(&self, words: &[f32], panels: &mut [f32]) -> Result<()> {
        let (isa, panels) = (self.first.isa(), (panels, Description::panels_len));
        self.each((words, Description::words_len), panels, |level, from, to| match level.format() {
            Some(narrow) => {
                level.pack_given(isa, &level.given(narrow, from)?, to);
                Ok(())
            }
            None => level.pack(level.shape, isa, from, to),
        })
    }
}
