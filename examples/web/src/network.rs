//! A character model: an embedding, a stack of recurrent layers, a dense layer.
//!
//! `recurrent::model` supports stacks of any layers. Here the three layers are called directly, so that the
//! module contains no code for others.

use rand_xoshiro::rand_core::Rng;
use recurrent::model::Layer;
use recurrent::{
    Backward, CrossEntropy, Dense, DenseBackward, Embedding, ForwardTrain, Gradients, Isa, Lstm, LstmCell,
    Result, Sequences, Stack,
};

use crate::shape::Shape;
use crate::training::Window;

#[derive(Clone, Copy)]
pub struct Network {
    embedding: Embedding,
    recurrent: Stack<LstmCell>,
    dense: Dense,
    isa: Option<Isa>,
}

/// Cuts the next part off a buffer. The buffer must be long enough.
pub(crate) fn cut<'a, T>(room: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (taken, rest) = core::mem::take(room).split_at_mut(len);
    *room = rest;
    taken
}

/// The sum of lengths; `usize::MAX` on overflow.
pub(crate) fn sum(lens: &[usize]) -> usize {
    lens.iter().fold(0, |sum, len| sum.saturating_add(*len))
}

/// The buffers of a training, apart from weights and gradients.
pub struct Buffers<'a> {
    /// The state, carried from window to window.
    pub state: &'a mut [f32],
    dstate: &'a mut [f32],
    /// Outputs of the layers, and their gradients.
    embedded: &'a mut [f32],
    dembedded: &'a mut [f32],
    hidden: &'a mut [f32],
    dhidden: &'a mut [f32],
    logits: &'a mut [f32],
    dlogits: &'a mut [f32],
    tape: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl Network {
    /// The layers, pinned to an instruction set if one is given.
    pub fn new(shape: Shape, isa: Option<Isa>) -> Self {
        let Shape { vocabulary, embedding, hidden, layers } = shape;
        let mut recurrent = Stack::new(Lstm::new(embedding, hidden)).layers(layers);
        let mut dense = Dense::new(hidden, vocabulary);
        if let Some(isa) = isa {
            recurrent = recurrent.on(isa);
            dense = dense.on(isa);
        }
        Network { embedding: Embedding::new(vocabulary, embedding), recurrent, dense, isa }
    }

    /// The layers as an image stores them.
    pub fn layers(&self) -> [Layer; 3] {
        [self.embedding.into(), self.recurrent.into(), self.dense.into()]
    }

    /// The lengths of the layers' weights.
    fn parts(&self) -> [usize; 3] {
        let recurrent = self.recurrent.weights_len();
        [self.embedding.weights_len(), recurrent, self.dense.weights_len()]
    }

    pub fn weights_len(&self) -> usize {
        sum(&self.parts())
    }

    pub fn classes(&self) -> usize {
        self.dense.output()
    }

    pub fn state_len(&self) -> usize {
        self.recurrent.state_len(1)
    }

    /// Length of the scratch of a [`step`](Self::step).
    pub fn step_scratch_len(&self) -> usize {
        let stack = self.recurrent.scratch_len(1, 1);
        self.embedding.width().saturating_add(stack.max(self.dense.scratch_len()))
    }

    /// Draws initial weights.
    ///
    /// # Errors
    /// If `weights` has another length.
    pub fn init(&self, mut weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        let [embedding, recurrent, dense] = self.parts().map(|len| cut(&mut weights, len));
        self.embedding.init(embedding, rng)?;
        self.recurrent.init(recurrent, rng)?;
        self.dense.init(dense, rng)
    }

    /// One step of one row: computes the logits of the next character.
    ///
    /// # Errors
    /// If the character does not exist.
    pub fn step(
        &self,
        weights: &[f32],
        id: u32,
        logits: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let [embedding, recurrent, _] = self.parts();
        let (embedding, rest) = weights.split_at(embedding);
        let (recurrent, dense) = rest.split_at(recurrent);
        let (x, scratch) = scratch.split_at_mut(self.embedding.width());
        self.embedding.forward(embedding, &[id], x)?;
        let hidden = self.recurrent.step(recurrent, x, state, scratch)?;
        self.dense.forward(dense, 1, hidden, logits, scratch)
    }

    /// The lengths of a training's buffers.
    fn lens(&self, window: Window) -> [usize; 10] {
        let Window { batch, steps } = window;
        let rows = batch.saturating_mul(steps);
        let of = |width: usize| rows.saturating_mul(width);
        let [embedded, hidden, logits] =
            [of(self.embedding.width()), of(self.dense.input()), of(self.dense.output())];
        let (state, tape, scratch) = (
            self.recurrent.state_len(batch),
            self.recurrent.tape_len(steps, batch),
            self.recurrent.train_scratch_len(steps, batch),
        );
        let scratch = scratch.max(self.dense.scratch_len());
        [state, state, embedded, embedded, hidden, hidden, logits, logits, tape, scratch]
    }

    /// The number of floats in a training's buffers.
    pub fn buffers_len(&self, window: Window) -> usize {
        sum(&self.lens(window))
    }

    /// The buffers of a training, cut from [`buffers_len`](Self::buffers_len) zeros.
    pub fn buffers<'a>(&self, window: Window, mut room: &'a mut [f32]) -> Buffers<'a> {
        let [state, dstate, embedded, dembedded, hidden, dhidden, logits, dlogits, tape, scratch] =
            self.lens(window).map(|len| cut(&mut room, len));
        Buffers { state, dstate, embedded, dembedded, hidden, dhidden, logits, dlogits, tape, scratch }
    }

    /// The mean loss of a window and its gradients. `x [T, B]` has the characters, and the targets are the
    /// characters that follow them.
    ///
    /// # Errors
    /// If a character does not exist.
    pub fn gradients(
        &self,
        weights: &[f32],
        window: Window,
        (x, targets): (&[u32], &[u32]),
        buffers: &mut Buffers<'_>,
        mut grads: &mut [f32],
    ) -> Result<f32> {
        let [embedding, recurrent, _] = self.parts();
        let (embedding, rest) = weights.split_at(embedding);
        let (recurrent, dense) = rest.split_at(recurrent);
        let [dw_embedding, dw_recurrent, dw_dense] = self.parts().map(|len| cut(&mut grads, len));
        let Buffers { state, dstate, embedded, dembedded, hidden, dhidden, logits, dlogits, tape, scratch } =
            buffers;
        let sequences = Sequences::new(window.steps, window.batch);
        let (rows, mode) = (x.len(), Gradients::Overwrite);

        self.embedding.forward(embedding, x, embedded)?;
        let forward =
            ForwardTrain { sequences, x: embedded, y: hidden, state, tape, scratch, ..Default::default() };
        self.recurrent.forward_train(recurrent, forward)?;
        self.dense.forward(dense, rows, hidden, logits, scratch)?;

        let loss = CrossEntropy::new(self.classes());
        let loss = self.isa.map_or(loss, |isa| loss.on(isa)).loss(logits, targets, Some(dlogits))?;

        let (dx, grads) = (Some(&mut **dhidden), Some(dw_dense));
        let (x_dense, y, dy) = (&**hidden, &**logits, &mut **dlogits);
        self.dense.backward(dense, DenseBackward { rows, x: x_dense, y, dy, dx, grads, mode, scratch })?;
        dstate.fill(0.0);
        let backward = Backward {
            sequences,
            x: embedded,
            y: hidden,
            dy: dhidden,
            dstate,
            dx: Some(&mut **dembedded),
            grads: Some(dw_recurrent),
            mode,
            tape,
            scratch,
            ..Default::default()
        };
        self.recurrent.backward(recurrent, backward)?;
        self.embedding.backward(x, dembedded, dw_embedding, mode)?;
        Ok(loss)
    }
}
