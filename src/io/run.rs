//! Running a model that has been read.

use std::path::Path;
use std::sync::Arc;
use std::vec;
use std::vec::Vec;

use super::error::Result;
use super::network::Network;
use super::options::ReadOptions;
use crate::error::check_len;
use crate::model::{Chain, Ending, Forward, Input, InputMask, Layer, Owned, Packed};
use crate::{Masked, Sequences, log_softmax, softmax};

/// What all instances of a network share.
struct Shared {
    model: Owned,
    packed: Packed<Vec<f32>>,
    /// Of one row.
    initial_state: Vec<f32>,
    ending: Ending,
    mask: Option<InputMask>,
}

/// A network at work: it runs on packed weights, from call to call, and keeps its states between them.
///
/// A clone has states of its own and shares the weights, so that many streams need one copy of them. It begins with the network's initial
/// states, for one row; [`rows`](Self::rows) is for more. The first call makes the buffers, later ones of the same sizes do not allocate.
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
    shared: Arc<Shared>,
    batch: usize,
    state: Vec<f32>,
    scratch: Vec<f32>,
    y: Vec<f32>,
    /// After the ending, if there is one.
    ended: Vec<f32>,
    /// Of steps that are masked by their input.
    mask: Vec<bool>,
}

impl Instance {
    /// The network of a file, ready to run.
    ///
    /// # Errors
    /// As [`ReadOptions::open`]; [`Error::Model`](super::Error::Model) if there is not enough memory.
    pub fn open(path: &Path) -> Result<Self> {
        ReadOptions::new().open(path)?.0.instance()
    }

    fn chain(&self) -> Chain<'_> {
        self.shared.model.chain()
    }

    /// Features of the input; 1 if it takes ids.
    pub fn input(&self) -> usize {
        self.chain().input()
    }

    /// Features of the output.
    pub fn output(&self) -> usize {
        self.chain().output()
    }

    /// What follows the last layer, which the outputs have gone through.
    pub fn ending(&self) -> Ending {
        self.shared.ending
    }

    /// The states, in the layout of [`Chain::state_len`]: for each recurrent layer the rows of `h`, and of an LSTM the rows of `c`.
    pub fn state(&self) -> &[f32] {
        &self.state
    }

    /// Goes on from these states.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if `state` is not as long as [`state`](Self::state).
    pub fn set_state(&mut self, state: &[f32]) -> Result<()> {
        check_len("state", self.state.len(), state.len())?;
        self.state.copy_from_slice(state);
        Ok(())
    }

    /// Begins anew, with so many rows, each in the initial state.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if there is not enough memory for them.
    pub fn rows(&mut self, batch: usize) -> Result<()> {
        let len = self.chain().state_len(batch);
        fit(&mut self.state, "state", len)?;
        self.state.truncate(len);
        self.batch = batch;
        self.reset();
        Ok(())
    }

    /// Begins anew, from the initial state.
    pub fn reset(&mut self) {
        let Instance { shared, batch, state, .. } = self;
        if shared.initial_state.is_empty() {
            state.fill(0.0);
        } else {
            // Both have been made as long as they have to be.
            let _ = shared.model.chain().repeat_state(&shared.initial_state, *batch, state);
        }
    }

    /// One step of each row: ids `[B]` or values `[B, I]` in, `[B, O]` out.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length, for an id out of range, and for a network that cannot go step
    /// by step because a layer runs in reverse or pools all steps.
    pub fn step<'x>(&mut self, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        let (x, batch) = (x.into(), self.batch);
        if self.shared.mask.is_some() {
            self.chain().check_steps()?;
            return self.forward(Sequences::new(1, batch), x);
        }
        check_len("x", batch.saturating_mul(self.input()), x.len())?;
        let len = self.prepare(1)?;
        let Instance { shared, state, scratch, y, .. } = self;
        shared.model.chain().step(&shared.packed, x, &mut y[..len], state, scratch)?;
        self.end(len)
    }

    /// A chunk of each row's sequence, which goes on where the one before it ended: `[T, B, O]` out, or `[B, O]` of a network with a pool.
    /// Sequences that do not belong together begin with [`reset`](Self::reset).
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the sequences are not as many as [`rows`](Self::rows), the input has another length than they
    /// ask for, or an id is out of range.
    pub fn forward<'x>(&mut self, sequences: Sequences<'_>, x: impl Into<Input<'x>>) -> Result<&[f32]> {
        let x = x.into();
        if sequences.batch() != self.batch {
            let expected = "as many rows as the states are for: see `Instance::rows`";
            return Err(crate::Error::Value { argument: "sequences", expected }.into());
        }
        self.chain().check_input(sequences, x)?;
        let len = self.prepare(sequences.steps())?;
        let Instance { shared, state, scratch, y, mask, .. } = self;
        let sequences = match shared.mask {
            Some(from) => {
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
                sequences.mask(mask, how)
            }
            None => sequences,
        };
        let args = Forward { sequences, x, y: &mut y[..len], state, scratch };
        shared.model.chain().forward(&shared.packed, args)?;
        self.end(len)
    }

    /// Makes the buffers long enough, and says how long the output is.
    fn prepare(&mut self, steps: usize) -> Result<usize> {
        let (output, scratch) =
            (self.chain().output_len(steps, self.batch), self.chain().scratch_len(steps, self.batch));
        fit(&mut self.y, "y", output)?;
        fit(&mut self.scratch, "scratch", scratch)?;
        if self.ending() != Ending::None {
            fit(&mut self.ended, "y", output)?;
        }
        Ok(output)
    }

    /// The outputs after what follows the last layer.
    fn end(&mut self, len: usize) -> Result<&[f32]> {
        let width = self.output();
        let function = match self.ending() {
            Ending::None => return Ok(&self.y[..len]),
            Ending::Softmax => softmax,
            Ending::LogSoftmax => log_softmax,
        };
        function(width, &self.y[..len], &mut self.ended[..len])?;
        Ok(&self.ended[..len])
    }
}

