//! This crate.

use std::time::Duration;

use recurrent::{Backward, Forward, ForwardTrain, Gradients, Gru, Lstm, Packed, Rayon, Rnn, Sequences};

use super::{Contestant, sample, time};
use crate::Result;
use crate::case::{Case, Cell, What};

#[derive(Clone, Copy)]
enum Layer {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
}

/// Evaluates the same expression for the layer of any cell.
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

/// Single steps of a constant layer. Streaming programs usually have one, and RTNeural's layers are constant,
/// too.
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

/// With several threads it uses rayon's pool. The caller's thread is one of the pool's, as it is in the other
/// libraries.
pub struct Ours {
    threads: usize,
    ready: Option<Ready>,
}

/// On one thread.
impl Default for Ours {
    fn default() -> Ours {
        Ours { threads: 1, ready: None }
    }
}

impl Ours {
    pub fn new(threads: usize) -> Result<Ours> {
        if threads > 1 {
            rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread().build_global()?;
        }
        Ok(Ours { threads, ready: None })
    }
}

impl Contestant for Ours {
    fn name(&self) -> &'static str {
        "recurrent"
    }

    fn version(&self) -> String {
        match self.threads {
            1 => "recurrent 0.1.0".to_owned(),
            threads => format!("recurrent 0.1.0 on {threads} threads"),
        }
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
        let threads = self.threads;
        self.ready = Some(each!(layer, l => Ready {
            what,
            layer,
            sequences: Sequences::new(steps, batch),
            packed: l.pack(&case.weights, vec![0.0; l.packed_len()])?,
            y: vec![0.0; steps * batch * hidden],
            state: vec![0.0; l.state_len(batch)],
            scratch: vec![0.0; match train {
                true => l.train_scratch_len_with(threads, steps, batch),
                false => l.scratch_len_with(threads, steps, batch),
            }],
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
        let r = self.ready.as_ref().ok_or("not set up")?;
        Ok(match r.what {
            What::Step => r.state[..r.y.len()].to_vec(),
            What::Infer => r.y.clone(),
            What::Train => [&r.y[..], &r.dx, &r.grads].concat(),
        })
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let (threads, r) = (self.threads, self.ready.as_mut().ok_or("not set up")?);
        let sequences = r.sequences;
        each!(r.layer, l => match r.what {
            What::Step => stream(r, calls),
            What::Infer => time(calls, || {
                r.state.fill(0.0);
                let (y, state, scratch) = (&mut r.y[..], &mut r.state[..], &mut r.scratch[..]);
                let args = Forward { sequences, x: &r.x, y, state, scratch };
                Ok(match threads {
                    1 => l.forward(&r.packed, args),
                    _ => l.forward_with(&Rayon, &r.packed, args),
                }?)
            }),
            What::Train => time(calls, || {
                r.state.fill(0.0);
                r.dstate.fill(0.0);
                let (tape, scratch) = (&mut r.tape[..], &mut r.scratch[..]);
                let (y, state) = (&mut r.y[..], &mut r.state[..]);
                let forward = ForwardTrain { sequences, x: &r.x, y, state, tape, scratch, ..Default::default() };
                match threads {
                    1 => l.forward_train(&r.weights, forward),
                    _ => l.forward_train_with(&Rayon, &r.weights, forward),
                }?;
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
                Ok(match threads {
                    1 => l.backward(&r.weights, backward),
                    _ => l.backward_with(&Rayon, &r.weights, backward),
                }?)
            }),
        })
    }
}
