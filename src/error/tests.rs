//! The texts of all errors.

use std::string::ToString;

use super::{Error, Need, check_len, check_room, check_shape};

/// Numbers the variants. A new variant does not compile until it is added here, so the table below cannot
/// omit it.
fn number(error: Error) -> usize {
    match error {
        Error::Length { .. } => 0,
        Error::Overflow { .. } => 1,
        #[cfg(feature = "std")]
        Error::Memory { .. } => 2,
        Error::Index { .. } => 3,
        Error::Value { .. } => 4,
        Error::Layers { .. } => 5,
        Error::Image { .. } => 6,
        Error::Packing { .. } => 7,
        #[cfg(feature = "std")]
        Error::Skipped { .. } => 8,
        Error::Features { .. } => 9,
        Error::Internal { .. } => 10,
        Error::Narrow { .. } => 11,
        #[cfg(feature = "std")]
        Error::Communication { .. } => 12,
        Error::Form { .. } => 13,
    }
}

fn length(buffer: &'static str) -> Error {
    check_len(buffer, 64, 10).unwrap_err()
}

fn room(buffer: &'static str) -> Error {
    check_room(buffer, 64, 10).unwrap_err()
}

fn shape(buffer: &'static str, need: Need) -> Error {
    check_shape(buffer, need, 64, 10).unwrap_err()
}

/// The field `need` does not make errors larger.
#[test]
fn errors_are_small() {
    assert_eq!(size_of::<Error>(), 6 * size_of::<usize>());
}

#[test]
fn errors_say_what_was_wrong() {
    let table = [
        (length("weights"), "`weights` has 10 elements, needs 64: see `weights_len`"),
        (length("grads"), "`grads` has 10 elements, needs 64: see `weights_len`"),
        (room("packed"), "`packed` has 10 elements, needs at least 64: see `packed_len`"),
        (length("state"), "`state` has 10 elements, needs 64: see `state_len`"),
        (length("dstate"), "`dstate` has 10 elements, needs 64: see `state_len`"),
        (length("tape"), "`tape` has 10 elements, needs 64: see `tape_len`"),
        (
            room("scratch"),
            "`scratch` has 10 elements, needs at least 64: see `scratch_len`, or the scratch length of this pass (such as `train_scratch_len`)",
        ),
        (length("dropout"), "`dropout` has 10 elements, needs 64: see `dropout_len` and `draw_dropout`"),
        (length("factors"), "`factors` has 10 elements, needs 64: see `dropout_len`"),
        (
            length("recurrent_dropout"),
            "`recurrent_dropout` has 10 elements, needs 64: see `recurrent_dropout_len`, for a single layer `[B, R]`",
        ),
        (length("layer_dropout"), "`layer_dropout` has 10 elements, needs 64: see `layer_dropout_len`"),
        (length("moments"), "`moments` has 10 elements, needs 64: see `moments_len`"),
        (room("keys"), "`keys` has 10 elements, needs at least 64: see `keys_len`"),
        (length("dkeys"), "`dkeys` has 10 elements, needs 64: see `dkeys_len`"),
        (room("ids"), "`ids` has 10 elements, needs at least 64: see `ids_len`"),
        (length("bytes"), "`bytes` has 10 elements, needs 64: see `image::len`"),
        (room("prompt"), "`prompt` has 10 elements, needs at least 64: see the argument's documentation"),
        (length("x"), "`x` has 10 elements, needs 64: see its shape in the documentation of the pass"),
        (shape("x", Need::STEPS_ROWS_INPUTS), "`x` has 10 elements, needs 64: steps x rows x inputs"),
        (shape("dx", Need::AS_INPUT), "`dx` has 10 elements, needs 64: as long as `x`"),
        (shape("lengths", Need::ROWS), "`lengths` has 10 elements, needs 64: one for each row of the batch"),
        (length("batch"), "`batch` is 10 here, and was 64 when the keys were made"),
        (
            Error::Overflow { buffer: "tape" },
            "the length of `tape` for these dimensions does not fit into usize",
        ),
        #[cfg(feature = "std")]
        (Error::Memory { buffer: "tape" }, "there is not enough memory for `tape`"),
        #[cfg(feature = "std")]
        (
            Error::Skipped { updates: 10 },
            "the last 10 updates were skipped, because the loss, gradients or states are NaN or infinite: look for such numbers in the batches and the weights, or set a clip and a lower learning rate",
        ),
        (
            Error::Index { buffer: "ids", position: 3, id: 96, limit: 96 },
            "`ids[3]` is 96, but must be below 96, the number of classes",
        ),
        (
            Error::Index { buffer: "lengths", position: 1, id: 6, limit: 6 },
            "`lengths[1]` is 6, but there are 5 steps",
        ),
        (
            Error::Index { buffer: "row", position: 0, id: 3, limit: 3 },
            "row 3 does not exist: the batch has 3 rows",
        ),
        (
            Error::Index { buffer: "hypothesis", position: 0, id: 4, limit: 2 },
            "hypothesis 4 does not exist: the search has found 2",
        ),
        (
            Error::Value { argument: "temperature", expected: "above zero" },
            "`temperature` must be above zero",
        ),
        (
            Error::Form { layer: 2, form: "GRU" },
            "layer 2 of the model is of the form GRU, which the program did not name",
        ),
        (
            Error::Narrow { part: "w_hh", index: 17, format: "f16" },
            "`w_hh[17]` cannot be held in f16: it is not finite, or too large; keep this layer in f32, or use a format with a larger range",
        ),
        (
            Error::Layers { layer: 2, what: "is a pool that needs the whole sequence" },
            "layer 2 of the model is a pool that needs the whole sequence",
        ),
        (
            Error::Features { layer: 1, takes: 17, given: 16 },
            "layer 1 of the model takes 17 features, but the one below it gives 16",
        ),
        (
            Error::Image { offset: 12, what: "the number of layers differs from the model's" },
            "byte 12 of the image: the number of layers differs from the model's",
        ),
        (
            Error::Packing { what: "instruction set" },
            "these weights were packed for a different instruction set: pack them again",
        ),
        (
            Error::Packing { what: "keys" },
            "these keys were made by a different attention layer: make them again",
        ),
        (
            Error::Index { buffer: "rows", position: 2, id: 9, limit: 8 },
            "`rows[2]` is 9, but there are 8 rows",
        ),
        (
            Error::Internal { what: "product" },
            "a bug of this crate (product): the results are not valid; please report it",
        ),
        #[cfg(feature = "std")]
        (
            Error::Communication { what: "another rank has failed" },
            "distributed training: another rank has failed",
        ),
    ];
    for (error, text) in table {
        assert_eq!(error.to_string(), text);
    }
    for variant in (0..13).filter(|v| cfg!(feature = "std") || ![2, 8, 12].contains(v)) {
        assert!(table.iter().any(|(error, _)| number(*error) == variant), "{variant}");
    }
}

/// Errors are `Copy`, comparable, and implement `core::error::Error`.
#[test]
fn errors_are_values() {
    let error = length("x");
    let copy = error;
    let boxed: std::boxed::Box<dyn core::error::Error + Send + Sync> = std::boxed::Box::new(copy);
    assert_eq!(boxed.downcast_ref::<Error>(), Some(&error));
}
