//! The backward pass: its checks, and whether threads share it.

use super::Dense;
use super::args::DenseBackward;
use super::passes::BackwardPass;
use crate::error::{Need, Result, check_len, check_room, check_shape};
use crate::layer::gradients::Gradients;
use crate::layer::join::Team;

impl Dense {
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn backward_on(
        &self,
        team: Option<Team<'_>>,
        weights: &[f32],
        args: DenseBackward<'_>,
    ) -> Result<()> {
        let DenseBackward { rows, x, y, dy, dx, grads, mode, scratch } = args;
        let (w, _) = self.split(weights)?;
        self.check(rows, x.len(), ("dy", dy.len()))?;
        check_room("scratch", self.scratch_len(), scratch.len())?;
        if self.finish.is_some() || !y.is_empty() {
            check_shape("y", Need::ROWS_OUTPUTS, dy.len(), y.len())?;
        }
        if let Some(dx) = &dx {
            check_shape("dx", Need::AS_INPUT, x.len(), dx.len())?;
        }
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        let add = mode == Gradients::Accumulate;
        let pass = BackwardPass { layer: *self, w, rows, x, y, dy, dx, grads, add, scratch };
        #[cfg(not(target_os = "none"))]
        {
            super::threads::backward(team, self.isa(), pass)
        }
        #[cfg(target_os = "none")]
        {
            let _ = team;
            Ok(crate::simd::dispatch(self.isa(), pass)?)
        }
    }
}
