//! Updates, progress, and checkpoints.

use std::time::{Duration, Instant};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use recurrent::model::{Layer, Loss, Model};
use recurrent::train::Adam;
use recurrent::trainer::{Batch, Distributed, Trainer};
use recurrent::{Error, Lstm, Sequences, Stack};

use crate::Failure;
use crate::checkpoint;
use crate::cli::{Options, Settings};
use crate::corpus::{Corpus, FNV, Streams, fnv1a};
use crate::ranks::Ranks;
use crate::watch::Doing;

/// The random generator of update number `update`. It is the same on all ranks, and never has to be saved.
fn rng(seed: u64, update: u64) -> Xoshiro256PlusPlus {
    // An odd factor (the golden ratio) moves neighbouring numbers far apart.
    Xoshiro256PlusPlus::seed_from_u64(seed ^ update.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A trainer before its first update.
fn trainer(settings: &Settings) -> recurrent::Result<Trainer> {
    /// Characters are bytes.
    const CHARACTERS: usize = 256;
    let [embedding, hidden, layers, shards] =
        [settings.embedding, settings.hidden, settings.layers, settings.shards].map(|n| n as usize);
    let model = Model::checked([
        Layer::embedding(CHARACTERS, embedding),
        Layer::Dropout(settings.dropout),
        Stack::new(Lstm::new(embedding, hidden)).layers(layers).into(),
        Layer::Dropout(settings.dropout),
        Layer::dense(hidden, CHARACTERS),
    ])?;
    let trainer = Trainer::new(&model, Adam::new(settings.lr), &mut rng(settings.seed, 0))?;
    Ok(trainer.clip(settings.clip).shards(shards).stateful())
}

/// The streams of this rank. It also reads those of a neighbour, to check that both ranks have the same text.
fn streams(ranks: &Ranks, corpus: &Corpus, settings: &Settings) -> Result<Streams, Failure> {
    let (batch, steps) = (settings.batch as usize, settings.steps as usize);
    let rows = batch / ranks.size;
    // Compare the sizes first: they determine where the streams begin.
    let len = corpus.len();
    let first = ranks.gather(&[len])[0];
    let same = if len == first {
        Ok(())
    } else {
        Err(format!("the corpus has {len} bytes, and that of rank 0 has {first}"))
    };
    ranks.agree(same)?;
    let of = |rank: usize| corpus.streams(rank * rows..(rank + 1) * rows, batch, steps);
    ranks.doing(Doing::Waiting("its files"));
    let neighbour = ranks.rank ^ 1;
    let own = if ranks.size == 1 {
        of(0).map(|own| (own, 0))
    } else {
        of(ranks.rank).and_then(|own| Ok((own, of(neighbour)?.checksum)))
    };
    let (own, seen) = ranks.agree(own)?;
    let all = ranks.gather(&[own.checksum]);
    let differs = ranks.size > 1 && all[neighbour] != seen;
    ranks.agree(if differs {
        Err(format!("the corpus differs from that of rank {neighbour}"))
    } else {
        Ok(())
    })?;
    Ok(own)
}

/// Runs all updates.
pub fn train<'a>(ranks: &'a mut Ranks, options: &'a Options) -> Result<(), Failure> {
    let settings = &options.settings;
    if !ranks.size.is_power_of_two() || ranks.size > settings.shards as usize {
        let (size, shards) = (ranks.size, settings.shards);
        return ranks.agree(Err(format!(
            "{size} ranks with --shards {shards}: the number of ranks must be a power of two, and at most \
             the number of shards"
        )));
    }
    let corpus = ranks.agree(Corpus::open(&options.corpus))?;
    let streams = streams(ranks, &corpus, settings)?;
    let identity =
        [corpus.len(), ranks.gather(&[streams.checksum]).iter().fold(0, |sum, x| sum.wrapping_add(*x))];

    // Only rank 0 must have access to the checkpoint.
    let mut trainer = ranks.agree(trainer(settings).map_err(|e| e.to_string()))?;
    ranks.doing(Doing::Waiting("the checkpoint"));
    let path = options.checkpoint.as_ref().filter(|_| ranks.rank == 0);
    let found = ranks.agree(path.map_or(Ok(None), |path| checkpoint::load(path)))?;
    let mut bytes = found.unwrap_or_default();
    ranks.broadcast(&mut bytes);
    let restored =
        if bytes.is_empty() { Ok(0) } else { checkpoint::restore(&bytes, settings, identity, &mut trainer) };
    let position = ranks.agree(restored.map_err(|e| format!("the checkpoint: {e}")))?;
    drop(bytes);

    let (rank, size) = (ranks.rank, ranks.size);
    if rank == 0 {
        let (done, weights) = (trainer.updates(), trainer.weights().len());
        let [parameters, batch, steps] = [weights, settings.batch as usize, settings.steps as usize];
        println!(
            "{size} ranks, {parameters} parameters, {batch} streams of {steps} characters; {done} updates are made"
        );
    }
    let distributed = Distributed::new(trainer, ranks).map_err(Failure::new)?;
    Training { options, streams, identity, position, distributed }.run()
}

struct Training<'a> {
    options: &'a Options,
    streams: Streams,
    identity: checkpoint::Identity,
    position: u64,
    distributed: Distributed<&'a mut Ranks>,
}

