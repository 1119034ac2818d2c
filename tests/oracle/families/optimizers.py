"""optimizers.json: Keras's optimizers step by step, learning-rate schedules, penalties and the norm constraint.

An optimizer's case has three variables: "start0" .. "start2", their gradients "grads0" .. [steps, ..], and after each
step "params0" .. [steps, ..]; with "ema_momentum" also the averages "ema0" ... The order within a step is Keras's:
gradients are accumulated, clipped, the weights decay (variable −= variable · weight_decay · rate), the rule is
applied, the average follows.

"learning_rates" are those of the steps, already taken from "schedule" where there is one. With "accumulation" n only
every n-th step updates, by the mean of n gradients; schedules count all steps, Adam's corrections the updates, and
the average follows at every step. The first update's average is the variable itself.

schedule: rates of the steps 0 to 40; regularizer: l1 · Σ|w| + l2 · Σw²; max_norm: w · clip(norm, 0, max) / (epsilon +
norm), the norm over "axes".
"""

import contextlib
from unittest import mock

import numpy as np

from .store import as_stored, exact, full_precision, generator, keras, normal, off_zero, tf

FILE = "optimizers.json"

SHAPES = [[3, 4], [4], [2, 1, 3]]
STEPS = 10


# ---------------------------------------------------------------- cases

ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}
KINDS = {
    # name: (op, Keras's class, rate, hyperparameters)
    "sgd": ("sgd", "SGD", 0.01, {"momentum": 0.0, "nesterov": False}),
    "sgd_momentum": ("sgd", "SGD", 0.01, {"momentum": 0.9, "nesterov": False}),
    "sgd_nesterov": ("sgd", "SGD", 0.01, {"momentum": 0.9, "nesterov": True}),
    "adam": ("adam", "Adam", 0.01, {**ADAM, "amsgrad": False}),
    "adam_amsgrad": ("adam", "Adam", 0.01, {**ADAM, "amsgrad": True}),
    "adamw": ("adamw", "AdamW", 0.01, {**ADAM, "amsgrad": False, "weight_decay": 0.0625}),
    "rmsprop": ("rmsprop", "RMSprop", 0.01, {"rho": 0.9, "momentum": 0.0, "centered": False, "epsilon": 1e-7}),
    "rmsprop_momentum": ("rmsprop", "RMSprop", 0.01, {"rho": 0.9, "momentum": 0.5, "centered": False, "epsilon": 1e-7}),
    "rmsprop_centered": ("rmsprop", "RMSprop", 0.01, {"rho": 0.9, "momentum": 0.0, "centered": True, "epsilon": 1e-4}),
    "rmsprop_both": ("rmsprop", "RMSprop", 0.01, {"rho": 0.75, "momentum": 0.5, "centered": True, "epsilon": 1e-4}),
    "adagrad": ("adagrad", "Adagrad", 0.1, {"initial_accumulator_value": 0.1, "epsilon": 1e-7}),
    "nadam": ("nadam", "Nadam", 0.01, ADAM),
}
SCHEDULES = {
    "cosine": {
        "kind": "cosine",
        "initial_learning_rate": 0.001,
        "decay_steps": 5,
        "alpha": 0.125,
        "warmup_target": 0.02,
        "warmup_steps": 3,
    },
    "exponential": {
        "kind": "exponential",
        "initial_learning_rate": 0.02,
        "decay_steps": 4,
        "decay_rate": 0.5,
        "staircase": False,
    },
}


def keras_schedule(settings):
    settings = dict(settings)
    kind = {
        "exponential": "ExponentialDecay",
        "cosine": "CosineDecay",
        "cosine_restarts": "CosineDecayRestarts",
        "polynomial": "PolynomialDecay",
        "piecewise": "PiecewiseConstantDecay",
    }[settings.pop("kind")]
    made = getattr(keras.optimizers.schedules, kind)(**settings)
    # Left alone, schedules compute in float32 whatever Keras's precision is.
    for name, value in vars(made).items():
        if isinstance(value, float):
            setattr(made, name, exact(value))
    if kind == "PiecewiseConstantDecay":
        made.values = [exact(v) for v in made.values]
    return made


def exact_casts():
    """While it lasts, Keras casts Python's numbers without going through float32 (Nadam's 0.96)."""
    ops = keras.src.ops
    plain = ops.cast
    return mock.patch.object(ops, "cast", lambda x, dtype: exact(x) if isinstance(x, float) else plain(x, dtype))


