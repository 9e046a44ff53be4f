//! Small ONNX graphs, built here. Graphs that only look like a layer are rejected.

use recurrent::io::{Error, Format, Network, read};

use crate::refuse::says;

/// The key of a protobuf field: its number and wire type.
pub fn key(number: u8, wire: u8) -> Vec<u8> {
    vec![number << 3 | wire]
}

pub fn varint(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n > 0x7f {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

pub fn int(number: u8, n: i64) -> Vec<u8> {
    [key(number, 0), varint(n as u64)].concat()
}

pub fn part(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [key(number, 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A constant tensor of a given element type, with raw data.
pub fn constant(name: &str, dims: &[i64], element: i64, raw: &[u8]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&d| int(1, d)).collect();
    part(5, [dims, int(2, element), part(8, name), part(9, raw)].concat())
}

pub fn floats(name: &str, dims: &[i64]) -> Vec<u8> {
    let count = dims.iter().product::<i64>();
    constant(name, dims, 1, &(0..count).flat_map(|i| (i as f32 * 0.1).to_le_bytes()).collect::<Vec<_>>())
}

pub fn ints(name: &str, data: &[i64]) -> Vec<u8> {
    constant(name, &[data.len() as i64], 7, &data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}

pub fn attribute(name: &str, n: i64) -> Vec<u8> {
    part(5, [part(1, name), int(3, n)].concat())
}

/// A node; its output has the same name as the node.
pub fn node(op: &str, inputs: &[&str], name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| part(1, input)).collect();
    part(1, [inputs, part(2, name), part(3, name), part(4, op), attributes.concat()].concat())
}

pub fn input(name: &str, element: i64) -> Vec<u8> {
    part(11, [part(1, name), part(2, part(1, int(1, element)))].concat())
}

/// An RNN of two units over `x`, and `mean`, the mean of its outputs over all steps.
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

/// A graph with the inputs `x` and `lengths` and the output `y`.
fn graph(parts: &[Vec<u8>]) -> Result<Network, Error> {
    let ends = [input("x", 1), input("lengths", 6), part(12, part(1, "y"))].concat();
    read(&part(7, [parts.concat(), ends].concat()), Format::Onnx, None)
}

/// A graph that multiplies an input of `features` features by one number.
pub fn scaled_input(features: i64) -> Vec<u8> {
    let shape: Vec<u8> = [5, 2, features].iter().flat_map(|&n| part(1, int(1, n))).collect();
    let tensor = [int(1, 1), part(2, shape)].concat();
    let x = part(11, [part(1, "x"), part(2, part(1, tensor))].concat());
    let nodes = [floats("two", &[1]), node("Mul", &["x", "two"], "y", &[])].concat();
    part(7, [nodes, x, part(12, part(1, "y"))].concat())
}

fn refused(parts: &[Vec<u8>], words: &[&str]) {
    says(&graph(parts).unwrap_err().to_string(), words);
}

/// If one size is 0, the others may be huge without any data. Transposing such a tensor would take forever.
#[test]
fn constants_of_no_elements_are_refused() {
    let matmul = || node("MatMul", &["x", "w"], "y", &[]);
    assert!(graph(&[floats("w", &[3, 2]), matmul()]).is_ok());
    refused(&[constant("w", &[0, 1 << 62], 1, &[]), matmul()], &["`w`", "above 0", "[0, 46116"]);
    let gemm = node("Gemm", &["mean", "w"], "y", &[attribute("transB", 1)]);
    refused(&[mean(), constant("w", &[1 << 62, 0], 1, &[]), gemm], &["`w`", "above 0"]);
}

/// Nodes can share one constant: the file stays small, but each layer copies the weights.
#[test]
fn shared_constants_do_not_multiply() {
    let mut parts =
        vec![floats("w", &[3, 40]), node("MatMul", &["x", "w"], "x0", &[]), floats("w0", &[40, 40])];
    let name = |of: &str, n: usize, last: usize| match n == last {
        true => "y".to_string(),
        false => format!("{of}{n}"),
    };
    let chain = |count: usize, parts: &mut Vec<Vec<u8>>| {
        let mut x = "x0".to_string();
        for n in 1..=count {
            let (w, y) = (format!("w{n}"), name("x", n, count));
            parts.push(node("Identity", &[&format!("w{}", n - 1)], &w, &[]));
            parts.push(node("MatMul", &[&x, &w], &y, &[]));
            x = y;
        }
    };
    // More layers than any fixed-size array in the program could hold.
    chain(17, &mut parts);
    assert_eq!(graph(&parts).unwrap().layers().len(), 18);
    parts.truncate(3);
    chain(60, &mut parts);
    refused(&parts, &["more weights than 16 times the bytes of the file"]);
}

#[test]
fn nodes_that_change_the_data_are_refused() {
    let dense = || [floats("w", &[3, 2]), node("MatMul", &["x", "w"], "m", &[])].concat();
    let cast = |to| node("Cast", &["m"], "y", &[attribute("to", to)]);
    assert!(graph(&[dense(), cast(1)]).is_ok());
    refused(&[dense(), cast(6)], &["Cast node `y`", "type: 6"]);
    refused(&[dense(), cast(11)], &["Cast node `y`", "type: 11"]);
    assert_eq!(graph(&[dense(), cast(10)]).unwrap().notes().len(), 1);
    assert!(graph(&[dense(), node("Dropout", &["m"], "y", &[])]).is_ok());
    let training = node("Dropout", &["m", "", "training"], "y", &[]);
    refused(&[dense(), training], &["Dropout node `y`", "training"]);
    refused(&[dense(), node("Tanh", &["m"], "y", &[attribute("what", 1)])], &["`what`", "Tanh node `y`"]);

    let add = |attributes: &[Vec<u8>]| node("Add", &["t", "b"], "y", attributes);
    let sums = |perm: &[i64]| {
        let perm = perm.iter().flat_map(|&p| int(8, p)).collect();
        let attribute = part(5, [part(1, "perm"), perm].concat());
        [dense(), floats("b", &[2]), node("Transpose", &["m"], "t", &[attribute])].concat()
    };
    assert!(graph(&[sums(&[1, 0, 2]), add(&[])]).is_ok());
    refused(&[sums(&[1, 2, 0]), add(&[])], &["Add node `y`", "other than the features"]);
    refused(&[sums(&[1, 0, 2]), add(&[attribute("axis", 1)])], &["`axis`", "Add node `y`"]);
}

/// Only a row can be a bias: a column would add a different number to each row of the product.
#[test]
fn the_bias_of_a_gemm_is_a_row() {
    let gemm = |dims: &[i64]| {
        graph(&[mean(), floats("w", &[2, 2]), floats("c", dims), node("Gemm", &["mean", "w", "c"], "y", &[])])
    };
    assert!(gemm(&[2]).is_ok() && gemm(&[1, 2]).is_ok());
    for dims in [&[2, 1][..], &[1, 1, 2], &[3]] {
        says(&gemm(dims).unwrap_err().to_string(), &["`c`", "shape [2]", &format!("shape {dims:?}")]);
    }
}

/// ONNX pads `Y` with zeros. A pool in this crate skips padding, so it would give something else.
#[test]
fn pools_over_padding_are_refused() {
    let parts = [mean(), node("MatMul", &["mean", "wr2"], "y", &[]), floats("wr2", &[2, 2])].concat();
    assert!(graph(std::slice::from_ref(&parts)).is_ok());
    let parts = |pool: Vec<u8>| {
        let rnn = node("RNN", &["x", "wi", "wr", "", "lengths"], "h", &[]);
        let constants =
            [floats("wi", &[1, 2, 3]), floats("wr", &[1, 2, 2]), ints("zero", &[0]), ints("one", &[1])];
        let last = constant("last", &[], 7, &(-1i64).to_le_bytes());
        let squeeze = node("Squeeze", &["h", "one"], "s", &[]);
        graph(&[constants.concat(), last, rnn, squeeze, pool])
    };
    for pool in [
        node("ReduceMean", &["s", "zero"], "y", &[attribute("keepdims", 0)]),
        node("Gather", &["s", "last"], "y", &[]),
    ] {
        says(&parts(pool).unwrap_err().to_string(), &["node `y`", "ends of sequences"]);
    }
    assert!(parts(node("Identity", &["s"], "y", &[])).is_ok());
}

#[test]
fn cut_constants_and_graphs_without_outputs_are_refused() {
    let cut = constant("one", &[2], 7, &1i64.to_le_bytes());
    refused(&[cut, node("Identity", &["x"], "y", &[])], &["`one`", "shape [2]", "1 whole"]);
    let cut = constant("one", &[1], 7, &[0; 12]);
    refused(&[cut, node("Identity", &["x"], "y", &[])], &["`one`", "shape [1]"]);
    let file = part(7, [floats("w", &[3, 2]), node("MatMul", &["x", "w"], "y", &[]), input("x", 1)].concat());
    says(&read(&file, Format::Onnx, None).unwrap_err().to_string(), &["no output"]);
}

/// NaN is rejected as the parameter of an activation.
#[test]
fn parameters_of_activations_that_are_nan_are_refused() {
    let rnn = |alpha: f32| {
        // In an attribute, field 7 holds repeated floats and field 9 repeated strings.
        let floats = [vec![7 << 3 | 5], alpha.to_le_bytes().to_vec()].concat();
        let alphas = part(5, [part(1, "activation_alpha"), floats].concat());
        let names = part(5, [part(1, "activations"), part(9, "Elu")].concat());
        let constants = [self::floats("wi", &[1, 2, 3]), self::floats("wr", &[1, 2, 2]), ints("one", &[1])];
        let squeeze = node("Squeeze", &["h", "one"], "y", &[]);
        graph(&[constants.concat(), node("RNN", &["x", "wi", "wr"], "h", &[names, alphas]), squeeze])
    };
    assert!(rnn(0.5).is_ok());
    says(&rnn(f32::NAN).unwrap_err().to_string(), &["`activations`", "NaN"]);
}

/// Unused outputs and omitted inputs both have an empty name, but they are not the same value.
#[test]
fn omitted_outputs_are_no_inputs() {
    let rnn = |outputs: &[&str]| {
        let inputs = ["x", "wi", "wr"].iter().flat_map(|input| part(1, input)).collect();
        let outputs = outputs.iter().flat_map(|output| part(2, output)).collect();
        part(1, [inputs, outputs, part(3, "rnn"), part(4, "RNN")].concat())
    };
    let read = |outputs: &[&str], of: &str, axis: &str| {
        graph(&[
            [floats("wi", &[1, 2, 3]), floats("wr", &[1, 2, 2])].concat(),
            [ints("zero", &[0]), ints("one", &[1])].concat(),
            rnn(outputs),
            // A slice of a constant with omitted axes.
            node("Slice", &["one", "zero", "one", "", "one"], "sizes", &[]),
            node("Squeeze", &[of, axis], "y", &[]),
        ])
    };
    assert!(read(&["h", ""], "h", "one").unwrap() == read(&["h"], "h", "one").unwrap());
    // Only the last state is used.
    assert!(read(&["", "last"], "last", "zero").unwrap() == read(&["h", "last"], "last", "zero").unwrap());
}
