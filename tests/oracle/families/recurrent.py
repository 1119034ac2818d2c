"""recurrent.json: Keras's SimpleRNN, LSTM, GRU and Bidirectional.

x [batch, time, features], kernel [features, k · units], recurrent_kernel [units, k · units], bias [k · units]; gates
i f c o (LSTM) and z r h (GRU). GRU with "reset_after" has a bias for the input's product and a "recurrent_bias" for
the state's. "lengths" [batch]: the steps from there on are masked, in either direction.

Outputs: y [batch, time, units], the last states h and c. A masked step keeps the states, and repeats the output
before it (zeros before the first one), or gives 0 where "zero_output_for_mask". "go_backwards" begins with the last
step, masked steps included, and y has the steps in that order: y[:, 0] is the last step's. A bidirectional layer
turns the backward y round again and puts it behind the forward one in the last axis; its weights and states are
called forward_ and backward_, its masked outputs are 0.
"""

import numpy as np

from .elementwise import sigmoid
from .store import generator, keras, normal, tf

FILE = "recurrent.json"

KINDS = {"simple_rnn": 1, "lstm": 4, "gru": 3}
BATCH, TIME, FEATURES, UNITS = 3, 5, 2, 3


# ---------------------------------------------------------------- cases


def state_names(op):
    return ["h", "c"] if op == "lstm" else ["h"]


def weights(rng, op, attrs, prefix=""):
    """The weights of one direction, and its initial states where they are given."""
    k = KINDS[op]
    drawn = {
        "kernel": normal(rng, [FEATURES, k * UNITS], 0.7),
        "recurrent_kernel": normal(rng, [UNITS, k * UNITS], 0.7),
    }
    if attrs["use_bias"]:
        drawn["bias"] = normal(rng, [k * UNITS], 0.5)
        if attrs.get("reset_after"):
            drawn["recurrent_bias"] = normal(rng, [k * UNITS], 0.5)
    if attrs["initial_states"]:
        for name in state_names(op):
            drawn[f"{name}0"] = normal(rng, [BATCH, UNITS], 0.7)
    return {prefix + name: w for name, w in drawn.items()}


def keras_weights(named):
    """[kernel, recurrent_kernel, bias] as Keras wants them, from {name: tensor} of one direction."""
    taken = [named["kernel"], named["recurrent_kernel"]]
    if "recurrent_bias" in named:
        taken.append(tf.stack([named["bias"], named["recurrent_bias"]]))
    elif "bias" in named:
        taken.append(named["bias"])
    return taken


def layer_of(op, attrs):
    kind = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[op]
    more = {} if op == "simple_rnn" else {"use_cudnn": False}
    if op == "gru":
        more["reset_after"] = attrs["reset_after"]
    made = kind(
        UNITS,
        use_bias=attrs["use_bias"],
        go_backwards=attrs["go_backwards"],
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=attrs["zero_output_for_mask"],
        **more,
    )
    return made


