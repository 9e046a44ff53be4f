//! Models whose layers are an array that the compiler knows.

use super::chain::{self, Chain};
use super::held::Held;
use super::layer::Layer;
use super::refusal;
use crate::error::Result;

/// Layers on top of each other.
///
/// A model is a constant that owns nothing, as a layer is. It computes the length of every buffer, in `f32`
/// elements, and runs passes over buffers of the caller. A length that does not fit into `usize` is
/// `usize::MAX`, and the passes reject it.
///
/// ```
/// use recurrent::model::{Layer, Model};
/// const MODEL: Model<3> = Model::new([Layer::embedding(96, 8), Layer::gru(8, 16), Layer::dense(16, 96)]);
/// static WEIGHTS: [f32; MODEL.weights_len()] = [0.0; MODEL.weights_len()];
/// assert_eq!(WEIGHTS.len(), 96 * 8 + 3 * 16 * (8 + 16 + 2) + 96 * (16 + 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model<const N: usize> {
    pub(super) layers: [Layer; N],
    /// `None` until it is set.
    recurrent_dropout: Option<f32>,
    held: Held,
}

impl<const N: usize> Model<N> {
    /// Makes a model of these layers, from the input to the output.
    ///
    /// # Panics
    /// If the layers do not fit together; [`checked`](Self::checked) lists the reasons. In a constant this is
    /// a compile error.
    ///
    /// ```compile_fail
    /// # use recurrent::model::{Layer, Model};
    /// const MODEL: Model<2> = Model::new([Layer::gru(8, 16), Layer::dense(17, 1)]);
    /// # let _ = MODEL;
    /// ```
    #[allow(clippy::panic, reason = "constants have no other way to fail")]
    #[track_caller]
    pub const fn new(layers: [Layer; N]) -> Self {
        match Self::checked(layers) {
            Ok(model) => model,
            Err(e) => panic!("{}", refusal::Text::of(&e).as_str()),
        }
    }

    /// The same, but returns an error for layers that do not fit together. If the number of layers is only
    /// known at run time, use a [`Chain`].
    ///
    /// # Errors
    /// [`Error::Features`](crate::Error::Features) if a layer takes another number of features than the one
    /// before it gives; [`Error::Layers`](crate::Error::Layers) if there is no layer; if an embedding is not
    /// the first; if a recurrent layer or a second pool comes after a pool; if dropout or a pool is the first
    /// or dropout the last; if the probability of dropout is not in `0..1`.
    ///
    /// ```
    /// use recurrent::{Error, model::{Layer, Model}};
    /// let wrong = Model::checked([Layer::gru(8, 16), Layer::dense(17, 1)]);
    /// assert_eq!(wrong, Err(Error::Features { layer: 1, takes: 17, given: 16 }));
    /// ```
    pub const fn checked(layers: [Layer; N]) -> Result<Self> {
        match chain::check(&layers) {
            Ok(()) => {
                let held = chain::held(&layers);
                Ok(Model { layers, recurrent_dropout: None, held })
            }
            Err(e) => Err(e),
        }
    }

    /// The same with this probability of recurrent dropout, for the layers that were made with
    /// [`recurrent_dropout`](crate::Recurrent::recurrent_dropout). A model with such layers needs a
    /// probability before factors are drawn; 0 is allowed. For a model without such layers,
    /// [`draw_dropout`](Self::draw_dropout) and [`forward_backward`](Self::forward_backward) reject a
    /// probability above 0.
    pub const fn recurrent_dropout(mut self, p: f32) -> Self {
        self.recurrent_dropout = Some(p);
        self
    }

    /// The same with other layers.
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    #[track_caller]
    pub(super) const fn with(self, layers: [Layer; N]) -> Self {
        Model { recurrent_dropout: self.recurrent_dropout, ..Self::new(layers) }
    }

    /// The layers, from the input to the output.
    pub const fn layers(&self) -> &[Layer; N] {
        &self.layers
    }

    /// The same model over a slice. Its type does not contain the number of layers.
    #[inline(always)]
    pub const fn chain(&self) -> Chain<'_> {
        Chain::with(&self.layers, self.recurrent_dropout, self.held)
    }
}

impl<'a, const N: usize> From<&'a Model<N>> for Chain<'a> {
    fn from(model: &'a Model<N>) -> Self {
        model.chain()
    }
}
