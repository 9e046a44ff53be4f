//! The command-line tool as its users call it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Output};

use recurrent::io::{Format, read};
use recurrent::model::Input;

fn data(file: &str) -> String {
    format!("{}/tests/data/formats/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn tool(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recurrent")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn inspect_tells_layers_and_needs() {
    let out = tool(&["inspect", &data("torch_gru_prefix.safetensors"), "--batch", "2", "--steps", "10"]);
    let shown = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    for words in [
        "model.emb",
        "Gru::new(4, 3)).layers(2)",
        "Dense::new(3, 2)",
        "flash: image",
        "RAM: training",
        "factors of dropout",
    ] {
        assert!(shown.contains(words), "`{words}` is not in\n{shown}");
    }
}

#[test]
fn convert_and_check_agree() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("model.img");
    let image = image.to_str().unwrap();
    let source = data("keras_sequential.keras");
    assert!(tool(&["convert", &source, image]).status.success());
    let [first, second] = [&source, image].map(|file| tool(&["check", file, "--steps", "4", "--seed", "3"]));
    assert!(first.status.success() && first.stdout == second.stdout);
    assert!(text(&first.stdout).lines().count() == 2 + 4 + 1, "{}", text(&first.stdout));

    let rust = folder.path().join("model.rs");
    assert!(tool(&["convert", image, rust.to_str().unwrap()]).status.success());
    assert!(fs::read_to_string(rust).unwrap().contains("pub const MODEL: Model<"));
}

#[test]
fn check_compares_with_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let model = data("image_gru.img");
    let (x, state) = (
        file("x", "# two steps\n0.5 -0.25 1 # the first\n0 0 0.125\n"),
        file("state", "0.1 -0.2 0.3 0.4 0 0"),
    );
    let shown = tool(&["inspect", &model]);
    assert!(shown.status.success());
    let zero = tool(&["check", &model, "--input", &x]);
    let y = file("y", &text(&zero.stdout));
    let same = tool(&["check", &model, "--input", &x, "--expect", &y]);
    assert!(same.status.success(), "{}", text(&same.stderr));
    assert!(text(&same.stdout).starts_with("largest difference 0e0 of "), "{}", text(&same.stdout));

    let mut numbers: Vec<f32> =
        text(&zero.stdout).split_whitespace().map(|word| word.parse().unwrap()).collect();
    let width = text(&zero.stdout).lines().next().unwrap().split_whitespace().count();
    numbers[width] += 0.25;
    let other = file("other", &numbers.iter().map(f32::to_string).collect::<Vec<_>>().join(" "));
    let differs = tool(&["check", &model, "--input", &x, "--expect", &other]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(text(&differs.stdout).contains("row 1, output 0"), "{}", text(&differs.stdout));
    assert!(text(&differs.stderr).contains("differ by more than"), "{}", text(&differs.stderr));
    let wide = ["check", &model, "--input", &x, "--expect", &other, "--tolerance", "0.5"];
    assert!(tool(&wide).status.success());

    let wrong = tool(&["check", &model, "--input", &x, "--state", &x]);
    assert!(!wrong.status.success() && text(&wrong.stderr).contains("the model's state has"));
    let _ = state;
}

#[test]
fn classes_have_names_and_probabilities() {
    let folder = tempfile::tempdir().unwrap();
    let [image, names] = ["model.img", "names"].map(|name| folder.path().join(name));
    fs::write(&names, "left\nto the right\n").unwrap();
    let [image, names] = [&image, &names].map(|path| path.to_str().unwrap());
    let model = data("collection/k215_softmax.h5");
    assert!(tool(&["convert", &model, image, "--class-file", names]).status.success());
    assert!(text(&tool(&["inspect", image]).stdout).contains("classes: left, to the right"));
    let shown = text(&tool(&["check", image, "--seed", "1"]).stdout);
    let (row, comment) = shown.lines().last().unwrap().split_once("  # ").unwrap();
    let y: Vec<f32> = row.split(' ').map(|word| word.parse().unwrap()).collect();
    assert!(y.len() == 2 && (y[0] + y[1] - 1.0).abs() < 1e-6, "{shown}");
    // Classes are listed by descending probability.
    let of = |name: &str, y: f32| format!("{name} {:.2} %", 100.0 * y);
    let both = [of("left", y[0]), of("to the right", y[1])];
    let sorted = if y[0] > y[1] { both.join(", ") } else { [&both[1][..], &both[0]].join(", ") };
    assert_eq!(comment, sorted);
    // Without names or without probabilities, only numbers are printed.
    assert!(!text(&tool(&["check", &model, "--seed", "1"]).stdout).contains('%'));
    let named = tool(&["check", &data("image_gru.img"), "--classes", "a,b"]);
    assert!(named.status.success() && !text(&named.stdout).contains('%'));
    // Other formats cannot hold the names, and a note says so.
    let onnx = folder.path().join("model.onnx");
    let onnx = tool(&["convert", &model, onnx.to_str().unwrap(), "--classes", "a,b"]);
    assert!(onnx.status.success() && text(&onnx.stderr).contains("names of the classes"));
    for (classes, words) in [("a", "are 1, and the model has 2 outputs"), ("a,", "is empty")] {
        let out = tool(&["check", &model, "--classes", classes]);
        assert!(out.status.code() == Some(1) && text(&out.stderr).contains(words), "{}", text(&out.stderr));
    }
}

