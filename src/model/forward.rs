//! Inference: packing, whole batches, and single steps.

use super::Model;
use super::args::{Forward, Input};
use super::layer::{Dims, Layer, Part, each};
use crate::error::{Error, Result, check_len, check_room};
use crate::layer::buffer::{take, take_mut};
use crate::layer::{self, Sequences, WeightSource};

/// The weights of a model in panels for one instruction set. Made by [`Model::pack`].
#[derive(Clone, Copy, Debug)]
pub struct Packed<const N: usize, B> {
    heads: Heads<N>,
    data: B,
}

/// What is packed, without its storage.
#[derive(Clone, Copy, Debug)]
struct Heads<const N: usize> {
    layers: [Layer; N],
    /// Of those that are in panels; an embedding stays as it is.
    panels: [Option<layer::Packed<()>>; N],
}

impl<const N: usize, B> Packed<N, B> {
    /// Gives the storage back.
    pub fn into_inner(self) -> B {
        self.data
    }
}

/// The weights of a model's pass: packed, or canonical ones in place, as [`WeightSource`] for a layer. Made by `into()`
/// from a reference to either.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, const N: usize> {
    flat: &'a [f32],
    heads: Option<&'a Heads<N>>,
}

impl<'a, const N: usize> From<&'a [f32]> for Weights<'a, N> {
    fn from(flat: &'a [f32]) -> Self {
        Weights { flat, heads: None }
    }
}

impl<'a, const N: usize, const L: usize> From<&'a [f32; L]> for Weights<'a, N> {
    fn from(flat: &'a [f32; L]) -> Self {
        Weights { flat, heads: None }
    }
}

#[cfg(feature = "std")]
impl<'a, const N: usize> From<&'a std::vec::Vec<f32>> for Weights<'a, N> {
    fn from(flat: &'a std::vec::Vec<f32>) -> Self {
        Weights { flat, heads: None }
    }
}

impl<'a, const N: usize, B: AsRef<[f32]>> From<&'a Packed<N, B>> for Weights<'a, N> {
    fn from(packed: &'a Packed<N, B>) -> Self {
        Weights { flat: packed.data.as_ref(), heads: Some(&packed.heads) }
    }
}

impl<'a, const N: usize> Weights<'a, N> {
    /// Refuses weights that are not the model's.
    #[inline(always)]
    fn check(&self, model: &Model<N>) -> Result<()> {
        match self.heads {
            None => check_len("weights", model.weights_len(), self.flat.len()),
            Some(heads) if heads.layers == model.layers => {
                check_room("packed", model.packed_len(), self.flat.len())
            }
            Some(_) => Err(Error::Packing { what: "model" }),
        }
    }

    /// Takes those of the next layer: to be given to a pass, and as they are.
    #[inline(always)]
    fn next(&mut self, index: usize, layer: &Layer, dims: Dims) -> (WeightSource<'a>, &'a [f32]) {
        let part = if self.heads.is_some() { Part::Packed } else { Part::Weights };
        let flat = take(&mut self.flat, layer.len(part, dims));
        match self.heads.and_then(|heads| heads.panels[index]) {
            Some(head) => (WeightSource::Packed(head.with(flat)), flat),
            None => (WeightSource::Canonical(flat), flat),
        }
    }
}

