//! The passes that a layer links into an image.

use super::layer::Layer;
use crate::layer::recurrent::Levels;
use crate::seq::form::Form;
use crate::seq::table::Kind;

impl Layer {
    #[inline(always)]
    const fn levels_mut(&mut self) -> Option<&mut Levels> {
        match self {
            Layer::Rnn(stack) => Some(&mut stack.levels),
            Layer::Lstm(stack) => Some(&mut stack.levels),
            Layer::Gru(stack) => Some(&mut stack.levels),
            Layer::Mgu(stack) => Some(&mut stack.levels),
            _ => None,
        }
    }

    /// The same layer with all passes.
    pub(crate) const fn linked(mut self) -> Self {
        if let Some(levels) = self.levels_mut() {
            levels.set_passes(levels.first.linked().passes);
        }
        self
    }

    /// Sets the passes of the layer's form, if it is recurrent. If `forms` does not contain its form, returns
    /// the kind of the form.
    pub(crate) fn link_to(&mut self, forms: &[&Form]) -> core::result::Result<(), Kind> {
        let Some(levels) = self.levels_mut() else { return Ok(()) };
        let kind = levels.first.cell.form(levels.first.options);
        levels.set_passes(Form::find(forms, kind).ok_or(kind)?);
        Ok(())
    }
}