#[test]
fn scales_are_folded_unless_they_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let [folded, kept] = ["folded.img", "kept.img"].map(|name| folder.path().join(name));
    let [folded, kept] = [&folded, &kept].map(|path| path.to_str().unwrap());
    let model = data("collection/k215_batchnorm.h5");
    assert!(text(&tool(&["inspect", &model]).stdout).contains("folded into the matrix beside it"));
    let out = tool(&["convert", &model, folded]);
    assert!(out.status.success() && text(&out.stderr).contains("--keep-scales"), "{}", text(&out.stderr));
    let out = tool(&["convert", &model, kept, "--keep-scales"]);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
    let count = |image: &str| text(&tool(&["inspect", image]).stdout).matches("Layer::Scale").count();
    assert!(count(folded) < count(kept), "{} {}", count(folded), count(kept));
    let [x, y] = ["x", "y"].map(|name| folder.path().join(name));
    fs::write(&x, "0.5 -0.25 1 0.125 -0.5 0").unwrap();
    let [x, y] = [&x, &y].map(|path| path.to_str().unwrap());
    fs::write(y, tool(&["check", kept, "--input", x]).stdout).unwrap();
    let out = tool(&["check", folded, "--input", x, "--expect", y, "--tolerance", "1e-6"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
}

#[test]
fn check_takes_input_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("x.txt");
    fs::write(&input, "0.5, -0.25 1\n0 0 0.125\n").unwrap();
    let out = tool(&["check", &data("image_gru.img"), "--input", input.to_str().unwrap()]);
    let x = [0.5, -0.25, 1.0, 0.0, 0.0, 0.125];
    let model = read(&fs::read(data("image_gru.img")).unwrap(), Format::Image, None).unwrap();
    let y = model.run(Input::Values(&x), 2, 1).unwrap();
    let shown = text(&out.stdout);
    assert_eq!(shown.lines().count(), 2, "{}", text(&out.stderr));
    assert!(shown.split_whitespace().map(|word| word.parse::<f32>().unwrap()).eq(y), "{shown}");
    fs::write(&input, "0.5, -0.25").unwrap();
    let out = tool(&["check", &data("image_gru.img"), "--input", input.to_str().unwrap()]);
    assert!(out.status.code() == Some(1) && text(&out.stderr).contains("not a multiple of 3"));
}

#[test]
fn failures_have_messages_and_statuses() {
    for (args, status, words) in [
        (vec!["inspect", "no such file.img"], 1, "no such file.img"),
        (vec!["inspect", "Cargo.toml"], 1, "--from"),
        (vec!["convert", &data("torch_rnn_relu.safetensors"), "x.img"], 1, "rnn:relu"),
        (vec!["convert", &data("keras_sequential.keras"), "x.safetensors"], 1, "resets before"),
        (vec!["frobnicate"], 2, "Usage"),
        (vec!["check", &data("image_gru.img"), "--steps", "9999999999"], 2, "1000000"),
        (vec!["inspect", "x", "--from", "pickle"], 2, "safetensors, pytorch"),
        (vec!["inspect", "x", "--from", "rust"], 2, "are safetensors, pytorch, keras, onnx, json, image\n"),
        (vec!["convert", "x", "y", "--to", "keras"], 2, "written are safetensors, onnx, json, image, rust\n"),
        (vec!["convert", &data("image_gru.img"), "y.what"], 1, "--to (safetensors, onnx, json, image, rust)"),
        (vec!["inspect", &data("image_gru.img"), "--batch", "0"], 2, "--batch"),
        (vec!["inspect", &data("image_gru.img"), "--steps", "0"], 2, "--steps"),
        (vec!["inspect", &data("image_gru.img"), "--batch", "18446744073709551615"], 1, "does not fit"),
        // The number of elements fits into a word, but not the number of bytes.
        (vec!["inspect", &data("image_gru.img"), "--batch", "400000000000000000"], 1, "word can count"),
    ] {
        let out = tool(&args);
        assert_eq!(out.status.code(), Some(status), "{args:?}");
        assert!(text(&out.stderr).contains(words), "{}", text(&out.stderr));
    }
}

