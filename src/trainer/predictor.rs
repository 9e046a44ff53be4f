//! Inference with a trained model.

use std::sync::Arc;
use std::vec::Vec;

use rand_core::Rng;

use super::measures::{Measures, Sums};
use super::{Batch, OTHER_ROWS, zeros};
use crate::error::{Result, check_len};
use crate::generate::{Generate, Sampling};
use crate::layer::join::{Team, own};
use crate::layer::{Join, Sequences};
use crate::loss::Outputs;
use crate::model::{Chain, Forward, Input, Owned, Packed};

/// A model with packed weights and the buffers to run it. A clone shares the weights, and has its own buffers
/// and states.
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
    shared: Arc<(Owned, Packed<Vec<f32>>)>,
    /// The state of one row; empty if it is zero.
    initial_state: Arc<[f32]>,
    state: Vec<f32>,
    /// Whether the state belongs to sequences that continue with the next call.
    carries: bool,
    y: Vec<f32>,
    scratch: Vec<f32>,
    stateful: bool,
}

impl Predictor {
    /// A predictor with the given weights.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) for `weights`; [`Error::Memory`](crate::Error::Memory) if
    /// there is not enough memory.
    pub fn new<'m>(model: impl Into<Chain<'m>>, weights: &[f32]) -> Result<Self> {
        let model = model.into();
        let packed = model.pack(weights, zeros("packed", model.packed_len())?)?;
        Ok(Predictor {
            shared: Arc::new((Owned::new(model), packed)),
            initial_state: Arc::new([]),
            state: Vec::new(),
            carries: false,
            y: Vec::new(),
            scratch: Vec::new(),
            stateful: false,
        })
    }

    /// The same predictor with an initial state in which every sequence starts. It is the state of one row,
    /// in the layout of [`Chain::state_len`]. The default, and the meaning of an empty state, is zero.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) for `state`.
    pub fn with_initial_state(mut self, state: &[f32]) -> Result<Self> {
        if !state.is_empty() {
            check_len("state", self.chain().state_len(1), state.len())?;
        }
        self.initial_state = state.into();
        self.reset();
        Ok(self)
    }

    /// The model.
    pub(crate) fn chain(&self) -> Chain<'_> {
        self.shared.0.chain()
    }

    /// The same predictor with a state carried from call to call, until [`reset`](Self::reset). Until then, a
    /// call with another number of rows is an error. Without this, every call starts in the initial state.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// Resets every row to the initial state.
    pub fn reset(&mut self) {
        let Predictor { shared, initial_state, state, carries, .. } = self;
        *carries = false;
        state.fill(0.0);
        if let Some(rows) = state.len().checked_div(initial_state.len()) {
            // This cannot fail: `state` holds whole rows.
            let _ = shared.0.chain().repeat_state(initial_state, rows, state);
        }
    }

    /// The carried states, in the layout of [`Chain::state_len`]; empty before the first call.
    pub fn state(&self) -> &[f32] {
        &self.state
    }

    /// Starts `batch` new rows, each in the initial state.
    pub(crate) fn rows(&mut self, batch: usize) -> Result<()> {
        let len = self.chain().state_len(batch);
        if self.state.len() != len {
            self.state = zeros("state", len)?;
        }
        self.reset();
        Ok(())
    }

    /// Continues from the given states. Their length must be that of the carried states.
    #[cfg(feature = "io")]
    pub(crate) fn set_state(&mut self, state: &[f32]) {
        self.state.copy_from_slice(state);
        self.carries = true;
    }

    /// Allocates the states of `batch` rows, and `scratch` elements of scratch.
    fn prepare(&mut self, batch: usize, scratch: usize) -> Result<()> {
        if !self.carries {
            self.rows(batch)?;
        } else if self.state.len() != self.chain().state_len(batch) {
            return Err(OTHER_ROWS);
        }
        if self.scratch.len() < scratch {
            self.scratch = zeros("scratch", scratch)?;
        }
        self.carries = self.stateful;
        Ok(())
    }

    /// Allocates the buffers of a pass over `steps` steps. Returns the length of its output.
    fn prepare_pass(&mut self, threads: usize, steps: usize, batch: usize) -> Result<usize> {
        let len = self.chain().output_len(steps, batch);
        let scratch = self.chain().scratch_len_with(threads, steps, batch);
        if self.y.len() < len {
            self.y = zeros("y", len)?;
        }
        self.prepare(batch, scratch)?;
        Ok(len)
    }

    /// Checks the input, and allocates the buffers of a pass over it. Returns the length of its output.
    fn prepare_forward(&mut self, team: Team<'_>, sequences: Sequences<'_>, x: Input<'_>) -> Result<usize> {
        self.chain().check_input(sequences, x)?;
        self.prepare_pass(team.threads(), sequences.steps(), sequences.batch())
    }

    /// The outputs of a batch, `[T, B, O]`, or `[B, O]` for a model with a pool. With the feature `rayon` it
    /// runs on several threads.
    ///
    /// # Errors
    /// Those of [`Chain::forward`]; [`Error::Value`](crate::Error::Value) for a number of rows that differs
    /// from that of the carried state.
    pub fn forward<'x>(&mut self, sequences: Sequences<'_>, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        let (x, team) = (x.into(), Team::with(own(self.chain().work(sequences))));
        let len = self.prepare_forward(team, sequences, x)?;
        let Predictor { shared, state, scratch, y, .. } = self;
        let args = Forward { sequences, x, y: &mut y[..len], state, scratch };
        team.enter(|| shared.0.chain().forward_from(Some(team), (&shared.1).into(), args))?;
        Ok(&self.y[..len])
    }

    /// The same on the given threads. The results have the same bits for any number of threads.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_with<'x>(
        &mut self,
        join: &dyn Join,
        sequences: Sequences<'_>,
        x: impl Into<Input<'x>>,
    ) -> Result<&[f32]> {
        let (x, team) = (x.into(), Team::with(join));
        let len = self.prepare_forward(team, sequences, x)?;
        let Predictor { shared, state, scratch, y, .. } = self;
        let args = Forward { sequences, x, y: &mut y[..len], state, scratch };
        shared.0.chain().forward_from(Some(team), (&shared.1).into(), args)?;
        Ok(&self.y[..len])
    }

    /// One step of each row: ids `[B]` or values `[B, I]` in, `[B, O]` out. Without
    /// [`stateful`](Self::stateful) each step starts in the initial state.
    ///
    /// # Errors
    /// Those of [`Chain::step`]; [`Error::Value`](crate::Error::Value) for a number of rows that differs from
    /// that of the carried state.
    pub fn step<'x>(&mut self, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        let x = x.into();
        let batch = x.len().checked_div(self.chain().input()).unwrap_or(0);
        self.chain().check_steps()?;
        self.chain().check_input(Sequences::new(1, batch), x)?;
        let len = self.prepare_pass(1, 1, batch)?;
        let Predictor { shared, state, scratch, y, .. } = self;
        shared.0.chain().step(&shared.1, x, &mut y[..len], state, scratch)?;
        Ok(&self.y[..len])
    }

    /// The mean loss of a batch.
    ///
    /// # Errors
    /// Those of [`Chain::forward`], and for targets as [`Chain::forward_backward`].
    pub fn loss(&mut self, batch: Batch<'_>) -> Result<f32> {
        Ok(self.run(batch)?.2)
    }

    /// The loss and other measures of a batch.
    ///
    /// # Errors
    /// Those of [`loss`](Self::loss).
    pub fn measure(&mut self, batch: Batch<'_>) -> Result<Measures> {
        let mut sums = Sums::default();
        self.measure_into(batch, &mut sums)?;
        Ok(sums.means())
    }

    /// Adds the measures of a batch to `sums`.
    pub(super) fn measure_into(&mut self, batch: Batch<'_>, sums: &mut Sums) -> Result<()> {
        let Batch { sequences, loss, .. } = batch;
        let (targets, weight, mean) = self.run(batch)?;
        let chain = self.chain();
        let y = &self.y[..chain.output_len(sequences.steps(), sequences.batch())];
        let of_classes = loss.measures(chain.output(), sequences, chain.is_pooled(), y)?;
        sums.add(targets, f64::from(mean), weight, of_classes);
        Ok(())
    }

    /// Runs a batch, whose outputs stay in `y`. Returns how many targets count, their weight, and the mean
    /// loss.
    fn run(&mut self, batch: Batch<'_>) -> Result<(usize, f64, f32)> {
        let Batch { sequences, x, loss } = batch;
        let chain = self.chain();
        let (isa, width, pooled) = (chain.isa(), chain.output(), chain.is_pooled());
        let (targets, weight) = chain.count_targets(sequences, loss)?;
        let mut of_loss = zeros("scratch", loss.scratch_len(sequences.steps()))?;
        let y = self.forward(sequences, x)?;
        let (dy, scratch) = (None, &mut of_loss[..]);
        Ok((targets, weight, loss.mean(Outputs { isa, width, sequences, pooled, y, dy, scratch })?))
    }

    /// Generates ids after a prompt. Each id is passed to `each`; generation ends when `each` returns false.
    /// The prompt itself is not passed.
    ///
    /// # Errors
    /// Those of [`Chain::generate`]; [`Error::Value`](crate::Error::Value) if the carried state has more than
    /// one row.
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
        self.prepare(1, self.chain().generate_scratch_len(sampling))?;
        let Predictor { shared, state, scratch, .. } = self;
        shared.0.chain().generate(&shared.1, Generate { prompt, sampling, state, scratch }, rng, each)
    }
}
