//! The configuration of a model. Every key has to be accounted for.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Map, Value};

use super::super::error::{Error, Result, damaged, unsupported};

pub(super) const FORMAT: &str = "Keras model";

/// The error for a damaged file, from the message of the container's reader.
pub(super) fn refuse(e: impl ToString) -> Error {
    Error::Damaged { format: FORMAT, what: e.to_string() }
}

/// The configuration of a layer. Keys are removed as they are read.
#[derive(Debug)]
pub(super) struct Config<'a> {
    pub(super) class: &'a str,
    /// The layer's name and class for messages.
    pub(super) place: String,
    values: Map<String, Value>,
    raw: &'a Map<String, Value>,
}

impl<'a> Config<'a> {
    fn new(layer: &'a Value) -> Result<Self> {
        let class = layer.get("class_name").and_then(Value::as_str);
        let config = layer.get("config").and_then(Value::as_object);
        let (Some(class), Some(raw)) = (class, config) else {
            return damaged(FORMAT, "a layer without class or configuration");
        };
        let name = raw.get("name").and_then(Value::as_str).unwrap_or("");
        let place = format!("layer `{name}` ({class})");
        let registered = layer.get("registered_name").and_then(Value::as_str);
        // HDF5 files of Keras 2 have neither entry. Those of Keras 3 register Keras' own layers, too.
        let own = registered.is_none_or(|name| name == class);
        let module = layer.get("module").and_then(Value::as_str);
        if ["Sequential", "Functional", "Model"].contains(&class) {
            return unsupported(place, super::missing(class));
        }
        if !own || module.is_some_and(|module| module != "keras.layers") {
            return unsupported(place, "is not one of Keras' own layers");
        }
        Ok(Config { class, place, values: raw.clone(), raw })
    }

    /// Removes the keys that every layer has. The first layer may have the shape of the input.
    pub(super) fn common(&mut self) -> Result<()> {
        self.skip(&["name", "trainable"]);
        if self.class != "InputLayer" {
            self.skip(&["batch_input_shape"]);
        }
        let dtype = self.values.remove("dtype").unwrap_or(Value::Null);
        let policy = dtype.get("config").and_then(|c| c.get("name")).unwrap_or(&dtype);
        match policy.as_str() {
            Some("float32") => Ok(()),
            // Old layers inherit it from the session, and inputs of ids have none.
            None if policy.is_null() => Ok(()),
            _ if self.class == "InputLayer" => Ok(()),
            _ => unsupported(format!("`dtype` of {}", self.place), format!("is {policy}, not \"float32\"")),
        }
    }

    fn get<T>(&mut self, key: &str, what: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<T> {
        self.values.remove(key);
        match self.raw.get(key).and_then(read) {
            Some(value) => Ok(value),
            None => damaged(FORMAT, format!("{}: `{key}` is not {what}", self.place)),
        }
    }

    pub(super) fn name(&mut self) -> Result<String> {
        self.text("name").map(str::to_string)
    }

    pub(super) fn text(&mut self, key: &str) -> Result<&'a str> {
        self.get(key, "a text", Value::as_str)
    }

    /// The name of a function. Functions with parameters, and custom ones, are objects and not supported.
    pub(super) fn function(&mut self, key: &str) -> Result<&'a str> {
        match self.raw.get(key) {
            Some(Value::Object(object)) => {
                let class = object.get("class_name").and_then(Value::as_str).unwrap_or("");
                unsupported(
                    format!("`{key}` of {}", self.place),
                    format!("is a `{class}` with parameters, which is not supported"),
                )
            }
            // No function means the linear one.
            None | Some(Value::Null) => {
                self.values.remove(key);
                Ok("linear")
            }
            Some(_) => self.text(key),
        }
    }

    pub(super) fn size(&mut self, key: &str) -> Result<usize> {
        self.get(key, "a size", |v| usize::try_from(v.as_u64()?).ok())
    }

    pub(super) fn number(&mut self, key: &str) -> Result<f64> {
        self.get(key, "a number", Value::as_f64)
    }

    /// A number as f32; it is never NaN.
    pub(super) fn float(&mut self, key: &str) -> Result<f32> {
        // Some versions store it as an array object.
        self.get(key, "a number", |v| v.as_f64().or_else(|| v.get("config")?.get("value")?.as_f64()))
            .map(|x| x as f32)
    }

    /// The axis of a normalisation: a number, or a list of one.
    pub(super) fn axis(&mut self) -> Result<i64> {
        self.get("axis", "one axis", |v| match v.as_array() {
            Some(list) if list.len() == 1 => list[0].as_i64(),
            _ => v.as_i64(),
        })
    }

    /// Whether a key has a value.
    pub(super) fn given(&self, key: &str) -> bool {
        self.raw.get(key).is_some_and(|value| !value.is_null())
    }

    pub(super) fn flag(&mut self, key: &str) -> Result<bool> {
        self.get(key, "true or false", Value::as_bool)
    }

    /// Checks a flag that may be missing, but must not have the other value.
    pub(super) fn has_to_be(&mut self, key: &str, value: bool) -> Result<()> {
        match self.values.remove(key).map(|v| v.as_bool()) {
            None => Ok(()),
            Some(Some(flag)) if flag == value => Ok(()),
            _ => unsupported(&self.place, format!("must have `{key}` {value}")),
        }
    }

    /// Reads a flag that files of older versions do not have.
    pub(super) fn flag_or(&mut self, key: &str, default: bool) -> Result<bool> {
        if self.raw.contains_key(key) { self.flag(key) } else { Ok(default) }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.raw.contains_key(key)
    }

    /// A list of sizes; `None` for a dimension of any size.
    pub(super) fn shape(&mut self, key: &str) -> Result<Vec<Option<usize>>> {
        let size = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
        self.get(key, "a list", |v| Some(v.as_array()?.iter().map(size).collect()))
    }

    pub(super) fn inner(&mut self, key: &str) -> Result<Config<'a>> {
        Config::new(self.get(key, "a layer", Some)?)
    }

    /// Removes keys that have no effect on the output.
    pub(super) fn skip(&mut self, keys: &[&str]) {
        for key in keys {
            self.values.remove(*key);
        }
    }

    /// Removes keys that matter only in training.
    pub(super) fn skip_training(&mut self, of: &[&str]) {
        for of in of {
            for what in ["initializer", "regularizer", "constraint"] {
                self.values.remove(&format!("{of}_{what}"));
            }
        }
    }

    /// Rejects keys that are left.
    pub(super) fn finish(&self) -> Result<()> {
        match self.values.keys().next() {
            Some(key) => unsupported(format!("`{key}` of {}", self.place), "is not known"),
            None => Ok(()),
        }
    }
}

