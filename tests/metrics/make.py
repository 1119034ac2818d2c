#!/usr/bin/env python3
"""Stored reference numbers of Galen's metrics: writes the JSON files beside this file.

    pip install numpy scipy scikit-learn lifelines medpy
    python make.py

What each number comes from stands where it is made. Where no library has it (DeLong, expected calibration error, bands), it is
written out here from the paper's formula, in another form than Galen's. Every case draws from a generator seeded with the CRC-32 of
its own name.
"""

import json
import pathlib
import warnings
import zlib

import numpy as np
from lifelines.utils import concordance_index
from medpy.metric import binary as medpy
from scipy import stats
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from resampling import Fixed, draws

HERE = pathlib.Path(__file__).parent
AVERAGES = ["macro", "micro", "weighted"]


def rng(name):
    return np.random.default_rng(zlib.crc32(name.encode()))


def store(name, cases):
    def plain(x):
        if isinstance(x, np.ndarray):
            return [plain(v) for v in x.tolist()]
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        if isinstance(x, (list, tuple)):
            return [plain(v) for v in x]
        if isinstance(x, (np.bool_, np.integer)):
            return x.item()
        if isinstance(x, (float, np.floating)):
            # JSON has no infinity: the first threshold. A NaN is what Galen calls None.
            return float(x) if np.isfinite(x) else None
        return x

    lines = ",\n".join(json.dumps(plain(c), separators=(",", ":"), allow_nan=False) for c in cases)
    (HERE / f"{name}.json").write_text(f"[\n{lines}\n]\n")


# Tables ------------------------------------------------------------------------------------------------------------------------


def table(name, truth, predicted):
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    z = {"zero_division": 0}
    out = {
        "accuracy": sk.accuracy_score(truth, predicted),
        "balanced": sk.balanced_accuracy_score(truth, predicted),
        "matthews": sk.matthews_corrcoef(truth, predicted),
    }
    if len(set(truth)) == 1 or len(set(predicted)) == 1:
        out["matthews"] = np.nan
    labels = np.arange(max(truth.max(), predicted.max()) + 1)
    for weights in [None, "linear", "quadratic"]:
        out[f"kappa {weights}"] = sk.cohen_kappa_score(truth, predicted, labels=labels, weights=weights)
    # One table per class that occurs: specificity and negative predictive value are recall and precision of the other side.
    tables = sk.multilabel_confusion_matrix(truth, predicted)
    support = tables[:, 1].sum(axis=1)
    for average in AVERAGES:
        out[f"precision {average}"] = sk.precision_score(truth, predicted, average=average, **z)
        out[f"recall {average}"] = sk.recall_score(truth, predicted, average=average, **z)
        out[f"f1 {average}"] = sk.f1_score(truth, predicted, average=average, **z)
        out[f"f0.5 {average}"] = sk.fbeta_score(truth, predicted, beta=0.5, average=average, **z)
        out[f"f2 {average}"] = sk.fbeta_score(truth, predicted, beta=2, average=average, **z)
        pot = tables.sum(axis=0, keepdims=True) if average == "micro" else tables
        tn, fp, fn = pot[:, 0, 0], pot[:, 0, 1], pot[:, 1, 0]
        share = lambda a, b: np.where(b > 0, a / np.maximum(b, 1), 0.0)
        weights = support if average == "weighted" else None
        out[f"specificity {average}"] = np.average(share(tn, tn + fp), weights=weights)
        out[f"npv {average}"] = np.average(share(tn, tn + fn), weights=weights)
    return {"name": name, "truth": truth, "predicted": predicted, "expected": out}


def confusion():
    r = rng("confusion")
    truth = r.integers(0, 4, 80)
    noisy = np.where(r.random(80) < 0.6, truth, r.integers(0, 4, 80))
    rare = (r.random(120) < 0.06).astype(int)
    yield table("four classes", truth, noisy)
    yield table("two classes, one rare", rare, np.where(r.random(120) < 0.9, rare, 1 - rare))
    yield table("a class never predicted", truth, np.where(noisy == 2, 1, noisy))
    yield table("a class that never occurs", np.where(truth == 3, 0, truth), noisy)
    yield table("a class between that is in neither", np.where(truth == 2, 1, truth), np.where(noisy == 2, 3, noisy))
    yield table("all right", truth, truth)
    yield table("one answer for all", truth, np.full(80, 1))
    yield table("one class only", np.zeros(5, int), np.zeros(5, int))
    yield table("one class only, wrong", np.zeros(5, int), np.array([0, 1, 1, 0, 2]))
    yield table("each the other", np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]))
    yield table("imbalanced ten classes", np.minimum(r.geometric(0.4, 150) - 1, 9), np.minimum(r.geometric(0.4, 150) - 1, 9))


