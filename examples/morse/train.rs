//! Training without an alignment: the targets are the characters of a recording in order. They do not say
//! when each character is sent.
//!
//! A model without experience soon finds that the blank is likely in every step, and can stay there for
//! thousands of updates. Here it leaves within 200, because of four things, which were not measured one by
//! one: it sees half a second of strengths in each step; the blank is likely from the beginning, so that the
//! first gradients are not all about it; states last long from the beginning; and the first texts have few
//! characters, at similar speeds.

use indicatif::ProgressBar;
use rand_xoshiro::Xoshiro256PlusPlus;
use recurrent::Sequences;
use recurrent::model::Loss;
use recurrent::train::{Adam, Cosine};
use recurrent::trainer::{Batch, Trainer};

use crate::Failure;
use crate::morse::{CHARACTERS, CLASSES, FRAMES, HIDDEN, MODEL, RATE, Receiver, TONE, WINDOW, input};
use crate::signal::{Operator, SPEEDS};

const BATCH: usize = 32;
/// Characters of a text, at most.
const LONGEST: usize = 8;

/// The characters in the order in which they are learnt, those with short codes first.
const LESSONS: &[u8; 41] = b"ETAINMSURDKGWOHVFLBPXCJYZQ5406173829/=?.,";
/// Number of them, and speed, in the first texts.
const FIRST: usize = 6;
const SPEED: f64 = 20.0;
/// A character is added as soon as the loss for each character is below this.
const LEARNT: f64 = 0.8;

/// The classes of a text.
fn labels(text: &[u8]) -> impl Iterator<Item = u32> {
    text.iter().filter_map(|c| CHARACTERS.iter().position(|of| of == c)).map(|at| at as u32 + 1)
}

/// Groups of random characters, of the first `known` lessons. There is no language in them that could be
/// learnt.
fn groups(operator: &mut Operator, known: usize) -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0..1 + operator.below(LONGEST) {
        if i > 0 && operator.below(4) == 0 {
            text.push(b' ');
        }
        text.push(LESSONS[operator.below(known)]);
    }
    text
}

/// A batch of recordings.
struct Lesson {
    /// The input of the model, `[T, B, WINDOW]`, and the steps of each row, `[B]`.
    x: Vec<f32>,
    lengths: Vec<usize>,
    steps: usize,
    /// The labels of all rows, and their number in each row.
    targets: Vec<u32>,
    target_lengths: Vec<usize>,
}

impl Lesson {
    fn draw(operator: &mut Operator, known: usize) -> Self {
        // The more characters are known, the more the speeds differ.
        let part = (known - FIRST) as f64 / (LESSONS.len() - FIRST) as f64;
        let speeds = SPEEDS.map(|speed| SPEED + part * (speed - SPEED));
        let (mut rows, mut targets, mut target_lengths) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let mut text = groups(operator, known);
            let (speed, ratio) = (operator.uniform(speeds), operator.uniform([8.0, 20.0]));
            let (marks, seconds) = operator.key(&text, speed);
            let sound = operator.sound(&marks, seconds, ratio);
            let mut receiver = Receiver::new(RATE, TONE);
            // Silence before the first frame, as in a new reader.
            let mut row = vec![input(0.0); WINDOW - FRAMES];
            row.extend(sound.iter().filter_map(|sample| receiver.sample(*sample)).map(input));
            rows.push(row);
            text.push(b' ');
            targets.extend(labels(&text));
            target_lengths.push(text.len());
        }
        let lengths: Vec<usize> = rows.iter().map(|row| (row.len() - WINDOW) / FRAMES + 1).collect();
        let steps = lengths.iter().copied().max().unwrap_or(0);
        let mut x = vec![0.0; steps * BATCH * WINDOW];
        for (row, inputs) in rows.iter().enumerate() {
            for (t, window) in inputs.windows(WINDOW).step_by(FRAMES).enumerate() {
                x[(t * BATCH + row) * WINDOW..][..WINDOW].copy_from_slice(window);
            }
        }
        Lesson { x, lengths, steps, targets, target_lengths }
    }
}

/// Sets the initial biases.
fn prepare(weights: &mut [f32]) {
    // The blank is likely from the first update on.
    let blank = MODEL.weights_len() - CLASSES;
    weights[blank] = 4.0;
    // The biases of the update gates: states last from 1 to 30 steps (Tallec and Ollivier 2018,
    // arXiv:1804.11188). A character at 12 words per minute takes up to 50.
    let gates = 3 * HIDDEN * (WINDOW + HIDDEN) + HIDDEN;
    for (i, bias) in weights[gates..][..HIDDEN].iter_mut().enumerate() {
        *bias = 30f32.powf((i + 1) as f32 / HIDDEN as f32).ln();
    }
}

/// Trains a model, and returns its weights.
pub fn train(
    updates: u32,
    operator: &mut Operator,
    rng: &mut Xoshiro256PlusPlus,
    bar: &ProgressBar,
) -> Result<Vec<f32>, Failure> {
    let schedule = Cosine::new(5e-3, updates.into()).warmup(u64::from(updates) / 20);
    let mut trainer = Trainer::new(&MODEL, Adam::new(0.0), rng)?.rate(schedule).clip(1.0);
    prepare(trainer.weights_mut());
    let (mut known, mut mean) = (FIRST, 4.0);
    for _ in 0..updates {
        let lesson = Lesson::draw(operator, known);
        let loss = Loss::Ctc {
            targets: &lesson.targets,
            target_lengths: &lesson.target_lengths,
            blank: 0,
            zero_infinity: false,
        };
        let sequences = Sequences::new(lesson.steps, BATCH).lengths(&lesson.lengths);
        let loss = trainer.update(Batch { sequences, x: (&lesson.x).into(), loss }, rng)?.loss;
        mean += 0.1 * (f64::from(loss) - mean);
        if mean < LEARNT && known < LESSONS.len() {
            known += 1;
        }
        bar.set_message(format!("{known} characters, loss {mean:.3} for each"));
        bar.inc(1);
    }
    Ok(trainer.weights().to_vec())
}
