//! Chains: models whose layers are in a slice of any length. Compared with constant models and with the
//! layers' own passes.

#[path = "common/models.rs"]
mod models;
#[path = "common/numbers.rs"]
mod numbers;

use models::{BATCH, Buffers, CLASSIFIER, STEPS, TAGGER, WRITER, bits, forward, ids, nan, scaled};
use numbers::random;
use recurrent::model::{Chain, Forward, Input, Layer, Loss, Model, Training};
use recurrent::{Error, Gru, Isa, Lstm, Merge, Mgu, Result, Sequences, Stack};

/// A GRU, then `count` recurrent layers of all kinds, then a dense layer.
fn deep(count: usize) -> Vec<Layer> {
    let mut layers = vec![Layer::gru(3, 5)];
    for i in 0..count {
        layers.push(match i % 4 {
            0 => Layer::mgu(5, 5),
            1 => Layer::lstm(5, 5),
            2 => Layer::rnn(5, 5),
            _ => Layer::gru(5, 5),
        });
    }
    layers.push(Layer::dense(5, 2));
    layers
}

/// Outputs and last states.
fn run<'w>(
    chain: Chain<'_>,
    weights: impl Into<recurrent::WeightSource<'w>>,
    x: Input<'_>,
    steps: usize,
    state: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (mut y, mut state) = (nan(chain.output_len(steps, BATCH)), state.to_vec());
    let mut scratch = nan(chain.scratch_len(steps, BATCH));
    let sequences = Sequences::new(steps, BATCH);
    chain
        .forward(weights, Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch })
        .unwrap();
    (y, state)
}

#[test]
fn a_deep_chain_is_its_layers() -> Result<()> {
    let layers = deep(24);
    let chain = Chain::new(&layers)?;
    let (weights, x) = (scaled(chain.weights_len(), 0.6), random(STEPS * BATCH * 3, 5));
    let start = scaled(chain.state_len(BATCH), 0.5);
    let (mut rows, mut rest, mut state, mut states) = (x.clone(), &weights[..], &start[..], vec![]);
    for layer in &layers {
        let one = [*layer];
        let one = Chain::new(&one)?;
        let (w, others) = rest.split_at(one.weights_len());
        let (s, other_states) = state.split_at(one.state_len(BATCH));
        (rest, state) = (others, other_states);
        let (y, last) = run(one, w, (&rows[..]).into(), STEPS, s);
        rows = y;
        states.extend(last);
    }
    assert!(rest.is_empty() && state.is_empty());
    let packed = chain.pack(&weights, nan(chain.packed_len()))?;
    for (y, last) in [
        run(chain, &weights[..], (&x[..]).into(), STEPS, &start),
        run(chain, &packed, (&x[..]).into(), STEPS, &start),
    ] {
        assert_eq!(bits(&y), bits(&rows));
        assert_eq!(bits(&last), bits(&states));
    }

    // With `step`, which computes outputs from the states.
    let (mut state, mut y, mut scratch) = (start.clone(), nan(BATCH * 2), nan(chain.scratch_len(1, BATCH)));
    for t in 0..STEPS {
        let x = &x[t * BATCH * 3..(t + 1) * BATCH * 3];
        chain.step(&packed, x, &mut y, &mut state, &mut scratch)?;
        assert_eq!(bits(&y), bits(&rows[t * BATCH * 2..(t + 1) * BATCH * 2]), "step {t}");
    }
    assert_eq!(bits(&state), bits(&states));
    Ok(())
}

/// Compares the gradient along a random direction of each layer with the difference of two losses. Gradients
/// that have passed through many more layers are too small for this.
#[test]
fn gradients_of_a_chain_are_those_of_its_loss() -> Result<()> {
    const STEP: f32 = 4e-3;
    let layers = deep(3);
    let chain = Chain::new(&layers)?;
    let (x, targets) = (random(STEPS * BATCH * 3, 5), random(STEPS * BATCH * 2, 6));
    let weights = scaled(chain.weights_len(), 1.0);
    let mut grads = nan(weights.len());
    let loss = |weights: &[f32], grads: &mut [f32]| {
        let mut state = vec![0.0; chain.state_len(BATCH)];
        chain.forward_backward(
            weights,
            Training {
                sequences: Sequences::new(STEPS, BATCH),
                x: (&x[..]).into(),
                loss: Loss::MeanSquaredError { targets: &targets },
                grads,
                state: &mut state,
                tape: &mut nan(chain.tape_len(STEPS, BATCH)),
                scratch: &mut nan(chain.train_scratch_len(STEPS, BATCH)),
                ..Default::default()
            },
        )
    };
    loss(&weights, &mut grads)?;
    let (direction, mut other, mut first) = (random(weights.len(), 7), nan(weights.len()), 0);
    for (index, layer) in layers.iter().enumerate() {
        let range = first..first + layer.weights_len();
        first = range.end;
        let mut at = |step: f32| {
            let mut moved = weights.clone();
            range.clone().for_each(|i| moved[i] += step * direction[i]);
            loss(&moved, &mut other).map(f64::from)
        };
        let difference = (at(STEP)? - at(-STEP)?) / f64::from(2.0 * STEP);
        let slope: f64 = range.clone().map(|i| f64::from(grads[i]) * f64::from(direction[i])).sum();
        // Two losses of about 1 in f32, each rounded, divided by the step.
        let noise = 2.0 * f64::from(f32::EPSILON / STEP);
        assert!((difference - slope).abs() < 0.02 * slope.abs() + noise, "{index}: {difference} {slope}");
        assert!(slope.abs() > 10.0 * noise, "{index}: {slope} shows nothing");
    }
    Ok(())
}

