//! A layer from its words alone, for programs that describe their layers at run time.

use super::record::{self, Record};
use super::{Form, header::wrong};
use crate::error::{Error, Result};
use crate::model::Layer;

/// A layer from the [16 words](crate::image) that an image has for it, linked to the passes of one of
/// `forms`, as [`Image::link`](crate::image::Image::link) does. Its weights are `f32`. The library for C makes
/// its layers this way; programs in Rust have [`Layer`].
///
/// # Errors
/// [`Error::Image`] with the position of the first wrong byte of the words, also if they have something that
/// this kind of layer does not use; [`Error::Form`] if the form is not among `forms`.
///
/// ```
/// use recurrent::Gru;
/// use recurrent::image::{self, Form};
/// use recurrent::model::Layer;
/// let mut words = [0; 16];
/// words[..5].copy_from_slice(&[3, 2, 16, 0, 1]); // a stack of 1 GRU of 16 units over 2 features
/// words[6] = f32::INFINITY.to_bits(); // no clip
/// (words[7], words[10]) = (2, 1); // sigmoid and tanh
/// assert_eq!(image::layer(&words, &[&Form::GRU])?, Layer::gru(2, 16));
/// assert!(image::layer(&words, &[&Form::LSTM]).is_err());
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn layer(words: &Record, forms: &[&Form]) -> Result<Layer> {
    let mut layer = Layer::Residual;
    if let Err((word, what)) = record::decode(words, &mut layer) {
        return wrong(4 * word, what);
    }
    if let Some(word) = record::unused(words) {
        return wrong(4 * word, record::UNUSED);
    }
    match layer.link_to(forms) {
        Ok(()) => Ok(layer),
        Err(form) => Err(Error::Form { layer: 0, form: form.name() }),
    }
}
