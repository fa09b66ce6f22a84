"""How well each of several classes is told from the rest, and for which others it is taken.

A mean over classes hides a class that was lost. Each is therefore compared on its own, and Holm's correction allows for
their number.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import compare, measure
from mlops_assets.records import Classes, ClassResult, Comparison, Metric
from mlops_assets.statistics import Array, StatisticsInputError, holm
from mlops_assets.statistics.inputs import Mask

STATED = ("auc", "average_precision", "ece")  # of the probability of a class
ANSWERED = ("true_positive_rate", "precision")  # of the answers that name it


def look_into_classes(
    y: Array,
    score: Array,
    other: Array,
    *,
    against: Literal["champion", "baseline"],
    names: Sequence[str],
    terms: Terms,
) -> Classes:
    """Measure each class against all others, and compare it with the other model on the same rows.

    Args:
        y: Codes of classes, shape (n,).
        score: The challenger's probabilities, shape (n, k).
        other: Those of the model it is compared with.
        against: Which that is.
        names: The names of the classes, in the order of their codes.
        terms: On what terms.
    """
    codes, answers, k = y.astype(np.intp), score.argmax(axis=1), score.shape[1]
    counts = np.bincount(codes * k + answers, minlength=k * k).reshape(k, k)
    found = []
    for place, name in enumerate(names):
        happened, alone = (codes == place).astype(np.float64), replace(terms, kept={})
        gain = compare("auc", happened, score[:, place], other[:, place], alone)
        found.append(
            ClassResult(
                name=name,
                n=int(counts[place].sum()),
                metrics=_measures(happened, score[:, place], answers == place, alone),
                gain=Comparison(
                    other=against,
                    metric="auc",
                    difference=gain.value,
                    low=gain.low,
                    high=gain.high,
                    p_value=gain.p_value,
                    n=len(y),
                ),
            )
        )
    adjusted = holm([each.gain.p_value for each in found])
    results = tuple(
        replace(each, gain=replace(each.gain, p_value=float(p))) for each, p in zip(found, adjusted, strict=True)
    )
    return Classes(results=results, confusion=tuple(tuple(row) for row in counts.tolist()))


def _measures(happened: Array, stated: Array, answered: Mask, terms: Terms) -> tuple[Metric, ...]:
    """Give what there is to say of one class; one that was never answered has no precision."""
    found = [measure(name, happened, stated, terms) for name in STATED]
    decided = replace(terms, threshold=0.5, kept={})
    for name in ANSWERED:
        try:
            found.append(measure(name, happened, answered.astype(np.float64), decided))
        except StatisticsInputError:
            continue
    return tuple(found)
