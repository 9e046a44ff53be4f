//! The guide: what you need to know to use this crate well, one chapter for each subject. It is text only,
//! and adds nothing to a program.
//!
//! | chapter | the question that it answers |
//! |---|---|
//! | [`layouts`] | How are numbers arranged in a buffer, how long is each buffer, what happens to padding? |
//! | [`training_through_time`] | What does the tape hold, where do gradients stop, why do they vanish? |
//! | [`which_loss`] | Which loss fits what is to be learned, and how does data get into batches? |
//! | [`why_it_does_not_learn`] | Why does it not learn, and how do I see it? |
//! | [`desktop`] | How do I train a model, save it, and run it, without managing buffers? |
//! | [`files`] | Which file do I read or write, and why is one rejected? |
//! | [`firmware`] | How does a model get from PyTorch into the flash of a microcontroller? |
//! | [`from_c`] | How do I run or train a model from C or C++, in firmware or in an audio plugin? |
//! | [`webassembly`] | How do I run and train a model in a browser? |
//! | [`other_frameworks`] | What is the name here of something that I know from PyTorch or Keras, and what differs? |
//! | [`instruction_sets`] | Which vector instructions does a pass use, and who decides? |
//! | [`narrow_weights`] | Which formats of weights exist, what do they cost, when do they help? |
//! | [`numerics`] | Which results have the same bits, and how large are errors? |
//! | [`glossary`] | What does a term mean here? |
//! | [`adding_a_cell`] | What has to be written for another cell? |
//! | [`adding_an_instruction_set`] | What has to be written for another instruction set? |
//!
//! Read the first two in order. The last two are for people who change this crate.
//!
//! # Three levels to start from
//! The weights are the same on each level, and so are the results, bit by bit. The levels differ in how much
//! they do for you.
//!
//! | | it owns | for |
//! |---|---|---|
//! | [`trainer`](crate::trainer): `Trainer`, `Predictor` | weights, moments, all buffers | training and prediction with `std` |
//! | [`model`](crate::model): `Model` | nothing: it divides your buffers among its layers | whole models without a heap |
//! | [`Rnn`](crate::Rnn), [`Lstm`](crate::Lstm), [`Gru`](crate::Gru), [`Stack`](crate::Stack), [`Dense`](crate::Dense), ... | nothing | models that you put together yourself |
//!
//! The smallest useful program, on the lowest level:
//!
//! ```
//! use recurrent::Gru;
//!
//! const CELL: Gru = Gru::new(1, 2); // one input, two units
//! let weights = [0.5; CELL.weights_len()]; // yours: from a file, from training, from flash
//! let mut state = [0.0; CELL.state_len(1)]; // of one sequence
//! let mut scratch = [0.0; CELL.scratch_len(1, 1)];
//! for sample in [[1.0], [2.0], [3.0]] {
//!     CELL.step(&weights, &sample, &mut state, &mut scratch)?;
//! }
//! assert!(state[0] > 0.2); // the hidden state, which is the output
//! # Ok::<(), recurrent::Error>(())
//! ```

// Without these features some links have no target.
#![cfg_attr(not(all(feature = "std", feature = "io")), allow(rustdoc::broken_intra_doc_links))]

pub mod adding_a_cell;
pub mod adding_an_instruction_set;
pub mod desktop;
pub mod files;
pub mod firmware;
pub mod from_c;
pub mod glossary;
pub mod instruction_sets;
pub mod layouts;
pub mod narrow_weights;
pub mod numerics;
pub mod other_frameworks;
pub mod training_through_time;
pub mod webassembly;
pub mod which_loss;
pub mod why_it_does_not_learn;
