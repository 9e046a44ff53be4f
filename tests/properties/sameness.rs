//! All ways to compute a result give the same bits.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use recurrent::Isa;

use super::case::{Case, Data, Limits, cases, pick, put};
use super::run::{assert_trained, forward, forward_to, train};
use crate::common::{Trained, assert_same};
use crate::config;
use crate::reference::{self, Function};

/// Largest deviation of an output relative to the largest one. It is ten times that of
/// tests/sequence_gradients, because states without a bound may grow.
const TOLERANCE: f64 = 1e-5;

/// Runs the sequence in chunks between `cuts`, in the order of the layer's steps.
fn in_chunks(case: &Case, data: &Data, cuts: &[Index]) -> (Vec<f32>, Vec<f32>) {
    let (layer, all) = (case.layer(), (0..case.batch).collect::<Vec<_>>());
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(case.steps + 1)).collect();
    cuts.extend([0, case.steps]);
    cuts.sort_unstable();
    let mut ranges: Vec<_> = cuts.windows(2).map(|cut| cut[0]..cut[1]).collect();
    if case.reverse {
        ranges.reverse();
    }
    let (mut y, mut state) = (vec![f32::NAN; data.dy.len()], data.state.clone());
    for times in ranges {
        let (part, rows) = case.part(times, &all);
        let (x, dy) = (pick(&data.x, &rows, layer.input()), pick(&data.dy, &rows, layer.width()));
        let data = Data { x, dy, state, ..data.clone() };
        let out = forward(&part, layer, &data.weights[..], &data, f32::NAN);
        put(&mut y, &rows, layer.width(), &out.0);
        state = out.1;
    }
    (y, state)
}

/// Runs the sequence by `step`, with the active rows of each step. Lengths, masks and resets are applied
/// here.
fn in_steps(case: &Case, data: &Data) -> (Vec<f32>, Vec<f32>) {
    let forwards = Case { reverse: false, ..case.clone() };
    let (layer, width) = (forwards.layer(), case.layer().width());
    let packed = layer.pack(&data.weights).unwrap();
    let (mut y, mut state) = (vec![0.0; data.dy.len()], data.state.clone());
    for n in 0..case.steps {
        let t = if case.reverse { case.steps - 1 - n } else { n };
        for b in (0..case.batch).filter(|b| t < case.len(*b)) {
            if case.resets.as_ref().is_some_and(|resets| resets[case.row(t, b)]) {
                let zeros = vec![0.0; layer.state_len(1)];
                layer.set_state_row(&mut state, case.batch, b, &zeros);
            }
        }
        let active: Vec<usize> = (0..case.batch).filter(|b| case.active(t, *b)).collect();
        let rows: Vec<usize> = active.iter().map(|b| case.row(t, *b)).collect();
        let mut some = case.state_rows(&state, &active);
        let mut scratch = vec![f32::NAN; layer.scratch_len(1, active.len())];
        layer.step(&packed, &pick(&data.x, &rows, layer.input()), &mut some, &mut scratch).unwrap();
        for (n, b) in active.iter().enumerate() {
            layer.set_state_row(&mut state, case.batch, *b, &layer.state_row(&some, active.len(), n));
        }
        for b in (0..case.batch).filter(|b| t < case.len(*b)) {
            if !case.zero || case.active(t, b) {
                put(&mut y, &[case.row(t, b)], width, &layer.state_row(&state, case.batch, b)[..width]);
            }
        }
    }
    (y, state)
}

/// The results of these batch rows.
fn rows_of(case: &Case, all: &Trained, rows: &[usize], batch: &[usize]) -> Trained {
    let layer = case.layer();
    Trained {
        y: pick(&all.y, rows, layer.width()),
        state: case.state_rows(&all.state, batch),
        grads: vec![],
        dx: pick(&all.dx, rows, layer.input()),
        dstate: case.state_rows(&all.dstate, batch),
    }
}

