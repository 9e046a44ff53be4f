//! Connectionist temporal classification, compared with an oracle in f64, with that oracle's derivatives, and
//! with PyTorch.

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{assert_close, length, random, wide};
use recurrent::{Ctc, CtcBatch, Error, Isa, Masked, Reduction, Sequences};
use tensors::Tensors;

/// The labels of an alignment: merges equal neighbours, then removes blanks.
fn collapse(alignment: &[usize], blank: usize) -> Vec<u32> {
    let mut labels = vec![];
    for (t, &class) in alignment.iter().enumerate() {
        if class != blank && (t == 0 || alignment[t - 1] != class) {
            labels.push(class as u32);
        }
    }
    labels
}

/// The loss by its definition: a sum over all alignments.
fn every_alignment(logits: &[f64], classes: usize, blank: usize, labels: &[u32]) -> f64 {
    let steps = logits.len() / classes;
    let probabilities: Vec<f64> = logits
        .chunks(classes)
        .flat_map(|row| {
            let sum: f64 = row.iter().map(|l| l.exp()).sum();
            row.iter().map(move |l| l.exp() / sum).collect::<Vec<_>>()
        })
        .collect();
    let mut total = 0.0;
    for number in 0..classes.pow(steps as u32) {
        let alignment: Vec<_> = (0..steps).map(|t| number / classes.pow(t as u32) % classes).collect();
        if collapse(&alignment, blank) == labels {
            total +=
                alignment.iter().enumerate().map(|(t, a)| probabilities[t * classes + a]).product::<f64>();
        }
    }
    -total.ln()
}

/// The loss by the usual recursion, in logarithms of f64.
fn in_logarithms(logits: &[f64], classes: usize, blank: usize, labels: &[u32]) -> f64 {
    let add = |a: f64, b: f64| {
        let most = a.max(b);
        if most == f64::NEG_INFINITY { most } else { most + ((a - most).exp() + (b - most).exp()).ln() }
    };
    let mut states = vec![blank];
    for &label in labels {
        states.extend([label as usize, blank]);
    }
    let mut alpha = vec![f64::NEG_INFINITY; states.len()];
    for (t, row) in logits.chunks(classes).enumerate() {
        let norm = row.iter().fold(f64::NEG_INFINITY, |a, b| add(a, *b));
        let before = alpha.clone();
        for (i, &state) in states.iter().enumerate() {
            let mut sum = match t {
                0 if i < 2 => 0.0,
                0 => f64::NEG_INFINITY,
                _ => before[i],
            };
            if t > 0 && i > 0 {
                sum = add(sum, before[i - 1]);
            }
            if t > 0 && i > 1 && state != blank && state != states[i - 2] {
                sum = add(sum, before[i - 2]);
            }
            alpha[i] = sum + row[state] - norm;
        }
    }
    -alpha[alpha.len().saturating_sub(2)..].iter().fold(f64::NEG_INFINITY, |a, b| add(a, *b))
}

/// Random labels, some of which repeat the label before.
fn labels(count: usize, classes: usize, blank: u32, seed: u64) -> Vec<u32> {
    let mut labels: Vec<u32> = vec![];
    for x in random(count, seed) {
        let class = ((x + 1.0) * 0.5 * classes as f32) as u32 % classes as u32;
        let class = if class == blank { (class + 1) % classes as u32 } else { class };
        labels.push(if x > 0.5 { labels.last().copied().unwrap_or(class) } else { class });
    }
    labels
}

struct Found {
    loss: f32,
    losses: Vec<f32>,
    dlogits: Vec<f32>,
}

