//! Narrow weights, in every cell, on every instruction set, in batches, chunks and steps. Formats of 16 bits
//! give the bits of `f32` with rounded weights; integers give the bits of a definition in 64 bits.

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "reference")]
mod in_place;
mod integers;
mod model;
mod sixteen;

use common::{Kind, Layer, Random, assert_bits, random_weights};
use recurrent::{Dense, Error, Forward, Isa, Lstm, Masked, Narrow, Need, Sequences, Stack, WeightSource};

const FORMATS: [Narrow; 4] = [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8];
const SIXTEEN: [Narrow; 2] = [Narrow::F16, Narrow::Bf16];
const INTEGERS: [Narrow; 2] = [Narrow::W8A16, Narrow::W8A8];
const STEPS: usize = 9;
const BATCH: usize = 5;

/// Bytes, aligned to 4.
struct Bytes(Vec<f32>);

impl Bytes {
    fn new(len: usize) -> Bytes {
        assert!(len.is_multiple_of(4));
        Bytes(vec![f32::NAN; len / 4])
    }
    fn get(&mut self) -> &mut [u8] {
        // SAFETY: bytes need no alignment, and every bit pattern is a valid byte and a valid float.
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

/// A mask and resets for all steps of a batch.
fn marks() -> (Vec<bool>, Vec<bool>) {
    let every = |n: usize, rest: usize| (0..STEPS * BATCH).map(move |i| i % n == rest);
    (every(7, 2).map(|masked| !masked).collect(), every(11, 4).collect())
}

/// The same steps with every setting of sequences.
fn settings<'a>(mask: &'a [bool], resets: &'a [bool]) -> [Sequences<'a>; 7] {
    let whole = Sequences::new(STEPS, BATCH);
    [
        whole,
        whole.lengths(&[9, 0, 4, 7, 1]),
        whole.mask(mask, Masked::Carry),
        whole.mask(mask, Masked::Zero).resets(resets),
        whole.batch_major(),
        Sequences::new(STEPS * BATCH, 1),
        Sequences::new(1, STEPS * BATCH),
    ]
}

fn narrow_weights(layer: Layer, weights: &[f32]) -> Bytes {
    let mut bytes = Bytes::new(layer.narrow_len());
    layer.round(weights, bytes.get()).unwrap();
    bytes
}

/// The instruction sets, and those with a dot product of bytes without it, too.
fn sets() -> impl Iterator<Item = Isa> {
    common::sets().flat_map(|isa| {
        let plain = isa.has_dot_product().then(|| isa.without_dot_product());
        [Some(isa), plain].into_iter().flatten()
    })
}

/// Calls `check` for every cell, instruction set and some sizes.
fn each(mut check: impl FnMut(Kind, Isa, (usize, usize))) {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for isa in sets() {
            for sizes in [(3, 5), (7, 33), (1, 8)] {
                check(kind, isa, sizes);
            }
        }
    }
}

