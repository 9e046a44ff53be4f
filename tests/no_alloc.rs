//! Passes do not allocate. The one exception is `matrixmultiply`, in the weight gradients of large layers on
//! the portable set.

#[path = "common/allocations.rs"]
mod allocations;
mod common;

use allocations::allocations;
use common::{Kind, Random, random_weights};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::train::{Adam, AdamW, Cosine, RmsProp, Sgd, clip_norm, clip_scale, clip_value, orthogonal};
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Backward, Beam, BeamBuffers, CrossEntropy, Ctc, CtcBatch,
    CtcBeam, CtcBeamBuffers, CtcGreedy, Dense, DenseBackward, Embedding, Error, Forward, ForwardTrain,
    Gradients, Isa, KeysBackward, Lstm, Narrow, Pool, Sampling, Sequences, argmax, binary_cross_entropy,
    cross_entropy, log_softmax, mean_squared_error, sample, softmax,
};

/// Allocations of each pass: pack, step, forward packed and in place, forward for training, backward.
fn count_all(layer: common::Layer, steps: usize, batch: usize) -> [usize; 6] {
    let random = &mut Random::new(1);
    let weights = random_weights(layer, random);
    let x = random.uniform(steps * batch * layer.input(), 1.0);
    let one = random.uniform(batch * layer.input(), 1.0);
    let dy = random.uniform(steps * batch * layer.width(), 1.0);
    let mut y = vec![0.0; dy.len()];
    let mut state = random.uniform(layer.state_len(batch), 0.9);
    let mut dstate = random.uniform(state.len(), 1.0);
    let mut dx = vec![0.0; x.len()];
    let mut grads = vec![0.0; weights.len()];
    let mut tape = vec![0.0; layer.tape_len(steps, batch)];
    let mut scratch = vec![0.0; layer.scratch_len(steps, batch).max(layer.train_scratch_len(batch))];
    let mut room = vec![0.0; layer.packed_len()];

    let (pack, packed) = allocations(|| layer.pack_into(&weights, &mut room[..]).unwrap());
    let (step, ()) = allocations(|| layer.step(&packed, &one, &mut state, &mut scratch).unwrap());
    let (forward, ()) = allocations(|| {
        let (y, state, scratch) = (&mut y[..], &mut state[..], &mut scratch[..]);
        layer
            .forward(&packed, Forward { sequences: Sequences::new(steps, batch), x: &x, y, state, scratch })
            .unwrap();
    });
    let (in_place, ()) = allocations(|| {
        let (y, state, scratch) = (&mut y[..], &mut state[..], &mut scratch[..]);
        layer
            .forward(
                &weights[..],
                Forward { sequences: Sequences::new(steps, batch), x: &x, y, state, scratch },
            )
            .unwrap();
    });
    let (train, ()) = allocations(|| {
        let (y, state, tape, scratch) = (&mut y[..], &mut state[..], &mut tape[..], &mut scratch[..]);
        layer
            .forward_train(
                &weights,
                ForwardTrain {
                    sequences: Sequences::new(steps, batch),
                    x: &x,
                    y,
                    state,
                    recurrent_dropout: None,
                    layer_dropout: None,
                    tape,
                    scratch,
                },
            )
            .unwrap();
    });
    let (backward, ()) = allocations(|| {
        let args = Backward {
            sequences: Sequences::new(steps, batch),
            x: &x,
            y: &y,
            dy: &dy,
            dstate: &mut dstate,
            dx: Some(&mut dx),
            grads: Some(&mut grads),
            mode: Gradients::Accumulate,
            recurrent_dropout: None,
            layer_dropout: None,
            tape: &mut tape,
            scratch: &mut scratch,
        };
        layer.backward(&weights, args).unwrap();
    });
    [pack, step, forward, in_place, train, backward]
}

#[test]
fn passes_do_not_allocate() {
    // Check that the counter works.
    assert_eq!(allocations(|| Vec::<f32>::with_capacity(9)).0, 1);
    for kind in Kind::ALL {
        for isa in Isa::available() {
            // The first use of an instruction set detects and remembers it. That does not allocate either.
            for (input, hidden, steps, batch) in
                [(1, 1, 1, 1), (3, 9, 5, 2), (7, 17, 40, 1), (0, 5, 2, 33), (5, 24, 9, 4), (3, 5, 0, 2)]
            {
                let counts = count_all(kind.layer(input, hidden, isa), steps, batch);
                assert_eq!(counts, [0; 6], "{kind:?} {input} x {hidden} on {}", isa.name());
            }
            let [rest @ .., backward] = count_all(kind.layer(64, 64, isa), 16, 8);
            assert_eq!(rest, [0; 5], "{kind:?} on {}", isa.name());
            let allowed = cfg!(feature = "matrixmultiply") && isa == Isa::SCALAR;
            assert_eq!(backward > 0, allowed, "{kind:?} on {}", isa.name());
        }
        // A layer without a chosen instruction set detects it.
        let (detect, _) = allocations(Isa::detect);
        assert_eq!(detect, 0);
    }
}

