//! One step of one row, with all options.

use super::Function;

/// The equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Rnn,
    Lstm,
    /// The reset gate multiplies the result of the matrix product (ONNX: `linear_before_reset`).
    GruResetAfter,
    /// The reset gate multiplies the hidden state before the matrix product.
    GruResetBefore,
    /// One gate serves as both. The biases are its only option.
    Mgu,
}

/// Layer normalisation as Ba et al. 2016 (arXiv:1607.06450) write it, with gains for each product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// As in the paper's supplementary material.
    Paper,
    /// LSTM: the cell state goes on to the next step normalised.
    State,
}

/// A cell with its sizes and options.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub cell: Cell,
    pub input: usize,
    pub hidden: usize,
    pub bias: bool,
    /// RNN: the only activation. LSTM: of the gates, of the candidate, of the cell state before the output
    /// gate. GRU: of the gates, of the candidate. Other entries are unused.
    pub functions: [Function; 3],
    /// Clips the argument of every activation to this magnitude.
    pub clip: Option<f64>,
    /// LSTM: the gates also see the cell state.
    pub peepholes: bool,
    /// LSTM: the forget gate is one minus the input gate. Its weights exist but have no effect.
    pub coupled: bool,
    /// LSTM: the hidden state is projected by a matrix with this number of rows.
    pub projection: Option<usize>,
    /// LSTM, GRU that resets after the product: layer normalisation.
    pub norm: Option<Norm>,
}

pub(super) struct Step {
    pub h: Vec<f64>,
    pub c: Vec<f64>,
    pub margin: f64,
}

impl Options {
    /// The cell with the frameworks' default options.
    pub fn new(cell: Cell, input: usize, hidden: usize) -> Options {
        let functions = match cell {
            Cell::Rnn => [Function::Tanh; 3],
            _ => [Function::Sigmoid, Function::Tanh, Function::Tanh],
        };
        Options {
            cell,
            input,
            hidden,
            bias: true,
            functions,
            clip: None,
            peepholes: false,
            coupled: false,
            projection: None,
            norm: None,
        }
    }

    pub fn gates(&self) -> usize {
        match self.cell {
            Cell::Rnn => 1,
            Cell::Mgu => 2,
            Cell::Lstm => 4,
            Cell::GruResetAfter | Cell::GruResetBefore => 3,
        }
    }

    /// Numbers in one row of `h` and `y`: R.
    pub fn width(&self) -> usize {
        self.projection.unwrap_or(self.hidden)
    }

    pub fn weights_len(&self) -> usize {
        let rows = self.gates() * self.hidden;
        rows * (self.input + self.width())
            + if self.bias { 2 * rows } else { 0 }
            + self.projection.map_or(0, |p| p * self.hidden)
            + if self.peepholes { 3 * self.hidden } else { 0 }
            + match (self.norm, self.cell) {
                (None, _) => 0,
                (Some(_), Cell::Lstm) => 2 * rows + 2 * self.hidden,
                (Some(_), _) => 2 * rows,
            }
    }

    pub fn state_len(&self, batch: usize) -> usize {
        batch * (self.width() + if self.cell == Cell::Lstm { self.hidden } else { 0 })
    }

