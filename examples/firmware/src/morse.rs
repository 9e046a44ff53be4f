//! Reads Morse code: samples of sound in, characters out. The firmware and the example `morse` share it.
//!
//! 1. [`Receiver`] measures the strength of the tone in frames of 10 ms.
//! 2. [`Reader`] collects the strengths of four frames. With them a GRU makes a step, and a dense layer gives
//!    scores of the characters and of the blank.
//! 3. [`CtcGreedy`] says in which step a character begins.
//!
//! The code is a multiplication for each sample, a square root for each frame, and one step of the model
//! every 40 ms.

use recurrent::model::{Layer, Model};
use recurrent::{CtcGreedy, Result};

/// The classes after the blank, which is class 0.
pub const CHARACTERS: &[u8; 42] = b" ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,?/=";
pub const CLASSES: usize = 1 + CHARACTERS.len();
pub const HIDDEN: usize = 64;
pub const MODEL: Model<2> = Model::new([Layer::gru(WINDOW, HIDDEN), Layer::dense(HIDDEN, CLASSES)]);

/// Samples per second of the recordings that the example makes, and the frequency of their tone in hertz.
pub const RATE: f32 = 4000.0;
pub const TONE: f32 = 600.0;
/// Length of a frame in seconds.
pub const FRAME: f32 = 0.01;
/// Frames in a step of the model.
pub const FRAMES: usize = 4;
/// Frames that the model sees in a step: the last ones, 0.48 s.
pub const WINDOW: usize = 48;
/// Time constant in seconds of the automatic gain.
const GAIN: f32 = 2.0;

/// Measures the strength of one tone: the filter of Goertzel (1958) over each frame, 100 Hz wide, and an
/// automatic gain, which divides by the last peak.
///
/// Each operation is rounded by itself, so all machines get the same bits.
#[derive(Clone)]
pub struct Receiver {
    /// Twice the cosine of the angle by which the tone turns in a sample.
    turn: f32,
    /// The last two values of the filter.
    filter: [f32; 2],
    /// Length of a sample in frames, and the time since the start of the frame.
    sample: f32,
    time: f32,
    peak: f32,
}

impl Receiver {
    /// A receiver for sound of `rate` samples per second, and a tone of `tone` hertz.
    pub fn new(rate: f32, tone: f32) -> Self {
        let turn = 2.0 * libm::cosf(core::f32::consts::TAU * tone / rate);
        Receiver { turn, filter: [0.0; 2], sample: 1.0 / (FRAME * rate), time: 0.0, peak: 0.0 }
    }

    /// Takes a sample. At the end of a frame, returns the strength of the tone in it, from 0 to 1.
    #[inline]
    pub fn sample(&mut self, sample: f32) -> Option<f32> {
        let [a, b] = self.filter;
        self.filter = [sample + self.turn * a - b, a];
        self.time += self.sample;
        // Half a sample less than a frame, because the sum is not exact.
        if self.time < 1.0 - 0.5 * self.sample {
            return None;
        }
        self.time -= 1.0;
        let [a, b] = core::mem::take(&mut self.filter);
        let power = a * a + b * b - self.turn * a * b;
        let strength = libm::sqrtf(power.max(0.0));
        self.peak = strength.max(self.peak * (1.0 - FRAME / GAIN));
        Some(if self.peak > 0.0 { strength / self.peak } else { 0.0 })
    }
}

/// The input of the model for a strength: from -2 to 2, because models learn faster from numbers around 0.
pub fn input(strength: f32) -> f32 {
    4.0 * strength - 2.0
}

/// Reads characters from strengths. It holds the state of the model and its scratch.
pub struct Reader {
    /// The inputs of the next step, and their number.
    x: [f32; WINDOW],
    count: usize,
    state: [f32; MODEL.state_len(1)],
    /// The scores of the last step.
    pub logits: [f32; CLASSES],
    scratch: [f32; MODEL.scratch_len(1, 1)],
    greedy: CtcGreedy,
}

impl Reader {
    pub const fn new() -> Self {
        Reader {
            x: [-2.0; _],
            count: 0,
            state: [0.0; _],
            logits: [0.0; _],
            scratch: [0.0; _],
            greedy: CtcGreedy::new(0),
        }
    }

    /// Takes the strength of a frame. Returns a character if one is recognised with it.
    #[inline]
    pub fn frame(&mut self, weights: &[f32], strength: f32) -> Result<Option<u8>> {
        self.x.rotate_left(1);
        self.x[WINDOW - 1] = input(strength);
        self.count += 1;
        if self.count < FRAMES {
            return Ok(None);
        }
        self.count = 0;
        MODEL.step(weights, &self.x, &mut self.logits, &mut self.state, &mut self.scratch)?;
        let class = self.greedy.push(&self.logits)?;
        Ok(class.and_then(|class| CHARACTERS.get((class as usize).wrapping_sub(1)).copied()))
    }
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}
