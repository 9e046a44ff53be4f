//! `ReadOptions`: formats, notes about what a file leaves open, external data, and hostile files.

use std::fs;
use std::io::{Cursor, Write};

use recurrent::io::{Ending, Format, Note, ReadOptions, read, write};
use recurrent::model::Input;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::onnx::{input, int, node, part};
use crate::refuse::{message, says};
use crate::{bytes, path};

fn collected(file: &str) -> Vec<u8> {
    bytes(&format!("collection/{file}"))
}

#[test]
fn first_bytes_tell_what_a_file_is() {
    let told = |bytes: &[u8]| ReadOptions::new().read(bytes).unwrap_err().to_string();
    for (bytes, words) in [
        (&b""[..], &["the file is empty"][..]),
        (b"\x89PNG\r\n\x1a\n....", &["this is a PNG image"]),
        (b"\x1c\0\0\0TFL3....", &["TensorFlow Lite", "convert", ".keras"]),
        (b"<!DOCTYPE html><html>", &["web page", "download"]),
        (b"version https://git-lfs.github.com/spec/v1", &["Git LFS", "git lfs pull"]),
        (b"\x1f\x8b\x08\0", &["gzip", "unpack"]),
        (b"\x08\x01\x12\x08", &["SavedModel", "model.save"]),
        (b"PK\x03\x04..model/archive_format", &["torch.export", "state_dict"]),
        (b"what is this", &["--from", "onnx"]),
    ] {
        says(&told(bytes), words);
    }
    let onnx = bytes("onnx_lstm_static.onnx");
    assert!(ReadOptions::new().read(&onnx).is_ok());
    let keras = bytes("keras_pool.keras");
    assert!(ReadOptions::new().read(&keras).is_ok());
    says(&message(&keras, Format::Onnx, None), &["a Keras model, not an ONNX file", "--from keras"]);
    let folder = tempfile::tempdir().unwrap();
    for (name, words) in
        [("m.tflite", "TensorFlow Lite"), ("m.data", "give the .onnx file"), ("m.pb", "model.save")]
    {
        let file = folder.path().join(name);
        fs::write(&file, "??").unwrap();
        says(&ReadOptions::new().open(&file).unwrap_err().to_string(), &[words]);
    }
    // The contents determine the format, not the name.
    let file = folder.path().join("model.onnx");
    fs::write(&file, &keras).unwrap();
    assert_eq!(ReadOptions::new().open(&file).unwrap().1, Format::Keras);
}

#[test]
fn what_is_left_open_is_noted() {
    let file = bytes("torch_two_lstms.safetensors");
    let network = read(&file, Format::Safetensors, None).unwrap();
    let [Note::Assumed(what)] = network.notes() else { panic!("{:?}", network.notes()) };
    says(
        what,
        &["no function between `lstm2` and `dense`", "an output for every step", "lstm,lstm2,@last,dense"],
    );
    let strict = ReadOptions::new().strict(true);
    says(&strict.read(&file).unwrap_err().to_string(), &["assumed", "--layers"]);
    let plan = "lstm,lstm2,dense".parse().unwrap();
    assert!(strict.plan(&plan).read(&file).unwrap().notes().is_empty());
    let plan = "lstm,lstm2".parse().unwrap();
    says(&strict.plan(&plan).read(&file).unwrap_err().to_string(), &["left out", "`dense`"]);
    // Files written by this crate leave nothing open.
    let plan = "lstm,lstm2,dense".parse().unwrap();
    let network = strict.plan(&plan).read(&file).unwrap();
    let again = write(&network, Format::Safetensors).unwrap();
    assert!(strict.read(&again).unwrap() == network);
    // Tensors that do not belong to the model are ignored.
    let beside = ReadOptions::new().read(&collected("t215_beside.pt")).unwrap();
    let [Note::LeftOut(what), Note::Assumed(_)] = beside.notes() else { panic!("{:?}", beside.notes()) };
    says(what, &["`mean`, beside the parameters of the model"]);
    // A file with a single module leaves nothing open either.
    assert!(strict.read(&bytes("torch_lstm_bidirectional.safetensors")).is_ok());
}

