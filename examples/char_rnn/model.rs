//! The model: an embedding, a stack of recurrent layers, a dense layer.
//!
//! All parameters lie in one flat slice, in this order, and so do their gradients. States of all layers lie in another.
//! Shapes are time-major; `T` steps, `B` batch rows, `E` features of the embedding, `H` hidden units, `V` characters.

use rand_xoshiro::Xoshiro256PlusPlus;
use recurrent::{
    Backward, Dense, DenseBackward, Embedding, Forward, ForwardTrain, Gradients, Gru, Lstm, Packed, Result,
    Rnn, Sequences, cross_entropy,
};

/// Which recurrent cell the layers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Cell {
    Rnn,
    Lstm,
    Gru,
}

impl Cell {
    pub const ALL: [Cell; 3] = [Cell::Rnn, Cell::Lstm, Cell::Gru];

    pub fn name(self) -> &'static str {
        match self {
            Cell::Rnn => "rnn",
            Cell::Lstm => "lstm",
            Cell::Gru => "gru",
        }
    }
}

/// Everything that the number of parameters depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub cell: Cell,
    pub vocabulary: usize,
    pub embedding: usize,
    pub hidden: usize,
    pub layers: usize,
}

/// A recurrent layer of any cell.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
}

/// The same expression for the layer of each cell.
macro_rules! each {
    ($layer:expr, $l:ident => $e:expr) => {
        match $layer {
            Layer::Rnn($l) => $e,
            Layer::Lstm($l) => $e,
            Layer::Gru($l) => $e,
        }
    };
}

impl Layer {
    fn new(cell: Cell, input: usize, hidden: usize) -> Self {
        match cell {
            Cell::Rnn => Layer::Rnn(Rnn::new(input, hidden)),
            Cell::Lstm => Layer::Lstm(Lstm::new(input, hidden)),
            Cell::Gru => Layer::Gru(Gru::new(input, hidden)),
        }
    }

    fn weights_len(&self) -> usize {
        each!(self, l => l.weights_len())
    }

    fn state_len(&self, batch: usize) -> usize {
        each!(self, l => l.state_len(batch))
    }
}

/// The layers. It owns no parameters.
#[derive(Debug)]
pub struct Model {
    embedding: Embedding,
    layers: Vec<Layer>,
    dense: Dense,
}

/// The next `len` elements of what is left of a buffer.
fn take<'a>(rest: &mut &'a [f32], len: usize) -> &'a [f32] {
    rest.split_off(..len).expect("the flat buffer has the model's length")
}

fn take_mut<'a>(rest: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    rest.split_off_mut(..len).expect("the flat buffer has the model's length")
}

/// As [`take_mut`], from the end.
fn take_last<'a>(rest: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let start = rest.len().checked_sub(len).expect("the flat buffer has the model's length");
    rest.split_off_mut(start..).expect("the range is within the buffer")
}

impl Model {
    pub fn new(shape: Shape) -> Self {
        let Shape { cell, vocabulary, embedding, hidden, layers } = shape;
        let input = |layer| if layer == 0 { embedding } else { hidden };
        Model {
            embedding: Embedding::new(vocabulary, embedding),
            layers: (0..layers).map(|layer| Layer::new(cell, input(layer), hidden)).collect(),
            dense: Dense::new(hidden, vocabulary),
        }
    }

    /// Number of parameters; `usize::MAX` if that does not fit.
    pub fn weights_len(&self) -> usize {
        let ends = self.embedding.weights_len().saturating_add(self.dense.weights_len());
        self.layers.iter().fold(ends, |sum, l| sum.saturating_add(l.weights_len()))
    }

    /// Length of the states of all layers; `usize::MAX` if it does not fit.
    pub fn state_len(&self, batch: usize) -> usize {
        self.layers.iter().fold(0, |sum: usize, l| sum.saturating_add(l.state_len(batch)))
    }

