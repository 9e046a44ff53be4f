//! The layout of weights in each framework, one table for each, and the conversion to the layout of this
//! crate.

use std::vec::Vec;

/// The cell of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rnn,
    Lstm,
    Gru,
}

/// The layout of weights in a framework.
#[derive(Debug)]
pub(super) struct Layout {
    /// Positions of the gates `i f g o` of an LSTM.
    lstm: [usize; 4],
    /// Positions of the gates `r z n` of a GRU.
    gru: [usize; 3],
    /// Positions of the peepholes `i f o`.
    peepholes: [usize; 3],
    /// Whether matrices multiply from the right: `[I, G*H]`.
    transposed: bool,
}

/// PyTorch: the layout of this crate.
pub(super) const TORCH: Layout =
    Layout { lstm: [0, 1, 2, 3], gru: [0, 1, 2], peepholes: [0, 1, 2], transposed: false };

/// Keras: LSTM `i f c o`, GRU `z r h`. One bias, which becomes `b_ih`; two with `reset_after`.
pub(super) const KERAS: Layout =
    Layout { lstm: [0, 1, 2, 3], gru: [1, 0, 2], peepholes: [0, 1, 2], transposed: true };

/// ONNX: LSTM `i o f c`, GRU `z r h`, peepholes `i o f`.
pub(super) const ONNX: Layout =
    Layout { lstm: [0, 2, 3, 1], gru: [1, 0, 2], peepholes: [0, 2, 1], transposed: false };

/// The weights of one direction of one layer, in a framework's layout.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pub(super) w_ih: Vec<f32>,
    pub(super) w_hh: Vec<f32>,
    /// `b_ih` and `b_hh`. If the second is missing, it is zero.
    pub(super) bias: Option<(Vec<f32>, Option<Vec<f32>>)>,
    /// In the layout of this crate.
    pub(super) w_hr: Vec<f32>,
    pub(super) peepholes: Vec<f32>,
}

impl Kind {
    /// The cell of an ONNX operator.
    pub(super) fn of(op: &str) -> Option<Self> {
        match op {
            "RNN" => Some(Kind::Rnn),
            "LSTM" => Some(Kind::Lstm),
            "GRU" => Some(Kind::Gru),
            _ => None,
        }
    }

    pub(super) fn gates(self) -> usize {
        match self {
            Kind::Rnn => 1,
            Kind::Lstm => 4,
            Kind::Gru => 3,
        }
    }
}

impl Layout {
    fn order(&self, kind: Kind) -> &[usize] {
        match kind {
            Kind::Rnn => &[0],
            Kind::Lstm => &self.lstm,
            Kind::Gru => &self.gru,
        }
    }

    /// Appends a direction, converted to the layout of this crate. The parts must have the lengths for
    /// `hidden` units.
    pub(super) fn append(&self, kind: Kind, hidden: usize, from: Direction, to: &mut Vec<f32>) {
        let order = self.order(kind);
        for w in [&from.w_ih, &from.w_hh] {
            blocks(w, order, hidden, self.transposed, to);
        }
        if let Some((b_ih, b_hh)) = &from.bias {
            blocks(b_ih, order, hidden, false, to);
            match b_hh {
                Some(b_hh) => blocks(b_hh, order, hidden, false, to),
                None => to.resize(to.len() + b_ih.len(), 0.0),
            }
        }
        to.extend_from_slice(&from.w_hr);
        if !from.peepholes.is_empty() {
            blocks(&from.peepholes, &self.peepholes, hidden, false, to);
        }
    }
}

impl Layout {
    /// Appends a matrix or a bias of this crate with its gates in the order of this layout; it is not
    /// transposed.
    pub(super) fn unblock(&self, kind: Kind, w: &[f32], to: &mut Vec<f32>) {
        unblock(w, self.order(kind), to);
    }

    /// The same for peepholes.
    pub(super) fn unblock_peepholes(&self, p: &[f32], to: &mut Vec<f32>) {
        unblock(p, &self.peepholes, to);
    }
}

/// The reverse of [`blocks`]: moves each block to the position that `order` names.
fn unblock(w: &[f32], order: &[usize], to: &mut Vec<f32>) {
    let len = w.len().checked_div(order.len()).unwrap_or(0);
    let mut out = std::vec![0.0; w.len()];
    for (&gate, block) in order.iter().zip(w.chunks(len.max(1))) {
        out[gate * len..(gate + 1) * len].copy_from_slice(block);
    }
    to.extend(out);
}

/// Appends the blocks of `hidden` rows in the given order. A bias is a matrix of one column.
fn blocks(w: &[f32], order: &[usize], hidden: usize, transposed: bool, to: &mut Vec<f32>) {
    let rows = order.len() * hidden;
    let columns = w.len().checked_div(rows).unwrap_or(0);
    for &gate in order {
        if transposed {
            to.extend(
                (gate * hidden..(gate + 1) * hidden)
                    .flat_map(|row| (0..columns).map(move |column| w[column * rows + row])),
            );
        } else {
            to.extend_from_slice(&w[gate * hidden * columns..][..hidden * columns]);
        }
    }
}

/// Scale and shift of a normalisation with constants, `gamma (x - mean) / deviation + beta`. The function
/// `deviation` computes the deviation from the variance.
pub(super) fn normalisation(
    [gamma, beta, mean, variance]: [&[f32]; 4],
    deviation: impl Fn(f64) -> f64,
) -> [Vec<f32>; 2] {
    let scale = gamma.iter().zip(variance).map(|(g, v)| f64::from(*g) / deviation(f64::from(*v)));
    let scale: Vec<f64> = scale.collect();
    let shift =
        beta.iter().zip(mean).zip(&scale).map(|((b, m), scale)| f64::from(*b) - f64::from(*m) * scale);
    [scale.iter().map(|x| *x as f32).collect(), shift.map(|x| x as f32).collect()]
}

/// The transpose of a matrix with this number of columns.
pub(super) fn transpose(w: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| w.iter().skip(c).step_by(columns).copied()).collect()
}
