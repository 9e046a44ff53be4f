//! The trained model in use: packed weights, and one step of the decoder at a time.

use recurrent::{
    AttentionForward, Beam, BeamBuffers, Error, Forward, Keys, Packed, Result, Sequences, argmax,
};

use crate::dates::{Batch, END, LENGTH, START, TARGETS, decode};
use crate::model::{Model, Parts, beside, join};

fn zeros(len: usize) -> Vec<f32> {
    vec![0.0; len]
}

/// A model with packed weights.
pub struct Translator<'a> {
    model: Model,
    weights: Parts<&'a [f32]>,
    encoder: Packed<Vec<f32>>,
    decoder: Packed<Vec<f32>>,
    combine: Packed<Vec<f32>>,
    output: Packed<Vec<f32>>,
}

/// The result of the encoder: the keys, and the state that the decoder starts from.
struct Read<'a> {
    keys: Keys<'a, Vec<f32>>,
    state: Vec<f32>,
    steps: usize,
}

impl<'a> Translator<'a> {
    pub fn new(model: Model, weights: &'a [f32]) -> Result<Self> {
        let Model { encoder, decoder, combine, output, .. } = model;
        let weights = model.split(weights);
        Ok(Translator {
            encoder: encoder.pack(weights.encoder, zeros(encoder.packed_len()))?,
            decoder: decoder.pack(weights.decoder, zeros(decoder.packed_len()))?,
            combine: combine.pack(weights.combine, zeros(combine.packed_len()))?,
            output: output.pack(weights.output, zeros(output.packed_len()))?,
            model,
            weights,
        })
    }

    fn read<'b>(&self, batch: &'b Batch) -> Result<Read<'b>> {
        let Model { read, encoder, attention, hidden, .. } = self.model;
        let (steps, size) = (batch.steps, batch.size);
        let sequences = Sequences::new(steps, size).lengths(&batch.lengths);
        let (mut x, mut y) = (zeros(steps * size * read.width()), zeros(steps * size * hidden));
        let mut state = zeros(encoder.state_len(size));
        let scratch = encoder.scratch_len(steps, size).max(attention.scratch_len(0, steps, size));
        let mut scratch = zeros(scratch);
        read.forward(self.weights.read, &batch.source, &mut x)?;
        let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
        encoder.forward(&self.encoder, args)?;
        let room = zeros(attention.keys_len(steps, size));
        let keys = attention.keys(self.weights.attention, sequences, &y, room, &mut scratch)?;
        Ok(Read { keys, state: join(&state, hidden), steps })
    }

    /// Runs one step of the decoder for all tokens. Updates their states, writes the logits of the next
    /// tokens, and returns the alignments. By `queries`, either each token has its own row of keys, or all
    /// tokens share a single row.
    fn step(
        &self,
        read: &Read<'_>,
        queries: Sequences<'_>,
        tokens: &[u32],
        state: &mut [f32],
        logits: &mut [f32],
    ) -> Result<Vec<f32>> {
        let Model { write, decoder, attention, combine, output, hidden, .. } = self.model;
        let rows = tokens.len();
        let (mut x, mut context) = (zeros(rows * write.width()), zeros(rows * hidden));
        let (mut both, mut combined) = (zeros(rows * 2 * hidden), zeros(rows * hidden));
        let mut alignments = zeros(rows * read.steps);
        // Enough for one query of each row, and for all queries on one row.
        let scratch =
            attention.scratch_len(1, read.steps, rows).max(attention.scratch_len(rows, read.steps, 1));
        let mut scratch = zeros(scratch.max(decoder.scratch_len(1, rows)));
        write.forward(self.weights.write, tokens, &mut x)?;
        decoder.step(&self.decoder, &x, state, &mut scratch)?;
        let args = AttentionForward {
            sequences: queries,
            queries: state,
            context: &mut context,
            alignments: &mut alignments,
            scratch: &mut scratch,
        };
        attention.forward(self.weights.attention, &read.keys, args)?;
        beside(state, &context, hidden, &mut both);
        combine.forward(&self.combine, rows, &both, &mut combined, &mut [])?;
        output.forward(&self.output, rows, &combined, logits, &mut [])?;
        Ok(alignments)
    }

    /// Takes the likeliest character in each step. Returns the dates, and the alignments `[T, B, S]` of their
    /// characters.
    pub fn greedy(&self, batch: &Batch) -> Result<(Vec<String>, Vec<f32>)> {
        let size = batch.size;
        let mut read = self.read(batch)?;
        let mut state = std::mem::take(&mut read.state);
        let (mut tokens, mut logits) = (vec![START; size], zeros(size * TARGETS));
        let (mut written, mut all) = (vec![Vec::new(); size], Vec::new());
        for _ in 0..LENGTH {
            all.extend(self.step(&read, Sequences::new(1, size), &tokens, &mut state, &mut logits)?);
            for ((token, written), logits) in tokens.iter_mut().zip(&mut written).zip(logits.chunks(TARGETS))
            {
                *token = argmax(logits)? as u32;
                written.push(*token);
            }
        }
        Ok((written.iter().map(|ids| decode(ids)).collect(), all))
    }

    /// The likeliest dates for one text, with their log probabilities. All hypotheses are queries over a
    /// single row of keys.
    pub fn beam(&self, batch: &Batch, width: usize) -> Result<Vec<(String, f32)>> {
        let beam = Beam::new(width, TARGETS, LENGTH).start(START).end(END);
        let (mut ids, mut scratch) = (vec![0; beam.ids_len()], zeros(beam.scratch_len()));
        let read = self.read(batch)?;
        let (mut states, mut next) = (read.state.clone(), zeros(width * self.model.hidden));
        let found = beam.search(BeamBuffers { ids: &mut ids, scratch: &mut scratch }, |step| {
            let rows = step.tokens.len();
            let next = &mut next[..rows * self.model.hidden];
            step.reorder(&states, next)?;
            self.step(&read, Sequences::new(rows, 1), step.tokens, next, step.logits)?;
            states = next.to_vec();
            Ok::<(), Error>(())
        })?;
        let mut tokens = [0; LENGTH];
        let scores = found.scores().iter().enumerate();
        scores.map(|(i, score)| Ok((decode(found.tokens(i, &mut tokens)?), *score))).collect()
    }
}
