//! Code that the tests share: the table of cells, and a common way to run any of them.
#![allow(dead_code, unused_imports, reason = "every test binary uses a part of it")]

pub mod case;
pub mod oracle;
pub mod pool;
pub mod pool_training;
mod training;

pub use training::{Trained, train, train_over};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use recurrent::{
    Activation, Backward, Forward, ForwardTrain, Gru, Isa, Join, Lstm, LstmNorm, Mgu, Narrow, Packed, Reset,
    Result, Rnn, WeightSource,
};

/// The instruction sets that a test runs on: all available ones or, if `VECTORS_ONLY` is in the environment,
/// only those with vectors. An emulator takes minutes for the portable sets. The host tests those, and
/// checksums compare their bits on the target.
pub fn sets() -> impl Iterator<Item = Isa> {
    let vectors = std::env::var_os("VECTORS_ONLY").is_some();
    Isa::available().filter(move |isa| !vectors || !["scalar", "fused"].contains(&isa.name()))
}

/// Every cell in each of its variants with fused equations, and some cells with options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    RnnTanh,
    RnnRelu,
    Lstm,
    Gru,
    GruResetBefore,
    Mgu,
    /// With another activation, without biases.
    RnnOptions,
    /// With all options except coupled gates.
    LstmOptions,
    /// With coupled gates, without biases.
    LstmCoupled,
    GruOptions,
    GruResetBeforeOptions,
    MguDropout,
    LstmNormalised,
    /// With a cell state that goes on normalised.
    LstmNormalisedState,
    GruNormalised,
}

impl Kind {
    /// The kinds without options, which the oracles of the cells compute.
    pub const FUSED: [Kind; 6] =
        [Kind::RnnTanh, Kind::RnnRelu, Kind::Lstm, Kind::Gru, Kind::GruResetBefore, Kind::Mgu];
    pub const ALL: [Kind; 15] = [
        Kind::RnnTanh,
        Kind::RnnRelu,
        Kind::Lstm,
        Kind::Gru,
        Kind::GruResetBefore,
        Kind::Mgu,
        Kind::RnnOptions,
        Kind::LstmOptions,
        Kind::LstmCoupled,
        Kind::GruOptions,
        Kind::GruResetBeforeOptions,
        Kind::MguDropout,
        Kind::LstmNormalised,
        Kind::LstmNormalisedState,
        Kind::GruNormalised,
    ];

    pub fn gates(self) -> usize {
        match self {
            Kind::RnnTanh | Kind::RnnRelu | Kind::RnnOptions => 1,
            Kind::Mgu | Kind::MguDropout => 2,
            Kind::Lstm | Kind::LstmOptions | Kind::LstmCoupled => 4,
            Kind::LstmNormalised | Kind::LstmNormalisedState => 4,
            Kind::Gru | Kind::GruResetBefore | Kind::GruOptions | Kind::GruResetBeforeOptions => 3,
            Kind::GruNormalised => 3,
        }
    }

    /// The number of planes of H elements in a row of the tape.
    pub fn planes(self) -> usize {
        match self.gates() {
            1 => 1,
            4 if self.normalised() => 9,
            3 if self.normalised() => 6,
            4 => 5,
            _ => 4,
        }
    }

    pub fn bias(self) -> bool {
        !matches!(self, Kind::RnnOptions | Kind::LstmCoupled)
    }

    /// Whether the cell has layer normalisation. Such a cell has no narrow weights.
    pub fn normalised(self) -> bool {
        matches!(self, Kind::LstmNormalised | Kind::LstmNormalisedState | Kind::GruNormalised)
    }

    pub fn peepholes(self) -> bool {
        self == Kind::LstmOptions
    }

    pub fn projection(self, hidden: usize) -> Option<usize> {
        (self == Kind::LstmOptions).then_some(hidden.div_ceil(2))
    }

    /// Whether training takes factors for the hidden state.
    pub fn recurrent_dropout(self) -> bool {
        !Kind::FUSED.contains(&self)
    }

