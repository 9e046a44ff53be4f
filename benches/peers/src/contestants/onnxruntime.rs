//! ONNX Runtime, from the shared library of its Python wheel.

use std::time::Duration;

use ort::session::{Session, builder::GraphOptimizationLevel};
use ort::value::Tensor;

use super::{Contestant, time};
use crate::Result;
use crate::case::{Case, What};

pub struct OnnxRuntime {
    threads: usize,
    ready: Option<(Session, Tensor<f32>)>,
}

impl OnnxRuntime {
    pub fn new(threads: usize) -> Result<OnnxRuntime> {
        let library =
            std::env::var("PEERS_ONNXRUNTIME").map_err(|_| "PEERS_ONNXRUNTIME: path of the library")?;
        ort::init_from(library)?.with_telemetry(false).commit();
        Ok(OnnxRuntime { threads, ready: None })
    }
}

impl Contestant for OnnxRuntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn version(&self) -> String {
        format!("onnxruntime {}", std::env::var("PEERS_ONNXRUNTIME_VERSION").unwrap_or_default())
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if case.what != What::Infer {
            return Ok(false);
        }
        let session = Session::builder()?
            .with_optimization_level(GraphOptimizationLevel::All)
            .and_then(|b| b.with_intra_threads(self.threads))
            .and_then(|b| b.with_inter_threads(1))
            .map_err(|e| e.to_string())?
            .commit_from_memory(&crate::onnx::model(case))?;
        let x = Tensor::from_array(([case.steps, case.batch, case.input], case.x.clone()))?;
        self.ready = Some((session, x));
        Ok(true)
    }

    fn output(&mut self, _case: &Case) -> Result<Vec<f32>> {
        let (session, x) = self.ready.as_mut().ok_or("not set up")?;
        let outputs = session.run(ort::inputs![&*x])?;
        Ok(outputs[0].try_extract_tensor::<f32>()?.1.to_vec())
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let (session, x) = self.ready.as_mut().ok_or("not set up")?;
        time(calls, || {
            session.run(ort::inputs![&*x])?;
            Ok(())
        })
    }
}
