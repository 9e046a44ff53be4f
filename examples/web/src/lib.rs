//! The computations of the page: a character model that trains, generates text, and shows its states.
//!
//! | file | what it holds |
//! |---|---|
//! | `shape` | the sizes of a character model, and reading them from an image |
//! | `network` | its three layers, and their passes |
//! | `names` | the characters of a model, as an image names its classes |
//! | `training` | updates by truncated backpropagation through time |
//! | `session` | a running model: weights, states, the next character |
//! | `border` | the functions that the page calls, and all unsafe code |
//!
//! Only `border` allocates, and only once for each buffer: a session gets its buffers from the code that
//! starts it. So the same code runs in a browser and, for tests, on the host.
#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
mod border;
#[forbid(unsafe_code)]
pub mod names;
#[forbid(unsafe_code)]
pub mod network;
#[forbid(unsafe_code)]
pub mod session;
#[forbid(unsafe_code)]
pub mod shape;
#[forbid(unsafe_code)]
pub mod training;
