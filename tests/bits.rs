//! Results have the same bits for every way to cut, batch and pack, and on every fused instruction set.

mod common;

use common::{Kind, Layer, Random, Trained, assert_bits, random_weights, sets, train_over};
use recurrent::{Backward, Forward, ForwardTrain, Gradients, Isa, Sequences, WeightSource};

/// Input and hidden units around the panels of 4, 8 and 16.
const SIZES: [(usize, usize); 12] =
    [(1, 1), (0, 3), (3, 4), (2, 5), (5, 7), (4, 8), (6, 9), (7, 15), (1, 16), (4, 17), (3, 19), (9, 35)];
/// Batches around the tiles of rows, and around 32 rows, from which on no input is projected ahead.
const BATCHES: [usize; 15] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 31, 32, 33, 40];

fn for_all(sizes: &[(usize, usize)], check: impl Fn(Layer, &str)) {
    for kind in Kind::ALL {
        for &(input, hidden) in sizes {
            for isa in sets() {
                let name = format!("{kind:?} {input} x {hidden} on {}", isa.name());
                check(kind.layer(input, hidden, isa), &name);
            }
        }
    }
}

/// A batch of sequences.
#[derive(Clone)]
struct Case {
    steps: usize,
    batch: usize,
    weights: Vec<f32>,
    x: Vec<f32>,
    state: Vec<f32>,
    dy: Vec<f32>,
    dstate: Vec<f32>,
}

impl Case {
    fn new(layer: Layer, steps: usize, batch: usize) -> Case {
        let random = &mut Random::new((1000 * steps + batch) as u64);
        Case {
            steps,
            batch,
            weights: random_weights(layer, random),
            x: random.uniform(steps * batch * layer.input(), 1.0),
            state: random.uniform(layer.state_len(batch), 0.9),
            dy: random.uniform(steps * batch * layer.width(), 1.0),
            dstate: random.uniform(layer.state_len(batch), 1.0),
        }
    }

    /// The batch that consists of row `b`.
    fn row(&self, layer: Layer, b: usize) -> Case {
        Case {
            steps: self.steps,
            batch: 1,
            weights: self.weights.clone(),
            x: row(&self.x, self.steps, self.batch, b),
            state: layer.state_row(&self.state, self.batch, b),
            dy: row(&self.dy, self.steps, self.batch, b),
            dstate: layer.state_row(&self.dstate, self.batch, b),
        }
    }

    /// Outputs and last state of the whole sequence in one call. Buffers that are only written start as
    /// `garbage`.
    fn forward<'w>(
        &self,
        layer: Layer,
        weights: impl Into<WeightSource<'w>>,
        garbage: f32,
    ) -> (Vec<f32>, Vec<f32>) {
        self.chunks(layer, weights, &[self.steps], garbage)
    }

    /// As `forward`, with one call for each chunk; `chunks` holds their steps.
    fn chunks<'w>(
        &self,
        layer: Layer,
        weights: impl Into<WeightSource<'w>>,
        chunks: &[usize],
        garbage: f32,
    ) -> (Vec<f32>, Vec<f32>) {
        let weights = weights.into();
        let (ni, nh) = (self.batch * layer.input(), self.batch * layer.width());
        let (mut y, mut state) = (vec![garbage; self.steps * nh], self.state.clone());
        let mut first = 0;
        for &steps in chunks {
            let mut scratch = vec![garbage; layer.scratch_len(steps, self.batch)];
            let end = first + steps;
            let args = Forward {
                sequences: Sequences::new(steps, self.batch),
                x: &self.x[first * ni..end * ni],
                y: &mut y[first * nh..end * nh],
                state: &mut state,
                scratch: &mut scratch,
            };
            layer.forward(weights, args).unwrap();
            first = end;
        }
        assert_eq!(first, self.steps);
        (y, state)
    }

    /// As `forward`, with one call of `step` for each step.
    fn steps<'w>(&self, layer: Layer, weights: impl Into<WeightSource<'w>>) -> (Vec<f32>, Vec<f32>) {
        let weights = weights.into();
        let (ni, nh) = (self.batch * layer.input(), self.batch * layer.width());
        let (mut y, mut state) = (Vec::new(), self.state.clone());
        let mut scratch = vec![f32::NAN; layer.scratch_len(1, self.batch)];
        for t in 0..self.steps {
            layer.step(weights, &self.x[t * ni..(t + 1) * ni], &mut state, &mut scratch).unwrap();
            scratch.fill(f32::NAN);
            y.extend_from_slice(&state[..nh]);
        }
        (y, state)
    }

    fn train(&self, layer: Layer) -> Trained {
        self.train_over(layer, Sequences::new(self.steps, self.batch))
    }

    fn train_over(&self, layer: Layer, sequences: Sequences<'_>) -> Trained {
        train_over(layer, sequences, &self.weights, &self.x, &self.state, &self.dy, &self.dstate).unwrap()
    }
}

