//! An encoder that reads a date in both directions, and a decoder that writes a date and attends to the
//! encoder's outputs.
//!
//! The decoder starts from the encoder's last states. Its next output is computed from its state and the
//! context from attention: `softmax(w tanh(w_c [h; context]))`, as in Luong et al. 2015 (arXiv:1508.04025).
//! The context is not fed back into the decoder, so in training all of its steps are one pass.
//!
//! Shapes are time-major: `S` steps of the encoder, `T` steps of the decoder, `B` batch rows, `E` features of
//! an embedding, and `H` hidden units of the decoder, twice as many as in each direction of the encoder.

use rand_xoshiro::rand_core::Rng;
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Backward, CrossEntropy, Dense, DenseBackward, Embedding,
    ForwardTrain, Gradients, Gru, GruCell, KeysBackward, Merge, Result, Sequences, Stack,
};

use crate::dates::{Batch, LENGTH, SOURCES, TARGETS};

/// The function that compares queries with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Score {
    Dot,
    ScaledDot,
    General,
    Additive,
}

/// The layers. Their weights are in one flat slice, in the order of the fields.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub read: Embedding,
    pub encoder: Stack<GruCell>,
    pub write: Embedding,
    pub decoder: Gru,
    pub attention: Attention,
    pub combine: Dense,
    pub output: Dense,
    pub hidden: usize,
}

/// The weights of each layer, or their gradients.
pub struct Parts<T> {
    pub read: T,
    pub encoder: T,
    pub write: T,
    pub decoder: T,
    pub attention: T,
    pub combine: T,
    pub output: T,
}

impl Model {
    pub fn new(score: Score, embedding: usize, hidden: usize) -> Model {
        let attention = match score {
            Score::Dot => Attention::dot(hidden),
            Score::ScaledDot => Attention::scaled_dot(hidden),
            Score::General => Attention::general(hidden, hidden),
            Score::Additive => Attention::additive(hidden, hidden, hidden),
        };
        Model {
            read: Embedding::new(SOURCES, embedding),
            encoder: Stack::new(Gru::new(embedding, hidden / 2)).bidirectional(Merge::Concat),
            write: Embedding::new(TARGETS, embedding),
            decoder: Gru::new(embedding, hidden),
            attention,
            combine: Dense::new(2 * hidden, hidden).tanh(),
            output: Dense::new(hidden, TARGETS),
            hidden,
        }
    }

    fn lens(&self) -> [usize; 7] {
        let Model { read, encoder, write, decoder, attention, combine, output, .. } = self;
        [
            read.weights_len(),
            encoder.weights_len(),
            write.weights_len(),
            decoder.weights_len(),
            attention.weights_len(),
            combine.weights_len(),
            output.weights_len(),
        ]
    }

    pub fn weights_len(&self) -> usize {
        self.lens().iter().sum()
    }

    pub fn split<'a>(&self, mut flat: &'a [f32]) -> Parts<&'a [f32]> {
        let take = |len| flat.split_off(..len).expect("the flat buffer has the model's length");
        let [read, encoder, write, decoder, attention, combine, output] = self.lens().map(take);
        Parts { read, encoder, write, decoder, attention, combine, output }
    }

    pub fn split_mut<'a>(&self, mut flat: &'a mut [f32]) -> Parts<&'a mut [f32]> {
        let take = |len| flat.split_off_mut(..len).expect("the flat buffer has the model's length");
        let [read, encoder, write, decoder, attention, combine, output] = self.lens().map(take);
        Parts { read, encoder, write, decoder, attention, combine, output }
    }

    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        let parts = self.split_mut(weights);
        self.read.init(parts.read, rng)?;
        self.encoder.init(parts.encoder, rng)?;
        self.write.init(parts.write, rng)?;
        self.decoder.init(parts.decoder, rng)?;
        self.attention.init(parts.attention, rng)?;
        self.combine.init(parts.combine, rng)?;
        self.output.init(parts.output, rng)
    }
}

