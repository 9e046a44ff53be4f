//! Outputs and gradients against PyTorch and Keras, computed in f64 (see tests/data/README.md).

mod common;

use std::path::PathBuf;

use common::{Kind, train};
use recurrent::Isa;
use safetensors::{Dtype, SafeTensors};

/// Largest deviation, relative to the largest entry of the tensor.
const TOLERANCE: f64 = 1e-5;

struct Golden {
    name: String,
    bytes: Vec<u8>,
}

impl Golden {
    fn f32(&self, name: &str) -> Option<Vec<f32>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).ok()?;
        assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        Some(tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect())
    }

    fn f64(&self, name: &str) -> Option<Vec<f64>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(name).ok()?;
        assert_eq!(tensor.dtype(), Dtype::F64, "{name}");
        Some(tensor.data().chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect())
    }

    fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).unwrap().shape().to_vec()
    }

    fn compare(&self, what: &str, isa: Isa, got: &[f32]) {
        self.compare_to(TOLERANCE, what, isa, got);
    }

    fn compare_to(&self, tolerance: f64, what: &str, isa: Isa, got: &[f32]) {
        let Some(want) = self.f64(what) else { panic!("{}: no tensor {what}", self.name) };
        assert_eq!(got.len(), want.len());
        let largest = want.iter().fold(f64::MIN_POSITIVE, |m, w| m.max(w.abs()));
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            let off = (f64::from(*g) - w).abs() / largest;
            assert!(off <= tolerance, "{} on {}: {what}[{i}] is {g}, should be {w}", self.name, isa.name());
        }
    }
}

fn files(prefix: &str) -> Vec<Golden> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut found: Vec<Golden> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_string();
            // The sizes follow the cell's name directly.
            let rest = name.strip_prefix(prefix)?.strip_prefix('_')?;
            (path.extension()? == "safetensors" && rest.starts_with(|c: char| c.is_ascii_digit()))
                .then(|| Golden { name: name.clone(), bytes: std::fs::read(&path).unwrap() })
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!found.is_empty(), "no golden data for {prefix}");
    found
}

fn check(prefix: &str, kind: Kind) {
    for golden in files(prefix) {
        let (x, weights) = (golden.f32("x").unwrap(), golden.f32("weights").unwrap());
        let (shape, hidden) = (golden.shape("x"), golden.shape("h0")[1]);
        let (steps, batch, input) = (shape[0], shape[1], shape[2]);
        let both = |h: &str, c: &str| {
            let mut v = golden.f32(h).unwrap();
            v.extend(golden.f32(c).unwrap_or_default());
            v
        };
        let (state, dstate) = (both("h0", "c0"), both("dhn", "dcn"));
        let dy = golden.f32("dy").unwrap();
        for isa in Isa::available() {
            let layer = kind.layer(input, hidden, isa);
            let out = train(layer, (steps, batch), &weights, &x, &state, &dy, &dstate).unwrap();
            let units = batch * hidden;
            golden.compare_to(if kind.normalised() { 1e-6 } else { TOLERANCE }, "y", isa, &out.y);
            golden.compare("hn", isa, &out.state[..units]);
            golden.compare("dx", isa, &out.dx);
            golden.compare("dweights", isa, &out.grads);
            golden.compare("dh0", isa, &out.dstate[..units]);
            if kind.gates() == 4 {
                golden.compare("cn", isa, &out.state[units..]);
                golden.compare("dc0", isa, &out.dstate[units..]);
            }
        }
    }
}

#[test]
fn rnn_tanh_is_pytorchs() {
    check("rnn_tanh", Kind::RnnTanh);
}

#[test]
fn rnn_relu_is_pytorchs() {
    check("rnn_relu", Kind::RnnRelu);
}

#[test]
fn lstm_is_pytorchs() {
    check("lstm", Kind::Lstm);
}

#[test]
fn gru_is_pytorchs() {
    check("gru", Kind::Gru);
}

#[test]
fn layer_normalisation_is_pytorchs() {
    check("lstm_norm", Kind::LstmNormalised);
    check("lstm_norm_state", Kind::LstmNormalisedState);
    check("gru_norm", Kind::GruNormalised);
}

#[test]
fn gru_reset_after_is_kerass() {
    check("gru_reset_after_keras", Kind::Gru);
}

#[test]
fn gru_reset_before_is_kerass() {
    check("gru_reset_before", Kind::GruResetBefore);
}
