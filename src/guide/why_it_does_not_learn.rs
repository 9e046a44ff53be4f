//! Why a model does not learn, and how to find out.
//!
//! Check in this order; most trainings fail at the first two.
//!
//! | question | how to see it | what to do |
//! |---|---|---|
//! | Is the loss of the first update that of an untrained model? | compare with the table of [`which_loss`](super::which_loss) | if it is much larger, the inputs are too large: scale them; or the targets are wrong: print some |
//! | Can it memorise one batch? | train on the same batch for a hundred updates: the loss has to go to 0 | if not, the data or the loss is wrong, and no setting helps |
//! | Do gradients reach every layer? | [`Trainer::norms`](crate::trainer::Trainer::norms), layer by layer | [vanishing](super::training_through_time#vanishing-and-exploding): gates, initial weights, shorter chunks |
//! | Is the size of the steps right? | rate x \|gradient\| / \|weight\| is about 1e-3 (Adam: rate / \|weight\|) | a rate ten times smaller or larger; a [warm-up](crate::trainer::Trainer::warmup) |
//! | Are updates skipped or clipped? | [`Update::skipped`](crate::trainer::Update); [`Update::norm`](crate::trainer::Update) is above the [clip](crate::trainer::Trainer::clip) in most updates | a lower rate; look for NaN in the input |
//! | Does it always answer the most frequent class? | the [accuracy](crate::trainer::Trainer::measure) equals the share of that class | [weights of classes](crate::CrossEntropy::class_weights), or [of yes](crate::Elementwise::pos_weight) |
//! | Does the training loss fall while the loss of other data rises? | a [validation](crate::trainer::Trainer::validated) | dropout, weight decay, [smoothing](crate::CrossEntropy::smoothing), fewer units, more data; [early stopping](crate::trainer::Trainer::early_stopping) |
//! | Does the loss jump from update to update? | print the loss of each update | larger batches, or [several for one update](crate::trainer::Trainer::update_accumulated); an [average of the weights](crate::trainer::Trainer::average) |
//!
//! # Look inside
//! [`train_with`](crate::trainer::Trainer::train_with) calls a function after each update and passes it the
//! trainer. The function may read everything in the trainer and change settings.
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
//! # Continue later
//! A [saved](crate::trainer::Trainer::save) training continues with the same bits. It holds weights,
//! moments, carried and learned states, the average and the best weights. It also holds what the program
//! [attaches](crate::trainer::Trainer::attach), such as the [place in the data](crate::trainer::Order::place)
//! and the state of a random generator. It does not hold settings: the program has to set them again.
//!
//! If your generator cannot be saved, seed a new one for each update from a seed and
//! [`updates()`](crate::trainer::Trainer::updates). Then there is nothing to save.
