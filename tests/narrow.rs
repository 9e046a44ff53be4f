//! Narrow weights: 16 bits have the bits of `f32` on rounded weights, integers those of a definition in 64 bits, in every cell, on every
//! instruction set, in batches, chunks and steps.

mod common;

use common::{Kind, Layer, Random, assert_bits, assert_same, random_weights};
use recurrent::model::{self, Input, Model};
use recurrent::{
    Dense, Error, Forward, Isa, Lstm, Masked, Merge, Narrow, Result, Sequences, Stack, WeightSource,
};

const FORMATS: [Narrow; 4] = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];
const SIXTEEN: [Narrow; 2] = [Narrow::F16, Narrow::Bf16];
const INTEGERS: [Narrow; 2] = [Narrow::W8A16, Narrow::W8A8];
const STEPS: usize = 9;
const BATCH: usize = 5;

/// Bytes aligned to 4.
struct Bytes(Vec<f32>);

impl Bytes {
    fn new(len: usize) -> Bytes {
        assert!(len.is_multiple_of(4));
        Bytes(vec![f32::NAN; len / 4])
    }
    fn get(&mut self) -> &mut [u8] {
        // SAFETY: bytes have no alignment, and no pattern that is none.
        unsafe { self.0.align_to_mut().1 }
    }
}

/// Outputs and last states.
fn run<'w>(
    layer: Layer,
    weights: impl Into<WeightSource<'w>>,
    sequences: Sequences<'_>,
    x: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let mut y = vec![f32::NAN; steps * batch * layer.width()];
    let mut state = vec![0.1; layer.state_len(batch)];
    let mut scratch = vec![f32::NAN; layer.scratch_len(steps, batch)];
    let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
    layer.forward(weights, args).unwrap();
    (y, state)
}

fn narrow_weights(layer: Layer, weights: &[f32]) -> Bytes {
    let mut bytes = Bytes::new(layer.narrow_len());
    layer.round(weights, bytes.get()).unwrap();
    bytes
}

/// Calls a check with every cell, some sizes, and every set.
fn each(mut check: impl FnMut(Kind, Isa, (usize, usize))) {
    for kind in Kind::ALL {
        for isa in Isa::available() {
            for sizes in [(3, 5), (7, 33), (1, 8)] {
                check(kind, isa, sizes);
            }
        }
    }
}

#[test]
fn sixteen_bits_are_the_layer_on_rounded_weights() {
    each(|kind, isa, (input, hidden)| {
        let wide = kind.layer(input, hidden, isa);
        let mut random = Random::new(1);
        let weights = random_weights(wide, &mut random);
        let x = random.uniform(STEPS * BATCH * input, 1.0);
        let mask: Vec<bool> = (0..STEPS * BATCH).map(|i| i % 7 != 2).collect();
        let resets: Vec<bool> = (0..STEPS * BATCH).map(|i| i % 11 == 4).collect();
        for format in SIXTEEN {
            for (wide, narrow) in
                [(wide, wide.narrow(format)), (wide.reverse(), wide.reverse().narrow(format))]
            {
                let mut bytes = narrow_weights(narrow, &weights);
                let mut rounded = vec![f32::NAN; weights.len()];
                narrow.widen(bytes.get(), &mut rounded).unwrap();
                let (packed_wide, packed) = (wide.pack(&rounded).unwrap(), narrow.pack(&weights).unwrap());
                let all = Sequences::new(STEPS, BATCH);
                for sequences in [
                    all,
                    all.lengths(&[9, 0, 4, 7, 1]),
                    all.mask(&mask, Masked::Carry),
                    all.mask(&mask, Masked::Zero).resets(&resets),
                    all.batch_major(),
                    Sequences::new(STEPS * BATCH, 1),
                    Sequences::new(1, STEPS * BATCH),
                ] {
                    let expected = run(wide, &packed_wide, sequences, &x);
                    let found = run(narrow, &packed, sequences, &x);
                    let what = format!("{kind:?} {format:?} {} {input} {hidden}", isa.name());
                    assert_bits(&expected.0, &found.0, &what);
                    assert_bits(&expected.1, &found.1, &what);
                }
            }
        }
    });
}