# Scores ------------------------------------------------------------------------------------------------------------------------


def curves(name, truth, scores):
    truth, scores = np.asarray(truth, bool), np.asarray(scores, float)
    full, short = (sk.roc_curve(truth, scores, drop_intermediate=drop) for drop in (False, True))
    of = lambda c: {"x": c[0], "y": c[1], "thresholds": c[2]}
    # The best points among all thresholds, in whole numbers.
    tp = np.round(full[1] * truth.sum()).astype(int)
    tn = np.round((1 - full[0]) * (~truth).sum()).astype(int)
    youden = int(np.argmax(tp * (~truth).sum() + tn * truth.sum()))
    points = [["youden", 0, full[2][youden]]]
    for wished in [0.0, 0.5, 0.9, 1.0]:
        able = np.flatnonzero(tp >= wished * truth.sum())
        points.append(["sensitivity", wished, full[2][able[np.argmax(tn[able])]]])
        able = np.flatnonzero(tn >= wished * (~truth).sum())
        points.append(["specificity", wished, full[2][able[np.argmax(tp[able])]]])
    return {
        "name": name,
        "truth": truth,
        "scores": scores,
        "auc": sk.roc_auc_score(truth, scores),
        "ap": sk.average_precision_score(truth, scores),
        "roc": of(full),
        "corners": of(short),
        "pr": of(sk.precision_recall_curve(truth, scores)),
        "points": points,
    }


def binary_ranking():
    r = rng("binary ranking")
    truth = r.random(30) < 0.4
    scores = np.round(truth + r.normal(0, 1, 30), 3)
    rare = np.arange(60) % 20 == 7
    yield curves("random", truth, scores)
    yield curves("tied", truth, np.round(scores))
    yield curves("imbalanced", rare, np.round(rare * 0.8 + r.normal(0, 1, 60), 2))
    yield curves("all the same score", truth, np.full(30, 0.5))
    yield curves("parted", truth, truth * 2.0 - 1.0)
    yield curves("upside down", truth, -(truth + r.random(30) / 2))
    yield curves("two samples", [False, True], [0.1, 0.9])
    yield curves("zero of both signs", [True, False, True, False], [0.0, -0.0, -0.0, -1.0])
    yield curves("far apart and very close", truth[:10], np.concatenate([[1e300, -1e300], 1 + np.arange(8) * 2.0**-52]))


def columns(name, truth, scores, multiclass):
    out = {}
    hot = np.eye(scores.shape[1], dtype=int)[truth] if multiclass else truth
    for average in AVERAGES:
        kind = {"multi_class": "ovr", "labels": np.arange(scores.shape[1])} if multiclass else {}
        out[f"auc {average}"] = sk.roc_auc_score(truth, scores, average=average, **kind)
        out[f"ap {average}"] = sk.average_precision_score(hot, scores, average=average)
    if multiclass:
        for k in range(1, scores.shape[1]):
            out[f"top {k}"] = sk.top_k_accuracy_score(truth, scores, k=k, labels=np.arange(scores.shape[1]))
    return {"name": name, "multiclass": multiclass, "truth": truth, "scores": scores, "expected": out}


def many_ranking():
    r = rng("many ranking")
    truth = np.concatenate([np.arange(4), r.choice(4, 56, p=[0.6, 0.25, 0.1, 0.05])])
    p = np.array([r.dirichlet(1 + 2 * (np.arange(4) == t)) for t in truth])
    # Twentieths: many ties, and rows whose sum is 1.
    tied = np.array([r.multinomial(20, q) / 20 for q in p])
    yield columns("four classes", truth, p / p.sum(axis=1, keepdims=True), True)
    yield columns("four classes, tied", truth, tied, True)
    labels = (r.random((50, 5)) < [0.5, 0.1, 0.3, 0.9, 0.2]).astype(int)
    labels[0], labels[1] = 0, 1
    yield columns("five labels", labels, np.round(labels + r.normal(0, 1.5, (50, 5)), 3), False)
    yield columns("five labels, tied", labels, np.round(labels + r.normal(0, 1.5, (50, 5))), False)


# Probabilities -----------------------------------------------------------------------------------------------------------------


def ece(right, p, bins):
    """Guo et al. 2017, bin by bin as written there: bin m holds ((m - 1) / M, m / M]; a probability of 0 falls into the first."""
    total = 0.0
    for m in range(1, bins + 1):
        within = (p > (m - 1) / bins) & (p <= m / bins) | ((p == 0) & (m == 1))
        if within.any():
            total += within.sum() / len(p) * abs(right[within].mean() - p[within].mean())
    return total


