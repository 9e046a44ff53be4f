//! A program that names forms of cells can run images whose layers have these forms, and no others.

use recurrent::image::{self, Form, Image};
use recurrent::model::{Chain, Forward, Layer, Loss, Training};
use recurrent::{Activation, Error, Gru, Lstm, LstmNorm, Mgu, Reset, Rnn, Sequences, Stack};

/// A layer of each form.
fn formed() -> [(Form, Layer); 12] {
    let relu = Activation::LeakyRelu { alpha: 0.1 };
    [
        (Form::RNN_TANH, Rnn::new(2, 5).into()),
        (Form::RNN_RELU, Rnn::new(2, 5).activation(Activation::Relu).bias(false).into()),
        (Form::RNN_OPTIONS, Rnn::new(2, 5).clip(0.5).into()),
        (Form::LSTM, Stack::new(Lstm::new(2, 5)).layers(2).into()),
        (Form::LSTM_OPTIONS, Lstm::new(2, 5).projection(3).into()),
        (Form::LSTM_NORMALISED, Lstm::new(2, 5).layer_norm(LstmNorm::State).into()),
        (Form::GRU, Gru::new(2, 5).into()),
        (Form::GRU_OPTIONS, Gru::new(2, 5).activations(Activation::Sigmoid, relu).into()),
        (Form::GRU_RESET_BEFORE, Gru::new(2, 5).reset(Reset::Before).into()),
        (Form::GRU_RESET_BEFORE_OPTIONS, Gru::new(2, 5).reset(Reset::Before).clip(0.5).into()),
        (Form::GRU_NORMALISED, Stack::new(Gru::new(2, 5).layer_norm()).layers(2).into()),
        (Form::MGU, Mgu::new(2, 5).into()),
    ]
}

/// A layer linked by its form gives the same bits as the layer itself, in all passes that the form supports.
#[test]
fn layers_are_linked_to_the_forms_that_are_named() -> recurrent::Result<()> {
    for (form, layer) in formed() {
        let layers = [layer];
        let expected = Chain::new(&layers)?;
        let weights: Vec<f32> = (0..expected.weights_len()).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut bytes = vec![0; image::len(&layers)];
        image::write(&layers, &weights, &mut bytes)?;
        let image = Image::from_bytes(&bytes)?;
        assert_eq!(image::layers_len(&bytes), Ok(1));

        // Without the form the error names it, and nothing is written.
        let others: Vec<&Form> =
            Form::ALL.iter().copied().filter(|other| other.name() != form.name()).collect();
        assert_eq!(others.len(), 11);
        let mut linked = [Layer::Residual];
        let refused = image.link(&others, &mut linked).unwrap_err();
        let says =
            format!("layer 0 of the model is of the form {}, which the program did not name", form.name());
        assert_eq!((refused.to_string(), linked), (says, [Layer::Residual]));
        assert!(matches!(image.link(Form::ALL, &mut []), Err(Error::Length { buffer: "layers", .. })));

        let sequences = Sequences::new(4, 1);
        let x: Vec<f32> = (0..8).map(|i| (i as f32 * 0.7).cos()).collect();
        let forward = |chain: Chain<'_>| {
            let (mut y, mut state) = (vec![0.0; chain.output_len(4, 1)], vec![0.0; chain.state_len(1)]);
            let mut scratch = vec![0.0; chain.scratch_len(4, 1)];
            let (y_of, state_of, scratch) = (&mut y, &mut state, &mut scratch);
            chain
                .forward(
                    &weights[..],
                    Forward { sequences, x: (&x[..]).into(), y: y_of, state: state_of, scratch },
                )
                .map(|()| (y, state))
        };
        let (y, last) = forward(expected)?;
        for (named, sequences_too, training_too) in
            [(form.steps(), false, false), (form.inference(), true, false), (form, true, true)]
        {
            image.link(&[&named], &mut linked)?;
            assert_eq!(linked, layers);
            let chain = Chain::new(&linked)?;
            let (mut state, mut scratch) =
                (vec![0.0; chain.state_len(1)], vec![0.0; chain.scratch_len(1, 1)]);
            let width = chain.output();
            for t in 0..4 {
                let mut out = vec![0.0; width];
                chain.step(&weights[..], &x[2 * t..2 * t + 2], &mut out, &mut state, &mut scratch)?;
                assert_eq!(out, y[t * width..][..width], "{}", form.name());
            }
            assert_eq!(state, last);
            let without = |of: &Error| matches!(of, Error::Layers { layer: 0, what } if what.contains("without this pass"));
            match forward(chain) {
                Ok(done) => assert!(sequences_too && done == (y.clone(), last.clone())),
                Err(e) => assert!(!sequences_too && without(&e), "{e}"),
            }
            let (mut grads, mut tape) = (vec![0.0; weights.len()], vec![0.0; chain.tape_len(4, 1)]);
            let mut scratch = vec![0.0; chain.train_scratch_len(4, 1)];
            let trained = chain.forward_backward(
                &weights[..],
                Training {
                    sequences,
                    x: (&x[..]).into(),
                    loss: Loss::MeanSquaredError { targets: &y },
                    grads: &mut grads,
                    state: &mut vec![0.0; chain.state_len(1)],
                    tape: &mut tape,
                    scratch: &mut scratch,
                    ..Default::default()
                },
            );
            match trained {
                Ok(loss) => assert!(training_too && loss == 0.0),
                Err(e) => assert!(!training_too && without(&e), "{e}"),
            }
        }
    }
    Ok(())
}
