//! Writes text character by character: an embedding, a GRU and a dense layer, trained by the example
//! `char_rnn`.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::{Dense, Embedding, Gru, Narrow, Result, sample};

pub const WIDTH: usize = 16;
pub const HIDDEN: usize = 48;
/// The number of characters to write.
pub const LENGTH: usize = 400;
/// The vocabulary has at most the characters of ASCII.
const MOST: usize = 128;
const CELL: Gru = Gru::new(WIDTH, HIDDEN);
const CELL_INT8: Gru = CELL.narrow(Narrow::W8A16);

/// The layers of a model of `vocabulary` characters.
const fn around(vocabulary: usize) -> (Embedding, Dense) {
    (Embedding::new(vocabulary, WIDTH), Dense::new(HIDDEN, vocabulary))
}

/// The same with matrices in integers of 8 bits.
const fn around_int8(vocabulary: usize) -> (Embedding, Dense) {
    let (embedding, head) = around(vocabulary);
    (embedding.narrow(Narrow::W8A16), head.narrow(Narrow::W8A16))
}

/// Weights of a model of `vocabulary` characters.
pub const fn weights_len(vocabulary: usize) -> usize {
    let (embedding, head) = around(vocabulary);
    embedding.weights_len() + CELL.weights_len() + head.weights_len()
}

/// Bytes of its weights in integers of 8 bits.
pub const fn int8_len(vocabulary: usize) -> usize {
    let (embedding, head) = around_int8(vocabulary);
    embedding.narrow_len() + CELL_INT8.narrow_len() + head.narrow_len()
}

/// Rounds the weights of a model to 8 bits.
pub fn round(vocabulary: usize, weights: &[f32], int8: &mut [u8]) -> Result<()> {
    let (embedding, head) = around_int8(vocabulary);
    let (w_embedding, rest) = weights.split_at(embedding.weights_len());
    let (w_cell, w_head) = rest.split_at(CELL.weights_len());
    let (to_embedding, rest) = int8.split_at_mut(embedding.narrow_len());
    let (to_cell, to_head) = rest.split_at_mut(CELL_INT8.narrow_len());
    embedding.round(w_embedding, to_embedding)?;
    CELL_INT8.round(w_cell, to_cell)?;
    head.round(w_head, to_head)
}

const fn scratch_len(cell: Gru, head: Dense) -> usize {
    let (cell, head) = (cell.scratch_len(1, 1), head.scratch_len());
    if cell > head { cell } else { head }
}
/// Scratch of a [`Writer`], from weights in `f32` and from narrow ones.
pub const SCRATCH: usize = scratch_len(CELL, around(MOST).1);
pub const SCRATCH_INT8: usize = scratch_len(CELL_INT8, around_int8(MOST).1);

/// The state that is kept from character to character, and the scratch.
pub struct Writer<const SCRATCH: usize> {
    state: [f32; CELL.state_len(1)],
    row: [f32; WIDTH],
    logits: [f32; MOST],
    scratch: [f32; SCRATCH],
}

impl<const SCRATCH: usize> Writer<SCRATCH> {
    pub const fn new() -> Self {
        Writer { state: [0.0; _], row: [0.0; _], logits: [0.0; _], scratch: [0.0; _] }
    }

    /// The last logits and the state.
    pub fn numbers(&self, vocabulary: usize) -> (&[f32], &[f32]) {
        (&self.logits[..vocabulary], &self.state)
    }
}

// The compiler must see that the layers are constants, so each kind of weights has separate functions.
macro_rules! writers {
    ($next:ident, $write:ident, $word:ty: $cell:ident, $around:ident, $len:ident) => {
        impl<const SCRATCH: usize> Writer<SCRATCH> {
            /// Computes the scores of the characters that may follow character number `id`.
            #[inline]
            fn $next(&mut self, id: u32, vocabulary: usize, weights: &[$word]) -> Result<&[f32]> {
                let (embedding, head) = $around(vocabulary);
                let (w_embedding, rest) = weights.split_at(embedding.$len());
                let (w_cell, w_head) = rest.split_at($cell.$len());
                embedding.forward(w_embedding, &[id], &mut self.row)?;
                $cell.step(w_cell, &self.row, &mut self.state, &mut self.scratch)?;
                let logits = &mut self.logits[..vocabulary];
                head.forward(w_head, 1, &self.state, logits, &mut self.scratch)?;
                Ok(logits)
            }

            /// Writes [`LENGTH`] characters of `vocabulary` to `out`, as after a line feed, which is the
            /// first character of `vocabulary`.
            pub fn $write(
                &mut self,
                vocabulary: &[u8],
                weights: &[$word],
                mut out: impl FnMut(u8),
            ) -> Result<()> {
                let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
                let mut id = 0;
                for _ in 0..LENGTH {
                    let logits = self.$next(id as u32, vocabulary.len(), weights)?;
                    id = sample(logits, 0.6, &mut rng)?;
                    out(vocabulary[id]);
                }
                Ok(())
            }
        }
    };
}
writers!(next, write, f32: CELL, around, weights_len);
writers!(next_int8, write_int8, u8: CELL_INT8, around_int8, narrow_len);

impl<const SCRATCH: usize> Default for Writer<SCRATCH> {
    fn default() -> Self {
        Writer::new()
    }
}
