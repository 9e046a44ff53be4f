//! OpenVINO, from the C library of its Python wheel.

use std::path::PathBuf;
use std::time::Duration;

use openvino::{Core, DeviceType, ElementType, InferRequest, RwPropertyKey, Shape, Tensor};

use super::{Contestant, time};
use crate::Result;
use crate::case::{Case, What};

pub struct OpenVino {
    core: Core,
    ready: Option<InferRequest>,
}

impl OpenVino {
    pub fn new(threads: usize) -> Result<OpenVino> {
        let library = std::env::var("PEERS_OPENVINO").map_err(|_| "PEERS_OPENVINO: path of the library")?;
        openvino_sys::library::load_from(PathBuf::from(library))?;
        let mut core = Core::new()?;
        core.set_properties(
            &DeviceType::CPU,
            [
                (RwPropertyKey::InferenceNumThreads, threads.to_string().as_str()),
                (RwPropertyKey::HintPerformanceMode, "LATENCY"),
                // Otherwise CPUs that support bf16 compute with it.
                (RwPropertyKey::HintInferencePrecision, "f32"),
                // The process is already pinned.
                (RwPropertyKey::HintEnableCpuPinning, "NO"),
            ],
        )?;
        Ok(OpenVino { core, ready: None })
    }
}

impl Contestant for OpenVino {
    fn name(&self) -> &'static str {
        "openvino"
    }

    fn version(&self) -> String {
        format!("openvino {}", std::env::var("PEERS_OPENVINO_VERSION").unwrap_or_default())
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if case.what != What::Infer {
            return Ok(false);
        }
        let model = self.core.read_model_from_buffer(&crate::onnx::model(case), None)?;
        let mut request = self.core.compile_model(&model, DeviceType::CPU)?.create_infer_request()?;
        let shape = Shape::new(&[case.steps as i64, case.batch as i64, case.input as i64])?;
        let mut x = Tensor::new(ElementType::F32, &shape)?;
        x.get_data_mut::<f32>()?.copy_from_slice(&case.x);
        request.set_input_tensor(&x)?;
        self.ready = Some(request);
        Ok(true)
    }

    fn output(&mut self, _case: &Case) -> Result<Vec<f32>> {
        let request = self.ready.as_mut().ok_or("not set up")?;
        request.infer()?;
        Ok(request.get_output_tensor()?.get_data::<f32>()?.to_vec())
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let request = self.ready.as_mut().ok_or("not set up")?;
        time(calls, || Ok(request.infer()?))
    }
}
