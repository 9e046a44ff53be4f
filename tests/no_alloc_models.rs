//! Passes of models do not allocate, with any loss.

#[path = "common/allocations.rs"]
mod allocations;

use allocations::allocations;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{self, Layer, Loss, Model, Training};
use recurrent::{
    Activate, Activation, CrossEntropy, Elementwise, Generate, Gradients, Gru, Sampling, Scale, Sequences,
    Stack,
};

#[test]
fn models_do_not_allocate() {
    const MODEL: Model<6> = Model::new([
        Layer::embedding(7, 4),
        Layer::Gru(Stack::new(Gru::new(4, 9)).layers(2)),
        Layer::Dropout(0.5),
        Layer::Scale(Scale::new(9)),
        Layer::Activate(Activate::new(Activation::Softplus)),
        Layer::dense(9, 7),
    ]);
    const SAMPLING: Sampling = Sampling::new(0.8).top_k(3);
    let (steps, batch) = (5, 3);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    let ids: Vec<u32> = (0..steps as u32 * batch as u32).map(|i| i % 7).collect();
    let [mut weights, mut grads] = [(); 2].map(|()| vec![0.0; MODEL.weights_len()]);
    let (mut room, mut factors) = (vec![0.0; MODEL.packed_len()], vec![0.0; MODEL.dropout_len(steps, batch)]);
    let [mut state, mut dstate] = [(); 2].map(|()| vec![0.0; MODEL.state_len(batch)]);
    let mut tape = vec![0.0; MODEL.tape_len(steps, batch)];
    let (mut y, mut left) = (vec![0.0; MODEL.output_len(steps, batch)], 4);
    let scratch = MODEL.train_scratch_len(steps, batch).max(MODEL.generate_scratch_len(SAMPLING));
    let mut scratch = vec![0.0; scratch.max(MODEL.scratch_len(steps, batch))];

    let (count, result) = allocations(|| -> recurrent::Result<f32> {
        let (sequences, x) = (Sequences::new(steps, batch).lengths(&[5, 2, 4]), (&ids[..]).into());
        MODEL.init(&mut weights, &mut rng)?;
        MODEL.draw_dropout(&mut factors, steps, batch, &mut rng)?;
        let packed = MODEL.pack(&weights, &mut room[..])?;
        let (y, scratch) = (&mut y[..], &mut scratch[..]);
        MODEL.forward(&packed, model::Forward { sequences, x, y, state: &mut state, scratch })?;
        MODEL.step(&weights[..], &ids[..batch], &mut y[..batch * 7], &mut state, scratch)?;
        let loss = MODEL.forward_backward(
            &weights,
            Training {
                sequences,
                x,
                loss: Loss::classes(&ids),
                total_targets: Some(100.0),
                grads: &mut grads,
                mode: Gradients::Accumulate,
                state: &mut state,
                dstate: Some(&mut dstate),
                dropout: Some(&factors),
                tape: &mut tape,
                scratch,
            },
        )?;
        let state = &mut state[..MODEL.state_len(1)];
        MODEL.generate(
            &packed,
            Generate { prompt: &[1], sampling: SAMPLING, state, scratch },
            &mut rng,
            |_| {
                left -= 1;
                left > 0
            },
        )?;
        Ok(loss)
    });
    assert!(result.unwrap().is_finite());
    assert_eq!(count, 0);
}

#[test]
fn losses_of_models_do_not_allocate() {
    const MODEL: Model<2> = Model::new([Layer::gru(2, 5), Layer::dense(5, 4)]);
    let (steps, batch) = (6, 3);
    let weights: Vec<f32> = (0..MODEL.weights_len()).map(|i| (i * 7 % 11) as f32 * 0.1 - 0.5).collect();
    let (x, numbers) = (vec![0.5; steps * batch * 2], vec![0.5; steps * batch * 4]);
    let (classes, rows) = (vec![2; steps * batch], vec![0.5; steps * batch]);
    let (mut grads, mut state) = (vec![0.0; weights.len()], vec![0.0; MODEL.state_len(batch)]);
    let mut tape = vec![0.0; MODEL.tape_len(steps, batch)];
    let mut scratch = vec![0.0; MODEL.ctc_scratch_len(steps, batch, 2)];
    let own = |of: recurrent::OwnBatch<'_>| {
        if let Some(dy) = of.dy {
            dy.fill(0.5);
        }
        of.y.iter().sum::<f32>()
    };
    let of = CrossEntropy::new(4).class_weights(&[0.5; 4]).row_weights(&rows).smoothing(0.1);
    for loss in [
        Loss::Classes { targets: &classes, of },
        Loss::Elementwise { targets: &numbers, of: Elementwise::binary().pos_weight(&[2.0; 4]) },
        Loss::Elementwise { targets: &numbers, of: Elementwise::huber(0.1).row_weights(&rows) },
        Loss::Ctc { targets: &[1, 2, 3, 1], target_lengths: &[2, 1, 1], blank: 0, zero_infinity: true },
        Loss::own(&own),
    ] {
        let (count, result) = allocations(|| {
            let args = Training {
                sequences: Sequences::new(steps, batch).lengths(&[6, 4, 2]),
                x: (&x[..]).into(),
                loss,
                grads: &mut grads,
                state: &mut state,
                tape: &mut tape,
                scratch: &mut scratch,
                ..Default::default()
            };
            MODEL.forward_backward(&weights, args)
        });
        assert!(result.unwrap().is_finite());
        assert_eq!(count, 0, "{loss:?}");
        assert!(grads.iter().any(|g| *g != 0.0), "{loss:?}");
    }
}
