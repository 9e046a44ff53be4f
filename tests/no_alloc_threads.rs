//! Passes on rayon's threads, called inside the pool, do not allocate after the first calls.
#![cfg(feature = "rayon")]

#[path = "common/allocations.rs"]
mod allocations;

use std::sync::atomic::{AtomicUsize, Ordering};

use allocations::allocations_of_all;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::Adam;
use recurrent::trainer::{Batch, Trainer};
use recurrent::{Forward, Join, Lstm, Rayon, Sequences, Stack};

/// Allocations of all threads in ten calls, after two warm-up calls.
fn allocations(mut run: impl FnMut()) -> usize {
    run();
    run();
    allocations_of_all(|| (0..10).for_each(|_| run()))
}

/// Rayon's threads. It counts how often a pass is cut.
struct Counted(AtomicUsize);

impl Join for Counted {
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
        self.0.fetch_add(1, Ordering::Relaxed);
        Rayon.join(first, second);
    }

    fn threads(&self) -> usize {
        Rayon.threads()
    }

    fn is_quick(&self) -> bool {
        Rayon.is_quick()
    }
}

/// This file has only one test, because the allocations of tests that run at the same time would be counted,
/// too.
#[test]
fn passes_in_the_pool_do_not_allocate() {
    let mut list = Vec::new();
    assert_eq!(allocations(|| list = vec![1.0]), 10, "the counter counts");
    let (steps, batch) = (200, 32);
    let sequences = Sequences::new(steps, batch);
    rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap().install(|| {
        let layer = Lstm::new(16, 48);
        let (weights, x) = (vec![0.1; layer.weights_len()], vec![0.5; steps * batch * 16]);
        let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
        let (mut y, mut state) = (vec![0.0; steps * batch * 48], vec![0.0; layer.state_len(batch)]);
        let len = layer.scratch_len_with(Rayon.threads(), steps, batch);
        assert!(len > layer.scratch_len(steps, batch), "it is cut");
        let mut scratch = vec![0.0; len];
        let forward = allocations(|| {
            let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
            layer.forward_with(&Rayon, &packed, args).unwrap();
        });
        assert_eq!(forward, 0, "forward");

        // Its steps are cut by units.
        let layer = Lstm::new(5, 401);
        let weights = vec![0.01; layer.weights_len()];
        let packed = layer.pack(&weights, vec![0.0; layer.packed_len()]).unwrap();
        let (mut y, mut state) = (vec![0.0; 20 * 401], vec![0.0; layer.state_len(1)]);
        let len = layer.scratch_len_with(Rayon.threads(), 20, 1);
        assert!(len > layer.scratch_len(20, 1), "its steps are cut");
        let mut scratch = vec![0.0; len];
        let stream = allocations(|| {
            let (sequences, x) = (Sequences::new(20, 1), &x[..20 * 5]);
            let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
            layer.forward_with(&Rayon, &packed, args).unwrap();
        });
        assert_eq!(stream, 0, "one stream");

        // Its levels run at the same time.
        let stack = Stack::new(Lstm::new(16, 48)).layers(3);
        let weights = vec![0.01; stack.weights_len()];
        let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
        let (mut y, mut state) = (vec![0.0; 5000 * 48], vec![0.0; stack.state_len(1)]);
        let mut scratch = vec![0.0; stack.scratch_len_with(Rayon.threads(), 5000, 1)];
        let counted = Counted(AtomicUsize::new(0));
        let levels = allocations(|| {
            let (sequences, x) = (Sequences::new(5000, 1), &x[..5000 * 16]);
            let args = Forward { sequences, x, y: &mut y, state: &mut state, scratch: &mut scratch };
            stack.forward_with(&counted, &packed, args).unwrap();
        });
        assert_eq!(levels, 0, "levels");
        assert!(counted.0.into_inner() > 100, "each turn is handed over");

        const MODEL: Model<2> = Model::new([Layer::lstm(16, 48), Layer::dense(48, 4)]);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut trainer = Trainer::new(&MODEL, Adam::new(0.01), &mut rng).unwrap();
        let targets = vec![0.3; steps * batch * 4];
        let loss = Loss::MeanSquaredError { targets: &targets };
        let data = Batch { sequences, x: (&x).into(), loss };
        let update = allocations(|| {
            trainer.update(data, &mut rng).unwrap();
        });
        assert_eq!(update, 0, "update");
        let mut predictor = trainer.predictor().unwrap();
        let predict = allocations(|| {
            predictor.forward(sequences, &x).unwrap();
        });
        assert_eq!(predict, 0, "predictor");
    });
}
