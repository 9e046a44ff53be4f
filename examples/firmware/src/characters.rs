//! Writes text character by character: an embedding, a GRU and a dense layer, trained by the example `char_rnn`.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::{Dense, Embedding, Gru, Result, sample};

pub const WIDTH: usize = 16;
pub const HIDDEN: usize = 48;
/// So many characters are written.
pub const LENGTH: usize = 400;
/// More than there are in ASCII are never needed.
const MOST: usize = 128;
const CELL: Gru = Gru::new(WIDTH, HIDDEN);

/// Weights of a model of `vocabulary` characters.
pub const fn weights_len(vocabulary: usize) -> usize {
    Embedding::new(vocabulary, WIDTH).weights_len()
        + CELL.weights_len()
        + Dense::new(HIDDEN, vocabulary).weights_len()
}

const SCRATCH: usize = {
    let (cell, head) = (CELL.scratch_len(1, 1), Dense::new(HIDDEN, MOST).scratch_len());
    if cell > head { cell } else { head }
};

/// All that it remembers from character to character, and where it computes.
pub struct Writer {
    state: [f32; CELL.state_len(1)],
    row: [f32; WIDTH],
    logits: [f32; MOST],
    scratch: [f32; SCRATCH],
}

impl Writer {
    pub const fn new() -> Self {
        Writer { state: [0.0; _], row: [0.0; _], logits: [0.0; _], scratch: [0.0; _] }
    }

    /// What may follow the character number `id`.
    #[inline]
    fn next(&mut self, id: u32, vocabulary: usize, weights: &[f32]) -> Result<&[f32]> {
        let (embedding, head) = (Embedding::new(vocabulary, WIDTH), Dense::new(HIDDEN, vocabulary));
        let (w_embedding, rest) = weights.split_at(embedding.weights_len());
        let (w_cell, w_head) = rest.split_at(CELL.weights_len());
        embedding.forward(w_embedding, &[id], &mut self.row)?;
        CELL.step(w_cell, &self.row, &mut self.state, &mut self.scratch)?;
        let logits = &mut self.logits[..vocabulary];
        head.forward(w_head, 1, &self.state, logits, &mut self.scratch)?;
        Ok(logits)
    }

    /// Writes [`LENGTH`] characters of `vocabulary` to `out`, as after the end of a line. Its first character is that end.
    pub fn write(&mut self, vocabulary: &[u8], weights: &[f32], mut out: impl FnMut(u8)) -> Result<()> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut id = 0;
        for _ in 0..LENGTH {
            let logits = self.next(id as u32, vocabulary.len(), weights)?;
            id = sample(logits, 0.6, &mut rng)?;
            out(vocabulary[id]);
        }
        Ok(())
    }

    /// The last logits and the state.
    pub fn numbers(&self, vocabulary: usize) -> (&[f32], &[f32]) {
        (&self.logits[..vocabulary], &self.state)
    }
}

impl Default for Writer {
    fn default() -> Self {
        Writer::new()
    }
}
