//! What the tests share: the table of cells, and one way to run any of them.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod case;
pub mod oracle;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::{
    Activation, Backward, Forward, ForwardTrain, Gradients, Gru, Isa, Lstm, Packed, Reset, Result, Rnn,
    Sequences, WeightSource,
};

/// Every cell with every choice of its equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    RnnTanh,
    RnnRelu,
    Lstm,
    Gru,
    GruResetBefore,
}

impl Kind {
    pub const ALL: [Kind; 5] = [Kind::RnnTanh, Kind::RnnRelu, Kind::Lstm, Kind::Gru, Kind::GruResetBefore];

    pub fn gates(self) -> usize {
        match self {
            Kind::RnnTanh | Kind::RnnRelu => 1,
            Kind::Lstm => 4,
            Kind::Gru | Kind::GruResetBefore => 3,
        }
    }

    pub fn layer(self, input: usize, hidden: usize, isa: Isa) -> Layer {
        match self {
            Kind::RnnTanh => Layer::Rnn(Rnn::new(input, hidden).on(isa)),
            Kind::RnnRelu => Layer::Rnn(Rnn::new(input, hidden).activation(Activation::Relu).on(isa)),
            Kind::Lstm => Layer::Lstm(Lstm::new(input, hidden).on(isa)),
            Kind::Gru => Layer::Gru(Gru::new(input, hidden).on(isa)),
            Kind::GruResetBefore => Layer::Gru(Gru::new(input, hidden).reset(Reset::Before).on(isa)),
        }
    }
}

/// A layer of any cell.
#[derive(Clone, Copy, Debug)]
pub enum Layer {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
}

macro_rules! each {
    ($self:ident, $layer:ident => $e:expr) => {
        match $self {
            Layer::Rnn($layer) => $e,
            Layer::Lstm($layer) => $e,
            Layer::Gru($layer) => $e,
        }
    };
}

impl Layer {
    pub fn reverse(self) -> Layer {
        match self {
            Layer::Rnn(l) => Layer::Rnn(l.reverse()),
            Layer::Lstm(l) => Layer::Lstm(l.reverse()),
            Layer::Gru(l) => Layer::Gru(l.reverse()),
        }
    }
    pub fn input(&self) -> usize {
        each!(self, l => l.input())
    }
    pub fn hidden(&self) -> usize {
        each!(self, l => l.hidden())
    }
    pub fn weights_len(&self) -> usize {
        each!(self, l => l.weights_len())
    }
    pub fn packed_len(&self) -> usize {
        each!(self, l => l.packed_len())
    }
    pub fn state_len(&self, batch: usize) -> usize {
        each!(self, l => l.state_len(batch))
    }
    pub fn tape_len(&self, steps: usize, batch: usize) -> usize {
        each!(self, l => l.tape_len(steps, batch))
    }
    pub fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        each!(self, l => l.scratch_len(steps, batch))
    }
    pub fn train_scratch_len(&self, batch: usize) -> usize {
        each!(self, l => l.train_scratch_len(batch))
    }
    pub fn pack(&self, weights: &[f32]) -> Result<Packed<Vec<f32>>> {
        self.pack_into(weights, vec![f32::NAN; self.packed_len()])
    }
    pub fn pack_into<B: AsMut<[f32]>>(&self, weights: &[f32], room: B) -> Result<Packed<B>> {
        each!(self, l => l.pack(weights, room))
    }
    pub fn step<'w>(
        &self,
        w: impl Into<WeightSource<'w>>,
        x: &[f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        each!(self, l => l.step(w, x, state, scratch))
    }
    pub fn forward<'w>(&self, w: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        each!(self, l => l.forward(w, args))
    }
    pub fn forward_train(&self, w: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        each!(self, l => l.forward_train(w, args))
    }
    pub fn backward(&self, w: &[f32], args: Backward<'_>) -> Result<()> {
        each!(self, l => l.backward(w, args))
    }
}

/// Outputs and gradients of a training pass; buffers that are only written are filled with NaN before.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub y: Vec<f32>,
    pub state: Vec<f32>,
    pub grads: Vec<f32>,
    pub dx: Vec<f32>,
    pub dstate: Vec<f32>,
}

/// Forward for training and backward.
pub fn train(
    layer: Layer,
    (steps, batch): (usize, usize),
    weights: &[f32],
    x: &[f32],
    state: &[f32],
    dy: &[f32],
    dstate: &[f32],
) -> Result<Trained> {
    let mut out = Trained {
        y: vec![f32::NAN; steps * batch * layer.hidden()],
        state: state.to_vec(),
        grads: vec![f32::NAN; weights.len()],
        dx: vec![f32::NAN; x.len()],
        dstate: dstate.to_vec(),
    };
    let mut tape = vec![f32::NAN; layer.tape_len(steps, batch)];
    let mut scratch = vec![f32::NAN; layer.train_scratch_len(batch)];
    layer.forward_train(
        weights,
        ForwardTrain {
            sequences: Sequences::new(steps, batch),
            x,
            y: &mut out.y,
            state: &mut out.state,
            recurrent_dropout: None,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        },
    )?;
    scratch.fill(f32::NAN);
    layer.backward(
        weights,
        Backward {
            sequences: Sequences::new(steps, batch),
            x,
            y: &out.y,
            dy,
            dstate: &mut out.dstate,
            dx: Some(&mut out.dx),
            grads: Some(&mut out.grads),
            mode: Gradients::Overwrite,
            recurrent_dropout: None,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        },
    )?;
    Ok(out)
}

/// Random numbers that are the same in every run.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// `n` numbers between `-scale` and `scale`.
    pub fn uniform(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| ((self.0.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale).collect()
    }
}

/// Weights that keep the states of `hidden` units lively: neither saturated nor dying away.
pub fn random_weights(layer: Layer, random: &mut Random) -> Vec<f32> {
    let scale = 1.4 / ((layer.input() + layer.hidden()) as f32).sqrt().max(1.0);
    random.uniform(layer.weights_len(), scale)
}

/// Fails unless both have the same bits.
#[track_caller]
pub fn assert_bits(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{what}[{i}]: {a:e} and {b:e}");
    }
}

/// A buffer in which every change shows.
pub fn pattern(len: usize) -> Vec<f32> {
    (0..len).map(|i| 0.01 * (i % 91) as f32 + 0.001).collect()
}
