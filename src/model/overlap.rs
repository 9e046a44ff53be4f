//! Successive recurrent layers of a model whose levels run at the same time, in inference from packed
//! weights.

use super::args::Input;
use super::layer::{Dims, Layer};
use super::part::Part;
use super::through::Visit;
use super::up::{PANELS, Up};
use crate::error::Result;
use crate::layer;
use crate::layer::buffer::{max, take, take_mut};
use crate::layer::recurrent::{Overlap, Rung};
use crate::simd::Isa;

/// The levels of the recurrent layers from `index` on that may run at the same time, and the index of the
/// next layer after them. Dropout, which inference skips, may be between them.
const fn from(layers: &[Layer], index: usize, [threads, steps, batch]: [usize; 3]) -> (Overlap, usize) {
    let (mut of, mut end, mut i) = (Overlap::of(steps, batch), index, index);
    while i < layers.len() {
        match (&layers[i], layers[i].levels()) {
            (_, Some(levels)) if levels.overlaps(threads, steps, batch) => {
                of = of.and(levels);
                end = i + 1;
            }
            (Layer::Dropout(_), _) if i > index => {}
            _ => break,
        }
        i += 1;
    }
    (of, end)
}

/// Length of the scratch for levels that run at the same time, wherever in the model; 0 if none do.
pub(super) const fn scratch_len(layers: &[Layer], threads: usize, steps: usize, batch: usize) -> usize {
    let (mut len, mut index) = (0, 0);
    while threads > 1 && index < layers.len() {
        len = max(len, from(layers, index, [threads, steps, batch]).0.scratch_len(threads));
        index += 1;
    }
    len
}

/// Level `index` of the levels of these layers, from the first layer on.
fn rung(layers: &[Layer], index: usize) -> Option<Rung<'_>> {
    let mut index = index;
    for layer in layers {
        let Some(levels) = layer.levels() else { continue };
        if index < levels.depth {
            return Some(Rung { levels, index, isa: layer.isa().unwrap_or(Isa::PORTABLE) });
        }
        index -= levels.depth;
    }
    None
}

/// A pass that visits layers whose levels run at the same time together.
pub(super) struct Together<'a> {
    pub(super) up: Up<'a, false, PANELS>,
    /// The first layer that has not run.
    pub(super) next: usize,
}

impl Visit for Together<'_> {
    fn visit(&mut self, layers: &[Layer], index: usize) -> Result<()> {
        if index < self.next {
            return Ok(());
        }
        self.next = self.up.together(layers, index)?;
        if index < self.next { Ok(()) } else { self.up.visit(layers, index) }
    }
}

impl Up<'_, false, PANELS> {
    /// Runs the layers from `index` on whose levels run at the same time. Returns the index of the next
    /// layer: `index` if there are none.
    fn together(&mut self, layers: &[Layer], index: usize) -> Result<usize> {
        let (Some(team), Dims { steps, batch, .. }) = (self.team, self.dims) else { return Ok(index) };
        let (of, end) = from(layers, index, [team.threads(), steps, batch]);
        // One layer finds out by itself.
        if end < index + 2 {
            return Ok(index);
        }
        let here = &layers[index..end];
        let (mut panels, mut states, mut after) = (0, 0, self.dims);
        for layer in here {
            panels += layer.len(Part::Panels, after);
            states += layer.len(Part::State, after);
            after = layer.after(after);
        }
        let y = if end == layers.len() { &mut *self.y } else { &mut self.rows[..after.len()] };
        let args = layer::Forward {
            sequences: self.sequences,
            x: self.x.values(),
            y,
            state: &mut self.state[..states],
            scratch: &mut *self.scratch,
        };
        let walk = self.sequences.walk(false)?;
        let rung = |index| rung(here, index);
        if of.run(team, &walk, &rung, &self.weights[..panels], args)?.is_some() {
            return Ok(index);
        }
        take(&mut self.weights, panels);
        take_mut(&mut self.state, states);
        (self.x, self.dims) = (Input::Values(self.output(after, end == layers.len())), after);
        Ok(end)
    }
}
