//! Training on a desktop: a model in a constant, a trainer that owns the buffers, a file, a prediction.
//!
//! The following program has five parts. It learns whether a sequence of readings rises more often than it
//! falls.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::{Rng, SeedableRng}};
//! use recurrent::prelude::*;
//!
//! // 1. The model: layers from the input to the output. As a constant, it compiles only if the sizes fit.
//! const MODEL: Model<4> = Model::new([
//!     Layer::Gru(Stack::new(Gru::new(1, 8)).bidirectional(Merge::Concat)),
//!     Layer::Pool(Pool::Mean), // reduces the steps of each sequence to one row
//!     Layer::Dropout(0.1),
//!     Layer::dense(16, 1),
//! ]);
//!
//! // 2. The trainer: initial weights, an optimiser, a learning-rate schedule, a limit for the gradients' norm.
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let schedule = Cosine::new(2e-2, 200).warmup(10);
//! let mut trainer = Trainer::new(&MODEL, AdamW::new(0.0), &mut rng)?.rate(schedule).clip(1.0);
//!
//! // 3. Batches: sequences, inputs, and targets.
//! let (steps, batch) = (12, 32);
//! let mut draw = || {
//!     let x: Vec<f32> = (0..batch * steps).map(|_| (rng.next_u32() >> 8) as f32 / (1 << 24) as f32).collect(); // [B, T, 1]
//!     let rises = |row: &[f32]| row.windows(2).filter(|two| two[0] < two[1]).count() > steps / 2;
//!     let targets: Vec<f32> = x.chunks(steps).map(|row| f32::from(rises(row))).collect();
//!     (x, targets)
//! };
//! let sequences = Sequences::new(steps, batch).batch_major();
//! let mut of_dropout = Xoshiro256PlusPlus::seed_from_u64(2);
//! for _ in 0..200 {
//!     let (x, targets) = draw();
//!     let loss = Loss::BinaryCrossEntropy { targets: &targets };
//!     let update = trainer.update(Batch { sequences, x: (&x).into(), loss }, &mut of_dropout)?;
//!     assert!(update.norm.is_some()); // None: a gradient was not finite, and the update was skipped
//! }
//!
//! // 4. Evaluate the model on data that it has not seen. Dropout is off here.
//! let (x, targets) = draw();
//! let loss = Loss::BinaryCrossEntropy { targets: &targets };
//! assert!(trainer.evaluate(Batch { sequences, x: (&x).into(), loss })? < 0.4);
//!
//! // 5. Save the training, load it into another trainer, and predict.
//! let folder = tempfile::tempdir()?;
//! trainer.save(folder.path().join("rises.training"))?;
//! let mut again = Trainer::new(&MODEL, AdamW::new(0.0), &mut rng)?.rate(schedule).clip(1.0);
//! again.load(folder.path().join("rises.training"))?;
//! let mut predictor = again.predictor()?;
//! let logits = predictor.forward(Sequences::new(3, 1), &[0.1, 0.5, 0.9])?;
//! println!("rises with probability {}", 1.0 / (1.0 + (-logits[0]).exp()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Models
//! A [`Layer`](crate::model::Layer) is an embedding (as the first layer; then the model takes ids), a stack
//! of RNN, LSTM, GRU or MGU layers, a dense layer, an activation, a scale, a residual connection, a
//! [`Pool`](crate::Pool), or dropout. Options are set on the types of the layers:
//! `Layer::Lstm(Stack::new(Lstm::new(8, 16).peepholes()).layers(2))`. If the layers are known only at run
//! time, use a [`Chain`](crate::model::Chain) over a slice of any length. It has the same passes, and
//! [`Chain::new`](crate::model::Chain::new) returns an error where [`Model::new`](crate::model::Model::new)
//! panics. A trainer takes either. If a network is not a chain of layers (an encoder and a decoder,
//! [`Attention`](crate::Attention), several inputs), call the layers yourself, as the example `seq2seq` does.
//!
//! The last layer outputs logits or numbers, not probabilities. The [`Loss`](crate::model::Loss) contains the
//! softmax or the sigmoid.
//!
//! | task | last layers | loss |
//! |---|---|---|
//! | a class for each step, or the next class | dense | [`CrossEntropy`](crate::model::Loss::CrossEntropy) of `[T, B]` ids |
//! | a class for each sequence | pool, dense | the same of `[B]` ids |
//! | labels in order, without the steps at which they occur | dense, with a class for the blank | [`Ctc`](crate::model::Loss::Ctc) |
//! | yes or no | (pool,) dense | [`BinaryCrossEntropy`](crate::model::Loss::BinaryCrossEntropy) |
//! | numbers | (pool,) dense | [`MeanSquaredError`](crate::model::Loss::MeanSquaredError) |
//!
//! # Optimisers and schedules
//! [`Sgd`](crate::train::Sgd), [`RmsProp`](crate::train::RmsProp), [`Adam`](crate::train::Adam) and
//! [`AdamW`](crate::train::AdamW) have PyTorch's equations and defaults. Settings are public fields. A
//! schedule is a function of the number of updates: [`Cosine`](crate::train::Cosine),
//! [`Steps`](crate::train::Steps), a constant, or [any function](crate::trainer::Trainer::rate_by). Each can
//! have a [warm-up](crate::trainer::Trainer::warmup). Without a schedule, the `lr` of the optimiser is used.
//!
//! # Weights before the first update
//! Initial weights have PyTorch's distributions. They are drawn from the generator that
//! [`Trainer::new`](crate::trainer::Trainer::new) receives.
//! [`weights_mut`](crate::trainer::Trainer::weights_mut) changes them: the example `memory` opens the forget
//! gate of an LSTM and makes the recurrent weights of an RNN orthogonal.
//!
//! # Saving
//! | what | how |
//! |---|---|
//! | a training, to continue it | [`save`](crate::trainer::Trainer::save), [`load`](crate::trainer::Trainer::load): weights, a learned initial state, moments, states, the number of updates, an average, the best weights, and [what the program attaches](crate::trainer::Trainer::attach). It continues with the same bits if the program has the same settings, and restores the generators of dropout and of its batches |
//! | a model, for firmware or another program | [`image::write`](crate::image::write()), with a learned initial state [`image::write_with`](crate::image::write_with) |
//! | a model, for PyTorch or as Rust source | [`io::write`](crate::io::write), feature `io` |
//! | weights alone | [`weights`](crate::trainer::Trainer::weights) is a slice of `f32`: write it in any way |
//!
//! # Long streams
//! A [`stateful`](crate::trainer::Trainer::stateful) trainer carries the states of the rows from batch to
//! batch. This is truncated backpropagation: see [`training_through_time`](super::training_through_time).
//! [`Sequences::resets`](crate::Sequences::resets) marks where a row begins a new sequence. A
//! [`Predictor`](crate::trainer::Predictor) can be stateful, too. The example `char_rnn` works this way.
//!
//! # Threads
//! With the feature `rayon`, updates of a trainer and passes of a [`Predictor`](crate::trainer::Predictor)
//! run on the threads of the pool that they are called in. Rows of a batch are independent, forward and
//! backward, so each thread takes some rows. Gradients of weights are sums over all rows, so there each
//! thread takes some weights. Nothing is copied for a thread, and nothing is added up afterwards: the results
//! have the same bits with any number of threads. A thread gets at least 4 rows, and enough work that handing
//! it over takes only a few per cent of the time. Smaller batches stay on one thread.
//!
//! A single stream of a large layer uses threads, too: in each step, each thread takes some units. This pays
//! from about 400,000 hidden weights on, which are 320 units of an LSTM, 370 of a GRU or 630 of an RNN. On two
//! threads a step then takes 0.55 to 0.7 of the time of one (Zen 5, `cargo bench --bench threads --features
//! rayon`). From two million hidden weights on, batches are divided in this way, too, because then each thread
//! reads only its own weights. Both need panels of `f32` or 8 bits ([`pack`](crate::Recurrent::pack)), and a
//! `Join` that [is quick](crate::Join::is_quick).
//!
//! Smaller layers on top of each other run at the same time: while one computes a block of steps, the layer
//! below computes the next block. This is for inference of stacks, and of successive recurrent layers of a
//! model, in the forward direction, from packed weights and with a quick `Join`. It pays from about 50 million
//! multiply-adds in each layer on. Two LSTM layers of 256 units over one stream then take 0.63 to 0.87 of the
//! time of one thread on two with 100 steps, and 0.56 to 0.85 with 1,000, depending on whether threads fall
//! asleep in between (Zen 5).
//!
//! Layers, stacks and models have passes whose names end in `_with`, for example
//! [`Model::forward_with`](crate::model::Model::forward_with). They take the threads as an argument: `Rayon`,
//! [`Threads`](crate::Threads), or a pool of your own that implements the trait [`Join`](crate::Join).
//! `scratch_len_with` gives the length of scratch for a number of threads. Passes on rayon do not allocate if
//! they are called inside its pool. Calls from outside go through a queue that allocates now and then.
//!
//! # Several machines
//! [`Distributed`](crate::trainer::Distributed) is data-parallel training: several processes make each update
//! together. Each process has some rows of the batch. They add their gradients in a binary tree, through your
//! implementation of the trait [`Communicator`](crate::trainer::Communicator). So 1, 2, 4 or 8 processes give
//! the same bits, and a training can continue with another number of them. The example `cluster` uses MPI. It
//! saves checkpoints, and its page says what to expect of 10, 100 and 1,000 nodes.
//!
//! # If it does not learn
//! [`why_it_does_not_learn`](super::why_it_does_not_learn) has the questions in their order. In short:
//!
//! Look at [`Update::norm`](crate::trainer::Update::norm). If it is always far above the clip, use a smaller
//! rate. If it is near 0, use gates that begin open, or shorter sequences. Targets of the wrong shape are
//! rejected, but a wrong order is not noticed: time-major targets beside a batch-major input have the right
//! length. Finally, test whether the model can learn 32 examples by heart. If it cannot, more data will not
//! help.
