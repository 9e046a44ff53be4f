//! Views over flat weights, and packed weights.

use core::marker::PhantomData;

use super::stack::Merge;
use crate::cell::Gate;
use crate::error::{Error, Result};
use crate::kernel::canonical::{Parts, Shape};
use crate::kernel::pack::SLACK;
use crate::simd::Isa;

/// The named parts of a flat buffer of weights or gradients. Made by [`Recurrent::weights`](crate::Recurrent::weights).
///
/// Parts that the layer does not have are empty. `R` is the width of the hidden state: `H`, unless there is a projection.
///
/// ```
/// use recurrent::{Gru, GruGate};
/// let layer = Gru::new(1, 2);
/// let flat: Vec<f32> = (0..layer.weights_len()).map(|i| i as f32).collect();
/// let weights = layer.weights(&flat)?;
/// assert_eq!(weights.w_ih, [0.0, 1.0, /* z */ 2.0, 3.0, /* n */ 4.0, 5.0]);
/// assert_eq!(weights.gate(GruGate::Update).w_ih, [2.0, 3.0]);
/// assert_eq!(weights.gate(GruGate::Reset).w_hh, [6.0, 7.0, /**/ 8.0, 9.0]);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, G> {
    /// `[G*H, I]`
    pub w_ih: &'a [f32],
    /// `[G*H, R]`
    pub w_hh: &'a [f32],
    /// `[G*H]`
    pub b_ih: &'a [f32],
    /// `[G*H]`
    pub b_hh: &'a [f32],
    /// The projection of an LSTM, `[R, H]`.
    pub w_hr: &'a [f32],
    /// The peepholes of an LSTM, `[3, H]`, in the order `i f o`.
    pub peepholes: &'a [f32],
    gates: usize,
    gate: PhantomData<G>,
}

/// The named parts of a flat buffer, for writing. Made by [`Recurrent::weights_mut`](crate::Recurrent::weights_mut).
///
/// Parts that the layer does not have are empty. `R` is the width of the hidden state: `H`, unless there is a projection.
#[derive(Debug)]
pub struct WeightsMut<'a, G> {
    /// `[G*H, I]`
    pub w_ih: &'a mut [f32],
    /// `[G*H, R]`
    pub w_hh: &'a mut [f32],
    /// `[G*H]`
    pub b_ih: &'a mut [f32],
    /// `[G*H]`
    pub b_hh: &'a mut [f32],
    /// The projection of an LSTM, `[R, H]`.
    pub w_hr: &'a mut [f32],
    /// The peepholes of an LSTM, `[3, H]`, in the order `i f o`.
    pub peepholes: &'a mut [f32],
    gates: usize,
    gate: PhantomData<G>,
}

/// [`Weights`] of a simple recurrent layer.
pub type RnnWeights<'a> = Weights<'a, crate::cell::RnnGate>;
/// [`WeightsMut`] of a simple recurrent layer.
pub type RnnWeightsMut<'a> = WeightsMut<'a, crate::cell::RnnGate>;
/// [`Weights`] of an LSTM layer.
pub type LstmWeights<'a> = Weights<'a, crate::cell::LstmGate>;
/// [`WeightsMut`] of an LSTM layer.
pub type LstmWeightsMut<'a> = WeightsMut<'a, crate::cell::LstmGate>;
/// [`Weights`] of a GRU layer.
pub type GruWeights<'a> = Weights<'a, crate::cell::GruGate>;
/// [`WeightsMut`] of a GRU layer.
pub type GruWeightsMut<'a> = WeightsMut<'a, crate::cell::GruGate>;
/// [`Weights`] of a minimal gated unit layer.
pub type MguWeights<'a> = Weights<'a, crate::cell::MguGate>;
/// [`WeightsMut`] of a minimal gated unit layer.
pub type MguWeightsMut<'a> = WeightsMut<'a, crate::cell::MguGate>;

fn block(of: &[f32], gates: usize, gate: usize) -> &[f32] {
    let len = of.len() / gates;
    &of[gate * len..(gate + 1) * len]
}

fn block_mut(of: &mut [f32], gates: usize, gate: usize) -> &mut [f32] {
    let len = of.len() / gates;
    &mut of[gate * len..(gate + 1) * len]
}

impl<'a, G: Gate> Weights<'a, G> {
    pub(super) fn new(parts: Parts<&'a [f32]>, gates: usize) -> Self {
        let Parts { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes } = parts;
        Weights { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes, gates, gate: PhantomData }
    }

