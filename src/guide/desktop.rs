//! Training on a desktop: a model in a constant, a trainer that owns the buffers, a file, a prediction.
//!
//! Five steps, which are one program. It learns whether a sequence of readings rises more often than it falls.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::{Rng, SeedableRng}};
//! use recurrent::model::{Layer, Loss, Model};
//! use recurrent::train::{AdamW, Cosine};
//! use recurrent::trainer::{Batch, Trainer};
//! use recurrent::{Gru, Merge, Pool, Sequences, Stack};
//!
//! // 1. The model: layers from the input to the output. In a constant, sizes that do not fit do not compile.
//! const MODEL: Model<4> = Model::new([
//!     Layer::Gru(Stack::new(Gru::new(1, 8)).bidirectional(Merge::Concat)),
//!     Layer::Pool(Pool::Mean), // one row out of the steps of each sequence
//!     Layer::Dropout(0.1),
//!     Layer::dense(16, 1),
//! ]);
//!
//! // 2. The trainer: initial weights, an optimiser, a schedule of its learning rate, a limit of the gradients' norm.
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let schedule = Cosine::new(2e-2, 200).warmup(10);
//! let mut trainer = Trainer::new(&MODEL, AdamW::new(0.0), &mut rng)?.rate(schedule).clip(1.0);
//!
//! // 3. Batches: sequences, what goes in, what should come out.
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
//! // 4. What has come of it, on data that it has not seen. Dropout does nothing here.
//! let (x, targets) = draw();
//! let loss = Loss::BinaryCrossEntropy { targets: &targets };
//! assert!(trainer.evaluate(Batch { sequences, x: (&x).into(), loss })? < 0.4);
//!
//! // 5. Save it with all that it takes to go on, and predict.
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
//! A [`Layer`](crate::model::Layer) is an embedding (first; then the model takes ids), a stack of RNN, LSTM, GRU or MGU layers, a dense layer, a
//! [`Pool`](crate::Pool), or dropout. Options are those of the layers' own types: `Layer::Lstm(Stack::new(Lstm::new(8, 16).peepholes()).layers(2))`.
//! Layers that are known only when the program runs are a [`Chain`](crate::model::Chain) over a slice of any length: it has the same passes,
//! and [`Chain::new`](crate::model::Chain::new) returns an error where [`Model::new`](crate::model::Model::new) panics. A trainer takes either. What is no chain of layers (an encoder and
//! a decoder, [`Attention`](crate::Attention), several inputs) is made of the layers themselves: the example `seq2seq` does that.
//!
//! The last layer gives logits or numbers, not probabilities. The [`Loss`](crate::model::Loss) has the softmax or the sigmoid in it.
//!
//! | task | last layers | loss |
//! |---|---|---|
//! | a class for each step, or what comes next | dense | [`CrossEntropy`](crate::model::Loss::CrossEntropy) of `[T, B]` ids |
//! | a class for each sequence | pool, dense | the same of `[B]` ids |
//! | labels in order, but not at which steps | dense, with a class for the blank | [`Ctc`](crate::model::Loss::Ctc) |
//! | yes or no | (pool,) dense | [`BinaryCrossEntropy`](crate::model::Loss::BinaryCrossEntropy) |
//! | numbers | (pool,) dense | [`MeanSquaredError`](crate::model::Loss::MeanSquaredError) |
//!
//! # Optimisers and schedules
//! [`Sgd`](crate::train::Sgd), [`RmsProp`](crate::train::RmsProp), [`Adam`](crate::train::Adam) and [`AdamW`](crate::train::AdamW) have
//! PyTorch's equations and defaults, as fields that can be changed. A schedule is a function of the number of updates:
//! [`Cosine`](crate::train::Cosine), [`Steps`](crate::train::Steps), a constant, or [any function](crate::trainer::Trainer::rate_by), each with a
//! [warm-up](crate::trainer::Trainer::warmup); without one the optimiser's own `lr` counts.
//!
//! # Weights before the first update
//! PyTorch's, drawn from the generator that [`Trainer::new`](crate::trainer::Trainer::new) is given.
//! [`weights_mut`](crate::trainer::Trainer::weights_mut) changes them: the example `memory` opens the forget gate of an LSTM and makes the
//! recurrent weights of an RNN orthogonal.
//!
//! # Saving
//! | what | how |
//! |---|---|
//! | a training, to go on | [`save`](crate::trainer::Trainer::save), [`load`](crate::trainer::Trainer::load): weights, a learned initial state, moments, states, the number of updates, an average, the best weights, and [what the program attaches](crate::trainer::Trainer::attach). It goes on to the bit if the program has the same settings, and restores the generators of dropout and of its batches |
//! | a model, for firmware or another program | [`image::write`](crate::image::write()), with a learned initial state [`image::write_with`](crate::image::write_with) |
//! | a model, for PyTorch or as Rust source | [`io::write`](crate::io::write), feature `io` |
//! | weights alone | [`weights`](crate::trainer::Trainer::weights) is a slice of `f32`: any way to write one |
//!
//! # Long streams
//! A [`stateful`](crate::trainer::Trainer::stateful) trainer carries the states of the rows from batch to batch: truncated backpropagation, as
//! [`training_through_time`](super::training_through_time) draws it. [`Sequences::resets`](crate::Sequences::resets) says where a row
//! begins something new; a [`Predictor`](crate::trainer::Predictor) can be stateful, too. The example `char_rnn` is built this way.
//!
//! # Threads
//! With the feature `rayon` an update of a trainer, and a pass of a [`Predictor`](crate::trainer::Predictor),
//! run on the threads of the pool that they are called in. Rows of a batch are independent forward and
//! backward, so that each thread takes some of them; the gradients of the weights are sums over all rows, so
//! that there each thread takes some of the weights. Nothing is copied for a thread, and nothing is added up
//! afterwards: the results have the same bits with any number of threads. A thread has 4 rows or more, and
//! enough work that handing it over takes a few per cent of it; smaller batches stay on one thread.
//!
//! Without these, passes over sequences have a twin whose name ends in `_with`, say
//! [`Model::forward_with`](crate::model::Model::forward_with). It takes the threads: `Rayon`,
//! [`Threads`](crate::Threads), or a pool of your own, by a trait of two functions, [`Join`](crate::Join).
//! Its scratch is as long as `scratch_len_with` says for so many threads. Passes on rayon allocate nothing if
//! they are called in its pool; from outside they are handed over by a queue that allocates now and then.
//!
//! # If it does not learn
//! [`why_it_does_not_learn`](super::why_it_does_not_learn) has the questions in their order. In short:
//!
//! Look at [`Update::norm`](crate::trainer::Update::norm): always far above the clip asks for a smaller rate, near 0 for gates that begin open or
//! shorter sequences. Targets of the wrong shape are refused, but not those of the wrong order: a time-major target with a batch-major
//! input has the right length. And can it learn 32 examples by heart? If not, it is not the lack of data.
