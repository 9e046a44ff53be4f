//! Text out of a language model.

use rand_core::Rng;

use super::Model;
use super::args::{Generate, Input};
use super::forward::Weights;
use crate::error::{Error, Result, check_len, check_room};
use crate::layer::buffer::add;
use crate::layer::{Sampling, Sequences};

impl<const N: usize> Model<N> {
    /// Length of the scratch of [`generate`](Self::generate).
    pub const fn generate_scratch_len(&self, sampling: Sampling) -> usize {
        let drawing = add(self.output(), sampling.scratch_len(self.output()));
        add(self.scratch_len(1, 1), drawing)
    }

    /// Writes: takes the prompt step by step, and then each id that it has drawn, until `each`, which is given these, returns false.
    ///
    /// The state is that of one row, zero for a new text. It has not seen the last id: to go on, begin the next prompt with that.
    ///
    /// # Errors
    /// [`Error::Layers`] for a model without an embedding, with another number of outputs than classes, or that does not run step by step; others as
    /// [`step`](Self::step) and [`Sampling::draw`]. If a logit is NaN or infinite, text may have been written before.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Sampling, model::{Generate, Layer, Model}};
    /// const MODEL: Model<3> = Model::new([Layer::embedding(9, 4), Layer::gru(4, 8), Layer::dense(8, 9)]);
    /// const SAMPLING: Sampling = Sampling::new(0.7).top_k(5);
    /// let weights = [0.0; MODEL.weights_len()];
    /// let mut state = [0.0; MODEL.state_len(1)];
    /// let mut scratch = [0.0; MODEL.generate_scratch_len(SAMPLING)];
    /// let mut text = vec![];
    /// MODEL.generate(
    ///     &weights,
    ///     Generate { prompt: &[1, 2], sampling: SAMPLING, state: &mut state, scratch: &mut scratch },
    ///     &mut Xoshiro256PlusPlus::seed_from_u64(1),
    ///     |id| {
    ///         text.push(id);
    ///         text.len() < 10
    ///     },
    /// )?;
    /// assert_eq!(text.len(), 10);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn generate<'w>(
        &self,
        weights: impl Into<Weights<'w, N>>,
        args: Generate<'_>,
        rng: &mut impl Rng,
        mut each: impl FnMut(u32) -> bool,
    ) -> Result<()> {
        let (weights, Generate { prompt, sampling, state, scratch }) = (weights.into(), args);
        if self.classes() != Some(self.output()) {
            let what = if self.classes().is_none() {
                "is no embedding"
            } else {
                "has another number of classes than there are outputs"
            };
            return Err(Error::Layers { layer: 0, what });
        }
        self.check_steps()?;
        sampling.check()?;
        check_room("prompt", 1, prompt.len())?;
        self.check_input(Sequences::new(prompt.len(), 1), Input::Ids(prompt))?;
        check_len("state", self.state_len(1), state.len())?;
        check_room("scratch", self.generate_scratch_len(sampling), scratch.len())?;
        let (logits, scratch) = scratch.split_at_mut(self.output());
        let (drawing, scratch) = scratch.split_at_mut(sampling.scratch_len(self.output()));
        let (mut prompt, mut drawn) = (prompt, 0);
        loop {
            let id = prompt.split_off_first().copied().unwrap_or(drawn);
            self.step(weights, &[id], logits, state, scratch)?;
            if prompt.is_empty() {
                // An id that is an index of logits fits, because all ids of the embedding do.
                drawn = sampling.draw(logits, drawing, rng)? as u32;
                if !each(drawn) {
                    return Ok(());
                }
            }
        }
    }
}
