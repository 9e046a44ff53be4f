"""JSON of Automated-GuitarAmpModelling, which GuitarML's plugins load: `audio_models.py`, in an environment with PyTorch."""

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
        y = self.lin(self.rec(x)[0])
        return y + x[:, :, : self.skip] if self.skip else y


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


x = values("x", T, B, 1)
run = lambda model, x=x: model(torch.from_numpy(x)).detach().numpy()


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
save("guitarml_skip", "json", "GuitarML", "LSTM with `skip`", file, x, run(model))
finish(TAG)