impl Training<'_> {
    fn run(mut self) -> Result<(), Failure> {
        let Options { updates, every, progress, .. } = *self.options;
        let rank = self.distributed.communicator().rank;
        let (started, first) = (Instant::now(), self.distributed.trainer().updates());
        let (mut loss, mut saving) = (f32::NAN, Duration::ZERO);
        let mut losses = (0.0, 0u32);
        self.distributed.communicator().exchanged = Duration::ZERO;
        let speed = |done: u64, saving: Duration, exchanged: Duration| {
            let updates = (done - first).max(1) as f64;
            let seconds = (started.elapsed() - saving).as_secs_f64();
            let exchange = exchanged.as_secs_f64() / updates * 1e3;
            format!("updates_per_s {:.3} exchange_ms {exchange:.3}", updates / seconds)
        };
        while self.distributed.trainer().updates() < updates {
            loss = self.update()?;
            let done = self.distributed.trainer().updates();
            losses = (losses.0 + loss, losses.1 + 1);
            let before = self.distributed.communicator().exchanged;
            if rank == 0 && done.is_multiple_of(progress) {
                let loss = losses.0 / losses.1 as f32;
                println!("update {done} loss {loss:.4} {}", speed(done, saving, before));
                losses = (0.0, 0);
            }
            if done.is_multiple_of(every) || done == updates {
                let now = Instant::now();
                self.save()?;
                saving += now.elapsed();
                self.distributed.communicator().exchanged = before;
            }
        }
        if rank == 0 {
            let exchanged = self.distributed.communicator().exchanged;
            let trainer = self.distributed.trainer();
            let hash = trainer.weights().iter().fold(FNV, |hash, x| fnv1a(hash, &x.to_le_bytes()));
            let speed = speed(trainer.updates(), saving, exchanged);
            println!("updates {} loss {loss:.6} {speed} weights {hash:016x}", trainer.updates());
        }
        Ok(())
    }

    /// One update, over the next window of all streams. When the text starts again, states are reset.
    fn update(&mut self) -> Result<f32, Failure> {
        let Settings { batch, steps, seed, .. } = self.options.settings;
        let (steps, rows) = (steps as usize, self.distributed.rows(batch as usize).len());
        if self.position as usize + steps > self.streams.len {
            self.position = 0;
            self.distributed.reset();
        }
        let (mut x, mut targets) = (vec![0; rows * steps], vec![0; rows * steps]);
        self.streams.window(self.position as usize, steps, &mut x, &mut targets);
        let sequences = Sequences::new(steps, rows).batch_major();
        let batch = Batch { sequences, x: (&x).into(), loss: Loss::classes(&targets) };
        let next = self.distributed.trainer().updates() + 1;
        let update = self.distributed.update(batch, &mut rng(seed, next));
        let rank = self.distributed.communicator().rank;
        let update = update.map_err(|e| match e {
            // The failed rank prints its own error; an error that all ranks have in common is printed by rank
            // 0.
            Error::Communication { what } if rank > 0 || what.starts_with("another rank") => Failure::told(),
            e => Failure::new(format!("update {next} on rank {rank}: {e}")),
        })?;
        if update.norm.is_none() {
            let why = format!(
                "the training diverged at update {next} (loss {}): a smaller --lr or --clip may help",
                update.loss
            );
            return Err(if rank == 0 { Failure::new(why) } else { Failure::told() });
        }
        self.position += steps as u64;
        self.distributed.communicator().at_update(update.updates);
        Ok(update.loss)
    }

    /// Rank 0 writes the training of all ranks. If it cannot, all ranks end.
    fn save(&mut self) -> Result<(), Failure> {
        let Some(path) = &self.options.checkpoint else { return Ok(()) };
        let whole = self.distributed.whole().map_err(Failure::new)?;
        let ranks = self.distributed.communicator();
        ranks.doing(Doing::Waiting("the checkpoint"));
        let saved = if ranks.rank > 0 {
            Ok(())
        } else if !whole.is_finite() {
            Err("the training diverged, so that it is not saved: a smaller --lr may help".into())
        } else {
            checkpoint::to_bytes(&self.options.settings, self.position, self.identity, &whole)
                .map_err(|e| e.to_string())
                .and_then(|bytes| checkpoint::save(path, &bytes))
        };
        ranks.agree(saved)
    }
}