/// Joins the last states of the two directions, `[2, B, H/2]`, to a state of the decoder, `[B, H]`.
pub fn join(state: &[f32], hidden: usize) -> Vec<f32> {
    let (forward, reverse) = state.split_at(state.len() / 2);
    let rows = forward.chunks(hidden / 2).zip(reverse.chunks(hidden / 2));
    rows.flat_map(|(f, r)| f.iter().chain(r)).copied().collect()
}

/// The inverse of `join`.
fn part(joined: &[f32], hidden: usize) -> Vec<f32> {
    let halves = |second: bool| {
        let rows = joined.chunks(hidden).map(move |row| row.split_at(hidden / 2));
        rows.flat_map(move |(f, r)| if second { r } else { f })
    };
    halves(false).chain(halves(true)).copied().collect()
}

/// Concatenates each row of `a` with the same row of `b`.
pub fn beside(a: &[f32], b: &[f32], width: usize, out: &mut [f32]) {
    for (out, (a, b)) in out.chunks_mut(2 * width).zip(a.chunks(width).zip(b.chunks(width))) {
        let (left, right) = out.split_at_mut(width);
        left.copy_from_slice(a);
        right.copy_from_slice(b);
    }
}

fn zeros(len: usize) -> Vec<f32> {
    vec![0.0; len]
}

