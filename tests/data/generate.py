"""Writes the golden files of this folder from PyTorch and Keras.

    pip install torch tensorflow-cpu safetensors numpy
    python generate.py                  # the committed files, into this folder
    python generate.py --full --out D   # every cell at every size with every f32 tensor, 1.2 MB, into D

README.md describes the tensors and names the versions that made the committed files. Running again with these
versions on the same kind of processor gives the same bytes; elsewhere the inputs stay the same and the
expected values may move in their last bits. Prints how far the frameworks' f32 is from their f64.
The tests read the files only; nobody needs Python to run them.
"""

import argparse
import os
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import keras
import numpy as np
import tensorflow as tf
import torch
from safetensors.numpy import save_file

# input, hidden, batch, steps
SIZES = [
    (5, 13, 3, 7),
    (1, 1, 1, 1),
    (3, 8, 2, 5),
    (8, 16, 4, 3),
    (7, 17, 5, 4),
    (16, 33, 2, 3),
    (4, 24, 7, 2),
]

# For each cell: its number (part of its seed), its gates, and the sizes that are committed. All sizes
# together are 0.9 MB, so a size is only committed for cells that take a separate path through it.
CELLS = {
    "rnn_tanh": (0, 1, [0, 1, 2, 3, 4, 6]),
    "rnn_relu": (1, 1, [0, 1, 2]),
    "lstm": (2, 4, [0, 1, 2, 3, 4, 5, 6]),
    "gru": (3, 3, [0, 1, 2, 3, 4, 5]),
    "gru_reset_before": (4, 3, [0, 1, 2, 3, 4, 6]),
    "gru_reset_after_keras": (5, 3, [2]),
}
# Files of these sizes also hold the frameworks' own f32 results.
WITH_F32 = [0]


def inputs(cell, size):
    """The f32 inputs of one case."""
    number, gates, _ = CELLS[cell]
    i, h, b, t = size
    for attempt in range(1000):
        rng = np.random.Generator(np.random.PCG64([number, *size, attempt]))
        draw = lambda bound, *shape: rng.uniform(-bound, bound, shape).astype(np.float32)
        bound = 1 / np.sqrt(h)
        case = {"weights": draw(bound, gates * h * (i + h + 2))}
        if cell == "gru_reset_before":
            case["weights"][-gates * h :] = 0  # one bias: b_ih holds it
        case["x"] = draw(1, t, b, i)
        case["h0"] = draw(1, b, h)
        if cell == "lstm":
            case["c0"] = draw(1, b, h)
        case["dy"] = draw(1, t, b, h)
        case["dhn"] = draw(1, b, h)
        if cell == "lstm":
            case["dcn"] = draw(1, b, h)
        if cell != "rnn_relu" or clear_of_the_kink(case, size):
            return case
    raise RuntimeError(f"no inputs for {cell} {size}")


def split(weights, gates, size):
    """w_ih [G*H, I], w_hh [G*H, H], b_ih [G*H], b_hh [G*H] of the flat buffer."""
    i, h, _, _ = size
    rows = gates * h
    w_ih, w_hh, b_ih, b_hh = np.split(weights, np.cumsum([rows * i, rows * h, rows]))
    return w_ih.reshape(rows, i), w_hh.reshape(rows, h), b_ih, b_hh


def clear_of_the_kink(case, size):
    """No sum so near to zero that rounding could switch a relu, and at least one that is positive."""
    w_ih, w_hh, b_ih, b_hh = split(case["weights"].astype(np.float64), 1, size)
    h, positive = case["h0"].astype(np.float64), False
    for x in case["x"].astype(np.float64):
        a = x @ w_ih.T + h @ w_hh.T + b_ih + b_hh
        if np.abs(a).min() < 1e-4:
            return False
        positive = positive or (a > 0).any()
        h = np.maximum(a, 0)
    return positive


def run_torch(cell, size, case, dtype):
    i, h, _, _ = size
    dtype = {"f32": torch.float32, "f64": torch.float64}[dtype]
    given = {name: torch.tensor(value).to(dtype) for name, value in case.items()}
    for name in ("x", "h0", "c0"):
        if name in given:
            given[name].requires_grad_()
    if cell.startswith("rnn"):
        module = torch.nn.RNN(i, h, nonlinearity=cell[4:], dtype=dtype)
    else:
        module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](i, h, dtype=dtype)
    # The canonical order is the order in which PyTorch registers them.
    assert [n for n, _ in module.named_parameters()] == [
        "weight_ih_l0",
        "weight_hh_l0",
        "bias_ih_l0",
        "bias_hh_l0",
    ]
    torch.nn.utils.vector_to_parameters(given["weights"], module.parameters())

    h0 = given["h0"][None]
    if cell == "lstm":
        y, (hn, cn) = module(given["x"], (h0, given["c0"][None]))
    else:
        y, hn = module(given["x"], h0)
    loss = (y * given["dy"]).sum() + (hn[0] * given["dhn"]).sum()
    if cell == "lstm":
        loss = loss + (cn[0] * given["dcn"]).sum()
    loss.backward()

    result = {
        "y": y,
        "hn": hn[0],
        "dweights": torch.cat([p.grad.flatten() for p in module.parameters()]),
        "dx": given["x"].grad,
        "dh0": given["h0"].grad,
    }
    if cell == "lstm":
        result |= {"cn": cn[0], "dc0": given["c0"].grad}
    return {name: value.detach().numpy() for name, value in result.items()}


