//! What training needs besides gradients: initial weights, optimisers, learning rates, clipping, dropout.
//!
//! Everything works on the flat buffers of weights and gradients, of one layer or of a whole model. Nothing
//! is allocated. Random numbers come from any generator with the traits of [`rand_core`]. A seed gives the
//! same weights on every machine. This folder may import `layer` and everything below it.
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use recurrent::{Lstm, train::{Adam, Cosine, clip_scale}};
//! let layer = Lstm::new(8, 16);
//! let mut weights = vec![0.0; layer.weights_len()];
//! layer.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
//!
//! const RATE: Cosine = Cosine::new(1e-3, 10_000).warmup(100);
//! let mut adam = Adam::new(1e-3);
//! let mut moments = vec![0.0; Adam::moments_len(weights.len())];
//! let grads = vec![0.5; weights.len()]; // of a backward pass
//! adam.lr = RATE.at(adam.step);
//! if let Some(clip) = clip_scale(&grads, 5.0)? {
//!     adam.update_scaled(&mut weights, &grads, &mut moments, clip.scale)?;
//! }
//! # assert_eq!(adam.step, 1);
//! # Ok::<(), recurrent::Error>(())
//! ```

mod clip;
mod dropout;
mod init;
mod optim;
mod schedule;

pub use clip::{Clip, clip_norm, clip_scale, clip_value};
pub use dropout::dropout;
pub use init::{normal, orthogonal, uniform};
pub use optim::{Adam, AdamW, RmsProp, Sgd};
pub use schedule::{Cosine, Steps};
