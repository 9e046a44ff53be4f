//! Typed views of flat weights.

use core::marker::PhantomData;

use crate::cell::Gate;
use crate::kernel::canonical::{Parts, Shape, Vectors};

/// The named parts of a flat buffer of weights or gradients.
/// [`Recurrent::weights`](crate::Recurrent::weights) returns it.
///
/// Parts that the layer does not have are empty. `R` is the width of the hidden state: `H`, unless there is a
/// projection.
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
    /// Layer normalisation: the gains of the input part, `[G*H]`.
    pub g_ih: &'a [f32],
    /// Layer normalisation: the gains of the hidden part, `[G*H]`.
    pub g_hh: &'a [f32],
    /// Layer normalisation: the gains of the cell state of an LSTM, `[H]`.
    pub g_c: &'a [f32],
    /// Layer normalisation: the bias of the cell state of an LSTM, `[H]`.
    pub b_c: &'a [f32],
    gates: usize,
    gate: PhantomData<G>,
}

/// The named parts of a flat buffer, for writing. [`Recurrent::weights_mut`](crate::Recurrent::weights_mut)
/// returns it.
///
/// Parts that the layer does not have are empty. `R` is the width of the hidden state: `H`, unless there is a
/// projection.
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
    /// Layer normalisation: the gains of the input part, `[G*H]`.
    pub g_ih: &'a mut [f32],
    /// Layer normalisation: the gains of the hidden part, `[G*H]`.
    pub g_hh: &'a mut [f32],
    /// Layer normalisation: the gains of the cell state of an LSTM, `[H]`.
    pub g_c: &'a mut [f32],
    /// Layer normalisation: the bias of the cell state of an LSTM, `[H]`.
    pub b_c: &'a mut [f32],
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
    /// `None` if the length is not that of the shape.
    pub(super) fn new(shape: &Shape, flat: &'a [f32]) -> Option<Self> {
        let Parts { w_ih, w_hh, mut b_ih, mut b_hh, w_hr, mut peepholes } = shape.split(flat)?;
        let mut v = Vectors::default();
        if shape.norm > 0 {
            v = Vectors::split(peepholes, shape.gates * shape.hidden, shape.norm_cell())?;
            (b_ih, b_hh, peepholes) = (v.b_ih, v.b_hh, &[]);
        }
        let Vectors { g_ih, g_hh, g_c, b_c, .. } = v;
        let gates = shape.gates;
        Some(Weights {
            w_ih,
            w_hh,
            b_ih,
            b_hh,
            w_hr,
            peepholes,
            g_ih,
            g_hh,
            g_c,
            b_c,
            gates,
            gate: PhantomData,
        })
    }

    /// One gate's blocks of the first four parts: `[H, I]`, `[H, R]`, `[H]`, `[H]`, and of the gains `g_ih`
    /// and `g_hh`. The other parts are returned whole.
    pub fn gate(&self, gate: G) -> Weights<'a, G> {
        let (gates, gate) = (self.gates, gate.index());
        Weights {
            w_ih: block(self.w_ih, gates, gate),
            w_hh: block(self.w_hh, gates, gate),
            b_ih: block(self.b_ih, gates, gate),
            b_hh: block(self.b_hh, gates, gate),
            g_ih: block(self.g_ih, gates, gate),
            g_hh: block(self.g_hh, gates, gate),
            ..*self
        }
    }
}

impl<'a, G: Gate> WeightsMut<'a, G> {
    /// `None` if the length is not that of the shape.
    pub(super) fn new(shape: &Shape, flat: &'a mut [f32]) -> Option<Self> {
        let Parts { w_ih, w_hh, mut b_ih, mut b_hh, w_hr, mut peepholes } = shape.split_mut(flat)?;
        let mut v = Vectors::default();
        if shape.norm > 0 {
            v = Vectors::split_mut(peepholes, shape.gates * shape.hidden, shape.norm_cell())?;
            (b_ih, b_hh, peepholes) = (v.b_ih, v.b_hh, &mut []);
        }
        let Vectors { g_ih, g_hh, g_c, b_c, .. } = v;
        let gates = shape.gates;
        Some(WeightsMut {
            w_ih,
            w_hh,
            b_ih,
            b_hh,
            w_hr,
            peepholes,
            g_ih,
            g_hh,
            g_c,
            b_c,
            gates,
            gate: PhantomData,
        })
    }

    /// One gate's blocks of the first four parts: `[H, I]`, `[H, R]`, `[H]`, `[H]`, and of the gains `g_ih`
    /// and `g_hh`. The other parts are returned whole.
    pub fn gate(&mut self, gate: G) -> WeightsMut<'_, G> {
        let (gates, gate) = (self.gates, gate.index());
        WeightsMut {
            w_ih: block_mut(self.w_ih, gates, gate),
            w_hh: block_mut(self.w_hh, gates, gate),
            b_ih: block_mut(self.b_ih, gates, gate),
            b_hh: block_mut(self.b_hh, gates, gate),
            w_hr: &mut *self.w_hr,
            peepholes: &mut *self.peepholes,
            g_ih: block_mut(self.g_ih, gates, gate),
            g_hh: block_mut(self.g_hh, gates, gate),
            g_c: &mut *self.g_c,
            b_c: &mut *self.b_c,
            gates: self.gates,
            gate: PhantomData,
        }
    }
}