def optimizer_case(cases, name, kind, schedule=None, steps=STEPS, excluded=(), **common):
    """`common`: global_clipnorm, clipvalue, weight_decay, accumulation, ema_momentum."""
    op, keras_class, rate, hyper = KINDS[kind]
    rng = generator(name)
    starts = [normal(rng, shape) for shape in SHAPES]
    grads = [normal(rng, [steps, *shape]) for shape in SHAPES]
    for g in grads:  # quiet steps between loud ones, which clipping leaves alone
        g[1::3] = as_stored(g[1::3] / 16)
    grads[1][:, 2] = 0.0  # never a gradient
    grads[1][:, 3] = as_stored(grads[1][:, 3] * 2.0**-12)  # small: shows where epsilon stands
    rates = keras_schedule(schedule) if schedule else None
    table = [float(rates(t)) if rates else rate for t in range(steps)]
    renamed = {"beta1": "beta_1", "beta2": "beta_2", "accumulation": "gradient_accumulation_steps"}
    settings = {renamed.get(k, k): v for k, v in {**hyper, **common}.items()}
    if "ema_momentum" in common:
        settings["use_ema"] = True
    optimizer = getattr(keras.optimizers, keras_class)(rates or rate, **settings)
    full_precision(optimizer)
    for constant in ["rho", "ema_momentum", "weight_decay"]:
        if getattr(optimizer, constant, None) is not None:
            setattr(optimizer, constant, exact(getattr(optimizer, constant)))
    variables = [keras.Variable(s, dtype="float64", name=f"v{i}") for i, s in enumerate(starts)]
    if excluded:
        optimizer.exclude_from_weight_decay(var_list=[variables[i] for i in excluded])
    optimizer.build(variables)
    for accumulator in getattr(optimizer, "_accumulators", []):  # Keras's 0.1 is f32's
        accumulator.assign(tf.fill(accumulator.shape, exact(hyper["initial_accumulator_value"])))
    params, averages = [[] for _ in starts], [[] for _ in starts]
    for step in range(steps):
        with exact_casts() if kind == "nadam" else contextlib.nullcontext():
            optimizer.apply([exact(g[step]) for g in grads], variables)
        for i, v in enumerate(variables):
            params[i].append(keras.ops.convert_to_numpy(v))
            if "ema_momentum" in common:
                averages[i].append(keras.ops.convert_to_numpy(optimizer._model_variables_moving_average[i]))
    inputs = {f"start{i}": s for i, s in enumerate(starts)} | {f"grads{i}": g for i, g in enumerate(grads)}
    outputs = {f"params{i}": np.array(p) for i, p in enumerate(params)}
    if "ema_momentum" in common:
        outputs |= {f"ema{i}": np.array(a) for i, a in enumerate(averages)}
    attrs = {"learning_rates": table, "schedule": schedule, **hyper, **common}
    if excluded:
        attrs["excluded_from_weight_decay"] = list(excluded)
    cases.add(name, op, attrs, inputs, outputs, source="keras")


