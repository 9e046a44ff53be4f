//! Attention, forward and backward.

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{assert_close, differences, dot, random, wide};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Gradients, Isa, KeysBackward, Masked, Sequences,
};
use tensors::Tensors;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Dot,
    Scaled,
    General,
    Additive,
}

const KINDS: [Kind; 4] = [Kind::Dot, Kind::Scaled, Kind::General, Kind::Additive];

/// Features of a query, features of an encoder output, units. Dot products use the second for both.
type Sizes = (usize, usize, usize);

fn layer(kind: Kind, (query, input, units): Sizes) -> Attention {
    match kind {
        Kind::Dot => Attention::dot(input),
        Kind::Scaled => Attention::scaled_dot(input),
        Kind::General => Attention::general(query, input),
        Kind::Additive => Attention::additive(query, input, units),
    }
}

/// All results of the passes.
#[derive(Clone, Debug, PartialEq)]
struct Results {
    context: Vec<f32>,
    alignments: Vec<f32>,
    dqueries: Vec<f32>,
    dx: Vec<f32>,
    grads: Vec<f32>,
}

/// Queries, encoder outputs, weights, and the gradient of the context.
#[derive(Clone)]
struct Inputs {
    weights: Vec<f32>,
    queries: Vec<f32>,
    x: Vec<f32>,
    dcontext: Vec<f32>,
}

/// Steps of the encoder (`steps`) and of the decoder (`queries`), and batch rows.
#[derive(Clone, Copy, Debug)]
struct Shape {
    queries: usize,
    steps: usize,
    batch: usize,
}

impl Inputs {
    fn new(layer: Attention, Shape { queries, steps, batch }: Shape) -> Self {
        Inputs {
            weights: random(layer.weights_len(), 80),
            queries: random(queries * batch * layer.query(), 81),
            x: random(steps * batch * layer.input(), 82),
            dcontext: random(queries * batch * layer.input(), 83),
        }
    }
}

/// Runs all passes, with all queries in one call.
fn run(
    layer: Attention,
    inputs: &Inputs,
    shape: Shape,
    encoder: Sequences<'_>,
    decoder: Sequences<'_>,
) -> Results {
    run_in_parts(layer, inputs, shape, encoder, &[(shape.queries, decoder)])
}