    /// One step. `h` is the previous hidden state; `dropped(gate)` is the vector that the gate's rows of
    /// `w_hh` multiply.
    pub(super) fn step(
        &self,
        weights: &[f64],
        x: &[f64],
        h: &[f64],
        dropped: &dyn Fn(usize) -> Vec<f64>,
        c: &[f64],
    ) -> Step {
        let (hidden, width) = (self.hidden, self.width());
        let rows = self.gates() * hidden;
        let (w_ih, rest) = weights.split_at(rows * self.input);
        let (w_hh, rest) = rest.split_at(rows * width);
        let (b_ih, rest) = rest.split_at(if self.bias { rows } else { 0 });
        let (b_hh, rest) = rest.split_at(if self.bias { rows } else { 0 });
        let (w_hr, rest) = rest.split_at(self.projection.map_or(0, |p| p * hidden));
        let (p, gains) = rest.split_at(if self.peepholes { 3 * hidden } else { 0 });
        let bias = |b: &[f64], row: usize| if self.bias { b[row] } else { 0.0 };
        let product_x = |row: usize| dot(&w_ih[row * self.input..(row + 1) * self.input], x);
        let product_h = |row: usize, h: &[f64]| dot(&w_hh[row * width..(row + 1) * width], h);
        // The products of some gates together, normalised.
        let normalised = self.norm.map(|_| {
            let h = dropped(0);
            let x: Vec<f64> = (0..rows).map(product_x).collect();
            let h: Vec<f64> = (0..rows).map(|row| product_h(row, &h)).collect();
            let groups: &[(usize, usize)] = match self.cell {
                Cell::Lstm => &[(0, 4)],
                _ => &[(0, 2), (2, 3)],
            };
            let of = |v: &[f64]| -> Vec<f64> {
                groups.iter().flat_map(|(from, to)| normal(&v[from * hidden..to * hidden])).collect()
            };
            (of(&x), of(&h))
        });
        let from_x = |row: usize| match &normalised {
            Some((x, _)) => x[row] * gains[row] + bias(b_ih, row),
            None => product_x(row) + bias(b_ih, row),
        };
        let from_h = |row: usize, h: &[f64]| match &normalised {
            Some((_, h)) => h[row] * gains[rows + row] + bias(b_hh, row),
            None => product_h(row, h) + bias(b_hh, row),
        };
        // The sums of one gate: the products with x and h, and the biases.
        let gate = |gate: usize| -> Vec<f64> {
            let h = dropped(gate);
            (gate * hidden..(gate + 1) * hidden).map(|row| from_x(row) + from_h(row, &h)).collect()
        };
        let mut margin = f64::INFINITY;
        let mut activate = |which: usize, a: f64| {
            let (value, distance) = self.functions[which].clipped(self.clip, a);
            margin = margin.min(distance);
            value
        };

        let (mut new_h, mut new_c) = (Vec::new(), Vec::new());
        match self.cell {
            Cell::Rnn => {
                for a in gate(0) {
                    new_h.push(activate(0, a));
                }
            }
            Cell::Lstm => {
                let [a_i, a_f, a_g, a_o] = [gate(0), gate(1), gate(2), gate(3)];
                let peep = |which: usize, u: usize, c: f64| {
                    if self.peepholes { p[which * hidden + u] * c } else { 0.0 }
                };
                let mut outputs = Vec::new();
                for u in 0..hidden {
                    let i = activate(0, a_i[u] + peep(0, u, c[u]));
                    let f = if self.coupled { 1.0 - i } else { activate(0, a_f[u] + peep(1, u, c[u])) };
                    let g = activate(1, a_g[u]);
                    let c = f * c[u] + i * g;
                    // The output gate sees the new cell state.
                    let o = activate(0, a_o[u] + peep(2, u, c));
                    outputs.push(o);
                    new_c.push(c);
                }
                let mut seen = new_c.clone();
                if let Some(norm) = self.norm {
                    let (g_c, b_c) = gains[2 * rows..].split_at(hidden);
                    let normal = normal(&new_c);
                    seen = (0..hidden).map(|u| normal[u] * g_c[u] + b_c[u]).collect();
                    if norm == Norm::State {
                        new_c = seen.clone();
                    }
                }
                let m: Vec<f64> = (0..hidden).map(|u| outputs[u] * activate(2, seen[u])).collect();
                new_h = match self.projection {
                    None => m,
                    Some(p) => (0..p).map(|k| dot(&w_hr[k * hidden..(k + 1) * hidden], &m)).collect(),
                };
            }
            Cell::GruResetAfter | Cell::GruResetBefore => {
                let r: Vec<f64> = gate(0).into_iter().map(|a| activate(0, a)).collect();
                let z: Vec<f64> = gate(1).into_iter().map(|a| activate(0, a)).collect();
                let to_n = dropped(2);
                let reset: Vec<f64> = (0..hidden).map(|k| r[k] * to_n[k]).collect();
                for u in 0..hidden {
                    let row = 2 * hidden + u;
                    let a = if self.cell == Cell::GruResetAfter {
                        from_x(row) + r[u] * from_h(row, &to_n)
                    } else {
                        from_x(row) + from_h(row, &reset)
                    };
                    let n = activate(1, a);
                    new_h.push((1.0 - z[u]) * n + z[u] * h[u]);
                }
            }
            Cell::Mgu => {
                let f: Vec<f64> = gate(0).into_iter().map(|a| activate(0, a)).collect();
                let to_n = dropped(1);
                let kept: Vec<f64> = (0..hidden).map(|k| f[k] * to_n[k]).collect();
                for u in 0..hidden {
                    let row = hidden + u;
                    let n = activate(1, from_x(row) + from_h(row, &kept));
                    new_h.push((1.0 - f[u]) * h[u] + f[u] * n);
                }
            }
        }
        Step { h: new_h, c: new_c, margin }
    }
}

/// Mean 0 and variance 1, but for a small number that PyTorch adds to the variance.
fn normal(v: &[f64]) -> Vec<f64> {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    let variance = v.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    v.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