fn run(
    ctc: Ctc,
    sequences: Sequences<'_>,
    logits: &[f32],
    targets: &[u32],
    target_lengths: &[usize],
) -> Found {
    let longest = target_lengths.iter().copied().max().unwrap_or(0);
    let mut scratch = vec![f32::NAN; ctc.scratch_len(sequences.steps(), longest)];
    let (mut dlogits, mut losses) = (vec![f32::NAN; logits.len()], vec![f32::NAN; sequences.batch()]);
    let mut args =
        CtcBatch { sequences, logits, targets, target_lengths, scratch: &mut scratch, ..Default::default() };
    let alone = ctc.loss(args).unwrap();
    scratch.fill(f32::NAN);
    args = CtcBatch {
        sequences,
        logits,
        targets,
        target_lengths,
        dlogits: Some(&mut dlogits),
        losses: Some(&mut losses),
        scratch: &mut scratch,
    };
    let loss = ctc.loss(args).unwrap();
    assert_eq!(loss.to_bits(), alone.to_bits(), "the loss does not depend on what else is asked for");
    Found { loss, losses, dlogits }
}

#[test]
fn it_is_the_sum_over_all_alignments() {
    let (steps, classes) = (6, 3);
    for blank in 0..3 {
        for (seed, count) in [0, 1, 2, 3, 3, 4].into_iter().enumerate() {
            let logits: Vec<f32> =
                random(steps * classes, 40 + seed as u64).iter().map(|x| 3.0 * x).collect();
            let labels = labels(count, classes, blank as u32, 7 * seed as u64 + 1);
            let expected = every_alignment(&wide(&logits), classes, blank, &labels);
            let ctc = Ctc::new(classes).blank(blank as u32).reduction(Reduction::Sum);
            let found = run(ctc, Sequences::new(steps, 1), &logits, &labels, &[count]);
            assert_close("loss", &[found.loss], &[expected], 1e-6);
            let other = in_logarithms(&wide(&logits), classes, blank, &labels);
            assert!(other == expected || (other - expected).abs() < 1e-12);
            if expected.is_finite() {
                let f = |x: &[f64]| every_alignment(x, classes, blank, &labels);
                assert_close("dlogits", &found.dlogits, &numbers::differences(&wide(&logits), f), 1e-6);
            }
        }
    }
}

#[test]
fn gradients_of_sizes_around_vectors() {
    for (count, classes) in [(0, 2), (1, 2), (7, 5), (14, 9), (15, 9), (16, 9), (17, 130), (33, 4)] {
        let steps = 2 * count + 3;
        let logits: Vec<f32> = random(steps * classes, count as u64).iter().map(|x| 4.0 * x).collect();
        let labels = labels(count, classes, 0, 5 + count as u64);
        let found = run(Ctc::new(classes), Sequences::new(steps, 1), &logits, &labels, &[count]);
        let f = |x: &[f64]| in_logarithms(x, classes, 0, &labels) / count.max(1) as f64;
        assert_close("loss", &[found.loss], &[f(&wide(&logits))], 1e-6);
        // Differences of all elements would take a minute, so only some are checked.
        let x = wide(&logits);
        for i in (0..x.len()).step_by(x.len() / 60 + 1) {
            let at = |by: f64| {
                let mut x = x.clone();
                x[i] += by;
                f(&x)
            };
            let expected = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert_close("dlogits", &found.dlogits[i..=i], &[expected], 1e-6);
        }
    }
}

