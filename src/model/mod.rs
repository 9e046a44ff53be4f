//! Models: layers on top of each other, over flat buffers of the caller.
//!
//! A [`Model`] is a constant: an array of [`Layer`]s, from the input to the output. It owns nothing and allocates nothing. It tells
//! how long every buffer has to be, and its passes cut the buffers; nobody else has to. So the same
//! model trains on a desktop and runs in firmware, from weights in flash.
//!
//! | pass | what it does |
//! |---|---|
//! | [`init`](Model::init) | draws initial weights |
//! | [`forward_backward`](Model::forward_backward) | the loss of a batch, and its gradients |
//! | [`pack`](Model::pack) | arranges weights for the vectors of the CPU |
//! | [`forward`](Model::forward) | the outputs of whole sequences |
//! | [`step`](Model::step) | one step of each row, as a microcontroller takes them |
//! | [`generate`](Model::generate) | ids out of a language model |
//!
//! Layers that are not known before the program runs, those of a file for instance, are a [`Chain`] over a slice, with the same passes.
//! With `std` a [`Trainer`](crate::trainer::Trainer) holds the buffers, and a training takes twenty lines.
//!
//! # The buffers
//! Each of them is one slice of `f32`, with the layers' parts in the order of the layers. For the model below, which has `T` steps, `B` rows,
//! and `O_i` features of output in layer `i`:
//!
//! ```text
//!                    embedding     lstm            dropout     dense
//! weights, gradients [V, D]        of the stack    -           [O, I] [O]
//! state              -             h, c [B, H]     -           -
//! dropout            -             -               [T, B, H]   -            factors; with recurrent dropout [B, H] of each stack, too
//!
//! tape     | O_0 | O_1 | O_2 | O_3 | tapes of the recurrent layers |        outputs [T, B, O_i] of all layers first
//!
//! scratch of forward and step      | O_0 | O_1 | O_2 | what one layer needs |
//! scratch of forward_backward      | dy | dx | what one layer needs |       two gradients [T, B, widest], which change places
//! ```
//!
//! Above a [pool](Layer::Pool) there is one row for each sequence, `[B, O_i]`. Gradients and moments of the optimiser have the layout of the
//! weights, so that a checkpoint is a copy and a clip is a loop.
//!
//! # Ids or values
//! A model that begins with an embedding takes ids, any other takes values: [`Input`]. What it learns from is a [`Loss`]: classes, yes or no,
//! numbers. [`Sequences`](crate::Sequences) says which steps of a padded batch take part, in the layers, the pool and the loss alike. What stands in the
//! padding does not matter, with two exceptions: ids have to be ids, and values that a dense layer sees first have to be
//! finite, and not so large that its output is infinite.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use recurrent::model::{Layer, Loss, Model, Training};
//! use recurrent::train::{Adam, clip_norm};
//! use recurrent::Sequences;
//!
//! const MODEL: Model<4> =
//!     Model::new([Layer::embedding(5, 4), Layer::lstm(4, 12), Layer::Dropout(0.1), Layer::dense(12, 5)]);
//! const T: usize = 7;
//! const B: usize = 2;
//! let mut weights = [0.0; MODEL.weights_len()];
//! let mut grads = [0.0; MODEL.weights_len()];
//! let mut moments = [0.0; Adam::moments_len(MODEL.weights_len())];
//! let mut dropout = [0.0; MODEL.dropout_len(T, B)];
//! let mut tape = [0.0; MODEL.tape_len(T, B)];
//! let mut scratch = vec![0.0; MODEL.train_scratch_len(T, B)];
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! MODEL.init(&mut weights, &mut rng)?;
//!
//! // Counting modulo five; the second row is shorter.
//! let x = [0, 3, /**/ 1, 4, /**/ 2, 0, /**/ 3, 1, /**/ 4, 0, /**/ 0, 0, /**/ 1, 0]; // [T, B]
//! let next = x.map(|id| (id + 1) % 5);
//! let sequences = Sequences::new(T, B).lengths(&[7, 4]);
//! let mut adam = Adam::new(0.05);
//! for _ in 0..40 {
//!     let mut state = [0.0; MODEL.state_len(B)];
//!     MODEL.draw_dropout(&mut dropout, T, B, &mut rng)?;
//!     MODEL.forward_backward(&weights, Training {
//!         sequences, x: (&x).into(), loss: Loss::classes(&next), grads: &mut grads, state: &mut state,
//!         dropout: Some(&dropout), tape: &mut tape, scratch: &mut scratch, ..Default::default()
//!     })?;
//!     clip_norm(&mut grads, 5.0)?;
//!     adam.update(&mut weights, &grads, &mut moments)?;
//! }
//!
//! let (mut state, mut y) = ([0.0; MODEL.state_len(1)], [0.0; 5]);
//! for id in [2, 3, 4] {
//!     MODEL.step(&weights, &[id], &mut y, &mut state, &mut scratch)?;
//!     assert_eq!(recurrent::argmax(&y)? as u32, (id + 1) % 5);
//! }
//! # Ok::<(), recurrent::Error>(())
//! ```

