"""PyTorch's checkpoints and its two ONNX exporters: `torch_models.py TAG`, in an environment with the version that the tag names."""

import inspect
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import torch
from common import B, FOLDER, T, entry, finish, golden, numbers, values
from torch import nn

TAG = sys.argv[1]
VERSION = torch.__version__.split("+")[0]
LATEST = TAG == "t215"


class Net(nn.Module):
    """A recurrent layer, the part of its output that is used, and a linear layer."""

    def __init__(self, rnn, fc, take="all"):
        super().__init__()
        self.rnn, self.fc, self.take = rnn, fc, take

    def forward(self, x):
        y, h = self.rnn(x)
        h = h[0] if isinstance(h, tuple) else h
        if self.take == "last":
            y = y[:, -1] if self.rnn.batch_first else y[-1]
        elif self.take == "h":
            y = h[-1]
        elif self.take == "both":
            y = torch.cat((h[-2], h[-1]), 1)
        elif self.take == "ends":
            n = self.rnn.hidden_size
            y = torch.cat((y[:, -1, :n], y[:, 0, n:]), 1)
        elif self.take == "sides":
            n = self.rnn.hidden_size
            y = y[..., :n] + y[..., n:]
        elif self.take == "relu":
            y = torch.relu(y)
        y = self.fc(y)
        return y.squeeze(-1) if self.take == "squeeze" else y


class Stream(nn.Module):
    """A model that takes states and returns them."""

    def __init__(self):
        super().__init__()
        self.rnn, self.fc = nn.GRU(2, 3, 2, batch_first=True), nn.Linear(3, 1)

    def forward(self, x, h):
        y, h = self.rnn(x, h)
        return self.fc(y), h


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb, self.rnn, self.fc = nn.Embedding(7, 3), nn.LSTM(3, 2, bidirectional=True), nn.Linear(4, 3)

    def forward(self, x):
        return torch.log_softmax(self.fc(self.rnn(self.emb(x))[0]), -1)


def seed(model, name):
    rng = numbers(name)
    for parameter in model.parameters():
        parameter.data = torch.from_numpy(rng.uniform(-1, 1, parameter.shape).astype(np.float32))
    return model.eval()


def run(model, x, *states):
    """`x` and the result are time-major."""
    swap = getattr(model, "rnn", model).batch_first if hasattr(model, "rnn") else False
    with torch.no_grad():
        y = model(torch.from_numpy(np.ascontiguousarray(np.swapaxes(x, 0, 1)) if swap else x), *states)
    y = (y[0] if isinstance(y, tuple) else y).numpy()
    y = y[..., None] if getattr(model, "take", "") == "squeeze" else y
    return np.swapaxes(y, 0, 1) if swap and y.ndim == 3 else y


def checkpoint(topology, model, what, make, x, plan="", refused="", **how):
    seed(model, topology)
    file = f"{TAG}_{topology}.pt"
    torch.save(make(model), FOLDER / file, **how)
    if not refused:
        golden(file, x, run(model, x))
    entry(file, f"PyTorch {VERSION}", what, plan, refused)


x = values("x", T, B, 2)
state = lambda model: model.state_dict()
rnn = "`nn.LSTM`, `nn.Linear`"
checkpoint("state", Net(nn.LSTM(2, 3), nn.Linear(3, 2), "last"), f"`state_dict()`: {rnn}", state, x, "rnn,@last,fc")
checkpoint(
    "legacy",
    Net(nn.GRU(2, 3, 2), nn.Linear(3, 2)),
    "`state_dict()` in the pickle of before 1.6: `nn.GRU` of two layers, `nn.Linear`",
    state,
    x,
    _use_new_zipfile_serialization=False,
)
checkpoint(
    "nested",
    Net(nn.LSTM(2, 3, bidirectional=True), nn.Linear(6, 2)),
    f"a checkpoint with optimiser and epoch: {rnn} of both directions",
    lambda m: {"epoch": 3, "loss": 0.25, "optimizer": torch.optim.Adam(m.parameters()).state_dict(), "model_state_dict": m.state_dict()},
    x,
)
checkpoint("module", Net(nn.RNN(2, 3, nonlinearity="relu"), nn.Linear(3, 2)), "a whole module: `nn.RNN` with ReLU", lambda m: m, x)
half = lambda m: {k: v.half() for k, v in m.state_dict().items()}
if LATEST:
    model = nn.GRU(2, 3)
    seed(model, "half")
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    torch.save(half(model), FOLDER / f"{TAG}_half.pt")
    golden(f"{TAG}_half.pt", x, model(torch.from_numpy(x))[0].detach().numpy())
    entry(f"{TAG}_half.pt", f"PyTorch {VERSION}", "`state_dict()` of 16 bits: `nn.GRU`")
    model = Net(nn.RNN(2, 3), nn.Linear(3, 2))
    file = f"{TAG}_script.pt"
    torch.jit.script(seed(model, "script")).save(str(FOLDER / file))
    golden(file, x, run(model, x))
    entry(file, f"PyTorch {VERSION}", "TorchScript: `nn.RNN`, `nn.Linear`", "rnn:tanh,fc")
    checkpoint("rnn", Net(nn.RNN(2, 3), nn.Linear(3, 2)), "`state_dict()`: `nn.RNN`, without a plan", state, x, "", "tanh or ReLU")
    strange = Net(nn.LSTM(2, 3), nn.Linear(3, 2))
    strange.bn = nn.BatchNorm1d(3)
    checkpoint("batchnorm", strange, "`state_dict()`: `nn.BatchNorm1d`", state, x, "", "`bn`: is a BatchNorm")
    strange = Net(nn.LSTM(2, 3), nn.Linear(3, 2))
    strange.conv = nn.Conv1d(2, 2, 3)
    checkpoint("conv", strange, "`state_dict()`: `nn.Conv1d`", state, x, "", "`conv`: is a convolution")
    double = lambda m: {k: v.double() for k, v in m.state_dict().items()}
    checkpoint("double", Net(nn.LSTM(2, 3), nn.Linear(3, 2)), f"`state_dict()` of 64 bits: {rnn}", double, x)
    parallel = lambda m: {"epoch": 2, "state_dict": nn.DataParallel(m).state_dict()}
    checkpoint("parallel", Net(nn.GRU(2, 3), nn.Linear(3, 2)), "a checkpoint of `nn.DataParallel`: `nn.GRU`, `nn.Linear`", parallel, x)
    beside = lambda m: {"model": m.state_dict(), "mean": torch.zeros(2), "random": torch.get_rng_state()}
    checkpoint("beside", Net(nn.GRU(2, 3), nn.Linear(3, 2)), "a checkpoint with tensors beside the model: `nn.GRU`, `nn.Linear`", beside, x)
    optimiser = lambda m: torch.optim.Adam(m.parameters()).state_dict()
    checkpoint("optimiser", Net(nn.GRU(2, 3), nn.Linear(3, 2)), "the state of an optimiser", optimiser, x, "", "the state of an optimiser")
    twice = lambda m: {"encoder": m.state_dict(), "decoder": m.state_dict()}
    checkpoint("two", Net(nn.LSTM(2, 3), nn.Linear(3, 2)), "two models in one checkpoint", twice, x, "", "under `encoder`, `decoder`")

