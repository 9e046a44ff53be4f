//! Files with matrices of 8 and 16 bits: their outputs compared with ONNX Runtime, and their formats, which
//! must be kept.

use recurrent::image::Image;
use recurrent::io::{Format, Network, ReadOptions, read, write};
use recurrent::model::{Chain, Forward, Input, Layer};
use recurrent::{Narrow, Sequences};

use crate::onnx::{constant, floats, input, node, part};
use crate::refuse::{message, says};
use crate::{Golden, bytes, network, path};

fn open(file: &str) -> Network {
    read(&bytes(file), Format::Onnx, None).unwrap()
}

fn formats(network: &Network) -> Vec<Option<Narrow>> {
    network.layers().map(|layer| layer.narrow_format()).collect()
}

/// Root mean square of the difference of two models' outputs.
fn rms(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (squares / a.len() as f64).sqrt()
}

const INT8: [&str; 3] = ["onnx_int8_channel.onnx", "onnx_int8_tensor.onnx", "onnx_int8_embedding.onnx"];

/// The integers, their order and their scales, which are rounded by 2^-17 of them at most.
#[test]
fn quantised_weights_are_those_that_the_file_has() {
    for file in INT8 {
        let network = open(file);
        // The tables of ONNX Runtime have integers with a zero point other than 0. They are converted to
        // floats before anything is added.
        let matrices = network.layers().filter(|layer| !matches!(layer, Layer::Embedding(_)));
        assert!(matrices.map(|l| l.narrow_format()).eq([Some(Narrow::W8A16); 2]), "{file}");
        let difference = Golden::output(file, "y_rounded").difference(&network.wide());
        assert!(difference < 2e-5, "{file}: {difference:e}");
    }
}

/// ONNX Runtime rounds `x` to 8 bits with one scale for the whole batch. This costs more than rounding the
/// weights.
#[test]
fn quantised_layers_are_nearer_to_f32_than_in_onnx_runtime() {
    // The weights alone change the outputs by 0.0013 and 0.0024.
    for (file, largest) in INT8.into_iter().zip([2e-3, 4e-3, 4e-3]) {
        let (network, theirs) = (open(file), Golden::of(file));
        let (exact, rounded) = (Golden::output(file, "y_f32"), Golden::output(file, "y_rounded"));
        let y = network.run(exact.x(), exact.steps, exact.batch).unwrap();
        let difference = exact.difference(&network);
        assert!(difference < largest, "{file}: {difference:e}");
        let (ours, theirs) = (rms(&y, &exact.y), rms(&theirs.y, &exact.y));
        assert!(ours < theirs / 10.0, "{file}: {ours:e}, theirs {theirs:e}");
        // 16-bit activations add next to nothing to what the weights do.
        let added = rms(&y, &rounded.y);
        assert!(added > 0.0 && added < 1e-4, "{file}: {added:e}");
        // The difference to ONNX Runtime is as large as the error of its rounding of activations.
        let difference = Golden::of(file).difference(&network);
        assert!(difference < 0.1, "{file}: {difference:e}");
    }
}

/// The image has the integers of the file: rounding changes none of them.
#[test]
fn quantised_weights_stay_as_they_are() {
    for file in INT8 {
        let network = open(file);
        let image = write(&network, Format::Image).unwrap();
        let again = read(&image, Format::Image, None).unwrap();
        assert_eq!(network.weights(), again.weights(), "{file}");
        assert_eq!(formats(&network), formats(&again), "{file}");
        let golden = Golden::of(file);
        let run = |network: &Network| network.run(golden.x(), golden.steps, golden.batch).unwrap();
        assert_eq!(run(&network), run(&again), "{file}");
        let to_a8 = |of: Option<Narrow>| of.map(|_| Narrow::W8A8);
        let rounded = network.clone().with_formats(|named| to_a8(named.layer.narrow_format())).unwrap();
        assert_eq!(network.weights(), rounded.weights(), "{file}");
    }
}

#[test]
fn what_is_not_symmetric_is_refused_by_name() {
    let advice = ["only symmetric int8", "`weight_type=QuantType.QInt8`", "`--weights int8`"];
    for (file, words) in [
        ("onnx_int8_asymmetric.onnx", ["`w_quantized`", "DynamicQuantizeLSTM node `lstm", "zero point"]),
        // ONNX Runtime keeps the LSTM symmetric.
        ("onnx_uint8.onnx", ["`m_quantized`", "MatMulInteger node `fc/MatMul", "zero point"]),
    ] {
        let message = message(&bytes(file), Format::Onnx, None);
        says(&message, &words);
        says(&message, &advice);
    }
}