//!
//! # The files
//! This folder may import `train`, `loss`, `layer` and every floor below. `chain` has the lengths, and the passes of a slice; `forward` and `train`
//! the passes, which cut the buffers once; `through` how they go from layer to layer; `layer` says what a layer is, and `args` what
//! passes are given.

mod args;
mod chain;
mod forward;
mod layer;
mod through;
mod train;

use rand_core::Rng;

use crate::error::{Error, Result};
use crate::layer::packed::Fingerprint;

pub use crate::layer::{Packed, WeightSource};
pub use crate::loss::Loss;
pub use args::{Forward, Input, Training};
pub use chain::Chain;
#[cfg(feature = "std")]
pub(crate) use chain::Owned;
pub use layer::Layer;

/// Runs a pass of a constant model: here over its slice, and in firmware, which is compiled as a whole, over its array.
macro_rules! run {
    ($model:ident, $floor:ident::$pass:ident($($arg:expr),*)) => {{
        #[cfg(target_os = "none")]
        {
            $floor::$pass(&$model.layers, $model.chain() $(, $arg)*)
        }
        #[cfg(not(target_os = "none"))]
        {
            $model.chain().$pass($($arg),*)
        }
    }};
}

/// Layers on top of each other.
///
/// Like a layer it is a constant that owns nothing: it tells the length of every buffer, in `f32` elements, and runs passes
/// over buffers of the caller. A length that does not fit into `usize` is `usize::MAX`, and the passes refuse it.
///
/// ```
/// use recurrent::model::{Layer, Model};
/// const MODEL: Model<3> = Model::new([Layer::embedding(96, 8), Layer::gru(8, 16), Layer::dense(16, 96)]);
/// static WEIGHTS: [f32; MODEL.weights_len()] = [0.0; MODEL.weights_len()];
/// assert_eq!(WEIGHTS.len(), 96 * 8 + 3 * 16 * (8 + 16 + 2) + 96 * (16 + 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model<const N: usize> {
    layers: [Layer; N],
    recurrent_dropout: f32,
    fingerprint: Fingerprint,
}

impl<const N: usize> Model<N> {
    /// A model of these layers, from the input to the output.
    ///
    /// # Panics
    /// If layers do not fit together, as [`checked`](Self::checked) says. In a constant that is an error of the compiler.
    ///
    /// ```compile_fail
    /// # use recurrent::model::{Layer, Model};
    /// const MODEL: Model<2> = Model::new([Layer::gru(8, 16), Layer::dense(17, 1)]);
    /// # let _ = MODEL;
    /// ```
    #[track_caller]
    pub const fn new(layers: [Layer; N]) -> Self {
        match Self::checked(layers) {
            Ok(model) => model,
            Err(Error::Layers { layer, what }) => refuse(layer, what),
            Err(_) => refuse(0, "does not fit"),
        }
    }

    /// The same with an error for layers that do not fit together. If even their number is not known before the program runs, it is a
    /// [`Chain`].
    ///
    /// # Errors
    /// [`Error::Layers`] if there is no layer; if a layer takes another number of features than the one before it gives; if an
    /// embedding is not the first; if a recurrent layer or a second pool comes after a pool; if dropout or a pool is the first
    /// or dropout the last; if the probability of dropout is not in `0..1`.
    ///
    /// ```
    /// use recurrent::{Error, model::{Layer, Model}};
    /// let wrong = Model::checked([Layer::gru(8, 16), Layer::dense(17, 1)]);
    /// assert!(matches!(wrong, Err(Error::Layers { layer: 1, .. })));
    /// ```
    pub const fn checked(layers: [Layer; N]) -> Result<Self> {
        match chain::check(&layers) {
            Ok(fingerprint) => Ok(Model { layers, recurrent_dropout: 0.0, fingerprint }),
            Err(e) => Err(e),
        }
    }