/// Runs a dense layer on some rows, from packed weights, and if possible also from weights in place.
fn dense(layer: Dense, weights: &[f32], x: &[f32]) -> Vec<f32> {
    let rows = x.len() / layer.input();
    let packed = layer.pack(weights, vec![f32::NAN; layer.packed_len()]).unwrap();
    let (mut y, mut scratch) = (vec![f32::NAN; rows * layer.output()], vec![f32::NAN; layer.scratch_len()]);
    layer.forward(&packed, rows, x, &mut y, &mut scratch).unwrap();
    #[cfg(feature = "reference")]
    if layer.narrow_format().is_some() {
        let (mut bytes, mut again) = (Bytes::new(layer.narrow_len()), vec![f32::NAN; y.len()]);
        layer.round(weights, bytes.get()).unwrap();
        layer.forward(&*bytes.get(), rows, x, &mut again, &mut scratch).unwrap();
        common::assert_same(&y, &again, "in place");
    }
    y
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
            // Each row alone, step by step and in two chunks.
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
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for format in FORMATS {
            let mut first: [Option<Vec<f32>>; 2] = [None, None];
            for isa in sets() {
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

/// Layers with more panels than a tile has, in batches of every number of rows that a tile has.
#[test]
fn all_tiles_agree() {
    const UNITS: usize = 150;
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for (format, batch) in INTEGERS.into_iter().flat_map(|f| [1, 2, 3, 4, 5, 7].map(|b| (f, b))) {
            let mut first: [Option<Vec<f32>>; 2] = [None, None];
            for isa in sets() {
                let layer = kind.layer(9, UNITS, isa).narrow(format);
                let mut random = Random::new(6);
                let weights = random_weights(layer, &mut random);
                let x = random.uniform(2 * batch * 9, 1.0);
                let (y, _) = run(layer, &layer.pack(&weights).unwrap(), Sequences::new(2, batch), &x);
                let expected = first[usize::from(isa.is_fused())].get_or_insert_with(|| y.clone());
                assert_bits(expected, &y, &format!("{kind:?} {format:?} {isa:?} {batch}"));
            }
        }
    }
}

/// A row alone, whose sums stay in registers where the CPU has a dot product of bytes, gives the bits of the same
/// row in a batch. So does what is not finite.
#[test]
fn a_row_alone_is_a_row_of_a_batch() {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for (format, (input, hidden)) in
            INTEGERS.into_iter().flat_map(|f| [(33, 32), (9, 64), (5, 65), (2, 130)].map(|size| (f, size)))
        {
            for isa in sets() {
                let layer = kind.layer(input, hidden, isa).narrow(format);
                let mut random = Random::new(8);
                let packed = layer.pack(&random_weights(layer, &mut random)).unwrap();
                let (x, width) = (random.uniform(STEPS * 2 * input, 1.0), layer.width());
                let (y, state) = run(layer, &packed, Sequences::new(STEPS, 2), &x);
                let row: Vec<f32> = x.chunks_exact(input).skip(1).step_by(2).flatten().copied().collect();
                let (alone, last) = run(layer, &packed, Sequences::new(STEPS, 1), &row);
                let what = format!("{kind:?} {format:?} {isa:?} {hidden}");
                let second: Vec<f32> = y.chunks_exact(width).skip(1).step_by(2).flatten().copied().collect();
                assert_bits(&second, &alone, &what);
                assert_bits(&layer.state_row(&state, 2, 1), &last, &what);
                let from_nan = |batch: usize| {
                    let mut state = vec![f32::NAN; layer.state_len(batch)];
                    let mut scratch = vec![f32::NAN; layer.scratch_len(1, batch)];
                    layer.step(&packed, &x[..batch * input], &mut state, &mut scratch).unwrap();
                    state[..width].iter().map(|h| h.is_nan()).collect::<Vec<_>>()
                };
                assert_eq!(from_nan(1), from_nan(2), "{what}");
            }
        }
    }
}

/// Weights that are packed for a dot product of bytes are not used without it.
#[test]
fn the_dot_product_belongs_to_the_packing() {
    for isa in Isa::available().filter(|isa| isa.has_dot_product()) {
        let layer = Lstm::new(3, 5).narrow(Narrow::W8A8).on(isa);
        let plain = layer.on(isa.without_dot_product());
        assert!(!plain.isa().has_dot_product() && plain.isa().name() == isa.name());
        let packed = layer.pack(&vec![0.1; layer.weights_len()], vec![0.0; layer.packed_len()]).unwrap();
        let (mut state, mut scratch) = (vec![0.0; layer.state_len(1)], vec![0.0; layer.scratch_len(1, 1)]);
        let refused = plain.step(&packed, &[0.0; 3], &mut state, &mut scratch);
        assert_eq!(refused, Err(Error::Packing { what: "instruction set" }));
        layer.step(&packed, &[0.0; 3], &mut state, &mut scratch).unwrap();
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
            // Widening the bytes and rounding again gives the same bytes. So a program may keep the wide
            // weights instead.
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
    // By definition, rounding gives the nearest number of the format. Near x the numbers of f16 are 2^(e -
    // 10) apart, but at least 2^-24.
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
    // Passes of a narrow layer reject weights in f32, which are only for training, and packing rejects
    // unaligned bytes.
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
        Err(Error::Length {
            buffer: "narrow",
            expected: layer.narrow_len(),
            actual: short,
            need: Need::EXACT
        })
    );
    // The sums have 32 bits, which bounds the input.
    let long = Dense::new(133_145, 1).narrow(Narrow::W8A8);
    let refused = long.pack(&vec![0.0; long.weights_len()], vec![0.0; long.packed_len()]).map(drop);
    assert!(matches!(refused, Err(Error::Value { argument: "narrow", .. })), "{refused:?}");
}

/// Rows that another program has quantised: integers of 8 bits times a step, whatever their largest one is.
#[test]
fn rows_of_integers_stay_as_they_are() {
    let mut random = Random::new(9);
    let k = 13;
    let layer = Dense::new(k, 40).narrow(Narrow::W8A16);
    let mut weights = vec![0.0; layer.weights_len()];
    for (i, row) in weights[..40 * k].chunks_exact_mut(k).enumerate() {
        let most = [127, 126, 100, 64, 31, 7, 3, 2][i % 8];
        // A step of 17 bits, so that its products are exact.
        let step = f32::from_bits(random.uniform(1, 0.01)[0].abs().to_bits() & !0x7f);
        let draw = random.uniform(k, most as f32 + 0.49);
        row.iter_mut().zip(draw).for_each(|(w, n)| *w = n.round() * step + 0.0);
        row[0] = most as f32 * step;
        row[k - 1] = -step;
    }
    let (mut bytes, mut again) = (Bytes::new(layer.narrow_len()), vec![f32::NAN; weights.len()]);
    layer.round(&weights, bytes.get()).unwrap();
    layer.widen(bytes.get(), &mut again).unwrap();
    assert_bits(&weights, &again, "integers");
    // One of them moved by the least amount, and the row is rounded like any other.
    weights[k + 1] = weights[k + 1].abs().max(1e-3).next_up();
    layer.round(&weights, bytes.get()).unwrap();
    layer.widen(bytes.get(), &mut again).unwrap();
    assert_bits(&weights[2 * k..], &again[2 * k..], "others");
    let largest = weights[k..2 * k].iter().fold(0.0, |most: f32, w| most.max(w.abs()));
    let errors = weights[k..2 * k].iter().zip(&again[k..2 * k]).map(|(a, b)| (a - b).abs());
    assert!(errors.clone().any(|e| e > 0.0) && errors.fold(0.0, f32::max) <= largest / 253.0);
}
