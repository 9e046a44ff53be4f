//! Models in the files of other frameworks: their outputs, writing them again, and damaged files.
#![allow(clippy::unwrap_used)]

mod collection;
mod damage;
mod folded;
mod golden;
mod halves;
mod instance;
mod keras;
mod onnx;
mod quantised;
mod readers;
mod refuse;
mod round_trip;
mod torch;
mod written;

use std::fs;
use std::path::PathBuf;

use recurrent::io::{Format, Network, Plan, read};
use recurrent::model::Input;
use safetensors::SafeTensors;

/// Models of the folder, each with a plan for what its file does not say.
pub const CASES: [(&str, Option<&str>); 25] = [
    ("torch_lstm_bidirectional.safetensors", None),
    ("torch_gru_prefix.safetensors", None),
    ("torch_lstm_projection.safetensors", None),
    ("torch_rnn_relu.safetensors", Some("rnn:relu,@last,fc:tanh")),
    ("torch_gru_f16.safetensors", None),
    ("torch_lstm_bf16.safetensors", None),
    ("torch_two_lstms.safetensors", None),
    ("torch_gru_cell.safetensors", None),
    ("torch_lstm_f64.safetensors", None),
    ("torch_tied.safetensors", None),
    ("torch_others.safetensors", Some("gru,fc")),
    ("keras_sequential.keras", None),
    ("keras_pool.keras", None),
    ("keras_functional.keras", None),
    ("rtneural_keras_gru.json", None),
    ("rtneural_keras_lstm.json", None),
    ("rtneural_torch.json", None),
    ("onnx_gru_bidirectional.onnx", None),
    ("onnx_lstm_static.onnx", None),
    ("onnx_rnn_last.onnx", None),
    ("onnx_lstm_bidirectional_static.onnx", None),
    ("onnx_lstm_peepholes.onnx", None),
    ("onnx_lstm_clip.onnx", None),
    ("onnx_gru_reset_before.onnx", None),
    ("image_gru.img", None),
];

/// More ONNX models, which need no plan.
pub const OPERATORS: [&str; 4] = [
    "onnx_gru_reset_after.onnx",
    "onnx_rnn_batch_major.onnx",
    "onnx_gru_last_state.onnx",
    "onnx_lstm_reverse_state.onnx",
];

pub fn path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats")).join(file)
}

pub fn bytes(file: &str) -> Vec<u8> {
    fs::read(path(file)).unwrap()
}

/// All models of the folder, with format and plan.
pub fn cases() -> impl Iterator<Item = (&'static str, Format, Option<Plan>)> {
    CASES.into_iter().chain(OPERATORS.map(|file| (file, None))).map(|(file, plan)| {
        let plan = plan.map(|words| words.parse().unwrap());
        (file, Format::of(file.as_ref()).unwrap(), plan)
    })
}

pub fn network(file: &str) -> Network {
    let (_, format, plan) = cases().find(|(name, ..)| *name == file).unwrap();
    read(&bytes(file), format, plan.as_ref()).unwrap()
}

/// Input and output of a model.
pub struct Golden {
    pub steps: usize,
    pub batch: usize,
    ids: Vec<u32>,
    values: Vec<f32>,
    pub y: Vec<f32>,
}

impl Golden {
    pub fn of(file: &str) -> Self {
        Self::output(file, "y")
    }

    /// The input, and the output with this name.
    pub fn output(file: &str, name: &str) -> Self {
        let bytes = fs::read(path(file).with_extension("golden")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |data: &[u8]| -> Vec<f32> {
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let (x, y) = (tensors.tensor("x").unwrap(), tensors.tensor(name).unwrap());
        let (steps, batch) = (x.shape()[0], x.shape()[1]);
        let (mut ids, mut values) = (Vec::new(), Vec::new());
        match x.dtype() {
            safetensors::Dtype::I64 => ids.extend(x.data().chunks_exact(8).map(|b| u32::from(b[0]))),
            _ => values = floats(x.data()),
        }
        Golden { steps, batch, ids, values, y: floats(y.data()) }
    }

    pub fn x(&self) -> Input<'_> {
        if self.ids.is_empty() { Input::Values(&self.values) } else { Input::Ids(&self.ids) }
    }

    /// The greatest absolute difference between a network's outputs and these.
    pub fn difference(&self, network: &Network) -> f32 {
        let y = network.run(self.x(), self.steps, self.batch).unwrap();
        assert_eq!(y.len(), self.y.len());
        assert!(self.y.iter().all(|y| y.is_finite()));
        // `f32::max` would drop a NaN.
        y.iter().zip(&self.y).map(|(a, b)| (a - b).abs()).max_by(f32::total_cmp).unwrap()
    }
}