#[test]
fn what_a_plan_leaves_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("model.img");
    let source = data("torch_two_lstms.safetensors");
    let out = tool(&["convert", &source, image.to_str().unwrap(), "--layers", "lstm,lstm2"]);
    assert!(out.status.success());
    assert!(text(&out.stderr).contains("left out: `dense`, which the plan"), "{}", text(&out.stderr));
    let out = tool(&["convert", &source, image.to_str().unwrap(), "--layers", "lstm,lstm2,dense"]);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
}

#[test]
fn an_empty_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("x.txt");
    fs::write(&input, " \n").unwrap();
    for model in ["image_gru.img", "keras_sequential.keras"] {
        let out = tool(&["check", &data(model), "--input", input.to_str().unwrap()]);
        assert!(
            out.status.code() == Some(1) && text(&out.stderr).contains("no steps"),
            "{}",
            text(&out.stderr)
        );
    }
}

/// A file with the name of the temporary file is not touched.
#[test]
fn convert_keeps_what_is_beside() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("model.img");
    let beside = folder.path().join("model.img.part0");
    fs::write(&beside, "mine").unwrap();
    let source = data("keras_sequential.keras");
    assert!(tool(&["convert", &source, image.to_str().unwrap()]).status.success());
    assert_eq!(fs::read_to_string(&beside).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    #[cfg(unix)]
    {
        let out = tool(&["convert", &source, "/dev/stdout", "--to", "image"]);
        assert!(out.status.success() && out.stdout.starts_with(b"RECURIMG"), "{}", text(&out.stderr));
    }
}

/// Assumptions are printed to standard error. With `--strict` they are an error.
#[test]
fn what_a_file_leaves_open_is_said() {
    let file = data("torch_two_lstms.safetensors");
    let out = tool(&["check", &file]);
    let said = text(&out.stderr);
    assert!(out.status.success() && said.starts_with("note: ") && said.contains("--layers"), "{said}");
    assert!(!text(&out.stdout).contains("note"));
    let out = tool(&["check", &file, "--strict"]);
    assert!(out.status.code() == Some(1) && out.stdout.is_empty(), "{}", text(&out.stderr));
    let out = tool(&["check", &file, "--strict", "--layers", "lstm,lstm2,dense"]);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
}

/// `check` shows the probabilities of a model that ends in a softmax. Other formats get the logits, and a
/// note says so.
#[test]
fn a_softmax_is_said_where_it_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    let file = file.to_str().unwrap();
    let source = data("collection/k215_softmax.keras");
    let out = tool(&["inspect", &source]);
    assert!(text(&out.stdout).contains("softmax, by `check` only"), "{}", text(&out.stderr));
    let out = tool(&["convert", &source, file, "--strict"]);
    assert!(out.status.code() == Some(1) && !fs::exists(file).unwrap(), "{}", text(&out.stderr));
    let out = tool(&["convert", &source, file]);
    assert!(out.status.success() && text(&out.stderr).contains("logits"), "{}", text(&out.stderr));
    let last = |path: &str| -> Vec<f32> {
        let shown = text(&tool(&["check", path]).stdout);
        shown.lines().last().unwrap().split(' ').map(|word| word.parse().unwrap()).collect()
    };
    let (y, logits) = (last(&source), last(file));
    assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    let whole: f32 = logits.iter().map(|x| x.exp()).sum();
    assert!(logits.iter().zip(&y).all(|(x, y)| (x.exp() / whole - y).abs() < 1e-6));

    // An image can hold the softmax.
    let image = folder.path().join("model.img");
    let image = image.to_str().unwrap();
    let out = tool(&["convert", &source, image, "--strict"]);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
    assert_eq!(last(image), y);
}

