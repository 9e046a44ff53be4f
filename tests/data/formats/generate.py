"""Small models in the files of their frameworks, and the outputs of those frameworks.

Run it with Python 3.11 and torch, keras (over tensorflow), onnx, onnxruntime, numpy and safetensors; the versions that
the files here were made with are in README.md. Every model is NAME.EXTENSION, and NAME.golden has `x` and `y`: a safetensors
file with time-major data, ids as I64. Random numbers are the same in every run; Keras and ONNX put their own versions into
their files.
"""

import json
import os
import struct
import sys
import warnings
import zlib
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

import keras
import numpy as np
import onnxruntime
import torch
from keras import layers
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch
from safetensors.torch import save_model
from torch import nn

FOLDER = Path(__file__).parent
T, B = 5, 3


def golden(name, x, y):
    """`x` and `y` are time-major."""
    x = np.asarray(x)
    x = x.astype(np.int64 if x.dtype.kind == "i" else np.float32)
    y = np.ascontiguousarray(y, dtype=np.float32)
    assert np.abs(y).max() > 0.01, name
    save_file({"x": np.ascontiguousarray(x), "y": y}, FOLDER / f"{name}.golden")


def numbers(name):
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def values(name, *shape):
    return numbers(name).uniform(-1, 1, shape).astype(np.float32)


def ids(name, classes):
    return numbers(name).integers(0, classes, (T, B))


def scale(array):
    """Weights that are large enough to make a swapped gate visible."""
    return (array * 2).astype(np.float32) if array.ndim > 1 else array


# PyTorch


class Model(nn.Module):
    """Modules in the order of the keywords; `last` takes the last step, `tanh` and similar names are functions."""

    def __init__(self, batch_first=False, **modules):
        super().__init__()
        self.batch_first = batch_first
        self.order = list(modules)
        for name, module in modules.items():
            if isinstance(module, nn.Module):
                setattr(self, name, module)
            else:
                self.__dict__[name] = module

    def forward(self, x):
        for name in self.order:
            module = getattr(self, name)
            x = module(x)
            x = x[0] if isinstance(x, tuple) else x
        return x


def torch_case(name, make, x, half=None):
    torch.manual_seed(zlib.crc32(name.encode()) % 1000)
    model = make().eval()
    for parameter in model.parameters():
        parameter.data.mul_(2)
        if half:
            parameter.data = parameter.data.to(half).float()
    with torch.no_grad():
        y = model(torch.from_numpy(np.asarray(x)))
    y = y[0] if isinstance(y, tuple) else y
    golden(name, x, y)
    return model


def state(model, half=None):
    return {k: (v.to(half) if half else v).contiguous() for k, v in model.state_dict().items()}


def save_state(name, make, x, half=None):
    model = torch_case(name, make, x, half)
    save_torch(state(model, half), FOLDER / f"{name}.safetensors")


def pytorch():
    save_state("torch_lstm_bidirectional", lambda: nn.LSTM(3, 4, 2, bidirectional=True), values("a", T, B, 3))
    save_state(
        "torch_gru_prefix",
        lambda: Model(model=Model(emb=nn.Embedding(7, 4), gru=nn.GRU(4, 3, 2), fc=nn.Linear(3, 2))),
        ids("b", 7),
    )
    save_state(
        "torch_lstm_projection",
        lambda: nn.LSTM(3, 5, 2, proj_size=2, bias=False, bidirectional=True),
        values("c", T, B, 3),
    )
    save_state(
        "torch_rnn_relu",
        lambda: Model(rnn=nn.RNN(3, 4, nonlinearity="relu"), last=lambda x: x[-1], fc=nn.Linear(4, 2), act=torch.tanh),
        values("d", T, B, 3),
    )
    save_state("torch_gru_f16", lambda: nn.GRU(2, 4), values("e", T, B, 2), torch.float16)
    save_state("torch_lstm_bf16", lambda: nn.LSTM(2, 4), values("f", T, B, 2), torch.bfloat16)
    save_state(
        "torch_two_lstms",
        lambda: Model(lstm=nn.LSTM(1, 4), lstm2=nn.LSTM(4, 3, 2), dense=nn.Linear(3, 1)),
        values("g", T, B, 1),
    )
    save_state("torch_gru_cell", lambda: Model(cells=Steps(nn.GRUCell(3, 4))), values("h", T, B, 3))
    save_state("torch_lstm_f64", lambda: nn.LSTM(2, 4).double(), values("i", T, B, 2).astype(np.float64))
    # One tensor is stored. The metadata say that the other one is the same.
    save_model(torch_case("torch_tied", tied, ids("j", 7)), str(FOLDER / "torch_tied.safetensors"))
    # Modules and parameters that do not belong to the model.
    save_state("torch_others", others, values("k", T, B, 3))


