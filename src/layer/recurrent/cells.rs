//! The layer types of the cells, with their options.

use super::description::Description;
use super::front::Recurrent;
use crate::cell::{GruCell, LstmCell, LstmNorm, MguCell, Reset, RnnCell};
use crate::kernel::Activation;
use crate::seq::any::AnyCell;

/// A simple recurrent layer, of tanh units by default. [`RnnCell`] has the equation.
///
/// ```
/// use recurrent::{Activation, Rnn};
/// const LAYER: Rnn = Rnn::new(2, 3).activation(Activation::Relu);
/// assert_eq!(LAYER.weights_len(), 3 * (2 + 3 + 2)); // w_ih, w_hh, and two biases
/// ```
pub type Rnn = Recurrent<RnnCell>;
/// A long short-term memory layer. [`LstmCell`] has the equations.
///
/// ```
/// use recurrent::Lstm;
/// const LAYER: Lstm = Lstm::new(2, 3);
/// let (weights, mut scratch) = ([0.0; LAYER.weights_len()], [0.0; LAYER.scratch_len(1, 1)]);
/// let mut state = [0.0, 0.0, 0.0, /* c */ 1.0, 2.0, 4.0];
/// LAYER.step(&weights, &[9.0, 9.0], &mut state, &mut scratch)?;
/// assert_eq!(state[3..], [0.5, 1.0, 2.0]); // without weights the forget gate is half open
/// # Ok::<(), recurrent::Error>(())
/// ```
pub type Lstm = Recurrent<LstmCell>;
/// A gated recurrent unit layer. [`GruCell`] has the equations of both forms.
///
/// ```
/// use recurrent::{Gru, Reset};
/// const KERAS_1: Gru = Gru::new(2, 3).reset(Reset::Before);
/// assert_eq!((KERAS_1.cell().reset, KERAS_1.weights_len()), (Reset::Before, 3 * 3 * (2 + 3 + 2)));
/// ```
pub type Gru = Recurrent<GruCell>;
/// A minimal gated unit layer: one gate, two thirds of a GRU's weights. [`MguCell`] has its equations.
pub type Mgu = Recurrent<MguCell>;

impl Rnn {
    /// A layer of `hidden` tanh units over `input` features.
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::of(Description::new(AnyCell::Rnn(Self::STANDARD), input, hidden))
    }

    /// The same layer with another activation. Tanh and ReLU are fast; all others use the slower code for
    /// [options](Recurrent#options).
    pub const fn activation(self, activation: Activation) -> Self {
        let slow = !matches!(activation, Activation::Tanh | Activation::Relu);
        self.with(RnnCell { activation, ..self.cell() }, slow)
    }

    /// The same layer, with the argument of the activation clipped to `-clip..=clip`, as ONNX' `clip`. Where
    /// it is clipped, the gradient is 0.
    pub const fn clip(self, clip: f32) -> Self {
        self.with(RnnCell { clip, ..self.cell() }, true)
    }
}

impl Lstm {
    /// A layer of `hidden` units over `input` features.
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::of(Description::new(AnyCell::Lstm(Self::STANDARD), input, hidden))
    }

    /// The same layer with other activations: of the gates `i f o`, of the cell gate `g`, and of the cell
    /// state in the output (ONNX' f, g and h).
    pub const fn activations(self, gates: Activation, cell: Activation, hidden: Activation) -> Self {
        self.with(LstmCell { gates, cell, hidden, ..self.cell() }, true)
    }

    /// The same layer, with the argument of every activation clipped to `-clip..=clip`, as ONNX' `clip`.
    /// Where it is clipped, the gradient is 0. This follows the text of the ONNX operator; ONNX Runtime 1.31
    /// does not clip the argument of the activation in the output (ONNX' h).
    pub const fn clip(self, clip: f32) -> Self {
        self.with(LstmCell { clip, ..self.cell() }, true)
    }

    /// The same layer with the forget gate `f = 1 - i`, as ONNX' `input_forget`. The weights keep the rows of
    /// the forget gate, which are not used.
    pub const fn coupled(self) -> Self {
        self.with(LstmCell { coupled: true, ..self.cell() }, true)
    }

    /// The same layer with peepholes: the gates see the cell state (Gers and Schmidhuber 2000). The weights
    /// get three more vectors of H, in the order `i f o`.
    pub const fn peepholes(self) -> Self {
        let mut layer = self.levels.first;
        layer.shape.peepholes = true;
        Self::of(layer).with(LstmCell { peepholes: true, ..self.cell() }, true)
    }

    /// The same layer with its output projected to `width` elements (Sak et al. 2014, arXiv:1402.1128;
    /// PyTorch's `proj_size`). The hidden state has that width, and `w_hr [R, H]` follows the biases in the
    /// weights.
    pub const fn projection(self, width: usize) -> Self {
        let mut layer = self.levels.first;
        layer.shape = layer.shape.project(width);
        Self::of(layer).with(LstmCell { projection: true, ..self.cell() }, true)
    }

    /// The same layer with layer normalisation (Ba et al. 2016, arXiv:1607.06450) in one of its two forms;
    /// [`LstmCell`] has the equations. The gains `g_ih [4*H]` and `g_hh [4*H]`, and gain and bias of the cell
    /// state, `g_c [H]` and `b_c [H]`, follow the biases in the weights. The initial gains are 1, and all
    /// biases 0.
    ///
    /// Normalised products do not depend on the scale of the input. If a layer has a single input feature,
    /// little more than the sign of the input has an effect.
    ///
    /// Layer normalisation excludes narrow weights and all other [options](Recurrent#options) except
    /// recurrent dropout: the passes reject such a layer with [`Error::Layers`](crate::Error::Layers).
    ///
    /// ```
    /// use recurrent::{Lstm, LstmNorm};
    /// const LAYER: Lstm = Lstm::new(2, 3).layer_norm(LstmNorm::Output);
    /// assert_eq!(LAYER.weights_len(), Lstm::new(2, 3).weights_len() + 2 * 4 * 3 + 2 * 3);
    /// ```
    pub const fn layer_norm(self, norm: LstmNorm) -> Self {
        let cell = LstmCell { norm: Some(norm), ..self.cell() };
        let mut layer = self.levels.first;
        layer.shape.norm = AnyCell::Lstm(cell).norm();
        Self::of(layer).with(cell, true)
    }
}