#[test]
fn narrow_weights_do_not_allocate() {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for isa in Isa::available() {
            for format in [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8] {
                let (layer, (steps, batch)) = (kind.layer(5, 19, isa).narrow(format), (9, 3));
                let random = &mut Random::new(1);
                let weights = random_weights(layer, random);
                let x = random.uniform(steps * batch * 5, 1.0);
                let (mut y, mut state) =
                    (vec![0.0; steps * batch * layer.width()], vec![0.0; layer.state_len(batch)]);
                let mut scratch = vec![0.0; layer.scratch_len(steps, batch)];
                let (mut room, mut bytes) = (vec![0.0; layer.packed_len()], vec![0; layer.narrow_len()]);
                let (rounding, ()) = allocations(|| layer.round(&weights, &mut bytes).unwrap());
                let (packing, packed) = allocations(|| layer.pack_into(&weights, &mut room[..]).unwrap());
                let packed = packed.as_ref();
                let sequences = Sequences::new(steps, batch);
                let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
                let (forward, ()) = allocations(|| layer.forward(&packed, args).unwrap());
                let (step, ()) =
                    allocations(|| layer.step(&packed, &x[..batch * 5], &mut state, &mut scratch).unwrap());
                assert_eq!(
                    [rounding, packing, forward, step],
                    [0; 4],
                    "{kind:?} {format:?} on {}",
                    isa.name()
                );
            }
        }
    }
}

#[test]
fn what_stands_around_the_recurrent_layers_does_not_allocate() {
    let random = &mut Random::new(2);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
    let (rows, width, classes) = (6, 9, 17);
    let (embedding, dense, layer) =
        (Embedding::new(classes, width), Dense::new(width, classes), Lstm::new(width, width));
    let ids: Vec<u32> = (0..rows as u32).collect();
    let mut table = vec![0.0; embedding.weights_len()];
    let mut weights = vec![0.0; dense.weights_len()];
    let mut recurrent = vec![0.0; layer.weights_len()];
    let (mut d_table, mut grads) = (table.clone(), weights.clone());
    let (mut x, mut dx) = (vec![0.0; rows * width], vec![0.0; rows * width]);
    let (mut scratch, mut dense_room) = (vec![0.0; dense.scratch_len()], vec![0.0; dense.packed_len()]);
    let (mut logits, mut dlogits) = (vec![0.0; rows * classes], vec![0.0; rows * classes]);
    let mut moments = vec![0.0; Adam::moments_len(weights.len())];
    let mut matrix = random.uniform(width * width, 1.0);
    let mut adam = Adam::new(1e-3);

    let (count, result) = allocations(|| -> recurrent::Result<f32> {
        embedding.init(&mut table, &mut rng)?;
        dense.init(&mut weights, &mut rng)?;
        layer.init(&mut recurrent, &mut rng)?;
        layer.init_orthogonal(&mut recurrent, &mut rng)?;
        layer.forget_bias(&mut recurrent, 1.0)?;
        orthogonal(&mut matrix, width, width, &mut rng)?;
        embedding.forward(&table[..], &ids, &mut x)?;
        dense.forward(&weights[..], rows, &x, &mut logits, &mut scratch)?;
        let packed = dense.pack(&weights, &mut dense_room[..])?;
        dense.forward(&packed, rows, &x, &mut logits, &mut [])?;
        let loss = cross_entropy(classes, &logits, &ids, Some(&mut dlogits))?;
        dense.backward(
            &weights,
            DenseBackward {
                rows,
                x: &x,
                y: &[],
                dy: &mut dlogits,
                dx: Some(&mut dx),
                grads: Some(&mut grads),
                mode: Gradients::Overwrite,
                scratch: &mut scratch,
            },
        )?;
        embedding.backward(&ids, &dx, &mut d_table, Gradients::Overwrite)?;
        clip_value(&mut grads, 1.0)?;
        clip_norm(&mut grads, 0.1)?;
        let scale = clip_scale(&grads, 0.1)?.map_or(0.0, |clip| clip.scale);
        adam.lr = Cosine::new(1e-3, 100).at(adam.step);
        adam.update(&mut weights, &grads, &mut moments)?;
        AdamW::new(1e-3).update_scaled(&mut weights, &grads, &mut moments, scale)?;
        RmsProp::new(1e-3).centered().update_scaled(&mut weights, &grads, &mut moments, scale)?;
        let len = weights.len();
        Sgd::new(1e-3).nesterov(0.9).update_scaled(&mut weights, &grads, &mut moments[..len], scale)?;
        sample(&logits[..classes], 0.8, &mut rng)?;
        Sampling::new(0.8).top_k(5).top_p(0.9).draw(&logits[..classes], &mut dlogits, &mut rng)?;
        softmax(classes, &logits, &mut dlogits)?;
        log_softmax(classes, &logits, &mut dlogits)?;
        Pool::Max.forward(width, Sequences::new(rows, 1), &x, &mut dx[..width])?;
        binary_cross_entropy(&logits, &logits, Some(&mut dlogits))?;
        mean_squared_error(&logits, &logits, Some(&mut dlogits))?;
        CrossEntropy::new(classes).ignore(1).loss(&logits, &ids, Some(&mut dlogits))?;
        argmax(&logits[..classes])?;
        Ok(loss)
    });
    assert!(result.unwrap().is_finite());
    assert_eq!(count, 0);
}

