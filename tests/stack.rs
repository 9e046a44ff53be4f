//! Stacks, compared with the same layers run one after the other.

mod common;

use common::{Random, assert_bits, sets};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
#[cfg(feature = "std")]
use recurrent::Threads;
use recurrent::{
    Activation, Backward, Forward, ForwardTrain, Gradients, Gru, Join, Lstm, LstmNorm, Merge, Mgu, Recurrent,
    Reset, Rnn, Sequences, Sequential, Stack,
};

/// A replacement for the library's `Threads`, which needs the standard library.
#[cfg(not(feature = "std"))]
struct Threads;

#[cfg(not(feature = "std"))]
impl Join for Threads {
    fn join(&self, forward: &mut (dyn FnMut() + Send), reverse: &mut (dyn FnMut() + Send)) {
        std::thread::scope(|scope| {
            scope.spawn(reverse);
            forward();
        });
    }
}

const STEPS: usize = 6;
const BATCH: usize = 4;
const LENGTHS: [usize; BATCH] = [3, 6, 0, 5];

/// The results of a training pass.
#[derive(Clone, Debug, Default)]
struct Trained {
    y: Vec<f32>,
    state: Vec<f32>,
    grads: Vec<f32>,
    dx: Vec<f32>,
    dstate: Vec<f32>,
}

