//! The public passes.

use rand_core::Rng;

use super::args::{Backward, Forward, ForwardTrain, Input, Training};
use super::array::Model;
#[cfg(target_os = "none")]
use super::{forward, halves, train};
use crate::error::Result;
use crate::layer::packed::{Packed, WeightSource};
use crate::layer::{Join, Sequences};
use crate::loss::Loss;

/// Runs a pass of a constant model. Usually it runs over the slice of layers, so that all models share its
/// code. In firmware it runs over the array, so that the compiler knows each layer and drops unused code.
macro_rules! run {
    ($model:ident, $floor:ident::$pass:ident($($arg:expr),*)) => {{
        #[cfg(target_os = "none")]
        {
            $floor::$pass(&$model.layers, $model.chain() $(, $arg)*)
        }
        #[cfg(not(target_os = "none"))]
        {
            $model.chain().$pass($($arg),*)
        }
    }};
}

impl<const N: usize> Model<N> {
    /// Arranges canonical weights for the instruction set, in a buffer of [`packed_len`](Self::packed_len)
    /// elements. Pack once after loading or changing weights, then run any number of passes.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`
    /// or `packed`.
    #[inline(always)]
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        self.chain().pack_by(weights, packed, |to| run!(self, forward::pack_into(weights, to)))
    }

    /// Runs a batch of sequences from given states. Writes the outputs, and replaces the states by the last
    /// ones.
    ///
    /// A call for each chunk of the sequences, or [`step`](Self::step) for each step, gives the same bits, if
    /// no layer runs in reverse and there is no pool. Dropout has no effect.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer; [`Error::Index`](crate::Error::Index) for an id that is not below the embedding's
    /// classes; [`Error::Value`](crate::Error::Value) for values instead of ids, or the reverse;
    /// [`Error::Packing`](crate::Error::Packing) if the weights were packed for another model.
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
    #[inline(always)]
    pub fn forward<'w>(&self, weights: impl Into<WeightSource<'w>>, args: Forward<'_>) -> Result<()> {
        let weights = weights.into();
        #[cfg(target_os = "none")]
        {
            forward::forward(&self.layers, self.chain(), None, weights, args)
        }
        #[cfg(not(target_os = "none"))]
        {
            self.chain().forward(weights, args)
        }
    }

    /// The same on several threads. If there is enough work, the rows of the batch, or the units of large
    /// layers, are divided among the threads, and both directions of a layer run at the same time. So do
    /// successive recurrent layers of which neither rows nor units are divided, as in
    /// [`Stack::forward_with`](crate::Stack::forward_with). The results have the same bits. `scratch` has at
    /// least [`scratch_len_with`](Self::scratch_len_with) elements.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    ///
    /// ```
    /// use recurrent::{Join, Sequences, Threads, model::{Forward, Layer, Model}};
    /// const MODEL: Model<2> = Model::new([Layer::gru(8, 16), Layer::dense(16, 4)]);
    /// let (steps, batch) = (50, 32);
    /// let (weights, x) = (vec![0.1; MODEL.weights_len()], vec![1.0; steps * batch * 8]);
    /// let (mut y, mut state) = (vec![0.0; MODEL.output_len(steps, batch)], vec![0.0; MODEL.state_len(batch)]);
    /// let mut scratch = vec![0.0; MODEL.scratch_len_with(Threads.threads(), steps, batch)];
    /// let sequences = Sequences::new(steps, batch);
    /// let args = Forward { sequences, x: (&x).into(), y: &mut y, state: &mut state, scratch: &mut scratch };
    /// MODEL.forward_with(&Threads, &weights, args)?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn forward_with<'w>(
        &self,
        join: &dyn Join,
        weights: impl Into<WeightSource<'w>>,
        args: Forward<'_>,
    ) -> Result<()> {
        self.chain().forward_with(join, weights, args)
    }

    /// Runs one step of each row: takes ids `[B]` or values `[B, I]`, and writes `y [B, O]`. The length of
    /// `x` determines the number of rows. Microcontrollers run steps from canonical weights, which can stay
    /// in flash.
    ///
    /// `scratch` has at least [`scratch_len(1, B)`](Self::scratch_len) elements. If the model ends in the
    /// [last step](crate::Pool::Last), each step gives the output for a sequence that ends there.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward); [`Error::Layers`](crate::Error::Layers) for a model that cannot
    /// run step by step, because it has a layer in reverse or in both directions, or a pool over all steps.
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
        weights: impl Into<WeightSource<'w>>,
        x: impl Into<Input<'x>>,
        y: &mut [f32],
        state: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let (weights, x) = (weights.into(), x.into());
        run!(self, forward::step(weights, x, y, state, scratch))
    }

    /// Computes the mean loss of a batch of sequences and its gradients, and replaces the states by the last
    /// ones. For one of several batches, [`total_targets`](Training::total_targets) makes them shares of the
    /// mean over all batches.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) with the name
    /// of the buffer; [`Error::Index`](crate::Error::Index) for an id that is not below the embedding's
    /// classes or a target that is not below the outputs; [`Error::Value`](crate::Error::Value) for values
    /// instead of ids, or the reverse, for a probability of recurrent dropout that no layer uses, and for
    /// fewer targets in total than in this batch.
    ///
    /// ```
    /// use recurrent::{Sequences, model::{Layer, Loss, Model, Training}, train::{Adam, clip_scale}};
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// const MODEL: Model<3> = Model::new([Layer::embedding(5, 4), Layer::gru(4, 8), Layer::dense(8, 5)]);
    /// let (steps, batch) = (6, 2);
    /// let (mut weights, mut grads) = (vec![0.0; MODEL.weights_len()], vec![0.0; MODEL.weights_len()]);
    /// let (mut tape, mut state) = (vec![0.0; MODEL.tape_len(steps, batch)], vec![0.0; MODEL.state_len(batch)]);
    /// let mut scratch = vec![0.0; MODEL.train_scratch_len(steps, batch)];
    /// let (mut adam, mut moments) = (Adam::new(0.02), vec![0.0; Adam::moments_len(weights.len())]);
    /// MODEL.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let x = [0, 1, /**/ 1, 2, /**/ 2, 3, /**/ 3, 4, /**/ 4, 0, /**/ 0, 1]; // [T, B]
    /// let next = x.map(|id| (id + 1) % 5);
    /// let mut losses = vec![];
    /// for _ in 0..40 {
    ///     state.fill(0.0);
    ///     losses.push(MODEL.forward_backward(&weights, Training {
    ///         sequences: Sequences::new(steps, batch), x: (&x).into(), loss: Loss::classes(&next),
    ///         grads: &mut grads, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
    ///     })?);
    ///     if let Some(clip) = clip_scale(&grads, 5.0)? {
    ///         adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale)?;
    ///     }
    /// }
    /// assert!(losses[0] > 1.3 && losses[39] < 0.3);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward_backward(&self, weights: &[f32], args: Training<'_>) -> Result<f32> {
        #[cfg(target_os = "none")]
        {
            train::forward_backward(&self.layers, self.chain(), None, weights, args)
        }
        #[cfg(not(target_os = "none"))]
        {
            self.chain().forward_backward(weights, args)
        }
    }

    /// The same on several threads, as [`forward_with`](Self::forward_with). The loss and the gradients have
    /// the same bits for any number of threads: each gradient is one sum over all rows, in one order.
    /// `scratch` has at least [`train_scratch_len_with`](Self::train_scratch_len_with) elements.
    ///
    /// # Errors
    /// Those of [`forward_backward`](Self::forward_backward).
    pub fn forward_backward_with(&self, join: &dyn Join, weights: &[f32], args: Training<'_>) -> Result<f32> {
        self.chain().forward_backward_with(join, weights, args)
    }

    /// The first half of a training pass, for a program that computes its loss itself: writes the outputs and
    /// a tape, and replaces the states by the last ones. [`backward`](Self::backward) is the second half.
    ///
    /// To compute the loss in a function that the pass calls, use [`Loss::own`].
    ///
    /// # Errors
    /// Those of [`forward_backward`](Self::forward_backward) about the input, the dropout and the buffers.
    ///
    /// ```
    /// use recurrent::{Sequences, model::{Backward, ForwardTrain, Layer, Model}};
    /// const MODEL: Model<2> = Model::new([Layer::gru(2, 4), Layer::dense(4, 1)]);
    /// let (steps, sequences) = (3, Sequences::new(3, 1));
    /// let (weights, mut grads) = ([0.1; MODEL.weights_len()], [0.0; MODEL.weights_len()]);
    /// let (mut y, mut dy, mut dx) = ([0.0; 3], [0.0; 3], [0.0; 3 * 2]);
    /// let (mut state, mut tape) = ([0.0; MODEL.state_len(1)], vec![0.0; MODEL.tape_len(steps, 1)]);
    /// let mut scratch = vec![0.0; MODEL.backward_scratch_len(steps, 1)];
    /// let x = (&[1.0, 0.0, /**/ 0.5, 0.5, /**/ 0.0, 1.0]).into();
    /// MODEL.forward_train(&weights, ForwardTrain {
    ///     sequences, x, y: &mut y, state: &mut state, tape: &mut tape, scratch: &mut scratch, ..Default::default()
    /// })?;
    /// // The sum of the squares of the differences of neighbouring steps.
    /// for t in 1..steps {
    ///     let apart = 2.0 * (y[t] - y[t - 1]);
    ///     dy[t] += apart;
    ///     dy[t - 1] -= apart;
    /// }
    /// MODEL.backward(&weights, Backward {
    ///     sequences, x, dy: &dy, dx: Some(&mut dx), grads: &mut grads, tape: &mut tape, scratch: &mut scratch,
    ///     ..Default::default()
    /// })?;
    /// assert!(grads[0] != 0.0 && dx[0] != 0.0);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward_train(&self, weights: &[f32], args: ForwardTrain<'_>) -> Result<()> {
        run!(self, halves::forward_train(weights, args))
    }

    /// The second half: backpropagation through time from the gradient of the output, with the tape of
    /// [`forward_train`](Self::forward_train). Writes the gradients of the weights, and if asked for those of
    /// the input and of the initial states.
    ///
    /// The sequences, the input, the weights and the dropout are those of the forward pass. For sequences
    /// that are cut into chunks, go backward from the last chunk to the first, and pass `dstate` on: the
    /// gradients are then those of whole sequences. Each chunk has its own tape.
    ///
    /// # Errors
    /// Those of [`forward_train`](Self::forward_train); [`Error::Value`](crate::Error::Value) if the gradient
    /// of ids is asked for.
    #[inline(always)]
    pub fn backward(&self, weights: &[f32], args: Backward<'_>) -> Result<()> {
        run!(self, halves::backward(weights, args))
    }

    /// Draws PyTorch's initial weights, layer by layer.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    #[inline(always)]
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        run!(self, train::init(weights, rng))
    }

    /// The number of targets that count in a batch: the steps that take part, or the sequences of a model
    /// with a pool, without those whose class is ignored. A target of several numbers counts once.
    ///
    /// The mean loss of a batch is a sum divided by this number. To add up gradients of several batches, use
    /// [`total_targets`](Training::total_targets). A batch without targets has gradients of zero. Do not
    /// update the weights with them: weight decay would still change the weights.
    ///
    /// # Errors
    /// Those of [`forward_backward`](Self::forward_backward) about the sequences and the targets.
    ///
    /// ```
    /// use recurrent::{Sequences, model::{Layer, Loss, Model}};
    /// const MODEL: Model<2> = Model::new([Layer::gru(1, 4), Layer::dense(4, 3)]);
    /// let sequences = Sequences::new(3, 2).lengths(&[3, 1]);
    /// let targets = [0, 2, /**/ 1, 0, /**/ 9, 0]; // [T, B]
    /// let loss = Loss::CrossEntropy { targets: &targets, ignored: Some(9) };
    /// assert_eq!(MODEL.targets(sequences, loss)?, 3);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn targets(&self, sequences: Sequences<'_>, loss: Loss<'_>) -> Result<usize> {
        self.chain().targets(sequences, loss)
    }

    /// The sum of the weights of a batch's targets: the divisor of its mean loss. It is the number of
    /// [targets](Self::targets), or the sum of their weights if the loss has weights. With [`Loss::Ctc`] it
    /// is the number of rows.
    ///
    /// # Errors
    /// Those of [`targets`](Self::targets).
    ///
    /// ```
    /// use recurrent::{CrossEntropy, Sequences, model::{Layer, Loss, Model}};
    /// const MODEL: Model<2> = Model::new([Layer::gru(1, 4), Layer::dense(4, 2)]);
    /// let of = CrossEntropy::new(2).class_weights(&[0.5, 2.0]);
    /// let loss = Loss::Classes { targets: &[0, 1, 1], of };
    /// assert_eq!(MODEL.target_weight(Sequences::new(3, 1), loss)?, 4.5);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn target_weight(&self, sequences: Sequences<'_>, loss: Loss<'_>) -> Result<f64> {
        self.chain().target_weight(sequences, loss)
    }

    /// Draws the factors of dropout for one training pass, in a buffer of [`dropout_len`](Self::dropout_len)
    /// elements.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `factors`;
    /// [`Error::Value`](crate::Error::Value) for the probability of recurrent dropout: it must be in `0..1`.
    /// If a layer was made with recurrent dropout, it must be [set](Self::recurrent_dropout); otherwise it
    /// must be 0.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// use recurrent::model::{Layer, Model};
    /// const MODEL: Model<3> = Model::new([Layer::gru(2, 8), Layer::Dropout(0.5), Layer::dense(8, 1)]);
    /// let mut factors = [0.0; MODEL.dropout_len(10, 4)];
    /// MODEL.draw_dropout(&mut factors, 10, 4, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// assert!(factors.iter().all(|f| *f == 0.0 || *f == 2.0));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn draw_dropout(
        &self,
        factors: &mut [f32],
        steps: usize,
        batch: usize,
        rng: &mut impl Rng,
    ) -> Result<()> {
        self.chain().draw_dropout(factors, steps, batch, rng)
    }
}
