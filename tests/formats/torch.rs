//! Contents of PyTorch's files besides plain parameters: tied weights, other modules, other element types.

use recurrent::io::{Ending, Format, Network, Note, Plan, read, write};
use recurrent::model::Layer;
use recurrent::{Activate, Activation};

use crate::refuse::{message, says};
use crate::{bytes, network};

/// A safetensors file with these metadata, and with tensors of a given name, element type, shape and data.
fn file(metadata: &[(&str, &str)], tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let words: Vec<_> = metadata.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
    let mut header = format!("{{\"__metadata__\":{{{}}}", words.join(","));
    let mut data = vec![];
    for (name, dtype, shape, bytes) in tensors {
        let end = data.len() + bytes.len();
        header += &format!(
            ",\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{},{end}]}}",
            data.len()
        );
        data.extend(bytes);
    }
    header += "}";
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// The names in the notes about what a plan leaves out.
fn left_out(network: &Network) -> Vec<&str> {
    let names = network.notes().iter().filter_map(|note| match note {
        Note::LeftOut(what) => {
            Some(what.strip_suffix(", which the plan of the layers does not name").unwrap())
        }
        _ => None,
    });
    names.collect()
}

fn floats(len: usize) -> Vec<u8> {
    (0..len).flat_map(|i| (i as f32 * 0.1).to_le_bytes()).collect()
}

/// `save_model` stores only the decoder's matrix. The metadata say that the encoder has the same one.
#[test]
fn tied_weights_are_both_there() {
    let tied = network("torch_tied.safetensors");
    let layers: Vec<_> = tied.layers().collect();
    assert!(matches!(layers[..], [Layer::Embedding(_), Layer::Gru(_), Layer::Dense(_)]), "{layers:?}");
    let parts: Vec<_> = tied.parts().map(|(_, weights)| weights).collect();
    assert_eq!(parts[0], &parts[2][..7 * 4]);
    // This works even if the plan leaves out the module whose matrix is stored.
    let bytes = bytes("torch_tied.safetensors");
    let encoder = read(&bytes, Format::Safetensors, Some(&"encoder,rnn".parse().unwrap())).unwrap();
    assert_eq!(encoder.weights()[..7 * 4], *parts[0]);
    assert_eq!(left_out(&encoder), ["`decoder`"]);
}

/// Aliases take almost no space in a file, but each would be a copy in memory.
#[test]
fn aliases_do_not_multiply() {
    let names: Vec<String> = (0..200).map(|n| format!("m{n}.weight")).collect();
    let aliases: Vec<_> = names.iter().map(|name| (&name[..], "fc.weight")).collect();
    let many = file(&aliases, &[("fc.weight", "F32", &[100, 100], floats(10_000))]);
    says(&message(&many, Format::Safetensors, None), &["`fc.weight`", "a layer number that no model has"]);
    // With a plan, only the named modules are copied.
    assert!(read(&many, Format::Safetensors, Some(&"m0,fc".parse().unwrap())).is_ok());
}

#[test]
fn what_a_plan_leaves_out_is_told_and_may_be_anything() {
    let others = network("torch_others.safetensors");
    assert_eq!(left_out(&others), ["`bn`, `h0`"]);
    let bytes = bytes("torch_others.safetensors");
    says(&message(&bytes, Format::Safetensors, None), &["`bn.num_batches_tracked`", "--layers", "I64"]);
    let plan = "lstm,lstm2".parse().unwrap();
    let two = read(&crate::bytes("torch_two_lstms.safetensors"), Format::Safetensors, Some(&plan)).unwrap();
    assert_eq!(left_out(&two), ["`dense`"]);
    assert!(left_out(&network("torch_two_lstms.safetensors")).is_empty());
    let strange = file(
        &[],
        &[
            ("fc.weight", "F32", &[2, 3], floats(6)),
            ("count", "I64", &[], vec![0; 8]),
            ("seen.mask", "BOOL", &[3], vec![1; 3]),
        ],
    );
    let fc = read(&strange, Format::Safetensors, Some(&"fc:linear".parse().unwrap())).unwrap();
    assert_eq!(left_out(&fc), ["`count`, `seen`"]);
}

/// A tensor whose name has no dot, and a module without known parameters, appear in errors under their own
/// names.
#[test]
fn tensors_of_no_layer_are_named() {
    let of = |name: &str| {
        let shape: &[usize] = &[1, 4];
        file(&[], &[("fc.weight", "F32", &[2, 3], floats(6)), (name, "F32", shape, floats(4))])
    };
    for name in ["h0", "mean", "bn.mean"] {
        let words = [&format!("tensor `{name}`")[..], "--layers", "shape [1, 4]"];
        says(&message(&of(name), Format::Safetensors, None), &words);
    }
    says(&message(&of("bn.running_mean"), Format::Safetensors, None), &["module `bn`", "BatchNorm"]);
}

#[test]
fn wide_elements_are_rounded_where_they_fit() {
    let wide = |x: f64| {
        let data = [0.1, 1e-300, x].iter().flat_map(|x| x.to_le_bytes()).collect();
        file(&[], &[("fc.weight", "F64", &[1, 3], data)])
    };
    let plan = "fc:linear".parse().unwrap();
    let read = |x: f64| read(&wide(x), Format::Safetensors, Some(&plan));
    assert_eq!(read(f64::from(f32::MAX)).unwrap().weights()[..3], [0.1, 0.0, f32::MAX]);
    assert_eq!(read(f64::INFINITY).unwrap().weights()[2], f32::INFINITY);
    says(&read(1e39).unwrap_err().to_string(), &["`fc.weight`", "32-bit", "1e39"]);
}

/// A plan can name activations, states and other operations between and after PyTorch's modules.
#[test]
fn plans_say_activations_states_residuals_and_endings() {
    let plan: Plan = "lstm,@relu,lstm2,dense,@residual,@softmax".parse().unwrap();
    assert_eq!(plan.to_string(), "lstm,@relu,lstm2,dense,@residual,@softmax");
    let network = read(&bytes("torch_two_lstms.safetensors"), Format::Safetensors, Some(&plan)).unwrap();
    let layers: Vec<Layer> = network.layers().collect();
    assert_eq!(layers[1], Layer::Activate(Activate::new(Activation::Relu)));
    assert_eq!((layers.last(), network.ending()), (Some(&Layer::Residual), Ending::Softmax));
    // The written file contains the plan, so it is read without one.
    let written = write(&network.clone().logits(), Format::Safetensors).unwrap();
    assert!(read(&written, Format::Safetensors, None).unwrap() == network.logits());

    let both: Plan = "@states".parse().unwrap();
    assert_eq!(both.to_string(), "@states");
    for words in ["lstm,@softmax,dense", "lstm,@softmin", "@relu:2"] {
        assert!(words.parse::<Plan>().is_err(), "{words}");
    }
}
