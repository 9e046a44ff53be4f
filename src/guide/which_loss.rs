//! Which loss fits what is to be learned, and how its targets get into batches.
//!
//! A loss is a mean over what counts: over the steps of a padded batch that take part, or over the sequences
//! of a model with a [pool](crate::Pool). [`Loss`](crate::model::Loss) is one with its targets, for
//! [`forward_backward`](crate::model::Model::forward_backward) and for a
//! [`Trainer`](crate::trainer::Trainer).
//!
//! | what comes out | `Loss` | the last layer | the loss of a model that knows nothing |
//! |---|---|---|---|
//! | one of `C` classes: the next character, the kind of a document | `CrossEntropy` | dense, `C` logits | `ln C` |
//! | the same, with rare classes, or too certain of itself | `Classes`: weights, smoothing | the same | about `ln C` |
//! | several answers of yes or no | `BinaryCrossEntropy` | dense, a logit for each | `ln 2` |
//! | the same, and yes is rare | `Elementwise`: [`binary`] with [`pos_weight`] | the same | |
//! | numbers | `MeanSquaredError` | dense | the targets' variance |
//! | numbers, some of which are far off | `Huber`, `MeanAbsoluteError` | dense | |
//! | labels in order, whose steps nobody knows: speech, Morse | `Ctc` | dense, the labels and a blank | |
//! | anything else | `Loss::own` | | |
//!
//! [`binary`]: crate::Elementwise::binary
//! [`pos_weight`]: crate::Elementwise::pos_weight
//!
//! Logits are what a dense layer gives without an activation: the losses have softmax and sigmoid in them.
//! Numbers learn best if each feature has a mean of 0 and a deviation of 1; [`Scale`](crate::Scale) takes
//! that into the model.
//!
//! # Steps that count differently
//! Steps past the end of a sequence and masked ones never count, and classes may be
//! [ignored](crate::CrossEntropy::ignore). With [`row_weights`](crate::CrossEntropy::row_weights) each step
//! counts as it should: the last ones of a sequence more than the first, the sure labels more than the
//! doubtful. The mean is divided by the sum of the weights. Gradients of several batches and of shards are
//! weighed by this sum, so that they come to the mean over all:
//! [`target_weight`](crate::model::Model::target_weight).
//!
//! # Accuracy and perplexity
//! A loss is for gradients. People read the part of answers that are right, and among how many classes the
//! model is still undecided: [`Trainer::measure`](crate::trainer::Trainer::measure) gives both over any
//! number of batches, [`CrossEntropy::accuracy`](crate::CrossEntropy::accuracy) and
//! [`perplexity`](crate::CrossEntropy::perplexity) of single outputs.
//!
//! # From rows to batches
//! Data lies in one slice, row after row: [`Rows`](crate::trainer::Rows) says where each begins.
//! [`split`](crate::trainer::split) sets some aside for validation, [`Order`](crate::trainer::Order) shuffles
//! the others and puts rows of similar length together, and [`Padded`](crate::trainer::Padded) brings them
//! side by side. An order is a function of a seed and of the epoch, and its place is 16 bytes.
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
