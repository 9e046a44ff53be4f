//! Arranges the weights of a layer in panels, in the order in which the passes of its table read them.

use super::sizes::PROJECTION;
use super::table::Table;
use crate::kernel::narrow::panels::{pack as pack_narrow, pack_wide};
use crate::kernel::narrow::unpacked::Unpacked;
use crate::kernel::panel::pack::{Canonical, pack};
use crate::simd::Isa;

impl Table {
    /// Packs canonical weights into panels of an instruction set: the stages and the projection. Peepholes
    /// are copied.
    ///
    /// With layer normalisation: the two matrices, each by itself, and the vectors.
    pub(crate) fn pack(&self, isa: Isa, w: Canonical<'_>, out: &mut [f32]) {
        if w.shape().norm > 0 {
            let mut rest = out;
            for matrix in w.matrices() {
                rest = pack(&PROJECTION, isa.lanes(), matrix, rest);
            }
            let vectors = w.parts().peepholes;
            rest[..vectors.len()].copy_from_slice(vectors);
            return;
        }
        let mut rest = pack(self.layout, isa.lanes(), w, out);
        if let Some(stage) = self.second {
            rest = pack(&stage.layout, isa.lanes(), w, rest);
        }
        if w.shape().projects {
            rest = pack(&PROJECTION, isa.lanes(), w.projection(), rest);
        }
        let peepholes = w.parts().peepholes;
        rest[..peepholes.len()].copy_from_slice(peepholes);
    }
}

impl Table {
    /// Packs narrow weights, or if `wide` their f32 values.
    pub(crate) fn pack_narrow(&self, isa: Isa, w: &Unpacked<'_>, wide: bool, out: &mut [f32]) {
        let pack_narrow = if wide { pack_wide } else { pack_narrow };
        let lanes = (isa.lanes(), isa.dot());
        let mut rest = pack_narrow(self.layout, lanes, w, out);
        if let Some(stage) = self.second {
            rest = pack_narrow(&stage.layout, lanes, w, rest);
        }
        if w.has_projection() {
            rest = pack_narrow(&PROJECTION, lanes, &w.projection(), rest);
        }
        let peepholes = w.peepholes();
        rest[..peepholes.len()].copy_from_slice(peepholes);
    }
}