#[test]
fn convert_makes_weights_narrow() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let source = data("torch_gru_prefix.safetensors");
    let (wide, narrow) = (file("wide.img"), file("narrow.img"));
    assert!(tool(&["convert", &source, &wide]).status.success());
    let out = tool(&["convert", &source, &narrow, "--weights", "int8,model.fc=f32"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let said = text(&out.stdout);
    assert!(said.contains("int8, weights change by at most") && !said.contains("model.fc:"), "{said}");
    assert!(fs::metadata(&narrow).unwrap().len() < fs::metadata(&wide).unwrap().len());
    let shown = text(&tool(&["inspect", &narrow]).stdout);
    assert!(shown.contains(".narrow(Narrow::W8A16)") && shown.contains("int8-a8"), "{shown}");

    // The narrow model runs, and its outputs are near those of the wide one.
    let out = tool(&["check", &narrow, "--against", &wide, "--steps", "20"]);
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let errors: Vec<f64> =
        said.lines().skip(1).map(|l| l.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    assert!(errors.len() == 2 && errors.iter().all(|e| *e > 0.0 && *e < 0.05), "{said}");
    let same = text(&tool(&["check", &wide, "--against", &wide]).stdout);
    assert!(same.lines().skip(1).all(|line| line.contains("0.00e0")), "{same}");

    // Other formats get the rounded weights, and a note says so.
    let out = tool(&["convert", &narrow, &file("rounded.safetensors")]);
    assert!(out.status.success() && text(&out.stderr).contains("only images stay narrow"));
    assert!(!tool(&["convert", &narrow, &file("rounded.safetensors"), "--strict"]).status.success());

    // Unknown formats and layers are errors.
    let out = tool(&["convert", &source, &narrow, "--weights", "int4"]);
    assert!(out.status.code() == Some(2) && text(&out.stderr).contains("f16, bf16, int8, int8-a8"));
    let out = tool(&["convert", &source, &narrow, "--weights", "int8,head=f32"]);
    assert!(out.status.code() == Some(1) && text(&out.stderr).contains("model.fc"), "{}", text(&out.stderr));
}

/// Narrow weights of a file keep their format: 16 bits if `keep` is given, integers always.
#[test]
fn convert_keeps_narrow_weights() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    let (wide, kept, mixed) = (file("wide.img"), file("kept.img"), file("mixed.img"));
    let len = |path: &str| fs::metadata(path).unwrap().len();
    for (source, format) in [
        ("torch_gru_f16.safetensors", "F16"),
        ("torch_lstm_bf16.safetensors", "Bf16"),
        ("onnx_f16.onnx", "F16"),
        ("onnx_bf16.onnx", "Bf16"),
    ] {
        let source = data(source);
        assert!(tool(&["convert", &source, &wide]).status.success());
        let out = tool(&["convert", &source, &kept, "--weights", "keep"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let said = text(&out.stdout);
        assert!(
            said.contains(&format!("{}, weights change by at most 0.0e0", format.to_lowercase())),
            "{said}"
        );
        assert!(len(&kept) < len(&wide) && !text(&tool(&["inspect", &wide]).stdout).contains("Narrow"));
        let shown = text(&tool(&["inspect", &kept]).stdout);
        assert!(shown.contains(&format!(".narrow(Narrow::{format})")), "{shown}");
        let same = text(&tool(&["check", &kept, "--against", &source, "--steps", "20"]).stdout);
        assert!(same.lines().count() > 1, "{same}");
        assert!(same.lines().skip(1).all(|line| line.contains("0.00e0")), "{same}");
    }

    let source = data("onnx_int8_channel.onnx");
    assert!(tool(&["convert", &source, &kept]).status.success());
    let out = tool(&["convert", &source, &mixed, "--weights", "keep,fc=bf16"]);
    let said = text(&out.stdout);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        said.contains("lstm: int8, weights change by at most 0.0e0") && said.contains("fc: bf16"),
        "{said}"
    );
    let shown = text(&tool(&["inspect", &mixed]).stdout);
    assert!(shown.contains("Narrow::W8A16") && shown.contains("Narrow::Bf16"), "{shown}");
    assert!(tool(&["convert", &source, &wide, "--weights", "f32"]).status.success());
    assert!(len(&kept) < len(&mixed) && len(&mixed) < len(&wide));
    // The same integers, so that only activations are rounded.
    let said = text(&tool(&["check", &kept, "--against", &wide, "--steps", "50"]).stdout);
    let errors = said.lines().skip(1).map(|l| l.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap());
    assert!(errors.clone().count() == 4 && errors.clone().all(|e| e < 1e-3), "{said}");
    assert!(errors.sum::<f64>() > 0.0, "{said}");
    let out = tool(&["convert", &source, &file("rounded.onnx")]);
    assert!(out.status.success() && text(&out.stderr).contains("only images stay narrow"));
    let out = tool(&["convert", &data("onnx_uint8.onnx"), &kept]);
    assert!(
        out.status.code() == Some(1) && text(&out.stderr).contains("zero point"),
        "{}",
        text(&out.stderr)
    );
}
