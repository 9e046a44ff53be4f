//! What the number of weights depends on, and reading it from an image.

use recurrent::Error;
use recurrent::Result;
use recurrent::image::{Form, Image};
use recurrent::model::Layer;

use crate::network::Network;

/// The sizes of a character model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Different characters.
    pub vocabulary: usize,
    /// Features of a character.
    pub embedding: usize,
    /// Units of each recurrent layer.
    pub hidden: usize,
    /// Recurrent layers.
    pub layers: usize,
}

const OTHER: Error = Error::Layers { layer: 1, what: "is not that of a character model" };

impl Shape {
    /// The shape of an image's layers.
    ///
    /// # Errors
    /// If they are others than those of a character model, or narrow.
    pub fn of(image: &Image<'_>) -> Result<Self> {
        let mut layers = [Layer::Residual; 3];
        image.link(&[&Form::LSTM], &mut layers)?;
        let [Layer::Embedding(embedding), Layer::Lstm(stack), Layer::Dense(_)] = layers else {
            return Err(OTHER);
        };
        let (vocabulary, embedding) = (embedding.classes(), embedding.width());
        let shape = Shape { vocabulary, embedding, hidden: stack.output(), layers: stack.depth() };
        // Whatever else the layers have, such as a second direction or an activation, they do not have here.
        if Network::new(shape, None).layers() == layers { Ok(shape) } else { Err(OTHER) }
    }
}