def tied():
    model = Model(encoder=nn.Embedding(7, 4), rnn=nn.GRU(4, 4), decoder=nn.Linear(4, 7))
    model.decoder.weight = model.encoder.weight
    return model


def others():
    model = Model(gru=nn.GRU(3, 4), fc=nn.Linear(4, 2))
    model.bn = nn.BatchNorm1d(4)
    model.h0 = nn.Parameter(torch.ones(1, 1, 4))
    return model


class Steps(nn.Module):
    """A cell, step by step."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        h, all = None, []
        for step in x:
            h = self.cell(step, h)
            all.append(h)
        return torch.stack(all)


# Keras


def keras_model(name, model, x):
    """`x` is time-major."""
    rng = numbers(name)
    model.set_weights([scale(rng.uniform(-0.7, 0.7, w.shape)) for w in model.get_weights()])
    y = model.predict(np.swapaxes(x, 0, 1), verbose=0)
    golden(name, x, np.swapaxes(y, 0, 1) if y.ndim == 3 else y)
    return model


def keras_case(name, *args):
    keras_model(name, *args).save(FOLDER / f"{name}.keras")


def keras_models():
    keras_case(
        "keras_sequential",
        keras.Sequential(
            [
                keras.Input((None,), dtype="int32"),
                layers.Embedding(7, 4),
                layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
                layers.GRU(4, return_sequences=True, reset_after=False),
                layers.GRU(5),
                layers.Dense(2, activation="tanh"),
            ]
        ),
        ids("k", 7),
    )
    keras_case(
        "keras_pool",
        keras.Sequential(
            [
                keras.Input((None, 2)),
                layers.Dropout(0.1),
                layers.Bidirectional(layers.GRU(3, return_sequences=True, use_bias=False), merge_mode="sum"),
                layers.Dropout(0.2),
                layers.TimeDistributed(layers.Dense(4)),
                layers.Activation("relu"),
                layers.GlobalAveragePooling1D(),
                layers.Dense(2, activation="sigmoid", use_bias=False),
            ]
        ),
        values("l", T, B, 2),
    )
    x = keras.Input((T, 3))
    y = layers.SimpleRNN(4, activation="relu", return_sequences=True)(x)
    y = layers.LSTM(3, return_sequences=True, activation="softsign", recurrent_activation="hard_sigmoid")(y)
    y = layers.Dense(2)(y)
    keras_case("keras_functional", keras.Model(x, y), values("m", T, B, 3))


# RTNeural


def rtneural():
    """The form that RTNeural's scripts write: `get_weights()` of Keras, layer by layer, or PyTorch's parameters as lists."""

    def save(name, model, x):
        model = keras_model(name, model, x)
        found = []
        for layer in model.layers:
            inner = layer.layer if isinstance(layer, layers.TimeDistributed) else layer
            kind = "time-distributed-dense" if inner is not layer else type(layer).__name__.lower()
            activation = inner.activation.__name__.replace("linear", "")
            weights = [w.tolist() for w in layer.get_weights()]
            shape = [None, None, inner.units]
            found.append({"type": kind, "activation": activation, "shape": shape, "weights": weights})
        text = json.dumps({"in_shape": [None, None, x.shape[-1]], "layers": found})
        (FOLDER / f"{name}.json").write_text(text)

    net = keras.Sequential(
        [
            keras.Input((None, 1)),
            layers.TimeDistributed(layers.Dense(3, activation="relu")),
            layers.GRU(4, return_sequences=True),
            layers.Dense(1, activation="tanh"),
        ]
    )
    save("rtneural_keras_gru", net, values("n", T, B, 1))
    net = keras.Sequential([keras.Input((None, 2)), layers.LSTM(4, return_sequences=True), layers.Dense(2)])
    save("rtneural_keras_lstm", net, values("o", T, B, 2))

    name = "rtneural_torch"
    model = torch_case(name, lambda: Model(lstm=nn.LSTM(1, 4), dense=nn.Linear(4, 1)), values("p", T, B, 1))
    (FOLDER / f"{name}.json").write_text(json.dumps({k: v.tolist() for k, v in model.state_dict().items()}))


# ONNX


def run_onnx(path, x):
    return onnxruntime.InferenceSession(path).run(None, {"x": x})[0]


def exported(name, make, x, batch_first=False, dynamic=True):
    """PyTorch's own exporter; the golden output is ONNX Runtime's, and close to PyTorch's."""
    model = torch_case(name, make, x)
    fed = torch.from_numpy(np.ascontiguousarray(np.swapaxes(x, 0, 1) if batch_first else x))
    if batch_first:
        for module in model.modules():
            if isinstance(module, nn.RNNBase):
                module.batch_first = True
        model.batch_first = True
    axes = {"dynamic_axes": {"x": {0: "first", 1: "second"}}} if dynamic else {}
    path = FOLDER / f"{name}.onnx"
    torch.onnx.export(model, (fed,), path, dynamo=False, input_names=["x"], output_names=["y"], **axes)
    y = run_onnx(path, fed.numpy())
    golden(name, x, np.swapaxes(y, 0, 1) if batch_first and y.ndim == 3 else y)