    /// PyTorch's initial values: the embedding from the normal distribution, all else uniform in `+-1/sqrt(H)`.
    pub fn init(&self, mut weights: &mut [f32], rng: &mut Xoshiro256PlusPlus) -> Result<()> {
        self.embedding.init(take_mut(&mut weights, self.embedding.weights_len()), rng)?;
        for layer in &self.layers {
            each!(layer, l => l.init(take_mut(&mut weights, l.weights_len()), rng))?;
        }
        self.dense.init(weights, rng)
    }

    /// The mean loss in nats of a window `x [T, B]` with `targets [T, B]`, and its gradients.
    ///
    /// `state` is the initial state and then the last. No gradient flows into the initial state.
    pub fn forward_backward(
        &self,
        weights: &[f32],
        grads: &mut [f32],
        state: &mut [f32],
        x: &[u32],
        targets: &[u32],
        buffers: &mut Training,
    ) -> Result<f32> {
        let Training { steps, batch, embedded, outputs, tapes, logits, dlogits, dy, dx, dstate, scratch } =
            buffers;
        let (steps, batch, rows) = (*steps, *batch, *steps * *batch);

        let (mut rest, mut state) = (weights, state);
        self.embedding.forward(take(&mut rest, self.embedding.weights_len()), x, embedded)?;
        let mut input: &[f32] = embedded;
        for ((layer, y), tape) in self.layers.iter().zip(&mut *outputs).zip(&mut *tapes) {
            let args = ForwardTrain {
                sequences: Sequences::new(steps, batch),
                x: input,
                y,
                state: take_mut(&mut state, layer.state_len(batch)),
                recurrent_dropout: None,
                layer_dropout: None,
                tape,
                scratch,
            };
            each!(layer, l => l.forward_train(take(&mut rest, l.weights_len()), args))?;
            input = y;
        }
        self.dense.forward(rest, rows, input, logits, scratch)?;
        let loss = cross_entropy(self.dense.output(), logits, targets, Some(&mut *dlogits))?;

        let (mut rest_of_grads, recurrent) = (grads, &weights[self.embedding.weights_len()..]);
        self.dense.backward(
            rest,
            DenseBackward {
                rows,
                x: input,
                y: &[],
                dy: dlogits,
                dx: Some(&mut dy[..input.len()]),
                grads: Some(take_last(&mut rest_of_grads, self.dense.weights_len())),
                mode: Gradients::Overwrite,
                scratch,
            },
        )?;
        let mut end = recurrent.len() - self.dense.weights_len();
        for (i, (layer, tape)) in self.layers.iter().zip(tapes).enumerate().rev() {
            let x = if i == 0 { &*embedded } else { &outputs[i - 1] };
            let start = end - layer.weights_len();
            dstate.fill(0.0);
            let args = Backward {
                sequences: Sequences::new(steps, batch),
                x,
                y: &outputs[i],
                dy: &dy[..outputs[i].len()],
                dstate,
                dx: Some(&mut dx[..x.len()]),
                grads: Some(take_last(&mut rest_of_grads, layer.weights_len())),
                mode: Gradients::Overwrite,
                recurrent_dropout: None,
                layer_dropout: None,
                tape,
                scratch,
            };
            each!(layer, l => l.backward(&recurrent[start..end], args))?;
            core::mem::swap(dy, dx);
            end = start;
        }
        self.embedding.backward(x, &dy[..embedded.len()], rest_of_grads, Gradients::Overwrite)?;
        Ok(loss)
    }
}

fn zeros(len: usize) -> Vec<f32> {
    vec![0.0; len]
}

/// What a training pass needs besides parameters: made once, and used by every update.
pub struct Training {
    steps: usize,
    batch: usize,
    /// `[T, B, E]`
    embedded: Vec<f32>,
    /// `[T, B, H]` of each layer.
    outputs: Vec<Vec<f32>>,
    tapes: Vec<Vec<f32>>,
    /// `[T, B, V]`
    logits: Vec<f32>,
    dlogits: Vec<f32>,
    /// Gradients of a layer's output and input, which change places from layer to layer: `[T, B, max(E, H)]`.
    dy: Vec<f32>,
    dx: Vec<f32>,
    dstate: Vec<f32>,
    scratch: Vec<f32>,
}

