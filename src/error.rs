//! The one error type. Every pass checks its arguments before it writes anything.

use core::fmt;

/// The text of an error. It is empty on targets without an operating system with the feature `no-texts`, for
/// the sake of flash. The kinds, positions and numbers of errors remain.
#[inline(always)]
pub(crate) const fn said(text: &'static str) -> &'static str {
    if cfg!(all(target_os = "none", feature = "no-texts")) { "" } else { text }
}

/// Result of a pass.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a pass rejected its arguments. A pass that returns an error has written nothing. The exception is
/// [`Error::Internal`].
///
/// With the feature `no-texts`, on targets without an operating system, errors have no words that say what is
/// wrong.
///
/// The text of an error names the buffer, and says how long it is and how long it must be. It also says what
/// the length consists of, or which method computes it:
///
/// ```
/// let layer = recurrent::Gru::new(3, 8);
/// let weights = vec![0.0; layer.weights_len()];
/// let mut state = vec![0.0; layer.state_len(1)];
/// let error = layer.step(&weights, &[0.0; 3], &mut state, &mut []).unwrap_err();
/// let needed = layer.scratch_len(1, 1);
/// let says = format!("`scratch` has 0 elements, needs at least {needed}: see `scratch_len`");
/// assert!(error.to_string().starts_with(&says));
///
/// let mut scratch = vec![0.0; needed];
/// let error = layer.step(&weights, &[0.0; 2], &mut state, &mut scratch).unwrap_err();
/// assert_eq!(error.to_string(), "`x` has 2 elements, needs 3: rows x inputs");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// A buffer has the wrong number of elements.
    Length {
        /// The argument's name, as in the documentation of the pass.
        buffer: &'static str,
        /// The number of elements that the dimensions require.
        expected: usize,
        /// The number of elements that the buffer has.
        actual: usize,
        /// Whether `expected` is a minimum, and what it is made of.
        need: Need,
    },
    /// A length that the dimensions require does not fit into `usize`.
    Overflow {
        /// The buffer whose length overflows.
        buffer: &'static str,
    },
    /// There is not enough memory for a buffer that the crate makes itself: of a
    /// [`Trainer`](crate::trainer::Trainer), or of `io`.
    #[cfg(feature = "std")]
    Memory {
        /// The buffer.
        buffer: &'static str,
    },
    /// A training has skipped too many updates in a row, because the loss, gradients or states were NaN or
    /// infinite.
    #[cfg(feature = "std")]
    Skipped {
        /// Skipped updates in a row.
        updates: u64,
    },
    /// Ranks that train together could not make an update together.
    #[cfg(feature = "std")]
    Communication {
        /// What went wrong, and what to do.
        what: &'static str,
    },
    /// An id is not below the number of rows or classes that it indexes.
    Index {
        /// The argument's name.
        buffer: &'static str,
        /// Position of the id in its buffer.
        position: usize,
        /// The id.
        id: usize,
        /// Ids must be below this.
        limit: usize,
    },
    /// A number is outside of its range (a probability above 1, a temperature of NaN).
    Value {
        /// The argument's name.
        argument: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A narrow format cannot hold a weight.
    Narrow {
        /// The part of the weights, as [`Weights`](crate::Weights) names it.
        part: &'static str,
        /// Its place in the part.
        index: usize,
        /// The format.
        format: &'static str,
    },
    /// Layers of a model do not fit together.
    Layers {
        /// The position of the layer that does not fit.
        layer: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A layer of a model takes another number of features than the one below it gives.
    Features {
        /// The position of the layer.
        layer: usize,
        /// What it takes.
        takes: usize,
        /// What it is given.
        given: usize,
    },
    /// A layer of an image has a form that the program did not name.
    Form {
        /// The position of the layer.
        layer: usize,
        /// The name of the form: that of a constant of [`Form`](crate::image::Form).
        form: &'static str,
    },
    /// The bytes are not an image, or not an image of the requested model.
    Image {
        /// The position of the first wrong byte.
        offset: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Packed weights, or keys, were made for another layer, or for another instruction set.
    Packing {
        /// What differs.
        what: &'static str,
    },
    /// A bug of this crate: a pass called one of its own functions with buffers of a wrong length. This is
    /// the only error that a pass may return after it has written something.
    Internal {
        /// The function.
        what: &'static str,
    },
}

/// What is known about the length of a buffer, where it is checked: whether it is exact or a minimum, and
/// what it is made of. It only adds to the text of an error: all values are equal, so that errors compare by
/// the other fields.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Need(Rule);

// One byte, which fits beside the tag of `Error` and so does not make `Error` larger.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum Rule {
    #[default]
    Exact,
    AtLeast,
    Rows,
    StepsRows,
    RowsInputs,
    RowsOutputs,
    StepsRowsInputs,
    StepsRowsOutputs,
    RowsClasses,
    AsInput,
    AsOutput,
}

impl Need {
    /// The length is exact.
    pub const EXACT: Self = Need(Rule::Exact);
    /// The buffer may be longer.
    pub const AT_LEAST: Self = Need(Rule::AtLeast);
    pub(crate) const ROWS: Self = Need(Rule::Rows);
    pub(crate) const STEPS_ROWS: Self = Need(Rule::StepsRows);
    pub(crate) const ROWS_INPUTS: Self = Need(Rule::RowsInputs);
    pub(crate) const ROWS_OUTPUTS: Self = Need(Rule::RowsOutputs);
    pub(crate) const STEPS_ROWS_INPUTS: Self = Need(Rule::StepsRowsInputs);
    pub(crate) const STEPS_ROWS_OUTPUTS: Self = Need(Rule::StepsRowsOutputs);
    pub(crate) const ROWS_CLASSES: Self = Need(Rule::RowsClasses);
    pub(crate) const AS_INPUT: Self = Need(Rule::AsInput);
    pub(crate) const AS_OUTPUT: Self = Need(Rule::AsOutput);

    /// Whether the buffer may be longer than expected.
    pub const fn is_minimum(self) -> bool {
        matches!(self.0, Rule::AtLeast)
    }

    /// What the length is made of, if that is known: "steps x rows x inputs".
    pub const fn shape(self) -> Option<&'static str> {
        if cfg!(all(target_os = "none", feature = "no-texts")) {
            return None;
        }
        Some(match self.0 {
            Rule::Exact | Rule::AtLeast => return None,
            Rule::Rows => "one for each row of the batch",
            Rule::StepsRows => "steps x rows",
            Rule::RowsInputs => "rows x inputs",
            Rule::RowsOutputs => "rows x outputs",
            Rule::StepsRowsInputs => "steps x rows x inputs",
            Rule::StepsRowsOutputs => "steps x rows x outputs",
            Rule::RowsClasses => "rows x classes",
            Rule::AsInput => "as long as `x`",
            Rule::AsOutput => "as long as the output",
        })
    }
}

impl PartialEq for Need {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Need {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            // Not a buffer: queries and keys of different batches.
            Error::Length { buffer: "batch", expected, actual, .. } => {
                write!(f, "`batch` is {actual} here, and was {expected} when the keys were made")
            }
            Error::Length { buffer, expected, actual, need } => {
                let needs = if need.is_minimum() { "needs at least" } else { "needs" };
                write!(f, "`{buffer}` has {actual} elements, {needs} {expected}: ")?;
                match need.shape() {
                    Some(shape) => f.write_str(shape),
                    None => write!(f, "see {}", source(buffer)),
                }
            }
            Error::Overflow { buffer } => {
                write!(f, "the length of `{buffer}` for these dimensions does not fit into usize")
            }
            #[cfg(feature = "std")]
            Error::Memory { buffer } => write!(f, "there is not enough memory for `{buffer}`"),
            #[cfg(feature = "std")]
            Error::Skipped { updates } => write!(
                f,
                "the last {updates} updates were skipped, because the loss, gradients or states are NaN or infinite: look for such numbers in the batches and the weights, or set a clip and a lower learning rate"
            ),
            #[cfg(feature = "std")]
            Error::Communication { what } => write!(f, "distributed training: {what}"),
            Error::Index { buffer: "lengths", position, id, limit } => {
                write!(f, "`lengths[{position}]` is {id}, but there are {} steps", limit.saturating_sub(1))
            }
            Error::Index { buffer: "row", id, limit, .. } => {
                write!(f, "row {id} does not exist: the batch has {limit} rows")
            }
            Error::Index { buffer: "rows", position, id, limit } => {
                write!(f, "`rows[{position}]` is {id}, but there are {limit} rows")
            }
            Error::Index { buffer: "hypothesis", id, limit, .. } => {
                write!(f, "hypothesis {id} does not exist: the search has found {limit}")
            }
            Error::Index { buffer, position, id, limit } => {
                write!(f, "`{buffer}[{position}]` is {id}, but must be below {limit}, the number of classes")
            }
            Error::Value { argument, expected } => write!(f, "`{argument}` must be {expected}"),
            Error::Narrow { part, index, format } => write!(
                f,
                "`{part}[{index}]` cannot be held in {format}: it is not finite, or too large; keep this layer in f32, or use a format with a larger range"
            ),
            Error::Layers { layer, what } => write!(f, "layer {layer} of the model {what}"),
            Error::Features { layer, takes, given } => {
                write!(
                    f,
                    "layer {layer} of the model takes {takes} features, but the one below it gives {given}"
                )
            }
            Error::Form { layer, form } => {
                write!(f, "layer {layer} of the model is of the form {form}, which the program did not name")
            }
            Error::Image { offset, what } => write!(f, "byte {offset} of the image: {what}"),
            Error::Internal { what } => {
                write!(f, "a bug of this crate ({what}): the results are not valid; please report it")
            }
            Error::Packing { what: "keys" } => {
                write!(f, "these keys were made by a different attention layer: make them again")
            }
            Error::Packing { what } => {
                write!(f, "these weights were packed for a different {what}: pack them again")
            }
        }
    }
}

