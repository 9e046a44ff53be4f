//! ONNX graphs that split the directions of a layer, use states as outputs, or reverse the steps.

use recurrent::io::{Error, Format, Network, read};
use recurrent::model::Layer;
use recurrent::{Dense, Lstm, Merge, Pool, Rnn, Stack};

use crate::onnx::{attribute, constant, floats, input, ints, node, part};
use crate::refuse::says;
use crate::{Golden, bytes};

/// A recurrent node with several outputs and a direction.
fn layer(op: &str, outputs: &[&str], direction: &str, x: &str) -> Vec<u8> {
    let inputs = [x, "w", "r"].iter().flat_map(|input| part(1, input)).collect();
    let outputs = outputs.iter().flat_map(|output| part(2, output)).collect();
    let direction = part(5, [part(1, "direction"), part(4, direction)].concat());
    part(1, [inputs, outputs, part(3, "layer"), part(4, op), direction].concat())
}

/// A graph from `x` to these outputs.
fn graph(parts: &[Vec<u8>], outputs: &[&str]) -> Result<Network, Error> {
    let numbers = [("zero", 0), ("one", 1), ("two", 2), ("back", -1), ("end", i64::MAX), ("begin", i64::MIN)];
    let numbers = numbers.iter().flat_map(|(name, n)| ints(name, &[*n])).collect();
    let outputs = outputs.iter().flat_map(|output| part(12, part(1, output))).collect();
    read(&part(7, [numbers, parts.concat(), input("x", 1), outputs].concat()), Format::Onnx, None)
}

fn layers(network: Result<Network, Error>) -> Vec<Layer> {
    network.unwrap().layers().collect()
}

/// Both directions of a layer with two units and three features, split: all steps, the last step and the
/// first step of each direction.
fn apart() -> Vec<u8> {
    let part = |of: &str, start: &str, end: &str, axis: &str, name: &str| {
        let cut = format!("{name}_cut");
        let slice = node("Slice", &[of, start, end, axis], &cut, &[]);
        [slice, node("Squeeze", &[&cut, axis], name, &[])].concat()
    };
    [
        floats("w", &[2, 2, 3]),
        floats("r", &[2, 2, 2]),
        layer("RNN", &["h", "h_n"], "bidirectional", "x"),
        part("h", "zero", "one", "one", "forward"),
        part("h", "one", "two", "one", "backward"),
        part("forward", "back", "end", "zero", "forward_last"),
        part("forward", "zero", "one", "zero", "forward_first"),
        part("backward", "back", "end", "zero", "backward_last"),
        part("backward", "zero", "one", "zero", "backward_first"),
    ]
    .concat()
}

fn joined(op: &str, first: &str, second: &str, axis: i64) -> Result<Network, Error> {
    let attributes = if op == "Concat" { vec![attribute("axis", axis)] } else { vec![] };
    graph(&[apart(), node(op, &[first, second], "y", &attributes)], &["y"])
}

#[test]
fn directions_come_together_again() {
    let both = |merge| Layer::from(Stack::new(Rnn::new(3, 2).bias(false)).bidirectional(merge));
    let concat = both(Merge::Concat);
    assert_eq!(layers(joined("Concat", "forward", "backward", 2)), [concat]);
    assert_eq!(layers(joined("Concat", "forward", "backward", -1)), [concat]);
    let pooled = |pool| [concat, Layer::Pool(pool)];
    assert_eq!(layers(joined("Concat", "forward_last", "backward_first", 1)), pooled(Pool::Ends));
    assert_eq!(layers(joined("Concat", "forward_last", "backward_last", 1)), pooled(Pool::Last));
    assert_eq!(layers(joined("Concat", "forward_first", "backward_first", -1)), pooled(Pool::First));
    assert_eq!(layers(joined("Add", "forward", "backward", 0)), [both(Merge::Sum)]);
    assert_eq!(layers(joined("Add", "backward", "forward", 0)), [both(Merge::Sum)]);
    assert_eq!(
        layers(joined("Add", "forward_last", "backward_last", 0)),
        [both(Merge::Sum), Layer::Pool(Pool::Last)]
    );
    let sum = joined("Add", "backward_first", "forward_last", 0).unwrap();
    assert_eq!(
        sum.layers().collect::<Vec<_>>(),
        [concat, Layer::Pool(Pool::Ends), Layer::Dense(Dense::new(4, 2))]
    );
    let identities = [1.0, 0.0, 1.0, 0.0, /**/ 0.0, 1.0, 0.0, 1.0, /**/ 0.0, 0.0];
    assert_eq!(sum.weights()[sum.weights().len() - 10..], identities);
}

