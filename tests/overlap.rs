//! Levels that run at the same time give the same bits as one after the other.

mod common;

use common::pool::Scoped;
use common::{Random, assert_bits};
use recurrent::model::{self, Chain, Model};
use recurrent::{
    Cell, Error, Forward, Gru, Isa, Join, Lstm, LstmNorm, Masked, Merge, Narrow, Rnn, Sequences, Stack,
    WeightSource,
};

/// Steps that make overlapping worthwhile for two levels of 6,000 weights. They are a prime number, so the last
/// block is shorter.
const STEPS: usize = 12893;

/// Steps that make overlapping worthwhile for a stack, if it does at all. They are no multiple of a block.
fn enough_steps<C: Cell>(stack: &Stack<C>, batch: usize) -> usize {
    let sizes = [0, stack.depth() - 1].map(|index| stack.layer(index, 0).weights_len());
    let (most, least) = (sizes[0].max(sizes[1]), sizes[0].min(sizes[1]));
    // Two threads take three levels as two and one.
    let work = if stack.depth() == 3 { 120_000_000 } else { 60_000_000 };
    ((work / least * most / least / batch) | 1).min(STEPS)
}

/// Lengths, mask and resets of `B` rows. Rows end within the first block, within a later one, and at the end.
struct Lists<const B: usize> {
    steps: usize,
    lengths: [usize; B],
    mask: Vec<bool>,
    resets: Vec<bool>,
}

impl<const B: usize> Lists<B> {
    fn new(steps: usize) -> Self {
        Lists {
            steps,
            lengths: core::array::from_fn(|b| [steps, 3, steps / 2 + 1, 0, steps - 1][b % 5]),
            mask: (0..steps * B).map(|i| i * 7 % 11 > 2).collect(),
            resets: (0..steps * B).map(|i| i * 5 % 37 == 0).collect(),
        }
    }

    fn all(&self) -> [(&'static str, Sequences<'_>); 5] {
        let plain = Sequences::new(self.steps, B);
        [
            ("plain", plain),
            ("lengths", plain.lengths(&self.lengths)),
            ("mask", plain.mask(&self.mask, Masked::Carry)),
            ("everything", plain.lengths(&self.lengths).mask(&self.mask, Masked::Zero).resets(&self.resets)),
            ("batch-major", plain.batch_major().lengths(&self.lengths)),
        ]
    }
}

/// The outputs and the last states of a stack, level by level: each is a layer of its own, which runs over
/// whole sequences on one thread.
fn apart<C: Cell>(
    stack: Stack<C>,
    weights: &[f32],
    sequences: Sequences<'_>,
    x: &[f32],
    state: &[f32],
) -> [Vec<f32>; 2] {
    let (steps, batch) = (sequences.steps(), sequences.batch());
    let (mut x, mut weights, mut states) = (x.to_vec(), weights, state.to_vec());
    let mut rest = &mut states[..];
    for index in 0..stack.depth() {
        let layer = stack.layer(index, 0);
        let (own, others) = weights.split_at(layer.weights_len());
        let (state, later) = rest.split_at_mut(layer.state_len(batch));
        (weights, rest) = (others, later);
        let packed = layer.pack(own, vec![0.0; layer.packed_len()]).unwrap();
        let mut y = vec![f32::NAN; steps * batch * stack.output()];
        let mut scratch = vec![f32::NAN; layer.scratch_len(steps, batch)];
        let args = Forward { sequences, x: &x, y: &mut y, state, scratch: &mut scratch };
        layer.forward(&packed, args).unwrap();
        x = y;
    }
    [x, states]
}

/// Runs a stack on 1, 2, 3 and 8 threads. If `overlaps` is false, it is one that must not be cut.
fn check<C: Cell, const B: usize>(stack: Stack<C>, overlaps: bool, what: &str) {
    let steps = enough_steps(&stack, B);
    let (random, lists) = (&mut Random::new(21), Lists::<B>::new(steps));
    let weights = random.uniform(stack.weights_len(), 0.3);
    let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
    let x = random.uniform(steps * B * stack.input(), 1.0);
    let state = random.uniform(stack.state_len(B), 0.9);
    for (name, sequences) in lists.all() {
        let want = apart(stack, &weights, sequences, &x, &state);
        for threads in [1, 2, 3, 8] {
            for wanted in [true, false] {
                let (pool, mut state) = (Scoped::quick(threads), state.clone());
                let mut y = vec![f32::NAN; if wanted { want[0].len() } else { 0 }];
                let mut scratch = vec![f32::NAN; stack.scratch_len_with(threads, steps, B)];
                let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
                stack.forward_with(&pool, &packed, args).unwrap();
                let what = format!("{what}, {name}, {threads} threads, outputs {wanted}");
                assert_bits(&y, if wanted { &want[0] } else { &[] }, &what);
                assert_bits(&state, &want[1], &what);
                // The pass is handed over, and then each turn.
                let cut = overlaps && threads > 1 && (name != "batch-major" || B == 1);
                assert_eq!(pool.cuts() > 2, cut, "{what}: {} cuts", pool.cuts());
            }
        }
    }
}