/// As `run`, but with one call for each part of the decoder's steps.
fn run_in_parts(
    layer: Attention,
    inputs: &Inputs,
    Shape { queries, steps, batch }: Shape,
    encoder: Sequences<'_>,
    parts: &[(usize, Sequences<'_>)],
) -> Results {
    let Inputs { weights, queries: q, x, dcontext } = inputs;
    let nan = |len| vec![f32::NAN; len];
    let mut keys_scratch = nan(layer.scratch_len(0, steps, batch));
    let room = nan(layer.keys_len(steps, batch));
    let keys = layer.keys(weights, encoder, x, room, &mut keys_scratch).unwrap();
    let mut out = Results {
        context: nan(queries * batch * layer.input()),
        alignments: nan(queries * batch * steps),
        dqueries: nan(q.len()),
        dx: nan(x.len()),
        grads: nan(weights.len()),
    };
    let mut dkeys = vec![0.0; layer.dkeys_len(steps, batch)];
    let (mut mode, mut done) = (Gradients::Overwrite, 0);
    for &(count, sequences) in parts {
        let rows = done * batch..(done + count) * batch;
        let at = |width: usize| rows.start * width..rows.end * width;
        let forward = AttentionForward {
            sequences,
            queries: &q[at(layer.query())],
            context: &mut out.context[at(layer.input())],
            alignments: &mut out.alignments[at(steps)],
            scratch: &mut nan(layer.scratch_len(count, steps, batch)),
        };
        layer.forward(weights, &keys, forward).unwrap();
        let backward = AttentionBackward {
            sequences,
            queries: &q[at(layer.query())],
            alignments: &out.alignments[at(steps)],
            dcontext: &dcontext[at(layer.input())],
            dqueries: &mut out.dqueries[at(layer.query())],
            dkeys: &mut dkeys,
            grads: Some(&mut out.grads),
            mode,
            scratch: &mut nan(layer.train_scratch_len(count, steps, batch)),
        };
        layer.backward(weights, &keys, backward).unwrap();
        (mode, done) = (Gradients::Accumulate, done + count);
    }
    let args = KeysBackward {
        x,
        dkeys: &mut dkeys,
        dx: &mut out.dx,
        grads: Some(&mut out.grads),
        mode: Gradients::Overwrite,
        scratch: &mut nan(layer.train_scratch_len(0, steps, batch)),
    };
    layer.keys_backward(weights, &keys, args).unwrap();
    out
}

/// The context and the alignments of one query, from the equations. `x` holds the encoder outputs that the
/// query attends to.
fn attend(kind: Kind, weights: &[f64], q: &[f64], x: &[&[f64]]) -> (Vec<f64>, Vec<f64>) {
    let width = x.first().map_or(0, |x| x.len());
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let score = |x: &&[f64]| match kind {
        Kind::Dot => product(q, x),
        Kind::Scaled => product(q, x) / (width as f64).sqrt(),
        Kind::General => weights.chunks(width).zip(q).map(|(w, q)| q * product(w, x)).sum(),
        Kind::Additive => {
            let units = weights.len() / (q.len() + width + 2);
            let (w_q, rest) = weights.split_at(units * q.len());
            let (w_k, rest) = rest.split_at(units * width);
            let (b, v) = rest.split_at(units);
            let sum = |a: usize| {
                product(&w_q[a * q.len()..][..q.len()], q) + product(&w_k[a * width..][..width], x) + b[a]
            };
            (0..units).map(|a| v[a] * sum(a).tanh()).sum()
        }
    };
    let terms: Vec<f64> = x.iter().map(|x| score(x).exp()).collect();
    let total: f64 = terms.iter().sum();
    let alignments: Vec<f64> = terms.iter().map(|term| term / total).collect();
    let context = (0..width).map(|i| alignments.iter().zip(x).map(|(a, x)| a * x[i]).sum()).collect();
    (context, alignments)
}

/// For each batch row: the rows of the encoder outputs and of the queries that are not padding.
struct Taken {
    outputs: Vec<Vec<usize>>,
    queries: Vec<Vec<usize>>,
}

/// The expected contexts and alignments of all queries. `steps` counts the encoder's steps, with padding.
fn oracle(
    kind: Kind,
    (query, input): (usize, usize),
    weights: &[f64],
    queries: &[f64],
    x: &[f64],
    taken: &Taken,
    (steps, stride): (usize, usize),
) -> (Vec<f64>, Vec<f64>) {
    let rows = queries.len() / query;
    let (mut context, mut alignments) = (vec![0.0; rows * input], vec![0.0; rows * steps]);
    for (outputs, queries_of) in taken.outputs.iter().zip(&taken.queries) {
        let of: Vec<&[f64]> = outputs.iter().map(|row| &x[row * input..][..input]).collect();
        for &row in queries_of.iter().filter(|_| !of.is_empty()) {
            let (mean, weighed) = attend(kind, weights, &queries[row * query..][..query], &of);
            context[row * input..][..input].copy_from_slice(&mean);
            for (at, weight) in outputs.iter().zip(weighed) {
                // The rows of consecutive steps are `stride` apart.
                alignments[row * steps + at / stride % steps] = weight;
            }
        }
    }
    (context, alignments)
}

const SHAPES: [(Shape, Sizes); 6] = [
    (Shape { queries: 1, steps: 1, batch: 1 }, (1, 1, 1)),
    (Shape { queries: 3, steps: 5, batch: 2 }, (4, 3, 7)),
    (Shape { queries: 1, steps: 9, batch: 3 }, (8, 9, 8)),
    (Shape { queries: 4, steps: 17, batch: 2 }, (9, 16, 17)),
    (Shape { queries: 2, steps: 8, batch: 1 }, (3, 33, 2)),
    (Shape { queries: 2, steps: 33, batch: 2 }, (17, 5, 9)),
];

/// For each batch row: its rows that are not cut off by its length or left out by the mask.
fn taken(shape: (usize, usize), batch_major: bool, length: &[usize], mask: &[bool]) -> Vec<Vec<usize>> {
    let (steps, batch) = shape;
    let row = |t: usize, b: usize| if batch_major { b * steps + t } else { t * batch + b };
    (0..batch).map(|b| (0..length[b]).map(|t| row(t, b)).filter(|row| mask[*row]).collect()).collect()
}

#[test]
fn passes_are_their_equations_and_derivatives() {
    for kind in KINDS {
        for (index, (shape, mut sizes)) in SHAPES.into_iter().enumerate() {
            if matches!(kind, Kind::Dot | Kind::Scaled) {
                sizes.0 = sizes.1;
            }
            let Shape { queries, steps, batch } = shape;
            let plain = layer(kind, sizes);
            let mut inputs = Inputs::new(plain, shape);
            // Even shapes are without lengths and masks; odd ones have both on both sides. Every third is
            // batch-major.
            let (ragged, batch_major) = (index % 2 == 1, index % 3 == 2);
            let cut = |count: usize, b: usize| if ragged { (count * (b + 2) / 3).min(count) } else { count };
            let lengths: Vec<usize> = (0..batch).map(|b| cut(steps, b)).collect();
            let query_lengths: Vec<usize> = (0..batch).map(|b| cut(queries, b)).collect();
            let mask: Vec<bool> = (0..steps * batch).map(|row| !ragged || row % 4 != 1).collect();
            let query_mask: Vec<bool> = (0..queries * batch).map(|row| !ragged || row % 5 != 2).collect();
            let order = |s: Sequences<'static>| if batch_major { s.batch_major() } else { s };
            let mut encoder: Sequences<'_> = order(Sequences::new(steps, batch));
            let mut decoder: Sequences<'_> = order(Sequences::new(queries, batch));
            if ragged {
                encoder = encoder.lengths(&lengths).mask(&mask, Masked::Zero);
                decoder = decoder.lengths(&query_lengths).mask(&query_mask, Masked::Carry);
            }
            let rows = Taken {
                outputs: taken((steps, batch), batch_major, &lengths, &mask),
                queries: taken((queries, batch), batch_major, &query_lengths, &query_mask),
            };
            let dims = (plain.query(), plain.input());
            let of = (steps, if batch_major { 1 } else { batch });
            let (w, q, x) = (wide(&inputs.weights), wide(&inputs.queries), wide(&inputs.x));
            let (context, alignments) = oracle(kind, dims, &w, &q, &x, &rows, of);
            let mut dcontext = inputs.dcontext.clone();
            let absent = |rows: &[Vec<usize>], row: usize| !rows.iter().any(|r| r.contains(&row));
            for row in (0..queries * batch).filter(|row| absent(&rows.queries, *row)) {
                dcontext[row * dims.1..][..dims.1].fill(0.0);
                inputs.queries[row * dims.0..][..dims.0].fill(f32::NAN);
                inputs.dcontext[row * dims.1..][..dims.1].fill(f32::NAN);
            }
            for row in (0..steps * batch).filter(|row| absent(&rows.outputs, *row)) {
                inputs.x[row * dims.1..][..dims.1].fill(f32::NAN);
            }
            let of_context =
                |w: &[f64], q: &[f64], x: &[f64]| dot(&oracle(kind, dims, w, q, x, &rows, of).0, &dcontext);
            let d_w = differences(&w, |w| of_context(w, &q, &x));
            let d_q = differences(&q, |q| of_context(&w, q, &x));
            let d_x = differences(&x, |x| of_context(&w, &q, x));
            let mut fused: Option<Results> = None;
            for isa in Isa::available() {
                let results = run(plain.on(isa), &inputs, shape, encoder, decoder);
                let what = |name: &str| format!("{kind:?} {shape:?} {name} on {}", isa.name());
                assert_close(&what("context"), &results.context, &context, 1e-6);
                assert_close(&what("alignments"), &results.alignments, &alignments, 1e-6);
                assert_close(&what("dqueries"), &results.dqueries, &d_q, 4e-6);
                assert_close(&what("dx"), &results.dx, &d_x, 4e-6);
                assert_close(&what("grads"), &results.grads, &d_w, 8e-6);
                if isa.is_fused() {
                    assert_eq!(*fused.get_or_insert(results.clone()), results, "{}", what("bits"));
                }
            }
        }
    }
}

#[test]
fn passes_are_pytorchs() {
    let golden = Tensors::read("attention/attention");
    let (shape, lengths) = (Shape { queries: 4, steps: 7, batch: 3 }, [7, 3, 5]);
    for (kind, name) in KINDS.into_iter().zip(["dot", "scaled_dot", "general", "additive"]) {
        let get = |part: &str| golden.f32(&format!("{name}.{part}"));
        let expected = |part: &str| golden.f64(&format!("{name}.{part}"));
        let inputs = Inputs { weights: get("w"), queries: get("q"), x: get("x"), dcontext: get("dy") };
        let layer = layer(kind, (5, 9, 6));
        let encoder = Sequences::new(7, 3).lengths(&lengths);
        let results = run(layer, &inputs, shape, encoder, Sequences::new(4, 3));
        assert_close("context", &results.context, &expected("context"), 5e-7);
        assert_close("alignments", &results.alignments, &expected("alignments"), 5e-7);
        assert_close("dqueries", &results.dqueries, &expected("d_q"), 2e-6);
        assert_close("dx", &results.dx, &expected("d_x"), 2e-6);
        assert_close("grads", &results.grads, &expected("d_w"), 4e-6);
    }
}

#[test]
fn steps_of_the_decoder_have_the_bits_of_all_of_them() {
    let shape = Shape { queries: 5, steps: 19, batch: 3 };
    for kind in KINDS {
        for isa in Isa::available() {
            let layer = layer(kind, (12, 12, 9)).on(isa);
            let (inputs, encoder) = (Inputs::new(layer, shape), Sequences::new(19, 3).lengths(&[19, 1, 7]));
            let whole = run(layer, &inputs, shape, encoder, Sequences::new(5, 3));
            let parts = [1, 2, 1, 1].map(|count| (count, Sequences::new(count, 3)));
            let parts = run_in_parts(layer, &inputs, shape, encoder, &parts);
            assert_eq!(parts.context, whole.context, "{kind:?} on {}", isa.name());
            assert_eq!(parts.alignments, whole.alignments);
            assert_eq!(parts.dqueries, whole.dqueries);
            assert_close("dx", &parts.dx, &wide(&whole.dx), 2e-6);
            assert_close("grads", &parts.grads, &wide(&whole.grads), 4e-6);
        }
    }
}

/// The rows of batch row `b` in a time-major buffer.
fn of_row(buffer: &[f32], b: usize, batch: usize, width: usize) -> Vec<f32> {
    buffer.chunks(width).skip(b).step_by(batch).flatten().copied().collect()
}

#[test]
fn a_row_alone_and_without_what_is_left_out_has_the_same_bits() {
    let shape = Shape { queries: 3, steps: 18, batch: 4 };
    let lengths = [18, 0, 1, 10];
    let mask: Vec<bool> = (0..18 * 4).map(|row| row % 7 != 3).collect();
    for kind in KINDS {
        let layer = layer(kind, (10, 10, 7));
        let inputs = Inputs::new(layer, shape);
        let encoder = Sequences::new(18, 4).lengths(&lengths).mask(&mask, Masked::Carry);
        let all = run(layer, &inputs, shape, encoder, Sequences::new(3, 4));
        for (b, rows) in taken((18, 4), false, &lengths, &mask).iter().enumerate() {
            let alone = Inputs {
                weights: inputs.weights.clone(),
                queries: of_row(&inputs.queries, b, 4, 10),
                x: rows.iter().flat_map(|row| &inputs.x[row * 10..][..10]).copied().collect(),
                dcontext: of_row(&inputs.dcontext, b, 4, 10),
            };
            let steps = rows.len();
            let shape = Shape { queries: 3, steps, batch: 1 };
            let alone = run(layer, &alone, shape, Sequences::new(steps, 1), Sequences::new(3, 1));
            assert_eq!(of_row(&all.context, b, 4, 10), alone.context, "{kind:?}");
            assert_eq!(of_row(&all.dqueries, b, 4, 10), alone.dqueries, "{kind:?}");
            let (mut alignments, mut dx) = (vec![0.0; 3 * 4 * 18], vec![0.0; 18 * 10]);
            for (i, row) in rows.iter().enumerate() {
                for t in 0..3 {
                    alignments[(t * 4 + b) * 18 + row / 4] = alone.alignments[t * steps + i];
                }
                dx[row / 4 * 10..][..10].copy_from_slice(&alone.dx[i * 10..][..10]);
            }
            assert_eq!(of_row(&all.alignments, b, 4, 18), of_row(&alignments, b, 4, 18), "{kind:?}");
            assert_eq!(of_row(&all.dx, b, 4, 10), dx, "{kind:?}");
        }
        assert_eq!(of_row(&all.context, 1, 4, 10), [0.0; 30], "nothing to attend to");
    }
}

#[test]
fn gradients_of_the_keys_weights_add_up() {
    let (steps, batch) = (11, 3);
    for (kind, has_weights) in KINDS.into_iter().zip([false, false, true, true]) {
        for isa in Isa::available() {
            let layer = layer(kind, (9, 10, 7)).on(isa);
            let inputs = Inputs::new(layer, Shape { queries: 1, steps, batch });
            let (w, x, room) = (&inputs.weights[..], &inputs.x[..], vec![0.0; layer.keys_len(steps, batch)]);
            let mut scratch = vec![f32::NAN; layer.scratch_len(0, steps, batch)];
            let encoder = Sequences::new(steps, batch).lengths(&[11, 0, 6]);
            let keys = layer.keys(w, encoder, x, room, &mut scratch).unwrap();
            let backward = |grads: &mut [f32], mode| {
                let args = KeysBackward {
                    x,
                    dkeys: &mut random(layer.dkeys_len(steps, batch), 84),
                    dx: &mut vec![f32::NAN; x.len()],
                    grads: Some(grads),
                    mode,
                    scratch: &mut vec![f32::NAN; layer.train_scratch_len(0, steps, batch)],
                };
                layer.keys_backward(w, &keys, args).unwrap();
            };
            let mut once = vec![f32::NAN; w.len()];
            backward(&mut once, Gradients::Overwrite);
            assert_eq!(once.iter().any(|g| !g.is_nan()), has_weights, "{kind:?}");
            let before = random(w.len(), 85);
            let mut sum = before.clone();
            backward(&mut sum, Gradients::Accumulate);
            let expected: Vec<f64> = (before.iter().zip(&once))
                .map(|(&before, &g)| before as f64 + if g.is_nan() { 0.0 } else { g as f64 })
                .collect();
            assert_close(&format!("{kind:?} on {}", isa.name()), &sum, &expected, 1e-6);
        }
    }
}
