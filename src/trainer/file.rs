//! A training as bytes, from which it continues later exactly as if it had never stopped.
//!
//! All numbers are little-endian.
//!
//! | bytes | what it is |
//! |---|---|
//! | 8 | `RECTRAIN` |
//! | 2 * 4 | version: 2; CRC-32, as in zlib, of all that follows |
//! | 8 * 8 | updates made; kind of optimiser, its step; rows of a batch, shards; bytes of the image, moments `m`, elements of the states `s` |
//! | 7 * 8 | averaged updates, elements of the average `a`; elements of the best parameters `b`, their loss as the bits of an f32, the updates until then, validations since; attached bytes `c` |
//! | | the model, its weights, and the initial state if it is learned, as an [image] |
//! | m * 4 | the optimiser's moments, f32: layer by layer; for a dense layer first the matrix, then the bias |
//! | s * 4 | the states of the rows, shard by shard: f32 |
//! | a * 4 | the average of the parameters: f32 |
//! | b * 4 | the best parameters: f32 |
//! | c | bytes attached by the program |
//!
//! Settings (optimiser, clip, schedule, layers) are not saved: the program sets them again.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, fs, vec};

use super::{Kept, Optimiser, Trainer, zeros};
use crate::image::{self, Extras, Image};
use crate::model::Layer;

const MAGIC: [u8; 8] = *b"RECTRAIN";
const VERSION: u32 = 2;
/// Offset of the sizes.
const SIZES: usize = 16;
const COUNT: usize = 15;
const HEADER: usize = SIZES + 8 * COUNT;