def probability_of(name, truth, p, bins):
    truth, p = np.asarray(truth, int), np.asarray(p, float)
    reliability = {}
    for strategy in ["uniform", "quantile"]:
        observed, predicted = calibration_curve(truth, p, n_bins=bins, strategy=strategy)
        at = np.linspace(0, 1, bins + 1)
        edges = at if strategy == "uniform" else np.percentile(p, at * 100)
        counts = np.bincount(np.searchsorted(edges[1:-1], p), minlength=bins)
        reliability[strategy] = {"observed": observed, "predicted": predicted, "counts": counts[counts > 0]}
    return {
        "name": name,
        "truth": truth.astype(bool),
        "p": p,
        "bins": bins,
        "log_loss": sk.log_loss(truth, p, labels=[0, 1]),
        "brier": sk.brier_score_loss(truth, p, labels=[0, 1], pos_label=1),
        "ece": ece(truth, p, bins),
        "reliability": reliability,
    }


def probability():
    r = rng("probability")
    p = np.round(r.random(60), 4)
    yield probability_of("random", r.random(60) < p, p, 10)
    yield probability_of("on the edges", r.random(44) < 0.5, np.arange(44) % 11 / 10, 10)
    yield probability_of("sure and wrong", [1, 0, 1, 0], [0.0, 1.0, 1.0, 0.0], 5)
    yield probability_of("rare", np.arange(80) % 16 == 3, np.round(r.beta(1, 12, 80), 4), 7)
    yield probability_of("one class only", np.ones(6), np.round(r.random(6), 3), 15)
    yield probability_of("one bin", r.random(9) < 0.5, np.round(r.random(9), 3), 1)


def distribution_of(name, truth, p, bins):
    top = p.argmax(axis=1)
    labels = np.arange(p.shape[1])
    return {
        "name": name,
        "truth": truth,
        "p": p,
        "bins": bins,
        "log_loss": sk.log_loss(truth, p, labels=labels),
        "brier": sk.brier_score_loss(truth, p, labels=labels, scale_by_half=False),
        "ece": ece((top == truth).astype(float), p.max(axis=1), bins),
    }


def distributions():
    r = rng("distributions")
    truth = r.integers(0, 3, 50)
    p = np.array([r.dirichlet(1 + 3 * (np.arange(3) == t)) for t in truth])
    yield distribution_of("three classes", truth, p, 15)
    yield distribution_of("tenths", truth, np.array([r.multinomial(10, q) / 10 for q in p]), 10)
    yield distribution_of("two classes", truth % 2, np.stack([1 - p[:, 0], p[:, 0]], axis=1), 8)


# Masks -------------------------------------------------------------------------------------------------------------------------


def mask(name, truth, predicted, spacing):
    bits = lambda m: "".join("1" if v else "0" for v in m.ravel())
    return {
        "name": name,
        "shape": truth.shape,
        "truth": bits(truth),
        "predicted": bits(predicted),
        "spacing": spacing,
        "dice": medpy.dc(predicted, truth),
        "iou": medpy.jc(predicted, truth),
        "hausdorff": medpy.hd(predicted, truth, voxelspacing=spacing),
        "hausdorff_95": medpy.hd95(predicted, truth, voxelspacing=spacing),
        "average": medpy.assd(predicted, truth, voxelspacing=spacing),
        "from_truth": medpy.asd(truth, predicted, voxelspacing=spacing),
        "from_predicted": medpy.asd(predicted, truth, voxelspacing=spacing),
    }


def ball(shape, centre, radius):
    return sum((g - c) ** 2 for g, c in zip(np.indices(shape), centre)) <= radius**2