/// Those that stay narrow when they are packed: small ones are packed as `f32`.
#[test]
fn sixteen_bits_of_large_layers_are_the_layer_on_rounded_weights() {
    let kinds = [
        (Kind::RnnTanh, 530),
        (Kind::Lstm, 260),
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
            for format in SIXTEEN {
                let narrow = wide.narrow(format);
                assert!(narrow.packed_len() < wide.packed_len() * 2 / 3, "{kind:?}");
                let mut bytes = narrow_weights(narrow, &weights);
                let mut rounded = vec![f32::NAN; weights.len()];
                narrow.widen(bytes.get(), &mut rounded).unwrap();
                let (packed_wide, packed) =
                    (wide.pack(&rounded).unwrap(), narrow.pack_narrow(bytes.get()).unwrap());
                let all = Sequences::new(steps, BATCH);
                // Few rows and single ones; many in one step; and inputs of many steps at once.
                for sequences in [
                    all,
                    all.lengths(&[3, 0, 2, 1, 3]),
                    Sequences::new(1, steps * BATCH),
                    Sequences::new(steps * BATCH, 1),
                ] {
                    let expected = run(wide, &packed_wide, sequences, &x);
                    let found = run(narrow, &packed, sequences, &x);
                    let what = format!("{kind:?} {format:?} {} {hidden}", isa.name());
                    assert_bits(&expected.0, &found.0, &what);
                    assert_bits(&expected.1, &found.1, &what);
                }
            }
        }
    }
}

#[test]
fn integers_have_the_same_bits_in_batches_chunks_and_steps() {
    each(|kind, isa, (input, hidden)| {
        let wide = kind.layer(input, hidden, isa);
        let mut random = Random::new(2);
        let weights = random_weights(wide, &mut random);
        let x = random.uniform(STEPS * BATCH * input, 1.0);
        for format in FORMATS {
            let layer = wide.narrow(format);
            let (packed, width) = (layer.pack(&weights).unwrap(), layer.width());
            let (y, state) = run(layer, &packed, Sequences::new(STEPS, BATCH), &x);
            let what = format!("{kind:?} {format:?} {} {input} {hidden}", isa.name());
            // Row by row, in steps and in two chunks.
            for b in 0..BATCH {
                let row = |of: &[f32], width: usize| -> Vec<f32> {
                    (0..STEPS).flat_map(|t| of[(t * BATCH + b) * width..][..width].to_vec()).collect()
                };
                let (x, y) = (row(&x, input), row(&y, width));
                let (mut stepped, mut chunked) =
                    (vec![0.1; layer.state_len(1)], vec![0.1; layer.state_len(1)]);
                let mut scratch = vec![f32::NAN; layer.scratch_len(STEPS, 1)];
                for t in 0..STEPS {
                    layer.step(&packed, &x[t * input..][..input], &mut stepped, &mut scratch).unwrap();
                    assert_bits(&stepped[..width], &y[t * width..][..width], &what);
                }
                assert_bits(&stepped, &layer.state_row(&state, BATCH, b), &what);
                for (first, count) in [(0, 4), (4, STEPS - 4)] {
                    let mut part = vec![f32::NAN; count * width];
                    let args = Forward {
                        sequences: Sequences::new(count, 1),
                        x: &x[first * input..][..count * input],
                        y: &mut part,
                        state: &mut chunked,
                        scratch: &mut scratch,
                    };
                    layer.forward(&packed, args).unwrap();
                    assert_bits(&part, &y[first * width..][..count * width], &what);
                }
            }
        }
    });
}

#[test]
fn sets_of_one_rounding_agree() {
    for kind in Kind::ALL {
        for format in FORMATS {
            let mut first: [Option<Vec<f32>>; 2] = [None, None];
            for isa in Isa::available() {
                let layer = kind.layer(6, 21, isa).narrow(format);
                let mut random = Random::new(3);
                let weights = random_weights(layer, &mut random);
                let x = random.uniform(STEPS * 70 * 6, 1.0);
                let (y, _) = run(layer, &layer.pack(&weights).unwrap(), Sequences::new(STEPS, 70), &x);
                let expected = first[usize::from(isa.is_fused())].get_or_insert_with(|| y.clone());
                assert_bits(expected, &y, &format!("{kind:?} {format:?} {}", isa.name()));
            }
        }
    }
}

