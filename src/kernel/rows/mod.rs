//! Which rows take part in a pass, and where they are in the buffers: the walk over a padded batch, lists of
//! rows for the kernels, views of some columns, and the hidden states that steps start from. This folder may
//! import `simd` only.

pub(crate) mod list;
pub(crate) mod place;
pub(crate) mod previous;
pub(crate) mod taken;
pub(crate) mod view;
pub(crate) mod walk;
