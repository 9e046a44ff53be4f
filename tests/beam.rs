//! Beam search, compared with an exhaustive search of all sequences.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::{length, random};
use recurrent::{Beam, BeamBuffers, BeamStep, Error, argmax, log_softmax};

const CLASSES: usize = 3;
const START: u32 = 2;
const END: u32 = 1;

/// A small recurrent model: a state of two numbers that every token changes.
struct Model(Vec<f32>);

impl Model {
    fn new(seed: u64) -> Self {
        Model(random(CLASSES * 2 + 4 + CLASSES * 2, seed))
    }

    fn next(&self, token: u32, state: &mut [f32], logits: &mut [f32]) {
        let (embedding, rest) = self.0.split_at(CLASSES * 2);
        let (w, out) = rest.split_at(4);
        let old = [state[0], state[1]];
        for i in 0..2 {
            let sum = 2.0 * embedding[token as usize * 2 + i] + w[i * 2] * old[0] + w[i * 2 + 1] * old[1];
            state[i] = sum.tanh();
        }
        for (logit, w) in logits.iter_mut().zip(out.chunks(2)) {
            *logit = 3.0 * (w[0] * state[0] + w[1] * state[1]);
        }
    }

    /// Log probabilities of the token after `token`, for one sequence.
    fn log_p(&self, token: u32, state: &mut [f32; 2]) -> [f32; CLASSES] {
        let (mut logits, mut log_p) = ([0.0; CLASSES], [0.0; CLASSES]);
        self.next(token, state, &mut logits);
        log_softmax(CLASSES, &logits, &mut log_p).unwrap();
        log_p
    }
}

type Found = (Vec<u32>, f32);

fn normal(score: f32, len: usize, alpha: f32) -> f32 {
    score / (len as f32).powf(alpha)
}

