"""The ONNX operators RNN, LSTM and GRU, by the reference evaluator where it implements the attributes, in f64, else by
ONNX Runtime, in f32. Neither has gradients.

ONNX has its gates in the order i o f c and z r h, its peepholes in the order i o f.
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from case import GATES, Random, flat, parts, reorder, save

# input, hidden, batch, steps
REFERENCE = {
    "rnn": ("rnn", (3, 4, 2, 5), {}),
    "rnn_affine": ("rnn", (4, 3, 5, 2), dict(activations=[("Affine", 0.7, -0.1)])),
    "rnn_reverse": ("rnn", (2, 5, 4, 3), dict(direction="reverse")),
    "rnn_bidirectional_batch_major": ("rnn", (5, 2, 3, 4), dict(direction="concat", batch_major=True)),
    "lstm_peepholes": ("lstm", (3, 5, 2, 4), dict(peepholes=True)),
    "lstm_peepholes_no_bias": ("lstm", (2, 4, 3, 5), dict(peepholes=True, bias=False)),
    "lstm_peepholes_reverse": ("lstm", (4, 3, 5, 2), dict(peepholes=True, direction="reverse")),
    "lstm_peepholes_bidirectional": ("lstm", (2, 3, 4, 5), dict(peepholes=True, direction="concat")),
    "lstm_reverse_batch_major": ("lstm", (3, 2, 4, 5), dict(direction="reverse", batch_major=True)),
    "gru_reset_before": ("gru_reset_before", (3, 5, 2, 4), {}),
    "gru_reset_before_bidirectional": ("gru_reset_before", (2, 4, 5, 3), dict(direction="concat")),
    "gru_reset_after_reverse": ("gru_reset_after", (5, 3, 2, 4), dict(direction="reverse")),
    "gru_reset_after_bidirectional_batch_major": (
        "gru_reset_after",
        (4, 2, 3, 5),
        dict(direction="concat", batch_major=True),
    ),
}
FUNCTIONS = [
    ("Relu",),
    ("Tanh",),
    ("Sigmoid",),
    ("Affine", 0.7, -0.1),
    ("LeakyRelu", 0.3),
    ("ThresholdedRelu", 0.2),
    ("ScaledTanh", 1.3, 0.6),
    ("HardSigmoid", 0.3, 0.4),
    ("Elu", 0.7),
    ("Softsign",),
    ("Softplus",),
]
SIZES = [(3, 5, 2, 4), (2, 4, 3, 5), (5, 3, 4, 2), (4, 2, 5, 3)]
RUNTIME = {}
for n, function in enumerate(FUNCTIONS):
    RUNTIME[f"rnn_{function[0].lower()}"] = ("rnn", SIZES[n % 4], dict(activations=[function]))
    slots = [FUNCTIONS[(n + k) % len(FUNCTIONS)] for k in (4, 7, 0)]
    # Inputs of the first seeds are too near to a kink.
    attempt = 2 if function[0] == "Relu" else 0
    RUNTIME[f"lstm_h_{function[0].lower()}"] = ("lstm", SIZES[(n + 1) % 4], dict(activations=slots, attempt=attempt))
    form = ["gru_reset_after", "gru_reset_before"][n % 2]
    RUNTIME[f"gru_g_{function[0].lower()}"] = (form, SIZES[(n + 2) % 4], dict(activations=[slots[0], slots[2]]))
for n, cell in enumerate(GATES):
    RUNTIME[f"{cell}_lengths_bidirectional"] = (cell, SIZES[(n + 1) % 4], dict(lengths=True, direction="concat"))
    RUNTIME[f"{cell}_lengths_reverse"] = (cell, SIZES[(n + 2) % 4], dict(lengths=True, direction="reverse"))
    RUNTIME[f"{cell}_clip"] = (cell, SIZES[n], dict(clip=0.9, scale=6, cells=0.5))
RUNTIME |= {
    "lstm_coupled": ("lstm", (3, 4, 2, 5), dict(coupled=True)),
    "lstm_coupled_peepholes": ("lstm", (2, 5, 4, 3), dict(coupled=True, peepholes=True)),
    "lstm_peepholes_clip": ("lstm", (4, 3, 2, 5), dict(peepholes=True, clip=0.9, scale=6, cells=0.5)),
    "lstm_peepholes_lengths": ("lstm", (4, 3, 2, 5), dict(peepholes=True, lengths=True)),
}

ORDER = {"rnn": [0], "lstm": [0, 3, 1, 2], "gru_reset_after": [1, 0, 2], "gru_reset_before": [1, 0, 2]}


def generate(folder):
    total = sum(one(folder, "onnx_" + name, *case, evaluate) for name, case in REFERENCE.items())
    return total + sum(one(folder, "onnxruntime_" + name, *case, infer) for name, case in RUNTIME.items())


def evaluate(model, feeds):
    feeds = {n: v if v.dtype == np.int32 else v.astype(np.float64) for n, v in feeds.items()}
    return ReferenceEvaluator(model(TensorProto.DOUBLE)).run(None, feeds)


def infer(model, feeds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = model(TensorProto.FLOAT).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def model_of(cell, feeds, attributes, outputs):
    """A model of one node, from which its element type is still missing."""

    def with_type(element):
        slots = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
        names = [name if name in feeds else "" for name in slots]
        while not names[-1]:
            names.pop()
        node = helper.make_node(cell.split("_")[0].upper(), names, outputs, **attributes)
        info = lambda name: helper.make_tensor_value_info(
            name,
            TensorProto.INT32 if name == "sequence_lens" else element,
            [None, *feeds[name].shape[1:]] if name == "X" else feeds[name].shape,
        )
        results = [helper.make_tensor_value_info(name, element, None) for name in outputs]
        graph = helper.make_graph([node], "cell", [info(name) for name in feeds], results)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)

    return with_type


def one(folder, name, cell, size, options, run):
    for attempt in range(options.get("attempt", 0), 100):
        written = try_one(folder, name, cell, size, options, run, attempt)
        if written is not None:
            return written
    raise RuntimeError(f"no inputs for {name}")


def clips_as_the_text_says(run, model, feeds, clip):
    """ONNX Runtime does not clip the input of h, so the cell state has to stay within the clip."""
    for steps in range(1, len(feeds["X"]) + 1):
        _, _, cells = run(model, feeds | {"X": feeds["X"][:steps]})
        if np.abs(cells).max() > clip:
            return False
    return True


def try_one(folder, name, cell, size, options, run, attempt):
    i, h, b, t = size
    random = Random(name, attempt)
    direction, bias = options.get("direction", "forward"), options.get("bias", True)
    peepholes, major = options.get("peepholes", False), options.get("batch_major", False)
    directions = 2 if direction == "concat" else 1
    count = GATES[cell] * h * (i + h + (2 if bias else 0)) + (3 * h if peepholes else 0)
    weights = [random.uniform(options.get("scale", 2) / np.sqrt(i + h), count) for _ in range(directions)]
    pieces = [parts(cell, i, h, w, bias, peepholes) for w in weights]
    x = random.uniform(1, t, b, i)
    states = [random.uniform(0.9, directions, b, h)]
    if cell == "lstm":
        states.append(random.uniform(options.get("cells", 0.9), directions, b, h))
    lengths = random.ragged(b, t) if options.get("lengths") else None

    gates = lambda part: reorder(part, ORDER[cell])
    feeds = {
        "X": x,
        "W": np.stack([gates(p["w_ih"]) for p in pieces]),
        "R": np.stack([gates(p["w_hh"]) for p in pieces]),
    }
    if bias:
        feeds["B"] = np.stack([np.concatenate([gates(p["b_ih"]), gates(p["b_hh"])]) for p in pieces])
    if lengths is not None:
        feeds["sequence_lens"] = lengths.astype(np.int32)
    feeds["initial_h"] = states[0]
    if cell == "lstm":
        feeds["initial_c"] = states[1]
    if peepholes:
        feeds["P"] = np.stack([reorder(p["p"], [0, 2, 1]) for p in pieces])
    if major:
        for part in ("X", "initial_h", "initial_c"):
            if part in feeds:
                feeds[part] = np.ascontiguousarray(feeds[part].swapaxes(0, 1))

    attributes = {"hidden_size": h, "layout": int(major)}
    attributes["direction"] = "bidirectional" if directions == 2 else direction
    if "clip" in options:
        attributes["clip"] = options["clip"]
    if cell == "lstm" and "coupled" in options:
        attributes["input_forget"] = 1
    if cell.startswith("gru"):
        attributes["linear_before_reset"] = int(cell == "gru_reset_after")
    functions = options.get("activations")
    if functions:
        attributes["activations"] = [f[0] for f in functions] * directions
        # One alpha for each function that has an alpha, and one beta for each that has a beta.
        alphas, betas = [f[1] for f in functions if len(f) > 1], [f[2] for f in functions if len(f) > 2]
        if alphas:
            attributes["activation_alpha"] = alphas * directions
        if betas:
            attributes["activation_beta"] = betas * directions
    outputs = ["Y", "Y_h"] + (["Y_c"] if cell == "lstm" else [])
    model = model_of(cell, feeds, attributes, outputs)
    if "clip" in options and cell == "lstm" and not clips_as_the_text_says(run, model, feeds, options["clip"]):
        return None
    y, *last = run(model, feeds)
    if "clip" in options:
        without = {name: value for name, value in attributes.items() if name != "clip"}
        assert np.abs(run(model_of(cell, feeds, without, outputs), feeds)[0] - y).max() > 0.1
    if major:
        # [B, T, D, H]
        last = [part.swapaxes(0, 1) for part in last]
    else:
        y = y.transpose(0, 2, 1, 3)
    y = y.reshape(*y.shape[:2], -1)
    in_order = lambda parts: flat(*(part[d] for d in range(directions) for part in parts))
    words = {
        "cell": cell,
        "hidden": h,
        "direction": None if direction == "forward" else direction,
        "activations": ",".join(":".join(map(str, f)) for f in functions) if functions else None,
        "clip": options.get("clip"),
        "peepholes": "yes" if peepholes else None,
        "coupled": "yes" if options.get("coupled") else None,
        "bias": None if bias else "no",
        "batch_major": "yes" if major else None,
    }
    return save(
        folder,
        name,
        words,
        weights=flat(*weights),
        x=feeds["X"],
        lengths=lengths,
        state=in_order(states),
        y=y,
        last_state=in_order(last),
    )
