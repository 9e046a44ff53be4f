"""PyTorch's RNN, LSTM and GRU: packed sequences, both directions, several layers, projections, no biases."""

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from case import Random, flat, save

# input, hidden, batch, steps
CASES = {
    "rnn_lengths": ("rnn", (3, 17, 2, 4), dict(lengths="ragged")),
    "rnn_relu_lengths": ("rnn", (3, 7, 5, 4), dict(lengths="ragged", relu=True)),
    "lstm_lengths": ("lstm", (2, 9, 3, 4), dict(lengths="ragged")),
    "gru_lengths": ("gru_reset_after", (2, 9, 3, 5), dict(lengths="ragged")),
    "rnn_lengths_sorted": ("rnn", (2, 5, 6, 4), dict(lengths="sorted")),
    "lstm_lengths_sorted": ("lstm", (4, 3, 5, 6), dict(lengths="sorted")),
    "gru_lengths_sorted": ("gru_reset_after", (3, 5, 4, 6), dict(lengths="sorted")),
    # No row reaches the last step of the buffers.
    "lstm_lengths_short": ("lstm", (2, 3, 4, 7), dict(lengths="short")),
    "gru_lengths_batch_major": ("gru_reset_after", (4, 3, 5, 7), dict(lengths="ragged", batch_major=True)),
    "rnn_bidirectional_lengths": ("rnn", (4, 6, 3, 5), dict(lengths="ragged", both=True)),
    "lstm_bidirectional_lengths": ("lstm", (2, 3, 5, 4), dict(lengths="ragged", both=True)),
    "gru_bidirectional_lengths": ("gru_reset_after", (5, 4, 3, 6), dict(lengths="ragged", both=True)),
    "gru_bidirectional": ("gru_reset_after", (2, 3, 5, 4), dict(both=True)),
    "rnn_3_layers": ("rnn", (5, 4, 3, 6), dict(layers=3)),
    "lstm_2_layers_lengths": ("lstm", (2, 4, 3, 5), dict(layers=2, lengths="ragged")),
    "gru_3_layers_lengths": ("gru_reset_after", (5, 3, 2, 4), dict(layers=3, lengths="ragged")),
    "rnn_bidirectional_2_layers_lengths": ("rnn", (2, 4, 3, 5), dict(layers=2, both=True, lengths="ragged")),
    "lstm_bidirectional_2_layers_lengths": ("lstm", (3, 2, 4, 5), dict(layers=2, both=True, lengths="ragged")),
    "gru_bidirectional_3_layers_batch_major": (
        "gru_reset_after",
        (4, 2, 3, 5),
        dict(layers=3, both=True, batch_major=True),
    ),
    "lstm_projection": ("lstm", (2, 5, 4, 6), dict(projection=3)),
    "lstm_projection_lengths_batch_major": (
        "lstm",
        (5, 4, 3, 6),
        dict(projection=2, lengths="ragged", batch_major=True),
    ),
    "lstm_projection_bidirectional_2_layers_lengths": (
        "lstm",
        (5, 3, 2, 4),
        dict(projection=2, layers=2, both=True, lengths="ragged"),
    ),
    "lstm_projection_no_bias": ("lstm", (2, 5, 3, 4), dict(projection=4, bias=False)),
    "rnn_no_bias_lengths": ("rnn", (4, 7, 3, 5), dict(bias=False, lengths="ragged")),
    "lstm_no_bias": ("lstm", (3, 4, 5, 2), dict(bias=False)),
    "lstm_3_layers_dropout": ("lstm", (4, 2, 3, 5), dict(layers=3, dropout=True)),
    "gru_bidirectional_2_layers_dropout": ("gru_reset_after", (2, 3, 4, 5), dict(layers=2, both=True, dropout=True)),
    "gru_no_bias_bidirectional_2_layers": ("gru_reset_after", (2, 3, 4, 5), dict(bias=False, layers=2, both=True)),
}

# With 0.5, the factor of the kept values is exact in f32.
DROPOUT = 0.5


def names(layers, both, bias, projection):
    """PyTorch's parameters in the order in which it registers them, which is the canonical one."""
    kinds = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if bias else []) + (["weight_hr"] if projection else [])
    suffixes = [f"_l{n}{d}" for n in range(layers) for d in (["", "_reverse"] if both else [""])]
    return [kind + suffix for suffix in suffixes for kind in kinds]


def relu_margin(case):
    """Smallest magnitude of a sum of one layer. Lengths are ignored, so the true minimum may be larger."""
    i, h = case["x"].shape[2], case["state"].shape[-1]
    w_ih, w_hh, b_ih, b_hh = np.split(case["weights"].astype(np.float64), np.cumsum([h * i, h * h, h]))
    state, smallest = case["state"][0].astype(np.float64), np.inf
    for x in case["x"].astype(np.float64):
        a = x @ w_ih.reshape(h, i).T + state @ w_hh.reshape(h, h).T + b_ih + b_hh
        smallest, state = min(smallest, np.abs(a).min()), np.maximum(a, 0)
    return smallest


def generate(folder):
    return sum(one(folder, name, *case) for name, case in CASES.items())