/// Row `b` of `[T, B, n]`.
fn row(of: &[f32], steps: usize, batch: usize, b: usize) -> Vec<f32> {
    let n = of.len() / (steps * batch);
    (0..steps).flat_map(|t| of[(t * batch + b) * n..(t * batch + b + 1) * n].to_vec()).collect()
}

#[track_caller]
fn assert_same(a: &(Vec<f32>, Vec<f32>), b: &(Vec<f32>, Vec<f32>), what: &str) {
    assert_bits(&a.0, &b.0, &format!("{what}: y"));
    assert_bits(&a.1, &b.1, &format!("{what}: state"));
}

fn whole_chunked_and_stepped(batches: &[usize]) {
    const STEPS: usize = 37;
    let cuts: [&[usize]; 7] =
        [&[1, 36], &[36, 1], &[7, 0, 30], &[5, 1, 11, 20], &[13, 24], &[2, 33, 2], &[16, 16, 5]];
    for_all(&SIZES, |layer, name| {
        for &batch in batches {
            let name = format!("{name}, {batch} rows");
            let case = Case::new(layer, STEPS, batch);
            let packed = layer.pack(&case.weights).unwrap();
            let whole = case.forward(layer, &packed, f32::NAN);
            assert!(whole.0.iter().chain(&whole.1).all(|v| v.is_finite()), "{name}");
            for chunks in cuts {
                assert_same(
                    &case.chunks(layer, &packed, chunks, f32::NAN),
                    &whole,
                    &format!("{name}, {chunks:?}"),
                );
            }
            assert_same(&case.steps(layer, &packed), &whole, &format!("{name}, steps"));
            // In-place weights, packed weights and training give the same result.
            let in_place = case.forward(layer, &case.weights[..], f32::NAN);
            assert_same(&in_place, &whole, &format!("{name}, in place"));
            assert_same(&case.steps(layer, &case.weights[..]), &whole, &format!("{name}, steps in place"));
            let trained = case.train(layer);
            assert_same(&(trained.y, trained.state), &whole, &format!("{name}, training"));
        }
    });
}

// Split into two tests, because this one takes longest in an emulator.
#[test]
fn small_batches_whole_chunked_and_stepped() {
    whole_chunked_and_stepped(&[1, 2, 3, 5, 9]);
}

#[test]
fn a_large_batch_whole_chunked_and_stepped() {
    whole_chunked_and_stepped(&[33]);
}

#[test]
fn without_outputs_the_state_is_the_same() {
    for_all(&SIZES, |layer, name| {
        for (steps, batch) in [(1, 1), (2, 1), (35, 2), (3, 33)] {
            let case = Case::new(layer, steps, batch);
            let packed = layer.pack(&case.weights).unwrap();
            let (_, want) = case.forward(layer, &packed, f32::NAN);
            let mut state = case.state.clone();
            let mut scratch = vec![f32::NAN; layer.scratch_len(steps, batch)];
            let args = Forward {
                sequences: Sequences::new(steps, batch),
                x: &case.x,
                y: &mut [],
                state: &mut state,
                scratch: &mut scratch,
            };
            layer.forward(&packed, args).unwrap();
            assert_bits(&state, &want, name);
        }
    });
}