/// Splits the features by slices: `y[:, -1, :2]` and `y[:, 0, 2:]`.
#[test]
fn directions_side_by_side_come_apart() {
    let whole = [
        apart(),
        node("Concat", &["forward", "backward"], "both", &[attribute("axis", 2)]),
        node("Gather", &["both", "back"], "last", &[attribute("axis", 0)]),
        node("Gather", &["both", "zero"], "first", &[attribute("axis", 0)]),
        node("Slice", &["last", "zero", "two", "two"], "left", &[]),
        node("Slice", &["first", "two", "end", "two"], "right", &[]),
        node("Slice", &["both", "zero", "two", "two"], "all_left", &[]),
        node("Slice", &["both", "two", "end", "two"], "all_right", &[]),
    ];
    let joined = |op: &str, first: &str, second: &str, attributes: &[Vec<u8>]| {
        graph(&[whole.concat(), node(op, &[first, second], "y", attributes)], &["y"])
    };
    let both = |merge| Layer::from(Stack::new(Rnn::new(3, 2).bias(false)).bidirectional(merge));
    let last = [attribute("axis", -1)];
    let ends = [both(Merge::Concat), Layer::Pool(Pool::Ends)];
    assert_eq!(layers(joined("Concat", "left", "right", &last)), ends);
    assert_eq!(layers(joined("Add", "all_left", "all_right", &[])), [both(Merge::Sum)]);
    // A step whose features are not split is a pool of the whole output.
    for (output, pool) in [("last", Pool::Last), ("first", Pool::First)] {
        assert_eq!(layers(graph(&[whole.concat()], &[output])), [both(Merge::Concat), Layer::Pool(pool)]);
    }
    let dense = [floats("m", &[4, 2]), node("MatMul", &["last", "m"], "y", &[])];
    assert_eq!(
        layers(graph(&[whole.concat(), dense.concat()], &["y"])),
        [both(Merge::Concat), Layer::Pool(Pool::Last), Layer::Dense(Dense::new(4, 2))]
    );
    let wrong = joined("Concat", "right", "left", &last).unwrap_err().to_string();
    says(&wrong, &["`y`", "not an output of the last layer"]);
    // Slices that do not match the features of one direction are rejected.
    let third = [ints("three", &[3]), node("Slice", &["both", "zero", "three", "two"], "y", &[])];
    says(&graph(&[whole.concat(), third.concat()], &["y"]).unwrap_err().to_string(), &["Slice node `y`"]);
}

/// Two nodes that read the same data, in either order.
#[test]
fn directions_of_two_nodes_are_one_layer() {
    let two = |first: &str, second: &str, rest: &[Vec<u8>]| {
        let node = |op: &str, names: [&str; 2], direction: &str, at: u8| {
            let inputs = ["x".to_string(), format!("w{at}"), format!("r{at}")];
            let inputs = inputs.iter().flat_map(|input| part(1, input)).collect();
            let outputs = names.iter().flat_map(|output| part(2, output)).collect();
            let direction = part(5, [part(1, "direction"), part(4, direction)].concat());
            part(1, [inputs, outputs, part(3, names[0]), part(4, op), direction].concat())
        };
        let of = |direction: &str| match direction {
            "forward" => node("RNN", ["f", "f_n"], "forward", 0),
            _ => node("RNN", ["b", "b_n"], "reverse", 1),
        };
        let numbers = |from: f32, n: usize| -> Vec<u8> {
            (0..n).flat_map(|i| (from + i as f32).to_le_bytes()).collect()
        };
        let constants = [
            constant("w0", &[1, 2, 3], 1, &numbers(0.0, 6)),
            constant("r0", &[1, 2, 2], 1, &numbers(6.0, 4)),
            constant("w1", &[1, 2, 3], 1, &numbers(10.0, 6)),
            constant("r1", &[1, 2, 2], 1, &numbers(16.0, 4)),
        ];
        graph(&[constants.concat(), of(first), of(second), rest.concat()], &["y"])
    };
    let both = Layer::from(Stack::new(Rnn::new(3, 2).bias(false)).bidirectional(Merge::Concat));
    let weights: Vec<f32> = (0..20).map(|i| i as f32).collect();
    let squeezed = |of: &str, axis: &str| node("Squeeze", &[of, axis], &format!("{of}_s"), &[]);
    let join = |a: &str, b: &str| node("Concat", &[a, b], "y", &[attribute("axis", -1)]);
    for [first, second] in [["forward", "reverse"], ["reverse", "forward"]] {
        let all = [squeezed("f", "one"), squeezed("b", "one"), join("f_s", "b_s")];
        let network = two(first, second, &all).unwrap();
        assert_eq!(network.layers().collect::<Vec<_>>(), [both]);
        assert_eq!(network.weights(), weights);
        let last = [squeezed("f_n", "zero"), squeezed("b_n", "zero"), join("f_n_s", "b_n_s")];
        let network = two(first, second, &last).unwrap();
        assert_eq!(network.layers().collect::<Vec<_>>(), [both, Layer::Pool(Pool::Ends)]);
        assert_eq!(network.weights(), weights);
        let swapped = [squeezed("f", "one"), squeezed("b", "one"), join("b_s", "f_s")];
        says(
            &two(first, second, &swapped).unwrap_err().to_string(),
            &["`y`", "not an output of the last layer"],
        );
    }
    let twice = two("forward", "forward", &[squeezed("f", "one"), node("Identity", &["f_s"], "y", &[])]);
    says(&twice.unwrap_err().to_string(), &["two nodes make"]);
    let one = two("forward", "reverse", &[squeezed("f", "one"), node("Tanh", &["f_s"], "y", &[])]);
    says(&one.unwrap_err().to_string(), &["`y`", "one direction"]);
}