impl Model {
    /// The mean loss of a batch, and its gradients with respect to all weights.
    ///
    /// The function is long but simple: every layer runs forward in order, then every layer backward in
    /// reverse order. The inputs and outputs of each layer are kept for its backward pass.
    pub fn forward_backward(&self, weights: &[f32], grads: &mut [f32], batch: &Batch) -> Result<f32> {
        let Model { read, encoder, write, decoder, attention, combine, output, hidden } = *self;
        let (w, g) = (self.split(weights), self.split_mut(grads));
        let (size, steps) = (batch.size, batch.steps);
        let (rows, all) = (LENGTH * size, steps * size);
        let source = Sequences::new(steps, size).lengths(&batch.lengths);
        let target = Sequences::new(LENGTH, size);
        let scratch = [
            encoder.train_scratch_len(steps, size),
            decoder.train_scratch_len(size),
            attention.train_scratch_len(LENGTH, steps, size),
            combine.scratch_len(),
            output.scratch_len(),
        ];
        let mut scratch = zeros(scratch.into_iter().max().unwrap_or(0));

        // Forward. The encoder reads; each batch row ends with its date.
        let mut letters = zeros(all * read.width());
        read.forward(w.read, &batch.source, &mut letters)?;
        let (mut encoded, mut state) = (zeros(all * hidden), zeros(encoder.state_len(size)));
        let mut encoder_tape = zeros(encoder.tape_len(steps, size));
        let args = ForwardTrain {
            sequences: source,
            x: &letters,
            y: &mut encoded,
            state: &mut state,
            tape: &mut encoder_tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        encoder.forward_train(w.encoder, args)?;

        // The decoder's inputs are the expected outputs of the steps before (teacher forcing), so all its
        // steps are one pass.
        let mut given = zeros(rows * write.width());
        write.forward(w.write, &batch.given, &mut given)?;
        let (mut h, mut state) = (zeros(rows * hidden), join(&state, hidden));
        let mut decoder_tape = zeros(decoder.tape_len(LENGTH, size));
        let args = ForwardTrain {
            sequences: target,
            x: &given,
            y: &mut h,
            state: &mut state,
            tape: &mut decoder_tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        decoder.forward_train(w.decoder, args)?;

        // Each state of the decoder is a query over the encoder's outputs.
        let room = zeros(attention.keys_len(steps, size));
        let keys = attention.keys(w.attention, source, &encoded, room, &mut scratch)?;
        let (mut context, mut alignments) = (zeros(rows * hidden), zeros(rows * steps));
        let args = AttentionForward {
            sequences: target,
            queries: &h,
            context: &mut context,
            alignments: &mut alignments,
            scratch: &mut scratch,
        };
        attention.forward(w.attention, &keys, args)?;
        // The next character is computed from the state and the context.
        let (mut both, mut combined) = (zeros(rows * 2 * hidden), zeros(rows * hidden));
        beside(&h, &context, hidden, &mut both);
        combine.forward(w.combine, rows, &both, &mut combined, &mut scratch)?;
        let (mut logits, mut dlogits) = (zeros(rows * TARGETS), zeros(rows * TARGETS));
        output.forward(w.output, rows, &combined, &mut logits, &mut scratch)?;
        let loss = CrossEntropy::new(TARGETS).loss(&logits, &batch.targets, Some(&mut dlogits))?;

        // Backward, starting from the loss.
        let (mut dcombined, mut dboth) = (zeros(combined.len()), zeros(both.len()));
        let mode = Gradients::Overwrite;
        let args = DenseBackward {
            rows,
            x: &combined,
            y: &[],
            dy: &mut dlogits,
            dx: Some(&mut dcombined),
            grads: Some(g.output),
            mode,
            scratch: &mut scratch,
        };
        output.backward(w.output, args)?;
        let args = DenseBackward {
            rows,
            x: &both,
            y: &combined,
            dy: &mut dcombined,
            dx: Some(&mut dboth),
            grads: Some(g.combine),
            mode,
            scratch: &mut scratch,
        };
        combine.backward(w.combine, args)?;
        // Forward concatenated states and contexts, so backward splits their gradients.
        let pairs = || dboth.chunks(2 * hidden).map(|row| row.split_at(hidden));
        let mut dh: Vec<f32> = pairs().flat_map(|(dh, _)| dh).copied().collect();
        let dcontext: Vec<f32> = pairs().flat_map(|(_, dcontext)| dcontext).copied().collect();
        let (mut dqueries, mut dkeys) = (zeros(rows * hidden), zeros(attention.dkeys_len(steps, size)));
        let args = AttentionBackward {
            sequences: target,
            queries: &h,
            alignments: &alignments,
            dcontext: &dcontext,
            dqueries: &mut dqueries,
            dkeys: &mut dkeys,
            grads: Some(&mut *g.attention),
            mode,
            scratch: &mut scratch,
        };
        attention.backward(w.attention, &keys, args)?;
        let mut dencoded = zeros(encoded.len());
        let args = KeysBackward {
            x: &encoded,
            dkeys: &mut dkeys,
            dx: &mut dencoded,
            grads: Some(g.attention),
            mode,
            scratch: &mut scratch,
        };
        attention.keys_backward(w.attention, &keys, args)?;

        // The state was used twice: for the next character, and as a query. The two gradients are added.
        dh.iter_mut().zip(&dqueries).for_each(|(dh, dq)| *dh += dq);
        let (mut dgiven, mut dstate) = (zeros(given.len()), zeros(decoder.state_len(size)));
        let args = Backward {
            sequences: target,
            x: &given,
            y: &h,
            dy: &dh,
            dstate: &mut dstate,
            dx: Some(&mut dgiven),
            grads: Some(g.decoder),
            tape: &mut decoder_tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        decoder.backward(w.decoder, args)?;
        write.backward(&batch.given, &dgiven, g.write, mode)?;

        // The gradient of the decoder's initial state is the gradient of the encoder's last states.
        let (mut dletters, mut dstate) = (zeros(letters.len()), part(&dstate, hidden));
        let args = Backward {
            sequences: source,
            x: &letters,
            y: &encoded,
            dy: &dencoded,
            dstate: &mut dstate,
            dx: Some(&mut dletters),
            grads: Some(g.encoder),
            tape: &mut encoder_tape,
            scratch: &mut scratch,
            ..Default::default()
        };
        encoder.backward(w.encoder, args)?;
        read.backward(&batch.source, &dletters, g.read, mode)?;
        Ok(loss)
    }
}