/// `y = (x @ w) * scales` as `quantize_dynamic` writes it, with some parts replaced.
fn product(w: &[Vec<u8>], cast_from: &str) -> Result<Network, String> {
    let outputs = ["xq", "xs", "xz"].iter().flat_map(|output| part(2, output)).collect::<Vec<u8>>();
    let quantise = part(1, [part(1, "x"), outputs, part(3, "q"), part(4, "DynamicQuantizeLinear")].concat());
    let nodes = [
        quantise,
        node("MatMulInteger", &["xq", "w", "xz", "wz"], "p", &[]),
        node("Cast", &[cast_from], "f", &[crate::onnx::attribute("to", 1)]),
        node("Mul", &["xs", "ws"], "s", &[]),
        node("Mul", &["f", "s"], "y", &[]),
    ];
    let ends = [input("x", 1), part(12, part(1, "y"))].concat();
    read(&part(7, [w.concat(), nodes.concat(), ends].concat()), Format::Onnx, None).map_err(|e| e.to_string())
}

fn scales(values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    constant("ws", &[values.len() as i64], 1, &raw)
}

#[test]
fn products_of_integers_are_read_or_refused() {
    let w = |codes: [i8; 6]| constant("w", &[3, 2], 3, &codes.map(|n| n as u8));
    let zero = || constant("wz", &[], 3, &[0]);
    let (codes, half) = ([1, -127, 3, 4, 5, 127], scales(&[0.5, 0.25]));
    let network = product(&[w(codes), half.clone(), zero()], "p").unwrap();
    assert_eq!(formats(&network), [Some(Narrow::W8A16)]);
    assert_eq!(network.weights(), [0.5, 1.5, 2.5, -31.75, 1.0, 31.75, 0.0, 0.0]);
    let y = network.run(Input::Values(&[1.0, 0.5, -0.25]), 1, 1).unwrap();
    assert!((y[0] - 0.625).abs() < 1e-3 && (y[1] + 39.1875).abs() < 4e-3, "{y:?}");
    // A row with one magnitude has another scale, next to it.
    let one = product(&[w([0, 1, 3, 0, 0, 2]), half.clone(), zero()], "p").unwrap();
    let change = one.weights()[1] / 1.5 - 1.0;
    assert!(change.abs() < 1e-5 && one.weights()[3..6] == [0.25, 0.0, 0.5], "{:?}", one.weights());
    // One scale for all rows.
    assert_eq!(product(&[w(codes), scales(&[0.5]), zero()], "p").unwrap().weights()[3], -63.5);

    for (parts, words) in [
        ([w([-128, 0, 0, 0, 0, 0]), half.clone(), zero()], "-127 to 127"),
        ([w(codes), half.clone(), constant("wz", &[2], 3, &[0, 1])], "zero point"),
        ([w(codes), scales(&[0.5, 0.5, 0.5]), zero()], "3 scales for 1 times 2 rows"),
        ([w(codes), scales(&[0.5, f32::NAN]), zero()], "from 2^-126 to 2^120"),
        ([w(codes), scales(&[0.5, -0.5]), zero()], "from 2^-126 to 2^120"),
        ([w(codes), scales(&[0.5, 3e38]), zero()], "from 2^-126 to 2^120"),
        ([w(codes), floats("other", &[1]), zero()], "scales that are not constant"),
        ([floats("w", &[3, 2]), half.clone(), zero()], "not an integer constant"),
        ([constant("w", &[6], 3, &[1; 6]), half.clone(), zero()], "is no matrix"),
        ([constant("w", &[1 << 40, 2], 3, &[1; 6]), half.clone(), zero()], "`w`"),
    ] {
        says(&product(&parts, "p").unwrap_err(), &["`w`", words]);
    }
    // Another order of nodes is not the same layer.
    let refused = product(&[w(codes), half, zero()], "xz").unwrap_err();
    says(&refused, &["DynamicQuantizeLinear node `q`", "`--weights int8`"]);
}

#[test]
fn a_quantised_lstm_without_its_inputs_is_refused() {
    let lstm = |inputs: &[&str]| {
        let parts = [input("x", 1), node("DynamicQuantizeLSTM", inputs, "y", &[]), part(12, part(1, "y"))];
        message(&part(7, parts.concat()), Format::Onnx, None)
    };
    for inputs in [&[][..], &["x"], &["x", "w"], &["x", "w", "r"]] {
        says(&lstm(inputs), &["DynamicQuantizeLSTM node `y`", "not an integer constant"]);
    }
}