def optimizer_cases(cases):
    for i, kind in enumerate(KINDS):
        optimizer_case(cases, f"optimizer_{kind}", kind)
        clip = {"global_clipnorm": 1.0} if i % 2 == 0 else {"clipvalue": 0.5}
        optimizer_case(cases, f"optimizer_{kind}_{next(iter(clip))}", kind, **clip)
        schedule = ["cosine", "exponential"][i // 2 % 2]
        optimizer_case(cases, f"optimizer_{kind}_{schedule}", kind, SCHEDULES[schedule])
    optimizer_case(cases, "optimizer_adam_global_clipnorm", "adam", global_clipnorm=0.5)
    optimizer_case(cases, "optimizer_sgd_clipvalue", "sgd", clipvalue=0.25)
    optimizer_case(cases, "optimizer_sgd_weight_decay", "sgd_momentum", weight_decay=0.125)
    optimizer_case(
        cases, "optimizer_rmsprop_weight_decay_exponential", "rmsprop", SCHEDULES["exponential"], weight_decay=0.125
    )
    optimizer_case(cases, "optimizer_adamw_excluded", "adamw", excluded=[1])
    optimizer_case(cases, "optimizer_sgd_accumulation", "sgd_momentum", steps=12, accumulation=3)
    optimizer_case(cases, "optimizer_adam_accumulation", "adam", steps=12, accumulation=3)
    optimizer_case(
        cases,
        "optimizer_adamw_accumulation_clipped_cosine",
        "adamw",
        SCHEDULES["cosine"],
        steps=12,
        accumulation=3,
        global_clipnorm=0.5,
    )
    optimizer_case(cases, "optimizer_sgd_ema", "sgd_momentum", ema_momentum=0.9)
    optimizer_case(cases, "optimizer_adam_ema", "adam", ema_momentum=0.75)
    optimizer_case(cases, "optimizer_adam_accumulation_ema", "adam", steps=12, accumulation=3, ema_momentum=0.75)


def one_variable_cases(cases):
    """For ops.json: ten steps of Keras's optimizers on seven numbers; params[i] is the parameter after step i."""
    steps, size = 10, 7
    varying = [float(f"{0.01 * 0.8**i:.9g}") for i in range(steps)]
    for name, op, rates, hyper in [
        ("sgd", "sgd", [0.01] * steps, {"momentum": 0.0, "nesterov": False}),
        ("sgd_momentum", "sgd_momentum", [0.01] * steps, {"momentum": 0.9, "nesterov": False}),
        ("sgd_nesterov", "sgd_nesterov", [0.01] * steps, {"momentum": 0.9, "nesterov": True}),
        ("adam", "adam", [0.001] * steps, {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}),
        ("adam_learning_rates", "adam", varying, {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}),
    ]:
        rng = generator(name)
        start, grads = normal(rng, [size]), normal(rng, [steps, size])
        grads[:, 5] = 0.0  # never a gradient: never moves
        grads[:, 6] = as_stored(grads[:, 6] * 2.0**-23)  # as small as epsilon: shows where epsilon stands
        if op == "adam":
            optimizer = keras.optimizers.Adam(
                rates[0], beta_1=hyper["beta1"], beta_2=hyper["beta2"], epsilon=hyper["epsilon"]
            )
        else:
            optimizer = keras.optimizers.SGD(rates[0], **hyper)
        full_precision(optimizer)
        param = keras.Variable(start, dtype="float64")
        optimizer.build([param])
        params = []
        for rate, grad in zip(rates, grads):
            optimizer.learning_rate = rate
            optimizer.apply([tf.constant(grad, tf.float64)], [param])
            params.append(keras.ops.convert_to_numpy(param))
        attrs = {"learning_rates": rates, **hyper}
        cases.add(name, op, attrs, {"param": start, "grads": grads}, {"params": np.array(params)})


def schedule_cases(cases):
    exponential = {"kind": "exponential", "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5}
    cosine = {"kind": "cosine", "initial_learning_rate": 0.1, "decay_steps": 30}
    restarts = {"kind": "cosine_restarts", "initial_learning_rate": 0.1, "first_decay_steps": 6}
    polynomial = {"kind": "polynomial", "initial_learning_rate": 0.1, "decay_steps": 12, "end_learning_rate": 0.01}
    for name, settings in {
        "exponential": {**exponential, "staircase": False},
        "exponential_staircase": {**exponential, "staircase": True},
        "exponential_slow": {**exponential, "decay_rate": 0.96, "staircase": False},
        "cosine": {**cosine, "alpha": 0.0, "warmup_target": None, "warmup_steps": 0},
        "cosine_alpha": {**cosine, "alpha": 0.25, "warmup_target": None, "warmup_steps": 0},
        "cosine_warm_up": {**cosine, "alpha": 0.125, "warmup_target": 0.2, "warmup_steps": 8},
        "cosine_warm_up_from_0": {
            **cosine,
            "initial_learning_rate": 0.0,
            "decay_steps": 20,
            "alpha": 0.0,
            "warmup_target": 0.1,
            "warmup_steps": 5,
        },
        "cosine_restarts": {**restarts, "t_mul": 1.0, "m_mul": 1.0, "alpha": 0.0},
        "cosine_restarts_lower": {**restarts, "t_mul": 1.0, "m_mul": 0.75, "alpha": 0.125},
        "cosine_restarts_longer": {**restarts, "t_mul": 2.0, "m_mul": 0.5, "alpha": 0.0},
        "polynomial": {**polynomial, "power": 1.0, "cycle": False},
        "polynomial_square": {**polynomial, "power": 2.0, "cycle": False},
        "polynomial_cycle": {**polynomial, "power": 1.0, "cycle": True},
        "polynomial_cycle_root": {**polynomial, "power": 0.5, "cycle": True},
        "piecewise": {"kind": "piecewise", "boundaries": [5, 6, 20], "values": [0.1, 0.05, 0.025, 0.001]},
    }.items():
        rates = keras_schedule(settings)
        y = np.array([float(rates(t)) for t in range(41)])
        cases.add(f"schedule_{name}", "schedule", settings, {}, {"y": y}, source="keras")


def hold_cases(cases):
    for name, l1, l2 in [("l1", 0.125, 0.0), ("l2", 0.0, 0.25), ("l1_l2", 0.0625, 0.5)]:
        full = f"regularizer_{name}"
        w = off_zero(generator(full), [3, 4])
        w[1, 2] = 0.0  # there the slope is 0
        f = lambda w: exact(l1) * tf.reduce_sum(tf.abs(w)) + exact(l2) * tf.reduce_sum(tf.square(w))
        assert abs(keras.regularizers.L1L2(l1, l2)(exact(w)) - f(exact(w))) < 1e-12
        cases.differentiate(full, "regularizer", {"l1": l1, "l2": l2}, {"w": w}, f, source="formula")
    for name, shape, axes, limit in [
        ("dense", [4, 3], [0], 2.0),
        ("conv", [3, 2, 2, 2], [1, 2, 3], 2.5),
        ("conv1d", [2, 2, 3], [1, 2], 1.0),
        ("all_below", [2, 3], [0], 20.0),
    ]:
        full = f"max_norm_{name}"
        w = normal(generator(full), shape)
        y = keras.constraints.MaxNorm(limit, axis=axes)(exact(w))
        cases.add(
            full,
            "max_norm",
            {"max_value": limit, "axes": axes, "epsilon": 1e-7},
            {"w": w},
            {"y": y.numpy()},
            source="keras",
        )


def make(cases):
    optimizer_cases(cases)
    schedule_cases(cases)
    hold_cases(cases)


# ---------------------------------------------------------------- the definitions, in NumPy


def sgd(a, s, p, g, t, rate):
    s["m"] = a["momentum"] * s.get("m", 0.0) - rate * g
    return p + (a["momentum"] * s["m"] - rate * g if a["nesterov"] else s["m"])


def adam(a, s, p, g, t, rate):
    """Keras's form: the bias correction is in the rate, epsilon stands beside the uncorrected sqrt(v)."""
    s["m"] = a["beta1"] * s.get("m", 0.0) + (1 - a["beta1"]) * g
    s["v"] = a["beta2"] * s.get("v", 0.0) + (1 - a["beta2"]) * g * g
    v = s["v"]
    if a.get("amsgrad"):
        v = s["largest"] = np.maximum(s.get("largest", 0.0), v)
    rate = rate * np.sqrt(1 - a["beta2"] ** t) / (1 - a["beta1"] ** t)
    return p - rate * s["m"] / (np.sqrt(v) + a["epsilon"])


def rmsprop(a, s, p, g, t, rate):
    s["v"] = a["rho"] * s.get("v", 0.0) + (1 - a["rho"]) * g * g
    denominator = s["v"] + a["epsilon"]
    if a["centered"]:
        s["mean"] = a["rho"] * s.get("mean", 0.0) + (1 - a["rho"]) * g
        denominator = denominator - s["mean"] ** 2
    s["m"] = a["momentum"] * s.get("m", 0.0) + rate * g / np.sqrt(denominator)
    return p - s["m"]


def adagrad(a, s, p, g, t, rate):
    s["sum"] = s.get("sum", a["initial_accumulator_value"]) + g * g
    return p - rate * g / np.sqrt(s["sum"] + a["epsilon"])


def nadam(a, s, p, g, t, rate):
    """Dozat 2016, with his momentum schedule."""
    mu = lambda t: a["beta1"] * (1 - 0.5 * 0.96**t)
    s["product"] = s.get("product", 1.0) * mu(t)
    s["m"] = a["beta1"] * s.get("m", 0.0) + (1 - a["beta1"]) * g
    s["v"] = a["beta2"] * s.get("v", 0.0) + (1 - a["beta2"]) * g * g
    m = mu(t + 1) * s["m"] / (1 - s["product"] * mu(t + 1)) + (1 - mu(t)) * g / (1 - s["product"])
    return p - rate * m / (np.sqrt(s["v"] / (1 - a["beta2"] ** t)) + a["epsilon"])


def optimizer_numpy(rule):
    def f(a, **inputs):
        count = len(SHAPES)
        p = [inputs[f"start{i}"] for i in range(count)]
        states = [{} for _ in p]
        every, momentum = a.get("accumulation", 1), a.get("ema_momentum")
        gathered, averages, updates = [np.zeros_like(v) for v in p], None, 0
        outputs = {f"params{i}": [] for i in range(count)}
        if momentum is not None:
            outputs |= {f"ema{i}": [] for i in range(count)}
        for step, rate in enumerate(a["learning_rates"]):
            gathered = [s + inputs[f"grads{i}"][step] for i, s in enumerate(gathered)]
            before = updates  # what Keras counts as iterations during the step
            if (step + 1) % every == 0:
                g = [s / every for s in gathered]
                gathered = [np.zeros_like(v) for v in p]
                if "global_clipnorm" in a:
                    norm = np.sqrt(sum((v * v).sum() for v in g))
                    g = [v * min(1.0, a["global_clipnorm"] / norm) for v in g]
                if "clipvalue" in a:
                    g = [np.clip(v, -a["clipvalue"], a["clipvalue"]) for v in g]
                decay = a.get("weight_decay", 0.0)
                excluded = a.get("excluded_from_weight_decay", [])
                p = [v - (0.0 if i in excluded else decay) * rate * v for i, v in enumerate(p)]
                updates += 1
                p = [rule(a, s, v, w, updates, rate) for s, v, w in zip(states, p, g)]
            if momentum is not None:
                m = momentum if before > 0 else 0.0
                averages = [m * b + (1 - m) * v for b, v in zip(averages or p, p)]
            for i, v in enumerate(p):
                outputs[f"params{i}"].append(v)
                if momentum is not None:
                    outputs[f"ema{i}"].append(averages[i])
        return {k: np.array(v) for k, v in outputs.items()}

    return f


def one_variable(rule):
    def run(a, param, grads):
        p, state, params = param, {}, []
        for t, (g, rate) in enumerate(zip(grads, a["learning_rates"]), 1):
            p = rule(a, state, p, g, t, rate)
            params.append(p)
        return {"params": np.array(params)}

    return run


def rate_at(a, step):
    if a["kind"] == "piecewise":
        return a["values"][sum(step > b for b in a["boundaries"])]
    first = a["initial_learning_rate"]
    if a["kind"] == "exponential":
        share = step / a["decay_steps"]
        return first * a["decay_rate"] ** (np.floor(share) if a["staircase"] else share)
    if a["kind"] == "polynomial":
        end, length = a["end_learning_rate"], a["decay_steps"]
        if a["cycle"]:
            length *= max(1, -(-step // length))
        return end + (first - end) * (1 - min(step, length) / length) ** a["power"]
    if a["kind"] == "cosine":
        if a["warmup_target"] is not None:
            if step < a["warmup_steps"]:
                return first + (a["warmup_target"] - first) * step / a["warmup_steps"]
            first, step = a["warmup_target"], step - a["warmup_steps"]
        share, height = min(step, a["decay_steps"]) / a["decay_steps"], 1.0
    else:
        length, height = a["first_decay_steps"], 1.0
        while step >= length:
            step, length, height = step - length, length * a["t_mul"], height * a["m_mul"]
        share = step / length
    return first * (a["alpha"] + (1 - a["alpha"]) * height * (1 + np.cos(np.pi * share)) / 2)


def max_norm_numpy(a, w):
    norm = np.sqrt((w * w).sum(axis=tuple(a["axes"]), keepdims=True))
    return w * np.clip(norm, 0, a["max_value"]) / (a["epsilon"] + norm)


FORWARD = {
    "sgd": optimizer_numpy(sgd),
    "adam": optimizer_numpy(adam),
    "adamw": optimizer_numpy(adam),
    "rmsprop": optimizer_numpy(rmsprop),
    "adagrad": optimizer_numpy(adagrad),
    "nadam": optimizer_numpy(nadam),
    "schedule": lambda a: np.array([rate_at(a, step) for step in range(41)]),
    "regularizer": lambda a, w: a["l1"] * np.abs(w).sum() + a["l2"] * (w * w).sum(),
    "max_norm": max_norm_numpy,
}
GRADIENT = {"regularizer": lambda a, i, cots: {"w": cots["y"] * (a["l1"] * np.sign(i["w"]) + 2 * a["l2"] * i["w"])}}


def inexact(name, k):
    """Gradients are not exact in f32."""
    return k.startswith("grads")