/// Compares with ONNX Runtime. In one model only the reverse direction has an initial state.
#[test]
fn two_nodes_give_their_outputs() {
    for file in ["onnx_lstm_two_nodes.onnx", "onnx_lstm_two_states.onnx"] {
        let network = read(&bytes(file), Format::Onnx, None).unwrap();
        assert!(!network.initial_state().is_empty());
        let difference = Golden::of(file).difference(&network);
        assert!(difference < 1e-6, "{file}: {difference}");
    }
}

#[test]
fn directions_that_do_not_are_refused() {
    let refused = |network: Result<Network, Error>, words: &[&str]| {
        says(&network.unwrap_err().to_string(), words);
    };
    for (first, second, axis) in [
        ("backward", "forward", 2),
        ("forward", "forward", 2),
        ("forward", "backward", 0),
        ("forward_first", "backward_last", 1),
        ("forward", "backward_first", 1),
    ] {
        refused(joined("Concat", first, second, axis), &["`y`", "not an output of the last layer"]);
    }
    let other = ["node `y`", "works on one direction"];
    refused(joined("Add", "forward_first", "backward_last", 0), &other);
    refused(joined("Mul", "forward", "backward", 0), &other);
    refused(graph(&[apart(), node("Tanh", &["forward"], "y", &[])], &["y"]), &other);
    refused(graph(&[apart()], &["forward"]), &["`forward`", "not an output of the last layer"]);
    // After another layer, the directions of the earlier output can no longer be joined.
    let more = [
        node("Concat", &["forward", "backward"], "both", &[attribute("axis", 2)]),
        node("Tanh", &["both"], "t", &[]),
        node("Concat", &["forward_last", "backward_first"], "y", &[attribute("axis", 1)]),
    ];
    refused(graph(&[apart(), more.concat()], &["y"]), &["`y`", "not an output of the last layer"]);
}

#[test]
fn states_are_outputs_in_any_order() {
    let both = Layer::from(Stack::new(Rnn::new(3, 2).bias(false)).bidirectional(Merge::Concat));
    let ends = graph(&[apart()], &["h_n"]).unwrap();
    assert_eq!(ends.layers().collect::<Vec<_>>(), [both, Layer::Pool(Pool::Ends)]);
    assert!(ends.notes().iter().any(|note| note.to_string().contains("side by side")), "{:?}", ends.notes());
    assert_eq!(layers(graph(&[apart()], &["h_n", "h"])), [both]);

    let lstm = [
        floats("w", &[1, 8, 3]),
        floats("r", &[1, 8, 2]),
        layer("LSTM", &["h", "h_n", "c_n"], "reverse", "x"),
        node("Squeeze", &["h", "one"], "all", &[]),
        node("Squeeze", &["h_n", "zero"], "last", &[]),
        node("Squeeze", &["c_n", "zero"], "cell", &[]),
    ];
    let reverse = Layer::from(Lstm::new(3, 2).bias(false).reverse());
    let first = [reverse, Layer::Pool(Pool::First)];
    for outputs in [&["c_n", "h_n", "all"][..], &["all"], &["h_n", "h"], &["all", "last", "cell"]] {
        assert_eq!(layers(graph(&lstm, outputs)), [reverse], "{outputs:?}");
    }
    for outputs in [&["c_n", "h_n"][..], &["h_n"], &["last"], &["last", "c_n"], &["cell", "last"]] {
        assert_eq!(layers(graph(&lstm, outputs)), first, "{outputs:?}");
    }
    says(&graph(&lstm, &["c_n"]).unwrap_err().to_string(), &["`c_n`", "not an output of the last layer"]);
}

