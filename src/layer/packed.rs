//! Weights packed into panels, and the weights that a pass is given.

use crate::error::{Error, Result, check_len, check_room};
use crate::kernel::bytes::floats;
use crate::kernel::pack::{SLACK, aligned_start};
use crate::simd::{Isa, MAX_LANES};

/// Weights packed into panels for one instruction set, which passes over them run on. Made by
/// [`Recurrent::pack`](crate::Recurrent::pack), [`Stack::pack`](crate::Stack::pack),
/// [`Dense::pack`](crate::Dense::pack) and [`Model::pack`](crate::model::Model::pack).
///
/// The storage is the caller's: a `Vec`, an array, a mutable slice. The layout depends on the instruction set
/// and is not documented. Keep the canonical weights to save or change them.
#[derive(Clone, Copy, Debug)]
pub struct Packed<B> {
    isa: Isa,
    owner: Fingerprint,
    /// Where the panels start.
    start: usize,
    data: B,
}

/// Whether layers and models hold what only packed weights need: fingerprints and lengths of panels. In
/// firmware whose layers are not constants these are computed where packed weights are made or checked, so
/// that programs without packed weights do not link it.
pub(crate) const HOLDS_PACKING: bool = cfg!(not(all(target_os = "none", feature = "named-forms")));

/// A hash in 64 bits of everything that decides how weights are packed. Layers or models with equal
/// fingerprints have the same panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) u64);

impl Fingerprint {
    /// In place of one that is not held.
    pub(crate) const NONE: Self = Fingerprint(0);

    /// The fingerprint of a kind of layer.
    pub(crate) const fn new(kind: usize) -> Self {
        Fingerprint(0).and(kind)
    }

    /// Mixes one more number into the fingerprint.
    pub(crate) const fn and(self, number: usize) -> Self {
        self.with(Fingerprint(number as u64))
    }

