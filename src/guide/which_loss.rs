//! Which loss fits a task, and how its targets get into batches.
//!
//! A loss is a mean over the steps of a padded batch that take part, or over the sequences of a model with a
//! [pool](crate::Pool). [`Loss`](crate::model::Loss) is a loss with its targets.
//! [`forward_backward`](crate::model::Model::forward_backward) and a [`Trainer`](crate::trainer::Trainer)
//! take it.
//!
//! | what the model predicts | `Loss` | the last layer | the loss of an untrained model |
//! |---|---|---|---|
//! | one of `C` classes: the next character, the kind of a document | `CrossEntropy` | dense, `C` logits | `ln C` |
//! | the same, if classes are rare or the model gets too certain | `Classes`: weights, smoothing | the same | about `ln C` |
//! | several yes-or-no answers | `BinaryCrossEntropy` | dense, a logit for each | `ln 2` |
//! | the same, if yes is rare | `Elementwise`: [`binary`] with [`pos_weight`] | the same | |
//! | numbers | `MeanSquaredError` | dense | the targets' variance |
//! | numbers with outliers | `Elementwise`: Huber's loss, absolute errors | dense | |
//! | labels in order, at unknown steps: speech, Morse | `Ctc` | dense, the labels and a blank | |
//! | anything else | `Loss::own` | | |
//!
//! [`binary`]: crate::Elementwise::binary
//! [`pos_weight`]: crate::Elementwise::pos_weight
//!
//! Logits are the outputs of a dense layer without an activation. The losses apply softmax or sigmoid
//! themselves. Numbers are learned best if each feature has a mean of 0 and a deviation of 1.
//! [`Scale`](crate::Scale) makes this normalisation a part of the model.
//!
//! # Steps that count differently
//! Steps past the end of a sequence and masked steps never count. Classes may be
//! [ignored](crate::CrossEntropy::ignore). [`row_weights`](crate::CrossEntropy::row_weights) sets how much
//! each step counts: for example more for the last steps of a sequence, or for labels that are certain. The
//! mean is the weighted sum divided by the sum of the weights. Each batch or shard counts by the sum of its
//! weights, [`target_weight`](crate::model::Model::target_weight). The result is the mean over all data.
//!
//! # Accuracy and perplexity
//! Losses exist for their gradients; people read accuracy and perplexity. Accuracy is the share of right
//! answers. Perplexity is the number of classes between which the model still hesitates.
//! [`Trainer::measure`](crate::trainer::Trainer::measure) gives both over any number of batches.
//! [`CrossEntropy::accuracy`](crate::CrossEntropy::accuracy) and
//! [`perplexity`](crate::CrossEntropy::perplexity) give them for single outputs.
//!
//! # From rows to batches
//! Data lies in one slice, row after row. [`Rows`](crate::trainer::Rows) knows where each row begins.
//! [`split`](crate::trainer::split) sets some rows aside for validation. [`Order`](crate::trainer::Order)
//! shuffles the others and puts rows of similar length together. [`Padded`](crate::trainer::Padded) makes a
//! padded batch of them. An order depends only on a seed and the epoch;
//! [`place()`](crate::trainer::Order::place) saves the position in 16 bytes.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use recurrent::model::{Layer, Loss, Model};
//! use recurrent::trainer::{Batch, EarlyStopping, Order, Padded, Rows, Trainer, split};
//! use recurrent::train::Adam;
//! use recurrent::CrossEntropy;
//!
//! // Rows of ids, and what each is to be called: its first id again and again.
//! let lengths = [3, 5, 2, 4, 3, 6, 2, 5];
//! let ids: Vec<u32> = (0..30).map(|i| 1 + i % 4).collect();
//! let (ids, classes) = (Rows::new(&ids, &lengths, 1)?, Rows::new(&ids, &lengths, 1)?);
//!
//! let model = Model::new([Layer::embedding(5, 4), Layer::gru(4, 12), Layer::dense(12, 5)]);
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let mut trainer =
//!     Trainer::new(&model, Adam::new(0.03), &mut rng)?.clip(1.0).early_stopping(EarlyStopping::new(3));
//! let (learned, validated) = split(lengths.len(), 0.25, 1);
//! let mut order = Order::new(&lengths, 2).only(&learned).shuffled(1).bucketed(2);
//! let (mut x, mut y) = (Padded::default(), Padded::default());
//! let smoothed = CrossEntropy::new(5).ignore(0).smoothing(0.01); // 0 is the padding of the targets
//! 'training: for _ in 0..30 {
//!     while let Some(rows) = order.next() {
//!         let (x, y) = (x.fill(&ids, rows, 0)?, y.fill(&classes, rows, 0)?);
//!         let loss = Loss::Classes { targets: y.values, of: smoothed };
//!         trainer.update(Batch { sequences: x.sequences(), x: x.values.into(), loss }, &mut rng)?;
//!     }
//!     let (x, y) = (x.fill(&ids, &validated, 0)?, y.fill(&classes, &validated, 0)?);
//!     let loss = Loss::CrossEntropy { targets: y.values, ignored: Some(0) };
//!     let measures = trainer.measure([Batch { sequences: x.sequences(), x: x.values.into(), loss }])?;
//!     println!("epoch {}: loss {}, accuracy {:?}", order.place().epoch, measures.loss, measures.accuracy);
//!     if !trainer.validated(measures.loss)? {
//!         break 'training;
//!     }
//! }
//! trainer.restore_best();
//! # Ok::<(), recurrent::Error>(())
//! ```
