//! Updates by truncated backpropagation through time, as the example `char_rnn` makes them.

use recurrent::Result;
use recurrent::train::{Adam, clip_scale};

use crate::network::{Buffers, Network, cut};

/// Gradients with a larger norm are scaled down to it.
const CLIP: f32 = 5.0;

/// How the text is read.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Number of streams that are read in parallel.
    pub batch: usize,
    /// Number of characters of each stream in an update.
    pub steps: usize,
}

/// Everything that determines the next update, except the weights.
pub struct Training<'a> {
    /// Ids of the characters of the text.
    text: &'a [u32],
    window: Window,
    /// Number of characters of each stream that have been read since its beginning.
    position: usize,
    pub adam: Adam,
    pub moments: &'a mut [f32],
    pub grads: &'a mut [f32],
    buffers: Buffers<'a>,
    /// The characters of the window, `[T, B]`, followed by their targets, the next characters.
    ids: &'a mut [u32],
}

/// The result of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The mean loss before the update, in nats for each character.
    pub loss: f32,
    /// The factor of the gradients; `None` if they are not finite, and then no update is made.
    pub scale: Option<f32>,
}

impl<'a> Training<'a> {
    /// The number of floats that a training needs.
    pub fn room(network: &Network, window: Window) -> usize {
        let weights = network.weights_len();
        let both = Adam::moments_len(weights).saturating_add(weights);
        both.saturating_add(network.buffers_len(window))
    }

    /// A training before its first update. The text has more than `batch * steps` characters. `room` has the
    /// length [`room`](Self::room) and must be zero; `ids` has `2 * batch * steps` elements.
    pub fn new(
        network: &Network,
        window: Window,
        text: &'a [u32],
        mut room: &'a mut [f32],
        ids: &'a mut [u32],
    ) -> Self {
        let moments = cut(&mut room, Adam::moments_len(network.weights_len()));
        let grads = cut(&mut room, network.weights_len());
        let buffers = network.buffers(window, room);
        Training { text, window, position: 0, adam: Adam::new(0.0), moments, grads, buffers, ids }
    }

    /// Fills the window with the next characters.
    fn read(&mut self) {
        let Window { batch, steps } = self.window;
        let len = (self.text.len() - 1) / batch;
        if self.position + steps > len {
            self.position = 0;
            self.buffers.state.fill(0.0);
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
    /// Those of [`Network::gradients`].
    pub fn gradients(&mut self, network: &Network, weights: &[f32]) -> Result<Update> {
        self.read();
        let window = self.window;
        let ids = self.ids.split_at(window.batch * window.steps);
        let loss = network.gradients(weights, window, ids, &mut self.buffers, self.grads)?;
        let clip = clip_scale(self.grads, CLIP)?.filter(|_| loss.is_finite());
        Ok(Update { loss, scale: clip.map(|clip| clip.scale) })
    }

    /// One update with Adam.
    ///
    /// # Errors
    /// Those of [`gradients`](Self::gradients), or if the rate is negative or not finite.
    pub fn update(&mut self, network: &Network, weights: &mut [f32], rate: f32) -> Result<Update> {
        let update = self.gradients(network, weights)?;
        if let Some(scale) = update.scale {
            self.adam.lr = rate;
            self.adam.update_scaled(weights, self.grads, self.moments, scale)?;
        }
        Ok(update)
    }
}