/// How far a step has come, and what is left of the buffers.
struct Walk<'a, const N: usize> {
    weights: Weights<'a, N>,
    x: Input<'a>,
    dims: Dims,
    state: &'a mut [f32],
    rows: &'a mut [f32],
    y: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<const N: usize> Model<N> {
    /// Arranges canonical weights for the instruction set, in a buffer of [`packed_len`](Self::packed_len) elements. Pack once after
    /// loading or changing weights, then run any number of passes.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights` or `packed`.
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], mut packed: B) -> Result<Packed<N, B>> {
        check_len("weights", self.weights_len(), weights.len())?;
        let (mut from, mut to, mut panels) = (weights, packed.as_mut(), [None; N]);
        check_room("packed", self.packed_len(), to.len())?;
        let dims = self.dims(0, 1, 1);
        for (layer, head) in self.layers.iter().zip(&mut panels) {
            let from = take(&mut from, layer.len(Part::Weights, dims));
            let to = take_mut(&mut to, layer.len(Part::Packed, dims));
            each!(layer, s => *head = Some(s.pack(from, to)?.with(())),
                Layer::Dense(l) => *head = Some(l.pack(from, to)?.with(())),
                _ => to.copy_from_slice(from),
            );
        }
        Ok(Packed { heads: Heads { layers: self.layers, panels }, data: packed })
    }

    /// A batch of sequences from given states: the outputs, and the last states.
    ///
    /// Any number of [`step`](Self::step)s, or of calls with chunks of the sequences, gives the same bits, if no layer runs in reverse and
    /// there is no pool. Dropout does nothing.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Index`] for an id that is not below the
    /// embedding's classes; [`Error::Value`] for values where ids are wanted, or the reverse; [`Error::Packing`] if the
    /// weights were packed for another model.
    ///
    /// ```
    /// use recurrent::{Pool, Sequences, model::{Forward, Layer, Model}};
    /// const MODEL: Model<3> = Model::new([Layer::gru(2, 4), Layer::Pool(Pool::Last), Layer::dense(4, 1)]);
    /// let weights = vec![0.1; MODEL.weights_len()];
    /// let packed = MODEL.pack(&weights, vec![0.0; MODEL.packed_len()])?;
    /// let x = [1.0, 2.0, /**/ 3.0, 4.0, /**/ 5.0, 6.0]; // [T, B, 2]
    /// let (mut y, mut state) = ([0.0; 1], vec![0.0; MODEL.state_len(1)]);
    /// let mut scratch = vec![0.0; MODEL.scratch_len(3, 1)];
    /// let sequences = Sequences::new(3, 1);
    /// MODEL.forward(&packed, Forward { sequences, x: (&x).into(), y: &mut y, state: &mut state, scratch: &mut scratch })?;
    /// assert!(y[0] > 0.1);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn forward<'w>(&self, weights: impl Into<Weights<'w, N>>, args: Forward<'_>) -> Result<()> {
        let Forward { sequences, x, y, state, scratch } = args;
        let mut weights = weights.into();
        weights.check(self)?;
        self.check_input(sequences, x)?;
        let (steps, batch) = (sequences.steps(), sequences.batch());
        check_len("y", self.output_len(steps, batch), y.len())?;
        check_len("state", self.state_len(batch), state.len())?;
        check_room("scratch", self.scratch_len(steps, batch), scratch.len())?;

        let (mut rows, scratch) = scratch.split_at_mut(self.between_len(steps, batch));
        let (mut x, mut y, mut state, mut dims) = (x, y, state, self.dims(0, steps, batch));
        for (i, layer) in self.layers.iter().enumerate() {
            let (source, flat) = weights.next(i, layer, dims);
            if let Layer::Dropout(_) = layer {
                continue;
            }
            let after = layer.after(dims);
            let to = if i + 1 == N { core::mem::take(&mut y) } else { take_mut(&mut rows, after.len()) };
            let own = take_mut(&mut state, layer.len(Part::State, dims));
            each!(layer, s => {
                    let x = x.values();
                    s.forward(source, layer::Forward { sequences, x, y: &mut *to, state: own, scratch })?;
                },
                Layer::Embedding(l) => l.forward(flat, x.ids(), to)?,
                Layer::Dense(l) => l.forward(source, dims.rows(), x.values(), to, scratch)?,
                Layer::Pool(pool) => pool.forward(dims.width, sequences, x.values(), to)?,
                Layer::Dropout(_) => {}
            );
            (x, dims) = (Input::Values(to), after);
        }
        Ok(())
    }

    /// Length of the outputs of all layers but the last.
    pub(super) const fn between_len(&self, steps: usize, batch: usize) -> usize {
        self.lengths(Part::Output, N - 1, steps, batch).0
    }

    /// One step of each row: ids `[B]` or values `[B, I]` in, `y [B, O]` out. The batch is as many rows as `x` has. With canonical weights
    /// this is the way of a microcontroller: they stay where they are, say in flash.
    ///
    /// `scratch` has at least [`scratch_len(1, B)`](Self::scratch_len) elements. A model that ends in the
    /// [last step](crate::Pool::Last) gives at each step what it would say if the sequence ended there.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); [`Error::Layers`] for a model that does not run forward step by step: that has a layer
    /// in reverse or in both directions, or a pool over all steps.
    ///
    /// ```
    /// use recurrent::model::{Layer, Model};
    /// const MODEL: Model<2> = Model::new([Layer::gru(3, 24), Layer::dense(24, 2)]);
    /// static WEIGHTS: [f32; MODEL.weights_len()] = [0.01; MODEL.weights_len()];
    /// let (mut state, mut scratch) = ([0.0; MODEL.state_len(1)], [0.0; MODEL.scratch_len(1, 1)]);
    /// let mut y = [0.0; 2];
    /// for sample in [[0.1, 0.2, 9.8], [0.0, 0.3, 9.7]] {
    ///     MODEL.step(&WEIGHTS, &sample, &mut y, &mut state, &mut scratch)?;
    /// }
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn step<'w, 'x>(
        &self,
        weights: impl Into<Weights<'w, N>>,
        x: impl Into<Input<'x>>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let (weights, x) = (weights.into(), x.into());
        weights.check(self)?;
        self.check_steps()?;
        let batch = x.len().checked_div(self.input()).unwrap_or(0);
        self.check_input(Sequences::new(1, batch), x)?;
        check_len("y", self.output_len(1, batch), y.len())?;
        check_len("state", self.state_len(batch), state.len())?;
        check_room("scratch", self.scratch_len(1, batch), scratch.len())?;

        let (rows, scratch) = scratch.split_at_mut(self.between_len(1, batch));
        let mut at = Walk { weights, x, dims: self.dims(0, 1, batch), state, rows, y, scratch };
        // One by one and not in a loop: of a model that is a constant the compiler then knows each layer, and an image has the code
        // of the cells that are in it. A GRU and a dense layer take 10 KiB of a Cortex-M4F's flash so, and 100 KiB otherwise.
        macro_rules! layers {
            ($($i:literal)+) => {
                $(if $i < N {
                    self.step_layer($i, &mut at)?;
                })+
            };
        }
        layers!(0 1 2 3 4 5 6 7);
        for i in 8..N {
            self.step_layer(i, &mut at)?;
        }
        Ok(())
    }

    /// The step of one layer. The output of a recurrent layer is a part of its state.
    #[inline(always)]
    fn step_layer(&self, i: usize, at: &mut Walk<'_, N>) -> Result<()> {
        let (layer, dims) = (&self.layers[i], at.dims);
        let ((source, flat), after) = (at.weights.next(i, layer, dims), layer.after(dims));
        let (x, last) = (at.x, i + 1 == N);
        let made = each!(layer, s => {
                let own = take_mut(&mut at.state, s.state_len(dims.batch));
                s.step(source, x.values(), own, at.scratch)?
            },
            Layer::Embedding(_) | Layer::Dense(_) => {
                let y = if last { core::mem::take(&mut at.y) } else { take_mut(&mut at.rows, after.len()) };
                match layer {
                    Layer::Embedding(l) => l.forward(flat, x.ids(), y)?,
                    Layer::Dense(l) => l.forward(source, dims.batch, x.values(), y, at.scratch)?,
                    _ => {}
                }
                y
            },
            Layer::Pool(_) | Layer::Dropout(_) => x.values(),
        );
        if last && !at.y.is_empty() {
            at.y.copy_from_slice(made);
        }
        (at.x, at.dims) = (Input::Values(made), after);
        Ok(())
    }

    /// Refuses a model that cannot take one step after the other.
    pub(super) fn check_steps(&self) -> Result<()> {
        for (i, layer) in self.layers.iter().enumerate() {
            let what = each!(layer, s => if s.is_causal() { continue } else { "does not run forward" },
                Layer::Pool(layer::Pool::Mean | layer::Pool::Max) => "is a pool that needs all steps",
                _ => continue,
            );
            return Err(Error::Layers { layer: i, what });
        }
        Ok(())
    }
}