/// Compares with the case `name` of a golden file.
fn golden(name: &str, classes: usize, ctc: Ctc, tolerance: f64) {
    let of = Tensors::read("training/losses");
    let get = |part: &str| format!("{name}_{part}");
    let usizes = |part| of.ids(&get(part)).iter().map(|&n| n as usize).collect::<Vec<_>>();
    let (lengths, counts) = (usizes("lengths"), usizes("labels"));
    let targets = of.ids(&get("targets"));
    let x = of.f32(&get("x"));
    let steps = x.len() / classes / lengths.len();
    let sequences = Sequences::new(steps, lengths.len()).lengths(&lengths);
    let found = run(ctc, sequences, &x, &targets, &counts);
    assert_close(name, &[found.loss], &of.f64(&get("loss")), 1e-6);
    assert_close(name, &found.dlogits, &wide(&of.f32(&get("dx"))), tolerance);

    // The same rows in batch-major order.
    let mut batch_major = vec![0.0; x.len()];
    let batch = lengths.len();
    let swap = |from: &[f32], to: &mut [f32], back: bool| {
        for (t, b) in (0..steps).flat_map(|t| (0..batch).map(move |b| (t, b))) {
            let (mut one, mut two) = (t * batch + b, b * steps + t);
            if back {
                (one, two) = (two, one);
            }
            to[two * classes..][..classes].copy_from_slice(&from[one * classes..][..classes]);
        }
    };
    swap(&x, &mut batch_major, false);
    let other = run(ctc, sequences.batch_major(), &batch_major, &targets, &counts);
    let mut dlogits = vec![0.0; x.len()];
    swap(&other.dlogits, &mut dlogits, true);
    assert_eq!((other.loss, dlogits), (found.loss, found.dlogits));
}

#[test]
fn pytorch_has_the_same() {
    golden("rows", 7, Ctc::new(7), 1e-6);
    golden("sum", 7, Ctc::new(7).blank(6).reduction(Reduction::Sum), 1e-6);
    golden("sharp", 5, Ctc::new(5).blank(2), 1e-6);
    golden("zeroed", 4, Ctc::new(4).zero_infinity(), 1e-6);
    golden("long", 60, Ctc::new(60), 1e-6);
    golden("longest", 8, Ctc::new(8).blank(3).reduction(Reduction::Sum), 1e-5);
}

#[test]
fn ways_that_are_hardly_likely_are_not_lost() {
    // For 60 steps all other classes have a probability of e^-70 relative to the blank, far below the range
    // of f32. But the labels must appear.
    let (steps, classes, count) = (90, 4, 40);
    let mut logits = vec![0.0; steps * classes];
    for (t, row) in logits.chunks_mut(classes).enumerate() {
        row[if t < 60 { 0 } else { 1 }] = 70.0;
    }
    let labels: Vec<u32> = (0..count).map(|i| 1 + i % 3).collect();
    let found = run(Ctc::new(classes), Sequences::new(steps, 1), &logits, &labels, &[count as usize]);
    let expected = in_logarithms(&wide(&logits), classes, 0, &labels);
    assert!(expected > 700.0);
    assert_close("loss", &found.losses, &[expected], 1e-6);
    assert!(found.dlogits.iter().all(|d| d.is_finite()) && found.dlogits.iter().any(|d| *d != 0.0));
    for row in found.dlogits.chunks(classes) {
        assert!(row.iter().sum::<f32>().abs() < 1e-6);
    }
}

