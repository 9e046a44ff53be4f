//! Threads that share the units of large steps give the same bits as one thread, in inference and in training.

mod common;

use common::pool::{FewRows, Scoped, forward, large, vectors};
use common::pool_training::{Case, check_trained};
use common::{Kind, Layer, Random, assert_bits, random_weights};
use recurrent::{Error, Forward, Gradients, Isa, Join, Narrow, Sequences};

/// Runs a layer whose steps are cut by units.
fn check_units<const B: usize>(layer: Layer, what: &str) {
    let random = &mut Random::new(13);
    let (lists, weights) = (FewRows::<B>::new(), random_weights(layer, random));
    let x = random.uniform(FewRows::<B>::STEPS * B * layer.input(), 1.0);
    let state = random.uniform(layer.state_len(B), 0.9);
    let packed = layer.pack(&weights).unwrap();
    for (name, sequences) in lists.all() {
        let want = forward(None, layer, &packed, sequences, &x, &state);
        for threads in [2, 3, 8] {
            let (pool, what) = (Scoped::quick(threads), format!("{what}, {name}, {threads} threads"));
            let got = forward(Some(&pool), layer, &packed, sequences, &x, &state);
            assert_bits(&got[0], &want[0], &what);
            assert_bits(&got[1], &want[1], &what);
            // The pass is handed over once, and each step is cut.
            assert!(pool.cuts() > FewRows::<B>::STEPS * (threads - 1), "{what}: {}", pool.cuts());
            let slow = Scoped::new(threads);
            forward(Some(&slow), layer, &packed, sequences, &x, &state);
            assert_eq!(slow.cuts(), 0, "{what}");
        }
    }
}

/// The rows of these batches are too few to be cut.
#[test]
fn large_steps_by_units() {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for isa in vectors() {
            let what = format!("{kind:?} {}", isa.name());
            check_units::<1>(large(kind, 8, isa), &what);
            check_units::<3>(large(kind, 8, isa), &what);
        }
        check_units::<2>(large(kind, 8, Isa::detect()).reverse(), &format!("{kind:?} in reverse"));
    }
}

/// Units are cut with weights of 8 bits, too. With 16 bits they are not, because all parts would widen their
/// panels in the same buffer.
#[test]
fn large_steps_from_narrow_weights() {
    for narrow in [Narrow::W8A16, Narrow::W8A8] {
        for kind in [Kind::Lstm, Kind::GruResetBefore, Kind::LstmOptions] {
            let layer = large(kind, 8, Isa::detect()).narrow(narrow);
            check_units::<1>(layer, &format!("{kind:?} {narrow:?}"));
            check_units::<3>(layer, &format!("{kind:?} {narrow:?}"));
        }
    }
    let layer = large(Kind::Lstm, 8, Isa::detect()).narrow(Narrow::F16);
    let (weights, pool) = (vec![0.1; layer.weights_len()], Scoped::quick(8));
    let (packed, state) = (layer.pack(&weights).unwrap(), vec![0.0; layer.state_len(1)]);
    forward(Some(&pool), layer, &packed, Sequences::new(3, 1), &[0.5; 15], &state);
    assert_eq!(pool.cuts(), 0);
}

/// A step alone is cut, too. Weights in place are not, because they have no panels.
#[test]
fn one_large_step() {
    let layer = large(Kind::Lstm, 8, Isa::detect());
    let (weights, x) = (random_weights(layer, &mut Random::new(14)), [0.5; 5]);
    let (packed, state) = (layer.pack(&weights).unwrap(), vec![0.2; layer.state_len(1)]);
    let (want, pool) = (forward(None, layer, &packed, Sequences::new(1, 1), &x, &state), Scoped::quick(3));
    let got = forward(Some(&pool), layer, &packed, Sequences::new(1, 1), &x, &state);
    assert_eq!(pool.cuts(), 1 + 2);
    assert_bits(&got[0], &want[0], "y");
    assert_bits(&got[1], &want[1], "state");
    let got = forward(Some(&pool), layer, &weights[..], Sequences::new(1, 1), &x, &state);
    assert_eq!(pool.cuts(), 1 + 2);
    assert_bits(&got[0], &want[0], "y in place");
}

/// In a batch, units are cut instead of rows if a step is very large.
#[test]
fn very_large_steps_of_a_batch() {
    let layer = large(Kind::Gru, 11, Isa::detect());
    let (weights, sequences) = (random_weights(layer, &mut Random::new(15)), Sequences::new(3, 9));
    let (packed, x) = (layer.pack(&weights).unwrap(), Random::new(16).uniform(3 * 9 * 5, 1.0));
    let state = vec![0.2; layer.state_len(9)];
    let (want, pool) = (forward(None, layer, &packed, sequences, &x, &state), Scoped::quick(2));
    let got = forward(Some(&pool), layer, &packed, sequences, &x, &state);
    assert!(pool.cuts() > 3, "{}", pool.cuts());
    assert_bits(&got[0], &want[0], "units");
    let pool = Scoped::new(2);
    let got = forward(Some(&pool), layer, &packed, sequences, &x, &state);
    assert_eq!(pool.cuts(), 1);
    assert_bits(&got[0], &want[0], "rows");
}

/// The steps of these layers are cut by units: forward, and in the products of the backward pass.
#[test]
fn training_by_units() {
    for kind in Kind::ALL.into_iter().filter(|kind| !kind.normalised()) {
        for isa in vectors() {
            let layer = large(kind, 3, isa);
            let lists = FewRows::<2>::new();
            let case = Case::of(layer, kind.recurrent_dropout(), (FewRows::<2>::STEPS, 2));
            for (name, sequences) in lists.all() {
                let want = case.run(None, sequences, Gradients::Accumulate, true);
                for threads in [2, 3] {
                    let (pool, what) = (Scoped::quick(threads), format!("{kind:?} {name} {}", isa.name()));
                    let got = case.run(Some(&pool), sequences, Gradients::Accumulate, true);
                    check_trained(&got, &want, true, &format!("{what}, {threads} threads"));
                    // Both passes are handed over once, and their steps are cut.
                    let cuts = 2 + 2 * FewRows::<2>::STEPS * (threads - 1);
                    assert!(pool.cuts() >= cuts, "{what}: {} cuts", pool.cuts());
                }
            }
        }
    }
}

/// A pool that drops parts of steps is detected.
#[test]
fn a_part_of_a_step_that_does_not_run_is_an_error() {
    /// Drops parts of steps.
    struct LossySteps(std::sync::atomic::AtomicUsize);
    impl Join for LossySteps {
        fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
            first();
            if self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 {
                second();
            }
        }
        fn is_quick(&self) -> bool {
            true
        }
    }
    let layer = large(Kind::Lstm, 2, Isa::detect());
    let Layer::Lstm(layer) = layer else { panic!("an LSTM") };
    let packed = vec![0.0; layer.packed_len()];
    let packed = layer.pack(&vec![0.1; layer.weights_len()], packed).unwrap();
    let (mut y, mut state) = (vec![0.0; 3 * layer.hidden()], vec![0.0; layer.state_len(1)]);
    let mut scratch = vec![0.0; layer.scratch_len_with(2, 3, 1)];
    let args = Forward {
        sequences: Sequences::new(3, 1),
        x: &[0.5; 15],
        y: &mut y,
        state: &mut state,
        scratch: &mut scratch,
    };
    let refused = layer.forward_with(&LossySteps(Default::default()), &packed, args);
    assert!(matches!(refused, Err(Error::Value { argument: "join", .. })), "{refused:?}");
}
