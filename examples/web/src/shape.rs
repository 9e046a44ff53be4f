//! The sizes that determine the number of weights, and reading them from an image.

use recurrent::Error;
use recurrent::Result;
use recurrent::image::{Form, Image};
use recurrent::model::Layer;

use crate::network::Network;

/// The sizes of a character model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of different characters.
    pub vocabulary: usize,
    /// Number of features of a character.
    pub embedding: usize,
    /// Number of units in each recurrent layer.
    pub hidden: usize,
    /// Number of recurrent layers.
    pub layers: usize,
}

const OTHER: Error = Error::Layers { layer: 1, what: "is not that of a character model" };

impl Shape {
    /// The shape of an image's layers.
    ///
    /// # Errors
    /// If the layers are not those of a character model, or are narrow.
    pub fn of(image: &Image<'_>) -> Result<Self> {
        let mut layers = [Layer::Residual; 3];
        image.link(&[&Form::LSTM], &mut layers)?;
        let [Layer::Embedding(embedding), Layer::Lstm(stack), Layer::Dense(_)] = layers else {
            return Err(OTHER);
        };
        let (vocabulary, embedding) = (embedding.classes(), embedding.width());
        let shape = Shape { vocabulary, embedding, hidden: stack.output(), layers: stack.depth() };
        // The comparison rejects all other options, such as a second direction or another activation.
        if Network::new(shape, None).layers() == layers { Ok(shape) } else { Err(OTHER) }
    }
}
