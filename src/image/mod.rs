//! Images: a model and its weights as bytes. Firmware uses them in place, in flash.
//!
//! All numbers are little-endian. An image is
//!
//! ```text
//! byte   0  RECURIMG             magic
//!        8  u32                  version: 2
//!       12  u32                  n, the number of layers
//!       16  u32                  w, the words of 4 bytes of all weights
//!       20  u32                  CRC-32 (IEEE 802.3, as in zlib) of all other bytes
//!       24  u32                  r, the bytes of all records
//!       28  zeros
//!       32  n times 80 bytes     a record for each layer, from the input to the output
//!           r - n times 80       other records, in ascending order of their tags
//!    32 + r w words              the weights, layer after layer, in the layout of this crate
//! ```
//!
//! Weights start at a multiple of 16 bytes and end at the end of the image. A record is
//!
//! ```text
//! byte   0  u32                  tag
//!        4  u32                  bytes of the content
//!        8                       content
//!                                zeros, up to a multiple of 16 bytes
//! ```
//!
//! | tag | content |
//! |---|---|
//! | 1 | a layer: the type of its weights (0 f32, 1 f16, 2 bf16, 3 int8 with activations of 16 bits, 4 int8 with activations of 8 bits), then 16 words |
//! | 2 | the initial state of one row, if it is not zeros: f32 |
//! | 3 | what follows the last layer, if anything: u32, 1 for a softmax, 2 for its logarithm |
//! | 4 | names of the classes: UTF-8, one to a line |
//! | 5 | which steps are masked by their input: u32, 1 for a value, 2 for an id; then the value, f32, or the id, u32 |
//!
//! Matrices have the type of their layer, each in whole words. A matrix of integers, from -127 to 127, is
//! followed by the scales of its rows. Scales are f32 with zeros in their lowest seven bits, so that an
//! integer times its scale is exact. All other weights are f32.
//!
//! A reader rejects records that it does not know. Version 1 is read, too. There, a layer is the 16 words
//! without tag, length and type, and there are no other records.
//!
//! The words of a layer (0 if the layer does not use them):
//!
//! | word | embedding | rnn, lstm, gru, mgu | dense | pool | dropout | scale | activation | residual |
//! |---|---|---|---|---|---|---|---|---|
//! | 0 | 0 | 1, 2, 3, 7 | 4 | 5 | 6 | 8 | 9 | 10 |
//! | 1 | classes | input | input | 0 last, 1 mean, 2 max, 3 ends, 4 first | | width | | |
//! | 2 | width | hidden | output | | | | | |
//! | 3 | | [flags](#flags) | | | | | | |
//! | 4 | | layers of the stack | | | | | | |
//! | 5 | | width of the projection, or 0 | | | | | | |
//! | 6 | | clip: f32, or infinity | | | probability: f32 | | | |
//! | 7..16 | | up to three activations | activation, or 0 | | | | activation | |
//!
//! An activation is its number, alpha and beta (f32). The numbers are 1 tanh, 2 sigmoid, 3 ReLU, 4 affine, 5
//! leaky ReLU, 6 thresholded ReLU, 7 scaled tanh, 8 hard sigmoid, 9 ELU, 10 softsign, 11 softplus.
//!
//! # Flags
//! 1 no biases, 2 reverse, 4 able to train with recurrent dropout, 8 coupled gates, 16 peepholes, 32 reset
//! before, 64 both directions side by side, 128 both directions added, 256 layer normalisation (of an LSTM in
//! the form [`Output`](crate::LstmNorm::Output)), 512 the same in the form [`State`](crate::LstmNorm::State).
//! Readers of older versions of this crate reject the last two as unknown flags. Instruction sets are not in
//! the image.
//!
//! # In firmware
//! ```
//! use recurrent::image::{self, Image};
//! use recurrent::model::Model;
//!
//! // const IMAGE: &[u8] = recurrent::include_image!("model.img");
//! # const IMAGE: &[u8] = recurrent::include_image!("../../tests/data/formats/image_gru.img");
//! const MODEL: Model<2> = match image::model(IMAGE) {
//!     Ok(model) => model,
//!     Err(_) => panic!("not an image of two layers"),
//! };
//! let mut state = [0.0; MODEL.state_len(1)]; // sizes are constants that come from the image
//!
//! let image = Image::from_bytes(IMAGE)?; // every byte is checked
//! let weights: &[f32] = image.weights()?; // and nothing is copied
//! assert_eq!(weights.len(), MODEL.weights_len());
//! # Ok::<(), recurrent::Error>(())
//! ```
//!
//! `recurrent convert` makes images from the models of other frameworks; [`write()`] makes them from slices.
//! This folder may import every floor below. It contains no passes.
//!
//! | file | what it holds |
//! |---|---|
//! | `write` | writing |
//! | `words` | a layer from its words alone |
//! | `read` | reading, and what an image holds besides layers and weights |
//! | `header` | the header, the positions of records, and the checksum |
//! | `record` | a layer as 16 words |
//! | `utf8` | whether names are UTF-8 |
//!
//! Files import each other downward in this table.

mod header;
mod read;
mod record;
mod utf8;
mod words;
mod write;

pub use crate::seq::form::Form;
#[cfg(feature = "std")]
pub(crate) use header::crc;
pub use read::{Extras, Image, layers_len, model};
pub use words::layer;
pub use write::{len, len_with, write, write_with};

/// Bytes at an address that is a multiple of 16. Made by [`include_image!`](crate::include_image).
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(
    /// The bytes.
    pub T,
);

/// Includes a file like `include_bytes!`, aligned for the weights of an image. For an example see
/// [`image`](crate::image).
#[macro_export]
macro_rules! include_image {
    ($path:expr) => {{
        const IMAGE: &$crate::image::Aligned<[u8]> = &$crate::image::Aligned(*include_bytes!($path));
        &IMAGE.0
    }};
}