def one(folder, name, cell, size, options):
    for attempt in range(100):
        case = inputs(name, attempt, cell, size, **options)
        if not options.get("relu") or relu_margin(case) > 1e-4:
            return run(folder, name, cell, size, case, **options)
    raise RuntimeError(f"no inputs for {name}")


def module_of(cell, size, layers=1, both=False, bias=True, projection=0, relu=False, batch_major=False, **others):
    i, h, _, _ = size
    kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru_reset_after": torch.nn.GRU}[cell]
    own = {"nonlinearity": "relu" if relu else "tanh"} if cell == "rnn" else {}
    if projection:
        own["proj_size"] = projection
    if others.get("dropout"):
        own["dropout"] = DROPOUT
    module = kind(i, h, layers, bias=bias, bidirectional=both, batch_first=batch_major, dtype=torch.float64, **own)
    assert [n for n, _ in module.named_parameters()] == names(layers, both, bias, projection)
    return module


def inputs(name, attempt, cell, size, **options):
    i, h, b, t = size
    random = Random("torch_" + name, attempt)
    count = options.get("layers", 1) * (2 if options.get("both") else 1)
    width = options.get("projection", h)
    rows = (b, t) if options.get("batch_major") else (t, b)
    states = [width, h] if cell == "lstm" else [width]
    parameters = sum(p.numel() for p in module_of(cell, size, **options).parameters())
    return {
        "weights": random.uniform(1.4 / np.sqrt(i + h), parameters),
        "x": random.uniform(1, *rows, i),
        "lengths": lengths(random, options.get("lengths"), b, t),
        # For each layer and direction the states of all rows: `[count, B, .]` for h, then for c.
        "state": random.uniform(0.9, count, b, states[0]),
        "cell_state": random.uniform(0.9, count, b, h) if len(states) == 2 else None,
        "dy": random.uniform(1, *rows, width * (2 if options.get("both") else 1)),
        "dlast": random.uniform(1, count, b, states[0]),
        "dlast_cell": random.uniform(1, count, b, h) if len(states) == 2 else None,
    }


def lengths(random, which, batch, steps):
    if which is None:
        return None
    ragged = random.ragged(batch, steps - 1 if which == "short" else steps)
    return np.sort(ragged)[::-1].copy() if which == "sorted" else ragged


def states(h, c):
    """The states of a stack in one row: of each layer and direction h, then c."""
    return flat(*(part for n in range(len(h)) for part in ([h[n]] if c is None else [h[n], c[n]])))


def run(folder, name, cell, size, case, **options):
    i, h, b, t = size
    batch_major = options.get("batch_major", False)
    given = {k: torch.tensor(v).double() for k, v in case.items() if v is not None and k != "lengths"}
    for leaf in ("x", "state", "cell_state"):
        if leaf in given:
            given[leaf].requires_grad_()
    module = module_of(cell, size, **options)
    torch.nn.utils.vector_to_parameters(given["weights"], module.parameters())

    x, lengths = given["x"], case["lengths"]
    if lengths is not None:
        in_order = options["lengths"] == "sorted"
        x = pack_padded_sequence(x, torch.tensor(lengths), batch_first=batch_major, enforce_sorted=in_order)
    layer_dropout = None
    if options.get("dropout"):
        # The same draws as PyTorch makes between the layers, in the order of the layers.
        torch.manual_seed(1)
        ones = torch.ones(options["layers"] - 1, *case["dy"].shape, dtype=torch.float64)
        layer_dropout = torch.stack([torch.nn.functional.dropout(one, DROPOUT) for one in ones]).numpy().astype(np.float32)
        torch.manual_seed(1)
    if cell == "lstm":
        y, (last, last_cell) = module(x, (given["state"], given["cell_state"]))
    else:
        (y, last), last_cell = module(x, given["state"]), None
    if lengths is not None:
        y, _ = pad_packed_sequence(y, batch_first=batch_major, total_length=t)
    loss = (y * given["dy"]).sum() + (last * given["dlast"]).sum()
    if cell == "lstm":
        loss = loss + (last_cell * given["dlast_cell"]).sum()
    loss.backward()

    number = lambda tensor: None if tensor is None else tensor.detach().numpy()
    grad = lambda leaf: number(given[leaf].grad) if leaf in given else None
    words = {
        "cell": cell,
        "hidden": h,
        "layers": options.get("layers"),
        "direction": "concat" if options.get("both") else None,
        "activations": "Relu" if options.get("relu") else None,
        "projection": options.get("projection"),
        "bias": "no" if options.get("bias") is False else None,
        "batch_major": "yes" if batch_major else None,
    }
    return save(
        folder,
        "torch_" + name,
        words,
        weights=case["weights"],
        x=case["x"],
        lengths=lengths,
        layer_dropout=layer_dropout,
        state=states(case["state"], case["cell_state"]),
        dy=case["dy"],
        dlast_state=states(case["dlast"], case["dlast_cell"]),
        y=number(y),
        last_state=states(number(last), number(last_cell)),
        dweights=torch.cat([p.grad.flatten() for p in module.parameters()]).numpy(),
        dx=grad("x"),
        dstate=states(grad("state"), grad("cell_state")),
    )
