//! Recurrent layers on top of each other: buffer lengths, and how the flat buffers are split.

use super::description::Description;
use super::merge::Merge;
use super::ready::Ready;
use crate::error::Result;
use crate::kernel::Walk;
use crate::kernel::canonical::{Shape, Vectors};
use crate::kernel::narrow::{IN_PLACE, check_packs};
use crate::kernel::view::ColumnsMut;
use crate::layer::buffer::{add, max, mul, take, take_mut};
use crate::layer::packed::{Fingerprint, HOLDS_PACKING, Owner, Packed, Source, WeightSource, packed_len};
use crate::layer::sequences::Sequences;
use crate::seq::form::Passes;

/// Layers with one description, each over the output of the one below, in one direction or in both. A single
/// layer is one level.
///
/// Weights, states, factors and tapes are stored level by level. In each level the reverse direction follows
/// the forward one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Levels {
    pub(crate) first: Description,
    pub(crate) depth: usize,
    pub(crate) both: Option<Merge>,
    // Values that every step needs, computed once. All but `weights` are zero, and nothing is ready, without
    // `HOLDS_PACKING`.
    weights: usize,
    panels: usize,
    /// Length of the state and of the scratch for a step of one row.
    row: (usize, usize),
    /// The step of one row of the first level.
    pub(super) ready: Ready,
    fingerprint: Fingerprint,
}

impl Levels {
    pub(crate) const fn new(first: Description, depth: usize, both: Option<Merge>) -> Self {
        let depth = if depth == 0 { 1 } else { depth };
        let fingerprint = Fingerprint::NONE;
        let ready = Ready::new(&first);
        let mut levels =
            Levels { first, depth, both, weights: 0, panels: 0, row: (0, 0), ready, fingerprint };
        levels.weights = levels.total(first.weights_len(), levels.shape(1).len());
        if HOLDS_PACKING {
            levels.panels = levels.all_panels_len();
            levels.row = (levels.state_len(1), levels.scratch_len(1, 1));
            levels.fingerprint = levels.new_fingerprint();
        }
        levels
    }

    const fn all_panels_len(&self) -> usize {
        self.total(self.first.panels_len(), self.level(1).panels_len())
    }

    const fn new_fingerprint(&self) -> Fingerprint {
        let merge = match self.both {
            None => 0,
            Some(Merge::Concat) => 1,
            Some(Merge::Sum) => 2,
        };
        self.first.fingerprint().and(self.depth).and(merge)
    }

    /// Sets the passes of the layers.
    pub(crate) const fn set_passes(&mut self, passes: Passes) {
        self.first.passes = passes;
        self.ready = Ready::new(&self.first);
    }

    /// A single layer in its own direction.
    pub(crate) const fn single(layer: Description) -> Self {
        Levels::new(layer, 1, None)
    }

    /// The number of directions: 1 or 2.
    pub(crate) const fn directions(&self) -> usize {
        if self.both.is_some() { 2 } else { 1 }
    }

    pub(crate) const fn input(&self) -> usize {
        self.first.shape.input
    }

    /// Number of output features of each level.
    pub(crate) const fn output(&self) -> usize {
        match self.both {
            Some(Merge::Concat) => mul(self.first.width(), 2),
            _ => self.first.width(),
        }
    }

    /// The layer at a level. Its direction is that of the description.
    pub(crate) const fn level(&self, index: usize) -> Description {
        Description { shape: self.shape(index), ..self.first }
    }

    pub(super) const fn shape(&self, index: usize) -> Shape {
        match index {
            0 => self.first.shape,
            _ => Shape { input: self.output(), ..self.first.shape },
        }
    }

    /// The sum of a length over all levels and directions: `first` for the first level, `other` for each
    /// other level.
    pub(super) const fn total(&self, first: usize, other: usize) -> usize {
        mul(self.directions(), add(first, mul(self.depth - 1, other)))
    }

    pub(crate) const fn weights_len(&self) -> usize {
        self.weights
    }

    /// Length of packed weights, without alignment.
    pub(crate) const fn panels_len(&self) -> usize {
        if HOLDS_PACKING { self.panels } else { self.all_panels_len() }
    }

