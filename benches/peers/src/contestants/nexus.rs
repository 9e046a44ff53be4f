//! nexus-inference: one sample at a time. Its models end in a dense layer; here that has one output and zero
//! weights.

use std::time::Duration;

use nexus_inference::{TinyGru, TinyLstm};

use super::{Contestant, sample, time};
use crate::Result;
use crate::case::{Case, Cell, What};

enum Model {
    Lstm(TinyLstm),
    Gru(TinyGru),
}

#[derive(Default)]
pub struct Nexus {
    /// The model, the samples, and the elements of a sample.
    ready: Option<(Model, Vec<f32>, usize)>,
}

impl Contestant for Nexus {
    fn name(&self) -> &'static str {
        "nexus"
    }

    fn version(&self) -> String {
        "nexus-inference 0.9.0".to_owned()
    }

    fn set_up(&mut self, case: &Case) -> Result<bool> {
        if case.what != What::Step {
            return Ok(false);
        }
        let (i, h, p) = (case.input, case.hidden, case.parts());
        let dense = vec![0.0; h];
        let model = match case.cell {
            Cell::Rnn => return Ok(false),
            Cell::Lstm => Model::Lstm(
                TinyLstm::from_parts(i, h, 1, p.w_ih, p.w_hh, p.b_ih, p.b_hh, &dense, &[0.0])
                    .map_err(|e| format!("{e:?}"))?,
            ),
            Cell::Gru => Model::Gru(
                TinyGru::from_parts(i, h, 1, p.w_ih, p.w_hh, p.b_ih, p.b_hh, &dense, &[0.0])
                    .map_err(|e| format!("{e:?}"))?,
            ),
        };
        self.ready = Some((model, case.x.clone(), i));
        Ok(true)
    }

    fn output(&mut self, _case: &Case) -> Result<Vec<f32>> {
        self.run(1)?;
        Ok(match &self.ready.as_ref().ok_or("not set up")?.0 {
            Model::Lstm(model) => model.hidden_state().to_vec(),
            Model::Gru(model) => model.hidden_state().to_vec(),
        })
    }

    fn run(&mut self, calls: usize) -> Result<Duration> {
        let mut next = 0;
        let (model, samples, input) = self.ready.as_mut().ok_or("not set up")?;
        match model {
            Model::Lstm(model) => time(calls, || Ok(model.predict(sample(samples, &mut next, *input)))),
            Model::Gru(model) => time(calls, || Ok(model.predict(sample(samples, &mut next, *input)))),
        }
    }
}