def swap_r_and_z(rows):
    """r z n to Keras's z r h, or back, along the first axis."""
    r, z, n = np.split(rows, 3)
    return np.concatenate([z, r, n])


def run_keras(size, case, dtype, reset_after):
    i, h, _, _ = size
    dtype = {"f32": "float32", "f64": "float64"}[dtype]
    keras.config.set_floatx(dtype)
    # Keras is batch-major, multiplies from the right, and has the gates in the order z r h.
    w_ih, w_hh, b_ih, b_hh = (swap_r_and_z(w) for w in split(case["weights"], 3, size))
    if not reset_after:
        assert not b_hh.any()
    layer = keras.layers.GRU(
        h, reset_after=reset_after, return_sequences=True, return_state=True, dtype=dtype
    )
    layer.build((None, None, i))
    layer.set_weights([w_ih.T, w_hh.T, np.stack([b_ih, b_hh]) if reset_after else b_ih])
    x = tf.constant(case["x"].transpose(1, 0, 2), dtype)
    h0 = tf.constant(case["h0"], dtype)
    dy = tf.constant(case["dy"].transpose(1, 0, 2), dtype)
    dhn = tf.constant(case["dhn"], dtype)
    variables = [v.value for v in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, h0])
        y, hn = layer(x, initial_state=h0)
        loss = tf.reduce_sum(y * dy) + tf.reduce_sum(hn * dhn)
    dkernel, drecurrent, dbias, dx, dh0 = (
        g.numpy() for g in tape.gradient(loss, [*variables, x, h0])
    )
    # With one bias, b_ih and b_hh only occur as a sum, so both have the same gradient.
    db_ih, db_hh = dbias if reset_after else (dbias, dbias)
    dweights = [swap_r_and_z(g).ravel() for g in (dkernel.T, drecurrent.T, db_ih, db_hh)]
    result = {
        "y": y.numpy().transpose(1, 0, 2),
        "hn": hn.numpy(),
        "dweights": np.concatenate(dweights),
        "dx": dx.transpose(1, 0, 2),
        "dh0": dh0,
    }
    assert all(value.dtype == dtype for value in result.values())
    return result


def run(cell, size, case, dtype):
    if cell == "gru_reset_before":
        return run_keras(size, case, dtype, reset_after=False)
    if cell == "gru_reset_after_keras":
        return run_keras(size, case, dtype, reset_after=True)
    return run_torch(cell, size, case, dtype)


def deviations(a, b):
    return {name: np.abs(a[name].astype(np.float64) - b[name]).max() for name in a}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(f"torch {torch.__version__}, keras {keras.__version__}, tensorflow {tf.__version__}, numpy {np.__version__}")

    columns = ["y", "hn", "cn", "dweights", "dx", "dh0", "dc0"]
    print("\nGreatest absolute deviation of the framework's f32 from its f64\n")
    print(f"| case | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    total, crosscheck = 0, 0.0
    for cell, (_, _, committed) in CELLS.items():
        for index, size in enumerate(SIZES):
            name = f"{cell}_{size[0]}_{size[1]}"
            case = inputs(cell, size)
            expected = run(cell, size, case, "f64")
            single = run(cell, size, case, "f32")
            if cell == "gru_reset_after_keras":
                # The two frameworks share no code, so this would show a wrong conversion.
                apart = deviations(run_torch("gru", size, case, "f64"), expected)
                crosscheck = max(crosscheck, *apart.values())
            d = deviations(single, expected)
            row = " | ".join(f"{d[c]:.1e}" if c in d else "" for c in columns)
            print(f"| {name} | {row} |")
            if not args.full and index not in committed:
                continue
            tensors = case | expected
            if args.full or index in WITH_F32:
                tensors |= {f"{n}_f32": value for n, value in single.items()}
            path = args.out / f"{name}.safetensors"
            save_file({n: np.ascontiguousarray(v) for n, v in tensors.items()}, path)
            path.chmod(0o644)
            total += path.stat().st_size
    print(f"\nKeras and PyTorch f64, reset_after, all sizes: at most {crosscheck:.1e} apart")
    assert crosscheck < 1e-12
    print(f"{total} bytes written")


if __name__ == "__main__":
    main()
