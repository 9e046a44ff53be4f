//! A running model: its weights, and the states of the readers that read text character by character.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::image::{self, Extras, Image};
use recurrent::{Error, Isa, Result, Sampling};

use crate::network::{Network, cut, sum};
use crate::shape::Shape;
use crate::training::{Training, Update};

/// The readers: one for writing, and one for showing its states. Each has its own state.
pub const READERS: usize = 2;

pub struct Session<'a> {
    shape: Shape,
    network: Network,
    /// Unicode scalar values of the characters, indexed by id.
    vocabulary: &'a [u32],
    weights: &'a mut [f32],
    states: [&'a mut [f32]; READERS],
    logits: &'a mut [f32],
    drawing: &'a mut [f32],
    scratch: &'a mut [f32],
    rng: Xoshiro256PlusPlus,
    training: Option<Training<'a>>,
}

/// A sampling with the largest scratch.
const ANY: Sampling = Sampling::new(1.0).top_p(0.5);

const NO_TRAINING: Error = Error::Value { argument: "text", expected: "given before the first update" };

/// The FNV-1a checksum of the bits of floats.
pub fn checksum(floats: &[f32]) -> u64 {
    let bytes = floats.iter().flat_map(|x| x.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
}

impl<'a> Session<'a> {
    /// The lengths of the six buffers of a model, in floats.
    fn lens(network: &Network) -> [usize; 6] {
        let (state, classes) = (network.state_len(), network.classes());
        let (drawing, scratch) = (ANY.scratch_len(classes), network.step_scratch_len());
        [network.weights_len(), state, state, classes, drawing, scratch]
    }

    /// The number of floats that a model needs, without training.
    pub fn room(shape: Shape) -> usize {
        sum(&Self::lens(&Network::new(shape, None)))
    }

    /// A model with zero weights. `room` has the length [`room`](Self::room) and must be zero.
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
    /// None in practice.
    pub fn init(&mut self) -> Result<()> {
        self.network.init(self.weights, &mut self.rng)
    }

    /// Loads the weights of an image with this shape.
    ///
    /// # Errors
    /// Those of [`Image::copy_weights`].
    pub fn load(&mut self, image: &Image<'_>) -> Result<()> {
        image.copy_weights(self.weights)
    }

    /// The checksum of the weights.
    pub fn checksum(&self) -> u64 {
        checksum(self.weights)
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

    /// The network, the weights, and the training, for changing them.
    pub fn parts(&mut self) -> (&Network, &mut [f32], Option<&mut Training<'a>>) {
        (&self.network, self.weights, self.training.as_mut())
    }

    pub fn set_training(&mut self, training: Training<'a>) {
        self.training = Some(training);
    }

    /// One update.
    ///
    /// # Errors
    /// Those of [`Training::update`], or if there is no training.
    pub fn update(&mut self, rate: f32) -> Result<Update> {
        let training = self.training.as_mut().ok_or(NO_TRAINING)?;
        training.update(&self.network, self.weights, rate)
    }

    /// The state of a reader: for each layer its output, followed for an LSTM by its cell state.
    pub fn state(&self, reader: usize) -> &[f32] {
        self.states.get(reader).map_or(&[], |state| state)
    }

    /// Resets a reader to before the first character.
    pub fn rewind(&mut self, reader: usize) {
        if let Some(state) = self.states.get_mut(reader) {
            state.fill(0.0);
        }
    }

    /// Passes a character to a reader. The logits are then those of the next character.
    ///
    /// # Errors
    /// If there is no such character.
    pub fn read(&mut self, reader: usize, id: u32) -> Result<()> {
        let Some(state) = self.states.get_mut(reader) else {
            return Err(Error::Value { argument: "reader", expected: "0 or 1" });
        };
        self.network.step(self.weights, id, self.logits, state, self.scratch)
    }

    /// A logit for each character that may come next.
    pub fn logits(&self) -> &[f32] {
        self.logits
    }

    /// Draws the next character.
    ///
    /// # Errors
    /// Those of [`Sampling::draw`].
    pub fn draw(&mut self, temperature: f32, top_p: f32) -> Result<usize> {
        Sampling::new(temperature).top_p(top_p).draw(self.logits, self.drawing, &mut self.rng)
    }

    /// Writes the model as an image with the names of its characters. `out` has the length
    /// [`image_len`](Self::image_len).
    ///
    /// # Errors
    /// Those of [`image::write_with`].
    pub fn write_image(&self, names: &str, out: &mut [u8]) -> Result<()> {
        let extras = Extras { classes: names, ..Extras::default() };
        image::write_with(&self.network.layers(), self.weights, &extras, out)
    }

    /// Length of the image in bytes.
    pub fn image_len(&self, names: &str) -> usize {
        image::len_with(&self.network.layers(), &Extras { classes: names, ..Extras::default() })
    }
}