/// All sequences that end within `steps` tokens or are cut off there, best first.
fn exhaustive(model: &Model, steps: usize, alpha: f32) -> Vec<Found> {
    let mut found = Vec::new();
    let mut open = vec![(vec![START], 0.0, [0.0; 2])];
    while let Some((tokens, score, mut state)) = open.pop() {
        let log_p = model.log_p(*tokens.last().unwrap(), &mut state);
        for (class, log_p) in log_p.into_iter().enumerate() {
            let (mut tokens, score) = (tokens.clone(), score + log_p);
            tokens.push(class as u32);
            let len = tokens.len() - 1;
            if class as u32 == END || len == steps {
                found.push((tokens[1..].to_vec(), normal(score, len, alpha)));
            } else {
                open.push((tokens, score, state));
            }
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

/// The reference: a beam search without early stopping.
fn plain(model: &Model, width: usize, steps: usize, alpha: f32) -> Vec<Found> {
    let mut live = vec![(vec![START], 0.0, [0.0; 2])];
    let mut found = Vec::new();
    for len in 1..=steps {
        let mut next = Vec::new();
        for (tokens, score, mut state) in live {
            let log_p = model.log_p(*tokens.last().unwrap(), &mut state);
            for class in 0..CLASSES as u32 {
                let (mut tokens, score) = (tokens.clone(), score + log_p[class as usize]);
                tokens.push(class);
                match class == END || len == steps {
                    true => found.push((tokens[1..].to_vec(), normal(score, len, alpha))),
                    false => next.push((tokens, score, state)),
                }
            }
        }
        next.sort_by(|a: &(_, f32, _), b| b.1.total_cmp(&a.1));
        next.truncate(width);
        live = next;
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found.truncate(width);
    found
}

/// Runs the crate's search, with the model's states in buffers here. Also returns how often it called the
/// model.
fn search(model: &Model, beam: Beam, width: usize, steps: usize) -> (Vec<Found>, usize) {
    let (mut ids, mut scratch) = (vec![u32::MAX; beam.ids_len()], vec![f32::NAN; beam.scratch_len()]);
    let (mut states, mut next, mut calls) = (vec![0.0; width * 2], vec![0.0; width * 2], 0);
    let found = beam
        .search(BeamBuffers { ids: &mut ids, scratch: &mut scratch }, |step| {
            let next = &mut next[..step.tokens.len() * 2];
            step.reorder(&states, next)?;
            let rows = next.chunks_mut(2).zip(step.logits.chunks_mut(CLASSES));
            for (token, (state, logits)) in step.tokens.iter().zip(rows) {
                model.next(*token, state, logits);
            }
            states[..next.len()].copy_from_slice(next);
            calls += 1;
            Ok::<(), Error>(())
        })
        .unwrap();
    let mut room = vec![0; steps];
    let of = |index| (found.tokens(index, &mut room).unwrap().to_vec(), found.scores()[index]);
    ((0..found.len()).map(of).collect(), calls)
}

#[track_caller]
fn assert_same(actual: &[Found], expected: &[Found]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        assert_eq!(a.0, e.0);
        assert!((a.1 - e.1).abs() < 1e-5, "{a:?} {e:?}");
    }
}

#[test]
fn a_wide_beam_finds_all_sequences() {
    for seed in 0..20 {
        let model = Model::new(seed);
        for alpha in [0.0, 0.7, 1.0, 2.0] {
            let expected = exhaustive(&model, 4, alpha);
            let width = expected.len();
            let beam = Beam::new(width, CLASSES, 4).start(START).end(END).alpha(alpha);
            assert_same(&search(&model, beam, width, 4).0, &expected);
        }
    }
}

#[test]
fn stopping_early_does_not_change_what_is_found() {
    let mut saved = 0;
    for seed in 0..40 {
        let model = Model::new(seed);
        for (width, steps) in [(1, 6), (2, 1), (2, 9), (3, 8), (5, 7)] {
            for alpha in [0.0, 0.6, 1.0] {
                let beam = Beam::new(width, CLASSES, steps).start(START).end(END).alpha(alpha);
                let (found, calls) = search(&model, beam, width, steps);
                assert_same(&found, &plain(&model, width, steps, alpha));
                saved += steps - calls;
            }
        }
    }
    assert!(saved > 100, "{saved}");
}

#[test]
fn one_hypothesis_without_an_end_is_greedy() {
    for seed in 0..20 {
        let model = Model::new(seed);
        let (found, calls) = search(&model, Beam::new(1, CLASSES, 7).start(START), 1, 7);
        let (mut token, mut state, mut expected) = (START, [0.0; 2], Vec::new());
        for _ in 0..7 {
            token = argmax(&model.log_p(token, &mut state)).unwrap() as u32;
            expected.push(token);
        }
        assert_eq!((&found[0].0, found.len(), calls), (&expected, 1, 7));
    }
}

#[test]
fn what_cannot_follow_is_not_found() {
    let beam = Beam::new(4, 2, 3).end(0);
    let (mut ids, mut scratch) = (vec![0; beam.ids_len()], vec![0.0; beam.scratch_len()]);
    let only_the_end = |step: BeamStep<'_>| {
        step.logits.chunks_mut(2).for_each(|row| row.copy_from_slice(&[1.0, f32::NEG_INFINITY]));
        Ok::<(), Error>(())
    };
    let found = beam.search(BeamBuffers { ids: &mut ids, scratch: &mut scratch }, only_the_end).unwrap();
    assert_eq!((found.len(), found.scores()), (1, &[0.0][..]));
    assert_eq!(found.tokens(0, &mut [7; 3]), Ok(&[0][..]));
    let error = found.tokens(1, &mut [7; 3]).unwrap_err();
    assert_eq!(error, Error::Index { buffer: "hypothesis", position: 0, id: 1, limit: 1 });
    assert_eq!(found.tokens(0, &mut []), Err(length("out", 1, 0)));
    let none = Beam::new(4, 2, 0);
    let found = none.search(BeamBuffers { ids: &mut ids, scratch: &mut scratch }, only_the_end).unwrap();
    assert!(found.is_empty());
}

#[test]
fn wrong_arguments_are_refused() {
    let attempt = |beam: Beam, ids: usize, scratch: usize, logit: f32| {
        let (mut ids, mut scratch) = (vec![7; ids], vec![7.0; scratch]);
        let buffers = BeamBuffers { ids: &mut ids, scratch: &mut scratch };
        let result = beam.search(buffers, |step| {
            step.logits.fill(logit);
            if logit == 1.0 { Err(length("mine", 1, 2)) } else { Ok(()) }
        });
        let error = result.map(|_| ()).unwrap_err();
        // Errors from before the first step leave the buffers untouched.
        assert!(
            logit != 0.0 || ids.iter().all(|id| *id == 7) && scratch.iter().all(|x| *x == 7.0),
            "{error}"
        );
        error
    };
    let beam = Beam::new(2, 3, 4);
    let (ids, scratch) = (beam.ids_len(), beam.scratch_len());
    assert_eq!(attempt(beam, ids - 1, scratch, 0.0), length("ids", ids, ids - 1));
    assert_eq!(attempt(beam, ids, scratch - 1, 0.0), length("scratch", scratch, scratch - 1));
    assert_eq!(attempt(beam, ids, scratch, 1.0), length("mine", 1, 2));
    for logit in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = attempt(beam, ids, scratch, logit);
        assert!(matches!(error, Error::Value { argument: "logits", .. }), "{error}");
    }
    for alpha in [-1.0, f32::INFINITY, f32::NAN] {
        assert!(matches!(
            attempt(beam.alpha(alpha), ids, scratch, 0.0),
            Error::Value { argument: "alpha", .. }
        ));
    }
    assert!(matches!(attempt(Beam::new(0, 3, 4), ids, scratch, 0.0), Error::Value { argument: "width", .. }));
    let step = BeamStep { tokens: &[0, 0], parents: &[0, 1], logits: &mut [] };
    assert_eq!(step.reorder(&[0.0; 4], &mut [0.0; 3]), Err(length("to", 2, 3)));
    assert_eq!(step.reorder(&[0.0; 3], &mut [0.0; 4]), Err(length("from", 4, 3)));
    let step = BeamStep { parents: &[u32::MAX], ..step };
    assert!(step.reorder(&[0.0; 3], &mut [0.0; 4]).is_err());
}
