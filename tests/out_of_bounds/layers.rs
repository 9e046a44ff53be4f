//! The layers around recurrent layers, losses and optimisers.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{self, Loss, Model, Training};
use recurrent::train::{Adam, AdamW, RmsProp, Sgd, clip_norm, clip_value};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, CrossEntropy, Dense, DenseBackward, Embedding, Gradients,
    Isa, KeysBackward, Masked, Pool, Sampling, Sequences, binary_cross_entropy, cross_entropy, log_softmax,
    log_softmax_backward, mean_squared_error, softmax, softmax_backward,
};

use crate::common::Random;
use crate::pages::{Edge, Pages, note};

/// Sizes around one vector, two vectors, and a panel of the widest instruction set.
const SIZES: [usize; 12] = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 65];

fn random(edge: Edge, len: usize) -> Pages<f32> {
    edge.of(&Random::new(len as u64).uniform(len, 1.0))
}

fn each(check: impl Fn(Isa, Edge)) {
    for isa in Isa::available() {
        Edge::BOTH.into_iter().for_each(|edge| check(isa, edge));
    }
}

#[test]
fn dense() {
    each(|isa, edge| {
        for (n, input) in SIZES.into_iter().enumerate() {
            for (m, output) in SIZES.into_iter().enumerate() {
                let (rows, layer) = ([1, 2, 5, 6, 7, 13][(n + m) % 6], Dense::new(input, output).on(isa));
                let layer = [layer, layer.tanh(), layer.sigmoid()][m % 3];
                note(format!("{layer:?} of {rows} rows, {edge:?}"));
                let (weights, x) = (random(edge, layer.weights_len()), random(edge, rows * input));
                let mut scratch = edge.nan(layer.scratch_len());
                let mut y = edge.nan(rows * output);
                let packed = layer.pack(&weights, edge.nan(layer.packed_len())).unwrap();
                layer.forward(&packed, rows, &x, &mut y, &mut []).unwrap();
                layer.forward(&weights[..], rows, &x, &mut y, &mut scratch).unwrap();
                let (mut dy, mut dx) = (random(edge, y.len()), edge.nan(x.len()));
                let mut grads = edge.nan(weights.len());
                let (dx, grads, mode) = (Some(&mut dx[..]), Some(&mut grads[..]), Gradients::Overwrite);
                let args =
                    DenseBackward { rows, x: &x, y: &y, dy: &mut dy, dx, grads, mode, scratch: &mut scratch };
                layer.backward(&weights, args).unwrap();
            }
        }
    });
}

#[test]
fn attention() {
    let layers = |query: usize, input: usize| {
        let (general, additive) =
            (Attention::general(query, input), Attention::additive(query, input, query + 2));
        [Attention::dot(input), Attention::scaled_dot(input), general, additive]
    };
    each(|isa, edge| {
        for (query, input) in [(1, 1), (3, 5), (7, 9), (8, 8), (15, 4), (17, 33)] {
            for (queries, steps, batch) in [(1, 1, 1), (2, 9, 3), (5, 17, 2), (1, 33, 2)] {
                for layer in layers(query, input) {
                    let layer = layer.on(isa);
                    note(format!("{layer:?} {queries} {steps} {batch}, {edge:?}"));
                    let (weights, q) =
                        (random(edge, layer.weights_len()), random(edge, queries * batch * layer.query()));
                    let x = random(edge, steps * batch * input);
                    let lengths = edge.of(&(0..batch).map(|b| steps - b.min(steps)).collect::<Vec<_>>());
                    let mask = edge.of(&(0..queries * batch).map(|n| n % 3 != 1).collect::<Vec<_>>());
                    let encoder = Sequences::new(steps, batch).lengths(&lengths);
                    let mut scratch = edge.nan(layer.scratch_len(0, steps, batch));
                    let room = edge.nan(layer.keys_len(steps, batch));
                    let keys = layer.keys(&weights, encoder, &x, room, &mut scratch).unwrap();
                    let sequences = Sequences::new(queries, batch).mask(&mask, Masked::Zero);
                    let mut context = edge.nan(queries * batch * input);
                    let mut alignments = edge.nan(queries * batch * steps);
                    let forward = AttentionForward {
                        sequences,
                        queries: &q,
                        context: &mut context,
                        alignments: &mut alignments,
                        scratch: &mut edge.nan(layer.scratch_len(queries, steps, batch)),
                    };
                    layer.forward(&weights, &keys, forward).unwrap();
                    let (mut dqueries, mut dx) = (edge.nan(q.len()), edge.nan(x.len()));
                    let mut dkeys = edge.filled(layer.dkeys_len(steps, batch), 0.0);
                    let mut grads = edge.nan(weights.len());
                    let backward = AttentionBackward {
                        sequences,
                        queries: &q,
                        alignments: &alignments,
                        dcontext: &random(edge, context.len()),
                        dqueries: &mut dqueries,
                        dkeys: &mut dkeys,
                        grads: Some(&mut grads),
                        mode: Gradients::Overwrite,
                        scratch: &mut edge.nan(layer.train_scratch_len(queries, steps, batch)),
                    };
                    layer.backward(&weights, &keys, backward).unwrap();
                    let args = KeysBackward {
                        x: &x,
                        dkeys: &mut dkeys,
                        dx: &mut dx,
                        grads: Some(&mut grads),
                        mode: Gradients::Overwrite,
                        scratch: &mut edge.nan(layer.train_scratch_len(0, steps, batch)),
                    };
                    layer.keys_backward(&weights, &keys, args).unwrap();
                }
            }
        }
    });
}

