//! A tagging task that needs the future: compares one direction with two.
//!
//! ```sh
//! cargo run --release --example bidirectional
//! ```
//!
//! Every bracket of a text is to be tagged: does it have a partner or not? For a closing bracket the answer
//! is to its left, for an opening one to its right. A layer that reads in one direction sees half of what it
//! needs. A layer with two directions, and the same number of weights in total, sees everything.

mod common;

use clap::Parser;
use common::plot::Chart;
use common::{Common, Failure, conclude};
use indicatif::ProgressBar;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::Rng;
use recurrent::prelude::*;

/// Tags brackets that have no partner, with three GRUs: one reads forwards, one backwards, and one in both
/// directions.
///
/// The last line on standard output is `forwards PART backwards PART both PART`: the share of brackets in new
/// texts that get the right tag.
#[derive(Parser)]
struct Options {
    /// Characters of a text
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    length: u16,
    /// Updates for each model
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    iters: u32,
    #[command(flatten)]
    common: Common,
}

/// The characters, indexed by their ids, and a mark for each tag.
const CHARACTERS: [char; 3] = ['a', '(', ')'];
const TAGS: [char; 3] = [' ', '+', '!'];
const PLAIN: u32 = 0;
const OPEN: u32 = 1;
const CLOSE: u32 = 2;
const NONE: u32 = 0;
const PARTNER: u32 = 1;
const LONELY: u32 = 2;

const WIDTH: usize = 8;
const BATCH: usize = 32;
/// Number of texts for testing, which are not trained on.
const TEST: usize = 400;
/// Updates between two points of the plot.
const POINT: u32 = 20;

/// Texts and their tags, `[T, B]`.
struct Texts {
    batch: usize,
    ids: Vec<u32>,
    tags: Vec<u32>,
}

impl Texts {
    fn draw(length: usize, batch: usize, rng: &mut Xoshiro256PlusPlus) -> Self {
        let ids: Vec<u32> = (0..length * batch)
            .map(|_| match rng.next_u32() % 10 {
                0..4 => PLAIN,
                4..7 => OPEN,
                _ => CLOSE,
            })
            .collect();
        let mut tags = vec![NONE; ids.len()];
        for b in 0..batch {
            let mut open = Vec::new();
            for i in (b..ids.len()).step_by(batch) {
                match ids[i] {
                    OPEN => {
                        tags[i] = LONELY;
                        open.push(i);
                    }
                    CLOSE => match open.pop() {
                        Some(partner) => (tags[i], tags[partner]) = (PARTNER, PARTNER),
                        None => tags[i] = LONELY,
                    },
                    _ => {}
                }
            }
        }
        Texts { batch, ids, tags }
    }

    fn sequences(&self) -> Sequences<'static> {
        Sequences::new(self.ids.len() / self.batch, self.batch)
    }

    /// The share of these characters whose tag is right.
    fn right(&self, tags: &[u32], characters: &[u32]) -> f64 {
        let all = self.ids.iter().zip(self.tags.iter().zip(tags)).filter(|(id, _)| characters.contains(id));
        let (right, count) = all.fold((0, 0), |(r, n), (_, (a, b))| (r + u32::from(a == b), n + 1));
        f64::from(right) / f64::from(count.max(1))
    }

    /// The first text, or its tags, as characters.
    fn first(&self, of: &[u32], as_characters: [char; 3]) -> String {
        of.iter().step_by(self.batch).map(|&i| as_characters[i as usize]).collect()
    }
}

fn tag(trainer: &Trainer, texts: &Texts) -> Result<Vec<u32>, Failure> {
    let mut predictor = trainer.predictor()?;
    let logits = predictor.forward(texts.sequences(), &texts.ids)?;
    logits.chunks(TAGS.len()).map(|logits| Ok(argmax(logits)? as u32)).collect()
}

/// Trains a model. Returns it, and the share of right brackets during training.
fn train(
    options: &Options,
    recurrent: Stack<recurrent::GruCell>,
    test: &Texts,
    bar: &ProgressBar,
) -> Result<(Trainer, Vec<(f64, f64)>), Failure> {
    let model = Model::new([
        Layer::embedding(CHARACTERS.len(), WIDTH),
        Layer::Gru(recurrent),
        Layer::dense(recurrent.output(), TAGS.len()),
    ]);
    let schedule = Cosine::new(1e-2, u64::from(options.iters));
    let mut rng = options.common.rng(1);
    let mut trainer = Trainer::new(&model, Adam::new(0.0), &mut rng)?.rate(schedule).clip(1.0);
    let mut points = Vec::new();
    for i in 0..options.iters {
        if i % POINT == 0 {
            points.push((f64::from(i), 100.0 * test.right(&tag(&trainer, test)?, &[OPEN, CLOSE])));
        }
        let texts = Texts::draw(options.length.into(), BATCH, &mut rng);
        let loss = Loss::classes(&texts.tags);
        trainer.update(Batch { sequences: texts.sequences(), x: (&texts.ids).into(), loss }, &mut rng)?;
        bar.inc(1);
    }
    Ok((trainer, points))
}

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let common = &options.common;
    let test = Texts::draw(options.length.into(), TEST, &mut common.rng(2));
    let models = [
        ("forwards", Stack::new(Gru::new(WIDTH, 48))),
        ("backwards", Stack::new(Gru::new(WIDTH, 48).reverse())),
        ("both", Stack::new(Gru::new(WIDTH, 32)).bidirectional(Merge::Concat)),
    ];
    let bar = common.progress(models.len() * options.iters as usize)?;
    let mut chart =
        Chart::new("Brackets that get the right tag", "update", "brackets (%)").limits(40.0, 102.0);
    common.say("                       right tags of");
    common.say("            weights      (      )   both");
    let (mut tagged, mut last) = (Vec::new(), Vec::new());
    for (name, recurrent) in models {
        bar.set_message(name);
        let (trainer, points) = train(&options, recurrent, &test, &bar)?;
        chart = chart.line(name, points);
        let tags = tag(&trainer, &test)?;
        let right = [&[OPEN][..], &[CLOSE], &[OPEN, CLOSE]].map(|of| test.right(&tags, of));
        let [open, close, all] = right.map(|part| format!("{:5.1}%", 100.0 * part));
        let weights = trainer.weights().len();
        bar.suspend(|| common.say(format_args!("{name:10} {weights:8} {open} {close} {all}")));
        tagged.push((name, tags));
        last.push(format!("{name} {:.3}", right[2]));
    }
    bar.finish_and_clear();

    common.say("\na text that was not trained on: + has a partner, ! has none\n");
    common.say(format_args!("{:12}{}", "", test.first(&test.ids, CHARACTERS)));
    common.say(format_args!("{:12}{}", "truth", test.first(&test.tags, TAGS)));
    for (name, tags) in &tagged {
        common.say(format_args!("{name:12}{}", test.first(tags, TAGS)));
    }
    common.say("");
    common.plot(1, &[&chart])?;
    conclude(last.join(" "));
    Ok(())
}