    /// The same with this probability of recurrent dropout in the layers that were made
    /// [able to](crate::Recurrent::recurrent_dropout).
    pub const fn recurrent_dropout(mut self, p: f32) -> Self {
        self.recurrent_dropout = p;
        self
    }

    /// The layers, from the input to the output.
    pub const fn layers(&self) -> &[Layer; N] {
        &self.layers
    }

    /// The same model over a slice, whose type has no number in it.
    #[inline(always)]
    pub const fn chain(&self) -> Chain<'_> {
        Chain::with(&self.layers, self.recurrent_dropout, self.fingerprint)
    }

    /// Arranges canonical weights for the instruction set, in a buffer of [`packed_len`](Self::packed_len) elements. Pack once after
    /// loading or changing weights, then run any number of passes.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights` or `packed`.
    #[inline(always)]
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        self.chain().pack_by(weights, packed, |to| run!(self, forward::pack_into(weights, to)))
    }

    /// A batch of sequences from given states: the outputs, and the last states.
    ///
    /// Any number of [`step`](Self::step)s, or of calls with chunks of the sequences, gives the same bits, if no layer runs in reverse and
    /// there is no pool. Dropout does nothing.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for an id that is not below the
    /// embedding's classes; [`Error::Value`] for values where ids are wanted, or the reverse; [`Error::Packing`] if the
    /// weights were packed for another model.
    ///
    /// ```
    /// use recurrent::{Pool, Sequences, model::{Forward, Layer, Model}};
    /// const MODEL: Model<3> = Model::new([Layer::gru(2, 4), Layer::Pool(Pool::Last), Layer::dense(4, 1)]);
    /// let weights = vec![0.1; MODEL.weights_len()];
    /// let packed = MODEL.pack(&weights, vec![0.0; MODEL.packed_len()])?;
    /// let x = [1.0, 2.0, /**/ 3.0, 4.0, /**/ 5.0, 6.0]; // [T, B, 2]
    /// let (mut y, mut state) = ([0.0; 1], vec![0.0; MODEL.state_len(1)]);
    /// let mut scratch = vec![0.0; MODEL.scratch_len(3, 1)];
    /// let sequences = Sequences::new(3, 1);
    /// MODEL.forward(&packed, Forward { sequences, x: (&x).into(), y: &mut y, state: &mut state, scratch: &mut scratch })?;
    /// assert!(y[0] > 0.1);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        let weights = weights.into();
        run!(self, forward::forward(weights, args))
    }

    /// One step of each row: ids `[B]` or values `[B, I]` in, `y [B, O]` out. The batch is as many rows as `x` has. With canonical weights
    /// this is the way of a microcontroller: they stay where they are, say in flash.
    ///
    /// `scratch` has at least [`scratch_len(1, B)`](Self::scratch_len) elements. A model that ends in the
    /// [last step](crate::Pool::Last) gives at each step what it would say if the sequence ended there.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); [`Error::Layers`] for a model that does not run forward step by step: that has a layer
    /// in reverse or in both directions, or a pool over all steps.
    ///
    /// ```
    /// use recurrent::model::{Layer, Model};
    /// const MODEL: Model<2> = Model::new([Layer::gru(3, 24), Layer::dense(24, 2)]);
    /// static WEIGHTS: [f32; MODEL.weights_len()] = [0.01; MODEL.weights_len()];
    /// let (mut state, mut scratch) = ([0.0; MODEL.state_len(1)], [0.0; MODEL.scratch_len(1, 1)]);
    /// let mut y = [0.0; 2];
    /// for sample in [[0.1, 0.2, 9.8], [0.0, 0.3, 9.7]] {
    ///     MODEL.step(&WEIGHTS, &sample, &mut y, &mut state, &mut scratch)?;
    /// }
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn step<'w, 'x>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: impl Into<Input<'x>>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let (weights, x) = (weights.into(), x.into());
        run!(self, forward::step(weights, x, y, state, scratch))
    }

    /// The mean loss of a batch of sequences, and its gradients; the states become the last ones.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name of the buffer;
    /// [`Error::Index`](crate::Error::Index) for an id that is not below the embedding's classes or a target that is not below the
    /// outputs; [`Error::Value`](crate::Error::Value) for values where ids are wanted, or the reverse.
    ///
    /// ```
    /// use recurrent::{Sequences, model::{Layer, Loss, Model, Training}, train::{Adam, clip_scale}};
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// const MODEL: Model<3> = Model::new([Layer::embedding(5, 4), Layer::gru(4, 8), Layer::dense(8, 5)]);
    /// let (steps, batch) = (6, 2);
    /// let (mut weights, mut grads) = (vec![0.0; MODEL.weights_len()], vec![0.0; MODEL.weights_len()]);
    /// let (mut tape, mut state) = (vec![0.0; MODEL.tape_len(steps, batch)], vec![0.0; MODEL.state_len(batch)]);
    /// let mut scratch = vec![0.0; MODEL.train_scratch_len(steps, batch)];
    /// let (mut adam, mut moments) = (Adam::new(0.02), vec![0.0; Adam::moments_len(weights.len())]);
    /// MODEL.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let x = [0, 1, /**/ 1, 2, /**/ 2, 3, /**/ 3, 4, /**/ 4, 0, /**/ 0, 1]; // [T, B]
    /// let next = x.map(|id| (id + 1) % 5);
    /// let mut losses = vec![];
    /// for _ in 0..40 {
    ///     state.fill(0.0);
    ///     losses.push(MODEL.forward_backward(&weights, Training {
    ///         sequences: Sequences::new(steps, batch), x: (&x).into(), loss: Loss::classes(&next),
    ///         grads: &mut grads, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
    ///     })?);
    ///     if let Some(clip) = clip_scale(&grads, 5.0)? {
    ///         adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale)?;
    ///     }
    /// }
    /// assert!(losses[0] > 1.3 && losses[39] < 0.3);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward_backward(&self, weights: &[f32], args: Training<'_>) -> Result<f32> {
        run!(self, train::forward_backward(weights, args))
    }

    /// PyTorch's initial weights, layer by layer.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights`.
    #[inline(always)]
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        run!(self, train::init(weights, rng))
    }

    /// Draws the factors of dropout for one training pass, in a buffer of [`dropout_len`](Self::dropout_len) elements.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `factors`; [`Error::Value`] if the probability of recurrent dropout is not in `0..1`.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::model::{Layer, Model};
    /// const MODEL: Model<3> = Model::new([Layer::gru(2, 8), Layer::Dropout(0.5), Layer::dense(8, 1)]);
    /// let mut factors = [0.0; MODEL.dropout_len(10, 4)];
    /// MODEL.draw_dropout(&mut factors, 10, 4, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// assert!(factors.iter().all(|f| *f == 0.0 || *f == 2.0));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn draw_dropout(
        &self,
        factors: &mut [f32],
        steps: usize,
        batch: usize,
        rng: &mut impl Rng,
    ) -> Result<()> {
        self.chain().draw_dropout(factors, steps, batch, rng)
    }
}

impl<'a, const N: usize> From<&'a Model<N>> for Chain<'a> {
    fn from(model: &'a Model<N>) -> Self {
        model.chain()
    }
}

/// Says which layer does not fit. In a constant it is the compiler that says so.
#[track_caller]
#[allow(clippy::panic, reason = "constants have no other way to fail")]
const fn refuse(layer: usize, what: &str) -> ! {
    // `panic!` shows text in a constant, and no number.
    let (mut text, mut len, mut digit) = ([0; 160], 0, 1);
    while layer / digit >= 10 {
        digit *= 10;
    }
    let parts = ["layer ", "", " of the model ", what];
    let mut i = 0;
    while i < parts.len() {
        let (mut j, part) = (0, parts[i].as_bytes());
        while j < part.len() && len < text.len() {
            text[len] = part[j];
            (j, len) = (j + 1, len + 1);
        }
        while i == 1 && digit > 0 {
            text[len] = b'0' + (layer / digit % 10) as u8;
            (digit, len) = (digit / 10, len + 1);
        }
        i += 1;
    }
    match core::str::from_utf8(text.split_at(len).0) {
        Ok(text) => panic!("{}", text),
        Err(_) => panic!("the layers do not fit together"),
    }
}
