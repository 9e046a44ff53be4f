"""Keras models by tf2onnx: `tf2onnx_models.py TAG`, in an environment with TensorFlow 2.15, ONNX Runtime and the version of tf2onnx that the tag names."""

import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from common import B, FOLDER, T, entry, finish, golden, numbers, values
from keras import layers

TAG = sys.argv[1]


def save(topology, what, of, x, refused=""):
    ids = x.dtype.kind == "i"
    model = keras.Sequential([keras.Input((T,) if ids else (T, 2)), *of])
    rng = numbers(topology)
    model.set_weights([rng.uniform(-1, 1, w.shape).astype(np.float32) for w in model.get_weights()])
    file = f"{TAG}_{topology}.onnx"
    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name="x")]
    proto, _ = tf2onnx.convert.from_keras(model, input_signature=signature, output_path=str(FOLDER / file))
    if not refused:
        fed = np.swapaxes(x, 0, 1).astype(np.float32)
        y = onnxruntime.InferenceSession(str(FOLDER / file)).run(None, {"x": fed})[0]
        golden(file, x, np.swapaxes(y, 0, 1) if y.ndim == 3 else y)
    entry(file, f"tf2onnx {tf2onnx.__version__}", what, refused=refused)


x, ids = values("x", T, B, 2), numbers("ids").integers(0, 7, (T, B))
of = [layers.LSTM(3, return_sequences=True), layers.LSTM(3), layers.Dense(3, activation="relu"), layers.Dense(2, activation="softmax")]
save("softmax", "`LSTM`, `LSTM` of the last step, `Dense` with `relu`, with `softmax`", of, x)
of = [layers.GRU(3, return_sequences=True), layers.GRU(3), layers.Dense(1)]
save("gru", "`GRU`, `GRU` of the last step, `Dense`", of, x)
of = [layers.Embedding(7, 3), layers.Bidirectional(layers.LSTM(2, return_sequences=True)), layers.Dense(2)]
what = "`Embedding` of ids that are floats, `Bidirectional(LSTM)` in two parts, `Dense` over steps"
save("embedding", what, of, ids)
if TAG == "o117":
    both = layers.Bidirectional
    for topology, cell in [("lstm", layers.LSTM), ("gru", layers.GRU)]:
        name = topology.upper()
        of = [both(cell(3, return_sequences=True)), both(cell(2)), layers.Dense(2)]
        save(f"bidirectional_{topology}", f"`Bidirectional({name})` in two parts, and of the last step, `Dense`", of, x)
        of = [both(cell(3, return_sequences=True), merge_mode="sum"), both(cell(2), merge_mode="ave")]
        save(f"bidirectional_{topology}_sum", f"`Bidirectional({name})` summed, and the mean of the last step", of, x)
        of = [cell(3, go_backwards=True), layers.Dense(2)]
        save(f"backwards_{topology}", f"`{name}` with `go_backwards`, of the last step, `Dense`", of, x)
    of = [layers.LSTM(3, recurrent_dropout=0.2, activation="gelu"), layers.Dense(1)]
    save("loop", "an `LSTM` with `gelu`, which becomes a loop", of, x, "is a loop that an exporter made")
finish(TAG)
