//! Decodes labels from logits: greedily, and by prefix beam search, compared with an exhaustive search.

#[path = "common/numbers.rs"]
mod numbers;

use std::collections::HashMap;

use numbers::{length, random};
use recurrent::{CtcBeam, CtcBeamBuffers, CtcGreedy, Error, Sequences};

/// The probability of every list of labels, summed over all alignments.
fn every(logits: &[f32], classes: usize, blank: usize) -> HashMap<Vec<u32>, f64> {
    let steps = logits.len() / classes;
    let p = |t: usize, c: usize| {
        let row = &logits[t * classes..][..classes];
        f64::from(row[c]).exp() / row.iter().map(|l| f64::from(*l).exp()).sum::<f64>()
    };
    let mut found = HashMap::new();
    for number in 0..classes.pow(steps as u32) {
        let alignment: Vec<_> = (0..steps).map(|t| number / classes.pow(t as u32) % classes).collect();
        let labels =
            (0..steps).filter(|&t| alignment[t] != blank && (t == 0 || alignment[t - 1] != alignment[t]));
        let labels: Vec<u32> = labels.map(|t| alignment[t] as u32).collect();
        *found.entry(labels).or_insert(0.0) += (0..steps).map(|t| p(t, alignment[t])).product::<f64>();
    }
    found
}

fn search(
    beam: CtcBeam,
    sequences: Sequences<'_>,
    logits: &[f32],
    row: usize,
    model: impl FnMut(&[u32], u32) -> f32,
) -> Vec<(Vec<u32>, f32)> {
    let mut ids = vec![77; beam.ids_len(sequences.steps())];
    let mut scratch = vec![f32::NAN; beam.scratch_len()];
    let buffers = CtcBeamBuffers { ids: &mut ids, scratch: &mut scratch };
    let found = beam.search(sequences, logits, row, buffers, model).unwrap();
    assert!(!found.is_empty() && found.labels(found.len()).is_err());
    (0..found.len()).map(|i| (found.labels(i).unwrap().to_vec(), found.scores()[i])).collect()
}

#[test]
fn a_beam_without_a_limit_finds_all_labels_with_their_probabilities() {
    let (steps, classes) = (5, 3);
    for (seed, blank) in [(1, 0), (2, 1), (3, 2), (4, 0)] {
        let logits: Vec<f32> = random(steps * classes, seed).iter().map(|x| 2.0 * x).collect();
        let every = every(&logits, classes, blank);
        // The score of this language model depends on the labels so far.
        let adds = |before: &[u32], label: u32| 0.3 * label as f32 - 0.2 * before.len() as f32;
        for with in [false, true] {
            let model = |before: &[u32], label| if with { adds(before, label) } else { 0.0 };
            let beam = CtcBeam::new(500, classes).blank(blank as u32);
            let found = search(beam, Sequences::new(steps, 1), &logits, 0, model);
            assert_eq!(found.len(), every.len());
            for (labels, score) in &found {
                let added: f32 = (0..labels.len()).map(|i| model(&labels[..i], labels[i])).sum();
                let expected = every[labels].ln() + f64::from(added);
                assert!((f64::from(*score) - expected).abs() < 1e-5, "{labels:?} {score} {expected}");
            }
            assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        }
    }
}

#[test]
fn a_narrow_beam_adds_up_no_more_than_there_is() {
    let (steps, classes) = (6, 4);
    for seed in 0..20 {
        let logits: Vec<f32> = random(steps * classes, seed).iter().map(|x| 3.0 * x).collect();
        let every = every(&logits, classes, 0);
        let found = search(CtcBeam::new(12, classes), Sequences::new(steps, 1), &logits, 0, |_, _| 0.0);
        assert_eq!(found.len(), 12);
        for (labels, score) in found {
            assert!(f64::from(score) <= every[&labels].ln() + 1e-5, "{labels:?} {score}");
        }
    }
}

