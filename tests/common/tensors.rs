//! Reads the tensor files in tests/data.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

pub struct Tensors(Vec<u8>);

impl Tensors {
    /// `name` is a path in tests/data, without extension.
    pub fn read(name: &str) -> Tensors {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{name}.safetensors"));
        Tensors(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    }

    fn parse<const N: usize, T>(&self, name: &str, dtype: Dtype, parse: fn([u8; N]) -> T) -> Vec<T> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(tensor.dtype(), dtype, "{name}");
        tensor.data().chunks(N).map(|b| parse(b.try_into().unwrap())).collect()
    }

    pub fn f32(&self, name: &str) -> Vec<f32> {
        self.parse(name, Dtype::F32, f32::from_le_bytes)
    }

    pub fn f64(&self, name: &str) -> Vec<f64> {
        self.parse(name, Dtype::F64, f64::from_le_bytes)
    }

    pub fn ids(&self, name: &str) -> Vec<u32> {
        self.parse(name, Dtype::I64, |b| i64::from_le_bytes(b).try_into().unwrap())
    }
}