#[test]
fn a_softmax_is_computed_and_no_format_but_an_image_holds_it() {
    let network = ReadOptions::new().read(&collected("k215_softmax.h5")).unwrap();
    assert_eq!(network.ending(), Ending::Softmax);
    let x = [0.5; 8];
    let y = network.run(Input::Values(&x), 4, 1).unwrap();
    assert!((y.iter().sum::<f32>() - 1.0).abs() < 1e-6 && y.iter().all(|y| *y > 0.0));
    says(&write(&network, Format::Safetensors).unwrap_err().to_string(), &["softmax", "logits"]);
    assert!(write(&network, Format::Image).is_ok());
    let logits = network.logits();
    let sums = logits.run(Input::Values(&x), 4, 1).unwrap();
    let whole: f32 = sums.iter().map(|x| x.exp()).sum();
    assert!(sums.iter().zip(&y).all(|(x, y)| (x.exp() / whole - y).abs() < 1e-6));
    assert!(write(&logits, Format::Image).is_ok());
}

/// A model with a 3 x 2 matrix whose data are in an external file.
fn beside(location: &str, offset: &str) -> Vec<u8> {
    let entry = |key: &str, value: &str| part(13, [part(1, key), part(2, value)].concat());
    let tensor =
        [int(1, 3), int(1, 2), int(2, 1), part(8, "w"), entry("location", location), entry("offset", offset)];
    // Field 14 says that the data are external.
    let constant = part(5, [tensor.concat(), vec![14 << 3, 1]].concat());
    let graph =
        [constant, node("MatMul", &["x", "w"], "y", &[]), input("x", 1), part(12, part(1, "y"))].concat();
    part(7, graph)
}