#[test]
fn attention_and_beam_search_do_not_allocate() {
    let (queries, steps, batch, width) = (3, 11, 2, 9);
    let random = &mut Random::new(4);
    let x = random.uniform(steps * batch * width, 1.0);
    let q = random.uniform(queries * batch * width, 1.0);
    let lengths = [11, 4];
    let kinds =
        [Attention::dot(width), Attention::general(width, width), Attention::additive(width, width, 7)];
    for layer in kinds {
        let weights = random.uniform(layer.weights_len(), 1.0);
        let mut scratch = vec![0.0; layer.train_scratch_len(queries, steps, batch)];
        let mut room = vec![0.0; layer.keys_len(steps, batch)];
        let mut dkeys = vec![0.0; layer.dkeys_len(steps, batch)];
        let (mut context, mut dqueries, mut dx) =
            (vec![0.0; q.len()], vec![0.0; q.len()], vec![0.0; x.len()]);
        let (mut alignments, mut grads) = (vec![0.0; queries * batch * steps], vec![0.0; weights.len()]);
        let (count, result) = allocations(|| -> recurrent::Result<()> {
            let encoder = Sequences::new(steps, batch).lengths(&lengths);
            let sequences = Sequences::new(queries, batch);
            let keys = layer.keys(&weights, encoder, &x, &mut room[..], &mut scratch)?;
            let forward = AttentionForward {
                sequences,
                queries: &q,
                context: &mut context,
                alignments: &mut alignments,
                scratch: &mut scratch,
            };
            layer.forward(&weights, &keys, forward)?;
            let backward = AttentionBackward {
                sequences,
                queries: &q,
                alignments: &alignments,
                dcontext: &q,
                dqueries: &mut dqueries,
                dkeys: &mut dkeys,
                grads: Some(&mut grads),
                mode: Gradients::Overwrite,
                scratch: &mut scratch,
            };
            layer.backward(&weights, &keys, backward)?;
            let (dkeys, dx, grads) = (&mut dkeys[..], &mut dx[..], Some(&mut grads[..]));
            let mode = Gradients::Overwrite;
            let args = KeysBackward { x: &x, dkeys, dx, grads, mode, scratch: &mut scratch };
            layer.keys_backward(&weights, &keys, args)
        });
        assert_eq!((count, result), (0, Ok(())), "{layer:?}");
    }

    let beam = Beam::new(3, 5, 4).end(0).alpha(0.7);
    let (mut ids, mut scratch) = (vec![0; beam.ids_len()], vec![0.0; beam.scratch_len()]);
    let (count, found) = allocations(|| {
        beam.search(BeamBuffers { ids: &mut ids, scratch: &mut scratch }, |step| {
            step.logits.iter_mut().enumerate().for_each(|(i, logit)| *logit = (i * 7 % 5) as f32);
            Ok::<(), Error>(())
        })
        .unwrap()
        .len()
    });
    assert_eq!((count, found), (0, 3));
}

#[test]
fn losses_without_an_alignment_do_not_allocate() {
    const CTC: Ctc = Ctc::new(6);
    const BEAM: CtcBeam = CtcBeam::new(4, 6);
    let (steps, batch) = (9, 2);
    let sequences = Sequences::new(steps, batch);
    let logits: Vec<f32> = (0..steps * batch * 6).map(|i| (i * 7 % 11) as f32 * 0.5).collect();
    let (targets, target_lengths) = ([1, 2, 2, 3, 5], [3, 2]);
    let (mut dlogits, mut losses) = (vec![0.0; logits.len()], vec![0.0; batch]);
    let mut scratch = vec![0.0; CTC.scratch_len(steps, 3).max(BEAM.scratch_len())];
    let (mut ids, mut out) = (vec![0; BEAM.ids_len(steps)], vec![0; steps]);
    for isa in Isa::available() {
        let (count, result) = allocations(|| {
            let batch = CtcBatch {
                sequences,
                logits: &logits,
                targets: &targets,
                target_lengths: &target_lengths,
                dlogits: Some(&mut dlogits),
                losses: Some(&mut losses),
                scratch: &mut scratch,
            };
            let loss = CTC.on(isa).loss(batch)?;
            CtcGreedy::new(0).row(6, sequences, &logits, 1, &mut out)?;
            let buffers = CtcBeamBuffers { ids: &mut ids, scratch: &mut scratch };
            BEAM.search(sequences, &logits, 0, buffers, |_, _| 0.0)?;
            Ok::<f32, Error>(loss)
        });
        assert_eq!(count, 0, "{}", isa.name());
        assert!(result.is_ok_and(|loss| loss.is_finite() && loss > 0.0), "{}: {result:?}", isa.name());
        assert!(dlogits.iter().any(|d| *d != 0.0), "{}", isa.name());
    }
}
