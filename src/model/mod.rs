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

mod args;
mod display;
mod forward;
mod generate;
mod layer;
mod refusal;
mod train;

use rand_core::Rng;

use crate::error::{Error, Result, check_len};
use crate::layer::buffer::{add, max, mul, take_mut};
use crate::train::dropout;

pub use args::{Forward, Generate, Input, Loss, Training};
pub use forward::{Packed, Weights};
pub use layer::Layer;
use layer::{Dims, Part, each};

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
    /// `None` until it is set.
    recurrent_dropout: Option<f32>,
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
    #[allow(clippy::panic, reason = "constants have no other way to fail")]
    #[track_caller]
    pub const fn new(layers: [Layer; N]) -> Self {
        match Self::checked(layers) {
            Ok(model) => model,
            Err(e) => panic!("{}", refusal::Text::of(&e).as_str()),
        }
    }

    /// A model of layers that are not known before the program runs.
    ///
    /// # Errors
    /// [`Error::Features`] if a layer takes another number of features than the one before it gives; [`Error::Layers`] if there is no layer; if an
    /// embedding is not the first; if a recurrent layer or a second pool comes after a pool; if dropout or a pool is the first
    /// or dropout the last; if the probability of dropout is not in `0..1`.
    ///
    /// ```
    /// use recurrent::{Error, model::{Layer, Model}};
    /// let wrong = Model::checked([Layer::gru(8, 16), Layer::dense(17, 1)]);
    /// assert_eq!(wrong, Err(Error::Features { layer: 1, takes: 17, given: 16 }));
    /// ```
    pub const fn checked(layers: [Layer; N]) -> Result<Self> {
        if N == 0 {
            return Err(Error::Layers { layer: 0, what: "is missing" });
        }
        let (mut dims, mut pooled, mut i) = (Dims { steps: 1, batch: 1, width: 0 }, false, 0);
        while i < N {
            let what = match (&layers[i], layers[i].input()) {
                (Layer::Embedding(_), _) if i > 0 => "is an embedding, which has to be the first",
                (Layer::Pool(_) | Layer::Dropout(_), _) if i == 0 => "has to have another one below it",
                (Layer::Dropout(_), _) if i + 1 == N => "is dropout, which has to have another one above it",
                (Layer::Dropout(p), _) if !(*p >= 0.0 && *p < 1.0) => {
                    "has a probability of dropout that is not at least 0 and below 1"
                }
                (Layer::Rnn(_) | Layer::Lstm(_) | Layer::Gru(_) | Layer::Mgu(_) | Layer::Pool(_), _)
                    if pooled =>
                {
                    "wants steps, and stands above a pool, which leaves none"
                }
                (_, Some(takes)) if i > 0 && takes != dims.width => {
                    return Err(Error::Features { layer: i, takes, given: dims.width });
                }
                _ => "",
            };
            if !what.is_empty() {
                return Err(Error::Layers { layer: i, what });
            }
            pooled |= matches!(layers[i], Layer::Pool(_));
            dims = layers[i].after(dims);
            i += 1;
        }
        Ok(Model { layers, recurrent_dropout: None })
    }

    /// The same with this probability of recurrent dropout in the layers that were made
    /// [able to](crate::Recurrent::recurrent_dropout). A model with such layers has to have one before factors are drawn, and it may be 0;
    /// without such layers [`draw_dropout`](Self::draw_dropout) and [`forward_backward`](Self::forward_backward) refuse one above 0.
    pub const fn recurrent_dropout(mut self, p: f32) -> Self {
        self.recurrent_dropout = Some(p);
        self
    }

    /// Whether a layer was made able to train with recurrent dropout.
    fn has_recurrent_dropout(&self) -> bool {
        self.layers.iter().any(|layer| each!(layer, s => s.drawn_len(1) > 0, _ => false))
    }

    /// Refuses a probability of recurrent dropout that no layer has a use for.
    fn check_recurrent_dropout(&self) -> Result<()> {
        if self.recurrent_dropout.is_some_and(|p| p != 0.0) && !self.has_recurrent_dropout() {
            let expected =
                "0 for a model without a layer that was made for it, by `Recurrent::recurrent_dropout`";
            return Err(Error::Value { argument: "recurrent_dropout", expected });
        }
        Ok(())
    }

    /// The layers, from the input to the output.
    pub const fn layers(&self) -> &[Layer; N] {
        &self.layers
    }

    /// Classes of the embedding that it begins with; `None` for a model that takes values.
    pub const fn classes(&self) -> Option<usize> {
        match &self.layers[0] {
            Layer::Embedding(l) => Some(l.classes()),
            _ => None,
        }
    }

    /// Features of the input; 1 if it takes ids.
    pub const fn input(&self) -> usize {
        match self.layers[0].input() {
            Some(width) => width,
            None => 0,
        }
    }

    /// Features of the output.
    pub const fn output(&self) -> usize {
        self.dims(N, 1, 1).width
    }

    /// Whether it has one output for each sequence, because there is a pool, and not one for each step.
    pub const fn is_pooled(&self) -> bool {
        self.dims(N, 2, 1).steps == 1
    }

    /// What a layer is given, or, for the layer after the last, what comes out.
    const fn dims(&self, layer: usize, steps: usize, batch: usize) -> Dims {
        let (mut dims, mut i) = (Dims { steps, batch, width: self.input() }, 0);
        while i < layer {
            dims = self.layers[i].after(dims);
            i += 1;
        }
        dims
    }

    /// The sum of a part's lengths over the layers below the given one, and the greatest of them.
    const fn lengths(&self, part: Part, layer: usize, steps: usize, batch: usize) -> (usize, usize) {
        let (mut sum, mut greatest, mut i) = (0, 0, 0);
        let mut dims = self.dims(0, steps, batch);
        while i < layer {
            let len = self.layers[i].len(part, dims);
            (sum, greatest) = (add(sum, len), max(greatest, len));
            dims = self.layers[i].after(dims);
            i += 1;
        }
        (sum, greatest)
    }

    /// Length of the weights, and of their gradients.
    pub const fn weights_len(&self) -> usize {
        self.lengths(Part::Weights, N, 1, 1).0
    }

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        self.lengths(Part::Packed, N, 1, 1).0
    }

    /// Length of the states of `batch` rows: those of all recurrent layers.
    pub const fn state_len(&self, batch: usize) -> usize {
        self.lengths(Part::State, N, 1, batch).0
    }

    /// Length of the output: `T*B*output`, or `B*output` for a model with a pool.
    pub const fn output_len(&self, steps: usize, batch: usize) -> usize {
        self.dims(N, steps, batch).len()
    }

    /// Length of the tape of a training pass: the outputs and the tapes of all layers.
    pub const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        add(self.lengths(Part::Output, N, steps, batch).0, self.lengths(Part::Tape, N, steps, batch).0)
    }

    /// Length of the factors of dropout of a training pass.
    pub const fn dropout_len(&self, steps: usize, batch: usize) -> usize {
        self.lengths(Part::Dropout, N, steps, batch).0
    }

    /// Length of the scratch of [`forward`](Self::forward), and with `steps` 1 of [`step`](Self::step).
    pub const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        add(self.between_len(steps, batch), self.lengths(Part::Scratch, N, steps, batch).1)
    }

    /// Length of the scratch of [`forward_backward`](Self::forward_backward).
    pub const fn train_scratch_len(&self, steps: usize, batch: usize) -> usize {
        let gradients = mul(2, self.lengths(Part::Output, N, steps, batch).1);
        add(gradients, self.lengths(Part::TrainScratch, N, steps, batch).1)
    }

    /// PyTorch's initial weights, layer by layer.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights`.
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        let mut rest = weights;
        let dims = self.dims(0, 1, 1);
        for layer in &self.layers {
            let weights = take_mut(&mut rest, layer.len(Part::Weights, dims));
            each!(layer, s => s.init(weights, rng)?,
                Layer::Embedding(l) => l.init(weights, rng)?,
                Layer::Dense(l) => l.init(weights, rng)?,
                Layer::Pool(_) | Layer::Dropout(_) => {}
            );
        }
        Ok(())
    }

    /// Draws the factors of dropout for one training pass, in a buffer of [`dropout_len`](Self::dropout_len) elements.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `factors`; [`Error::Value`] if the probability of recurrent dropout is not in `0..1`,
    /// if it was not [set](Self::recurrent_dropout) for a model with layers that were made for it, or if it is above 0 and there are none.
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
        check_len("factors", self.dropout_len(steps, batch), factors.len())?;
        self.check_recurrent_dropout()?;
        let recurrent = match self.recurrent_dropout {
            None if self.has_recurrent_dropout() => {
                let expected = "set by `Model::recurrent_dropout`, because a layer was made for it";
                return Err(Error::Value { argument: "recurrent_dropout", expected });
            }
            p => p.unwrap_or(0.0),
        };
        dropout(&mut [], recurrent, rng)?;
        let (mut rest, mut dims) = (factors, self.dims(0, steps, batch));
        for layer in &self.layers {
            let p = if let Layer::Dropout(p) = layer { *p } else { recurrent };
            dropout(take_mut(&mut rest, layer.len(Part::Dropout, dims)), p, rng)?;
            dims = layer.after(dims);
        }
        Ok(())
    }
}