impl Gru {
    /// A layer of `hidden` units over `input` features, in PyTorch's form (reset after).
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::of(Description::new(AnyCell::Gru(Self::STANDARD), input, hidden))
    }

    /// The same layer in the given form. The two forms give different results for the same weights.
    pub const fn reset(self, reset: Reset) -> Self {
        self.with(GruCell { reset, ..self.cell() }, false)
    }

    /// The same layer with other activations: of the gates `r z`, and of the new gate (ONNX' f and g).
    pub const fn activations(self, gates: Activation, new: Activation) -> Self {
        self.with(GruCell { gates, new, ..self.cell() }, true)
    }

    /// The same layer, with the argument of every activation clipped to `-clip..=clip`, as ONNX' `clip`.
    /// Where it is clipped, the gradient is 0.
    pub const fn clip(self, clip: f32) -> Self {
        self.with(GruCell { clip, ..self.cell() }, true)
    }

    /// The same layer with layer normalisation (Ba et al. 2016, arXiv:1607.06450); [`GruCell`] has the
    /// equations. The gains `g_ih [3*H]` and `g_hh [3*H]` follow the biases in the weights. The initial gains
    /// are 1, and all biases 0.
    ///
    /// Layer normalisation excludes narrow weights, the form "reset before", and all other
    /// [options](Recurrent#options) except recurrent dropout: the passes reject such a layer with
    /// [`Error::Layers`](crate::Error::Layers).
    ///
    /// ```
    /// use recurrent::Gru;
    /// const LAYER: Gru = Gru::new(2, 3).layer_norm();
    /// assert_eq!(LAYER.weights_len(), Gru::new(2, 3).weights_len() + 2 * 3 * 3);
    /// ```
    pub const fn layer_norm(self) -> Self {
        let cell = GruCell { norm: true, ..self.cell() };
        let mut layer = self.levels.first;
        layer.shape.norm = AnyCell::Gru(cell).norm();
        Self::of(layer).with(cell, true)
    }
}

impl Mgu {
    /// A layer of `hidden` units over `input` features (Zhou et al. 2016, arXiv:1603.09420).
    ///
    /// ```
    /// use recurrent::{Gru, Mgu};
    /// assert_eq!(3 * Mgu::new(8, 16).weights_len(), 2 * Gru::new(8, 16).weights_len());
    /// ```
    pub const fn new(input: usize, hidden: usize) -> Self {
        Recurrent::of(Description::new(AnyCell::Mgu(Self::STANDARD), input, hidden))
    }
}

macro_rules! cells {
    ($($kind:ident: $cell:ident, $standard:expr;)+) => {$(
        impl $kind {
            const STANDARD: $cell = $standard;

            /// The cell and its options.
            pub const fn cell(&self) -> $cell {
                match self.levels.first.cell {
                    AnyCell::$kind(cell) => cell,
                    // Unreachable: a layer of this type has this cell.
                    _ => Self::STANDARD,
                }
            }

            /// The same layer with another cell. `options` says whether the cell needs more than the fused
            /// equations have.
            #[allow(dead_code, reason = "an MGU has none")]
            const fn with(self, cell: $cell, options: bool) -> Self {
                let layer = self.levels.first;
                let options = layer.options || options;
                Recurrent::of(Description { cell: AnyCell::$kind(cell), options, ..layer }.linked())
            }
        }
    )+};
}
cells! {
    Rnn: RnnCell, RnnCell { activation: Activation::Tanh, clip: f32::INFINITY };
    Lstm: LstmCell, LstmCell::STANDARD;
    Gru: GruCell, GruCell::STANDARD;
    Mgu: MguCell, MguCell;
}