/// Tests for one kind of cell. A macro, because no public trait names the common passes of `Stack` and
/// `Recurrent`.
macro_rules! suite {
    ($name:ident, $cell:ty) => {
        mod $name {
            use super::*;

            struct Case {
                stack: Stack<$cell>,
                merge: Option<Merge>,
                depth: usize,
                weights: Vec<f32>,
                x: Vec<f32>,
                state: Vec<f32>,
                dy: Vec<f32>,
                dstate: Vec<f32>,
                layer_dropout: Option<Vec<f32>>,
                recurrent_dropout: Option<Vec<f32>>,
            }

            impl Case {
                fn new(layer: Recurrent<$cell>, merge: Option<Merge>, depth: usize, dropout: bool) -> Case {
                    let stack = Stack::new(layer).layers(depth);
                    let stack = merge.map_or(stack, |merge| stack.bidirectional(merge));
                    let mut random = Random::new(depth as u64);
                    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(7);
                    let mut drop = |len: usize, wanted: bool| {
                        let mut factors = vec![f32::NAN; len];
                        recurrent::train::dropout(&mut factors, 0.4, rng).unwrap();
                        (dropout && wanted).then_some(factors)
                    };
                    let states = stack.state_len(BATCH);
                    let recurrent = layer.recurrent_dropout() == layer;
                    Case {
                        stack,
                        merge,
                        depth,
                        weights: random.uniform(stack.weights_len(), 0.5),
                        x: random.uniform(STEPS * BATCH * stack.input(), 1.0),
                        state: random.uniform(states, 0.9),
                        dy: random.uniform(STEPS * BATCH * stack.output(), 1.0),
                        dstate: random.uniform(states, 1.0),
                        layer_dropout: drop(stack.layer_dropout_len(STEPS, BATCH), true),
                        recurrent_dropout: drop(stack.recurrent_dropout_len(BATCH), recurrent),
                    }
                }

                fn sequences(&self) -> Sequences<'static> {
                    Sequences::new(STEPS, BATCH).lengths(&LENGTHS)
                }

                fn train(&self, join: &dyn Join) -> Trained {
                    let (stack, sequences) = (self.stack, self.sequences());
                    let mut out = Trained {
                        y: vec![f32::NAN; self.dy.len()],
                        state: self.state.clone(),
                        grads: vec![f32::NAN; self.weights.len()],
                        dx: vec![f32::NAN; self.x.len()],
                        dstate: self.dstate.clone(),
                    };
                    let mut tape = vec![f32::NAN; stack.tape_len(STEPS, BATCH)];
                    let mut scratch = vec![f32::NAN; stack.train_scratch_len(STEPS, BATCH)];
                    let args = ForwardTrain {
                        sequences,
                        x: &self.x,
                        y: &mut out.y,
                        state: &mut out.state,
                        recurrent_dropout: self.recurrent_dropout.as_deref(),
                        layer_dropout: self.layer_dropout.as_deref(),
                        tape: &mut tape,
                        scratch: &mut scratch,
                    };
                    stack.forward_train_with(join, &self.weights, args).unwrap();
                    scratch.fill(f32::NAN);
                    let args = Backward {
                        sequences,
                        x: &self.x,
                        y: &out.y,
                        dy: &self.dy,
                        dstate: &mut out.dstate,
                        dx: Some(&mut out.dx),
                        grads: Some(&mut out.grads),
                        mode: Gradients::Overwrite,
                        recurrent_dropout: self.recurrent_dropout.as_deref(),
                        layer_dropout: self.layer_dropout.as_deref(),
                        tape: &mut tape,
                        scratch: &mut scratch,
                    };
                    stack.backward_with(join, &self.weights, args).unwrap();
                    out
                }

                /// Computes the same with the layers' own passes.
                fn by_hand(&self) -> Trained {
                    let (stack, sequences) = (self.stack, self.sequences());
                    let (rows, directions) = (STEPS * BATCH, stack.directions());
                    let width = stack.layer(0, 0).width();
                    let mut out = Trained { state: self.state.clone(), ..Trained::default() };
                    let mut at = 0;
                    let mut inputs = vec![self.x.clone()];
                    let mut kept = vec![];
                    let states = stack.layer(0, 0).state_len(BATCH);
                    let factors = |n: usize| {
                        let len = BATCH * width;
                        self.recurrent_dropout.as_ref().map(|all| &all[n * len..][..len])
                    };
                    for index in 0..self.depth {
                        let x = inputs[index].clone();
                        let mut parts = vec![];
                        for direction in 0..directions {
                            let layer = stack.layer(index, direction);
                            let w = self.weights[at..][..layer.weights_len()].to_vec();
                            let place = at;
                            at += w.len();
                            let n = index * directions + direction;
                            let mut y = vec![f32::NAN; rows * width];
                            let mut tape = vec![f32::NAN; layer.tape_len(STEPS, BATCH)];
                            let mut scratch = vec![f32::NAN; layer.train_scratch_len(BATCH)];
                            let args = ForwardTrain {
                                sequences,
                                x: &x,
                                y: &mut y,
                                state: &mut out.state[n * states..][..states],
                                recurrent_dropout: factors(n),
                                layer_dropout: None,
                                tape: &mut tape,
                                scratch: &mut scratch,
                            };
                            layer.forward_train(&w, args).unwrap();
                            parts.push((layer, w, y, tape, n, place));
                        }
                        let mut y = match self.merge {
                            None => parts[0].2.clone(),
                            Some(Merge::Sum) => {
                                parts[0].2.iter().zip(&parts[1].2).map(|(a, b)| a + b).collect()
                            }
                            Some(Merge::Concat) => {
                                let rows = parts[0].2.chunks(width).zip(parts[1].2.chunks(width));
                                rows.flat_map(|(a, b)| [a, b].concat()).collect()
                            }
                        };
                        if index + 1 == self.depth {
                            out.y = y.clone();
                        } else if let Some(factors) = &self.layer_dropout {
                            let factors = &factors[index * y.len()..][..y.len()];
                            y.iter_mut().zip(factors).for_each(|(y, f)| *y *= f);
                        }
                        inputs.push(y);
                        kept.push(parts);
                    }
                    out.grads = vec![f32::NAN; self.weights.len()];
                    out.dstate = self.dstate.clone();
                    let mut dy = self.dy.clone();
                    for (index, parts) in kept.into_iter().enumerate().rev() {
                        let mut sum = vec![0.0; inputs[index].len()];
                        for (direction, (layer, w, y, mut tape, n, place)) in parts.into_iter().enumerate() {
                            let own: Vec<f32> = match self.merge {
                                Some(Merge::Concat) => dy
                                    .chunks(2 * width)
                                    .flat_map(|row| row[direction * width..][..width].to_vec())
                                    .collect(),
                                _ => dy.clone(),
                            };
                            let mut dx = vec![f32::NAN; sum.len()];
                            let args = Backward {
                                sequences,
                                x: &inputs[index],
                                y: &y,
                                dy: &own,
                                dstate: &mut out.dstate[n * states..][..states],
                                dx: Some(&mut dx),
                                grads: Some(&mut out.grads[place..][..w.len()]),
                                mode: Gradients::Overwrite,
                                recurrent_dropout: factors(n),
                                layer_dropout: None,
                                tape: &mut tape,
                                scratch: &mut vec![f32::NAN; layer.train_scratch_len(BATCH)],
                            };
                            layer.backward(&w, args).unwrap();
                            sum.iter_mut().zip(dx).for_each(|(a, b)| *a += b);
                        }
                        if let (Some(factors), 1..) = (&self.layer_dropout, index) {
                            let factors = &factors[(index - 1) * sum.len()..][..sum.len()];
                            sum.iter_mut().zip(factors).for_each(|(d, f)| *d *= f);
                        }
                        dy = sum;
                    }
                    out.dx = dy;
                    out
                }
            }

            fn close(a: &[f32], b: &[f32], what: &str) {
                assert_eq!(a.len(), b.len(), "{what}");
                let largest = b.iter().fold(1e-30_f32, |m, v| m.max(v.abs()));
                for (i, (a, b)) in a.iter().zip(b).enumerate() {
                    assert!((a - b).abs() <= 2e-6 * largest, "{what}[{i}]: {a} and {b}");
                }
            }

            pub fn check(layer: impl Fn(usize, usize) -> Recurrent<$cell>) {
                for isa in sets() {
                    for merge in [None, Some(Merge::Concat), Some(Merge::Sum)] {
                        for (depth, dropout) in [(1, false), (1, true), (2, false), (3, true)] {
                            let layer = layer(3, 9).on(isa);
                            let case = Case::new(layer, merge, depth, dropout);
                            let name =
                                format!("{merge:?}, {depth} layers, dropout {dropout}, {}", isa.name());
                            let (got, want) = (case.train(&Sequential), case.by_hand());
                            assert_bits(&got.y, &want.y, &format!("{name}: y"));
                            assert_bits(&got.state, &want.state, &format!("{name}: state"));
                            close(&got.dx, &want.dx, &format!("{name}: dx"));
                            close(&got.dstate, &want.dstate, &format!("{name}: dstate"));
                            close(&got.grads, &want.grads, &format!("{name}: grads"));

                            let threads = case.train(&Threads);
                            for (a, b) in [
                                (&threads.y, &got.y),
                                (&threads.state, &got.state),
                                (&threads.dx, &got.dx),
                                (&threads.dstate, &got.dstate),
                                (&threads.grads, &got.grads),
                            ] {
                                assert_bits(a, b, &format!("{name}, on threads"));
                            }
                            if !dropout {
                                case.infer(&got, &name);
                            }
                        }
                    }
                }
            }

            impl Case {
                /// Inference, packed and in place, with and without outputs, on one thread and on two.
                fn infer(&self, want: &Trained, name: &str) {
                    let stack = self.stack;
                    let packed = stack.pack(&self.weights, vec![f32::NAN; stack.packed_len()]).unwrap();
                    for variant in 0..8 {
                        let (mut y, mut state) = (vec![f32::NAN; want.y.len()], self.state.clone());
                        if variant & 1 == 1 {
                            y.clear();
                        }
                        let mut scratch = vec![f32::NAN; stack.scratch_len(STEPS, BATCH)];
                        let args = Forward {
                            sequences: self.sequences(),
                            x: &self.x,
                            y: &mut y,
                            state: &mut state,
                            scratch: &mut scratch,
                        };
                        let (threads, in_place) = (variant & 2 == 2, variant & 4 == 4);
                        match (threads, in_place) {
                            (false, false) => stack.forward(&packed, args),
                            (false, true) => stack.forward(&self.weights[..], args),
                            (true, false) => stack.forward_with(&Threads, &packed, args),
                            (true, true) => stack.forward_with(&Threads, &self.weights[..], args),
                        }
                        .unwrap();
                        assert_bits(&state, &want.state, name);
                        if !y.is_empty() {
                            assert_bits(&y, &want.y, name);
                        }
                    }
                }
            }
        }
    };
}
suite!(rnn, recurrent::RnnCell);
suite!(lstm, recurrent::LstmCell);
suite!(gru, recurrent::GruCell);
suite!(mgu, recurrent::MguCell);

