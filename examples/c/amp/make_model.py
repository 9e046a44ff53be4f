#!/usr/bin/env python3
"""Writes a model in GuitarML's form, an LSTM of 40 units with a skip connection, for `recurrent convert model.json amp.img`.

    examples/c/amp/make_model.py model.json

Its weights are drawn and not trained: the example is about how a plugin runs a model, not about how one sounds. A capture of an amplifier that
you have trained or downloaded is of the same form.
"""

import json
import random
import sys

UNITS = 40
draw = random.Random(1)


def matrix(rows, columns, scale):
    return [[round(draw.uniform(-scale, scale), 6) for _ in range(columns)] for _ in range(rows)]


def vector(rows, scale):
    return matrix(1, rows, scale)[0]


state = {
    "rec.weight_ih_l0": matrix(4 * UNITS, 1, 0.8),
    "rec.weight_hh_l0": matrix(4 * UNITS, UNITS, 0.16),
    "rec.bias_ih_l0": vector(4 * UNITS, 0.2),
    "rec.bias_hh_l0": vector(4 * UNITS, 0.2),
    "lin.weight": matrix(1, UNITS, 0.3),
    "lin.bias": [0.0],
}
data = {"model": "SimpleRNN", "input_size": 1, "output_size": 1, "unit_type": "LSTM", "hidden_size": UNITS,
        "skip": 1, "num_layers": 1, "bias_fl": True}
json.dump({"model_data": data, "state_dict": state}, open(sys.argv[1], "w"))