#[test]
fn one_stream() {
    for isa in Isa::available() {
        check::<_, 1>(Stack::new(Lstm::new(19, 35).on(isa)).layers(2), true, isa.name());
    }
}

#[test]
fn few_rows() {
    check::<_, 5>(Stack::new(Gru::new(21, 37)).layers(2), true, "GRU");
    check::<_, 3>(Stack::new(Rnn::new(40, 70)).layers(3), true, "RNN");
    check::<_, 2>(Stack::new(Lstm::new(5, 33).projection(30)).layers(4), true, "projected LSTM");
}

/// More levels than threads, and more threads than levels.
#[test]
fn many_levels() {
    for depth in [3, 4, 5, 7] {
        check::<_, 1>(Stack::new(Gru::new(30, 60)).layers(depth), true, &format!("{depth} levels"));
    }
}

#[test]
fn other_layers() {
    check::<_, 2>(Stack::new(Lstm::new(7, 36).peepholes()).layers(2), true, "peepholes");
    check::<_, 2>(Stack::new(Gru::new(7, 40).layer_norm()).layers(2), true, "normalised GRU");
    for norm in [LstmNorm::Output, LstmNorm::State] {
        check::<_, 1>(Stack::new(Lstm::new(7, 36).layer_norm(norm)).layers(2), true, "normalised LSTM");
    }
    for narrow in [Narrow::F16, Narrow::Bf16, Narrow::W8A16, Narrow::W8A8] {
        let stack = Stack::new(Lstm::new(48, 80)).layers(2).narrow(narrow);
        check::<_, 2>(stack, true, &format!("{narrow:?}"));
        // The rows of the first level's input need more room than those of the others.
        let stack = Stack::new(Gru::new(301, 80)).layers(2).narrow(narrow);
        check::<_, 1>(stack, true, &format!("{narrow:?}, wide input"));
    }
}

/// Both directions, or the reverse one, begin with steps that the level below computes last.
#[test]
fn what_does_not_overlap() {
    check::<_, 2>(Stack::new(Gru::new(21, 37)), false, "one level");
    check::<_, 2>(Stack::new(Gru::new(3, 5)).layers(2), false, "little work");
    let (steps, stack) = (300, Stack::new(Gru::new(30, 60).reverse()).layers(2));
    let both = Stack::new(Gru::new(30, 60)).layers(2).bidirectional(Merge::Sum);
    for (stack, cuts) in [(stack, 0), (both, 2)] {
        let (x, weights) = (vec![0.5; steps * 30], vec![0.1; stack.weights_len()]);
        let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
        let (mut y, mut state) = (vec![0.0; steps * 60], vec![0.0; stack.state_len(1)]);
        let mut scratch = vec![0.0; stack.scratch_len_with(2, steps, 1)];
        assert_eq!(scratch.len(), stack.scratch_len(steps, 1));
        let sequences = Sequences::new(steps, 1);
        let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
        let pool = Scoped::quick(2);
        stack.forward_with(&pool, &packed, args).unwrap();
        assert_eq!(pool.cuts(), cuts);
    }
    // A pool that starts a thread for each part takes too long for each turn.
    let stack = Stack::new(Lstm::new(20, 40)).layers(2);
    let (x, weights) = (vec![0.5; STEPS * 20], vec![0.1; stack.weights_len()]);
    let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
    for (pool, cuts) in [(Scoped::new(2), false), (Scoped::quick(2), true)] {
        let (mut y, mut state) = (vec![0.0; STEPS * 40], vec![0.0; stack.state_len(1)]);
        let mut scratch = vec![0.0; stack.scratch_len_with(2, STEPS, 1)];
        let sequences = Sequences::new(STEPS, 1);
        let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
        stack.forward_with(&pool, &packed, args).unwrap();
        assert_eq!(pool.cuts() > 0, cuts);
    }
}