    /// One gate's blocks of the first four parts: `[H, I]`, `[H, R]`, `[H]`, `[H]`. The others stay whole.
    pub fn gate(&self, gate: G) -> Weights<'a, G> {
        let (gates, gate) = (self.gates, gate.index());
        Weights {
            w_ih: block(self.w_ih, gates, gate),
            w_hh: block(self.w_hh, gates, gate),
            b_ih: block(self.b_ih, gates, gate),
            b_hh: block(self.b_hh, gates, gate),
            ..*self
        }
    }
}

impl<'a, G: Gate> WeightsMut<'a, G> {
    pub(super) fn new(parts: Parts<&'a mut [f32]>, gates: usize) -> Self {
        let Parts { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes } = parts;
        WeightsMut { w_ih, w_hh, b_ih, b_hh, w_hr, peepholes, gates, gate: PhantomData }
    }

    /// One gate's blocks of the first four parts: `[H, I]`, `[H, R]`, `[H]`, `[H]`. The others stay whole.
    pub fn gate(&mut self, gate: G) -> WeightsMut<'_, G> {
        let (gates, gate) = (self.gates, gate.index());
        WeightsMut {
            w_ih: block_mut(self.w_ih, gates, gate),
            w_hh: block_mut(self.w_hh, gates, gate),
            b_ih: block_mut(self.b_ih, gates, gate),
            b_hh: block_mut(self.b_hh, gates, gate),
            w_hr: &mut *self.w_hr,
            peepholes: &mut *self.peepholes,
            gates: self.gates,
            gate: PhantomData,
        }
    }
}

/// Weights in panels for one instruction set: what a pass wants to run on. Made by [`Recurrent::pack`](crate::Recurrent::pack),
/// [`Stack::pack`](crate::Stack::pack) and [`Dense::pack`](crate::Dense::pack).
///
/// The storage is the caller's: a `Vec`, an array, a mutable slice. The layout is the instruction set's
/// and not documented further; keep the canonical weights to save or to change them.
#[derive(Clone, Copy, Debug)]
pub struct Packed<B> {
    pub(super) isa: Isa,
    pub(super) owner: Owner,
    /// Where the panels start.
    pub(super) start: usize,
    pub(super) data: B,
}

/// What packed weights belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Recurrent(LayerId),
    Dense { input: usize, output: usize },
}

/// A recurrent layer, or a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LayerId {
    pub(super) shape: Shape,
    pub(super) stage: usize,
    pub(super) layers: usize,
    pub(super) both: Option<Merge>,
}

impl<B> Packed<B> {
    /// The instruction set that they were packed for, and that passes over them run on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The same with the weights in another place.
    pub(crate) fn with<C>(&self, data: C) -> Packed<C> {
        Packed { isa: self.isa, owner: self.owner, start: self.start, data }
    }

    /// Gives the storage back.
    pub fn into_inner(self) -> B {
        self.data
    }
}

impl Packed<&[f32]> {
    /// Refuses weights that were packed for another layer, or for another instruction set than the layer is pinned to, and
    /// storage that has become shorter than the layer's `packed_len`, but for what was left out to align the panels.
    #[inline(always)]
    pub(super) fn check(&self, owner: Owner, isa: Option<Isa>, packed_len: usize) -> Result<()> {
        let len = self.data.len().saturating_sub(self.start).saturating_add(SLACK);
        check_packing(self.owner == owner && len >= packed_len, self.isa, isa)
    }
}

/// Refuses what was packed for another layer, or for another instruction set than the one that a layer is pinned to.
#[inline(always)]
pub(super) fn check_packing(same_layer: bool, packed: Isa, pinned: Option<Isa>) -> Result<()> {
    if !same_layer {
        return Err(Error::Packing { what: "layer" });
    }
    match pinned {
        Some(isa) if isa != packed => Err(Error::Packing { what: "instruction set" }),
        _ => Ok(()),
    }
}

impl<B: AsRef<[f32]>> Packed<B> {
    /// The same weights, borrowed.
    pub fn as_ref(&self) -> Packed<&[f32]> {
        self.with(self.data.as_ref())
    }
}

/// The weights of a pass: packed, or canonical ones in place.
///
/// Packed weights are what a vector instruction set is fast on. Canonical weights are used where they are, say in
/// flash, without a copy, one unit at a time: this is meant for microcontrollers, and slow elsewhere.
/// Both give the same bits.
///
/// Passes take `impl Into<WeightSource>`, so a `&[f32]`, a `&[f32; N]` and a `&Packed<_>` can be given as they are.
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
    /// Canonical: `w_ih w_hh b_ih b_hh`, then `w_hr` of a projection and the peepholes, as far as the layer has them.
    Canonical(&'a [f32]),
    /// Packed for an instruction set.
    Packed(Packed<&'a [f32]>),
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