    pub fn layer(self, input: usize, hidden: usize, isa: Isa) -> Layer {
        let (rnn, lstm, gru) = (
            Rnn::new(input, hidden).on(isa),
            Lstm::new(input, hidden).on(isa),
            Gru::new(input, hidden).on(isa),
        );
        let gates = Activation::HardSigmoid { alpha: 0.35, beta: 0.45 };
        match self {
            Kind::RnnTanh => Layer::Rnn(rnn),
            Kind::RnnRelu => Layer::Rnn(rnn.activation(Activation::Relu)),
            Kind::Lstm => Layer::Lstm(lstm),
            Kind::Gru => Layer::Gru(gru),
            Kind::GruResetBefore => Layer::Gru(gru.reset(Reset::Before)),
            Kind::Mgu => Layer::Mgu(Mgu::new(input, hidden).on(isa)),
            Kind::MguDropout => Layer::Mgu(Mgu::new(input, hidden).on(isa).recurrent_dropout()),
            Kind::RnnOptions => {
                Layer::Rnn(rnn.activation(Activation::Softsign).bias(false).recurrent_dropout())
            }
            Kind::LstmOptions => Layer::Lstm(
                lstm.activations(gates, Activation::Softsign, Activation::Elu { alpha: 0.8 })
                    .clip(0.8)
                    .peepholes()
                    .projection(hidden.div_ceil(2))
                    .recurrent_dropout(),
            ),
            Kind::LstmNormalised => Layer::Lstm(lstm.layer_norm(LstmNorm::Output).recurrent_dropout()),
            Kind::LstmNormalisedState => Layer::Lstm(lstm.layer_norm(LstmNorm::State).recurrent_dropout()),
            Kind::GruNormalised => Layer::Gru(gru.layer_norm().recurrent_dropout()),
            Kind::LstmCoupled => Layer::Lstm(lstm.coupled().bias(false).recurrent_dropout()),
            Kind::GruOptions => {
                let new = Activation::ScaledTanh { alpha: 1.2, beta: 0.7 };
                Layer::Gru(gru.activations(gates, new).clip(0.9).recurrent_dropout())
            }
            Kind::GruResetBeforeOptions => {
                let gru = gru.reset(Reset::Before).activations(Activation::Sigmoid, Activation::Softplus);
                Layer::Gru(gru.clip(0.9).recurrent_dropout())
            }
        }
    }
}

/// A layer of any cell.
#[derive(Clone, Copy, Debug)]
pub enum Layer {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
    Mgu(Mgu),
}

macro_rules! each {
    ($self:ident, $layer:ident => $e:expr) => {
        match $self {
            Layer::Rnn($layer) => $e,
            Layer::Lstm($layer) => $e,
            Layer::Gru($layer) => $e,
            Layer::Mgu($layer) => $e,
        }
    };
}

