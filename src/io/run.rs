//! Running a model that was read from a file.

use std::path::Path;
use std::vec;
use std::vec::Vec;

use super::error::Result;
use super::network::Network;
use super::options::ReadOptions;
use super::size;
use crate::error::{Need, check_len, check_shape};
use crate::model::{Chain, Ending, Input, InputMask, Layer};
use crate::trainer::{Predictor, zeros};
use crate::{Join, Masked, Sequences, log_softmax, softmax};

/// A network that is ready to run: it has packed weights, and keeps its states between calls.
///
/// A clone has its own states and shares the weights, so that many streams need only one copy of the weights.
/// An instance begins with one row in the network's initial state; use [`rows`](Self::rows) for more. The
/// first call makes the buffers. Later calls of the same sizes do not allocate.
///
/// ```
/// use recurrent::{Sequences, io::Instance};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/image_gru.img");
/// # let path = std::path::Path::new(path);
/// let mut left = Instance::open(path)?;
/// let mut right = left.clone(); // the same weights, and states of its own
/// let sample = vec![0.5; left.input()];
/// assert_eq!(left.step(&sample)?, right.forward(Sequences::new(1, 1), &sample)?);
/// left.reset();
/// # Ok::<(), recurrent::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Instance {
    predictor: Predictor,
    batch: usize,
    ending: Ending,
    input_mask: Option<InputMask>,
    /// The outputs after the ending, if there is one.
    ended: Vec<f32>,
    /// Which steps take part, if the input decides that.
    mask: Vec<bool>,
}

impl Instance {
    /// Reads a file and makes its network ready to run.
    ///
    /// # Errors
    /// Those of [`ReadOptions::open`]; [`Error::Model`](super::Error::Model) if there is not enough memory.
    pub fn open(path: &Path) -> Result<Self> {
        ReadOptions::new().open(path)?.0.instance()
    }

    fn chain(&self) -> Chain<'_> {
        self.predictor.chain()
    }

    /// Features of the input; 1 if it takes ids.
    pub fn input(&self) -> usize {
        self.chain().input()
    }

    /// Features of the output.
    pub fn output(&self) -> usize {
        self.chain().output()
    }

    /// Lengths of the buffers that this network needs for sequences of `steps` steps, in inference and in
    /// training.
    ///
    /// # Errors
    /// Those of [`size::of`].
    pub fn needs(&self, steps: usize) -> Result<size::Needs> {
        size::of(self.chain().layers(), steps, self.batch)
    }

    /// The function after the last layer. It is already applied to the outputs.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The states, in the layout of [`Chain::state_len`]: for each recurrent layer the rows of `h`, then, for
    /// an LSTM, the rows of `c`.
    pub fn state(&self) -> &[f32] {
        self.predictor.state()
    }

    /// Continues from these states.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if `state` is not as long as [`state`](Self::state).
    pub fn set_state(&mut self, state: &[f32]) -> Result<()> {
        check_len("state", self.state().len(), state.len())?;
        self.predictor.set_state(state);
        Ok(())
    }

    /// Starts `batch` new rows, each in the initial state, and drops the states of the previous rows.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if there is not enough memory for them.
    pub fn rows(&mut self, batch: usize) -> Result<()> {
        self.predictor.rows(batch)?;
        self.batch = batch;
        Ok(())
    }

    /// Puts every row back into the initial state.
    pub fn reset(&mut self) {
        self.predictor.reset();
    }

    /// Runs one step of each row. Input: ids `[B]` or values `[B, I]`; output: `[B, O]`.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length, for an id out of range, and for
    /// a network that cannot run step by step because a layer runs in reverse or pools all steps.
    pub fn step<'x>(&mut self, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        let (x, batch) = (x.into(), self.batch);
        check_shape("x", Need::ROWS_INPUTS, batch.saturating_mul(self.input()), x.len())?;
        if self.input_mask.is_some() {
            self.chain().check_steps()?;
            return self.forward(Sequences::new(1, batch), x);
        }
        let Instance { predictor, ending, ended, .. } = self;
        let width = predictor.chain().output();
        end(*ending, width, predictor.step(x)?, ended)
    }

    /// Runs a chunk of each row's sequence, which continues where the previous chunk ended. Returns
    /// `[T, B, O]`, or `[B, O]` if the network has a pool. Call [`reset`](Self::reset) before new sequences.
    /// With the feature `rayon` it uses rayon's threads.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the number of sequences differs from that of
    /// [`rows`](Self::rows), the input has another length than they need, or an id is out of range.
    pub fn forward<'x>(&mut self, sequences: Sequences<'_>, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        self.forward_by(None, sequences, x.into())
    }

    /// The same on several threads. The results have the same bits for any number of threads.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_with<'x>(
        &mut self,
        join: &dyn Join,
        sequences: Sequences<'_>,
        x: impl Into<Input<'x>>,
    ) -> Result<&[f32]> {
        self.forward_by(Some(join), sequences, x.into())
    }

    fn forward_by(
        &mut self,
        join: Option<&dyn Join>,
        sequences: Sequences<'_>,
        x: Input<'_>,
    ) -> Result<&[f32]> {
        if sequences.batch() != self.batch {
            let expected = "a batch with as many rows as the states: see `Instance::rows`";
            return Err(crate::Error::Value { argument: "sequences", expected }.into());
        }
        self.chain().check_input(sequences, x)?;
        let Instance { predictor, ending, input_mask, ended, mask, .. } = self;
        let sequences = match input_mask {
            Some(from) => masked(*from, sequences, x, mask)?,
            None => sequences,
        };
        let width = predictor.chain().output();
        let y = match join {
            Some(join) => predictor.forward_with(join, sequences, x)?,
            None => predictor.forward(sequences, x)?,
        };
        end(*ending, width, y, ended)
    }
}

