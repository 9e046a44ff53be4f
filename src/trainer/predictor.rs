//! A trained model at work.

use std::vec::Vec;

use rand_core::Rng;

use super::{Batch, OTHER_ROWS, zeros};
use crate::error::Result;
use crate::generate::{Generate, Sampling};
use crate::layer::Sequences;
use crate::model::{Chain, Forward, Input, Owned, Packed};

/// A model with packed weights, and the buffers to run it in.
///
/// ```
/// use recurrent::{Sequences, model::{Layer, Model}, trainer::Predictor};
/// let model = Model::new([Layer::gru(2, 8), Layer::dense(8, 1)]);
/// let weights = vec![0.1; model.weights_len()];
/// let mut predictor = Predictor::new(&model, &weights)?;
/// let y = predictor.forward(Sequences::new(3, 1), &[0.1, 0.2, /**/ 0.3, 0.4, /**/ 0.5, 0.6])?; // [T, B, 1]
/// assert_eq!(y.len(), 3);
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone)]
pub struct Predictor {
    model: Owned,
    packed: Packed<Vec<f32>>,
    state: Vec<f32>,
    y: Vec<f32>,
    scratch: Vec<f32>,
    stateful: bool,
}

impl Predictor {
    /// A model with these weights.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) for `weights`; [`Error::Memory`](crate::Error::Memory) if there is not enough memory.
    pub fn new<'m>(model: impl Into<Chain<'m>>, weights: &[f32]) -> Result<Self> {
        let model = model.into();
        let packed = model.pack(weights, zeros("packed", model.packed_len())?)?;
        let (state, y, scratch) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Predictor { model: Owned::new(model), packed, state, y, scratch, stateful: false })
    }

    /// The same with a state that is carried from call to call, until [`reset`](Self::reset). A call with another number of rows is an
    /// error until then. Without this every call begins with a state of zero.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Makes the carried state zero.
    pub fn reset(&mut self) {
        self.state.fill(0.0);
    }

    /// Makes room for so many rows and elements of scratch.
    fn prepare(&mut self, batch: usize, scratch: usize) -> Result<()> {
        let state = self.model.chain().state_len(batch);
        if !self.stateful {
            self.state.fill(0.0);
        }
        if self.state.len() != state {
            if self.state.iter().any(|x| *x != 0.0) {
                return Err(OTHER_ROWS);
            }
            self.state = zeros("state", state)?;
        }
        if self.scratch.len() < scratch {
            self.scratch = zeros("scratch", scratch)?;
        }
        Ok(())
    }

    /// The outputs of a batch, `[T, B, O]`, or `[B, O]` for a model with a pool.
    ///
    /// # Errors
    /// As [`Chain::forward`]; [`Error::Value`](crate::Error::Value) for another number of rows than those whose state is carried.
    pub fn forward<'x>(&mut self, sequences: Sequences<'_>, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        let (x, steps, batch) = (x.into(), sequences.steps(), sequences.batch());
        self.model.chain().check_input(sequences, x)?;
        let (len, scratch) =
            (self.model.chain().output_len(steps, batch), self.model.chain().scratch_len(steps, batch));
        if self.y.len() < len {
            self.y = zeros("y", len)?;
        }
        self.prepare(batch, scratch)?;
        let (y, state, scratch) = (&mut self.y[..len], &mut self.state, &mut self.scratch);
        self.model.chain().forward(&self.packed, Forward { sequences, x, y, state, scratch })?;
        Ok(&self.y[..len])
    }

    /// The mean loss of a batch.
    ///
    /// # Errors
    /// As [`Chain::forward`], and for targets as [`Chain::forward_backward`].
    pub fn loss(&mut self, batch: Batch<'_>) -> Result<f32> {
        let chain = self.model.chain();
        let (isa, width, pooled) = (chain.isa(), chain.output(), chain.is_pooled());
        self.model.chain().targets(batch.sequences, batch.loss)?;
        let y = self.forward(batch.sequences, batch.x)?;
        batch.loss.mean(isa, width, batch.sequences, pooled, y, None)
    }

    /// Writes: the prompt, which is not given back, and then ids until `each`, which is given these, returns false.
    ///
    /// # Errors
    /// As [`Chain::generate`]; [`Error::Value`](crate::Error::Value) if the state of another number of rows than one is carried.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sampling, model::{Layer, Model}, trainer::Predictor};
    /// let model = Model::new([Layer::embedding(5, 4), Layer::gru(4, 8), Layer::dense(8, 5)]);
    /// let mut predictor = Predictor::new(&model, &vec![0.1; model.weights_len()])?;
    /// let mut text = vec![];
    /// predictor.generate(&[0], Sampling::new(0.7), &mut Xoshiro256PlusPlus::seed_from_u64(1), |id| {
    ///     text.push(id);
    ///     text.len() < 20
    /// })?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn generate(
        &mut self,
        prompt: &[u32],
        sampling: Sampling,
        rng: &mut impl Rng,
        each: impl FnMut(u32) -> bool,
    ) -> Result<()> {
        self.prepare(1, self.model.chain().generate_scratch_len(sampling))?;
        let (state, scratch) = (&mut self.state, &mut self.scratch);
        self.model.chain().generate(&self.packed, Generate { prompt, sampling, state, scratch }, rng, each)
    }
}
