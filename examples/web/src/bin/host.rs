//! Runs the page's training on the host with the scalar instruction set. The page must get the same bits.
//!
//! ```text
//! host train TEXT EMBEDDING HIDDEN LAYERS BATCH STEPS SEED RATE UPDATES
//!     trains, and prints the checksum of the weights, and characters per second of the scalar set and of the
//!     best set
//! host weights FILE
//!     prints the checksum of the weights of an image
//! ```

use std::error::Error;
use std::fs;
use std::time::Instant;

use recurrent::Isa;
use recurrent::image::Image;
use web::session::Session;
use web::session::checksum;
use web::shape::Shape;
use web::training::{Training, Window};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A model that is trained on a text.
struct Setting {
    shape: Shape,
    window: Window,
    seed: u64,
    rate: f32,
    updates: usize,
    vocabulary: Vec<u32>,
    text: Vec<u32>,
}

impl Setting {
    fn of(arguments: &[String]) -> Outcome<Self> {
        let [file, embedding, hidden, layers, batch, steps, seed, rate, updates] = arguments else {
            return Err("train takes nine arguments".into());
        };
        let chars: Vec<char> = fs::read_to_string(file)?.chars().collect();
        let mut vocabulary: Vec<u32> = chars.iter().map(|&c| c.into()).collect();
        vocabulary.sort_unstable();
        vocabulary.dedup();
        let id = |c: &char| vocabulary.partition_point(|&known| known < u32::from(*c)) as u32;
        let text = chars.iter().map(id).collect();
        let (embedding, hidden, layers) = (embedding.parse()?, hidden.parse()?, layers.parse()?);
        let shape = Shape { vocabulary: vocabulary.len(), embedding, hidden, layers };
        let window = Window { batch: batch.parse()?, steps: steps.parse()? };
        let (seed, rate, updates) = (seed.parse()?, rate.parse()?, updates.parse()?);
        Ok(Setting { shape, window, seed, rate, updates, vocabulary, text })
    }

    /// Trains on an instruction set; `update` makes one update. Returns the weights, and characters per
    /// second.
    fn train(
        &self,
        isa: Isa,
        mut update: impl FnMut(&mut Session<'_>, f32) -> Outcome<()>,
    ) -> Outcome<(Vec<f32>, f64)> {
        let mut room = vec![0.0; Session::room(self.shape)];
        let mut session = Session::new(self.shape, Some(isa), &self.vocabulary, &mut room);
        session.seed(self.seed);
        session.init()?;
        let Window { batch, steps } = self.window;
        let network = *session.network();
        let mut room = vec![0.0; Training::room(&network, self.window)];
        let mut ids = vec![0; 2 * batch * steps];
        session.set_training(Training::new(&network, self.window, &self.text, &mut room, &mut ids));
        let started = Instant::now();
        for _ in 0..self.updates {
            update(&mut session, self.rate)?;
        }
        let rate = (self.updates * batch * steps) as f64 / started.elapsed().as_secs_f64();
        Ok((session.weights().to_vec(), rate))
    }
}

/// Adam, written with separately rounded products and sums, as in WebAssembly. `recurrent::train::Adam` uses
/// the vectors of this CPU, whose fused multiply-adds round once.
fn adam(weights: &mut [f32], training: &mut Training<'_>, rate: f32, scale: f32, step: i32) {
    let [beta1, beta2, eps] = [training.adam.beta1, training.adam.beta2, training.adam.eps];
    let [first, second] = [beta1, beta2].map(f64::from);
    let gains = [(1.0 - first) as f32, (1.0 - second) as f32];
    let rate = (f64::from(rate) / (1.0 - first.powi(step))) as f32;
    let root = (1.0 / (1.0 - second.powi(step)).sqrt()) as f32;
    let (m, v) = training.moments.split_at_mut(weights.len());
    for (((w, &g), m), v) in weights.iter_mut().zip(&*training.grads).zip(m).zip(v) {
        let g = g * scale;
        *m += gains[0] * (g - *m);
        *v = gains[1] * g * g + beta2 * *v;
        *w -= rate * (*m / (root * v.sqrt() + eps));
    }
}

fn train(arguments: &[String]) -> Outcome<()> {
    let setting = Setting::of(arguments)?;
    let mut step = 0;
    let (weights, scalar) = setting.train(Isa::SCALAR, |session, rate| {
        let (network, weights, training) = session.parts();
        let training = training.ok_or("no training")?;
        let update = training.gradients(network, weights)?;
        step += 1;
        adam(weights, training, rate, update.scale.ok_or("the training diverged")?, step);
        Ok(())
    })?;
    let best = Isa::detect();
    let (_, fastest) = setting.train(best, |session, rate| Ok(session.update(rate).map(drop)?))?;
    println!("checksum {:016x}", checksum(&weights));
    println!("scalar {scalar:.0}");
    println!("{} {fastest:.0}", best.name());
    Ok(())
}

fn weights(file: &str) -> Outcome<()> {
    let bytes = fs::read(file)?;
    let image = Image::from_bytes(&bytes)?;
    let mut weights = vec![0.0; image.weights_len()];
    image.copy_weights(&mut weights)?;
    println!("checksum {:016x}", checksum(&weights));
    Ok(())
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, rest)) if command == "train" => train(rest),
        Some((command, [file])) if command == "weights" => weights(file),
        _ => {
            Err("host train TEXT EMBEDDING HIDDEN LAYERS BATCH STEPS SEED RATE UPDATES, or host weights FILE"
                .into())
        }
    }
}
