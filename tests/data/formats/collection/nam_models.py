"""Models of the Neural Amp Modeler: `nam_models.py TAG`, in an environment with the version of neural-amp-modeler that the tag names. It
exports its LSTM with the states that it reaches in silence; without biases they are zero."""

import sys
import tempfile
import warnings
from pathlib import Path

warnings.filterwarnings("ignore")

import numpy as np
import torch
from common import B, FOLDER, T, entry, finish, golden, numbers, values
from importlib.metadata import version
from nam.models.recurrent import LSTM
from nam.models.wavenet import WaveNet

TAG = sys.argv[1]
FRAMEWORK = f"Neural Amp Modeler {version('neural-amp-modeler')}"


def save(topology, what, model, silent=True, refused=""):
    rng = numbers(topology)
    for name, parameter in model.named_parameters():
        zero = silent and ("bias" in name and "core" in name or "initial" in name)
        data = np.zeros(parameter.shape) if zero else rng.uniform(-1, 1, parameter.shape)
        parameter.data = torch.from_numpy(data.astype(np.float32))
    model.eval()
    name = f"{TAG}_{topology}.nam"
    with tempfile.TemporaryDirectory() as place:
        model.export(Path(place))
        (FOLDER / name).write_text((Path(place) / "model.nam").read_text())
    if not refused:
        if not silent:
            # Start from the state that the model has exported.
            h, c = model._get_initial_state()
            model._initial_hidden.data = h.detach().reshape(model._initial_hidden.shape)
            model._initial_cell.data = c.detach().reshape(model._initial_cell.shape)
        x = values("x", T, B, 1)
        with torch.no_grad():
            y = model(torch.from_numpy(x[:, :, 0].T.copy()), pad_start=False).numpy()
        golden(name, x, y.T[:, :, None])
    entry(name, FRAMEWORK, what, refused=refused)


save("lstm", "LSTM without biases", LSTM(3))
save("two", "LSTM of two layers without biases", LSTM(2, num_layers=2))
save("state", "LSTM with biases, and so with initial states", LSTM(3), False)
save("state_two", "LSTM of two layers with initial states", LSTM(2, num_layers=2), False)
sizes = {"input_size": 1, "condition_size": 1, "channels": 2, "kernel_size": 2, "dilations": [1], "activation": "Tanh", "gated": False}
wavenet = lambda head: WaveNet.init_from_config({"layers_configs": [{**sizes, **head}], "head_scale": 0.02})
try:
    model = wavenet({"head_size": 1, "head_bias": False})
except KeyError:
    model = wavenet({"head": {"out_channels": 1, "kernel_size": 1, "bias": False}})
save("wavenet", "WaveNet", model, False, "a `WaveNet`")
finish(TAG)