#[test]
fn optimisers() {
    for edge in Edge::BOTH {
        for n in SIZES {
            note(format!("optimisers of {n}, {edge:?}"));
            let (mut weights, mut grads) = (random(edge, n), random(edge, n));
            let moments = |len: usize| edge.filled(len, 0.0);
            Adam::new(0.1).update(&mut weights, &grads, &mut moments(Adam::moments_len(n))).unwrap();
            AdamW::new(0.1).update(&mut weights, &grads, &mut moments(AdamW::moments_len(n))).unwrap();
            for sgd in [Sgd::new(0.1), Sgd::new(0.1).momentum(0.9), Sgd::new(0.1).nesterov(0.9)] {
                sgd.update(&mut weights, &grads, &mut moments(sgd.moments_len(n))).unwrap();
            }
            for rms in [RmsProp::new(0.1), RmsProp::new(0.1).centered().momentum(0.5)] {
                rms.update(&mut weights, &grads, &mut moments(rms.moments_len(n))).unwrap();
            }
            clip_norm(&mut grads, 0.5).unwrap();
            clip_value(&mut grads, 0.1).unwrap();
        }
    }
}

#[test]
fn losses_and_the_rest() {
    for edge in Edge::BOTH {
        for n in SIZES {
            note(format!("losses of {n}, {edge:?}"));
            let rows = 6;
            let (x, mut y, mut d) = (random(edge, rows * n), edge.nan(rows * n), edge.nan(rows * n));
            softmax(n, &x, &mut y).unwrap();
            softmax_backward(n, &y, &x, &mut d).unwrap();
            log_softmax(n, &x, &mut y).unwrap();
            log_softmax_backward(n, &y, &x, &mut d).unwrap();
            let targets = edge.of(&(0..rows).map(|row| (row % n) as u32).collect::<Vec<_>>());
            cross_entropy(n, &x, &targets, Some(&mut d)).unwrap();
            let lengths = edge.of(&[3, 1]);
            let sequences = Sequences::new(3, 2).lengths(&lengths);
            CrossEntropy::new(n).over(sequences).ignore(0).loss(&x, &targets, Some(&mut d)).unwrap();
            let ones = edge.filled(x.len(), 0.5);
            binary_cross_entropy(&x, &ones, Some(&mut d)).unwrap();
            mean_squared_error(&x, &ones, Some(&mut d)).unwrap();
            for pool in [Pool::Last, Pool::Mean, Pool::Max] {
                let mut pooled = edge.nan(2 * n);
                pool.forward(n, sequences, &x, &mut pooled).unwrap();
                pool.backward(n, sequences, &x, &pooled, &mut d).unwrap();
            }
            let table = Embedding::new(rows, n);
            let ids = edge.of(&[5, 0, 3, 5_u32]);
            let mut rows_of = edge.nan(ids.len() * n);
            table.forward(&x[..], &ids, &mut rows_of).unwrap();
            table.backward(&ids, &rows_of, &mut d, Gradients::Overwrite).unwrap();
            let sampling = Sampling::new(0.7).top_k(3).top_p(0.9);
            let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
            sampling.draw(&x, &mut edge.nan(sampling.scratch_len(x.len())), rng).unwrap();
        }
    }
}

#[test]
fn models() {
    use model::Layer;
    let model = Model::new([Layer::lstm(3, 9), Layer::gru(9, 7), Layer::Dropout(0.5), Layer::dense(7, 5)]);
    for edge in Edge::BOTH {
        for (steps, batch) in [(1, 1), (4, 3), (9, 7)] {
            note(format!("a model over {steps} {batch}, {edge:?}"));
            let sequences = Sequences::new(steps, batch);
            let (weights, x) = (random(edge, model.weights_len()), random(edge, steps * batch * 3));
            let packed = model.pack(&weights, edge.nan(model.packed_len())).unwrap();
            let (mut y, mut state) =
                (edge.nan(model.output_len(steps, batch)), edge.filled(model.state_len(batch), 0.0));
            let mut scratch = edge.nan(model.scratch_len(steps, batch));
            let args = model::Forward {
                sequences,
                x: (&x[..]).into(),
                y: &mut y,
                state: &mut state,
                scratch: &mut scratch,
            };
            model.forward(&packed, args).unwrap();
            let dropout = edge.filled(model.dropout_len(steps, batch), 2.0);
            let args = Training {
                sequences,
                x: (&x[..]).into(),
                loss: Loss::MeanSquaredError { targets: &random(edge, y.len()) },
                total_targets: None,
                grads: &mut edge.nan(weights.len()),
                mode: Gradients::Overwrite,
                state: &mut state,
                dstate: Some(&mut edge.nan(model.state_len(batch))),
                dropout: Some(&dropout),
                tape: &mut edge.nan(model.tape_len(steps, batch)),
                scratch: &mut edge.nan(model.train_scratch_len(steps, batch)),
            };
            model.forward_backward(&weights, args).unwrap();
        }
    }
}
