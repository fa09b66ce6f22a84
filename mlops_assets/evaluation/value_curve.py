"""What it would be worth to act on more or fewer cases."""

import numpy as np

from mlops_assets.evaluation.measures import Terms
from mlops_assets.records import ValuePoint
from mlops_assets.statistics import Array, TopDraws, units_of
from mlops_assets.statistics.resampling import draws

POINTS = 50
DRAWS = 200  # a curve is looked at, not judged by


def value_curve(y: Array, score: Array, terms: Terms) -> tuple[ValuePoint, ...]:
    """Give value, precision and recall when the highest 2 %, 4 % … 100 % are acted on, and at the declared capacity.

    Intervals are of the value, point by point.
    """
    trade, n = terms.value, len(y)
    units = units_of(n, terms.clusters, seed=terms.seed)
    top = TopDraws(y, score, units)
    shares = np.array(sorted({round(step / POINTS, 12) for step in range(1, POINTS + 1)} | {trade.capacity_share}))
    drawn = [top.along(weights, shares) for weights in draws(units, seed=terms.seed, resamples=DRAWS)]
    worth = np.concatenate([_worth(acted, hits, rows[:, None], terms) for acted, hits, rows in drawn])
    lows, highs = np.quantile(worth, ((1 - terms.confidence) / 2, (1 + terms.confidence) / 2), axis=0)
    once = np.ones((1, units.number))
    ranked = np.sort(score)[::-1]
    points = []
    for share, low, high in zip(shares.tolist(), lows, highs, strict=True):
        acted, hits, positives, rows = top(once, share=share)
        points.append(
            ValuePoint(
                share=share,
                threshold=float(ranked[int(acted[0]) - 1]),
                value_per_1000=float(_worth(acted, hits, rows, terms)[0]),
                low=float(low),
                high=float(high),
                precision=float(hits[0] / acted[0]),
                recall=float(hits[0] / positives[0]),
            )
        )
    return tuple(points)


def _worth(acted: Array, hits: Array, rows: Array, terms: Terms) -> Array:
    trade = terms.value
    return (hits * trade.value_of_hit - (acted - hits) * trade.cost_of_false_alarm) * 1000 / rows
