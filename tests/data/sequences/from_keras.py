"""Keras's SimpleRNN, LSTM and GRU: masks, go_backwards, Bidirectional, stateful calls, recurrent dropout.

Keras is batch-major, multiplies from the right, and has its gates in the order i f c o and z r h; one bias, except for the
GRU with reset_after.
"""

import keras
import numpy as np
import tensorflow as tf

from case import GATES, Random, flat, parts, reorder, save

# input, hidden, batch, steps
CASES = {}
for cell, size in {
    "rnn": (2, 4, 3, 5),
    "lstm": (2, 3, 4, 6),
    "gru_reset_after": (2, 4, 3, 8),
    "gru_reset_before": (5, 3, 4, 6),
}.items():
    CASES |= {
        f"{cell}_mask_carry": (cell, size, dict(mask="inside")),
        f"{cell}_mask_carry_ends": (cell, size, dict(mask="anywhere", from_zero=True)),
        f"{cell}_mask_zero": (cell, size, dict(mask="anywhere", zero=True)),
        f"{cell}_backwards_mask_carry": (cell, size, dict(backwards=True, mask="inside")),
        f"{cell}_bidirectional_concat_mask": (cell, size, dict(both="concat", mask="anywhere", zero=True)),
        f"{cell}_stateful": (cell, size, dict(calls=size[3] // 2 + 1, mask="inside")),
        f"{cell}_recurrent_dropout": (cell, size, dict(dropout="shared")),
    }
CASES |= {
    "rnn_backwards": ("rnn", (2, 7, 3, 4), dict(backwards=True)),
    "lstm_bidirectional_sum_mask": ("lstm", (2, 4, 3, 5), dict(both="sum", mask="anywhere", zero=True)),
    "gru_reset_after_bidirectional_sum": ("gru_reset_after", (4, 5, 2, 3), dict(both="sum")),
    "gru_reset_before_bidirectional_sum_mask": (
        "gru_reset_before",
        (2, 3, 4, 5),
        dict(both="sum", mask="anywhere", zero=True),
    ),
    "lstm_masking_layer": ("lstm", (2, 3, 4, 5), dict(mask="layer", zero=True, from_zero=True)),
    "gru_reset_before_no_bias_bidirectional_concat": ("gru_reset_before", (5, 4, 2, 3), dict(both="concat", bias=False)),
    "lstm_recurrent_dropout_by_gate": ("lstm", (3, 4, 2, 5), dict(dropout="by gate")),
    "gru_reset_after_recurrent_dropout_by_gate": ("gru_reset_after", (4, 3, 5, 2), dict(dropout="by gate")),
    "gru_reset_before_recurrent_dropout_by_gate": ("gru_reset_before", (2, 5, 3, 4), dict(dropout="by gate")),
}
ORDER = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru_reset_after": [1, 0, 2], "gru_reset_before": [1, 0, 2]}
MASK_VALUE = 0.25


def generate(folder):
    keras.config.set_floatx("float64")
    return sum(one(folder, name, *case) for name, case in CASES.items())


def two_biases(cell):
    return cell == "gru_reset_after"


def to_keras(cell, i, h, weights, bias):
    """Kernel, recurrent kernel, bias of one layer and direction."""
    w = {name: reorder(part, ORDER[cell]) for name, part in parts(cell, i, h, weights, bias).items()}
    kernels = [w["w_ih"].T, w["w_hh"].T]
    if not bias:
        return kernels
    if two_biases(cell):
        return [*kernels, np.stack([w["b_ih"], w["b_hh"]])]
    assert not w["b_hh"].any()
    return [*kernels, w["b_ih"]]


def from_keras(cell, arrays):
    """The inverse. If Keras has one bias, it is the sum of both, and each of them has its gradient."""
    kernel, recurrent, *bias = arrays
    vectors = list(bias[0]) if two_biases(cell) and bias else bias * 2
    return flat(*(reorder(part, ORDER[cell]) for part in (kernel.T, recurrent.T, *vectors)))


def layer_of(cell, h, bias, **keywords):
    if cell.startswith("gru"):
        return keras.layers.GRU(h, reset_after=two_biases(cell), use_bias=bias, **keywords)
    return {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM}[cell](h, use_bias=bias, **keywords)


def mask_of(random, which, batch, steps):
    """[T, B]; `inside` never masks the first and the last step of a row, `anywhere` masks all steps of one row."""
    if which is None:
        return None
    mask = random.mask(batch, steps)
    if which == "inside":
        mask[0] = mask[-1] = True
        mask[steps // 2, 0] = False
    else:
        mask[0, 0], mask[-1, 0], mask[steps // 2, 0] = False, True, False
        mask[0, 1], mask[-1, 1] = True, False
        mask[:, 2] = False
    return mask


def inputs(name, cell, size, mask=None, both=None, bias=True, dropout=None, from_zero=False, calls=None, **_):
    i, h, b, t = size
    random = Random("keras_" + name)
    directions = 2 if both else 1
    states = directions * (2 if cell == "lstm" else 1)
    weights = []
    for _ in range(directions):
        rows = GATES[cell] * h
        one = random.uniform(1.4 / np.sqrt(i + h), rows * (i + h + (2 if bias else 0)))
        if bias and not two_biases(cell):
            one[-rows:] = 0
        weights.append(one)
    case = {
        "weights": weights,
        "x": random.uniform(1, t, b, i),
        "mask": mask_of(random, mask, b, t),
        "states": [random.uniform(0.0 if from_zero else 0.9, b, h) for _ in range(states)],
        "dy": random.uniform(1, t, b, h * (2 if both == "concat" else 1)),
        "dlast": [random.uniform(1, b, h) for _ in range(states)],
        "dropout": None,
    }
    if calls:
        # If a call begins with a masked step, Keras outputs zero there, whatever the state is.
        case["mask"][calls] = True
    if mask == "layer":
        case["x"][~case["mask"]] = MASK_VALUE
    if from_zero:
        # Before the first step that is not masked, Keras outputs the constant zero instead of the initial
        # state. That is zero here, so the values are the same, but the gradient of this output would not
        # reach the state.
        case["dy"][~np.logical_or.accumulate(case["mask"])] = 0
    if dropout:
        masks = random.rng.random((1 if dropout == "shared" else GATES[cell], b, h)) < 0.6
        case["dropout"] = (masks / np.float32(0.6)).astype(np.float32)
    return case


def one(folder, name, cell, size, options):
    i, h, b, t = size
    case = inputs(name, cell, size, **options)
    both, backwards, bias = options.get("both"), options.get("backwards", False), options.get("bias", True)
    calls = options.get("calls", t)
    # With an explicit initial state, a layer ignores the mask that its input carries.
    given = "calls" not in options and options.get("mask") != "layer"
    layer = layer_of(
        cell,
        h,
        bias,
        return_sequences=True,
        return_state=True,
        go_backwards=backwards,
        stateful="calls" in options,
        zero_output_for_mask=options.get("zero", False),
        recurrent_dropout=0.4 if case["dropout"] is not None else 0.0,
        dtype="float64",
    )
    if both:
        layer = keras.layers.Bidirectional(layer, merge_mode=both, dtype="float64")
    layer.build((b, None, i))
    layer.set_weights([w for part in case["weights"] for w in to_keras(cell, i, h, part, bias)])

    y, dx, last = [], [], None
    initial = None
    dweights = 0
    states = [tf.constant(s, tf.float64) for s in case["states"]]
    if "calls" in options:
        for variable, state in zip(layer.states, states):
            variable.assign(state)
    for start in range(0, t, calls):
        steps = slice(start, start + calls)
        major = lambda part: None if part is None else part[steps].swapaxes(0, 1)
        x = tf.constant(major(case["x"]), tf.float64)
        dy = tf.constant(major(case["dy"])[:, ::-1] if backwards else major(case["dy"]), tf.float64)
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            out = call(cell, layer, x, states if given else None, major(case["mask"]), case, options)
            loss = tf.reduce_sum(out[0] * dy)
            if start + calls >= t:
                loss += sum(tf.reduce_sum(s * d) for s, d in zip(out[1:], case["dlast"], strict=True))
        variables = [v.value for v in layer.trainable_variables]
        gradients = tape.gradient(loss, [x, *variables, *states], unconnected_gradients="zero")
        numbers = [tf.convert_to_tensor(g).numpy() for g in gradients]
        here = out[0].numpy()[:, ::-1] if backwards else out[0].numpy()
        y.append(here.swapaxes(0, 1))
        dx.append(numbers[0].swapaxes(0, 1))
        last = [s.numpy() for s in out[1:]]
        half = len(variables) // (2 if both else 1)
        kernels = numbers[1 : 1 + len(variables)]
        halves = [kernels[n : n + half] for n in range(0, len(kernels), half)]
        dweights = dweights + flat(*(from_keras(cell, part) for part in halves))
        initial = numbers[1 + len(variables) :]
    words = {
        "cell": cell,
        "hidden": h,
        "direction": both or ("reverse" if backwards else None),
        "masked": "zero" if options.get("zero") else None,
        "bias": None if bias else "no",
        # The number of steps of the first call; the second call has the rest. No gradient passes between
        # them.
        "calls": options.get("calls"),
    }
    return save(
        folder,
        "keras_" + name,
        words,
        weights=flat(*case["weights"]),
        x=case["x"],
        mask=case["mask"],
        dropout=case["dropout"],
        state=flat(*case["states"]),
        dy=case["dy"],
        dlast_state=flat(*case["dlast"]),
        y=np.concatenate(y),
        last_state=flat(*last),
        dweights=dweights,
        dx=np.concatenate(dx),
        dstate=flat(*initial) if given else None,
    )


def call(cell, layer, x, states, mask, case, options):
    keywords = {}
    if options.get("mask") == "layer":
        masking = keras.layers.Masking(MASK_VALUE, dtype="float64")
        assert (masking.compute_mask(x).numpy() == mask).all()
        x = masking(x)
    elif mask is not None:
        keywords["mask"] = tf.constant(mask)
    if case["dropout"] is not None:
        # Keras draws masks if it has none. The simple cell has one mask, the others have one for each gate.
        masks = [tf.constant(m, tf.float64) for m in case["dropout"]]
        if cell != "rnn":
            masks = masks if len(masks) > 1 else masks * GATES[cell]
            masks = [masks[gate] for gate in ORDER[cell]]
        layer.cell._recurrent_dropout_mask = masks[0] if cell == "rnn" else masks
        keywords["training"] = True
    return layer(x, initial_state=states, **keywords)