#[test]
fn data_beside_a_model_is_read_from_its_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let data: Vec<u8> = (0..7).flat_map(|i| (i as f32).to_le_bytes()).collect();
    fs::write(inside.join("w.bin"), &data).unwrap();
    fs::write(folder.path().join("secret.bin"), &data).unwrap();
    let open = |location: &str, offset: &str| {
        let model = inside.join("model.onnx");
        fs::write(&model, beside(location, offset)).unwrap();
        ReadOptions::new().open(&model).map(|(network, ..)| network.weights()[..6].to_vec())
    };
    // The data reach to the end of the file. From offset 0 that is one element too many.
    says(&open("w.bin", "0").unwrap_err().to_string(), &["`w`", "shape [3, 2]"]);
    assert_eq!(open("w.bin", "4").unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!(open("./w.bin", "4").unwrap().len(), 6);
    says(&open("w.bin", "99").unwrap_err().to_string(), &["beyond the end", "28 bytes"]);
    says(&open("w.bin", "-4").unwrap_err().to_string(), &["not a number"]);
    says(&open("none.bin", "0").unwrap_err().to_string(), &["none.bin", "keep both files together"]);
    let absolute = folder.path().join("secret.bin");
    for location in ["../secret.bin", "", ".", "/etc/passwd", "a\\..\\w.bin", absolute.to_str().unwrap()] {
        says(&open(location, "4").unwrap_err().to_string(), &["in the folder of the model"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&absolute, inside.join("link.bin")).unwrap();
        says(&open("link.bin", "4").unwrap_err().to_string(), &["a link to another folder"]);
    }
    // For a model in memory, a function supplies the external data.
    let model = beside("anywhere", "4");
    says(&message(&model, Format::Onnx, None), &["`anywhere`", "only the bytes"]);
    let given = |name: &str| {
        assert_eq!(name, "anywhere");
        Ok(data.clone())
    };
    let network = ReadOptions::new().format(Format::Onnx).external(&given).read(&model).unwrap();
    assert_eq!(network.weights()[..6], [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
}

/// A PyTorch checkpoint with this pickle and these data.
fn checkpoint(pickle: &[u8], data: &[u8], method: CompressionMethod) -> Vec<u8> {
    let mut to = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, data) in [("m/data.pkl", pickle), ("m/data/0", data)] {
        to.start_file(name, options).unwrap();
        to.write_all(data).unwrap();
    }
    to.finish().unwrap().into_inner()
}

/// The pickle of `{"fc.weight": tensor}`, with these sizes and strides over a storage of `len` floats.
fn pickle(shape: [u8; 2], strides: [u8; 2], len: u8) -> Vec<u8> {
    let text = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes()].concat();
    let pair = |[a, b]: [u8; 2]| vec![b'K', a, b'K', b, 0x86];
    let storage = [
        &b"("[..],
        &text("storage"),
        b"ctorch\nFloatStorage\n",
        &text("0"),
        &text("cpu"),
        &[b'K', len, b't', b'Q'],
    ];
    let tensor = [
        b"ctorch._utils\n_rebuild_tensor_v2\n(",
        &storage.concat()[..],
        b"K\0",
        &pair(shape),
        &pair(strides),
        b"\x89NtR",
    ];
    [&b"\x80\x02}"[..], &text("fc.weight"), &tensor.concat(), b"s."].concat()
}

#[test]
fn tensors_of_checkpoints_stay_in_their_storages() {
    let data: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let plan = "fc:linear".parse().unwrap();
    let open = |pickle: &[u8]| {
        read(&checkpoint(pickle, &data, CompressionMethod::Stored), Format::Torch, Some(&plan))
    };
    let weights = |pickle: &[u8]| open(pickle).unwrap().weights()[..6].to_vec();
    assert_eq!(weights(&pickle([3, 2], [2, 1], 6)), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    // Strides can express a transpose.
    assert_eq!(weights(&pickle([3, 2], [1, 3], 6)), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    for (shape, strides, words) in [
        ([3, 3], [3, 1], "more elements than its storage"),
        ([3, 2], [3, 1], "beyond its storage"),
        ([200, 200], [0, 0], "more elements than its storage"),
    ] {
        says(&open(&pickle(shape, strides, 6)).unwrap_err().to_string(), &["`fc.weight`", words]);
    }
}

#[test]
fn pickles_do_nothing_and_take_little() {
    let refused = |pickle: &[u8]| {
        message(&checkpoint(pickle, &[0; 24], CompressionMethod::Stored), Format::Torch, None)
    };
    // A pickle that would call a function is only parsed; nothing runs.
    says(&refused(b"cos\nsystem\n(S'echo harm'\ntR."), &["no dictionary and no module"]);
    says(
        &message(b"\x80\x04cbuiltins\neval\n(S'1'\ntR.", Format::Torch, None),
        &["builtins.eval", "torch.save"],
    );
    // A dictionary that contains itself, and nested lists.
    says(&refused(b"}q\x008c\0"), &["opcode"]);
    says(&refused(b"}q\0X\x01\0\0\0ah\0s."), &["no parameters at the top level"]);
    says(&refused(&[&[b'('; 9000][..], b"."].concat()), &["takes more than it has made"]);
    says(&refused(&[&[b']'; 9000][..], b"."].concat()), &["more values"]);
    for cut in [&b""[..], b"\x80", b"K", b"X\xff\xff\xff\x7fa", b"h\x05", b"t", b"R", b"s", b"u", b"cx\n"] {
        refused(cut);
    }
    // A hundred nested modules.
    let module = |inner: Vec<u8>| {
        [
            &b"cmine\nNet\n)\x81}X\x08\0\0\0_modulesccollections\nOrderedDict\n)RX\x01\0\0\0a"[..],
            &inner,
            b"ssb",
        ]
        .concat()
    };
    let deep = (0..100).fold(b"N".to_vec(), |inner, _| module(inner));
    says(&refused(&[&deep[..], b"."].concat()), &["nested deeper"]);
    // An archive that inflates to more than is allowed for its size.
    let bomb = checkpoint(&vec![b'N'; 1 << 22], &[], CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 14);
    says(&message(&bomb, Format::Torch, None), &["larger than the archive"]);
}

#[test]
fn whole_modules_say_what_their_parameters_do_not() {
    let network = ReadOptions::new().open(&path("collection/t215_module.pt")).unwrap().0;
    let other =
        read(&collected("t215_module.pt"), Format::Torch, Some(&"rnn:relu,fc".parse().unwrap())).unwrap();
    assert!(network == other);
    assert!(network.notes().len() == 1 && other.notes().is_empty());
}
