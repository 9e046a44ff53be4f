//! burn with its CPU backend, flex. (The backend on ndarray is deprecated, and compiles slowest of all the
//! libraries here.)

use std::time::Duration;

use ::burn::module::Param;
use ::burn::nn::{GateController, Gru, GruConfig, Linear, Lstm, LstmConfig, Rnn, RnnConfig};
use ::burn::tensor::{Device, Tensor, TensorData};

use super::{Contestant, time};
use crate::Result;
use crate::case::{Case, Cell, What};

enum Model {
    Rnn(Rnn),
    Lstm(Lstm),
    Gru(Gru),
}

impl Model {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Model::Rnn(model) => model.forward(x, None).0,
            Model::Lstm(model) => model.forward(x, None).0,
            Model::Gru(model) => model.forward(x, None),
        }
    }
}

#[derive(Default)]
pub struct Burn {
    ready: Option<(Model, Tensor<3>)>,
}

/// A linear layer from row-major `w [rows, columns]`. burn stores `[inputs, outputs]`.
fn linear(w: &[f32], b: &[f32], device: &Device) -> Linear {
    let (rows, columns) = (b.len(), w.len() / b.len());
    let transposed: Vec<f32> =
        (0..columns).flat_map(|c| (0..rows).map(move |r| w[r * columns + c])).collect();
    Linear {
        weight: Param::from_data(TensorData::new(transposed, [columns, rows]), device),
        bias: Some(Param::from_data(TensorData::new(b.to_vec(), [rows]), device)),
    }
}

impl Contestant for Burn {
    fn name(&self) -> &'static str {
        "burn"
    }

    fn version(&self) -> String {
        "burn 0.22.1".to_owned()
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if case.what != What::Infer {
            return Ok(false);
        }
        let (i, h, p) = (case.input, case.hidden, case.parts());
        let device = &Device::flex();
        let gate = |gate: usize, into: &mut GateController| {
            into.input_transform = linear(&p.w_ih[gate * h * i..][..h * i], &p.b_ih[gate * h..][..h], device);
            into.hidden_transform =
                linear(&p.w_hh[gate * h * h..][..h * h], &p.b_hh[gate * h..][..h], device);
        };
        let model = match case.cell {
            Cell::Rnn => {
                let mut model = RnnConfig::new(i, h, true).init(device);
                gate(0, &mut model.gate);
                Model::Rnn(model)
            }
            Cell::Lstm => {
                let mut model = LstmConfig::new(i, h, true).init(device);
                gate(0, &mut model.input_gate);
                gate(1, model.forget_gate.as_mut().ok_or("a forget gate")?);
                gate(2, &mut model.cell_gate);
                gate(3, &mut model.output_gate);
                Model::Lstm(model)
            }
            Cell::Gru => {
                let mut model = GruConfig::new(i, h, true).init(device);
                gate(0, &mut model.reset_gate);
                gate(1, &mut model.update_gate);
                gate(2, &mut model.new_gate);
                Model::Gru(model)
            }
        };
        let x = TensorData::new(case.batch_first(&case.x, true), [case.batch, case.steps, i]);
        self.ready = Some((model, Tensor::from_data(x, device)));
        Ok(true)
    }

    fn output(&mut self, case: &Case) -> Result<Vec<f32>> {
        let (model, x) = self.ready.as_ref().ok_or("not set up")?;
        let y = model.forward(x.clone()).into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
        Ok(case.batch_first(&y, false))
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let (model, x) = self.ready.as_ref().ok_or("not set up")?;
        time(calls, || Ok(model.forward(x.clone())))
    }
}