/// Makes a buffer at least so long.
fn fit(buffer: &mut Vec<f32>, name: &'static str, len: usize) -> Result<()> {
    if buffer.len() < len {
        buffer.try_reserve_exact(len - buffer.len()).map_err(|_| crate::Error::Memory { buffer: name })?;
        buffer.resize(len, 0.0);
    }
    Ok(())
}

impl Network {
    /// The network with packed weights, ready to run.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if there is not enough memory.
    pub fn instance(&self) -> Result<Instance> {
        let layers: Vec<Layer> = self.layers().collect();
        let chain = Chain::new(&layers)?;
        let mut panels = Vec::new();
        fit(&mut panels, "packed", chain.packed_len())?;
        let packed = chain.pack(self.weights(), panels)?;
        let shared = Shared {
            model: Owned::new(chain),
            packed,
            initial_state: self.initial_state().to_vec(),
            ending: self.ending(),
            mask: self.mask(),
        };
        let (state, scratch, y, ended) = (vec![], vec![], vec![], vec![]);
        let mut instance =
            Instance { shared: Arc::new(shared), batch: 1, state, scratch, y, ended, mask: vec![] };
        instance.rows(1)?;
        Ok(instance)
    }

    /// The output for a batch of sequences, from the initial state: `[T, B, O]`, or `[B, O]` if the model has a pool;
    /// after its [`ending`](Self::ending). [`instance`](Self::instance) is for more than one call.
    ///
    /// # Errors
    /// [`Error::Model`](super::Error::Model) if the input has another length than the sequences ask for, or an id is out of range,
    /// or there is not enough memory.
    pub fn run(&self, x: Input<'_>, steps: usize, batch: usize) -> Result<Vec<f32>> {
        let mut instance = self.instance()?;
        instance.rows(batch)?;
        Ok(instance.forward(Sequences::new(steps, batch), x)?.to_vec())
    }
}
