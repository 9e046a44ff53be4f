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


def save(topology, framework, what, of, more=None, extension="json", refused=""):
    name = f"{TAG}_{topology}.{extension}"
    model = keras.Sequential(of)
    rng = numbers(topology)
    model.set_weights([rng.uniform(-1, 1, w.shape).astype(np.float32) for w in model.get_weights()])
    save_model(model, FOLDER / name)
    # On one line, and with what other programs add.
    file = {**json.loads((FOLDER / name).read_text()), **(more or {})}
    (FOLDER / name).write_text(json.dumps(file))
    if not refused:
        x = values("x", T, B, model.input_shape[-1])
        golden(name, x, run(FOLDER / name, x))
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
save("batchnorm", "RTNeural", "`batchnorm`", of, refused="`batchnorm`: scales and shifts")
of = [steps(), layers.LSTM(2, return_sequences=True), layers.Dense(1, activation="elu")]
save("elu", "RTNeural", "`dense` with `elu`", of, refused="activation `elu` of layers[1]")
more = {"metadata": {"name": "amp"}, "input_batch": [0.0, 0.5], "output_batch": [0.1, 0.2], "samplerate": 48000, "author": "somebody", "in_skip": 0}
gru = [steps(), layers.GRU(3, return_sequences=True), layers.Dense(1)]
save("aidax", "AIDA-X", "`lstm`, `dense`, with metadata", lstm(), more, "aidax")
save("aidax_gru", "AIDA-X", "`gru`, `dense`, with metadata", gru, {**more, "in_gain": 0.0, "out_gain": 0.0}, "aidax")
save("aidax_skip", "AIDA-X", "`in_skip` 1", lstm(), {**more, "in_skip": 1}, refused="`in_skip` of the file: adds the input")
save("aidax_gain", "AIDA-X", "`in_gain` 3 dB", lstm(), {**more, "in_gain": 3.0}, refused="`in_gain` of the file, 3.0 dB")
finish(TAG)