def case(cases, name, op, lengths=None, bidirectional=False, time=TIME, **settings):
    attrs = {
        "units": UNITS,
        "use_bias": True,
        "go_backwards": False,
        "initial_states": False,
        "zero_output_for_mask": False,
        **settings,
    }
    if op == "gru":
        attrs.setdefault("reset_after", True)
    attrs["zero_output_for_mask"] |= bidirectional  # as Keras's Bidirectional insists
    rng = generator(name)
    x = normal(rng, [BATCH, time, FEATURES])
    prefixes = ["forward_", "backward_"] if bidirectional else [""]
    inputs = {"x": x}
    for prefix in prefixes:
        inputs.update(weights(rng, op, attrs, prefix))
    names = list(inputs)
    constants = {} if lengths is None else {"lengths": np.array(lengths)}
    layer = layer_of(op, attrs)
    if bidirectional:
        layer = keras.layers.Bidirectional(layer, merge_mode="concat")
    layer.build([BATCH, time, FEATURES])
    extra_variables = [tf.convert_to_tensor(v) for v in layer.non_trainable_variables]

    def f(*arguments):
        named = dict(zip(names, arguments))
        given, states = [], []
        for prefix in prefixes:
            own = {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
            given += keras_weights(own)
            states += [own[f"{s}0"] for s in state_names(op)] if attrs["initial_states"] else []
        mask = None if lengths is None else tf.range(time)[None, :] < tf.cast(arguments[-1], tf.int32)[:, None]
        (y, *last), _ = layer.stateless_call(
            given, extra_variables, named["x"], mask=mask, initial_state=states or None
        )
        last_names = [prefix + s for prefix in prefixes for s in state_names(op)]
        return {"y": y, **dict(zip(last_names, last))}

    stored_op = f"bidirectional_{op}" if bidirectional else op
    cases.differentiate(name, stored_op, attrs, inputs, f, constants=constants, source="keras")


def make(cases):
    kinds = [("simple_rnn", "simple_rnn", {}), ("lstm", "lstm", {}), ("gru", "gru", {})]
    kinds.append(("gru_reset_before", "gru", {"reset_after": False}))
    for full, op, settings in kinds:
        case(cases, full, op, **settings)
        case(cases, f"{full}_initial_states", op, initial_states=True, **settings)
        case(cases, f"{full}_no_bias", op, use_bias=False, **settings)
        case(cases, f"{full}_one_step", op, time=1, initial_states=True, **settings)
        case(cases, f"{full}_backwards", op, go_backwards=True, initial_states=True, **settings)
        case(cases, f"{full}_lengths", op, [5, 3, 1], **settings)
        case(cases, f"{full}_lengths_initial_states", op, [2, 5, 4], initial_states=True, **settings)
        case(cases, f"{full}_lengths_zero", op, [0, 4, 5], **settings)
        case(cases, f"{full}_lengths_zero_output", op, [5, 3, 1], zero_output_for_mask=True, **settings)
        case(cases, f"{full}_lengths_backwards", op, [5, 3, 1], go_backwards=True, **settings)
        case(cases, f"bidirectional_{full}", op, bidirectional=True, **settings)
        case(cases, f"bidirectional_{full}_initial_states", op, bidirectional=True, initial_states=True, **settings)
        case(cases, f"bidirectional_{full}_lengths", op, [3, 5, 1], bidirectional=True, **settings)


# ---------------------------------------------------------------- the definitions, in NumPy


def step(op, a, x, states, w):
    """One step of all samples: the new states, the output first."""
    h, units = states[0], a["units"]
    parts = lambda v: np.split(v, v.shape[-1] // units, axis=-1)
    of_x = x @ w["kernel"] + w.get("bias", 0.0)
    if op == "simple_rnn":
        return [np.tanh(of_x + h @ w["recurrent_kernel"])]
    if op == "lstm":
        i, f, g, o = parts(of_x + h @ w["recurrent_kernel"])
        c = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]
    xz, xr, xh = parts(of_x)
    uz, ur, uh = parts(w["recurrent_kernel"])
    if a["reset_after"]:
        hz, hr, hh = parts(h @ w["recurrent_kernel"] + w.get("recurrent_bias", 0.0))
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        candidate = np.tanh(xh + r * hh)
    else:
        z, r = sigmoid(xz + h @ uz), sigmoid(xr + h @ ur)
        candidate = np.tanh(xh + (r * h) @ uh)
    return [z * h + (1 - z) * candidate]


def run(op, a, backwards, x, w, lengths):
    """y in the order of the steps taken, and the last states."""
    zeros = np.zeros([x.shape[0], a["units"]])
    states = [w.get(f"{s}0", zeros) for s in state_names(op)]
    output, outputs = zeros, []
    times = range(x.shape[1])
    for t in reversed(times) if backwards else times:
        there = np.ones([x.shape[0], 1], bool) if lengths is None else (t < lengths)[:, None]
        after = step(op, a, x[:, t], states, w)
        output = np.where(there, after[0], 0.0 if a["zero_output_for_mask"] else output)
        states = [np.where(there, new, old) for new, old in zip(after, states)]
        outputs.append(output)
    return np.stack(outputs, axis=1), states


def recurrent_numpy(op):
    def f(a, x, lengths=None, **w):
        y, states = run(op, a, a["go_backwards"], x, w, lengths)
        return {"y": y, **dict(zip(state_names(op), states))}

    return f


def bidirectional_numpy(op):
    def f(a, x, lengths=None, **w):
        parts, states = [], {}
        for prefix, backwards in [("forward_", False), ("backward_", True)]:
            own = {k.removeprefix(prefix): v for k, v in w.items() if k.startswith(prefix)}
            y, last = run(op, a, backwards, x, own, lengths)
            parts.append(y[:, ::-1] if backwards else y)
            states.update(zip([prefix + s for s in state_names(op)], last))
        return {"y": np.concatenate(parts, axis=-1), **states}

    return f


FORWARD = {
    **{op: recurrent_numpy(op) for op in KINDS},
    **{f"bidirectional_{op}": bidirectional_numpy(op) for op in KINDS},
}