ORDERS = {"RNN": 1, "LSTM": 4, "GRU": 3}


def operator(name, op, sizes, evaluate=False, bias=True, peepholes=False, layout=0, last=False, **attributes):
    """A node, and the nodes that join its directions."""
    i, h = sizes
    rng = numbers(name)
    d = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = ORDERS[op] * h
    shapes = {"W": (d, rows, i), "R": (d, rows, h)}
    if bias:
        shapes["B"] = (d, 2 * rows)
    inputs = ["x", "W", "R", "B" if bias else ""]
    if peepholes:
        shapes["P"] = (d, 3 * h)
        inputs += ["", "", "", "P"]
    while not inputs[-1]:
        inputs.pop()
    initial = [numpy_helper.from_array(rng.uniform(-1, 1, s).astype(np.float32), n) for n, s in shapes.items()]
    outputs = ["", "y_h"] if last else ["y_all"]
    nodes = [helper.make_node(op, inputs, outputs, hidden_size=h, layout=layout, **attributes)]
    if last:
        initial.append(numpy_helper.from_array(np.array([0]), "axes"))
        nodes.append(helper.make_node("Squeeze", ["y_h", "axes"], ["y"]))
    else:
        perm = [0, 2, 1, 3] if layout == 0 else [0, 1, 2, 3]
        initial.append(numpy_helper.from_array(np.array([0, 0, -1]), "shape"))
        nodes.append(helper.make_node("Transpose", ["y_all"], ["y_moved"], perm=perm))
        nodes.append(helper.make_node("Reshape", ["y_moved", "shape"], ["y"]))
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", float32, ["a", "b", i])],
        [helper.make_tensor_value_info("y", float32, None)],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    x = values(name, T, B, i)
    fed = np.ascontiguousarray(np.swapaxes(x, 0, 1)) if layout else x
    y = ReferenceEvaluator(model).run(None, {"x": fed})[0] if evaluate else run_onnx(path, fed)
    golden(name, x, np.swapaxes(y, 0, 1) if layout else y)