/// A dense layer on one set.
fn dense(layer: Dense, weights: &[f32], x: &[f32]) -> Vec<f32> {
    let rows = x.len() / layer.input();
    let packed = layer.pack(weights, vec![f32::NAN; layer.packed_len()]).unwrap();
    let (mut y, mut scratch) = (vec![f32::NAN; rows * layer.output()], vec![f32::NAN; layer.scratch_len()]);
    layer.forward(&packed, rows, x, &mut y, &mut scratch).unwrap();
    y
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

/// The definition, in 64 bits and without any code of the crate: a row's scale and integers.
fn integers(row: &[f32], largest: i64) -> (f32, Vec<i64>) {
    let most = row.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    if most < 2.0f32.powi(-100) {
        return (0.0, vec![0; row.len()]);
    }
    let factor = largest as f32 / most;
    (most / largest as f32, row.iter().map(|x| (x * factor).round_ties_even() as i64).collect())
}

/// The least number that is not below and has 17 bits.
fn short(x: f32) -> f32 {
    let unit = 2.0f64.powi(x.log2().floor() as i32 - 16);
    if x > 0.0 { ((f64::from(x) / unit).ceil() * unit) as f32 } else { 0.0 }
}

fn weight_integers(row: &[f32]) -> (f32, Vec<i64>) {
    let scale = row.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
    let scale = short(scale);
    let code = |w: &f32| if scale > 0.0 { (w / scale).round_ties_even() as i64 } else { 0 };
    (scale, row.iter().map(code).collect())
}

fn largest(format: Narrow, k: usize) -> i64 {
    match format {
        Narrow::W8A16 => 32767.min(i64::from(i32::MAX) / (127 * k as i64)),
        _ => 127,
    }
}

#[test]
fn integers_are_what_they_are_said_to_be() {
    for isa in Isa::available() {
        for format in INTEGERS {
            for k in [1, 2, 3, 5, 31, 516, 517, 1024] {
                let (rows, outputs) = (7, 19);
                let layer = Dense::new(k, outputs).on(isa).narrow(format);
                let mut random = Random::new(k as u64);
                let (weights, x) = (random.uniform(layer.weights_len(), 0.4), random.uniform(rows * k, 2.0));
                let y = dense(layer, &weights, &x);
                for (row, x) in x.chunks_exact(k).enumerate() {
                    let (scale, x) = integers(x, largest(format, k));
                    for unit in 0..outputs {
                        let (unit_scale, w) = weight_integers(&weights[unit * k..][..k]);
                        let sum: i64 = x.iter().zip(&w).map(|(x, w)| x * w).sum();
                        let (a, b) = (i32::try_from(sum).unwrap() as f32, scale * unit_scale);
                        let bias = weights[outputs * k + unit];
                        let expected = if isa.is_fused() { a.mul_add(b, bias) } else { a * b + bias };
                        assert_eq!(
                            y[row * outputs + unit].to_bits(),
                            expected.to_bits(),
                            "{} {format:?} {k}",
                            isa.name()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn no_sum_overflows() {
    for isa in Isa::available() {
        for format in INTEGERS {
            for k in [1, 2, 3, 5, 516, 517, 1024, 66_000, 133_144] {
                let layer = Dense::new(k, 2).on(isa).narrow(format);
                // The largest weights of both signs times the largest elements.
                let mut weights = vec![1.0; layer.weights_len()];
                weights[k..2 * k].fill(-1.0);
                weights[2 * k..].fill(0.0);
                let most = largest(format, k);
                let (unit, sum) = (short(1.0 / 127.0), (most * 127 * k as i64) as f32);
                let expected = sum * (1.0 / most as f32 * unit);
                assert_bits(&dense(layer, &weights, &vec![1.0; k]), &[expected, -expected], "sum");
                assert_bits(&dense(layer, &weights, &vec![-1.0; k]), &[-expected, expected], "sum");
            }
        }
    }
}

#[test]
fn an_error_is_at_most_the_proved_one() {
    // |error| <= s_w / 2 * |x|_1 + s_x / 2 * s_w * |w_q|_1, and the rounding of the last multiplication and addition.
    for format in INTEGERS {
        for seed in 0..40 {
            let mut random = Random::new(seed);
            let k = 1 + seed as usize * 13;
            let layer = Dense::new(k, 6).narrow(format);
            let (weights, x) = (random.uniform(layer.weights_len(), 1.5), random.uniform(k, 3.0));
            let y = dense(layer, &weights, &x);
            let (x_scale, _) = integers(&x, largest(format, k));
            for unit in 0..6 {
                let row = &weights[unit * k..][..k];
                let (w_scale, codes) = weight_integers(row);
                let exact: f64 = row.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                let exact = exact + f64::from(weights[6 * k + unit]);
                let x_sum: f64 = x.iter().map(|x| f64::from(x.abs())).sum();
                let w_sum: f64 = codes.iter().map(|w| w.abs() as f64).sum();
                let (x_scale, w_scale) = (f64::from(x_scale), f64::from(w_scale));
                let rounding = 4.0 * f64::from(f32::EPSILON) * (exact.abs() + w_scale * x_sum * 127.0);
                let bound = w_scale / 2.0 * x_sum + x_scale / 2.0 * w_scale * w_sum + rounding;
                let error = (f64::from(y[unit]) - exact).abs();
                assert!(error <= bound, "{format:?} {k}: {error:e} above {bound:e}");
                // And it is of use: not a thousand times too large.
                assert!(bound < 0.02 * w_scale * 127.0 * k as f64 * 3.0 + rounding, "{bound:e}");
            }
        }
    }
}

#[test]
fn narrow_bytes_pack_to_the_same() {
    each(|kind, isa, (input, hidden)| {
        let wide = kind.layer(input, hidden, isa);
        let mut random = Random::new(4);
        let weights = random_weights(wide, &mut random);
        let x = random.uniform(STEPS * BATCH * input, 1.0);
        for format in FORMATS {
            let layer = wide.narrow(format);
            let mut bytes = narrow_weights(layer, &weights);
            let sequences = Sequences::new(STEPS, BATCH);
            let expected = run(layer, &layer.pack(&weights).unwrap(), sequences, &x);
            let found = run(layer, &layer.pack_narrow(bytes.get()).unwrap(), sequences, &x);
            // What the bytes stand for is rounded to the same bytes, and wide weights can be kept instead.
            let (mut wide, mut again) = (vec![f32::NAN; weights.len()], Bytes::new(layer.narrow_len()));
            layer.widen(bytes.get(), &mut wide).unwrap();
            layer.round(&wide, again.get()).unwrap();
            assert_eq!(bytes.get(), again.get(), "{kind:?} {format:?}");
            assert_bits(&expected.0, &found.0, "y");
            assert!(layer.narrow_len() < layer.weights_len() * 4, "{kind:?} {format:?}");
        }
    });
}

#[test]
fn rounding_is_to_the_nearest() {
    let layer = Dense::new(1, 1);
    let round = |format, w: f32| {
        let (layer, mut bytes) = (layer.narrow(format), Bytes::new(layer.narrow(format).narrow_len()));
        let mut out = [f32::NAN; 2];
        layer.round(&[w, 0.0], bytes.get())?;
        layer.widen(bytes.get(), &mut out)?;
        Ok::<f32, Error>(out[0])
    };
    // The definition: of all numbers of the format, the nearest. Steps of f16 near x are 2^(e - 10), at least 2^-24.
    let mut random = Random::new(5);
    for exponent in -30..16 {
        for x in random.uniform(50, 1.0) {
            let x = x * 2.0f32.powi(exponent);
            let step = |x: f32, digits: i32, least: i32| {
                let e = (x.abs().log2().floor() as i32).max(least);
                2.0f64.powi(e - digits)
            };
            let near = |step: f64| ((f64::from(x) / step).round_ties_even() * step) as f32;
            assert_eq!(round(Narrow::F16, x).unwrap(), near(step(x, 10, -14)), "{x:e}");
            assert_eq!(round(Narrow::Bf16, x).unwrap(), near(step(x, 7, -126)), "{x:e}");
        }
    }
    assert_eq!(round(Narrow::F16, 65519.0), Ok(65504.0));
    assert_eq!(round(Narrow::F16, 65520.0), Err(Error::Narrow { part: "w", index: 0, format: "f16" }));
    assert_eq!(round(Narrow::Bf16, f32::MAX), Err(Error::Narrow { part: "w", index: 0, format: "bf16" }));
    for format in FORMATS {
        for w in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(round(format, w).is_err(), "{format:?} {w}");
        }
    }
}

#[test]
fn nothing_is_written_when_weights_are_refused() {
    let layer = Stack::new(Lstm::new(3, 4)).layers(2).narrow(Narrow::F16);
    let mut weights = vec![0.5; layer.weights_len()];
    let last = Lstm::new(3, 4).weights_len() + 5;
    weights[last] = 1e6;
    let error = Error::Narrow { part: "w_ih", index: 5, format: "f16" };
    let mut bytes = Bytes::new(layer.narrow_len());
    bytes.0.fill(7.0);
    assert_eq!(layer.round(&weights, bytes.get()), Err(error));
    assert!(bytes.0.iter().all(|x| *x == 7.0));
    let mut room = vec![7.0; layer.packed_len()];
    assert_eq!(layer.pack(&weights, &mut room[..]).map(drop), Err(error));
    assert!(room.iter().all(|x| *x == 7.0));
    // Weights in f32 are for training; bytes that are not aligned are refused.
    let (mut state, mut scratch) = (vec![0.0; layer.state_len(1)], vec![0.0; layer.scratch_len(1, 1)]);
    weights[last] = 0.5;
    let refused = layer.step(&weights[..], &[0.0; 3], &mut state, &mut scratch).map(drop);
    assert!(matches!(refused, Err(Error::Value { argument: "weights", .. })), "{refused:?}");
    let longer = vec![0u8; layer.narrow_len() + 4];
    let odd = if longer.as_ptr().align_offset(4) == 1 { 2 } else { 1 };
    let refused = layer.pack_narrow(&longer[odd..odd + layer.narrow_len()], room).map(drop);
    assert!(matches!(refused, Err(Error::Value { argument: "narrow", .. })), "{refused:?}");
    let short = Bytes::new(4).get().len();
    assert_eq!(
        layer.round(&weights, Bytes::new(4).get()),
        Err(Error::Length { buffer: "narrow", expected: layer.narrow_len(), actual: short })
    );
    // Sums of 32 bits.
    let long = Dense::new(133_145, 1).narrow(Narrow::W8A8);
    let refused = long.pack(&vec![0.0; long.weights_len()], vec![0.0; long.packed_len()]).map(drop);
    assert!(matches!(refused, Err(Error::Value { argument: "narrow", .. })), "{refused:?}");
}

#[test]
fn what_is_not_finite_shows() {
    for isa in Isa::available() {
        for format in INTEGERS {
            let layer = Dense::new(5, 3).on(isa).narrow(format);
            let weights: Vec<f32> = (0..layer.weights_len()).map(|i| 0.1 * i as f32 - 0.4).collect();
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for place in 0..5 {
                    let mut x = [0.3; 10];
                    x[place] = bad;
                    let y = dense(layer, &weights, &x);
                    assert!(
                        y[..3].iter().all(|y| y.is_nan()) && y[3..].iter().all(|y| y.is_finite()),
                        "{y:?}"
                    );
                }
            }
            // Nothing times weights is the bias, and so is what is next to nothing.
            for tiny in [0.0, -0.0, 1e-40, 1e-31] {
                assert_same(&dense(layer, &weights, &[tiny; 5]), &weights[15..], "bias");
            }
            let huge = dense(layer, &[1.0; 18], &[f32::MAX / 8.0; 5]);
            assert!(huge.iter().all(|y| (y / (f32::MAX / 8.0 * 5.0) - 1.0).abs() < 0.01), "{huge:?}");
        }
    }
}

/// A model with every layer that has a matrix.
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
        // From bytes, and 16 bits as the wide model on the weights that they stand for.
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
        // Weights that were packed for another format are refused.
        assert!(run_model(&TAGGER, (&from_bytes).into(), &ids).is_err());
        assert!(run_model(&narrow, (&weights[..]).into(), &ids).is_err());
    }
    Ok(())
}
