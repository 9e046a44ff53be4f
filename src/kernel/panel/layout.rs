//! How the weights of a cell, or of one of its stages, feed its sums.

/// Marks a sum without a bias of one side.
pub(crate) const NONE: usize = usize::MAX;

/// How the weights of a stage feed its sums.
///
/// Each unit has `sums` sums. A sum is a bias, plus the products with the input for the gates that feed it,
/// plus those with the hidden state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Sums of a unit, at most 4.
    pub(crate) sums: usize,
    /// Gates of the input weights. Gate g is rows `g*H..` of `w_ih`, and feeds sum g.
    pub(crate) x_gates: usize,
    /// Gates of the hidden weights.
    pub(crate) h_gates: usize,
    /// The sum that each hidden gate feeds.
    pub(crate) h_map: [usize; 4],
    /// The gate of `w_hh` that is the first hidden gate; the others follow it.
    pub(crate) h_first: usize,
    /// The gate of `b_ih` in each sum, or `NONE`.
    pub(crate) bias_x: [usize; 4],
    /// The gate of `b_hh` in each sum, or `NONE`.
    pub(crate) bias_h: [usize; 4],
    /// Whether there is a cell state besides the hidden state.
    pub(crate) has_c: bool,
}

impl Layout {
    /// One gate of the hidden weights, without biases: the matrix of a second stage, or of a projection.
    pub(crate) const fn hidden_gate(gate: usize) -> Layout {
        Layout {
            sums: 0,
            x_gates: 0,
            h_gates: 1,
            h_map: [0; 4],
            h_first: gate,
            bias_x: [NONE; 4],
            bias_h: [NONE; 4],
            has_c: false,
        }
    }

    /// Vectors of H in one row of the tape: one per sum, and the previous cell state.
    pub(crate) const fn tape_planes(&self) -> usize {
        self.sums + self.has_c as usize
    }

    /// Whether input and hidden weights feed the same sums in the same order.
    #[inline(always)]
    pub(crate) const fn is_uniform(&self) -> bool {
        let mut i = 0;
        while i < 4 {
            if i < self.h_gates && self.h_map[i] != i {
                return false;
            }
            i += 1;
        }
        self.x_gates == self.h_gates && self.x_gates == self.sums
    }

    /// Gates that a layer's weights must have.
    #[inline(always)]
    pub(crate) const fn gates(&self) -> usize {
        let hidden = self.h_first + self.h_gates;
        let (mut gates, mut i) = (if hidden > self.x_gates { hidden } else { self.x_gates }, 0);
        while i < 4 {
            if i < self.sums {
                gates = Self::with_bias(Self::with_bias(gates, self.bias_x[i]), self.bias_h[i]);
            }
            i += 1;
        }
        gates
    }

    /// `gates`, or `gate + 1` if it is larger and `gate` is not `NONE`.
    #[inline(always)]
    const fn with_bias(gates: usize, gate: usize) -> usize {
        if gate != NONE && gate >= gates { gate + 1 } else { gates }
    }
}
