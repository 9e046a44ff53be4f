//! What the page computes: a character model that trains, writes, and shows its states.
//!
//! | file | what it holds |
//! |---|---|
//! | `shape` | the sizes of a character model, and reading them from an image |
//! | `network` | its three layers, and their passes |
//! | `names` | the characters of a model, as an image names its classes |
//! | `saved` | files that a model can be loaded from: images, and what the example `char_rnn` saves |
//! | `training` | updates by truncated backpropagation through time |
//! | `session` | a model at work: weights, states, the next character |
//! | `border` | what the page calls, and all unsafe code |
//!
//! Nothing allocates but `border`, and that only once for each buffer: a session gets its buffers from
//! whoever starts it. So the same code runs in a browser and, for the tests, on the host.
#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
mod border;
#[forbid(unsafe_code)]
pub mod names;
#[forbid(unsafe_code)]
pub mod network;
#[forbid(unsafe_code)]
pub mod saved;
#[forbid(unsafe_code)]
pub mod session;
#[forbid(unsafe_code)]
pub mod shape;
#[forbid(unsafe_code)]
pub mod training;
