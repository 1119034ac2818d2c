"""regions.json: losses of overlap between regions: Dice, Tversky, Jaccard; inputs and reductions are those of
losses.json.

They sum over "axes" (null: over everything, the batch too, which is Keras's default), and then there is one value for
what is left.

Keras's Dice and Tversky add an epsilon to the denominator only. Its Tversky's alpha weighs the sum of target · (1 −
pred), false negatives, and beta the false positives; in the paper (Salehi et al. 2017) it is the other way round.
"convention" says which is meant.

soft_dice and jaccard, per sample (or per sample and class), are written out: 1 − (2 Σ p t + smooth) / (Σ p + Σ t +
smooth), where Milletari et al. 2016 have p² and t² in the denominator ("squared"), and 1 − (Σ p t + smooth) / (Σ p +
Σ t − Σ p t + smooth).
"""

from .losses import EPSILON, REDUCED, add, keras_loss, open_unit, reduced, written_out
from .store import generator, tf

FILE = "regions.json"


# ---------------------------------------------------------------- cases


def make(cases):
    shape = [3, 2, 3, 2]
    per_sample, per_class = [1, 2, 3], [2, 3]

    def case(name, op, attrs, loss, source):
        rng = generator(name)
        pred, target = open_unit(rng, shape), rng.integers(0, 2, shape).astype(float)
        reductions = REDUCED if attrs["axes"] == per_sample else ["none"]
        add(cases, name, op, attrs, pred, target, loss, reductions, source)

    for axes, what in [(None, ""), (per_sample, "_per_sample"), (per_class, "_per_class")]:
        case(f"loss_dice{what}", "dice", {"axes": axes, "epsilon": EPSILON}, keras_loss("Dice", axis=axes), "keras")
        for alpha, beta in [(0.5, 0.5), (0.25, 0.75)]:
            settings = {"alpha": alpha, "beta": beta}
            attrs = {"axes": axes, "epsilon": EPSILON, **settings}
            name = f"loss_tversky{what}_{alpha}_{beta}"
            loss = keras_loss("Tversky", axis=axes, **settings)
            case(name, "tversky", {**attrs, "convention": "keras"}, loss, "keras")
            if axes != per_sample:
                continue
            swapped = keras_loss("Tversky", axis=axes, alpha=beta, beta=alpha)
            case(f"{name}_paper", "tversky", {**attrs, "convention": "paper"}, swapped, "keras")
    for axes, what in [(per_sample, "_per_sample"), (per_class, "_per_class")]:
        for smooth, squared in [(1.0, False), (1.0, True), (1e-5, False)]:

            def soft_dice(t, p):
                """Milletari et al. 2016 square in the denominator; smooth is common since."""
                size = tf.square if squared else tf.identity
                total = tf.reduce_sum(size(p), axes) + tf.reduce_sum(size(t), axes)
                return 1.0 - (2.0 * tf.reduce_sum(p * t, axes) + smooth) / (total + smooth)

            attrs = {"axes": axes, "smooth": smooth, "squared": squared}
            name = f"loss_soft_dice{what}_{smooth}{'_squared' if squared else ''}"
            case(name, "soft_dice", attrs, written_out(soft_dice), "formula")
        for smooth in [1.0, 1e-5]:

            def jaccard(t, p):
                both = tf.reduce_sum(p * t, axes)
                either = tf.reduce_sum(p, axes) + tf.reduce_sum(t, axes) - both
                return 1.0 - (both + smooth) / (either + smooth)

            case(
                f"loss_jaccard{what}_{smooth}",
                "jaccard",
                {"axes": axes, "smooth": smooth},
                written_out(jaccard),
                "formula",
            )


# ---------------------------------------------------------------- the definitions, in NumPy


def over(a):
    return None if a["axes"] is None else tuple(a["axes"])


def dice(a, p, t):
    return 1 - 2 * (p * t).sum(over(a)) / (p.sum(over(a)) + t.sum(over(a)) + a["epsilon"])


def tversky(a, p, t):
    false_positives, false_negatives = (p * (1 - t)).sum(over(a)), ((1 - p) * t).sum(over(a))
    alpha, beta = (a["beta"], a["alpha"]) if a["convention"] == "keras" else (a["alpha"], a["beta"])
    both = (p * t).sum(over(a))
    return 1 - both / (both + alpha * false_positives + beta * false_negatives + a["epsilon"])


def soft_dice(a, p, t):
    power = 2 if a["squared"] else 1
    total = (p**power).sum(over(a)) + (t**power).sum(over(a))
    return 1 - (2 * (p * t).sum(over(a)) + a["smooth"]) / (total + a["smooth"])


def jaccard(a, p, t):
    both = (p * t).sum(over(a))
    return 1 - (both + a["smooth"]) / (p.sum(over(a)) + t.sum(over(a)) - both + a["smooth"])


VALUES = {"dice": dice, "tversky": tversky, "soft_dice": soft_dice, "jaccard": jaccard}
FORWARD = {op: reduced(values) for op, values in VALUES.items()}
