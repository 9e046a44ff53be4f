//! ONNX models with one recurrent operator, written as protobuf.
//!
//! Field numbers are from `onnx.proto` (IR version 8, operator set 14).

use crate::case::{Case, Cell};

/// A model with the input `x [T, B, I]`, the output `y [T, 1, B, H]`, and an initial state of zeros. The
/// state is an explicit constant: without it, ONNX Runtime skips the hidden product of the first step (of the
/// RNN), which is half of the work of a single step.
pub fn model(case: &Case) -> Vec<u8> {
    let parts = case.parts();
    let (gates, input, hidden) = (case.cell.gates(), case.input, case.hidden);
    // The index in our order for each of ONNX' gates: `i o f c` for the LSTM and `z r h` for the GRU.
    let order: &[usize] = match case.cell {
        Cell::Rnn => &[0],
        Cell::Lstm => &[0, 3, 1, 2],
        Cell::Gru => &[1, 0, 2],
    };
    let reorder = |data: &[f32]| -> Vec<f32> {
        let len = data.len() / gates;
        order.iter().flat_map(|gate| data[gate * len..][..len].iter().copied()).collect()
    };
    let mut b = reorder(parts.b_ih);
    b.extend(reorder(parts.b_hh));

    let mut node = Message::default();
    // The empty name omits the lengths of the sequences.
    for name in ["x", "w", "r", "b", "", "h0"] {
        node.bytes(1, name.as_bytes());
    }
    if case.cell == Cell::Lstm {
        node.bytes(1, b"c0");
    }
    node.bytes(2, b"y");
    node.bytes(
        4,
        match case.cell {
            Cell::Rnn => b"RNN".as_slice(),
            Cell::Lstm => b"LSTM",
            Cell::Gru => b"GRU",
        },
    );
    node.bytes(5, &attribute("hidden_size", hidden).0);
    if case.cell == Cell::Gru {
        node.bytes(5, &attribute("linear_before_reset", 1).0);
    }

    let mut graph = Message::default();
    graph.bytes(1, &node.0);
    graph.bytes(2, b"recurrent");
    graph.bytes(5, &tensor("w", &[1, gates * hidden, input], &reorder(parts.w_ih)).0);
    graph.bytes(5, &tensor("r", &[1, gates * hidden, hidden], &reorder(parts.w_hh)).0);
    graph.bytes(5, &tensor("b", &[1, 2 * gates * hidden], &b).0);
    let zeros = vec![0.0; case.batch * hidden];
    graph.bytes(5, &tensor("h0", &[1, case.batch, hidden], &zeros).0);
    if case.cell == Cell::Lstm {
        graph.bytes(5, &tensor("c0", &[1, case.batch, hidden], &zeros).0);
    }
    graph.bytes(11, &value("x", &[case.steps, case.batch, input]).0);
    graph.bytes(12, &value("y", &[case.steps, 1, case.batch, hidden]).0);

    let mut opset = Message::default();
    opset.int(2, 14);
    let mut model = Message::default();
    model.int(1, 8);
    model.bytes(7, &graph.0);
    model.bytes(8, &opset.0);
    model.0
}

fn attribute(name: &str, value: usize) -> Message {
    const INT: usize = 2;
    let mut m = Message::default();
    m.bytes(1, name.as_bytes());
    m.int(3, value);
    m.int(20, INT);
    m
}

const FLOAT: usize = 1;

fn tensor(name: &str, shape: &[usize], data: &[f32]) -> Message {
    let mut m = Message::default();
    for &n in shape {
        m.int(1, n);
    }
    m.int(2, FLOAT);
    m.bytes(8, name.as_bytes());
    m.bytes(9, &data.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    m
}

fn value(name: &str, shape: &[usize]) -> Message {
    let mut dims = Message::default();
    for &n in shape {
        let mut dim = Message::default();
        dim.int(1, n);
        dims.bytes(1, &dim.0);
    }
    let mut tensor = Message::default();
    tensor.int(1, FLOAT);
    tensor.bytes(2, &dims.0);
    let mut kind = Message::default();
    kind.bytes(1, &tensor.0);
    let mut m = Message::default();
    m.bytes(1, name.as_bytes());
    m.bytes(2, &kind.0);
    m
}

/// A protobuf message: fields one after the other.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut n: usize) {
        while n >= 0x80 {
            self.0.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }

    fn int(&mut self, field: usize, n: usize) {
        self.varint(field << 3);
        self.varint(n);
    }

    fn bytes(&mut self, field: usize, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len());
        self.0.extend_from_slice(bytes);
    }
}
