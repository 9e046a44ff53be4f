"""JSON of audio plugins: `audio_models.py`, in an environment with PyTorch. The layouts are those of RTNeural's scripts (layers as Keras has them),
of AIDA-X' trainer, of Automated-GuitarAmpModelling and of the Neural Amp Modeler's `export`."""

import json

import numpy as np
import torch
from common import B, FOLDER, T, entry, finish, golden, numbers, values
from torch import nn

TAG = "audio"


class Amp(nn.Module):
    def __init__(self, rnn, skip=0):
        super().__init__()
        self.rec, self.lin, self.skip = rnn, nn.Linear(rnn.hidden_size, 1), skip

    def forward(self, x):
        return self.lin(self.rec(x)[0])


def seeded(name, model):
    rng = numbers(name)
    for parameter in model.parameters():
        parameter.data = torch.from_numpy(rng.uniform(-1, 1, parameter.shape).astype(np.float32))
    return model.eval()


def save(topology, extension, framework, what, file, x, y, refused=""):
    name = f"{TAG}_{topology}.{extension}"
    (FOLDER / name).write_text(json.dumps(file))
    if not refused:
        golden(name, x, y)
    entry(name, framework, what, refused=refused)


def keras_layers(model, function=None):
    """PyTorch's parameters in Keras' layout: gates `z r h` of a GRU, one bias of an LSTM, matrices from the right."""
    rnn, lin = model.rec, model.lin
    w, r = rnn.weight_ih_l0.detach().numpy(), rnn.weight_hh_l0.detach().numpy()
    b, c = rnn.bias_ih_l0.detach().numpy(), rnn.bias_hh_l0.detach().numpy()
    if isinstance(rnn, nn.GRU):
        order = lambda a: np.concatenate([a[rnn.hidden_size : 2 * rnn.hidden_size], a[: rnn.hidden_size], a[2 * rnn.hidden_size :]])
        weights = [order(w).T, order(r).T, np.stack([order(b), order(c)])]
    else:
        weights = [w.T, r.T, b + c]
    kind = type(rnn).__name__.lower()
    shape = [None, None, rnn.hidden_size]
    recurrent = {"type": kind, "activation": "tanh", "shape": shape, "weights": [a.tolist() for a in weights]}
    dense = [lin.weight.detach().numpy().T.tolist(), lin.bias.detach().numpy().tolist()]
    return [recurrent, {"type": "dense", "activation": "", "shape": [None, None, 1], "weights": dense}]


x = values("x", T, B, 1)
run = lambda model, x=x: model(torch.from_numpy(x)).detach().numpy()
shape = [None, None, 1]

model = seeded("lstm", Amp(nn.LSTM(1, 3)))
of = keras_layers(model)
plain = {"in_shape": shape, "layers": of}
save("rtneural_lstm", "json", "RTNeural", "`lstm`, `dense`", plain, x, run(model))
of = keras_layers(seeded("gru", Amp(nn.GRU(1, 3))))
gru = seeded("gru", Amp(nn.GRU(1, 3)))
with_activation = {"in_shape": shape, "layers": [*of, {"type": "activation", "activation": "tanh", "shape": shape, "weights": []}]}
save("rtneural_activation", "json", "RTNeural", "`gru`, `dense`, `activation`", with_activation, x, np.tanh(run(gru)))
conv = {"type": "conv1d", "activation": "", "shape": shape, "kernel_size": [3], "dilation": [1], "weights": []}
save("rtneural_conv", "json", "RTNeural", "`conv1d`", {"in_shape": shape, "layers": [conv]}, x, None, "`conv1d`: is a convolution")
more = {**plain, "metadata": {"name": "amp"}, "input_batch": [0.0, 0.5], "output_batch": [0.1, 0.2], "samplerate": 48000, "author": "somebody", "in_skip": 0}
save("aidax", "aidax", "AIDA-X", "`lstm`, `dense`, with metadata", more, x, run(model))
save("aidax_skip", "json", "AIDA-X", "`in_skip` 1", {**more, "in_skip": 1}, x, None, "`in_skip` of the file: adds the input")
save("aidax_gain", "json", "AIDA-X", "`in_gain` 3 dB", {**more, "in_gain": 3.0}, x, None, "`in_gain` of the file, 3.0 dB")


def guitarml(name, rnn, skip):
    model = seeded(name, Amp(rnn, skip))
    data = {
        "model": "SimpleRNN",
        "input_size": 1,
        "skip": skip,
        "output_size": 1,
        "unit_type": type(rnn).__name__,
        "num_layers": rnn.num_layers,
        "hidden_size": rnn.hidden_size,
        "bias_fl": True,
    }
    return model, {"model_data": data, "state_dict": {k: v.tolist() for k, v in model.state_dict().items()}}


model, file = guitarml("guitarml", nn.LSTM(1, 3), 0)
save("guitarml_lstm", "json", "GuitarML", "LSTM without `skip`", file, x, run(model))
model, file = guitarml("guitarml2", nn.GRU(1, 3, 2), 0)
save("guitarml_gru", "json", "GuitarML", "GRU of two layers without `skip`", file, x, run(model))
model, file = guitarml("guitarml", nn.LSTM(1, 3), 1)
save("guitarml_skip", "json", "GuitarML", "LSTM with `skip`", file, x, None, "`skip` of `model_data`: adds the input")


def nam(name, layers, state):
    model = seeded(name, Amp(nn.LSTM(1, 3, layers)))
    weights = []
    for n in range(layers):
        part = lambda what: getattr(model.rec, f"{what}_l{n}").detach().numpy()
        weights += np.concatenate([part("weight_ih"), part("weight_hh")], 1).ravel().tolist()
        weights += (part("bias_ih") + part("bias_hh")).tolist() + [state] * 6
    weights += model.lin.weight.ravel().tolist() + model.lin.bias.tolist()
    config = {"input_size": 1, "hidden_size": 3, "num_layers": layers}
    return model, {"version": "0.5.4", "architecture": "LSTM", "config": config, "weights": weights, "sample_rate": 48000.0}


NAM = "Neural Amp Modeler"
model, file = nam("nam", 1, 0.0)
save("nam", "nam", NAM, "LSTM", file, x, run(model))
model, file = nam("nam2", 2, 0.0)
save("nam_two", "nam", NAM, "LSTM of two layers", file, x, run(model))
save("nam_state", "nam", NAM, "LSTM with an initial state", nam("nam", 1, 0.5)[1], x, None, "the initial state of layer 0")
save("nam_wavenet", "nam", NAM, "WaveNet", {"architecture": "WaveNet", "config": {}, "weights": []}, x, None, "a `WaveNet`")
finish(TAG)
