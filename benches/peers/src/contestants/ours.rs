//! This crate.

use std::time::Duration;

use recurrent::{Backward, Forward, ForwardTrain, Gradients, Gru, Lstm, Packed, Rnn, Sequences};

use super::{Contestant, sample, time};
use crate::Result;
use crate::case::{Case, Cell, What};

#[derive(Clone, Copy)]
enum Layer {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
}

/// The same expression for the layer of any cell.
macro_rules! each {
    ($layer:expr, $l:ident => $e:expr) => {
        match $layer {
            Layer::Rnn($l) => $e,
            Layer::Lstm($l) => $e,
            Layer::Gru($l) => $e,
        }
    };
}

struct Ready {
    what: What,
    layer: Layer,
    sequences: Sequences<'static>,
    weights: Vec<f32>,
    packed: Packed<Vec<f32>>,
    x: Vec<f32>,
    dy: Vec<f32>,
    y: Vec<f32>,
    dx: Vec<f32>,
    grads: Vec<f32>,
    state: Vec<f32>,
    dstate: Vec<f32>,
    tape: Vec<f32>,
    scratch: Vec<f32>,
}

/// Single steps over a constant layer, which is what one has who streams, and what RTNeural's layers are.
fn stream(r: &mut Ready, calls: usize) -> Result<Duration> {
    let (packed, state, scratch) = (&r.packed, &mut r.state[..], &mut r.scratch[..]);
    let (samples, mut i) = (&r.x[..], 0);
    macro_rules! constant {
        ($($i:literal $h:literal)*) => {
            match r.layer {
                $(
                    Layer::Lstm(l) if (l.input(), l.hidden()) == ($i, $h) => time(calls, || {
                        const LAYER: Lstm = Lstm::new($i, $h);
                        Ok(LAYER.step(packed, sample(samples, &mut i, $i), state, scratch)?)
                    }),
                    Layer::Gru(l) if (l.input(), l.hidden()) == ($i, $h) => time(calls, || {
                        const LAYER: Gru = Gru::new($i, $h);
                        Ok(LAYER.step(packed, sample(samples, &mut i, $i), state, scratch)?)
                    }),
                )*
                _ => Err("there is no constant layer of this size".into()),
            }
        };
    }
    constant!(1 8 1 16 1 32 1 64 32 32)
}

#[derive(Default)]
pub struct Ours(Option<Ready>);

impl Contestant for Ours {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn version(&self) -> String {
        "recurrent 0.1.0".to_owned()
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        let &Case { what, cell, batch, steps, input, hidden, .. } = case;
        let layer = match cell {
            Cell::Rnn => Layer::Rnn(Rnn::new(input, hidden)),
            Cell::Lstm => Layer::Lstm(Lstm::new(input, hidden)),
            Cell::Gru => Layer::Gru(Gru::new(input, hidden)),
        };
        let train = what == What::Train;
        let of_training = |len: usize| vec![0.0; if train { len } else { 0 }];
        self.0 = Some(each!(layer, l => Ready {
            what,
            layer,
            sequences: Sequences::new(steps, batch),
            packed: l.pack(&case.weights, vec![0.0; l.packed_len()])?,
            y: vec![0.0; steps * batch * hidden],
            state: vec![0.0; l.state_len(batch)],
            scratch: vec![0.0; if train { l.train_scratch_len(batch) } else { l.scratch_len(steps, batch) }],
            dx: of_training(case.x.len()),
            grads: of_training(case.weights.len()),
            dstate: of_training(l.state_len(batch)),
            tape: of_training(if train { l.tape_len(steps, batch) } else { 0 }),
            weights: case.weights.clone(),
            x: case.x.clone(),
            dy: case.dy.clone(),
        }));
        Ok(true)
    }

    fn output(&mut self, _case: &Case) -> Result<Vec<f32>> {
        self.run(1)?;
        let r = self.0.as_ref().ok_or("not set up")?;
        Ok(match r.what {
            What::Step => r.state[..r.y.len()].to_vec(),
            What::Infer => r.y.clone(),
            What::Train => [&r.y[..], &r.dx, &r.grads].concat(),
        })
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let r = self.0.as_mut().ok_or("not set up")?;
        let sequences = r.sequences;
        each!(r.layer, l => match r.what {
            What::Step => stream(r, calls),
            What::Infer => time(calls, || {
                r.state.fill(0.0);
                let (y, state, scratch) = (&mut r.y[..], &mut r.state[..], &mut r.scratch[..]);
                Ok(l.forward(&r.packed, Forward { sequences, x: &r.x, y, state, scratch })?)
            }),
            What::Train => time(calls, || {
                r.state.fill(0.0);
                r.dstate.fill(0.0);
                let (tape, scratch) = (&mut r.tape[..], &mut r.scratch[..]);
                l.forward_train(
                    &r.weights,
                    ForwardTrain { sequences, x: &r.x, y: &mut r.y, state: &mut r.state, tape, scratch, ..Default::default() },
                )?;
                let backward = Backward {
                    sequences,
                    x: &r.x,
                    y: &r.y,
                    dy: &r.dy,
                    dstate: &mut r.dstate,
                    dx: Some(&mut r.dx),
                    grads: Some(&mut r.grads),
                    mode: Gradients::Overwrite,
                    tape,
                    scratch,
                    ..Default::default()
                };
                Ok(l.backward(&r.weights, backward)?)
            }),
        })
    }
}
