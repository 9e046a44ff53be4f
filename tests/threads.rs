//! Which types of the crate can be sent to other threads or shared. Other tests check that any number of
//! threads gives the same bits: tests/parts.rs, tests/train_parts.rs and tests/trainer.rs.

mod common;

use std::thread;

use common::{Kind, Random, assert_bits, random_weights};
use recurrent::{Forward, Isa, Sequences};

/// These types have no interior mutability, so threads can own and share them.
#[test]
fn everything_can_be_sent_and_shared() {
    use recurrent::*;
    fn shared<T: Send + Sync>() {}
    macro_rules! shared {
        ($($type:ty),+ $(,)?) => {
            $(shared::<$type>();)+
        };
    }

    shared!(
        Rnn,
        Lstm,
        Gru,
        Mgu,
        Stack<LstmCell>,
        Dense,
        Embedding,
        Attention,
        Pool,
        Beam,
        CrossEntropy<'_>,
        Ctc,
        CtcBatch<'_>
    );
    shared!(Isa, Activation, Error, Sampling, Sequential, Merge, Gradients, Sequences<'_>);
    shared!(Packed<Vec<f32>>, Packed<&[f32]>, WeightSource<'_>, LstmWeights<'_>, GruWeightsMut<'_>);
    shared!(Forward<'_>, ForwardTrain<'_>, Backward<'_>, DenseBackward<'_>, Keys<'_, Vec<f32>>);
    shared!(AttentionForward<'_>, AttentionBackward<'_>, KeysBackward<'_>, Hypotheses<'_>, BeamBuffers<'_>);
    shared!(CtcGreedy, CtcBeam, CtcHypotheses<'_>, CtcBeamBuffers<'_>);
    shared!(model::Layer, model::Model<3>, model::Chain<'_>, model::Input<'_>, model::Loss<'_>);
    shared!(model::Forward<'_>, model::Training<'_>, Generate<'_>, image::Image<'_>);
    shared!(train::Adam, train::AdamW, train::Sgd, train::RmsProp, train::Cosine, train::Steps);
    #[cfg(feature = "std")]
    shared!(Threads, trainer::Trainer, trainer::Predictor, trainer::Batch<'_>, trainer::Optimiser);
    #[cfg(feature = "rayon")]
    shared!(Rayon);
    #[cfg(feature = "io")]
    shared!(io::Network, io::Plan, io::Error);
}

/// Each thread has its own sequences, state and scratch.
#[test]
fn threads_share_packed_weights() {
    let (steps, batch) = (20, 3);
    for kind in Kind::ALL {
        let layer = kind.layer(5, 17, Isa::detect());
        let weights = random_weights(layer, &mut Random::new(21));
        let packed = layer.pack(&weights).unwrap();
        let run = |seed: u64| {
            let random = &mut Random::new(seed);
            let x = random.uniform(steps * batch * 5, 1.0);
            let (mut y, mut state) =
                (vec![f32::NAN; steps * batch * layer.width()], vec![0.1; layer.state_len(batch)]);
            let mut scratch = vec![f32::NAN; layer.scratch_len(steps, batch)];
            let sequences = Sequences::new(steps, batch);
            for _ in 0..10 {
                let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
                layer.forward(&packed, args).unwrap();
            }
            y
        };
        let alone: Vec<_> = (0..4).map(run).collect();
        let together: Vec<_> = thread::scope(|scope| {
            let run = &run;
            let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || run(seed))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (alone, together) in alone.iter().zip(&together) {
            assert_bits(together, alone, &format!("{kind:?}"));
        }
        assert_ne!(alone[0], alone[1]);
    }
}
