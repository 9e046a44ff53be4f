//! Updates by truncated backpropagation through time, as the example `char_rnn` makes them.

use recurrent::model::{Chain, Loss, Training as Pass};
use recurrent::train::{Adam, clip_scale};
use recurrent::{Result, Sequences};

/// Larger gradients are scaled down to this norm.
const CLIP: f32 = 5.0;

/// How the text is read.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Streams that are read in parallel.
    pub batch: usize,
    /// Characters of each stream in an update.
    pub steps: usize,
}

/// Everything that goes into the next update beside the weights.
pub struct Training<'a> {
    /// Ids of the characters of the text.
    text: &'a [u32],
    window: Window,
    /// Characters of each stream that have been read since its beginning.
    position: usize,
    pub adam: Adam,
    pub moments: &'a mut [f32],
    pub grads: &'a mut [f32],
    state: &'a mut [f32],
    tape: &'a mut [f32],
    scratch: &'a mut [f32],
    /// The characters of the window, `[T, B]`, and those that follow each of them.
    ids: &'a mut [u32],
}

/// What came of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The mean loss before it, in nats for each character.
    pub loss: f32,
    /// What the gradients are multiplied by; `None` if they are not finite, and then there is no update.
    pub scale: Option<f32>,
}

/// Cuts the next part of a room that was made long enough.
pub(crate) fn cut<'a, T>(room: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (taken, rest) = core::mem::take(room).split_at_mut(len);
    *room = rest;
    taken
}

impl<'a> Training<'a> {
    /// Floats that a training takes, which are five buffers.
    pub fn lens(chain: Chain<'_>, window: Window) -> [usize; 5] {
        let (Window { batch, steps }, weights) = (window, chain.weights_len());
        [
            Adam::moments_len(weights),
            weights,
            chain.state_len(batch),
            chain.tape_len(steps, batch),
            chain.train_scratch_len(steps, batch),
        ]
    }

    /// A training before its first update, over a text of more than `batch * steps` characters. `room` is full of zeros, as
    /// long as [`lens`](Self::lens) together; `ids` has `2 * batch * steps` elements.
    pub fn new(
        chain: Chain<'_>,
        window: Window,
        text: &'a [u32],
        mut room: &'a mut [f32],
        ids: &'a mut [u32],
    ) -> Self {
        let [moments, grads, state, tape, scratch] =
            Self::lens(chain, window).map(|len| cut(&mut room, len));
        Training { text, window, position: 0, adam: Adam::new(0.0), moments, grads, state, tape, scratch, ids }
    }

    /// Fills the window.
    fn read(&mut self) {
        let Window { batch, steps } = self.window;
        let len = (self.text.len() - 1) / batch;
        if self.position + steps > len {
            self.position = 0;
            self.state.fill(0.0);
        }
        let (x, targets) = self.ids.split_at_mut(batch * steps);
        for (i, (x, target)) in x.iter_mut().zip(targets).enumerate() {
            let at = i % batch * len + self.position + i / batch;
            (*x, *target) = (self.text[at], self.text[at + 1]);
        }
        self.position += steps;
    }

    /// The loss of the next window, and its gradients.
    ///
    /// # Errors
    /// As [`Chain::forward_backward`].
    pub fn gradients(&mut self, chain: Chain<'_>, weights: &[f32]) -> Result<Update> {
        self.read();
        let Window { batch, steps } = self.window;
        let (x, targets) = self.ids.split_at(batch * steps);
        let loss = chain.forward_backward(
            weights,
            Pass {
                sequences: Sequences::new(steps, batch),
                x: x.into(),
                loss: Loss::classes(targets),
                grads: self.grads,
                state: self.state,
                tape: self.tape,
                scratch: self.scratch,
                ..Default::default()
            },
        )?;
        let clip = clip_scale(self.grads, CLIP)?.filter(|_| loss.is_finite());
        Ok(Update { loss, scale: clip.map(|clip| clip.scale) })
    }

    /// One update with Adam.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients), and for a rate that is negative or not finite.
    pub fn update(&mut self, chain: Chain<'_>, weights: &mut [f32], rate: f32) -> Result<Update> {
        let update = self.gradients(chain, weights)?;
        if let Some(scale) = update.scale {
            self.adam.lr = rate;
            self.adam.update_scaled(weights, self.grads, self.moments, scale)?;
        }
        Ok(update)
    }
}
