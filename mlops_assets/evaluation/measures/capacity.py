"""Measures of those acted on: the highest scores, as many as there is capacity for."""

from collections.abc import Callable

import numpy as np

from mlops_assets import statistics
from mlops_assets.evaluation.measures.measure import Drawn, Ends
from mlops_assets.evaluation.measures.terms import Terms
from mlops_assets.statistics import Array, Interval, StatisticsInputError
from mlops_assets.statistics.resampling import Statistic, Units

# Of the rows acted on, the hits among them, all hits and all rows.
TopNumber = Callable[[Array, Array, Array, Array, Terms], Array]


def of_top(number: TopNumber, *, where_it_pays: bool = False) -> Drawn:
    """Give a number of the rows acted on, the hits among them, all hits and all rows."""

    def drawn(y: Array, score: Array, terms: Terms, units: Units) -> Statistic:
        count = _ranked(y, score, terms, units, where_it_pays=where_it_pays)
        return lambda weights: number(*count(weights, share=terms.value.capacity_share), terms)

    return drawn


def ends_of_top(number: TopNumber, *, where_it_pays: bool = False) -> Ends:
    """Give the bootstrap's interval of such a number; several are taken from the same draws."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval:
        units = terms.units(len(y))

        def counted() -> list[Array]:
            count = _ranked(y, score, terms, units, where_it_pays=where_it_pays)
            found = [
                count(weights, share=terms.value.capacity_share)
                for weights in statistics.draws(units, seed=terms.seed, resamples=terms.resamples)
            ]
            return [np.concatenate(each) for each in zip(*found, strict=True)]

        what = f"counted {terms.resamples} of {terms.value.capacity_share!r} {_least(terms, where_it_pays)!r}"
        acted, hits, positives, rows = terms.once(what, counted, y, score)
        return statistics.percentiles(number(acted, hits, positives, rows, terms), confidence=terms.confidence)

    return ends


def _least(terms: Terms, where_it_pays: bool) -> float | None:
    return terms.value.pays_from if where_it_pays else None


def _ranked(y: Array, score: Array, terms: Terms, units: Units, *, where_it_pays: bool) -> statistics.TopDraws:
    at_least = _least(terms, where_it_pays)
    return terms.once(
        f"ranked from {at_least!r}", lambda: statistics.TopDraws(y, score, units, at_least=at_least), y, score
    )


def precision_of(acted: Array, hits: Array, positives: Array, rows: Array, terms: Terms) -> Array:
    """Give the share of hits among those acted on."""
    return hits / acted


def recall_of(acted: Array, hits: Array, positives: Array, rows: Array, terms: Terms) -> Array:
    """Give the share of all hits among those acted on."""
    if not positives.all():
        raise StatisticsInputError(
            "Without a positive row there is nothing to find and no recall, and so few are positive here that a draw "
            "of rows may hold none. Widen the window."
        )
    return hits / positives


def worth_of(acted: Array, hits: Array, positives: Array, rows: Array, terms: Terms) -> Array:
    """Give the worth of 1,000 decisions."""
    trade = terms.value
    return (hits * trade.value_of_hit - (acted - hits) * trade.cost_of_false_alarm) * 1000 / rows


def wilson(number: TopNumber, *, of_positives: bool) -> Ends:
    """Give Wilson's interval of a share at capacity, or the bootstrap's where rows hang together."""

    def ends(y: Array, score: Array, terms: Terms) -> Interval | None:
        if terms.clusters is not None:
            return ends_of_top(number)(y, score, terms)
        top = statistics.top_scores(y, score, share=terms.value.capacity_share)
        return statistics.wilson(top.hits, top.positives if of_positives else top.rows, confidence=terms.confidence)

    return ends