impl Training {
    pub fn new(model: &Model, steps: usize, batch: usize) -> Self {
        let (rows, hidden) = (steps * batch, model.dense.input());
        let scratch = model.layers.iter().map(|l| each!(l, l => l.train_scratch_len(batch)));
        Training {
            steps,
            batch,
            embedded: zeros(rows * model.embedding.width()),
            outputs: model.layers.iter().map(|_| zeros(rows * hidden)).collect(),
            tapes: model.layers.iter().map(|l| zeros(each!(l, l => l.tape_len(steps, batch)))).collect(),
            logits: zeros(rows * model.dense.output()),
            dlogits: zeros(rows * model.dense.output()),
            dy: zeros(rows * hidden.max(model.embedding.width())),
            dx: zeros(rows * hidden.max(model.embedding.width())),
            dstate: zeros(model.layers[0].state_len(batch)),
            scratch: zeros(scratch.fold(model.dense.scratch_len(), usize::max)),
        }
    }
}

/// A model with packed parameters and buffers to run it forward only.
pub struct Inference<'a> {
    model: &'a Model,
    embedding: &'a [f32],
    layers: Vec<Packed<Vec<f32>>>,
    dense: &'a [f32],
    /// Room for the embedding, and for the outputs of two layers.
    rows: [Vec<f32>; 2],
    logits: Vec<f32>,
    scratch: Vec<f32>,
    pub state: Vec<f32>,
}

impl<'a> Inference<'a> {
    /// For windows of up to `steps` steps of `batch` rows, from a state of zero.
    pub fn new(model: &'a Model, weights: &'a [f32], steps: usize, batch: usize) -> Result<Self> {
        let mut rest = weights;
        let embedding = take(&mut rest, model.embedding.weights_len());
        let pack = |layer: &Layer| each!(layer, l => l.pack(take(&mut rest, l.weights_len()), zeros(l.packed_len())));
        let layers = model.layers.iter().map(pack).collect::<Result<_>>()?;
        let scratch = model.layers.iter().map(|l| each!(l, l => l.scratch_len(steps, batch)));
        let width = model.dense.input().max(model.embedding.width());
        Ok(Inference {
            model,
            embedding,
            layers,
            dense: rest,
            rows: [zeros(steps * batch * width), zeros(steps * batch * width)],
            logits: zeros(steps * batch * model.dense.output()),
            scratch: zeros(scratch.fold(model.dense.scratch_len(), usize::max)),
            state: zeros(model.state_len(batch)),
        })
    }

    /// The logits `[T, B, V]` after each of the characters `x [T, B]`.
    pub fn forward(&mut self, x: &[u32], batch: usize) -> Result<&[f32]> {
        let Model { embedding, layers, dense } = self.model;
        let (rows, hidden) = (x.len(), dense.input());
        let [input, output] = &mut self.rows;
        let mut state = &mut self.state[..];
        let mut width = embedding.width();
        embedding.forward(self.embedding, x, &mut input[..rows * width])?;
        for (layer, packed) in layers.iter().zip(&self.layers) {
            let args = Forward {
                sequences: Sequences::new(rows / batch, batch),
                x: &input[..rows * width],
                y: &mut output[..rows * hidden],
                state: take_mut(&mut state, layer.state_len(batch)),
                scratch: &mut self.scratch,
            };
            each!(layer, l => l.forward(packed, args))?;
            core::mem::swap(input, output);
            width = hidden;
        }
        let logits = &mut self.logits[..rows * dense.output()];
        dense.forward(self.dense, rows, &input[..rows * hidden], logits, &mut self.scratch)?;
        Ok(logits)
    }
}