proptest! {
    #![proptest_config(config(1600))]

    /// Whole, in chunks and step by step; packed and in place; with and without outputs; with and without a
    /// tape.
    #[test]
    fn ways_to_the_same_bits(case in cases(Limits::ALL), cuts in vec(any::<Index>(), 0..4)) {
        let layer = case.layer();
        let mut data = case.data();
        data.dropout = None;
        let (y, state) = forward(&case, layer, &data.weights[..], &data, f32::NAN);
        let same = |(other_y, other_state): (Vec<f32>, Vec<f32>), what: &str| {
            assert_same(&y, &other_y, &format!("{what}: y"));
            assert_same(&state, &other_state, &format!("{what}: state"));
        };
        let packed = layer.pack(&data.weights).unwrap();
        same(forward(&case, layer, &packed, &data, f32::NAN), "packed");
        same((y.clone(), forward_to(&case, layer, &packed, &data, &mut [], f32::NAN)), "without outputs");
        let trained = train(&case, layer, &data, f32::NAN);
        same((trained.y, trained.state), "in training");
        same(in_chunks(&case, &data, &cuts), "in chunks");
        // `step` takes the batch from the length of its state; a layer without units has no state.
        if layer.state_len(1) > 0 {
            same(in_steps(&case, &data), "in steps");
        }
    }

    /// A batch made of any rows of another one, in any order, possibly repeated.
    #[test]
    fn rows_do_not_see_each_other(case in cases(Limits::ALL), chosen in vec(any::<Index>(), 0..6)) {
        let (layer, data) = (case.layer(), case.data());
        let batch: Vec<usize> =
            if case.batch == 0 { vec![] } else { chosen.iter().map(|i| i.index(case.batch)).collect() };
        let (part, rows) = case.part(0..case.steps, &batch);
        let some = Data {
            weights: data.weights.clone(),
            x: pick(&data.x, &rows, layer.input()),
            state: case.state_rows(&data.state, &batch),
            dy: pick(&data.dy, &rows, layer.width()),
            dstate: case.state_rows(&data.dstate, &batch),
            dropout: data.dropout.as_ref().map(|factors| pick(factors, &batch, layer.width())),
        };
        let want = rows_of(&case, &train(&case, layer, &data, f32::NAN), &rows, &batch);
        let got = Trained { grads: vec![], ..train(&part, layer, &some, f32::NAN) };
        assert_trained(&got, &want, "rows");
    }

    /// Fused instruction sets agree to the bit; all sets agree with the f64 reference.
    #[test]
    fn instruction_sets_agree(case in cases(Limits::ALL)) {
        let data = case.data();
        let mut fused: Option<Trained> = None;
        let wide = |of: &[f32]| -> Vec<f64> { of.iter().map(|v| f64::from(*v)).collect() };
        let factors = data.dropout.as_ref().map(|factors| wide(factors));
        let walk = reference::Walk { dropout: factors.as_deref(), ..case.walk() };
        let want =
            reference::forward(&case.options, &walk, &wide(&data.weights), &wide(&data.x), &wide(&data.state));
        // At a jump of the function, a rounding error may change the result completely.
        let jumps = case.options.functions.iter().any(|f| matches!(f, Function::ThresholdedRelu { .. }));
        // States without a bound may exceed the range of f32. Then only the fused sets are compared with each
        // other.
        let held = want.y.iter().chain(&want.state).all(|v| v.abs() < 1e30);
        for isa in Isa::available() {
            let got = train(&case, case.layer_on(isa), &data, f32::NAN);
            if held && (!jumps || want.margin > 1e-4) {
                close(&got.y, &want.y, "y");
                close(&got.state, &want.state, "state");
            }
            if isa.is_fused() {
                assert_trained(&got, fused.get_or_insert_with(|| got.clone()), isa.name());
            }
        }
    }

    /// Transposed buffers give transposed results.
    #[test]
    fn layouts_agree(case in cases(Limits::ALL)) {
        let (layer, data) = (case.layer(), case.data());
        let other = Case { batch_major: !case.batch_major, ..case.clone() };
        // `rows[n]` is the row here that is row n in the other layout.
        let mut rows = vec![0; case.steps * case.batch];
        for t in 0..case.steps {
            for b in 0..case.batch {
                rows[other.row(t, b)] = case.row(t, b);
            }
        }
        let turned = |of: &Option<Vec<bool>>| of.as_ref().map(|of| rows.iter().map(|row| of[*row]).collect());
        let other = Case { mask: turned(&case.mask), resets: turned(&case.resets), ..other };
        let (x, dy) = (pick(&data.x, &rows, layer.input()), pick(&data.dy, &rows, layer.width()));
        let got = train(&other, layer, &Data { x, dy, ..data.clone() }, f32::NAN);
        let want = train(&case, layer, &data, f32::NAN);
        assert_same(&got.y, &pick(&want.y, &rows, layer.width()), "y");
        assert_same(&got.dx, &pick(&want.dx, &rows, layer.input()), "dx");
        assert_same(&got.state, &want.state, "state");
        assert_same(&got.dstate, &want.dstate, "dstate");
    }
}

#[track_caller]
fn close(got: &[f32], want: &[f64], what: &str) {
    // Numbers too small for f32 count as no deviation.
    let largest = want.iter().fold(f64::from(f32::MIN_POSITIVE), |most, w| most.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*g) - w).abs() / largest;
        assert!(off <= TOLERANCE, "{what}[{i}] is {g}, should be {w}: off by {off:e}");
    }
}
