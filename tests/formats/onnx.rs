//! ONNX graphs of a few nodes, put together here: what only looks like a layer is refused.

use recurrent::io::{Error, Format, Network, read};

use crate::refuse::says;

/// A field of a protobuf message: its number, and a wire type with what it holds.
fn key(number: u8, wire: u8) -> Vec<u8> {
    vec![number << 3 | wire]
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n > 0x7f {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

fn int(number: u8, n: i64) -> Vec<u8> {
    [key(number, 0), varint(n as u64)].concat()
}

fn part(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [key(number, 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A constant of an element type, whose data are raw.
fn constant(name: &str, dims: &[i64], element: i64, raw: &[u8]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&d| int(1, d)).collect();
    part(5, [dims, int(2, element), part(8, name), part(9, raw)].concat())
}

fn floats(name: &str, dims: &[i64]) -> Vec<u8> {
    let count = dims.iter().product::<i64>();
    constant(name, dims, 1, &(0..count).flat_map(|i| (i as f32 * 0.1).to_le_bytes()).collect::<Vec<_>>())
}

fn ints(name: &str, data: &[i64]) -> Vec<u8> {
    constant(name, &[data.len() as i64], 7, &data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

fn attribute(name: &str, n: i64) -> Vec<u8> {
    part(5, [part(1, name), int(3, n)].concat())
}

/// A node whose output has its name.
fn node(op: &str, inputs: &[&str], name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| part(1, input)).collect();
    part(1, [inputs, part(2, name), part(3, name), part(4, op), attributes.concat()].concat())
}

fn input(name: &str, element: i64) -> Vec<u8> {
    part(11, [part(1, name), part(2, part(1, int(1, element)))].concat())
}

/// An RNN of two units over `x`, of which `mean` is the mean of all steps.
fn mean() -> Vec<u8> {
    [
        floats("wi", &[1, 2, 3]),
        floats("wr", &[1, 2, 2]),
        ints("zero", &[0]),
        ints("one", &[1]),
        node("RNN", &["x", "wi", "wr"], "h", &[]),
        node("Squeeze", &["h", "one"], "s", &[]),
        node("ReduceMean", &["s", "zero"], "mean", &[attribute("keepdims", 0)]),
    ]
    .concat()
}

/// A graph from `x`, of some element type, to `y`.
fn graph(element: i64, parts: &[Vec<u8>]) -> Result<Network, Error> {
    let graph = [parts.concat(), input("x", element), part(12, part(1, "y"))].concat();
    read(&part(7, graph), Format::Onnx, None)
}

fn refused(parts: &[Vec<u8>], words: &[&str]) {
    says(&graph(1, parts).unwrap_err().to_string(), words);
}

/// With one size 0 the others may be anything: a transpose of no elements would take for ever.
#[test]
fn constants_of_no_elements_are_refused() {
    let matmul = || node("MatMul", &["x", "w"], "y", &[]);
    assert!(graph(1, &[floats("w", &[3, 2]), matmul()]).is_ok());
    refused(&[constant("w", &[0, 1 << 62], 1, &[]), matmul()], &["`w`", "above 0", "[0, 46116"]);
    let gemm = node("Gemm", &["mean", "w"], "y", &[attribute("transB", 1)]);
    refused(&[mean(), constant("w", &[1 << 62, 0], 1, &[]), gemm], &["`w`", "above 0"]);
}