/// A constant model and a chain of the same layers have the same lengths, bits and packed weights.
#[test]
fn a_constant_model_is_a_chain() -> Result<()> {
    fn check<const N: usize>(model: &Model<N>, x: Input<'_>) -> Result<()> {
        let layers = model.layers().to_vec();
        let chain = Chain::new(&layers)?;
        let b = Buffers::new(model);
        let (ours, theirs) = (
            model.pack(&b.weights, nan(model.packed_len()))?,
            chain.pack(&b.weights, nan(chain.packed_len()))?,
        );
        let sequences = Sequences::new(STEPS, BATCH);
        let (y, state) = forward(model, &b.weights[..], sequences, x, &b.state);
        for (other, last) in [
            run(chain, &b.weights[..], x, STEPS, &b.state),
            run(chain, &ours, x, STEPS, &b.state),
            forward(model, &theirs, sequences, x, &b.state),
        ] {
            assert_eq!(bits(&other), bits(&y));
            assert_eq!(bits(&last), bits(&state));
        }
        Ok(())
    }
    let (x, values) = (ids(STEPS * BATCH, 7), random(STEPS * BATCH * 3, 3));
    check(&TAGGER, (&x[..]).into())?;
    check(&WRITER, (&x[..]).into())?;
    check(&CLASSIFIER, (&values[..]).into())
}

/// Packed weights belong to one model: any change to their places or their meaning makes them invalid.
#[test]
fn weights_packed_for_other_layers_are_refused() -> Result<()> {
    let gru = Gru::new(4, 6);
    let others = [
        Layer::from(gru),
        gru.on(Isa::SCALAR).into(),
        gru.bias(false).into(),
        gru.reset(recurrent::Reset::Before).into(),
        Gru::new(4, 7).into(),
        Gru::new(5, 6).into(),
        Lstm::new(4, 6).into(),
        Lstm::new(4, 6).peepholes().into(),
        Lstm::new(4, 6).projection(6).into(),
        Lstm::new(4, 6).projection(5).into(),
        Mgu::new(4, 6).into(),
        Stack::new(gru).layers(2).into(),
        Stack::new(gru).bidirectional(Merge::Concat).into(),
        Stack::new(gru).bidirectional(Merge::Sum).into(),
        Layer::dense(4, 6),
    ];
    for (i, one) in others.iter().enumerate() {
        let one = [*one];
        let one = Chain::new(&one)?;
        let packed = one.pack(&scaled(one.weights_len(), 0.5), nan(20_000))?;
        for (j, other) in others.iter().enumerate() {
            let other = [*other];
            let other = Chain::new(&other)?;
            let x = random(BATCH * other.input(), 3);
            let (mut y, mut state) = (nan(other.output_len(1, BATCH)), nan(other.state_len(BATCH)));
            let mut scratch = nan(other.scratch_len(1, BATCH));
            let args = Forward {
                sequences: Sequences::new(1, BATCH),
                x: (&x[..]).into(),
                y: &mut y,
                state: &mut state,
                scratch: &mut scratch,
            };
            let result = other.forward(&packed, args);
            let expected = if i == j { Ok(()) } else { Err(Error::Packing { what: "model" }) };
            assert_eq!(result, expected, "{i} and {j}");
        }
    }
    // Weights packed for a layer do not fit a model of that layer.
    let (weights, mut state) = (scaled(gru.weights_len(), 0.5), nan(6));
    let packed = gru.pack(&weights, nan(gru.packed_len()))?;
    let model = Model::new([gru.into()]);
    let mut scratch = nan(model.scratch_len(1, 1));
    let result = model.step(&packed, &[0.0; 4], &mut [0.0; 6], &mut state, &mut scratch);
    assert_eq!(result, Err(Error::Packing { what: "model" }));
    Ok(())
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    assert!(matches!(Chain::new(&[]), Err(Error::Layers { layer: 0, .. })));
    let mut layers = deep(24);
    layers.insert(20, Layer::gru(6, 5));
    assert_eq!(Chain::new(&layers), Err(Error::Features { layer: 20, takes: 6, given: 5 }));
}