DYNAMO = "dynamo" in inspect.signature(torch.onnx.export).parameters and TAG != "t21"


def without_traces(path):
    """The newer exporter writes down where in which source file each node was made: paths of the machine that it ran on."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for part in [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer, *model.functions]:
        del part.metadata_props[:]
    del model.metadata_props[:]
    onnx.save(model, path)


def exported(topology, model, what, x, states=(), dynamic=True, refused="", dynamo=False, external=False):
    seed(model, topology)
    kind = "dynamo" if dynamo else "script"
    file = f"{TAG}_{kind}_{topology}.onnx"
    swap = getattr(model, "rnn", model).batch_first
    fed = (torch.from_numpy(np.ascontiguousarray(np.swapaxes(x, 0, 1)) if swap else x), *states)
    how = {"dynamo": dynamo} if DYNAMO else {}
    if dynamo and "external_data" in inspect.signature(torch.onnx.export).parameters:
        how["external_data"] = external
    names = ["x", "h"][: len(fed)]
    if dynamo and dynamic:
        how["dynamic_shapes"] = {"x": {0: "a", 1: "b"}}
    elif dynamic:
        how["dynamic_axes"] = {"x": {0: "a", 1: "b"}}
    path = str(FOLDER / file)
    torch.onnx.export(model, fed, path, input_names=names, **({} if dynamo else {"dynamo": False} if DYNAMO else {}), **{k: v for k, v in how.items() if dynamo or k != "dynamo"})
    without_traces(path)
    if not refused:
        golden(file, x, run(model, x, *states))
    entry(file, f"PyTorch {VERSION}, {'dynamo' if dynamo else 'TorchScript'} exporter", what, refused=refused)


ids = numbers("ids").integers(0, 7, (T, B))
for dynamo in [False, True] if DYNAMO else [False]:
    # In its first versions, the new exporter cannot leave the sizes of both axes open.
    free = not dynamo or LATEST
    last = Net(nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 2), "last")
    exported("last", last, "`nn.LSTM` with free axes, `y[:, -1]`, `nn.Linear`", x, dynamic=free, dynamo=dynamo)
    exported("h", Net(nn.GRU(2, 3, 2), nn.Linear(3, 2), "h"), "`nn.GRU` of two layers, `h[-1]`, `nn.Linear`", x, dynamic=False, dynamo=dynamo)
    tagger = Tagger()
    exported("tagger", tagger, "`nn.Embedding`, `nn.LSTM` of both directions, `log_softmax`", ids, dynamic=False, dynamo=dynamo)
    if LATEST:
        net = Net(nn.LSTM(2, 3), nn.Linear(3, 1), "squeeze")
        exported("squeeze", net, "`nn.LSTM`, `nn.Linear`, one feature without its axis", x, dynamic=False, dynamo=dynamo)
        stream = Stream()
        zeros = torch.zeros(2, B, 3)
        exported("stream", stream, "`nn.GRU` of two layers with states in and out", x, (zeros,), dynamic=False, dynamo=dynamo)
        net = Net(nn.LSTM(2, 3, bidirectional=True), nn.Linear(6, 2), "both")
        exported("both", net, "`torch.cat((h[-2], h[-1]), 1)`", x, dynamic=False, dynamo=dynamo)
        net = Net(nn.LSTM(2, 3, bidirectional=True, batch_first=True), nn.Linear(6, 2), "ends")
        exported("ends", net, "`torch.cat((y[:, -1, :n], y[:, 0, n:]), 1)`", x, dynamic=not dynamo, dynamo=dynamo)
        net = Net(nn.GRU(2, 3, bidirectional=True, batch_first=True), nn.Linear(3, 2), "sides")
        exported("sides", net, "`y[..., :n] + y[..., n:]`", x, dynamic=not dynamo, dynamo=dynamo)
        net = Net(nn.GRU(2, 3), nn.Linear(3, 2), "relu")
        exported("relu", net, "a ReLU between `nn.GRU` and `nn.Linear`", x, dynamic=False, dynamo=dynamo)
if LATEST:
    large = Net(nn.GRU(2, 16), nn.Linear(16, 2), "last")
    exported("external", large, "weights in a file beside the model", x, dynamic=False, dynamo=True, external=True)
finish(TAG)
