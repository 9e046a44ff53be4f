#[path = "../common/mod.rs"]
mod common;
mod data;
use clap::Parser;
use common::learner::Learner;
use common::{Common, Failure, conclude};
use data::*;
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::AdamW;
use recurrent::{Gru, Lstm, Merge, Pool, Stack, binary_cross_entropy};
#[derive(Parser)]
struct Options {
    #[arg(long, num_args=1..)]
    data: Vec<std::path::PathBuf>,
    #[command(flatten)]
    common: Common,
}
fn env(n: &str, d: f32) -> f32 {
    std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d)
}
fn acc(l: &[f32], t: &[f32]) -> f64 {
    l.iter().zip(t).filter(|(l, t)| (**l > 0.0) == (**t > 0.5)).count() as f64 / t.len() as f64
}
fn main() -> std::result::Result<(), Failure> {
    let o = Options::parse();
    let mut all = Vec::new();
    for f in &o.data {
        all.extend(read(f)?);
    }
    all.retain(|s| !s.words.is_empty());
    let mut rng = o.common.rng(0);
    shuffle(&mut all, &mut rng);
    let n = all.len() / 5;
    let (test, train) = all.split_at(n);
    let (val, train) = train.split_at(train.len() / env("VAL", 10.0) as usize);
    let vocab = Vocabulary::new(train);
    let (e, h) = (env("E", 32.0) as usize, env("H", 32.0) as usize);
    let p = env("P", 0.5);
    let pool = [Pool::Last, Pool::Mean, Pool::Max][env("POOL", 1.0) as usize];
    let rec = if env("CELL", 0.0) == 0.0 {
        Layer::Gru(Stack::new(Gru::new(e, h)).bidirectional(Merge::Concat))
    } else {
        Layer::Lstm(Stack::new(Lstm::new(e, h)).bidirectional(Merge::Concat))
    };
    let model = Model::checked([
        Layer::embedding(vocab.len(), e),
        Layer::Dropout(p),
        rec,
        Layer::Pool(pool),
        Layer::Dropout(p),
        Layer::dense(2 * h, 1),
    ])?;
    let mut adam = AdamW::new(env("LR", 3e-3));
    adam.weight_decay = env("WD", 0.01);
    let mut l = Learner::new(model, adam, o.common.rng(1))?;
    let es = env("ES", 0.1);
    l.weights[..vocab.len() * e].iter_mut().for_each(|w| *w *= es);
    let (vb, tb) = (Batch::new(val, &vocab), Batch::new(test, &vocab));
    let mut train = train.to_vec();
    let mut ema = l.weights.clone();
    let mut rng2 = o.common.rng(2);
    let wd = env("WDROP", 0.1);
    let mut best = (f64::MAX, 0.0, 0);
    let start = std::time::Instant::now();
    for epoch in 0..env("EP", 30.0) as usize {
        shuffle(&mut train, &mut rng2);
        let mut sum = 0.0;
        for part in train.chunks(env("B", 32.0) as usize) {
            let mut b = Batch::new(part, &vocab);
            for id in &mut b.ids {
                use rand_xoshiro::rand_core::Rng;
                if (rng2.next_u32() as f32 / u32::MAX as f32) < wd {
                    *id = 0;
                }
            }
            sum += l.update(b.sequences(), &b.ids, Loss::BinaryCrossEntropy { targets: &b.targets })?;
            let d = env("EMA", 0.98);
            ema.iter_mut().zip(&l.weights).for_each(|(e, w)| *e = d * *e + (1.0 - d) * w);
        }
        std::mem::swap(&mut ema, &mut l.weights);
        let vl = l.outputs(vb.sequences(), &vb.ids)?;
        let tl = l.outputs(tb.sequences(), &tb.ids)?;
        std::mem::swap(&mut ema, &mut l.weights);
        let vloss = f64::from(binary_cross_entropy(&vl, &vb.targets, None)?);
        let (va, ta) = (acc(&vl, &vb.targets), acc(&tl, &tb.targets));
        if vloss < best.0 {
            best = (vloss, ta, epoch);
        }
        o.common.say(format_args!(
            "{epoch} {:.3} val {vloss:.3} {va:.3} test {ta:.3}",
            sum / (train.len() as f32 / 32.0)
        ));
    }
    conclude(format_args!("{:.4} at {} {:.1}s", best.1, best.2, start.elapsed().as_secs_f32()));
    Ok(())
}