#[test]
fn rnns_are_their_layers() {
    rnn::check(Rnn::new);
    rnn::check(|input, hidden| Rnn::new(input, hidden).activation(Activation::Softsign).bias(false));
}

#[test]
fn lstms_are_their_layers() {
    lstm::check(Lstm::new);
    lstm::check(|input, hidden| Lstm::new(input, hidden).layer_norm(LstmNorm::Output).recurrent_dropout());
    lstm::check(|input, hidden| Lstm::new(input, hidden).projection(4).peepholes().recurrent_dropout());
}

#[test]
fn grus_are_their_layers() {
    gru::check(Gru::new);
    gru::check(|input, hidden| Gru::new(input, hidden).recurrent_dropout());
    gru::check(|input, hidden| Gru::new(input, hidden).layer_norm().bias(false));
    gru::check(|input, hidden| Gru::new(input, hidden).reset(Reset::Before).clip(0.7).recurrent_dropout());
}

#[test]
fn mgus_are_their_layers() {
    mgu::check(Mgu::new);
    mgu::check(|input, hidden| Mgu::new(input, hidden).bias(false).recurrent_dropout());
}

/// A stack of one layer needs no more scratch than the layer, even if the output is much wider than the
/// input.
#[test]
fn one_layer_takes_no_more_than_itself() {
    let layer = Lstm::new(2, 40);
    assert_eq!(Stack::new(layer).train_scratch_len(3, 2), layer.train_scratch_len(2));
    let both = Stack::new(layer).bidirectional(Merge::Concat);
    assert_eq!(both.train_scratch_len(3, 2), 2 * layer.train_scratch_len(2));
    assert_eq!(both.scratch_len(3, 2), 2 * layer.scratch_len(3, 2));
}
