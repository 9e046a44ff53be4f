//! Why a model does not learn, and how to see it.
//!
//! Look in this order; most trainings fail at the first two.
//!
//! | question | how to see it | what to do |
//! |---|---|---|
//! | Is the loss of the first update that of a model that knows nothing? | the table of [`which_loss`](super::which_loss) | if it is much more, the inputs are too large: scale them; if it is other targets than you think, print some |
//! | Does it learn one batch by heart? | the same batch in a hundred updates: the loss has to go to 0 | if not, the data or the loss is wrong, and no setting helps |
//! | Do gradients arrive? | [`Trainer::norms`](crate::trainer::Trainer::norms), layer by layer | [vanishing](super::training_through_time#vanishing-and-exploding): gates, initial weights, shorter chunks |
//! | Are steps of a good size? | rate times gradient by weight, about 1e-3; with Adam the rate by weight | ten times less, or more; a [warm-up](crate::trainer::Trainer::warmup) |
//! | Are updates skipped or clipped? | [`Update::skipped`](crate::trainer::Update), [`Update::norm`](crate::trainer::Update) above the [clip](crate::trainer::Trainer::clip) in most updates | a lower rate; the input has NaN |
//! | Does it say the most frequent class only? | [accuracy](crate::trainer::Trainer::measure) equal to that class's share | [weights of classes](crate::CrossEntropy::class_weights), [of yes](crate::Elementwise::pos_weight) |
//! | Does the loss fall, and that of other data rise? | a [validation](crate::trainer::Trainer::validated) | dropout, a decay of the weights, [smoothing](crate::CrossEntropy::smoothing), fewer units, more data; [stop early](crate::trainer::Trainer::early_stopping) |
//! | Does it jump from update to update? | the loss of each | larger batches, or [several for one update](crate::trainer::Trainer::update_accumulated); an [average of the weights](crate::trainer::Trainer::average) |
//!
//! # To look at it
//! [`train_with`](crate::trainer::Trainer::train_with) calls back after each update, with the training
//! itself. What stands in it may be read there, and settings may be changed.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use recurrent::model::{Layer, Loss, Model};
//! use recurrent::trainer::{Batch, LayerSettings, Trainer};
//! use recurrent::{Sequences, train::AdamW};
//!
//! let model = Model::new([Layer::gru(1, 8), Layer::dense(8, 1)]);
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
//! let frozen = LayerSettings { frozen: true, ..LayerSettings::default() };
//! let mut trainer = Trainer::new(&model, AdamW::new(0.01), &mut rng)?
//!     .warmup(20)
//!     .average(0.95)?
//!     .layer(0, frozen)?; // only the last layer learns at first
//! let wave: Vec<f32> = (0..51).map(|t| (t as f32 * 0.3).sin()).collect();
//! let (x, loss) = ((&wave[..50]).into(), Loss::MeanSquaredError { targets: &wave[1..] });
//! let batch = Batch { sequences: Sequences::new(50, 1), x, loss };
//! trainer.train_with([batch; 100], &mut rng, |trainer, update| {
//!     if update.updates % 20 == 0 {
//!         println!("{}: loss {:.4}, rate {:.4}", update.updates, update.loss, update.rate);
//!         for (layer, [weights, gradients]) in trainer.norms().enumerate() {
//!             println!("  layer {layer}: weights {weights:.3}, gradients {gradients:.5}");
//!         }
//!     }
//!     if update.updates == 30 {
//!         trainer.set_layer(0, LayerSettings { rate: 0.5, ..LayerSettings::default() })?;
//!     }
//!     Ok(true) // go on
//! })?;
//! assert!(trainer.evaluate(batch)? < 0.1); // of the average
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! # To go on later
//! A [saved](crate::trainer::Trainer::save) training has all that it takes to go on to the bit: weights,
//! moments, carried and learned states, the average, the best weights, and what the program
//! [attaches](crate::trainer::Trainer::attach), as the [place in the data](crate::trainer::Order::place) and
//! the state of a random generator. Settings are the program's, which sets them again.
//!
//! A generator that gives no state is made anew for each update, of a seed and of the
//! [updates](crate::trainer::Trainer::updates) made so far; then there is nothing to save.
