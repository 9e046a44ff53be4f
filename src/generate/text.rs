//! Text generation with a language model.

use rand_core::Rng;

use super::sampling::Sampling;
use crate::error::{Error, Result, check_len, check_room};
use crate::layer::buffer::add;
use crate::layer::{Sequences, WeightSource};
use crate::model::{Chain, Input, Model};

/// Arguments of [`Model::generate`].
#[derive(Debug)]
pub struct Generate<'a> {
    /// What the text begins with: at least one id.
    pub prompt: &'a [u32],
    /// How ids are drawn.
    pub sampling: Sampling,
    /// The initial state of one row on entry, the last state on return.
    pub state: &'a mut [f32],
    /// At least [`generate_scratch_len`](Model::generate_scratch_len) elements.
    pub scratch: &'a mut [f32],
}

impl<const N: usize> Model<N> {
    /// Length of the scratch of [`generate`](Self::generate).
    pub const fn generate_scratch_len(&self, sampling: Sampling) -> usize {
        self.chain().generate_scratch_len(sampling)
    }

    /// Generates text: feeds the prompt to the model step by step, then each id that it has drawn. It calls
    /// `each` with every drawn id, and stops when `each` returns false.
    ///
    /// The state is that of one row, zero for a new text. It does not include the last id: to continue, begin
    /// the next prompt with that id.
    ///
    /// # Errors
    /// [`Error::Layers`] for a model without an embedding, with a number of outputs other than that of
    /// classes, or that does not run step by step; others as [`step`](Self::step) and [`Sampling::draw`]. If
    /// a logit is NaN or infinite, `each` may have been called before.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::{Generate, Sampling, model::{Layer, Model}};
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
        weights: impl Into<WeightSource<'w>>,
        args: Generate<'_>,
        rng: &mut impl Rng,
        each: impl FnMut(u32) -> bool,
    ) -> Result<()> {
        let weights = weights.into();
        write(self.chain(), args, rng, each, |id, logits, state, scratch| {
            self.step(weights, &[id], logits, state, scratch)
        })
    }
}

impl Chain<'_> {
    /// Length of the scratch of [`generate`](Self::generate).
    pub const fn generate_scratch_len(&self, sampling: Sampling) -> usize {
        let drawing = add(self.output(), sampling.scratch_len(self.output()));
        add(self.scratch_len(1, 1), drawing)
    }

    /// Like [`Model::generate`].
    ///
    /// # Errors
    /// Those of [`Model::generate`].
    pub fn generate<'w>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        args: Generate<'_>,
        rng: &mut impl Rng,
        each: impl FnMut(u32) -> bool,
    ) -> Result<()> {
        let weights = weights.into();
        write(*self, args, rng, each, |id, logits, state, scratch| {
            self.step(weights, &[id], logits, state, scratch)
        })
    }
}

/// The loop of `generate`. `step` computes the logits that follow an id.
#[inline(always)]
fn write(
    chain: Chain<'_>,
    args: Generate<'_>,
    rng: &mut impl Rng,
    mut each: impl FnMut(u32) -> bool,
    mut step: impl FnMut(u32, &mut [f32], &mut [f32], &mut [f32]) -> Result<()>,
) -> Result<()> {
    let Generate { prompt, sampling, state, scratch } = args;
    if chain.classes() != Some(chain.output()) {
        let what = if chain.classes().is_none() {
            "is no embedding"
        } else {
            "has a number of classes that differs from the number of outputs"
        };
        return Err(Error::Layers { layer: 0, what });
    }
    chain.check_steps()?;
    sampling.check()?;
    check_room("prompt", 1, prompt.len())?;
    chain.check_input(Sequences::new(prompt.len(), 1), Input::Ids(prompt))?;
    check_len("state", chain.state_len(1), state.len())?;
    check_room("scratch", chain.generate_scratch_len(sampling), scratch.len())?;
    let (logits, scratch) = scratch.split_at_mut(chain.output());
    let (drawing, scratch) = scratch.split_at_mut(sampling.scratch_len(chain.output()));
    let (mut prompt, mut drawn) = (prompt, 0);
    loop {
        let id = prompt.split_off_first().copied().unwrap_or(drawn);
        step(id, logits, state, scratch)?;
        if prompt.is_empty() {
            // The index of a logit fits into an id, because all ids of the embedding do.
            drawn = sampling.draw(logits, drawing, rng)? as u32;
            if !each(drawn) {
                return Ok(());
            }
        }
    }
}
