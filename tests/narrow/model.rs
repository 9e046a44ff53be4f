//! Models with narrow layers.

use recurrent::model::{self, Input, Model};
use recurrent::{Dense, Lstm, Merge, Result, Sequences, Stack, WeightSource};

use crate::common::{Random, assert_bits};
use crate::{Bytes, FORMATS, SIXTEEN};

/// A model that has every kind of layer with a matrix.
const TAGGER: Model<4> = Model::new([
    model::Layer::embedding(11, 6),
    model::Layer::Lstm(Stack::new(Lstm::new(6, 9)).layers(2).bidirectional(Merge::Concat)),
    model::Layer::Gru(Stack::new(recurrent::Gru::new(18, 7))),
    model::Layer::Dense(Dense::new(7, 4).tanh()),
]);

fn run_model(model: &Model<4>, weights: WeightSource<'_>, ids: &[u32]) -> Result<Vec<f32>> {
    let (steps, batch) = (ids.len() / 3, 3);
    let (mut y, mut state) =
        (vec![f32::NAN; model.output_len(steps, batch)], vec![0.0; model.state_len(batch)]);
    let (mut scratch, sequences) =
        (vec![f32::NAN; model.scratch_len(steps, batch)], Sequences::new(steps, batch));
    let x = Input::Ids(ids);
    model.forward(
        weights,
        model::Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch },
    )?;
    Ok(y)
}

#[test]
fn a_model_is_as_narrow_as_its_layers() -> Result<()> {
    let weights = Random::new(6).uniform(TAGGER.weights_len(), 0.4);
    let ids: Vec<u32> = (0..15).map(|i| i * 7 % 11).collect();
    let packed = TAGGER.pack(&weights, vec![0.0; TAGGER.packed_len()])?;
    let exact = run_model(&TAGGER, (&packed).into(), &ids)?;
    for (format, largest) in FORMATS.into_iter().zip([1e-3, 1e-2, 2e-2, 4e-2]) {
        let narrow = TAGGER.narrow(format);
        let packed = narrow.pack(&weights, vec![0.0; narrow.packed_len()])?;
        let y = run_model(&narrow, (&packed).into(), &ids)?;
        let error = y.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error > 0.0 && error < largest, "{format:?}: {error:e}");
        // Packing from bytes gives the same. With 16 bits, so does the wide model with the rounded weights.
        let mut bytes = Bytes::new(narrow.narrow_len());
        narrow.round(&weights, bytes.get())?;
        let from_bytes = narrow.pack_narrow(bytes.get(), vec![0.0; narrow.packed_len()])?;
        assert_bits(&y, &run_model(&narrow, (&from_bytes).into(), &ids)?, "bytes");
        if SIXTEEN.contains(&format) {
            let mut rounded = vec![f32::NAN; weights.len()];
            narrow.widen(bytes.get(), &mut rounded)?;
            let packed = TAGGER.pack(&rounded, vec![0.0; TAGGER.packed_len()])?;
            assert_bits(&y, &run_model(&TAGGER, (&packed).into(), &ids)?, "rounded");
        }
        // Weights packed for another format are rejected.
        assert!(run_model(&TAGGER, (&from_bytes).into(), &ids).is_err());
        assert!(run_model(&narrow, (&weights[..]).into(), &ids).is_err());
    }
    Ok(())
}
