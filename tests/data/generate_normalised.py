"""Writes the golden files of cells with layer normalisation from PyTorch: lstm_norm_*, lstm_norm_state_*, gru_norm_*.

    pip install torch safetensors numpy
    python generate_normalised.py

The tensors are those of generate.py, which README.md describes, with the weights w_ih w_hh b_ih b_hh g_ih g_hh and,
for the LSTM, g_c b_c. PyTorch has no such module; its benchmarks/fastrnns/custom_lstms.py has a LayerNormLSTMCell,
which normalises what it carries on (lstm_norm_state). The cells are written here from the equations of Ba et al.
2016 (arXiv:1607.06450, supplementary material) with PyTorch's layer_norm, and differentiated by PyTorch, in f64.
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch.nn.functional import layer_norm

# input, hidden, batch, steps
SIZES = [(5, 13, 3, 7), (3, 8, 2, 5)]
# For each cell: its number (part of its seed), and its gates.
CELLS = {"lstm_norm": (20, 4), "lstm_norm_state": (21, 4), "gru_norm": (22, 3)}


def lens(cell, size):
    """The lengths of the parts of the weights."""
    i, h, _, _ = size
    gates = CELLS[cell][1]
    rows = gates * h
    return [rows * i, rows * h, rows, rows, rows, rows] + ([h, h] if gates == 4 else [])


def inputs(cell, size):
    i, h, b, t = size
    number, gates = CELLS[cell]
    rng = np.random.Generator(np.random.PCG64([number, *size]))
    draw = lambda bound, *shape: rng.uniform(-bound, bound, shape).astype(np.float32)
    parts = [draw(1 / np.sqrt(h), n) for n in lens(cell, size)]
    for gain in parts[4:7]:
        gain += 1
    case = {"weights": np.concatenate(parts), "x": draw(1, t, b, i), "h0": draw(1, b, h)}
    case |= {"dy": draw(1, t, b, h), "dhn": draw(1, b, h)}
    return case | ({"c0": draw(1, b, h), "dcn": draw(1, b, h)} if gates == 4 else {})


def lstm(p, x, h, c, carries):
    w_ih, w_hh, b_ih, b_hh, g_ih, g_hh, g_c, b_c = p
    a = layer_norm(x @ w_ih.T, g_ih.shape, g_ih, b_ih) + layer_norm(h @ w_hh.T, g_hh.shape, g_hh, b_hh)
    i, f, g, o = a.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    seen = layer_norm(c, g_c.shape, g_c, b_c)
    return o.sigmoid() * seen.tanh(), seen if carries else c


def gru(p, x, h):
    w_ih, w_hh, b_ih, b_hh, g_ih, g_hh = p
    n = h.shape[1]

    def parts(v, gain, bias):
        gates = layer_norm(v[:, : 2 * n], (2 * n,), gain[: 2 * n], bias[: 2 * n])
        return *gates.chunk(2, 1), layer_norm(v[:, 2 * n :], (n,), gain[2 * n :], bias[2 * n :])

    (xr, xz, xn), (hr, hz, hn) = parts(x @ w_ih.T, g_ih, b_ih), parts(h @ w_hh.T, g_hh, b_hh)
    z = (xz + hz).sigmoid()
    return (1 - z) * (xn + (xr + hr).sigmoid() * hn).tanh() + z * h


def run(cell, size, case):
    i, h, _, steps = size
    given = {name: torch.tensor(value).double().requires_grad_() for name, value in case.items()}
    p = list(torch.split(given["weights"], lens(cell, size)))
    p[0], p[1] = p[0].reshape(-1, i), p[1].reshape(-1, h)
    state, cells, y = given["h0"], given.get("c0"), []
    for t in range(steps):
        if cells is None:
            state = gru(p, given["x"][t], state)
        else:
            state, cells = lstm(p, given["x"][t], state, cells, cell == "lstm_norm_state")
        y.append(state)
    y = torch.stack(y)
    loss = (y * given["dy"]).sum() + (state * given["dhn"]).sum()
    if cells is not None:
        loss = loss + (cells * given["dcn"]).sum()
    loss.backward()
    result = {"y": y, "hn": state, "dweights": given["weights"].grad, "dx": given["x"].grad, "dh0": given["h0"].grad}
    if cells is not None:
        result |= {"cn": cells, "dc0": given["c0"].grad}
    return {name: value.detach().numpy().copy() for name, value in result.items()}


def main():
    for cell in CELLS:
        for size in SIZES:
            case = inputs(cell, size)
            path = Path(__file__).parent / f"{cell}_{size[0]}_{size[1]}.safetensors"
            save_file(case | run(cell, size, case), path)
            print(path.name)


if __name__ == "__main__":
    main()