/// Where the documentation says how long a buffer is.
fn source(buffer: &str) -> &'static str {
    match buffer {
        "weights" | "grads" => "`weights_len`",
        "packed" => "`packed_len`",
        "state" | "dstate" => "`state_len`",
        "tape" => "`tape_len`",
        "scratch" => "`scratch_len`, or the scratch length of this pass (such as `train_scratch_len`)",
        "dropout" => "`dropout_len` and `draw_dropout`",
        "factors" => "`dropout_len`",
        "recurrent_dropout" => "`recurrent_dropout_len`, for a single layer `[B, R]`",
        "layer_dropout" => "`layer_dropout_len`",
        "moments" => "`moments_len`",
        "keys" => "`keys_len`",
        "dkeys" => "`dkeys_len`",
        "ids" => "`ids_len`",
        "bytes" => "`image::len`",
        "narrow" => "`narrow_len`",
        "prompt" | "from" | "out" => "the argument's documentation",
        _ => "its shape in the documentation of the pass",
    }
}

impl core::error::Error for Error {}

/// Rejects a buffer that does not have exactly `expected` elements.
pub(crate) fn check_len(buffer: &'static str, expected: usize, actual: usize) -> Result<()> {
    check_shape(buffer, Need::EXACT, expected, actual)
}

/// Like [`check_len`]. The error also says what the length is made of.
pub(crate) fn check_shape(buffer: &'static str, need: Need, expected: usize, actual: usize) -> Result<()> {
    if expected == usize::MAX {
        Err(Error::Overflow { buffer })
    } else if expected == actual {
        Ok(())
    } else {
        Err(Error::Length { buffer, expected, actual, need })
    }
}

/// Rejects a buffer that has fewer than `expected` elements. A longer one is accepted.
pub(crate) fn check_room(buffer: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == usize::MAX {
        Err(Error::Overflow { buffer })
    } else if actual >= expected {
        Ok(())
    } else {
        Err(Error::Length { buffer, expected, actual, need: Need::AT_LEAST })
    }
}

#[cfg(test)]
mod tests;
