//! Weights of 16 bits, compared with the `f32` layer with rounded weights.

use recurrent::{Dense, Isa, Narrow, Sequences};

use crate::common::{Kind, Layer, Random, assert_bits, random_weights};
use crate::{BATCH, Bytes, SIXTEEN, STEPS, dense, each, marks, narrow_weights, run, settings};

/// Compares a narrow layer with the wide one on rounded weights, for each of the sequences.
fn check(wide: Layer, format: Narrow, weights: &[f32], x: &[f32], all: &[Sequences<'_>], what: &str) {
    let narrow = wide.narrow(format);
    let mut bytes = narrow_weights(narrow, weights);
    let mut rounded = vec![f32::NAN; weights.len()];
    narrow.widen(bytes.get(), &mut rounded).unwrap();
    // Packed from bytes; `narrow_bytes_pack_to_the_same` compares this with packing from weights.
    let (packed_wide, packed) = (wide.pack(&rounded).unwrap(), narrow.pack_narrow(bytes.get()).unwrap());
    for &sequences in all {
        let (expected, found) = (run(wide, &packed_wide, sequences, x), run(narrow, &packed, sequences, x));
        assert_bits(&expected.0, &found.0, &format!("{what} {format:?}"));
        assert_bits(&expected.1, &found.1, &format!("{what} {format:?}"));
    }
}

#[test]
fn sixteen_bits_are_the_layer_on_rounded_weights() {
    each(|kind, isa, (input, hidden)| {
        let wide = kind.layer(input, hidden, isa);
        let mut random = Random::new(1);
        let weights = random_weights(wide, &mut random);
        let x = random.uniform(STEPS * BATCH * input, 1.0);
        let (mask, resets) = marks();
        let all = settings(&mask, &resets);
        for format in SIXTEEN {
            let what = format!("{kind:?} {} {input} {hidden}", isa.name());
            check(wide, format, &weights, &x, &all, &what);
            check(wide.reverse(), format, &weights, &x, &all, &format!("reverse {what}"));
        }
    });
}

/// Large layers stay narrow when they are packed; small ones are packed as `f32`.
#[test]
fn sixteen_bits_of_large_layers_are_the_layer_on_rounded_weights() {
    let kinds = [
        (Kind::RnnTanh, 530),
        (Kind::Lstm, 260),
        // More units than are handled at once.
        (Kind::Lstm, 530),
        (Kind::LstmOptions, 370),
        (Kind::Gru, 300),
        (Kind::GruResetBefore, 300),
        (Kind::Mgu, 370),
    ];
    for (kind, hidden) in kinds {
        for isa in Isa::available() {
            let (input, steps) = (21, 3);
            let wide = kind.layer(input, hidden, isa);
            let mut random = Random::new(7);
            let weights = random_weights(wide, &mut random);
            let x = random.uniform(steps * BATCH * input, 1.0);
            let whole = Sequences::new(steps, BATCH);
            // Few rows; rows that end early; many rows in one step; many steps of one row.
            let all = [
                whole,
                whole.lengths(&[3, 0, 2, 1, 3]),
                Sequences::new(1, steps * BATCH),
                Sequences::new(steps * BATCH, 1),
            ];
            for format in SIXTEEN {
                assert!(wide.narrow(format).packed_len() < wide.packed_len() * 2 / 3, "{kind:?}");
                check(wide, format, &weights, &x, &all, &format!("{kind:?} {} {hidden}", isa.name()));
            }
        }
    }
}

#[test]
fn sixteen_bits_of_dense_layers_are_the_layer_on_rounded_weights() {
    for isa in Isa::available() {
        for format in SIXTEEN {
            for (input, output) in [(1, 1), (3, 7), (33, 19)] {
                let wide = Dense::new(input, output).on(isa);
                let narrow = wide.narrow(format);
                let mut random = Random::new(8);
                let (weights, x) =
                    (random.uniform(wide.weights_len(), 0.5), random.uniform(200 * input, 1.0));
                let (mut bytes, mut rounded) =
                    (Bytes::new(narrow.narrow_len()), vec![f32::NAN; weights.len()]);
                narrow.round(&weights, bytes.get()).unwrap();
                narrow.widen(bytes.get(), &mut rounded).unwrap();
                for rows in [1, 3, 4, 5, 97, 200] {
                    let x = &x[..rows * input];
                    let what = format!("{format:?} {} {rows} x {input} x {output}", isa.name());
                    assert_bits(&dense(wide, &rounded, x), &dense(narrow, &weights, x), &what);
                }
            }
        }
    }
}