#[test]
fn targets_that_cannot_be_reached() {
    let (classes, logits) = (3, random(2 * 4 * 3, 3));
    // The labels 1 1 2 need four steps, but the second row has three.
    let (targets, counts, lengths) = ([1, 1, 2, 1, 1, 2], [3, 3], [4, 3]);
    let sequences = Sequences::new(4, 2).lengths(&lengths);
    let found = run(Ctc::new(classes), sequences, &logits, &targets, &counts);
    assert_eq!((found.loss, found.losses[1]), (f32::INFINITY, f32::INFINITY));
    for (row, d) in found.dlogits.chunks(classes).enumerate() {
        let (t, b) = (row / 2, row % 2);
        assert!(d.iter().all(|d| if b == 0 {
            d.is_finite()
        } else if t < 3 {
            d.is_nan()
        } else {
            *d == 0.0
        }));
    }
    let zeroed = run(Ctc::new(classes).zero_infinity(), sequences, &logits, &targets, &counts);
    assert_eq!((zeroed.losses[0], zeroed.losses[1]), (found.losses[0], 0.0));
    assert!((zeroed.loss - found.losses[0] / 6.0).abs() < 1e-6);
    for (row, d) in zeroed.dlogits.chunks(classes).enumerate() {
        assert!(row % 2 == 0 || d.iter().all(|d| *d == 0.0));
    }
    // A label with a probability of zero in every step is unreachable, too. Zero in some steps is no problem.
    let never = [0.0, f32::NEG_INFINITY, 0.0, /**/ 0.0, f32::NEG_INFINITY, 0.0];
    let one = |logits: &[f32]| run(Ctc::new(3), Sequences::new(2, 1), logits, &[1], &[1]);
    assert_eq!(one(&never).loss, f32::INFINITY);
    let once = one(&[0.0, 0.0, f32::NEG_INFINITY, /**/ 0.0, f32::NEG_INFINITY, 0.0]);
    assert!((once.loss - 4f32.ln()).abs() < 1e-6, "{}", once.loss);
    assert_eq!((once.dlogits[2], once.dlogits[4]), (0.0, 0.0));
    // With no steps, the empty list of labels is certain and all others are impossible.
    let none = run(Ctc::new(3), Sequences::new(0, 2), &[], &[1], &[0, 1]);
    assert_eq!((none.losses[0], none.losses[1]), (0.0, f32::INFINITY));
    assert_eq!(run(Ctc::new(3), Sequences::new(5, 0), &[], &[], &[]).loss, 0.0);
}

#[test]
fn what_is_not_a_number_shows() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut logits = random(5 * 2 * 4, 9);
        logits[2 * 8 + 3] = bad;
        let found = run(Ctc::new(4).zero_infinity(), Sequences::new(5, 2), &logits, &[1, 2], &[1, 1]);
        assert!(found.loss.is_nan() && found.losses[0].is_nan() && found.losses[1].is_finite());
        assert!(found.dlogits.chunks(8).all(|d| d[0].is_nan() && d[4].is_finite()));
    }
}

#[test]
fn masked_steps_are_as_if_they_were_not_there() {
    let (steps, classes) = (9, 4);
    let logits = random(steps * classes, 12);
    let mask: Vec<bool> = (0..steps).map(|t| t % 3 != 1).collect();
    let kept: Vec<f32> =
        logits.chunks(classes).zip(&mask).filter(|(_, k)| **k).flat_map(|(x, _)| x.to_vec()).collect();
    let masked = Sequences::new(steps, 1).mask(&mask, Masked::Zero);
    let with = run(Ctc::new(classes), masked, &logits, &[1, 2, 2], &[3]);
    let without = run(Ctc::new(classes), Sequences::new(6, 1), &kept, &[1, 2, 2], &[3]);
    assert_eq!(with.loss, without.loss);
    let mut rows = without.dlogits.chunks(classes);
    for (row, kept) in with.dlogits.chunks(classes).zip(&mask) {
        let expected = if *kept { rows.next().unwrap() } else { &[0.0; 4] };
        assert_eq!(row, expected);
    }
}

#[test]
fn fused_instruction_sets_give_the_same_bits() {
    let (steps, batch, classes) = (37, 3, 21);
    let logits: Vec<f32> = random(steps * batch * classes, 2).iter().map(|x| 9.0 * x).collect();
    let counts = [16, 3, 9];
    let targets = labels(28, classes, 0, 77);
    let mut first = None;
    for isa in Isa::available().filter(|isa| isa.is_fused()) {
        let found = run(Ctc::new(classes).on(isa), Sequences::new(steps, batch), &logits, &targets, &counts);
        let bits: Vec<u32> = found.dlogits.iter().chain(&found.losses).map(|x| x.to_bits()).collect();
        assert_eq!(*first.get_or_insert(bits.clone()), bits, "{}", isa.name());
    }
    // A row of a batch gives the same result as the row alone.
    let alone: Vec<f32> =
        logits.chunks(batch * classes).flat_map(|x| x[classes..2 * classes].to_vec()).collect();
    let all = run(
        Ctc::new(classes).reduction(Reduction::Sum),
        Sequences::new(steps, batch),
        &logits,
        &targets,
        &counts,
    );
    let one = run(
        Ctc::new(classes).reduction(Reduction::Sum),
        Sequences::new(steps, 1),
        &alone,
        &targets[16..19],
        &[3],
    );
    assert_eq!(one.losses[0], all.losses[1]);
    for (one, all) in one.dlogits.chunks(classes).zip(all.dlogits.chunks(batch * classes)) {
        assert_eq!(one, &all[classes..2 * classes]);
    }
}

