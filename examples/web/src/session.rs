//! A model at work: its weights, and the states of those who read it character by character.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::image::{self, Extras, Image};
use recurrent::{Error, Isa, Result, Sampling};

use crate::network::{Network, cut, sum};
use crate::shape::Shape;
use crate::training::{Training, Update};

/// Who reads: the one that writes, and the one that shows its states. Each has a state of its own.
pub const READERS: usize = 2;

pub struct Session<'a> {
    shape: Shape,
    network: Network,
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
    fn lens(network: &Network) -> [usize; 6] {
        let (state, classes) = (network.state_len(), network.classes());
        let (drawing, scratch) = (ANY.scratch_len(classes), network.step_scratch_len());
        [network.weights_len(), state, state, classes, drawing, scratch]
    }

    /// Floats that a model takes, before it is trained.
    pub fn room(shape: Shape) -> usize {
        sum(&Self::lens(&Network::new(shape, None)))
    }

    /// A model with weights of zero. `room` is full of zeros, [`room`](Self::room) long.
    pub fn new(shape: Shape, isa: Option<Isa>, vocabulary: &'a [u32], mut room: &'a mut [f32]) -> Self {
        let network = Network::new(shape, isa);
        let [weights, writer, watcher, logits, drawing, scratch] =
            Self::lens(&network).map(|len| cut(&mut room, len));
        let (states, rng) = ([writer, watcher], Xoshiro256PlusPlus::seed_from_u64(0));
        Session { shape, network, vocabulary, weights, states, logits, drawing, scratch, rng, training: None }
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
        self.network.init(self.weights, &mut self.rng)
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

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn vocabulary(&self) -> &'a [u32] {
        self.vocabulary
    }

    pub fn weights(&self) -> &[f32] {
        self.weights
    }

    /// The training, with what it changes.
    pub fn parts(&mut self) -> (&Network, &mut [f32], Option<&mut Training<'a>>) {
        (&self.network, self.weights, self.training.as_mut())
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
        training.update(&self.network, self.weights, rate)
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
        self.network.step(self.weights, id, self.logits, state, self.scratch)
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
        image::write_with(&self.network.layers(), self.weights, &extras, out)
    }

    /// Bytes of the image.
    pub fn image_len(&self, names: &str) -> usize {
        image::len_with(&self.network.layers(), &Extras { classes: names, ..Extras::default() })
    }
}