/// A sequence fed in chunks, each of which overlaps.
#[test]
fn chunks() {
    let (stack, random) = (Stack::new(Lstm::new(20, 40)).layers(2), &mut Random::new(22));
    let weights = random.uniform(stack.weights_len(), 0.3);
    let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
    let x = random.uniform(2 * STEPS * 20, 1.0);
    let state = random.uniform(stack.state_len(1), 0.9);
    let want = apart(stack, &weights, Sequences::new(2 * STEPS, 1), &x, &state);
    let (mut y, mut state, pool) = (vec![f32::NAN; 2 * STEPS * 40], state, Scoped::quick(2));
    for (x, y) in x.chunks((STEPS + 7) * 20).zip(y.chunks_mut((STEPS + 7) * 40)) {
        let (sequences, before) = (Sequences::new(x.len() / 20, 1), pool.cuts());
        let mut scratch = vec![f32::NAN; stack.scratch_len_with(2, sequences.steps(), 1)];
        let args = Forward { sequences, x, y, state: &mut state, scratch: &mut scratch };
        stack.forward_with(&pool, &packed, args).unwrap();
        assert!(pool.cuts() > before + 2);
    }
    assert_bits(&y, &want[0], "outputs");
    assert_bits(&state, &want[1], "states");
}

const MODEL: Model<6> = Model::new([
    model::Layer::dense(6, 17),
    model::Layer::lstm(17, 41),
    model::Layer::Dropout(0.5),
    model::Layer::Gru(Stack::new(Gru::new(41, 39)).layers(2)),
    model::Layer::rnn(39, 80),
    model::Layer::dense(80, 3),
]);
/// The last layer is recurrent, and the reverse direction ends the layers that overlap.
const RECURRENT: Model<4> = Model::new([
    model::Layer::Gru(Stack::new(Gru::new(8, 40).reverse())),
    model::Layer::gru(40, 56),
    model::Layer::gru(56, 56),
    model::Layer::lstm(56, 48),
]);

/// Layers of a model overlap in the same way, also with dropout between them, which inference skips.
#[test]
fn models() {
    let narrow = RECURRENT.layers().map(|layer| layer.narrow(Narrow::W8A16));
    for (chain, what) in
        [(MODEL.chain(), "mixed"), (RECURRENT.chain(), "recurrent"), (Chain::new(&narrow).unwrap(), "narrow")]
    {
        let (lists, random) = (Lists::<2>::new(STEPS), &mut Random::new(23));
        let weights = random.uniform(chain.weights_len(), 0.3);
        let packed = chain.pack(&weights, vec![0.0; chain.packed_len()]).unwrap();
        let x = random.uniform(STEPS * 2 * chain.input(), 1.0);
        let state = random.uniform(chain.state_len(2), 0.9);
        for (name, sequences) in lists.all() {
            let run = |join: Option<&dyn Join>| {
                let (mut y, mut state) = (vec![f32::NAN; chain.output_len(STEPS, 2)], state.clone());
                let threads = join.map_or(1, Join::threads);
                let mut scratch = vec![f32::NAN; chain.scratch_len_with(threads, STEPS, 2)];
                let (x, y_, scratch) = (x[..].into(), &mut y[..], &mut scratch[..]);
                let args = model::Forward { sequences, x, y: y_, state: &mut state, scratch };
                match join {
                    None => chain.forward(&packed, args),
                    Some(join) => chain.forward_with(join, WeightSource::from(&packed), args),
                }
                .unwrap();
                [y, state]
            };
            let want = run(None);
            for threads in [1, 2, 3, 8] {
                let (pool, what) = (Scoped::quick(threads), format!("{what}, {name}, {threads} threads"));
                let got = run(Some(&pool));
                assert_bits(&got[0], &want[0], &what);
                assert_bits(&got[1], &want[1], &what);
                let overlaps = threads > 1 && name != "batch-major";
                assert_eq!(pool.cuts() > 2, overlaps, "{what}: {} cuts", pool.cuts());
            }
        }
    }
}

/// A pool that drops parts of turns is detected.
#[test]
fn a_part_of_a_turn_that_does_not_run_is_an_error() {
    struct Lossy(std::sync::atomic::AtomicUsize);
    impl Join for Lossy {
        fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
            first();
            if self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 {
                second();
            }
        }
        fn is_quick(&self) -> bool {
            true
        }
    }
    let stack = Stack::new(Lstm::new(20, 40)).layers(2);
    let (x, weights) = (vec![0.5; STEPS * 20], vec![0.1; stack.weights_len()]);
    let packed = stack.pack(&weights, vec![0.0; stack.packed_len()]).unwrap();
    let len = stack.scratch_len_with(2, STEPS, 1);
    let run = |len: usize| {
        let (mut y, mut state) = (vec![0.0; STEPS * 40], vec![0.0; stack.state_len(1)]);
        let (sequences, mut scratch) = (Sequences::new(STEPS, 1), vec![0.0; len]);
        let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
        stack.forward_with(&Lossy(Default::default()), &packed, args)
    };
    assert!(matches!(run(len), Err(Error::Value { argument: "join", .. })));
    assert!(matches!(run(len - 1), Err(Error::Length { buffer: "scratch", .. })));
}
