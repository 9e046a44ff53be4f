//! tract, with the same ONNX models.

use std::io::Cursor;
use std::time::Duration;

use tract_onnx::prelude::*;

use super::{Contestant, time};
use crate::case::{Case, What};

#[derive(Default)]
pub struct Tract {
    ready: Option<(TypedSimpleState, TValue)>,
}

impl Contestant for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn version(&self) -> String {
        "tract-onnx 0.23.9".to_owned()
    }

    fn set_up(&mut self, case: &Case) -> crate::Result<bool> {
        if case.what != What::Infer {
            return Ok(false);
        }
        let plan = tract_onnx::onnx()
            .model_for_read(&mut Cursor::new(crate::onnx::model(case)))?
            .into_optimized()?
            .into_runnable()?;
        let x = Tensor::from_shape(&[case.steps, case.batch, case.input], &case.x)?;
        // This state keeps the plan's buffers between calls. The state of the cell starts at zero in each
        // call.
        self.ready = Some((plan.spawn()?, x.into_tvalue()));
        Ok(true)
    }

    fn output(&mut self, _case: &Case) -> crate::Result<Vec<f32>> {
        let (state, x) = self.ready.as_mut().ok_or("not set up")?;
        let outputs = state.run(tvec![x.clone()])?;
        Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
    }

    fn run(&mut self, calls: usize) -> crate::Result<Duration> {
        let (state, x) = self.ready.as_mut().ok_or("not set up")?;
        time(calls, || Ok(state.run(tvec![x.clone()])?))
    }
}