#[test]
fn bad_arguments_are_refused_before_anything_is_written() {
    let ctc = Ctc::new(3);
    let logits = [0.5; 12];
    let room = ctc.scratch_len(2, 2);
    let (targets, counts) = ([1, 2, 1], [2, 1]);
    let try_it =
        |ctc: Ctc, sequences, logits: &[f32], targets: &[u32], target_lengths: &[usize], lens: [usize; 3]| {
            let (mut d, mut l, mut s) = (vec![7.0; lens[0]], vec![7.0; lens[1]], vec![7.0; lens[2]]);
            let (dlogits, losses) = (Some(&mut d[..]), Some(&mut l[..]));
            let args =
                CtcBatch { sequences, logits, targets, target_lengths, dlogits, losses, scratch: &mut s };
            let result = ctc.loss(args);
            assert!(result.is_ok() || d.iter().chain(&l).chain(&s).all(|x| *x == 7.0));
            result.map(drop)
        };
    let (two, fit) = (Sequences::new(2, 2), [12, 2, room]);
    assert_eq!(try_it(ctc, two, &logits, &targets, &counts, fit), Ok(()));
    let bad = |result, error| assert_eq!(result, Err(error));
    bad(try_it(ctc, two, &logits[1..], &targets, &counts, fit), length("logits", 12, 11));
    bad(try_it(ctc, two, &logits, &targets[1..], &counts, fit), length("targets", 3, 2));
    bad(try_it(ctc, two, &logits, &targets, &counts[..1], fit), length("target_lengths", 2, 1));
    bad(try_it(ctc, two, &logits, &targets, &counts, [11, 2, room]), length("dlogits", 12, 11));
    bad(try_it(ctc, two, &logits, &targets, &counts, [12, 3, room]), length("losses", 2, 3));
    bad(try_it(ctc, two, &logits, &targets, &counts, [12, 2, room - 1]), length("scratch", room, room - 1));
    let index = |buffer, position, id, limit| Error::Index { buffer, position, id, limit };
    bad(try_it(ctc, two, &logits, &[1, 3, 1], &counts, fit), index("targets", 1, 3, 3));
    bad(try_it(ctc, two.lengths(&[2, 3]), &logits, &targets, &counts, fit), index("lengths", 1, 3, 3));
    bad(try_it(ctc, two.lengths(&[2]), &logits, &targets, &counts, fit), length("lengths", 2, 1));
    for (ctc, targets, argument) in [(ctc, [1, 0, 1], "targets"), (ctc.blank(3), targets, "blank")] {
        let result = try_it(ctc, two, &logits, &targets, &counts, fit);
        assert!(matches!(result, Err(Error::Value { argument: a, .. }) if a == argument));
    }
    let huge = try_it(ctc, two, &logits, &[], &[usize::MAX, 2], fit);
    bad(huge, Error::Overflow { buffer: "targets" });
    assert_eq!(ctc.scratch_len(usize::MAX, 3), usize::MAX);
    assert_eq!(ctc.scratch_len(3, usize::MAX), usize::MAX);
    assert!(matches!(
        try_it(Ctc::new(0), Sequences::new(2, 0), &[], &[], &[], [0, 0, room]),
        Err(Error::Value { .. })
    ));
}
