//! The passes that a layer links into an image.

use super::layer::Layer;
use crate::seq::form::{Form, Passes};
use crate::seq::table::Kind;

impl Layer {
    /// The same layer with these passes, if it is recurrent.
    #[inline(always)]
    const fn with_passes(mut self, passes: Passes) -> Self {
        match &mut self {
            Layer::Rnn(stack) => stack.levels.first.passes = passes,
            Layer::Lstm(stack) => stack.levels.first.passes = passes,
            Layer::Gru(stack) => stack.levels.first.passes = passes,
            Layer::Mgu(stack) => stack.levels.first.passes = passes,
            _ => {}
        }
        self
    }

    /// The same layer with all passes.
    pub(crate) const fn linked(self) -> Self {
        match self.levels() {
            Some(levels) => {
                let passes = Passes::all(levels.first.cell.form(levels.first.options));
                self.with_passes(passes)
            }
            None => self,
        }
    }

    /// The same layer with the passes of its form, if it is recurrent. If `forms` does not contain its form,
    /// returns the kind of the form.
    pub(crate) fn linked_to(self, forms: &[&Form]) -> core::result::Result<Self, Kind> {
        let Some(levels) = self.levels() else { return Ok(self) };
        let kind = levels.first.cell.form(levels.first.options);
        Ok(self.with_passes(Form::find(forms, kind).ok_or(kind)?))
    }
}
