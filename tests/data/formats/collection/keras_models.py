"""Keras models, as archives and as HDF5 files: `keras_models.py TAG`, in an environment with the version of Keras that the tag names."""

import os
import sys
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
warnings.filterwarnings("ignore")

import keras
import numpy as np
from common import B, FOLDER, T, entry, finish, golden, numbers, values
from keras import layers

TAG = sys.argv[1]
FRAMEWORK = f"Keras {keras.__version__}"


def save(model, topology, extension, what, x, refused=""):
    file = f"{TAG}_{topology}.{extension}"
    rng = numbers(topology)
    for layer in model.layers:
        weights = [rng.uniform(-1, 1, w.shape).astype(w.dtype) for w in layer.get_weights()]
        if "Normalization" in type(layer).__name__:
            # These are variances and counts of elements, which are positive.
            weights = [abs(w) + w.dtype.type(0.25) for w in weights]
        layer.set_weights(weights)
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    model.save(str(FOLDER / file))
    if not refused:
        y = np.asarray(model(np.swapaxes(x, 0, 1)))
        golden(file, x, np.swapaxes(y, 0, 1) if y.ndim == 3 else y)
    entry(file, FRAMEWORK, what, refused=refused)


def sequential(*of, shape=(T, 2), dtype="float32"):
    return keras.Sequential([keras.Input(shape, dtype=dtype), *of])


def softmax():
    return sequential(
        layers.LSTM(3, return_sequences=True),
        layers.Dropout(0.1),
        layers.LSTM(3),
        layers.Dense(3, activation="relu"),
        layers.Dense(2, activation="softmax"),
    )


def functional():
    x = keras.Input((T, 2))
    y = layers.GRU(3, return_sequences=True, recurrent_activation="hard_sigmoid")(x)
    y = layers.TimeDistributed(layers.Dense(2))(y)
    return keras.Model(x, layers.Activation("tanh")(y))


def embedding():
    return sequential(
        layers.Embedding(7, 3),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.GlobalMaxPooling1D(),
        layers.Dense(1, activation="sigmoid"),
        shape=(T,),
        dtype="int32",
    )


def mixed():
    return sequential(
        layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True, activation="relu"), merge_mode="sum"),
        layers.GRU(3, reset_after=False, return_sequences=True, use_bias=False),
        layers.GlobalAveragePooling1D(),
        layers.Dense(2, use_bias=False),
    )


x, ids = values("x", T, B, 2), numbers("ids").integers(0, 7, (T, B))
for extension in ["keras", "h5"]:
    save(softmax(), "softmax", extension, "`LSTM`, `LSTM` of the last step, `Dense` with `relu`, with `softmax`", x)
    what = "functional: `GRU` with `hard_sigmoid`, `TimeDistributed(Dense)`, `Activation`"
    save(functional(), "functional", extension, what, x)
if TAG == "k212":
    # In this version `.keras` is an HDF5 file unless `save_format` says otherwise.
    saved = keras.Sequential.save
    for make, topology in [(softmax, "softmax_zip"), (embedding, "embedding_zip")]:
        model = make()
        model.save = lambda path, model=model: saved(model, path, save_format="keras")
        save(model, topology, "keras", "as a zip file: " + ("`LSTM`, `LSTM`, `Dense`, `Dense`" if make is softmax else "`Embedding`, `Bidirectional`, `Dense`"), x if make is softmax else ids)
if TAG in ["k215", "k315"]:
    for extension in ["keras", "h5"]:
        save(embedding(), "embedding", extension, "`Embedding`, `Bidirectional(LSTM)`, `GlobalMaxPooling1D`, `Dense`", ids)
        what = "`Bidirectional(SimpleRNN)` summed, `GRU` with `reset_after=False`, `GlobalAveragePooling1D`"
        save(mixed(), "mixed", extension, what, x)
    padded = x.copy()
    padded[-1, 0] = 0  # the end of one row, the start of another, and a step between
    padded[0, 1] = 0
    padded[2, 1] = 0
    masked = sequential(layers.Masking(), layers.LSTM(2, return_sequences=True), layers.GRU(3), layers.Dense(2))
    for extension in ["keras", "h5"]:
        save(masked, "masking", extension, "`Masking`, `LSTM`, `GRU` of the last step, `Dense`", padded)
    zeros = ids.copy()
    zeros[-1, 0] = zeros[0, 1] = 0
    save(
        sequential(
            layers.Embedding(7, 3, mask_zero=True),
            layers.Bidirectional(layers.GRU(2)),
            layers.Dense(2, activation="softmax"),
            shape=(T,),
            dtype="int32",
        ),
        "mask_zero",
        "keras",
        "`Embedding` with `mask_zero`, `Bidirectional(GRU)` of the last step, `Dense` with `softmax`",
        zeros,
    )
    both = sequential(layers.Bidirectional(layers.LSTM(2)), layers.Dense(3))
    for extension in ["keras", "h5"]:
        save(both, "bidirectional_last", extension, "`Bidirectional(LSTM)` of the last step, `Dense`", x)
    both = sequential(layers.Bidirectional(layers.GRU(3), merge_mode="sum"))
    save(both, "bidirectional_last_sum", "keras", "`Bidirectional(GRU)` of the last step, summed", x)
    both = sequential(
        layers.Bidirectional(layers.LSTM(2, return_sequences=True), merge_mode="ave"),
        layers.Bidirectional(layers.GRU(3), merge_mode="ave"),
    )
    save(both, "bidirectional_ave", "keras", "`Bidirectional(LSTM)`, and `Bidirectional(GRU)` of the last step, averaged", x)
    backwards = sequential(layers.Masking(), layers.LSTM(3, go_backwards=True), layers.Dense(2))
    save(backwards, "backwards", "keras", "`Masking`, `LSTM` with `go_backwards`, of the last step, `Dense`", padded)
    backwards = sequential(layers.GRU(3, go_backwards=True), layers.Dense(2))
    save(backwards, "backwards", "h5", "`GRU` with `go_backwards`, of the last step, `Dense`", x)
    normal = sequential(
        layers.BatchNormalization(),
        layers.LSTM(2, return_sequences=True),
        layers.BatchNormalization(center=False, epsilon=0.01),
        layers.GRU(3),
        layers.BatchNormalization(scale=False),
        layers.LeakyReLU(),
        layers.Dense(2, activation="elu"),
    )
    for extension in ["keras", "h5"]:
        save(normal, "batchnorm", extension, "`BatchNormalization` before, between and after layers, `LeakyReLU`, `elu`", x)
    adapted = sequential(
        layers.Normalization(axis=-1), layers.Rescaling(0.5, offset=1.0), layers.LSTM(3), layers.Activation("softplus")
    )
    save(adapted, "normalization", "keras", "`Normalization`, `Rescaling`, `LSTM`, `Activation`", x)
    convolution = sequential(layers.Conv1D(2, 2), layers.LSTM(2))
    save(convolution, "conv", "h5", "`Conv1D`", x, "(Conv1D): is a convolution")
    model = softmax()
    file = f"{TAG}_weights.weights.h5"
    model.save_weights(str(FOLDER / file))
    entry(file, FRAMEWORK, "`save_weights`", refused="weights alone")
finish(TAG)
