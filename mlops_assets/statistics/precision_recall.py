"""Average precision, the area under the precision-recall curve, with an interval that needs no resampling."""

import numpy as np
import numpy.typing as npt

from mlops_assets.statistics.inputs import Array, StatisticsInputError, finite, labels, same_length


def average_precision_adds(y: npt.ArrayLike, score: npt.ArrayLike) -> tuple[float, Array]:
    """Give the average precision and what each row adds to its error, as `wald` takes it.

    It is the mean, over positive rows, of the share of hits among all rows that score at least as high. Rows with equal
    scores count together, as one threshold cannot part them. What each row adds is the derivative by the weight of the
    row (the infinitesimal jackknife): a positive row by its own precision, and every row by the precisions of the
    positive rows at or below its score.

    Raises:
        StatisticsInputError: No row is positive, or a sample is empty, holds NaN or has another length.

    Sources: Davis and Goadrich, ICML (2006) 233, on why the curve is summed in steps and not drawn in straight lines;
    Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), chapter 6.

    >>> round(average_precision_adds([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])[0], 4)
    0.8333
    """
    positive, values = labels(y), finite(score, name="score")
    same_length(y=positive, score=values)
    positives = int(np.count_nonzero(positive))
    if not positives:
        raise StatisticsInputError(
            "No row is positive, so there is nothing to find and no precision. Widen the window.", positives=0
        )
    order = np.argsort(values)  # worst first
    ranked, hit = values[order], positive[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    hits = np.add.reduceat(hit, starts)
    reached = ranked.size - starts  # rows at or above each level
    precision = (positives - np.cumsum(hits) + hits) / reached
    value = float((hits * precision).sum() / positives)
    member = np.repeat(np.arange(starts.size), np.diff(np.r_[starts, ranked.size]))
    entering, leaving = np.cumsum(hits / reached)[member], np.cumsum(hits * precision / reached)[member]
    influence = np.empty(ranked.size)
    influence[order] = (hit * (precision[member] - value + entering) - leaving) / positives
    return value, influence
