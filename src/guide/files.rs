//! Files: which one to read, which one to write, and what a program does with them.
//!
//! The feature `io` reads and writes models of other frameworks. The command-line tool (feature `tool`) does
//! the same without a program. [`io`](crate::io) has the table of all layers, and a list of the kinds of
//! files with which it was tested.
//!
//! # Which file
//! | you have | give this crate | a plan is needed |
//! |---|---|---|
//! | PyTorch | `save_file(model.state_dict(), "model.safetensors")`; a `.pt` works, too | if the parameters leave something open |
//! | PyTorch, with code between the layers | `torch.onnx.export(...)`: the graph says what the code does | no |
//! | Keras | `model.save("model.keras")`; an `.h5` works, too | no |
//! | ONNX | the `.onnx`, also after `quantize_dynamic` with symmetric int8 | no |
//! | RTNeural, AIDA-X, GuitarML, NAM | the `.json`, `.aidax` or `.nam` | seldom |
//!
//! | you want | write |
//! |---|---|
//! | firmware, C, or a web page | an image: [`image`](crate::image), `model.img` |
//! | constants in Rust code | `model.rs` |
//! | to go on in PyTorch | `model.safetensors`: loads with `strict=True` |
//! | ONNX Runtime and others | `model.onnx` |
//! | to continue a training later | [`Trainer::save`](crate::trainer::Trainer::save), which also has the moments |
//!
//! # Open, look, run
//! ```
//! use recurrent::Sequences;
//! use recurrent::io::{Format, Plan, ReadOptions};
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/onnx_lstm_static.onnx");
//! # /*
//! let path = "model.onnx";
//! # */
//!
//! let (network, ..) = ReadOptions::new().open(path.as_ref())?;
//! for layer in network.named() {
//!     println!("{}: {:?}", layer.name, layer.layer);
//! }
//! for note in network.notes() {
//!     eprintln!("note: {note}"); // what the file leaves open, and what was assumed
//! }
//!
//! let mut model = network.instance()?; // packed weights, and a state that stays from call to call
//! let first = model.step(&[0.1, 0.2, 0.3])?.to_vec();
//! model.reset();
//! let whole = model.forward(Sequences::new(2, 1), &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])?;
//! assert_eq!(whole[..2], first); // the same bits, in steps or whole
//!
//! let image = recurrent::io::write(&network, Format::Image)?; // bytes, to save as model.img
//! assert!(image.len() > 4 * network.weights().len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # If a file is rejected
//! A file is rejected if this crate would compute something else than the framework. The error names the
//! layer, node, tensor or attribute. Usual reasons:
//!
//! | the error is about | what to do |
//! |---|---|
//! | a layer that is not recurrent (a convolution, attention) | cut the model there, and run the rest with another library |
//! | parameters whose order is not clear | give a plan: `--layers gru,@last,fc` in the tool, [`ReadOptions::plan`](crate::io::ReadOptions::plan) in a program |
//! | a `state_dict` that holds two models, or an optimiser | save the parameters of the one model |
//! | zero points of a quantised ONNX model | quantise with symmetric int8, or convert the `f32` model with `--weights int8` |
//! | a pickle that calls a function | save the `state_dict` instead: this crate never runs code from a file |
//!
//! # Is it the same model?
//! Compare once with the framework, on real samples: `recurrent check model.onnx --input samples.txt --expect
//! outputs.txt` prints the largest difference. Up to 1e-5 of the largest output is rounding. A larger
//! difference has a reason: another plan, a softmax that one side applies, samples that only one side
//! normalises, or batch-major data that was read as time-major.
//!
//! # Files of strangers
//! Reading never panics, runs no code, and takes no more memory than a small multiple of the file's size.
//! Data beside an ONNX model is only read from the model's own folder. An image has a checksum against
//! damage, which does not prove who made it.