/// Adds the mask from the input to the sequences. Steps that the caller masks stay masked.
fn masked<'m>(
    from: InputMask,
    sequences: Sequences<'m>,
    x: Input<'_>,
    mask: &'m mut Vec<bool>,
) -> Result<Sequences<'m>> {
    mask.clear();
    mask.resize(sequences.steps() * sequences.batch(), true);
    from.fill(x, mask)?;
    let how = match sequences.mask {
        Some((given, how)) => {
            mask.iter_mut().zip(given).for_each(|(mask, given)| *mask &= given);
            how
        }
        None => Masked::Carry,
    };
    Ok(sequences.mask(mask, how))
}

/// Applies the ending to the outputs.
fn end<'y>(ending: Ending, width: usize, y: &'y [f32], ended: &'y mut Vec<f32>) -> Result<&'y [f32]> {
    let function = match ending {
        Ending::None => return Ok(y),
        Ending::Softmax => softmax,
        Ending::LogSoftmax => log_softmax,
    };
    if ended.len() < y.len() {
        *ended = zeros("y", y.len())?;
    }
    let ended = &mut ended[..y.len()];
    function(width, y, ended)?;
    Ok(ended)
}

impl Network {
    /// The network with packed weights, ready to run. Its scales are [folded](Self::folded).
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if there is not enough memory.
    pub fn instance(&self) -> Result<Instance> {
        let has_scales = self.layers().any(|layer| matches!(layer, Layer::Scale(_)));
        let folded = has_scales.then(|| self.clone().folded());
        let network = folded.as_ref().unwrap_or(self);
        let layers: Vec<Layer> = network.layers().collect();
        let predictor = Predictor::new(Chain::new(&layers)?, network.weights())?.stateful();
        let mut instance = Instance {
            predictor: predictor.with_initial_state(self.initial_state())?,
            batch: 1,
            ending: self.ending(),
            input_mask: self.mask(),
            ended: vec![],
            mask: vec![],
        };
        instance.rows(1)?;
        Ok(instance)
    }

    /// Runs a batch of sequences from the initial state. Returns `[T, B, O]`, or `[B, O]` if the model has a
    /// pool, after its [`ending`](Self::ending). Use [`instance`](Self::instance) for more than one call.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length than the sequences need, an id
    /// is out of range, or there is not enough memory.
    pub fn run(&self, x: Input<'_>, steps: usize, batch: usize) -> Result<Vec<f32>> {
        let mut instance = self.instance()?;
        instance.rows(batch)?;
        Ok(instance.forward(Sequences::new(steps, batch), x)?.to_vec())
    }
}