impl Layer {
    pub fn reverse(self) -> Layer {
        match self {
            Layer::Rnn(l) => Layer::Rnn(l.reverse()),
            Layer::Lstm(l) => Layer::Lstm(l.reverse()),
            Layer::Gru(l) => Layer::Gru(l.reverse()),
            Layer::Mgu(l) => Layer::Mgu(l.reverse()),
        }
    }
    pub fn narrow(self, narrow: Narrow) -> Layer {
        match self {
            Layer::Rnn(l) => Layer::Rnn(l.narrow(narrow)),
            Layer::Lstm(l) => Layer::Lstm(l.narrow(narrow)),
            Layer::Gru(l) => Layer::Gru(l.narrow(narrow)),
            Layer::Mgu(l) => Layer::Mgu(l.narrow(narrow)),
        }
    }
    pub fn narrow_len(&self) -> usize {
        each!(self, l => l.narrow_len())
    }
    pub fn round(&self, weights: &[f32], narrow: &mut [u8]) -> Result<()> {
        each!(self, l => l.round(weights, narrow))
    }
    pub fn widen(&self, narrow: &[u8], weights: &mut [f32]) -> Result<()> {
        each!(self, l => l.widen(narrow, weights))
    }
    pub fn pack_narrow(&self, narrow: &[u8]) -> Result<Packed<Vec<f32>>> {
        each!(self, l => l.pack_narrow(narrow, vec![f32::NAN; self.packed_len()]))
    }
    pub fn input(&self) -> usize {
        each!(self, l => l.input())
    }
    pub fn hidden(&self) -> usize {
        each!(self, l => l.hidden())
    }
    /// Elements in a row of the hidden state.
    pub fn width(&self) -> usize {
        each!(self, l => l.width())
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
    /// The parts of a state (`h`, and `c` if there is one): the offset of each, and the elements of one of
    /// its rows.
    pub fn state_parts(&self, batch: usize) -> Vec<(usize, usize)> {
        let (h, rest) = (self.width(), self.state_len(1) - self.width());
        if rest == 0 { vec![(0, h)] } else { vec![(0, h), (batch * h, rest)] }
    }
    /// Row `b` of a state.
    pub fn state_row(&self, of: &[f32], batch: usize, b: usize) -> Vec<f32> {
        let parts = self.state_parts(batch).into_iter();
        parts.flat_map(|(first, len)| of[first + b * len..][..len].to_vec()).collect()
    }
    /// Copies the state of one row into row `b` of another state.
    pub fn set_state_row(&self, to: &mut [f32], batch: usize, b: usize, row: &[f32]) {
        let mut rest = row;
        for (first, len) in self.state_parts(batch) {
            to[first + b * len..][..len].copy_from_slice(&rest[..len]);
            rest = &rest[len..];
        }
    }
    pub fn tape_len(&self, steps: usize, batch: usize) -> usize {
        each!(self, l => l.tape_len(steps, batch))
    }
    pub fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        each!(self, l => l.scratch_len(steps, batch))
    }
    pub fn scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        each!(self, l => l.scratch_len_with(threads, steps, batch))
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
    pub fn forward_with<'w>(
        &self,
        join: &dyn Join,
        w: impl Into<WeightSource<'w>>,
        args: Forward<'_>,
    ) -> Result<()> {
        each!(self, l => l.forward_with(join, w, args))
    }
    pub fn forward_train(&self, w: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        each!(self, l => l.forward_train(w, args))
    }
    pub fn train_scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        each!(self, l => l.train_scratch_len_with(threads, steps, batch))
    }
    pub fn forward_train_with(&self, join: &dyn Join, w: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        each!(self, l => l.forward_train_with(join, w, args))
    }
    pub fn backward_with(&self, join: &dyn Join, w: &[f32], args: Backward<'_>) -> Result<()> {
        each!(self, l => l.backward_with(join, w, args))
    }
    pub fn backward(&self, w: &[f32], args: Backward<'_>) -> Result<()> {
        each!(self, l => l.backward(w, args))
    }
}

/// Random numbers, the same in every run.
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

/// Random weights of a scale that neither saturates the states of `hidden` units nor lets them die away.
pub fn random_weights(layer: Layer, random: &mut Random) -> Vec<f32> {
    let scale = 1.4 / ((layer.input() + layer.hidden()) as f32).sqrt().max(1.0);
    random.uniform(layer.weights_len(), scale)
}

/// Fails if the bits differ.
#[track_caller]
pub fn assert_bits(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{what}[{i}]: {a:e} and {b:e}");
    }
}

/// Fails if the bits differ, except that every NaN equals every other.
#[track_caller]
pub fn assert_same(a: &[f32], b: &[f32], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{what}[{i}]: {a:e} and {b:e}");
    }
}

/// A buffer of nonzero numbers, in which any write shows.
pub fn pattern(len: usize) -> Vec<f32> {
    (0..len).map(|i| 0.01 * (i % 91) as f32 + 0.001).collect()
}
