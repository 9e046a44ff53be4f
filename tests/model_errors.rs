//! Models reject wrong arguments, name them in the error, and leave all buffers unchanged.

#[path = "common/models.rs"]
mod models;
#[path = "common/numbers.rs"]
mod numbers;

use models::{BATCH, Buffers, STEPS, TAGGER, WRITER, bits, ids, nan};
use numbers::length;
use recurrent::model::{Forward, Input, Layer, Loss, Model};
use recurrent::{Activate, Activation, Dense, Error, Lstm, Mgu, Pool, Result, Scale, Sequences, Stack};

/// Makes each buffer of a pass one element too short in turn. (Scratch may be longer than necessary.)
#[test]
fn lengths_are_exact() {
    let (x, targets) = (ids(STEPS * BATCH, 7), ids(STEPS * BATCH, 6));
    let sequences = Sequences::new(STEPS, BATCH);
    let names = ["", "weights", "grads", "state", "tape", "scratch", "dropout", "x", "targets"];
    for name in names {
        let mut b = Buffers::new(&TAGGER);
        let Buffers { weights, grads, state, tape, scratch, dropout } = &mut b;
        let short = |at: &str| usize::from(at == name);
        for (buffer, at) in [
            (weights, "weights"),
            (grads, "grads"),
            (&mut *state, "state"),
            (tape, "tape"),
            (scratch, "scratch"),
            (dropout, "dropout"),
        ] {
            buffer.truncate(buffer.len() - short(at));
        }
        let state = b.state.clone();
        let (x, targets) = (&x[short("x")..], &targets[short("targets")..]);
        let result = b.train(&TAGGER, sequences, x.into(), Loss::classes(targets));
        if name.is_empty() {
            assert!(result.is_ok());
            continue;
        }
        assert!(matches!(result, Err(Error::Length { buffer, .. }) if buffer == name), "{name}: {result:?}");
        untouched(&b, &state);
    }
}

fn untouched(b: &Buffers, state: &[f32]) {
    assert_eq!(bits(&b.state), bits(state));
    assert!([&b.grads, &b.tape, &b.scratch].iter().all(|of| of.iter().all(|x| x.is_nan())));
}

#[test]
fn mistakes_leave_everything_as_it_was() {
    let (good, values) = (ids(STEPS * BATCH, 7), vec![0.0; STEPS * BATCH]);
    let mut bad = good.clone();
    bad[7] = 7;
    let whole = Sequences::new(STEPS, BATCH);
    let index = |buffer, position| Error::Index { buffer, position, id: 7, limit: 7 };
    for (sequences, x, loss, expected) in [
        (whole, Input::from(&bad[..]), Loss::classes(&good), index("ids", 7)),
        (whole, (&good[..]).into(), Loss::classes(&bad), index("targets", 7)),
        (
            whole,
            (&values[..]).into(),
            Loss::classes(&good),
            Error::Value { argument: "x", expected: "ids for a model that begins with an embedding" },
        ),
        (
            whole.lengths(&[1, 6, 1]),
            (&good[..]).into(),
            Loss::classes(&good),
            Error::Index { buffer: "lengths", position: 1, id: 6, limit: 6 },
        ),
        (
            whole,
            (&good[..]).into(),
            Loss::MeanSquaredError { targets: &values },
            length("targets", STEPS * BATCH * 7, STEPS * BATCH),
        ),
    ] {
        let mut b = Buffers::new(&TAGGER);
        let state = b.state.clone();
        assert_eq!(b.train(&TAGGER, sequences, x, loss), Err(expected));
        untouched(&b, &state);
    }
}