def masks():
    r = rng("masks")
    flat, deep = (18, 23), (7, 11, 9)
    yield mask("two discs", ball(flat, (8, 9), 6), ball(flat, (10, 12), 5), [1.0, 1.0])
    yield mask("two discs, uneven", ball(flat, (8, 9), 6), ball(flat, (10, 12), 5), [0.7, 2.3])
    yield mask("over the edge", ball(flat, (0, 2), 7), ball(flat, (17, 20), 6), [0.5, 0.5])
    yield mask("a ring and its disc", ball(flat, (9, 11), 8) & ~ball(flat, (9, 11), 4), ball(flat, (9, 11), 8), [1.0, 1.5])
    yield mask("single pixels", ball(flat, (3, 3), 0), ball(flat, (16, 20), 0), [1.1, 0.3])
    yield mask("the same", ball(flat, (9, 9), 5), ball(flat, (9, 9), 5), [1.0, 1.0])
    yield mask("all of it", np.ones(flat, bool), ball(flat, (9, 9), 3), [1.0, 2.0])
    yield mask("scattered", r.random(flat) < 0.2, r.random(flat) < 0.2, [1.0, 1.0])
    yield mask("an outlier", ball(flat, (6, 6), 5), ball(flat, (6, 6), 5) | ball(flat, (17, 22), 0), [1.0, 1.0])
    yield mask("two balls", ball(deep, (3, 5, 4), 3), ball(deep, (3, 6, 5), 3.5), [1.0, 1.0, 1.0])
    yield mask("thick slices", ball(deep, (3, 5, 4), 3), ball(deep, (2, 4, 4), 2.5), [5.0, 0.8, 0.7])
    yield mask("scattered voxels", r.random(deep) < 0.1, r.random(deep) < 0.15, [2.0, 1.0, 0.5])
    yield mask("one slice", ball((1, 9, 9), (0, 4, 4), 3), ball((1, 9, 9), (0, 5, 5), 2), [3.0, 1.0, 1.0])


# Numbers and times -------------------------------------------------------------------------------------------------------------


def numbers(name, truth, predicted):
    return {
        "name": name,
        "truth": truth,
        "predicted": predicted,
        "expected": {
            "mse": sk.mean_squared_error(truth, predicted),
            "rmse": sk.root_mean_squared_error(truth, predicted),
            "mae": sk.mean_absolute_error(truth, predicted),
            "r2": sk.r2_score(truth, predicted),
            "pearson": stats.pearsonr(truth, predicted).statistic,
            "spearman": stats.spearmanr(truth, predicted).statistic,
        },
    }


def regression():
    r = rng("regression")
    truth = np.round(r.normal(3, 2, 40), 4)
    yield numbers("random", truth, np.round(truth + r.normal(0, 1, 40), 4))
    yield numbers("tied", np.round(truth), np.round(truth + r.normal(0, 1, 40)))
    yield numbers("falling", truth, -truth**3)
    yield numbers("unrelated", truth, np.round(r.normal(0, 1, 40), 4))
    yield numbers("two numbers", np.array([1.0, 2.0]), np.array([5.0, 4.5]))
    yield numbers("large", truth * 1e100, truth * 1e100 + 1e99 * np.round(r.normal(0, 1, 40), 3))


def times(name, t, predicted, observed):
    return {
        "name": name,
        "times": t,
        "predicted": predicted,
        "observed": observed,
        "index": concordance_index(t, predicted, observed),
    }


def survival():
    r = rng("survival")
    t = np.round(r.exponential(10, 70), 3)
    said = np.round(t + r.normal(0, 8, 70), 3)
    some = r.random(70) < 0.6
    yield times("all seen", t, said, np.ones(70, bool))
    yield times("censored", t, said, some)
    yield times("few events", t, said, r.random(70) < 0.06)
    yield times("tied times", np.round(t / 4), said, some)
    yield times("tied predictions", t, np.round(said / 8), some)
    yield times("both tied", np.round(t / 4), np.round(said / 8), some)
    yield times("all predicted the same", t, np.ones(70), some)
    yield times("an event and a censored one at once", np.array([1.0, 1.0]), np.array([1.0, 2.0]), np.array([True, False]))


# Intervals ---------------------------------------------------------------------------------------------------------------------

RESAMPLES = 300


def auc_of(truth, scores):
    return sk.roc_auc_score(truth, scores)


def bootstrap(name, units, truth, scores, groups, seed, level):
    """SciPy's interval over the resamples that Galen draws for this seed."""
    rows_of = {"sample": lambda: [[i] for i in range(len(truth))]}
    rows_of["group"] = lambda: [list(np.flatnonzero(groups == g)) for g in dict.fromkeys(groups.tolist())]
    if units == "class":
        strata = [np.flatnonzero(truth == c) for c in dict.fromkeys(truth.tolist())]
        chosen = draws(seed, RESAMPLES, [len(s) for s in strata])
        data, paired = tuple(strata), False
        statistic = lambda *rows: auc_of(truth[np.concatenate(rows)], scores[np.concatenate(rows)])
    else:
        members = rows_of[units]()
        chosen = draws(seed, RESAMPLES, [len(members)])
        data, paired = (np.arange(len(members)),), False
        rows = lambda drawn: np.concatenate([members[u] for u in drawn]).astype(int)
        statistic = lambda drawn: auc_of(truth[rows(drawn)], scores[rows(drawn)])
    out = {}
    for method in ["percentile", "BCa"]:
        result = stats.bootstrap(
            data, statistic, paired=paired, vectorized=False, n_resamples=RESAMPLES, method=method,
            confidence_level=level, rng=Fixed(chosen),
        )
        out[method] = [result.confidence_interval.low, result.confidence_interval.high]
    return {
        "name": name, "units": units, "truth": truth, "scores": scores, "groups": groups, "seed": seed, "level": level,
        "resamples": RESAMPLES, "expected": out,
    }