def two_nodes(name, hidden, last):
    """An LSTM in each direction, as separate nodes over the same data, the reverse one first and with an initial state; joined by features."""
    rng = numbers(name)
    of = {"w": (1, 4 * hidden, 3), "r": (1, 4 * hidden, hidden), "b": (1, 8 * hidden), "h": (1, B, hidden), "c": (1, B, hidden)}
    initial, nodes = [numpy_helper.from_array(np.array([int(not last)]), "axis")], []
    for direction in ["reverse", "forward"]:
        at = lambda part: f"{direction}_{part}"
        for part, shape in of.items():
            if part in "hc" and direction == "forward":
                continue
            # The same state for all rows.
            value = rng.uniform(-1, 1, shape).astype(np.float32)
            value = np.repeat(value[:, :1], B, 1) if part in "hc" else value
            initial.append(numpy_helper.from_array(value, at(part)))
        states = [at("h"), at("c")] if direction == "reverse" else []
        inputs = ["x", at("w"), at("r"), at("b"), *([""] if states else []), *states]
        nodes.append(helper.make_node("LSTM", inputs, [at("y"), at("y_h")], hidden_size=hidden, direction=direction))
        nodes.append(helper.make_node("Squeeze", [at("y_h" if last else "y"), "axis"], [at("squeezed")]))
    nodes.append(helper.make_node("Concat", ["forward_squeezed", "reverse_squeezed"], ["y"], axis=-1))
    float32 = TensorProto.FLOAT
    ends = [helper.make_tensor_value_info("x", float32, ["a", B, 3])], [helper.make_tensor_value_info("y", float32, None)]
    graph = helper.make_graph(nodes, "graph", *ends, initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    x = values(name, T, B, 3)
    golden(name, x, run_onnx(path, x))


def onnx_models():
    exported(
        "onnx_gru_bidirectional",
        lambda: Model(
            emb=nn.Embedding(7, 4),
            rnn=nn.GRU(4, 3, 2, bidirectional=True),
            fc=nn.Linear(6, 2),
            act=torch.tanh,
        ),
        ids("q", 7),
        batch_first=True,
    )
    exported(
        "onnx_lstm_static",
        lambda: Model(rnn=nn.LSTM(3, 4), hidden=nn.Linear(4, 5), act=torch.relu, fc=nn.Linear(5, 2)),
        values("r", T, B, 3),
        dynamic=False,
    )
    exported(
        "onnx_rnn_last",
        lambda: Model(rnn=nn.RNN(3, 4, nonlinearity="relu"), last=lambda x: x[-1], fc=nn.Linear(4, 2)),
        values("s", T, B, 3),
    )
    exported(
        "onnx_lstm_bidirectional_static",
        lambda: Model(rnn=nn.LSTM(3, 2, 2, bidirectional=True), fc=nn.Linear(4, 2, bias=False)),
        values("t", T, B, 3),
        dynamic=False,
    )
    operator("onnx_lstm_peepholes", "LSTM", (3, 4), peepholes=True, direction="reverse", input_forget=1)
    operator("onnx_lstm_clip", "LSTM", (2, 3), clip=0.9, activations=["HardSigmoid", "Softsign", "Tanh"], activation_alpha=[0.3], activation_beta=[0.4])
    operator("onnx_gru_reset_before", "GRU", (3, 4), direction="bidirectional", bias=False)
    operator("onnx_gru_reset_after", "GRU", (2, 3), linear_before_reset=1, activations=["Sigmoid", "ScaledTanh"], activation_alpha=[1.2], activation_beta=[0.7])
    operator("onnx_rnn_batch_major", "RNN", (3, 2), evaluate=True, layout=1)
    operator("onnx_gru_last_state", "GRU", (2, 4), last=True, linear_before_reset=1)
    operator("onnx_lstm_reverse_state", "LSTM", (2, 3), last=True, direction="reverse")
    two_nodes("onnx_lstm_two_nodes", 2, last=False)
    two_nodes("onnx_lstm_two_states", 3, last=True)


# The image


def image():
    """An image, written only from the table in the documentation."""
    name = "image_gru"
    model = torch_case(name, lambda: Model(gru=nn.GRU(3, 4), fc=nn.Linear(4, 2)), values("u", T, B, 3))
    weights = np.concatenate([p.detach().numpy().ravel() for p in model.parameters()]).astype("<f4")
    one = struct.pack("<f", float("inf"))
    gru = struct.pack("<6I", 3, 3, 4, 0, 1, 0) + one + struct.pack("<9I", 2, 0, 0, 1, 0, 0, 0, 0, 0)
    dense = struct.pack("<16I", 4, 4, 2, *[0] * 13)

    def write(file, version, records, layers):
        head = b"RECURIMG" + struct.pack("<3I", version, 2, weights.size)
        rest = struct.pack("<2I", records, 0) + layers + weights.tobytes()
        (FOLDER / file).write_bytes(head + struct.pack("<I", zlib.crc32(head + rest)) + rest)

    # Version 1 has only layers. In version 2 each layer is a record with a tag, a length and the type of its
    # weights.
    write(f"{name}_v1.img", 1, 0, gru + dense)
    record = lambda layer: struct.pack("<3I", 1, 68, 0) + layer + bytes(4)
    write(f"{name}.img", 2, 160, record(gru) + record(dense))


if __name__ == "__main__":
    pytorch()
    keras_models()
    rtneural()
    onnx_models()
    image()
    total = sum(p.stat().st_size for p in FOLDER.iterdir())
    print(f"{total} bytes in {FOLDER}", file=sys.stderr)