/// The layers of a model, in order.
pub(super) fn layers(model: &Value) -> Result<Vec<Config<'_>>> {
    let class = model.get("class_name").and_then(Value::as_str).unwrap_or("");
    // Before Keras 2.2.3 the configuration of a Sequential model was the list of layers itself.
    let config = model.get("config");
    let layers = config.and_then(|c| c.get("layers").or(Some(c))).and_then(Value::as_array);
    if !["Sequential", "Functional", "Model"].contains(&class) {
        return unsupported(
            format!("a model of class `{class}`"),
            "only Sequential and Functional ones can be read: build one of the same layers, and save that",
        );
    }
    let Some(layers) = layers else { return damaged(FORMAT, "the configuration has no layers") };
    if class != "Sequential" {
        chain(layers)?;
        let outputs = config.and_then(|c| c.get("output_layers")).unwrap_or(&Value::Null);
        let last = layers.last().and_then(|layer| layer.get("name"));
        // A single output is a list of its layer and two positions, or a list of one such list.
        let only = match outputs.as_array().map(|list| &list[..]) {
            Some([Value::Array(only)]) => only.first(),
            Some([name @ Value::String(_), ..]) => Some(name),
            _ => None,
        };
        if only.is_none() || only != last {
            return unsupported(format!("the outputs {outputs}"), "must be the output of the last layer");
        }
    }
    layers.iter().map(Config::new).collect()
}

/// Rejects a graph in which a layer takes anything other than the output of the layer before it.
fn chain(layers: &[Value]) -> Result<()> {
    let mut before = None;
    for layer in layers {
        let name = layer.get("name").and_then(Value::as_str);
        let mut sources = Vec::new();
        histories(layer.get("inbound_nodes").unwrap_or(&Value::Null), &mut sources);
        if sources != before.into_iter().collect::<Vec<_>>() {
            let (name, class) = (name.unwrap_or(""), layer.get("class_name").and_then(Value::as_str));
            return unsupported(
                format!("layer `{name}` ({})", class.unwrap_or("")),
                "must take the output of the layer before it, and nothing else",
            );
        }
        let calls = layer.get("inbound_nodes").and_then(Value::as_array).into_iter().flatten();
        // The arguments are an object with `kwargs`, or lists of lists of a layer, two positions and the
        // arguments.
        let arguments = calls.flat_map(|call| match call {
            Value::Array(inputs) => inputs.iter().filter_map(|input| input.get(3)?.as_object()).collect(),
            call => call.get("kwargs").and_then(Value::as_object).into_iter().collect::<Vec<_>>(),
        });
        let arguments = arguments.flatten();
        for (argument, value) in arguments {
            if !matches!(value, Value::Null | Value::Bool(false)) {
                return unsupported(
                    format!("argument `{argument}` of the call of layer `{}`", name.unwrap_or("")),
                    format!("is {value}, but must be null or false"),
                );
            }
        }
        before = name;
    }
    Ok(())
}

/// Collects the layers whose outputs appear in the arguments of a call.
fn histories<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            if let Some(history) = object.get("keras_history").and_then(|h| h.get(0)) {
                return found.extend(history.as_str());
            }
            object.values().for_each(|v| histories(v, found));
        }
        Value::Array(items) => match &items[..] {
            // Keras 2: the layer, two positions, and the arguments.
            [Value::String(layer), Value::Number(_), Value::Number(_), rest @ ..] => {
                found.push(layer);
                rest.iter().for_each(|v| histories(v, found));
            }
            items => items.iter().for_each(|v| histories(v, found)),
        },
        _ => {}
    }
}
