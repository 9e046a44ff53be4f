//! Recurrent layers and stacks.

use recurrent::{
    Backward, Forward, ForwardTrain, Gradients, Isa, Lstm, Masked, Merge, Sequences, Stack, WeightSource,
};

use crate::common::{Kind, Layer, Random, random_weights};
use crate::pages::{Edge, Pages, note};

/// Sizes around the panels of 4, 8 and 16, so that rows begin at any place in a vector.
const SIZES: [(usize, usize); 9] =
    [(0, 1), (1, 3), (3, 4), (2, 7), (5, 8), (1, 9), (4, 15), (9, 16), (7, 35)];
/// Steps and batch: sizes around the tiles of rows.
const BATCHES: [(usize, usize); 5] = [(1, 1), (3, 2), (2, 5), (9, 1), (2, 13)];

struct Buffers {
    weights: Pages<f32>,
    x: Pages<f32>,
    y: Pages<f32>,
    state: Pages<f32>,
    lengths: Pages<usize>,
    mask: Pages<bool>,
    resets: Pages<bool>,
}

impl Buffers {
    fn new(layer: Layer, (steps, batch): (usize, usize), edge: Edge) -> Buffers {
        let random = &mut Random::new(5);
        let rows = steps * batch;
        Buffers {
            weights: edge.of(&random_weights(layer, random)),
            x: edge.of(&random.uniform(rows * layer.input(), 1.0)),
            y: edge.nan(rows * layer.width()),
            state: edge.of(&random.uniform(layer.state_len(batch), 0.9)),
            lengths: edge.of(&(0..batch).map(|b| (2 * b + 1) % (steps + 1)).collect::<Vec<_>>()),
            mask: edge.of(&(0..rows).map(|row| row % 3 != 1).collect::<Vec<_>>()),
            resets: edge.of(&(0..rows).map(|row| row % 4 == 2).collect::<Vec<_>>()),
        }
    }
}

/// Sequences with different settings, chosen by number.
fn sequences<'a>(
    says: usize,
    (steps, batch): (usize, usize),
    lengths: &'a [usize],
    mask: &'a [bool],
    resets: &'a [bool],
) -> Sequences<'a> {
    let sequences = Sequences::new(steps, batch);
    match says {
        0 => sequences,
        1 => sequences.batch_major().lengths(lengths),
        _ => sequences.mask(mask, Masked::Carry).resets(resets),
    }
}

fn infer<'w>(
    layer: Layer,
    weights: impl Into<WeightSource<'w>>,
    dims: (usize, usize),
    says: usize,
    edge: Edge,
) {
    let (weights, (steps, batch)) = (weights.into(), dims);
    for with_y in [true, false] {
        let Buffers { x, mut y, mut state, lengths, mask, resets, .. } = Buffers::new(layer, dims, edge);
        let sequences = sequences(says, dims, &lengths, &mask, &resets);
        let mut scratch = edge.nan(layer.scratch_len(steps, batch));
        let y: &mut [f32] = if with_y { &mut y } else { &mut [] };
        layer
            .forward(weights, Forward { sequences, x: &x, y, state: &mut state, scratch: &mut scratch })
            .unwrap();
    }
    let Buffers { x, mut state, .. } = Buffers::new(layer, (1, batch), edge);
    let mut scratch = edge.nan(layer.scratch_len(1, batch));
    layer.step(weights, &x, &mut state, &mut scratch).unwrap();
}

fn train(layer: Layer, dims: (usize, usize), says: usize, edge: Edge, dropout: bool) {
    let Buffers { weights, x, mut y, mut state, lengths, mask, resets } = Buffers::new(layer, dims, edge);
    let (steps, batch) = dims;
    let sequences = sequences(says, dims, &lengths, &mask, &resets);
    let factors = edge.filled(batch * layer.width(), 1.25);
    let recurrent_dropout = dropout.then_some(&factors[..]);
    let mut tape = edge.nan(layer.tape_len(steps, batch));
    let mut scratch = edge.nan(layer.train_scratch_len(batch));
    let args = ForwardTrain {
        sequences,
        x: &x,
        y: &mut y,
        state: &mut state,
        recurrent_dropout,
        layer_dropout: None,
        tape: &mut tape,
        scratch: &mut scratch,
    };
    layer.forward_train(&weights, args).unwrap();
    let (dy, mut dstate) = (edge.filled(y.len(), 0.5), edge.filled(state.len(), 0.5));
    let (mut dx, mut grads) = (edge.nan(x.len()), edge.filled(weights.len(), 1.0));
    let args = Backward {
        sequences,
        x: &x,
        y: &y,
        dy: &dy,
        dstate: &mut dstate,
        dx: Some(&mut dx),
        grads: Some(&mut grads),
        mode: if says == 0 { Gradients::Overwrite } else { Gradients::Accumulate },
        recurrent_dropout,
        layer_dropout: None,
        tape: &mut tape,
        scratch: &mut scratch,
    };
    layer.backward(&weights, args).unwrap();
    assert!(grads.iter().chain(&dstate[..]).all(|g| g.is_finite()));
}