#[test]
fn steps_that_stand_backwards_make_a_layer_run_in_reverse() {
    let backwards = |x: &str, name: &str| node("Slice", &[x, "back", "begin", "zero", "back"], name, &[]);
    let rnn = [
        floats("w", &[1, 2, 3]),
        floats("r", &[1, 2, 2]),
        backwards("x", "b"),
        layer("RNN", &["h", "h_n"], "forward", "b"),
        node("Squeeze", &["h", "one"], "all", &[]),
        node("Squeeze", &["h_n", "zero"], "state", &[]),
        node("Slice", &["all", "back", "end", "zero"], "last", &[]),
        node("Slice", &["all", "zero", "one", "zero"], "first", &[]),
        backwards("all", "forward"),
    ];
    let reverse = Layer::from(Rnn::new(3, 2).bias(false).reverse());
    let until = |count: usize, output: &str| graph(&rnn[..count], &[output]);
    assert_eq!(layers(until(6, "state")), [reverse, Layer::Pool(Pool::First)]);
    assert_eq!(layers(until(7, "last")), [reverse, Layer::Pool(Pool::First)]);
    assert_eq!(
        layers(graph(&[rnn[..6].concat(), rnn[7].clone()], &["first"])),
        [reverse, Layer::Pool(Pool::Last)]
    );
    assert_eq!(layers(graph(&[rnn[..6].concat(), rnn[8].clone()], &["forward"])), [reverse]);
    says(&until(5, "all").unwrap_err().to_string(), &["all steps backwards"]);

    // A reverse layer over reversed steps is a forward layer. With both directions they would change places,
    // which is rejected.
    let twice = [&rnn[..3].concat()[..], &layer("RNN", &["h", "h_n"], "reverse", "b")].concat();
    let forward = Layer::from(Rnn::new(3, 2).bias(false));
    assert_eq!(layers(graph(&[twice], &["h_n"])), [forward, Layer::Pool(Pool::Last)]);
    let both = [
        floats("w", &[2, 2, 3]),
        floats("r", &[2, 2, 2]),
        backwards("x", "b"),
        layer("RNN", &["h", "h_n"], "bidirectional", "b"),
    ];
    says(&graph(&both, &["h_n"]).unwrap_err().to_string(), &["RNN node `layer`", "backwards"]);
    // The steps in their original order are no longer part of the chain.
    let branch = [rnn[..3].concat(), layer("RNN", &["h", "h_n"], "forward", "x")];
    says(&graph(&branch, &["h_n"]).unwrap_err().to_string(), &["only chains of layers"]);
    // Only the time axis can be reversed, not the batch.
    let batch = [rnn[..5].concat(), node("Slice", &["all", "back", "begin", "one", "back"], "y", &[])];
    says(&graph(&batch, &["y"]).unwrap_err().to_string(), &["Slice node `y`", "other than time"]);
}

/// Reshapes that merge steps and sequences into rows: only whole rows, and only back to the original shape.
#[test]
fn steps_become_rows_and_steps_again() {
    let rnn = || {
        [
            floats("w", &[1, 2, 3]),
            floats("r", &[1, 2, 2]),
            layer("RNN", &["h"], "forward", "x"),
            node("Squeeze", &["h", "one"], "s", &[]),
            node("Shape", &["s"], "shape", &[]),
            ints("rows", &[-1, 2]),
            ints("wide", &[-1, 4]),
            ints("five", &[-1, 5, 2]),
            floats("m", &[2, 2]),
        ]
        .concat()
    };
    let through = |rows: &str, back: &str| {
        let dense = [
            node("Reshape", &["s", rows], "flat", &[]),
            node("MatMul", &["flat", "m"], "product", &[]),
            node("Reshape", &["product", back], "y", &[]),
        ];
        graph(&[rnn(), dense.concat()], &["y"])
    };
    let layer = Layer::from(Rnn::new(3, 2).bias(false));
    assert_eq!(layers(through("rows", "shape")), [layer, Layer::Dense(Dense::new(2, 2))]);
    says(&through("wide", "shape").unwrap_err().to_string(), &["Reshape node `flat`"]);
    says(&through("rows", "five").unwrap_err().to_string(), &["Reshape node `y`"]);
    // Batch and steps must keep their order.
    let swapped =
        [ints("order", &[1, 0, 2]), node("Gather", &["shape", "order"], "swapped", &[attribute("axis", 0)])];
    let dense = [
        node("Reshape", &["s", "rows"], "flat", &[]),
        node("MatMul", &["flat", "m"], "product", &[]),
        node("Reshape", &["product", "swapped"], "y", &[]),
    ];
    let network = graph(&[rnn(), swapped.concat(), dense.concat()], &["y"]);
    says(&network.unwrap_err().to_string(), &["Reshape node `y`"]);
}
