"""Categories whose names mean something else than they did: codes that a migration handed out anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mlops_assets.errors import examples
from mlops_assets.evaluation.measures import Terms
from mlops_assets.evaluation.metrics import compare
from mlops_assets.records import Task
from mlops_assets.statistics import Array, StatisticsInputError
from mlops_assets.statistics.inputs import Mask

LEVELS = range(3, 31)  # two that change places look like a label turned round; many take as many looks
AT_ONCE = 4  # levels that all rows are read as, of so many copies of them
LOOKED_AT = 2_000  # rows that each level is read on as every other
WORTH_A_MOVE = 8.0  # nats, so that chance moves no name: the log-likelihood that reading it as another must bring
SURE = 0.999
NOISE = 0.15  # by so much of itself may the share of a name be off from week to week


def renamed(
    before: Array,
    vectors: Array,
    y: Array,
    *,
    score: Callable[[Array], Array],
    levels: Mapping[str, tuple[int, Sequence[str]]],
    found_on: Mask,
    task: Task,
    metric: str,
    terms: Terms,
) -> list[str]:
    """Give a sentence for each category that a model knows better once some of its names are exchanged.

    Which names is found on some of the rows: each is read as every other, and the exchange that brings the outcomes the
    most is taken. It counts where the model is shown to do better by it on the other rows, and where names are about as
    common as what they would stand for was before; an outcome alone may have changed.

    Args:
        before: Vectors from when names meant what they say, shape (m, d), categories as places among their levels.
        vectors: Vectors of the rows in question, shape (n, d).
        y: Their labels, shape (n,).
        score: The scores of the model that learnt the names.
        levels: Of each category, its column and the names of its levels.
        found_on: The rows that an exchange is found on, shape (n,); it is tried on the others.
        task: What kind of model.
        metric: By which it is judged.
        terms: On what terms.
    """
    exact = replace(terms, confidence=SURE, clusters=None, kept={})  # the same rows, twice: no day differs
    places = np.flatnonzero(found_on)[:: max(1, int(found_on.sum()) // LOOKED_AT)]
    tried, labels, said = vectors[~found_on], y[~found_on], []
    for name, (column, names) in levels.items():
        if len(names) not in LEVELS:
            continue
        meant = _exchange(score, vectors[places], y[places], column=column, levels=len(names), task=task)
        if not meant or not _as_common(before[:, column], vectors[:, column], meant, levels=len(names)):
            continue
        as_meant = tried.copy()
        for level, place in meant.items():
            as_meant[tried[:, column] == level, column] = place
        try:
            better = compare(metric, labels, score(as_meant), score(tried), exact)
        except StatisticsInputError:  # rows of one class show no reading to be the better one
            continue
        if better.low > 0:
            pairs = [f"{names[level]} as {names[place]}" for level, place in meant.items()]
            said.append(
                f"read with names of {name} exchanged ({examples(pairs)}), the champion's {metric} is better by "
                f"{better.value:.4g}. Were names handed out anew?"
            )
    return said


def _exchange(
    score: Callable[[Array], Array], vectors: Array, y: Array, *, column: int, levels: int, task: Task
) -> dict[int, int]:
    """Give which level is to be read as which for the outcomes to be the likeliest; those that stay are left out."""
    from scipy.optimize import linear_sum_assignment  # a third of a second of import, and few processes need it

    known = ~np.isnan(vectors[:, column])
    if not known.any():
        return {}
    rows, outcomes = vectors[known], y[known]
    codes = rows[:, column].astype(np.intp)
    spread = float(np.mean((score(rows) - outcomes) ** 2)) if task == "regression" else 1.0
    cost = np.empty((levels, levels))
    for first in range(0, levels, AT_ONCE):
        some = np.arange(first, min(first + AT_ONCE, levels))
        as_each = np.tile(rows, (len(some), 1))
        as_each[:, column] = np.repeat(some, len(rows))
        surprise = _surprise(score(as_each), np.tile(outcomes, len(some)), task, spread)
        for level, each in zip(some, np.split(surprise, len(some)), strict=True):
            cost[:, level] = np.bincount(codes, each, minlength=levels)
    read = zip(*linear_sum_assignment(cost + WORTH_A_MOVE * (1 - np.eye(levels))), strict=True)
    return {int(level): int(place) for level, place in read if level != place}


def _surprise(scores: Array, outcomes: Array, task: Task, spread: float) -> Array:
    """Give less the log-likelihood of each outcome, in nats."""
    if task == "regression":
        off: Array = (scores - outcomes) ** 2 / (2 * max(spread, 1e-12))
        return off
    if task == "binary":
        chance = np.where(outcomes == 1, scores, 1 - scores)
    else:
        chance = scores[np.arange(len(outcomes)), outcomes.astype(np.intp)]
    surprise: Array = -np.log(np.clip(chance, 1e-6, 1))
    return surprise


def _as_common(before: Array, now: Array, meant: Mapping[int, int], *, levels: int) -> bool:
    """Tell whether moved names are as common as what they would stand for was, or nearer to it than as they are."""
    then, there = (np.bincount(codes[~np.isnan(codes)].astype(np.intp), minlength=levels) for codes in (before, now))
    shares = then / max(then.sum(), 1), there / max(there.sum(), 1)
    moved, places = list(meant), list(meant.values())
    as_named, as_meant = (np.abs(shares[1][moved] - shares[0][read]).sum() for read in (moved, places))
    return bool(as_meant <= max(as_named, NOISE * shares[1][moved].sum()))