fn check(kinds: &[Kind]) {
    for &kind in kinds {
        for (input, hidden) in SIZES {
            for dims in BATCHES {
                for isa in Isa::available() {
                    for edge in Edge::BOTH {
                        let layer = kind.layer(input, hidden, isa);
                        for says in 0..3 {
                            let name = format!(
                                "{kind:?} {input} x {hidden} over {dims:?}, {says}, on {}",
                                isa.name()
                            );
                            note(format!("{name}, {edge:?}, inference"));
                            let Buffers { weights, .. } = Buffers::new(layer, dims, edge);
                            infer(layer, &weights[..], dims, says, edge);
                            let packed = layer.pack_into(&weights, edge.nan(layer.packed_len())).unwrap();
                            infer(layer, &packed, dims, says, edge);
                            note(format!("{name}, {edge:?}, training"));
                            train(layer, dims, says, edge, kind.recurrent_dropout() && says != 1);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn rnns() {
    check(&[Kind::RnnTanh, Kind::RnnRelu, Kind::RnnOptions]);
}

#[test]
fn lstms() {
    check(&[Kind::Lstm, Kind::LstmOptions, Kind::LstmCoupled]);
}

#[test]
fn grus() {
    check(&[Kind::Gru, Kind::GruResetBefore, Kind::GruOptions, Kind::GruResetBeforeOptions]);
}

#[test]
fn mgus() {
    check(&[Kind::Mgu, Kind::MguDropout]);
}

/// Sizes whose inputs are projected ahead, and whose gradients are large enough for `matrixmultiply`.
#[test]
fn large() {
    for kind in Kind::FUSED {
        for isa in Isa::available() {
            for edge in Edge::BOTH {
                for ((input, hidden), dims) in [((3, 9), (70, 1)), ((67, 65), (17, 5))] {
                    note(format!("{kind:?} {input} x {hidden} over {dims:?} on {}, {edge:?}", isa.name()));
                    let layer = kind.layer(input, hidden, isa);
                    let Buffers { weights, .. } = Buffers::new(layer, dims, edge);
                    let packed = layer.pack_into(&weights, edge.nan(layer.packed_len())).unwrap();
                    infer(layer, &packed, dims, 0, edge);
                    train(layer, dims, 0, edge, false);
                }
            }
        }
    }
}

/// Both directions write into the columns of a common output.
#[test]
fn stacks() {
    let lstms = [Lstm::new(3, 5), Lstm::new(9, 16), Lstm::new(4, 9).projection(3).peepholes()];
    for (lstm, merge) in lstms.into_iter().flat_map(|l| [(l, Merge::Concat), (l, Merge::Sum)]) {
        for (isa, edge) in Isa::available().flat_map(|isa| Edge::BOTH.map(|edge| (isa, edge))) {
            let stack = Stack::new(lstm.on(isa)).layers(2).bidirectional(merge);
            let (steps, batch) = (3, 5);
            note(format!("{stack:?}, {edge:?}"));
            let random = &mut Random::new(6);
            let weights = edge.of(&random.uniform(stack.weights_len(), 0.5));
            let x = edge.of(&random.uniform(steps * batch * stack.input(), 1.0));
            let mut y = edge.nan(steps * batch * stack.output());
            let packed = stack.pack(&weights, edge.nan(stack.packed_len())).unwrap();
            let lengths = edge.of(&[3, 0, 1, 2, 3]);
            let sequences = Sequences::new(steps, batch).lengths(&lengths);
            let mut state = edge.filled(stack.state_len(batch), 0.1);
            let mut scratch = edge.nan(stack.scratch_len(steps, batch));
            let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
            stack.forward(&packed, args).unwrap();
            let factors = edge.filled(stack.layer_dropout_len(steps, batch), 0.5);
            let layer_dropout = Some(&factors[..]);
            let mut tape = edge.nan(stack.tape_len(steps, batch));
            let mut scratch = edge.nan(stack.train_scratch_len(steps, batch));
            let args = ForwardTrain {
                sequences,
                x: &x,
                y: &mut y,
                state: &mut state,
                recurrent_dropout: None,
                layer_dropout,
                tape: &mut tape,
                scratch: &mut scratch,
            };
            stack.forward_train(&weights, args).unwrap();
            let (dy, mut dstate) = (edge.filled(y.len(), 0.5), edge.filled(state.len(), 0.5));
            let (mut dx, mut grads) = (edge.nan(x.len()), edge.nan(weights.len()));
            let args = Backward {
                sequences,
                x: &x,
                y: &y,
                dy: &dy,
                dstate: &mut dstate,
                dx: Some(&mut dx),
                grads: Some(&mut grads),
                mode: Gradients::Overwrite,
                recurrent_dropout: None,
                layer_dropout,
                tape: &mut tape,
                scratch: &mut scratch,
            };
            stack.backward(&weights, args).unwrap();
            assert!(grads.iter().all(|g| g.is_finite()));
        }
    }
}