def bootstraps():
    r = rng("bootstraps")
    truth = r.random(40) < 0.5
    scores = np.round(truth + r.normal(0, 1.2, 40), 1)
    groups = r.integers(0, 17, 40)
    for seed, units, level in [(7, "sample", 0.95), (2**40 + 3, "sample", 0.8), (1, "group", 0.95), (5, "class", 0.9)]:
        yield bootstrap(f"{units}, {level}", units, truth, scores, groups, seed, level)


def bands():
    r = rng("bands")
    truth = r.random(40) < 0.4
    scores = np.round(truth + r.normal(0, 1.0, 40), 1)
    members = [[i] for i in range(40)]
    grid = np.arange(0, 101, 10) / 100
    roc, pr = [], []
    for drawn in draws(3, RESAMPLES, [40])[0]:
        rows = np.concatenate([members[u] for u in drawn])
        x, y, _ = sk.roc_curve(truth[rows], scores[rows], drop_intermediate=False)
        roc.append([y[x == g].max() if (x == g).any() else np.interp(g, x, y) for g in grid])
        precision, recall, at = sk.precision_recall_curve(truth[rows], scores[rows])
        pr.append([precision[: len(at)][recall[: len(at)] >= g][-1] for g in grid])
    ends = lambda heights: {"low": np.quantile(heights, 0.05, axis=0), "high": np.quantile(heights, 0.95, axis=0)}
    yield {
        "truth": truth, "scores": scores, "seed": 3, "resamples": RESAMPLES, "level": 0.9, "roc": ends(roc), "pr": ends(pr),
    }


def delong_case(name, truth, first, second):
    """DeLong, DeLong, Clarke-Pearson 1988, equations 2 to 5, with every pair of samples compared."""
    truth, both = np.asarray(truth, bool), np.stack([first, second])
    x, y = both[:, truth], both[:, ~truth]
    psi = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    areas = psi.mean(axis=(1, 2))
    s10, s01 = np.cov(psi.mean(axis=2)), np.cov(psi.mean(axis=1))
    s = s10 / truth.sum() + s01 / (~truth).sum()
    variance = s[0, 0] + s[1, 1] - 2 * s[0, 1]
    z = (areas[0] - areas[1]) / np.sqrt(variance)
    low, high = stats.norm.interval(0.95, areas[0], np.sqrt(s[0, 0]))
    return {
        "name": name, "truth": truth, "first": first, "second": second, "areas": areas, "variances": np.diag(s),
        "interval": [max(low, 0), min(high, 1)], "variance": variance, "z": z, "p": 2 * stats.norm.sf(abs(z)),
    }


def delong():
    r = rng("delong")
    truth = r.random(60) < 0.3
    a, b = (np.round(truth * d + r.normal(0, 1, 60), 2) for d in (1.5, 0.5))
    yield delong_case("random", truth, a, b)
    yield delong_case("correlated", truth, a, a + np.round(r.normal(0, 0.3, 60), 2))
    yield delong_case("tied", truth, np.round(a), np.round(b))
    far = truth * 3 + np.round(r.normal(0, 1, 60), 2)
    yield delong_case("very different", truth, far, truth * -1.0 + np.round(r.normal(0, 1, 60), 1))
    yield delong_case("few of each", [0, 1, 0, 1, 1], np.array([1, 4, 5, 8, 2.0]), np.array([3, 2, 9, 5, 7.0]))


def wilson():
    for part, whole in [(0, 10), (10, 10), (1, 1), (7, 20), (81, 263), (1, 10000)]:
        for level in [0.8, 0.95, 0.99]:
            ci = stats.binomtest(part, whole).proportion_ci(level, method="wilson")
            yield {"part": part, "whole": whole, "level": level, "low": ci.low, "high": ci.high}


def main():
    warnings.filterwarnings("ignore")
    store("confusion", confusion())
    store("curves", binary_ranking())
    store("columns", many_ranking())
    store("probability", probability())
    store("distributions", distributions())
    store("masks", masks())
    store("regression", regression())
    store("survival", survival())
    store("bootstraps", bootstraps())
    store("bands", bands())
    store("delong", delong())
    store("wilson", wilson())


if __name__ == "__main__":
    main()