/// 16-bit weights of a file keep their format, in memory and in images.
#[test]
fn formats_of_16_bits_are_kept_if_asked() {
    let torch =
        ["torch_gru_f16.safetensors", "torch_lstm_bf16.safetensors"].map(|file| (file, network(file)));
    let onnx = ["onnx_f16.onnx", "onnx_bf16.onnx"].map(|file| (file, open(file)));
    for ((file, wide), format) in torch.into_iter().chain(onnx).zip([Narrow::F16, Narrow::Bf16].repeat(2)) {
        assert!(!wide.is_narrow(), "{file}");
        let kept = wide.clone().with_exact_formats();
        let layers = formats(&kept);
        assert!(layers.iter().all(|of| *of == Some(format)), "{file}: {layers:?}");
        assert_eq!(wide.weights(), kept.weights(), "{file}");
        let image = write(&kept, Format::Image).unwrap();
        assert!(image.len() < write(&wide, Format::Image).unwrap().len(), "{file}");
        let again = read(&image, Format::Image, None).unwrap();
        assert_eq!((formats(&again), again.weights()), (layers, wide.weights()), "{file}");
        let golden = Golden::of(file);
        let run = |network: &Network| network.run(golden.x(), golden.steps, golden.batch).unwrap();
        assert_eq!(run(&wide), run(&again), "{file}");
    }
    // Weights that need more bits stay as they are, layer by layer; narrow layers keep their format.
    let wide = open("onnx_f16.onnx");
    let last = wide.named()[1].name.clone();
    let mixed = wide.with_formats(|named| (named.name == last).then_some(Narrow::W8A16)).unwrap();
    assert_eq!(formats(&mixed.with_exact_formats()), [Some(Narrow::F16), Some(Narrow::W8A16)]);
    let wide = network("torch_gru_prefix.safetensors");
    let kept = wide.clone().with_exact_formats();
    assert!(kept.layers().all(
        |layer| matches!(layer, Layer::Embedding(_) | Layer::Pool(_)) || layer.narrow_format().is_none()
    ));
    assert_eq!(wide.weights(), kept.weights());
}

/// ONNX Runtime rounds to f16 between nodes. Here values stay `f32`, and a note says so.
#[test]
fn graphs_of_16_bits_are_read() {
    for (file, theirs) in [("onnx_f16.onnx", 1e-3), ("onnx_bf16.onnx", 1e-6)] {
        let network = open(file);
        let difference = Golden::output(file, "y_rounded").difference(&network);
        assert!(difference < 1e-6, "{file}: {difference:e}");
        let difference = Golden::of(file).difference(&network);
        assert!(difference < theirs, "{file}: {difference:e}");
    }
    let notes: Vec<String> = open("onnx_f16.onnx").notes().iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    says(&notes[0], &["left out", "16 bits", "f32"]);
    assert!(open("onnx_bf16.onnx").notes().is_empty());
    assert!(ReadOptions::new().strict(true).open(&path("onnx_f16.onnx")).is_err());
}

/// Bytes aligned to 4, as in flash.
#[repr(C, align(4))]
struct Flash<T: ?Sized>(T);

static IMAGE: &Flash<[u8]> = &Flash(*include_bytes!("../data/formats/onnx_int8_channel.img"));

/// The narrow weights of an image are those bytes, and not a copy of them.
#[test]
fn an_image_of_integers_is_used_where_it_is() {
    assert_eq!(write(&open("onnx_int8_channel.onnx"), Format::Image).unwrap(), &IMAGE.0);
    let image = Image::from_bytes(&IMAGE.0).unwrap();
    let (whole, narrow) = (IMAGE.0.as_ptr_range(), image.narrow().as_ptr_range());
    assert!(image.is_narrow() && narrow.start >= whole.start && narrow.end <= whole.end);
    assert_eq!(narrow.start.align_offset(4), 0);

    let layers: Vec<Layer> = image.layers().collect();
    let chain = Chain::new(&layers).unwrap();
    assert_eq!(image.narrow().len(), chain.narrow_len());
    let packed = chain.pack_narrow(image.narrow(), vec![0.0; chain.packed_len()]).unwrap();
    let golden = Golden::output("onnx_int8_channel.onnx", "y_rounded");
    let sequences = Sequences::new(golden.steps, golden.batch);
    let mut y = vec![f32::NAN; golden.y.len()];
    let mut state = vec![0.0; chain.state_len(golden.batch)];
    let mut scratch = vec![0.0; chain.scratch_len(golden.steps, golden.batch)];
    let pass = Forward { sequences, x: golden.x(), y: &mut y, state: &mut state, scratch: &mut scratch };
    chain.forward(&packed, pass).unwrap();
    assert!(rms(&y, &golden.y) < 1e-4);
}
