//! Models of the Neural Amp Modeler (`.nam`) with an LSTM. All weights are in one list: for each layer the
//! rows of `[W | R]`, one bias, and the initial states `h` and `c`; then the head, which is a linear layer.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::{Map, Value};

use super::super::error::{Error, Result, damaged, unsupported};
use super::super::layout::{Direction, Kind, TORCH};
use super::super::network::{Builder, Network};
use super::{FORMAT, size, tensor};
use crate::{Dense, Lstm};

pub(super) fn read(file: &Map<String, Value>) -> Result<Network> {
    match file.get("architecture").and_then(Value::as_str) {
        Some("LSTM") => {}
        Some(other @ ("WaveNet" | "ConvNet" | "SlimmableContainer")) => {
            return unsupported(
                format!("a `{other}` of the Neural Amp Modeler"),
                "is made of convolutions, which this crate does not have: only files with an `LSTM` can be read",
            );
        }
        other => {
            return unsupported(
                format!("the architecture `{}`", other.unwrap_or("")),
                "of the Neural Amp Modeler's files, only those with an `LSTM` can be read",
            );
        }
    }
    let Some(Value::Object(config)) = file.get("config") else {
        return damaged(FORMAT, "`config` is not an object");
    };
    let known = ["input_size", "hidden_size", "num_layers", "in_channels", "out_channels"];
    if let Some(key) = config.keys().find(|key| !known.contains(&&key[..])) {
        return unsupported(
            format!("`{key}` of `config`"),
            "is unknown, and may change what the model computes",
        );
    }
    let (input, hidden, depth) =
        (size(config, "input_size")?, size(config, "hidden_size")?, size(config, "num_layers")?);
    let output = if config.contains_key("out_channels") { size(config, "out_channels")? } else { 1 };
    // Layers without units would take no weights, so a file could have any number of them.
    if hidden == 0 || depth == 0 {
        return unsupported(format!("an LSTM of {depth} layers of {hidden} units"), "has nothing to compute");
    }
    let all = tensor("weights", file.get("weights").unwrap_or(&Value::Null))?;
    let (rows, mut rest) = (hidden.saturating_mul(4), &all.data[..]);
    let mut take = |n: usize| match rest.split_at_checked(n) {
        Some((taken, others)) => {
            rest = others;
            Ok(taken)
        }
        None => Err(Error::Tensor {
            name: "weights".to_string(),
            expected: format!("those of {depth} layers of {input} to {hidden} units"),
            found: format!("{}", all.data.len()),
        }),
    };
    let mut network = Builder::default();
    for index in 0..depth {
        let columns = if index == 0 { input } else { hidden };
        let joined = take(rows.saturating_mul(columns.saturating_add(hidden)))?;
        let (w_ih, w_hh): (Vec<&[f32]>, Vec<&[f32]>) =
            joined.chunks(columns.saturating_add(hidden).max(1)).map(|row| row.split_at(columns)).unzip();
        let bias = take(rows)?.to_vec();
        // `h`, then `c`: the order of this crate's state.
        network.initial_state.extend_from_slice(take(hidden.saturating_mul(2))?);
        let from = Direction {
            w_ih: w_ih.concat(),
            w_hh: w_hh.concat(),
            bias: Some((bias, None)),
            ..Direction::default()
        };
        TORCH.append(Kind::Lstm, hidden, from, &mut network.weights);
        network.push(format!("lstm{index}"), Lstm::new(columns, hidden));
    }
    let head = [take(output.saturating_mul(hidden))?, take(output)?].concat();
    network.weights.extend(head);
    network.push("head", Dense::new(hidden, output));
    if !rest.is_empty() {
        return damaged(FORMAT, format!("`weights` has {} more than the layers take", rest.len()));
    }
    network.finish()
}