/// Compares outputs, states, and the gradients that belong to one row.
#[test]
fn a_row_alone_is_the_row_in_a_batch() {
    const STEPS: usize = 3;
    for_all(&SIZES, |layer, name| {
        for batch in BATCHES {
            let case = Case::new(layer, STEPS, batch);
            let packed = layer.pack(&case.weights).unwrap();
            let (y, state) = case.forward(layer, &packed, f32::NAN);
            let trained = case.train(layer);
            for b in 0..batch {
                let name = format!("{name}, row {b} of {batch}");
                let case = case.row(layer, b);
                let of_batch = (row(&y, STEPS, batch, b), layer.state_row(&state, batch, b));
                assert_same(&case.forward(layer, &packed, f32::NAN), &of_batch, &name);
                let alone = case.train(layer);
                let dstate = layer.state_row(&trained.dstate, batch, b);
                assert_bits(&alone.dstate, &dstate, &format!("{name}: dstate"));
                if layer.input() > 0 {
                    assert_bits(&alone.dx, &row(&trained.dx, STEPS, batch, b), &format!("{name}: dx"));
                }
            }
        }
    });
}

/// The inputs of a long sequence of one row are projected for many steps at once; those of a large batch,
/// step by step.
#[test]
fn a_long_row_alone_is_the_row_in_a_batch() {
    // Sizes around the blocks of 8 steps that cells project during other steps, 4 at once; with more inputs
    // than units and with fewer.
    let shapes = [(70, 3), (70, 33), (9, 3), (16, 3), (17, 3), (19, 3), (20, 3), (21, 3), (23, 3)];
    for_all(&[(3, 5), (4, 17), (0, 35), (67, 35), (24, 67)], |layer, name| {
        // Large batches of large layers take long in an emulator.
        let shapes =
            shapes.into_iter().filter(|(_, batch)| *batch < 33 || layer.input() + layer.hidden() < 33);
        for ((steps, batch), layer) in shapes.flat_map(|s| [(s, layer), (s, layer.reverse())]) {
            let case = Case::new(layer, steps, batch);
            let packed = layer.pack(&case.weights).unwrap();
            let (y, state) = case.forward(layer, &packed, f32::NAN);
            for b in [0, batch - 1] {
                let of_batch = (row(&y, steps, batch, b), layer.state_row(&state, batch, b));
                assert_same(&case.row(layer, b).forward(layer, &packed, f32::NAN), &of_batch, name);
            }
        }
    });
}

/// Includes the weight gradients: the order of their sums over the rows is the same on every set.
#[test]
fn instruction_sets_that_round_once_agree() {
    for kind in Kind::ALL {
        for (input, hidden) in SIZES {
            for (steps, batch) in [(1, 1), (5, 3), (3, 7), (40, 1), (2, 33)] {
                let reference = kind.layer(input, hidden, Isa::FUSED);
                let case = Case::new(reference, steps, batch);
                let want = case.train(reference);
                let want_forward = case.forward(reference, &case.weights[..], f32::NAN);
                for isa in sets().filter(|isa| isa.is_fused()) {
                    let name =
                        format!("{kind:?} {input} x {hidden}, {steps} steps of {batch} on {}", isa.name());
                    let layer = kind.layer(input, hidden, isa);
                    let got = case.train(layer);
                    assert_bits(&got.y, &want.y, &format!("{name}: y"));
                    assert_bits(&got.state, &want.state, &format!("{name}: state"));
                    assert_bits(&got.dx, &want.dx, &format!("{name}: dx"));
                    assert_bits(&got.dstate, &want.dstate, &format!("{name}: dstate"));
                    assert_bits(&got.grads, &want.grads, &format!("{name}: grads"));
                    let packed = layer.pack(&case.weights).unwrap();
                    assert_same(&case.forward(layer, &packed, f32::NAN), &want_forward, &name);
                    assert_same(&case.forward(layer, &case.weights[..], f32::NAN), &want_forward, &name);
                }
            }
        }
    }
}