    pub(crate) const fn packed_len(&self) -> usize {
        packed_len(self.panels_len())
    }

    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        if HOLDS_PACKING { self.fingerprint } else { self.new_fingerprint() }
    }

    pub(crate) const fn state_len(&self, batch: usize) -> usize {
        let state = self.first.state_len(batch);
        self.total(state, state)
    }

    pub(crate) const fn recurrent_dropout_len(&self, batch: usize) -> usize {
        let factors = mul(batch, self.first.width());
        self.total(factors, factors)
    }

    /// The same; 0 for layers without recurrent dropout.
    pub(crate) const fn drawn_len(&self, batch: usize) -> usize {
        if self.first.recurrent_dropout { self.recurrent_dropout_len(batch) } else { 0 }
    }

    pub(crate) const fn layer_dropout_len(&self, steps: usize, batch: usize) -> usize {
        mul(self.depth - 1, self.sequence_len(steps, batch))
    }

    /// Whether outputs depend only on past inputs, so that steps can be run one by one.
    pub(crate) const fn is_causal(&self) -> bool {
        self.both.is_none() && !self.first.reverse
    }

    pub(crate) const fn tape_len(&self, steps: usize, batch: usize) -> usize {
        add(self.passes_len(steps, batch), self.outputs_len(steps, batch))
    }

    /// Length of the tapes of all levels and directions.
    pub(super) const fn passes_len(&self, steps: usize, batch: usize) -> usize {
        let tape = self.first.tape_len(steps, batch);
        self.total(tape, tape)
    }

    /// Length of the outputs that the tape keeps for the backward pass, besides those of the last level. If
    /// directions are summed, both parts are kept.
    const fn outputs_len(&self, steps: usize, batch: usize) -> usize {
        let output = self.sequence_len(steps, batch);
        match self.both {
            Some(Merge::Sum) => mul(mul(output, 2), self.depth),
            _ => mul(output, self.depth - 1),
        }
    }

    /// Length of a level's output.
    pub(crate) const fn sequence_len(&self, steps: usize, batch: usize) -> usize {
        mul(mul(steps, batch), self.output())
    }

    pub(crate) const fn scratch_len(&self, steps: usize, batch: usize) -> usize {
        self.with_outputs(self.first.scratch_len(steps, batch), steps, batch)
    }

    /// The same for `threads` threads.
    pub(crate) const fn scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        if threads < 2 {
            return self.scratch_len(steps, batch);
        }
        match (self.parts(threads, steps, batch), self.unit_parts(threads)) {
            #[cfg(not(target_os = "none"))]
            (1, 1) => max(self.scratch_len(steps, batch), self.overlap_len(threads, steps, batch)),
            #[cfg(target_os = "none")]
            (1, 1) => self.scratch_len(steps, batch),
            (rows, units) => {
                let rows = self.first.cut_scratch_len((rows, 1), steps, batch);
                let units = self.first.cut_scratch_len((1, units), steps, batch);
                self.with_outputs(max(rows, units), steps, batch)
            }
        }
    }

    /// Scratch: `own` for each direction, and the outputs between levels.
    const fn with_outputs(&self, own: usize, steps: usize, batch: usize) -> usize {
        let between = if self.depth > 1 { 2 } else { 0 };
        let parts = if let Some(Merge::Sum) = self.both { 1 } else { 0 };
        add(mul(self.directions(), own), mul(self.sequence_len(steps, batch), between + parts))
    }

    /// Whether these are known to be the buffer lengths of a step of one row. Usually they are: no others are
    /// computed.
    #[inline(always)]
    pub(super) const fn is_row(&self, x: usize, state: usize, scratch: usize) -> bool {
        HOLDS_PACKING && x == self.input() && state == self.row.0 && scratch >= self.row.1
    }

    pub(crate) const fn train_scratch_len(&self, steps: usize, batch: usize) -> usize {
        self.train_scratch_len_with(1, steps, batch)
    }

    /// The same for `threads` threads.
    pub(crate) const fn train_scratch_len_with(&self, threads: usize, steps: usize, batch: usize) -> usize {
        let own = mul(self.directions(), self.train_scratch(self.parts(threads, steps, batch), batch));
        let between = if self.depth > 1 { 3 } else { 0 };
        add(own, mul(self.sequence_len(steps, batch), between))
    }

    /// Scratch of one direction of any level in training, with batch rows split into `parts` parts.
    pub(super) const fn train_scratch(&self, parts: usize, batch: usize) -> usize {
        let last = self.level(self.depth - 1);
        max(self.first.parts_train_scratch_len(parts, batch), last.parts_train_scratch_len(parts, batch))
    }

    #[inline(always)]
    fn owner(&self) -> Owner {
        Owner {
            what: "layer",
            fingerprint: self.fingerprint(),
            weights: self.weights,
            panels: self.panels_len(),
            pinned: self.first.isa,
            narrow: self.first.format().is_some(),
            words: if IN_PLACE && self.first.format().is_some() { Some(self.words_len()) } else { None },
        }
    }

    /// Rejects weights of another layer.
    #[inline(always)]
    pub(super) fn check_weights<'a>(&self, weights: WeightSource<'a>) -> Result<Source<'a>> {
        if self.first.options {
            self.first.check_options()?;
        }
        if let WeightSource::Narrow(_) = weights {
            self.check_narrow()?;
        }
        weights.check(self.owner())
    }

    /// Takes the weights of a level: one part for each direction, or the same part twice if there is one
    /// direction.
    #[inline(always)]
    pub(super) fn next<'a>(&self, weights: &mut Source<'a>, index: usize) -> [Source<'a>; 2] {
        let forward = self.next_direction(weights, index);
        [forward, if self.both.is_some() { self.next_direction(weights, index) } else { forward }]
    }

    /// Takes the weights of one direction of a level.
    #[inline(always)]
    pub(super) fn next_direction<'a>(&self, weights: &mut Source<'a>, index: usize) -> Source<'a> {
        match weights {
            Source::Canonical(rest) => Source::Canonical(take(rest, self.shape(index).len())),
            Source::Words(rest) => Source::Words(take(rest, self.level(index).words_len())),
            Source::Panels(rest, isa) => Source::Panels(take(rest, self.level(index).panels_len()), *isa),
        }
    }

    /// Takes `len` elements for each direction; an empty slice if there is no second direction.
    #[inline(always)]
    pub(super) fn pair<'a>(&self, rest: &mut &'a mut [f32], len: usize) -> [&'a mut [f32]; 2] {
        [take_mut(rest, len), take_mut(rest, if self.both.is_some() { len } else { 0 })]
    }

    /// Where the directions of a level write. `to` is the output, of `rows` rows. If directions are summed,
    /// one of them writes to `part`. `None` if the output is not needed.
    #[inline(always)]
    pub(super) fn views<'a>(
        &self,
        to: &'a mut [f32],
        part: &'a mut [f32],
        rows: usize,
    ) -> [Option<ColumnsMut<'a>>; 2] {
        let width = self.first.width();
        match self.both {
            _ if to.is_empty() => [None, None],
            None => [Some(ColumnsMut::new(to, rows, width)), None],
            Some(Merge::Sum) => [to, part].map(|to| Some(ColumnsMut::new(to, rows, width))),
            Some(Merge::Concat) => {
                let (left, right) = ColumnsMut::new(to, rows, 2 * width).split(width);
                [Some(left), Some(right)]
            }
        }
    }

    pub(crate) fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        crate::error::check_len("weights", self.weights, weights.len())?;
        self.check_values(weights)?;
        self.packed_by(packed, |to| self.pack_into(weights, to))
    }

    pub(super) fn packed_by<B: AsMut<[f32]>>(
        &self,
        packed: B,
        pack: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<Packed<B>> {
        check_packs(self.first.format())?;
        Packed::new(self.first.isa(), self.fingerprint(), self.panels_len(), packed, pack)
    }

    /// Packs weights. They must have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn pack_into(&self, weights: &[f32], to: &mut [f32]) -> Result<()> {
        let (isa, to) = (self.first.isa(), (to, Description::panels_len));
        self.each((weights, Description::weights_len), to, |level, from, to| {
            self.first.pack(level.shape, isa, from, to)
        })
    }

    /// Calls `with` for each level and direction, with its part of both buffers. A buffer has canonical
    /// weights, words, or panels.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(super) fn each<T>(
        &self,
        (from, from_len): (&[f32], impl Fn(&Description) -> usize),
        (to, to_len): (&mut [T], impl Fn(&Description) -> usize),
        with: impl Fn(&Description, &[f32], &mut [T]) -> Result<()>,
    ) -> Result<()> {
        let (mut from, mut to) = (from, to);
        for index in 0..self.depth {
            let level = self.level(index);
            for _ in 0..self.directions() {
                with(&level, take(&mut from, from_len(&level)), take_mut(&mut to, to_len(&level)))?;
            }
        }
        Ok(())
    }

    /// Sets gains to 1, and the biases beside them to 0, if the layers have layer normalisation. The length
    /// has been checked.
    pub(crate) fn init_norm(&self, weights: &mut [f32]) -> Result<()> {
        if self.first.shape.norm == 0 {
            return Ok(());
        }
        let nothing = (&[][..], |_: &Description| 0);
        self.each(nothing, (weights, Description::weights_len), |level, _, weights| {
            let Shape { gates, hidden, .. } = level.shape;
            let vectors = level.shape.split_mut(weights).map(|parts| parts.peepholes).unwrap_or_default();
            vectors.fill(0.0);
            if let Some(v) = Vectors::split_mut(vectors, gates * hidden, level.shape.norm_cell()) {
                [v.g_ih, v.g_hh, v.g_c].into_iter().for_each(|gains| gains.fill(1.0));
            }
            Ok(())
        })
    }

    /// The walks of the two directions. A layer with one direction uses the first.
    #[inline(always)]
    pub(crate) fn walks<'a>(&self, sequences: Sequences<'a>) -> Result<[Walk<'a>; 2]> {
        let walk = sequences.walk(self.both.is_none() && self.first.reverse)?;
        Ok([walk, walk.reversed()])
    }
}