#[test]
fn a_model_forbids_and_a_least_probability_leaves_out() {
    let logits = [0.0, 3.0, 2.0, /**/ 5.0, 0.0, 0.0, /**/ 0.0, 3.0, 2.0];
    let of = |beam: CtcBeam, forbidden| {
        let model = |_: &[u32], label| if label == forbidden { f32::NEG_INFINITY } else { 0.0 };
        search(beam, Sequences::new(3, 1), &logits, 0, model).swap_remove(0).0
    };
    let beam = CtcBeam::new(8, 3);
    assert_eq!((of(beam, 0), of(beam, 1)), (vec![1, 1], vec![2, 2]));
    // This limit leaves only the likeliest class of each step.
    let one = search(beam.least(-0.5), Sequences::new(3, 1), &logits, 0, |_, _| 0.0);
    assert!(one.iter().all(|(labels, _)| !labels.contains(&2)));
}

#[test]
fn rows_of_padded_batches() {
    let (steps, classes) = (7, 3);
    let logits = random(steps * 2 * classes, 8);
    let sequences = Sequences::new(steps, 2).lengths(&[7, 4]);
    for row in 0..2 {
        let len = [7, 4][row];
        let alone: Vec<f32> =
            logits.chunks(classes).skip(row).step_by(2).take(len).flatten().copied().collect();
        let beam = CtcBeam::new(6, classes);
        let one = search(beam, Sequences::new(len, 1), &alone, 0, |_, _| 0.0);
        assert_eq!(search(beam, sequences, &logits, row, |_, _| 0.0), one);
        let mut out = vec![9; steps];
        let found = CtcGreedy::new(0).row(classes, sequences, &logits, row, &mut out).unwrap().to_vec();
        let (mut greedy, mut expected) = (CtcGreedy::new(0), vec![]);
        alone.chunks(classes).for_each(|row| expected.extend(greedy.push(row).unwrap()));
        assert_eq!(found, expected);
    }
}

#[test]
fn bad_arguments_are_refused() {
    let (beam, two) = (CtcBeam::new(2, 3), Sequences::new(2, 1));
    let run = |beam: CtcBeam, logits: &[f32], row, ids: usize, scratch: usize| {
        let (mut ids, mut scratch) = (vec![7; ids], vec![7.0; scratch]);
        let buffers = CtcBeamBuffers { ids: &mut ids, scratch: &mut scratch };
        let result = beam.search(two, logits, row, buffers, |_, _| 0.0).map(drop);
        assert!(logits.iter().any(|x| !x.is_finite()) || result.is_ok() || ids.iter().all(|i| *i == 7));
        result
    };
    let (logits, ids, room) = ([0.0; 6], beam.ids_len(2), beam.scratch_len());
    assert_eq!(run(beam, &logits, 0, ids, room), Ok(()));
    assert_eq!(run(beam, &logits[1..], 0, ids, room), Err(length("logits", 6, 5)));
    assert_eq!(run(beam, &logits, 0, ids - 1, room), Err(length("ids", ids, ids - 1)));
    assert_eq!(run(beam, &logits, 0, ids, room - 1), Err(length("scratch", room, room - 1)));
    assert!(matches!(
        run(beam, &logits, 1, ids, room),
        Err(Error::Index { buffer: "row", id: 1, limit: 1, .. })
    ));
    assert!(matches!(run(beam.blank(3), &logits, 0, ids, room), Err(Error::Value { argument: "blank", .. })));
    assert!(matches!(
        run(CtcBeam::new(0, 3), &logits, 0, ids, room),
        Err(Error::Value { argument: "width", .. })
    ));
    for bad in [f32::NAN, f32::INFINITY] {
        let logits = [0.0, 0.0, 0.0, bad, 0.0, 0.0];
        assert!(matches!(run(beam, &logits, 0, ids, room), Err(Error::Value { argument: "logits", .. })));
    }
    assert_eq!(beam.ids_len(usize::MAX), usize::MAX);
    let mut out = [7];
    let short = CtcGreedy::new(0).row(3, two, &logits, 0, &mut out);
    assert_eq!(short, Err(length("out", 2, 1)));
    assert!(CtcGreedy::new(5).push(&[0.0; 3]).is_err());
}
