//! Inference: one layer after the other, with the outputs in between in scratch.

use super::{Join, Merge, Sequential, Stack};
use crate::error::{Error, Result, check_len, check_room};
use crate::kernel::Walk;
use crate::kernel::view::ColumnsMut;
use crate::layer::Cell;
use crate::layer::args::Forward;
use crate::layer::buffer::take_mut;
use crate::layer::passes::Source;
use crate::layer::sequences::Sequences;
use crate::layer::weights::{Packed, WeightSource};
use crate::simd::Isa;

/// The ways of the two directions; a layer with one direction goes the first.
pub(super) fn walks<'a, C: Cell>(stack: &Stack<C>, sequences: Sequences<'a>) -> Result<[Walk<'a>; 2]> {
    Ok([sequences.walk(stack.layer(0, 0).reverse)?, sequences.walk(true)?])
}

/// `a += b`
pub(super) fn add_to(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

impl<C: Cell> Stack<C> {
    /// A batch of sequences from given states: the last layer's outputs, and the last states of all layers.
    ///
    /// The arguments are those of [`Recurrent::forward`](crate::Recurrent::forward), with this stack's lengths. `y` is
    /// `[T, B, output]`, or empty if only the states are wanted.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Packing`] if the weights were packed for
    /// something else.
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        self.forward_with(&Sequential, weights, args)
    }

    /// The same, with the two directions of each layer run by `join`: say [`Threads`](crate::Threads). The results have the same bits.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    pub fn forward_with<'w>(
        &self,
        join: &impl Join,
        weights: impl Into<WeightSource<'w>>,
        args: Forward<'_>,
    ) -> Result<()> {
        let weights = weights.into();
        let isa = self.source_isa(weights)?;
        let Forward { sequences, x, y, state, scratch } = args;
        let walks = walks(self, sequences)?;
        let (steps, batch, rows) = (sequences.steps, sequences.batch, walks[0].rows());
        check_len("x", rows.saturating_mul(self.input()), x.len())?;
        let output = rows.saturating_mul(self.output());
        if !y.is_empty() {
            check_len("y", output, y.len())?;
        }
        check_len("state", self.state_len(batch), state.len())?;
        check_room("scratch", self.scratch_len(steps, batch), scratch.len())?;

        let mut rest = scratch;
        let own = self.first.scratch_len(steps, batch);
        let [own_forward, own_reverse] =
            [take_mut(&mut rest, own), take_mut(&mut rest, if self.both.is_some() { own } else { 0 })];
        let part = take_mut(&mut rest, if self.both == Some(Merge::Sum) { output } else { 0 });
        let (mut below, mut above): (&mut [f32], &mut [f32]) = (&mut [], &mut []);
        if self.layers > 1 {
            (below, above) = (take_mut(&mut rest, output), take_mut(&mut rest, output));
        }
        let (mut state, mut y) = (state, Some(y));
        let (mut first_weight, directions) = (0, self.directions());
        for index in 0..self.layers {
            let layers = [self.layer(index, 0), self.layer(index, 1)];
            let source = |direction: usize| match weights {
                WeightSource::Canonical(flat) => {
                    let len = layers[0].weights_len();
                    self.canonical(&layers[0], &flat[first_weight + direction * len..][..len])
                        .map(Source::InPlace)
                }
                WeightSource::Packed(packed) => {
                    let at = packed.start + first_weight + direction * layers[0].packed_len();
                    Ok(Source::Packed(packed.data.get(at..).unwrap_or_default()))
                }
            };
            let x = if index == 0 { x } else { &*below };
            let to = match index + 1 == self.layers {
                true => y.take().unwrap_or_default(),
                false => &mut *above,
            };
            let states = layers[0].state_len(batch);
            let state_forward = take_mut(&mut state, states);
            let width = self.first.width();
            let view = |to| Some(ColumnsMut::new(to, rows, self.output()));
            match self.both {
                None => {
                    let y = if to.is_empty() { None } else { view(to) };
                    layers[0].run_forward(
                        isa,
                        source(0)?,
                        &walks[0],
                        x,
                        y,
                        state_forward,
                        &mut *own_forward,
                    )?;
                }
                Some(merge) => {
                    let state_reverse = take_mut(&mut state, states);
                    let sources = [source(0)?, source(1)?];
                    let wanted = !to.is_empty();
                    let (forward_y, reverse_y) = match merge {
                        _ if !wanted => (None, None),
                        Merge::Sum => (view(&mut *to), view(&mut *part)),
                        Merge::Concat => {
                            let (left, right) = ColumnsMut::new(&mut *to, rows, 2 * width).split(width);
                            (Some(left), Some(right))
                        }
                    };
                    let (own_f, own_r) = (&mut *own_forward, &mut *own_reverse);
                    let (layers, walks) = (&layers, &walks);
                    let (mut first, mut second) = (Ok(()), Ok(()));
                    join.join(
                        || {
                            let y = forward_y;
                            first =
                                layers[0].run_forward(isa, sources[0], &walks[0], x, y, state_forward, own_f)
                        },
                        || {
                            let y = reverse_y;
                            second =
                                layers[1].run_forward(isa, sources[1], &walks[1], x, y, state_reverse, own_r)
                        },
                    );
                    first.and(second)?;
                    if wanted && merge == Merge::Sum {
                        add_to(to, part);
                    }
                }
            }
            first_weight += directions
                * match weights {
                    WeightSource::Canonical(_) => layers[0].weights_len(),
                    WeightSource::Packed(_) => layers[0].packed_len(),
                };
            core::mem::swap(&mut below, &mut above);
        }
        Ok(())
    }

    /// One step of each layer, from the output of the one below it; returns the last one's, `[B, R]`, which is a part of `state`.
    ///
    /// `x` is `[B, I]`; `state` and `scratch` are those of [`forward`](Self::forward) with one step, and so are the bits.
    /// There has to be one direction, and a stack that runs in reverse takes the steps as they come.
    ///
    /// # Errors
    /// As [`Recurrent::step`](crate::Recurrent::step); [`Error::Value`] for a stack with both directions.
    ///
    /// ```
    /// use recurrent::{Gru, GruCell, Stack};
    /// const STACK: Stack<GruCell> = Stack::new(Gru::new(2, 4)).layers(2);
    /// let weights = [0.1; STACK.weights_len()];
    /// let (mut state, mut scratch) = ([0.0; STACK.state_len(1)], [0.0; STACK.scratch_len(1, 1)]);
    /// let y = STACK.step(&weights, &[1.0, -1.0], &mut state, &mut scratch)?;
    /// assert_eq!(y.len(), 4);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn step<'w, 's>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        x: &'s [f32],
        state: &'s mut [f32],
        scratch: &mut [f32],
    ) -> Result<&'s [f32]> {
        let weights = weights.into();
        if self.both.is_some() {
            return Err(Error::Value { argument: "stack", expected: "one with a single direction" });
        }
        // Without a state `x` says how many rows there are.
        let rows = state.len().checked_div(self.state_len(1));
        let batch = rows.or(x.len().checked_div(self.input())).unwrap_or(0);
        check_len("state", self.state_len(batch), state.len())?;
        check_len("x", batch.saturating_mul(self.input()), x.len())?;
        check_room("scratch", self.scratch_len(1, batch), scratch.len())?;
        self.source_isa(weights)?;
        if self.layers == 1 {
            // From its own place and not from a copy, so that the compiler knows a constant layer's cell.
            self.first.step(weights, x, state, scratch)?;
            return Ok(&state[..batch * self.first.width()]);
        }
        let (mut first_weight, mut x, mut state) = (0, x, state);
        for layer in self.each() {
            let (source, len) = match weights {
                WeightSource::Canonical(flat) => {
                    let len = layer.weights_len();
                    (WeightSource::Canonical(&flat[first_weight..][..len]), len)
                }
                WeightSource::Packed(packed) => {
                    let (owner, len, start) =
                        (layer.owner(), layer.packed_len(), packed.start + first_weight);
                    (WeightSource::Packed(Packed { owner, start, ..packed }), len)
                }
            };
            let own = take_mut(&mut state, layer.state_len(batch));
            layer.step(source, x, own, scratch)?;
            x = &own[..batch * layer.width()];
            first_weight += len;
        }
        Ok(x)
    }

    /// The instruction set of a pass over these weights, which have to be this stack's.
    #[inline(always)]
    fn source_isa(&self, weights: WeightSource<'_>) -> Result<Isa> {
        match weights {
            WeightSource::Canonical(flat) => {
                check_len("weights", self.weights_len(), flat.len())?;
                Ok(self.first.isa())
            }
            WeightSource::Packed(packed) => {
                packed.check(self.owner(), self.first.isa, self.packed_len())?;
                Ok(packed.isa)
            }
        }
    }
}