#[test]
fn inference_refuses_what_does_not_fit() -> Result<()> {
    let b = Buffers::new(&WRITER);
    let x = ids(STEPS * BATCH, 7);
    let packed = WRITER.pack(&b.weights[..], nan(WRITER.packed_len()))?;
    let sequences = Sequences::new(STEPS, BATCH);
    for name in ["", "y", "state", "scratch"] {
        let short = |at: &str| usize::from(at == name);
        let mut y = nan(WRITER.output_len(STEPS, BATCH) - short("y"));
        let mut state = nan(WRITER.state_len(BATCH) - short("state"));
        let mut scratch = nan(WRITER.scratch_len(STEPS, BATCH) - short("scratch"));
        let args =
            Forward { sequences, x: (&x[..]).into(), y: &mut y, state: &mut state, scratch: &mut scratch };
        let result = WRITER.forward(&packed, args);
        assert_eq!(result.is_ok(), name.is_empty(), "{name}");
        if let Err(e) = result {
            assert!(matches!(e, Error::Length { buffer, .. } if buffer == name));
            assert!([y, state, scratch].iter().flatten().all(|x| x.is_nan()));
        }
    }
    // Weights packed for another model, and a model that does not run forward.
    const OTHER: Model<4> = Model::new([
        Layer::embedding(7, 4),
        Layer::Lstm(Stack::new(Lstm::new(4, 6)).layers(2)),
        Layer::Mgu(Stack::new(Mgu::new(6, 5).reverse())),
        Layer::dense(5, 7),
    ]);
    let (mut y, mut state) = (nan(7), nan(WRITER.state_len(1)));
    let mut scratch = nan(WRITER.scratch_len(1, 1));
    let result = OTHER.step(&packed, &[1], &mut y, &mut state, &mut scratch);
    assert_eq!(result, Err(Error::Packing { what: "model" }));
    let result = OTHER.step(&b.weights[..], &[1], &mut y, &mut state, &mut scratch);
    assert_eq!(result, Err(Error::Layers { layer: 2, what: "does not run forward" }));
    assert!(y.iter().chain(&state).chain(&scratch).all(|x| x.is_nan()));
    Ok(())
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let at = |layer| {
        move |e: Error| {
            let here =
                matches!(e, Error::Layers { layer: l, .. } | Error::Features { layer: l, .. } if l == layer);
            assert!(here, "{e}");
        }
    };
    at(0)(Model::<0>::checked([]).unwrap_err());
    at(0)(Model::checked([Layer::Pool(Pool::Last)]).unwrap_err());
    at(0)(Model::checked([Layer::Dropout(0.5), Layer::gru(1, 1)]).unwrap_err());
    let gru = Layer::gru(4, 4);
    for last in [Layer::gru(5, 4), Layer::embedding(4, 4), Layer::Dropout(0.5), Layer::dense(3, 4)] {
        at(1)(Model::checked([gru, last]).unwrap_err());
    }
    for above in [gru, Layer::Pool(Pool::Last), Layer::Dense(Dense::new(3, 1))] {
        at(2)(Model::checked([gru, Layer::Pool(Pool::Max), above]).unwrap_err());
    }
    for plain in [Layer::Residual, Layer::from(Activate::new(Activation::Relu))] {
        at(0)(Model::checked([plain, gru]).unwrap_err());
    }
    // A residual whose input has fewer features, consists of ids, or has more rows.
    at(2)(Model::checked([gru, Layer::dense(4, 5), Layer::Residual]).unwrap_err());
    at(2)(Model::checked([Layer::embedding(4, 4), gru, Layer::Residual]).unwrap_err());
    at(2)(Model::checked([gru, Layer::Pool(Pool::Last), Layer::Residual]).unwrap_err());
    at(1)(Model::checked([gru, Scale::new(3).into()]).unwrap_err());
    at(1)(Model::checked([Layer::gru(4, 3), Layer::Pool(Pool::Ends)]).unwrap_err());
    for p in [-0.1, 1.0, f32::NAN] {
        at(1)(Model::checked([gru, Layer::Dropout(p), gru]).unwrap_err());
    }
}

/// The text of a panic names the layer, the sizes, and the line that built the model.
#[cfg(feature = "std")]
#[test]
fn a_panic_names_the_layer_the_sizes_and_the_caller() {
    use std::sync::Mutex;
    static SAID: Mutex<String> = Mutex::new(String::new());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| *SAID.lock().unwrap() = info.to_string()));
    let line = line!() + 1;
    let result = std::panic::catch_unwind(|| Model::new([Layer::gru(8, 16), Layer::dense(17, 1)]));
    std::panic::set_hook(before);
    assert!(result.is_err());
    let said = SAID.lock().unwrap();
    assert!(said.contains("layer 1 of the model takes 17 features, but the one below it gives 16"), "{said}");
    assert!(said.contains(&format!("model_errors.rs:{line}:")), "{said}");
}
