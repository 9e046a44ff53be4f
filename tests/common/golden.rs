//! The golden files of real sequences (see tests/data/sequences/README.md).
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::collections::HashMap;
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

use crate::reference::{Cell, Function, Options};

/// One golden file: the metadata that describe the case, and the tensors.
pub struct Golden {
    pub name: String,
    words: HashMap<String, String>,
    bytes: Vec<u8>,
}

/// Parses an activation from its name, alpha and beta.
fn function(word: &str) -> Function {
    let (name, parameters) = word.split_once(':').unwrap_or((word, ""));
    // Rounded to f32, as in the framework and the library.
    let of = |i: usize| f64::from(parameters.split(':').nth(i).unwrap().parse::<f32>().unwrap());
    match name {
        "Tanh" => Function::Tanh,
        "Sigmoid" => Function::Sigmoid,
        "Relu" => Function::Relu,
        "Affine" => Function::Affine { alpha: of(0), beta: of(1) },
        "LeakyRelu" => Function::LeakyRelu { alpha: of(0) },
        "ThresholdedRelu" => Function::ThresholdedRelu { alpha: of(0) },
        "ScaledTanh" => Function::ScaledTanh { alpha: of(0), beta: of(1) },
        "HardSigmoid" => Function::HardSigmoid { alpha: of(0), beta: of(1) },
        "Elu" => Function::Elu { alpha: of(0) },
        "Softsign" => Function::Softsign,
        "Softplus" => Function::Softplus,
        _ => panic!("unknown activation {name}"),
    }
}

/// All golden files whose names start with `prefix`.
pub fn files(prefix: &str) -> Vec<Golden> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/sequences");
    let mut found: Vec<Golden> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .map(|path| Golden::new(path.file_stem().unwrap().to_str().unwrap(), std::fs::read(&path).unwrap()))
        .filter(|golden| golden.name.starts_with(prefix))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(!found.is_empty(), "no golden data for {prefix}");
    found
}

impl Golden {
    fn new(name: &str, bytes: Vec<u8>) -> Golden {
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let words = metadata.metadata().as_ref().unwrap()["case"].clone();
        let words = words.split(' ').map(|word| {
            let (key, value) = word.split_once('=').unwrap();
            (key.to_string(), value.to_string())
        });
        Golden { name: name.to_string(), words: words.collect(), bytes }
    }

    /// The metadata entry `key`, if there is one.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.words.get(key).map(String::as_str)
    }

    pub fn flag(&self, key: &str) -> bool {
        match self.word(key) {
            None => false,
            Some("yes") => true,
            Some(other) => panic!("{}: {key} is {other}", self.name),
        }
    }

    pub fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> Option<T> {
        self.word(key).map(|value| value.parse().unwrap())
    }

    /// The cell of the first layer, with its options.
    pub fn options(&self) -> Options {
        let cell = match self.word("cell").unwrap() {
            "rnn" => Cell::Rnn,
            "lstm" => Cell::Lstm,
            "gru_reset_after" => Cell::GruResetAfter,
            "gru_reset_before" => Cell::GruResetBefore,
            other => panic!("unknown cell {other}"),
        };
        let (_, _, input) = self.dims();
        let mut options = Options::new(cell, input, self.number("hidden").unwrap());
        let list = self.word("activations").into_iter().flat_map(|list| list.split(','));
        for (slot, word) in list.enumerate() {
            options.functions[slot] = function(word);
        }
        options.bias = self.word("bias") != Some("no");
        options.clip = self.number::<f32>("clip").map(f64::from);
        options.peepholes = self.flag("peepholes");
        options.coupled = self.flag("coupled");
        options.projection = self.number("projection");
        options
    }

    /// Steps, batch and input.
    pub fn dims(&self) -> (usize, usize, usize) {
        let x = self.shape("x");
        if self.flag("batch_major") { (x[1], x[0], x[2]) } else { (x[0], x[1], x[2]) }
    }

    pub fn shape(&self, tensor: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).unwrap().shape().to_vec()
    }

    fn numbers<T>(&self, tensor: &str, dtype: Dtype, parse: impl Fn(&[u8]) -> T) -> Option<Vec<T>> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = file.tensor(tensor).ok().filter(|t| t.dtype() == dtype)?;
        Some(tensor.data().chunks_exact(dtype.bitsize() / 8).map(parse).collect())
    }

    /// A tensor of inputs, if it exists; panics if its type is not F32.
    pub fn f32(&self, tensor: &str) -> Option<Vec<f32>> {
        let numbers = self.numbers(tensor, Dtype::F32, |b| f32::from_le_bytes(b.try_into().unwrap()));
        assert!(numbers.is_some() || !self.has(tensor), "{}: {tensor} is no F32", self.name);
        numbers
    }

    /// A tensor of inputs as f64; empty if it does not exist.
    pub fn wide(&self, tensor: &str) -> Vec<f64> {
        self.f32(tensor).unwrap_or_default().into_iter().map(f64::from).collect()
    }

    /// A tensor of results, and whether it is F64. It is F32 where the framework computes nothing wider.
    pub fn expected(&self, tensor: &str) -> Option<(Vec<f64>, bool)> {
        if let Some(wide) = self.numbers(tensor, Dtype::F64, |b| f64::from_le_bytes(b.try_into().unwrap())) {
            return Some((wide, true));
        }
        Some((self.f32(tensor)?.into_iter().map(f64::from).collect(), false))
    }

    pub fn lengths(&self) -> Option<Vec<usize>> {
        let parse = |b: &[u8]| i64::from_le_bytes(b.try_into().unwrap()).try_into().unwrap();
        self.numbers("lengths", Dtype::I64, parse)
    }

    pub fn bools(&self, tensor: &str) -> Option<Vec<bool>> {
        self.numbers(tensor, Dtype::BOOL, |b| b[0] != 0)
    }

    pub fn has(&self, tensor: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(tensor).is_ok()
    }

    /// Fails if `got` deviates from the tensor by more than `tolerance` of its largest entry.
    #[track_caller]
    pub fn compare(&self, tensor: &str, got: impl IntoIterator<Item = f64>, tolerance: f64, by: &str) {
        let got: Vec<f64> = got.into_iter().collect();
        let Some((want, _)) = self.expected(tensor) else { panic!("{}: no tensor {tensor}", self.name) };
        assert_eq!(got.len(), want.len(), "{}: {tensor} by {by}", self.name);
        let largest = want.iter().fold(f64::MIN_POSITIVE, |m, w| m.max(w.abs()));
        for (i, (g, w)) in got.iter().zip(&want).enumerate() {
            let off = (g - w).abs() / largest;
            // Not `off > tolerance`, which would accept NaN.
            assert!(off <= tolerance, "{} by {by}: {tensor}[{i}] is {g}, should be {w}", self.name);
        }
    }
}
