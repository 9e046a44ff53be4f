"""RTNeural's JSON and AIDA-X': `rtneural_models.py CHECKOUT`, in an environment with tensorflow-cpu 2.15 and a C++ compiler. The files are written
by RTNeural's own script, out of models of Keras, and run by RTNeural's library."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, sys.argv[1] + "/python")
from common import B, FOLDER, T, entry, finish, golden, numbers, values
from model_utils import save_model
from tensorflow import keras

TAG = "rtneural"
CHECKOUT = Path(sys.argv[1])
layers = keras.layers
place = tempfile.TemporaryDirectory()
PROGRAM = place.name + "/run"
subprocess.run(
    ["c++", "-std=c++17", "-O1", "-DRTNEURAL_NAMESPACE=RTNeural", f"-I{CHECKOUT}", "rtneural_run.cpp", "-o", PROGRAM],
    check=True,
    cwd=FOLDER,
)


def run(path, x):
    """Each sequence from a state of zeros; `x` and the result are time-major."""
    sequences = []
    for b in range(x.shape[1]):
        words = " ".join(repr(float(value)) for value in x[:, b].ravel())
        made = subprocess.run([PROGRAM, path], input=words, capture_output=True, text=True, check=True).stdout
        sequences.append([[float(word) for word in line.split()] for line in made.splitlines()])
    return np.swapaxes(np.array(sequences), 0, 1)


def save(topology, framework, what, of, more=None, extension="json", refused="", around=lambda f, x: f(x)):
    name = f"{TAG}_{topology}.{extension}"
    model = keras.Sequential(of)
    rng = numbers(topology)
    for layer in model.layers:
        weights = [rng.uniform(-1, 1, w.shape).astype(np.float32) for w in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            weights = [np.abs(w) + 0.25 for w in weights]
        layer.set_weights(weights)
    save_model(model, FOLDER / name)
    # Written on one line, and with the entries that other programs add.
    file = {**json.loads((FOLDER / name).read_text()), **(more or {})}
    (FOLDER / name).write_text(json.dumps(file))
    if not refused:
        x = values("x", T, B, model.input_shape[-1])
        golden(name, x, around(lambda x: run(FOLDER / name, x), x))
    entry(name, framework, what, refused=refused)


def steps(features=1):
    return layers.InputLayer((None, features))


def lstm():
    return [steps(), layers.LSTM(3, return_sequences=True), layers.Dense(1)]


of = [steps(2), layers.TimeDistributed(layers.Dense(3, activation="relu")), layers.LSTM(2, return_sequences=True), layers.Dense(2, activation="sigmoid")]
save("lstm", "RTNeural", "`lstm`, `dense`", lstm())
save("dense", "RTNeural", "`time-distributed-dense` with `relu`, `lstm`, `dense` with `sigmoid`", of)
of = [steps(), layers.GRU(3, return_sequences=True), layers.GRU(2, return_sequences=True), layers.Dense(1), layers.Activation("tanh")]
save("activation", "RTNeural", "`gru`, `gru`, `dense`, `activation`", of)
of = [steps(), layers.GRU(3, return_sequences=True), layers.Dense(3, activation="softmax")]
save("softmax", "RTNeural", "`gru`, `dense` with `softmax`", of)
of = [steps(), layers.Conv1D(2, 3, padding="causal"), layers.LSTM(2, return_sequences=True)]
save("conv", "RTNeural", "`conv1d`", of, refused="`conv1d`: is a convolution")
of = [steps(), layers.LSTM(2, return_sequences=True), layers.BatchNormalization()]
save("batchnorm", "RTNeural", "`lstm`, `batchnorm`", of)
of = [steps(), layers.LSTM(2, return_sequences=True), layers.Dense(1, activation="elu")]
save("elu", "RTNeural", "`lstm`, `dense` with `elu`", of)
more = {"metadata": {"name": "amp"}, "input_batch": [0.0, 0.5], "output_batch": [0.1, 0.2], "samplerate": 48000, "author": "somebody", "in_skip": 0}
gru = [steps(), layers.GRU(3, return_sequences=True), layers.Dense(1)]
save("aidax", "AIDA-X", "`lstm`, `dense`, with metadata", lstm(), more, "aidax")
save("aidax_gru", "AIDA-X", "`gru`, `dense`, with metadata", gru, {**more, "in_gain": 0.0, "out_gain": 0.0}, "aidax")
# The computation of the plugin AIDA-X around RTNeural. It adds the input after its gain.
db = lambda gain: 10 ** (gain / 20)
save("aidax_skip", "AIDA-X", "`in_skip` 1", lstm(), {**more, "in_skip": 1}, around=lambda f, x: f(x) + x)
gains = {**more, "in_gain": 3.0, "out_gain": -2.0}
save("aidax_gain", "AIDA-X", "`in_gain` 3 dB, `out_gain` -2 dB", lstm(), gains, around=lambda f, x: db(-2) * f(db(3) * x))
both = lambda f, x: db(-2) * (f(db(3) * x) + db(3) * x)
save("aidax_both", "AIDA-X", "`in_skip` 1 with gains", lstm(), {**gains, "in_skip": 1}, around=both)
finish(TAG)
