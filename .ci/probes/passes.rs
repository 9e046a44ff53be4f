//! Calls every pass of every cell: as a layer, in a stack, and in a model.

use recurrent::model::{self, Layer, Model, Training};
use recurrent::{
    Backward, Forward, ForwardTrain, Gru, GruCell, Lstm, LstmCell, Mgu, MguCell, Packed, Result, Rnn,
    RnnCell, Stack, WeightSource,
};

type Panels<'a> = Packed<&'a mut [f32]>;

macro_rules! passes {
    ($($name:ident: $layer:ty;)*) => {$(
        pub mod $name {
            use super::*;

            pub fn pack<'a>(l: &$layer, w: &[f32], to: &'a mut [f32]) -> Result<Panels<'a>> {
                l.pack(w, to)
            }

            pub fn step(l: &$layer, w: &[f32], p: &Panels<'_>, x: &[f32], state: &mut [f32], scratch: &mut [f32]) -> Result<()> {
                l.step(w, x, state, scratch)?;
                l.step(p, x, state, scratch)?;
                Ok(())
            }

            pub fn forward(l: &$layer, w: &[f32], p: &Panels<'_>, one: Forward<'_>, other: Forward<'_>) -> Result<()> {
                l.forward(w, one)?;
                l.forward(p, other)
            }

            pub fn train(l: &$layer, w: &[f32], forward: ForwardTrain<'_>, backward: Backward<'_>) -> Result<()> {
                l.forward_train(w, forward)?;
                l.backward(w, backward)
            }
        }
    )*};
}

passes! {
    rnn: Rnn;
    lstm: Lstm;
    gru: Gru;
    mgu: Mgu;
    rnn_stack: Stack<RnnCell>;
    lstm_stack: Stack<LstmCell>;
    gru_stack: Stack<GruCell>;
    mgu_stack: Stack<MguCell>;
}

pub const MODEL: Model<5> =
    Model::new([Layer::rnn(2, 8), Layer::lstm(8, 8), Layer::gru(8, 8), Layer::mgu(8, 8), Layer::dense(8, 1)]);

pub fn model(
    w: &[f32],
    training: Training<'_>,
    one: model::Forward<'_>,
    other: model::Forward<'_>,
) -> Result<f32> {
    let mut packed = vec![0.0; MODEL.packed_len()];
    let packed = MODEL.pack(w, &mut packed[..])?;
    MODEL.forward(w, one)?;
    MODEL.forward(WeightSource::from(&packed), other)?;
    let (mut y, mut state) = ([0.0], vec![0.0; MODEL.state_len(1)]);
    let mut scratch = vec![0.0; MODEL.scratch_len(1, 1)];
    MODEL.step(w, &[1.0, 2.0], &mut y, &mut state, &mut scratch)?;
    MODEL.step(WeightSource::from(&packed), &[1.0, 2.0], &mut y, &mut state, &mut scratch)?;
    MODEL.forward_backward(w, training)
}
