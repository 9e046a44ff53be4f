//! candle: LSTM and GRU, one step after the other. Collecting the states into one tensor is not timed.

use std::collections::HashMap;
use std::time::Duration;

use candle_core::{DType, Device, Tensor};
use candle_nn::{GRU, GRUConfig, LSTM, LSTMConfig, RNN, VarBuilder};

use super::{Contestant, time};
use crate::Result;
use crate::case::{Case, Cell, What};

enum Model {
    Lstm(LSTM),
    Gru(GRU),
}

#[derive(Default)]
pub struct Candle {
    ready: Option<(Model, Tensor)>,
}

impl Contestant for Candle {
    fn name(&self) -> &'static str {
        "candle"
    }

    fn version(&self) -> String {
        "candle-nn 0.11.1".to_owned()
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if case.what != What::Infer || case.cell == Cell::Rnn {
            return Ok(false);
        }
        let (i, h, p, device) = (case.input, case.hidden, case.parts(), &Device::Cpu);
        let units = case.cell.gates() * h;
        let tensors = HashMap::from([
            ("weight_ih_l0".to_owned(), Tensor::from_slice(p.w_ih, (units, i), device)?),
            ("weight_hh_l0".to_owned(), Tensor::from_slice(p.w_hh, (units, h), device)?),
            ("bias_ih_l0".to_owned(), Tensor::from_slice(p.b_ih, units, device)?),
            ("bias_hh_l0".to_owned(), Tensor::from_slice(p.b_hh, units, device)?),
        ]);
        let vb = VarBuilder::from_tensors(tensors, DType::F32, device);
        let model = match case.cell {
            Cell::Lstm => Model::Lstm(candle_nn::lstm(i, h, LSTMConfig::default(), vb)?),
            _ => Model::Gru(candle_nn::gru(i, h, GRUConfig::default(), vb)?),
        };
        let x = Tensor::from_vec(case.batch_first(&case.x, true), (case.batch, case.steps, i), device)?;
        self.ready = Some((model, x));
        Ok(true)
    }

    fn output(&mut self, case: &Case) -> Result<Vec<f32>> {
        let (model, x) = self.ready.as_ref().ok_or("not set up")?;
        let y = match model {
            Model::Lstm(model) => model.states_to_tensor(&model.seq(x)?)?,
            Model::Gru(model) => model.states_to_tensor(&model.seq(x)?)?,
        };
        Ok(case.batch_first(&y.flatten_all()?.to_vec1()?, false))
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let (model, x) = self.ready.as_ref().ok_or("not set up")?;
        match model {
            Model::Lstm(model) => time(calls, || Ok(model.seq(x)?)),
            Model::Gru(model) => time(calls, || Ok(model.seq(x)?)),
        }
    }
}