/// Covers gradients large enough to be packed, and gradients of sequences with full `lengths`, which are
/// gathered row by row.
#[test]
fn large_gradients_are_chains_too() {
    const STEPS: usize = 9;
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let batch = [33, 40, 36, 35, 38][i % 5];
        let reference = kind.layer(67, 65, Isa::FUSED);
        let case = Case::new(reference, STEPS, batch);
        let want = case.train(reference);
        assert!(want.grads.iter().all(|g| g.is_finite()) && want.grads.iter().any(|g| *g != 0.0), "{kind:?}");
        for isa in sets().filter(|isa| isa.is_fused()) {
            let name = format!("{kind:?} on {}", isa.name());
            let layer = kind.layer(67, 65, isa);
            assert_bits(&case.train(layer).grads, &want.grads, &name);
            let lengths = vec![STEPS; batch];
            let gathered = case.train_over(layer, Sequences::new(STEPS, batch).lengths(&lengths));
            assert_bits(&gathered.grads, &want.grads, &format!("{name}, gathered"));
        }
    }
}

/// Scratch, tape and buffers that are only written may start with any contents.
#[test]
fn garbage_does_not_matter() {
    for_all(&SIZES, |layer, name| {
        for (steps, batch) in [(1, 2), (4, 3), (35, 1), (2, 33)] {
            let case = Case::new(layer, steps, batch);
            let packed = layer.pack(&case.weights).unwrap();
            let run = |garbage: f32, extra: usize| {
                let forward = case.forward(layer, &packed, garbage);
                let mut out = Trained {
                    y: vec![garbage; case.dy.len()],
                    state: case.state.clone(),
                    grads: vec![garbage; case.weights.len()],
                    dx: vec![garbage; case.x.len()],
                    dstate: case.dstate.clone(),
                };
                let mut tape = vec![garbage; layer.tape_len(steps, batch)];
                let mut scratch = vec![garbage; layer.train_scratch_len(batch) + extra];
                let args = ForwardTrain {
                    sequences: Sequences::new(steps, batch),
                    x: &case.x,
                    y: &mut out.y,
                    state: &mut out.state,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape: &mut tape,
                    scratch: &mut scratch,
                };
                layer.forward_train(&case.weights, args).unwrap();
                scratch.fill(garbage);
                let args = Backward {
                    sequences: Sequences::new(steps, batch),
                    x: &case.x,
                    y: &out.y,
                    dy: &case.dy,
                    dstate: &mut out.dstate,
                    dx: Some(&mut out.dx),
                    grads: Some(&mut out.grads),
                    mode: Gradients::Overwrite,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape: &mut tape,
                    scratch: &mut scratch,
                };
                layer.backward(&case.weights, args).unwrap();
                (forward, out)
            };
            let want = run(0.0, 0);
            for (garbage, extra) in [(f32::NAN, 0), (f32::INFINITY, 1), (-1e30, 1000)] {
                let got = run(garbage, extra);
                assert_same(&got.0, &want.0, name);
                assert_bits(&got.1.y, &want.1.y, name);
                assert_bits(&got.1.state, &want.1.state, name);
                assert_bits(&got.1.grads, &want.1.grads, name);
                assert_bits(&got.1.dx, &want.1.dx, name);
                assert_bits(&got.1.dstate, &want.1.dstate, name);
            }
        }
    });
}

/// A batch without rows is not an error.
#[test]
fn a_step_of_no_rows_does_nothing() {
    for_all(&SIZES, |layer, name| {
        let weights = random_weights(layer, &mut Random::new(1));
        let packed = layer.pack(&weights).unwrap();
        assert_eq!(layer.step(&weights[..], &[], &mut [], &mut []), Ok(()), "{name}");
        assert_eq!(layer.step(&packed, &[], &mut [], &mut []), Ok(()), "{name}, packed");
    });
}