fn damaged(what: impl Into<std::boxed::Box<dyn core::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

impl Trainer {
    /// Saves the training as bytes.
    ///
    /// # Errors
    /// If the model does not fit into an [image].
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let states = || self.shards.iter().flat_map(|shard| &shard.state);
        let (layers, initial_state) = (self.model().layers(), self.initial_state());
        let extras = Extras { initial_state, ..Extras::default() };
        let mut image = vec![0; image::len_with(layers, &extras)];
        image::write_with(layers, self.weights(), &extras, &mut image).map_err(Error::other)?;
        let sizes = [self.batch, self.shards.len(), image.len(), self.moments.len(), states().count()];
        let mut bytes = MAGIC.to_vec();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(
            [self.updates, self.optimiser.kind(), self.optimiser.step()]
                .into_iter()
                .flat_map(u64::to_le_bytes),
        );
        bytes.extend(sizes.iter().flat_map(|&n| (n as u64).to_le_bytes()));
        let Kept { averaged, average, loss, updates, since, best, .. } = &self.kept;
        let lengths = [average, best].map(|of| of.len() as u64);
        let attached = self.attached.len() as u64;
        let kept = [*averaged, lengths[0], lengths[1], u64::from(loss.to_bits()), *updates, *since, attached];
        bytes.extend(kept.into_iter().flat_map(u64::to_le_bytes));
        bytes.extend(image);
        let kept = average.iter().chain(best);
        bytes.extend(self.moments.iter().chain(states()).chain(kept).flat_map(|x| x.to_le_bytes()));
        bytes.extend(&self.attached);
        let checksum = image::crc(&bytes[SIZES..]);
        bytes[12..SIZES].copy_from_slice(&checksum.to_le_bytes());
        Ok(bytes)
    }

    /// Restores a training of the same model from the bytes of [`to_bytes`](Self::to_bytes).
    ///
    /// # Errors
    /// If the bytes are damaged, or belong to another model, optimiser or number of shards, or do not agree
    /// on a learned initial state. The error says which; nothing has changed then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(damaged("too short for a training"));
        };
        if header[..8] != MAGIC {
            return Err(damaged("not a training"));
        }
        if header[8..12] != VERSION.to_le_bytes() {
            return Err(damaged("a training whose version is not 2"));
        }
        if header[12..SIZES] != image::crc(&bytes[SIZES..]).to_le_bytes() {
            return Err(damaged("damaged: checksum mismatch"));
        }
        let numbers: [u64; COUNT] = core::array::from_fn(|i| {
            header[SIZES..].as_chunks().0.get(i).map_or(0, |n| u64::from_le_bytes(*n))
        });
        let [updates, kind, step, batch, shards, image, moments, states, kept @ ..] = numbers;
        let [averaged, average, best, best_loss, best_updates, since, attached] = kept;
        let (batch, shards) = (batch as usize, shards as usize);
        let floats_len = [moments, states, average, best].into_iter().fold(0, u64::saturating_add);
        let lengths = image.saturating_add(floats_len.saturating_mul(4)).saturating_add(attached);
        if lengths != body.len() as u64 {
            return Err(damaged("damaged: its sizes are impossible"));
        }
        let (image, floats_of) = body.split_at(image as usize);
        let image = Image::from_bytes(image).map_err(damaged)?;
        if let Some(why) = self.differs(&image) {
            return Err(damaged(why));
        }
        let learns = !self.initial_state().is_empty();
        if image.has_initial_state() != learns {
            let (theirs, ours) = if learns { ("no", "one") } else { ("a", "none") };
            return Err(damaged(format!(
                "a training with {theirs} learned initial state, but this trainer has {ours}; `Trainer::learn_initial_state` decides"
            )));
        }
        if kind != self.optimiser.kind() {
            let [theirs, ours] = [kind, self.optimiser.kind()].map(Optimiser::name_of);
            return Err(damaged(format!(
                "a training with a different optimiser: {theirs} in the file, {ours} here"
            )));
        }
        let state_len = self.model().state_len(1).saturating_mul(batch);
        if moments != self.moments.len() as u64 || states != state_len as u64 {
            return Err(damaged("damaged: its sizes are impossible"));
        }
        let (parameters, ours) = (self.parameters.len() as u64, self.kept.average.len() as u64);
        if average != ours {
            let (theirs, ours) = if ours > 0 { ("no", "one") } else { ("an", "none") };
            return Err(damaged(format!(
                "a training with {theirs} average of the weights, but this trainer has {ours}; `Trainer::average` decides"
            )));
        }
        if best != 0 && best != parameters {
            return Err(damaged("damaged: its sizes are impossible"));
        }
        // Before the first update there are no rows.
        let fresh = (batch, shards) == (0, 0);
        if !fresh && shards != self.shards_of(batch) {
            let here = self.shards_of(batch);
            return Err(damaged(format!(
                "a training with {shards} shards of {batch} rows, but this trainer has {here}; `Trainer::shards` sets it"
            )));
        }
        let (floats_of, attached) = floats_of.split_at(4 * floats_len as usize);
        let (moments, floats_of) = floats_of.split_at(4 * moments as usize);
        let (states, floats_of) = floats_of.split_at(4 * states as usize);
        let (average, best) = floats_of.split_at(4 * average as usize);
        let mut parameters = zeros("weights", self.parameters.len()).map_err(Error::other)?;
        let (weights, initial_state) = parameters.split_at_mut(self.model().weights_len());
        image.copy_weights(weights).map_err(damaged)?;
        if learns {
            image.copy_initial_state(initial_state).map_err(damaged)?;
        }

        let shards = if fresh { Vec::new() } else { self.new_shards(batch).map_err(Error::other)? };
        (self.shards, self.batch) = (shards, batch);
        self.parameters = parameters;
        self.moments.iter_mut().zip(floats(moments)).for_each(|(to, x)| *to = x);
        let to = self.shards.iter_mut().flat_map(|shard| &mut shard.state);
        to.zip(floats(states)).for_each(|(to, x)| *to = x);
        if !self.stateful {
            self.reset();
        }
        let average = floats(average).collect();
        let (loss, best) = (f32::from_bits(best_loss as u32), floats(best).collect());
        let (decay, stopping) = (self.kept.decay, self.kept.stopping);
        self.kept = Kept { decay, averaged, average, stopping, loss, updates: best_updates, since, best };
        self.attached = attached.into();
        self.skipped = 0;
        self.updates = updates;
        self.optimiser.set_step(step);
        Ok(())
    }

    /// Describes how the model of a saved training differs from this one; `None` if it does not.
    fn differs(&self, image: &Image<'_>) -> Option<String> {
        let ours = self.model().layers();
        // An image does not store instruction sets, so compare layers without them.
        if image.same_layers(ours) {
            return None;
        }
        let list = |show: fn(&Layer) -> String| {
            let theirs: Vec<_> = image.layers().map(|layer| show(&layer)).collect();
            let here: Vec<_> = ours.iter().map(show).collect();
            [theirs, here].map(|layers| layers.join(" | "))
        };
        let mut lists = list(Layer::to_string);
        if lists[0] == lists[1] {
            // The layers differ only in their options.
            lists = list(|layer| format!("{layer:?}"));
        }
        let [theirs, here] = lists;
        Some(format!("a training of a different model: [{theirs}] in the file, [{here}] here"))
    }

    /// Writes [`to_bytes`](Self::to_bytes) to a file. It writes a temporary file first, so that a failure
    /// leaves the old file intact.
    ///
    /// # Errors
    /// The file system's, and those of [`to_bytes`](Self::to_bytes).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let mut beside = std::ffi::OsString::from(path);
        beside.push(".new");
        fs::write(&beside, self.to_bytes()?)?;
        fs::rename(&beside, path)
    }

    /// Restores a training of the same model that was [saved](Self::save).
    ///
    /// # Errors
    /// The file system's, and those of [`restore`](Self::restore).
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.restore(&fs::read(path)?)
    }
}