    /// Mixes another fingerprint, or any 64 bits, into this one.
    pub(crate) const fn with(self, Fingerprint(bits): Fingerprint) -> Self {
        // Each step is invertible, so it never maps different inputs to one value. The constant is from
        // SplitMix (Steele et al. 2014).
        let mixed = (self.0.rotate_left(23) ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Fingerprint(mixed ^ mixed >> 32)
    }
}

/// The length that a layer takes among others: rounded up, so that the next layer starts at a whole vector,
/// too. `usize::MAX` if it does not fit.
pub(crate) const fn aligned_len(len: usize) -> usize {
    match len.checked_next_multiple_of(MAX_LANES) {
        Some(len) => len,
        None => usize::MAX,
    }
}

/// Length of a buffer for panels of this length. It has room to align them, wherever the buffer starts.
pub(crate) const fn packed_len(panels: usize) -> usize {
    if panels == 0 { 0 } else { panels.saturating_add(SLACK) }
}

impl<B> Packed<B> {
    /// The instruction set that the weights were packed for, and that passes over them run on. (Layers of a
    /// model that have few units may run on an instruction set with narrower vectors.)
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Gives the storage back.
    pub fn into_inner(self) -> B {
        self.data
    }
}

impl<B: AsMut<[f32]>> Packed<B> {
    /// Packs weights into `data` by calling `pack`. The panels start at the first whole vector in `data`.
    pub(crate) fn new(
        isa: Isa,
        owner: Fingerprint,
        panels: usize,
        mut data: B,
        pack: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<Self> {
        let start = prepare(panels, data.as_mut(), pack)?;
        Ok(Packed { isa, owner, start, data })
    }
}

fn prepare(panels: usize, data: &mut [f32], pack: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<usize> {
    check_room("packed", packed_len(panels), data.len())?;
    let start = aligned_start(data);
    pack(data.get_mut(start..).and_then(|rest| rest.get_mut(..panels)).unwrap_or_default())?;
    Ok(start)
}

impl<B: AsRef<[f32]>> Packed<B> {
    /// The same weights, borrowed.
    pub fn as_ref(&self) -> Packed<&[f32]> {
        Packed { isa: self.isa, owner: self.owner, start: self.start, data: self.data.as_ref() }
    }
}

impl<'a> Packed<&'a [f32]> {
    /// The panels; `None` if the storage has become shorter than their length.
    #[inline(always)]
    fn panels(&self, len: usize) -> Option<&'a [f32]> {
        self.data.get(self.start..)?.get(..len)
    }

    /// The same, if they were packed for this owner, and for the instruction set that it is pinned to.
    #[inline(always)]
    pub(crate) fn panels_of(&self, owner: Fingerprint, pinned: Option<Isa>, len: usize) -> Option<&'a [f32]> {
        check_packing(self.owner == owner, "layer", self.isa, pinned).ok()?;
        self.panels(len)
    }
}

/// Rejects what was packed for something else, or for an instruction set other than the one that a layer is
/// pinned to.
#[inline(always)]
pub(crate) fn check_packing(same: bool, what: &'static str, packed: Isa, pinned: Option<Isa>) -> Result<()> {
    if !same {
        return Err(Error::Packing { what });
    }
    match pinned {
        Some(isa) if isa != packed => Err(Error::Packing { what: "instruction set" }),
        _ => Ok(()),
    }
}

/// The weights of a pass: packed, or canonical ones in place.
///
/// Packed weights are fast on instruction sets with vectors. Canonical weights are read where they are, for
/// example in flash, without a copy, one unit at a time: this is meant for microcontrollers, and slow
/// elsewhere. Both give the same bits.
///
/// Passes take `impl Into<WeightSource>`: `&[f32]`, `&[f32; N]` and `&Packed<_>` can be passed directly.
///
/// ```
/// use recurrent::{Rnn, WeightSource};
/// let layer = Rnn::new(2, 3);
/// let weights = vec![0.3; layer.weights_len()];
/// let packed = layer.pack(&weights, vec![0.0; layer.packed_len()])?;
/// let last = [WeightSource::from(&weights), (&packed).into()].map(|source| {
///     let (mut state, mut scratch) = ([0.0; 3], vec![0.0; layer.scratch_len(1, 1)]);
///     layer.step(source, &[0.5, -0.2], &mut state, &mut scratch).map(|()| state)
/// });
/// assert_eq!(last[0]?, last[1]?);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum WeightSource<'a> {
    /// Canonical weights. Of a layer: `w_ih w_hh b_ih b_hh`, then `w_hr` of a projection and the peepholes,
    /// or the gains of layer normalisation, if the layer has them. Of a model: layer by layer.
    Canonical(&'a [f32]),
    /// Canonical weights of a narrow layer or model, as its `round` writes them, aligned to 4 bytes: for
    /// targets without an operating system, which cannot pack them. On other targets such weights have to be
    /// packed, unless the feature `reference` is on. They give the same bits as packed ones.
    Narrow(&'a [u8]),
    /// Packed for an instruction set.
    Packed(Packed<&'a [f32]>),
}

/// The layer or model whose weights a pass expects.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    /// What is packed, for errors: "layer" or "model".
    pub(crate) what: &'static str,
    pub(crate) fingerprint: Fingerprint,
    /// Lengths of canonical weights and of panels.
    pub(crate) weights: usize,
    pub(crate) panels: usize,
    pub(crate) pinned: Option<Isa>,
    /// Whether weights are in a narrow format: in `f32` they have to be packed before use.
    pub(crate) narrow: bool,
    /// The length of narrow weights in words, if they can be used in place.
    pub(crate) words: Option<usize>,
}

const ALIGNED: Error = Error::Value { argument: "narrow", expected: "aligned to 4 bytes" };

/// Narrow weights of `len` bytes as words of 4 bytes.
pub(crate) fn words(narrow: &[u8], len: usize) -> Result<&[f32]> {
    check_len("narrow", len, narrow.len())?;
    floats(narrow).ok_or(ALIGNED)
}

/// Weights that have been checked, of one layer or of several.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Canonical(&'a [f32]),
    /// Canonical weights in the formats of their layers, as words of 4 bytes.
    Words(&'a [f32]),
    /// Panels, and the instruction set that they were packed for.
    Panels(&'a [f32], Isa),
}

impl<'a> WeightSource<'a> {
    /// Rejects weights of another layer or model, and packed ones whose storage has become shorter.
    #[inline(always)]
    pub(crate) fn check(self, owner: Owner) -> Result<Source<'a>> {
        match self {
            WeightSource::Canonical(flat) => canonical(flat, owner.weights, owner.narrow),
            WeightSource::Narrow(bytes) => match owner.words {
                Some(len) => Ok(Source::Words(words(bytes, len.saturating_mul(4))?)),
                None => Err(Error::Value {
                    argument: "weights",
                    expected: "packed or in f32: here narrow weights cannot be used in place",
                }),
            },
            WeightSource::Packed(packed) => {
                let same = packed.owner == owner.fingerprint;
                check_packing(same, owner.what, packed.isa, owner.pinned)?;
                let panels = packed.panels(owner.panels).ok_or(Error::Packing { what: owner.what })?;
                Ok(Source::Panels(panels, packed.isa))
            }
        }
    }
}

/// Canonical weights of a layer or model that has `weights` of them. `narrow`: whether they are in a narrow
/// format.
#[inline(always)]
pub(crate) fn canonical(flat: &[f32], weights: usize, narrow: bool) -> Result<Source<'_>> {
    check_len("weights", weights, flat.len())?;
    if narrow {
        let expected = "packed: a layer of narrow weights needs weights that `pack` has rounded";
        return Err(Error::Value { argument: "weights", expected });
    }
    Ok(Source::Canonical(flat))
}

impl<'a> Source<'a> {
    /// The weights as they are, for layers that are not packed.
    #[inline(always)]
    pub(crate) fn flat(self) -> &'a [f32] {
        match self {
            Source::Canonical(flat) | Source::Words(flat) | Source::Panels(flat, _) => flat,
        }
    }

    /// The instruction set that the panels are for, or the result of `choose` for weights in place.
    #[inline(always)]
    pub(crate) fn isa(self, choose: impl FnOnce() -> Isa) -> Isa {
        match self {
            Source::Canonical(_) | Source::Words(_) => choose(),
            Source::Panels(_, isa) => isa,
        }
    }
}

impl<'a> From<&'a [f32]> for WeightSource<'a> {
    fn from(flat: &'a [f32]) -> Self {
        WeightSource::Canonical(flat)
    }
}

impl<'a, const N: usize> From<&'a [f32; N]> for WeightSource<'a> {
    fn from(flat: &'a [f32; N]) -> Self {
        WeightSource::Canonical(flat)
    }
}

impl<'a> From<&'a [u8]> for WeightSource<'a> {
    fn from(narrow: &'a [u8]) -> Self {
        WeightSource::Narrow(narrow)
    }
}

#[cfg(feature = "std")]
impl<'a> From<&'a std::vec::Vec<f32>> for WeightSource<'a> {
    fn from(flat: &'a std::vec::Vec<f32>) -> Self {
        WeightSource::Canonical(flat)
    }
}

impl<'a, B: AsRef<[f32]>> From<&'a Packed<B>> for WeightSource<'a> {
    fn from(packed: &'a Packed<B>) -> Self {
        WeightSource::Packed(packed.as_ref())
    }
}
