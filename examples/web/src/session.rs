//! A model at work: its weights, and the states of those who read it character by character.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::image::{self, Extras, Image};
use recurrent::model::{Chain, Layer};
use recurrent::{Error, Isa, Result, Sampling};

use crate::shape::Shape;
use crate::training::{Training, Update, cut};

/// Who reads: the one that writes, and the one that shows its states. Each has a state of its own.
pub const READERS: usize = 2;

pub struct Session<'a> {
    shape: Shape,
    layers: [Layer; 3],
    /// Unicode scalar values of the characters, by their ids.
    vocabulary: &'a [u32],
    weights: &'a mut [f32],
    states: [&'a mut [f32]; READERS],
    logits: &'a mut [f32],
    drawing: &'a mut [f32],
    scratch: &'a mut [f32],
    rng: Xoshiro256PlusPlus,
    training: Option<Training<'a>>,
}

/// A sampling that takes as much scratch as any.
const ANY: Sampling = Sampling::new(1.0).top_p(0.5);

const NO_TRAINING: Error = Error::Value { argument: "text", expected: "given before the first update" };

impl<'a> Session<'a> {
    /// Floats that a model takes, which are six buffers.
    fn lens(chain: Chain<'_>) -> [usize; 6] {
        let (state, classes) = (chain.state_len(1), chain.output());
        [
            chain.weights_len(),
            state,
            state,
            classes,
            ANY.scratch_len(classes),
            chain.scratch_len(1, 1),
        ]
    }

    /// Floats that a model takes, before it is trained.
    ///
    /// # Errors
    /// If layers of such sizes do not fit together.
    pub fn room(shape: Shape) -> Result<usize> {
        let layers = shape.layers(None);
        Ok(Self::lens(Chain::new(&layers)?).iter().fold(0usize, |sum, len| sum.saturating_add(*len)))
    }

    /// A model with weights of zero. `room` is full of zeros, [`room`](Self::room) long.
    ///
    /// # Errors
    /// As [`room`](Self::room).
    pub fn new(
        shape: Shape,
        isa: Option<Isa>,
        vocabulary: &'a [u32],
        mut room: &'a mut [f32],
    ) -> Result<Self> {
        let layers = shape.layers(isa);
        let [weights, writer, watcher, logits, drawing, scratch] =
            Self::lens(Chain::new(&layers)?).map(|len| cut(&mut room, len));
        let (states, rng) = ([writer, watcher], Xoshiro256PlusPlus::seed_from_u64(0));
        Ok(Session {
            shape,
            layers,
            vocabulary,
            weights,
            states,
            logits,
            drawing,
            scratch,
            rng,
            training: None,
        })
    }

    /// Seeds the generator that draws weights and characters.
    pub fn seed(&mut self, seed: u64) {
        self.rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    }

    /// Draws initial weights.
    ///
    /// # Errors
    /// None that a session can have.
    pub fn init(&mut self) -> Result<()> {
        Chain::new(&self.layers)?.init(self.weights, &mut self.rng)
    }

    /// Takes the weights of an image of this shape.
    ///
    /// # Errors
    /// As [`Image::copy_weights`].
    pub fn load(&mut self, image: &Image<'_>) -> Result<()> {
        image.copy_weights(self.weights)
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    pub fn vocabulary(&self) -> &'a [u32] {
        self.vocabulary
    }

    pub fn weights(&self) -> &[f32] {
        self.weights
    }

    /// The training, with what it changes.
    pub fn parts(&mut self) -> (&[Layer], &mut [f32], Option<&mut Training<'a>>) {
        (&self.layers, self.weights, self.training.as_mut())
    }

    pub fn set_training(&mut self, training: Training<'a>) {
        self.training = Some(training);
    }

    /// One update.
    ///
    /// # Errors
    /// As [`Training::update`], or if there is no training.
    pub fn update(&mut self, rate: f32) -> Result<Update> {
        let training = self.training.as_mut().ok_or(NO_TRAINING)?;
        training.update(Chain::new(&self.layers)?, self.weights, rate)
    }

    /// The state of a reader: for each layer its output, and then, for an LSTM, its cells.
    pub fn state(&self, reader: usize) -> &[f32] {
        self.states.get(reader).map_or(&[], |state| state)
    }

    /// Puts a reader before the first character.
    pub fn rewind(&mut self, reader: usize) {
        if let Some(state) = self.states.get_mut(reader) {
            state.fill(0.0);
        }
    }

    /// Gives a character to a reader. The logits are then those of the next one.
    ///
    /// # Errors
    /// If there is no such character.
    pub fn read(&mut self, reader: usize, id: u32) -> Result<()> {
        let Some(state) = self.states.get_mut(reader) else {
            return Err(Error::Value { argument: "reader", expected: "0 or 1" });
        };
        Chain::new(&self.layers)?.step(&*self.weights, &[id], self.logits, state, self.scratch)
    }

    /// What the model makes of the characters so far: a logit for each that may come next.
    pub fn logits(&self) -> &[f32] {
        self.logits
    }

    /// Draws the next character.
    ///
    /// # Errors
    /// As [`Sampling::draw`].
    pub fn draw(&mut self, temperature: f32, top_p: f32) -> Result<usize> {
        Sampling::new(temperature).top_p(top_p).draw(self.logits, self.drawing, &mut self.rng)
    }

    /// Writes the model as an image with the names of its characters; its length is that of
    /// [`image_len`](Self::image_len).
    ///
    /// # Errors
    /// As [`image::write_with`].
    pub fn write_image(&self, names: &str, out: &mut [u8]) -> Result<()> {
        let extras = Extras { classes: names, ..Extras::default() };
        image::write_with(&self.layers, self.weights, &extras, out)
    }

    /// Bytes of the image.
    pub fn image_len(&self, names: &str) -> usize {
        image::len_with(&self.layers, &Extras { classes: names, ..Extras::default() })
    }
}
