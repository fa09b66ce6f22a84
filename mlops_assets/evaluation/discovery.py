"""Where a model does worst: a search over levels and bins of columns and over pairs of them, honest about its size.

Thousands of slices are looked at, so the worst always looks bad. Its p-value is therefore the chance that the worst of
all would look so bad by luck. Luck is made by turning the sign of whole days at random: what is no property of a slice
points to one side on some days and to the other on others. Every turn keeps how slices overlap, so nothing is lost to a
correction that treats them as strangers.

Sources: max-T, Westfall and Young, Resampling-Based Multiple Testing (1993); signs of whole clusters, Kline and Santos,
Journal of Econometric Methods 1 (2012) 23; the search, Chung, Kraska, Polyzotis, Tae and Whang, ICDE (2019) 1550.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from mlops_assets.evaluation.levels import OTHER, Levels, fewer
from mlops_assets.evaluation.measures import Terms
from mlops_assets.records import DiscoveredSlice, Task
from mlops_assets.statistics import Array, class_log_losses, log_losses, pinball_losses, top_label, units_of
from mlops_assets.statistics.intervals import Rows, wald

Codes = npt.NDArray[np.int32]

SEARCHED_ROWS = 200_000  # drawn from more; what is found is then measured on all
PAIRED_COLUMNS = 24  # those that tell most alone are paired
MOST_LEVELS = 20
BLOCKS = 64  # days are put together into so many at most
TURNS = 500
LEAST_ROWS = 50
FEW_DAYS = 3  # a slice within fewer may be these days and no slice


@dataclass(frozen=True, slots=True)
class _Look:
    """One number per row whose mean should be the same everywhere; `both_ways` where low is as bad as high."""

    measure: str
    values: Array
    both_ways: bool = False


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Slices of the rows searched: their columns and levels, and how far and how surely they stand out in each look."""

    columns: tuple[int, ...]
    level: Rows
    away: tuple[
        Array, ...
    ]  # each (slices, blocks): what a block adds to the distance from the rest, in standard errors


def worst_slices(
    task: Task,
    y: Array,
    score: Array,
    champion: Array | None,
    *,
    columns: Mapping[str, Levels],
    minimum_rows: int,
    terms: Terms,
    most: int = 5,
) -> tuple[DiscoveredSlice, ...]:
    """Give the `most` worst slices in each way of looking, worst first; slices that are mostly the same rows once.

    Looked at are how far scores lie from what came true (`bias`), losses beyond what the scores themselves announced
    (`excess_log_loss`; `squared_error` of a number, `pinball` of a quantile), and losses beyond the champion's
    (`loss_to_champion`). In place of bias stands, of several classes, `overconfidence`: the probability of the answer
    less whether it was right; and, of a quantile, `coverage_gap`: whether the truth lay at or below it, less how often
    it should. P-values hold for all slices and all three ways together. Intervals are those of slices named beforehand:
    what was picked as the worst is a little better than it looks.

    Args:
        task: What kind of model.
        y: Labels, shape (n,).
        score: Scores, shape (n,), or of k classes (n, k).
        champion: The champion's scores on the same rows, if there is one.
        columns: The levels of each column, of n rows.
        minimum_rows: Rows below which a slice is marked small.
        terms: On what terms; its seed draws rows and signs.
        most: How many slices of each way to give.
    """
    if not columns:
        return ()
    generator = np.random.default_rng([terms.seed, len(y)])
    looks = _looks(task, y, score, champion, terms.quantile)
    names, levels = list(columns), [fewer(each, most=MOST_LEVELS) for each in columns.values()]
    block, blocks = _blocks(len(y), terms)
    rows = np.arange(len(y))
    if len(y) > SEARCHED_ROWS:
        rows = np.sort(generator.choice(len(y), SEARCHED_ROWS, replace=False))
    signs = _signs(blocks, generator).astype(np.float32)
    codes = [each.codes[rows].astype(np.int32) for each in levels]
    sizes = [len(each.names) for each in levels]
    searched = _searched(looks, rows, codes, sizes, block[rows], blocks)
    worst = np.zeros(len(signs))
    for each in searched:
        for look, away in zip(looks, each.away, strict=True):
            worst = np.maximum(worst, _turned(look, away.astype(np.float32) @ signs.T).max(axis=0, initial=0.0))
    return tuple(
        told
        for at, look in enumerate(looks)
        for told in _told(
            look,
            [replace(each, away=(each.away[at],)) for each in searched],
            names,
            levels,
            worst,
            minimum_rows=minimum_rows,
            terms=terms,
            most=most,
        )
    )


def _looks(task: Task, y: Array, score: Array, champion: Array | None, quantile: float | None) -> list[_Look]:
    if task == "binary":
        losses = log_losses(y, score)
        certain = np.clip(score, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
        announced = -(certain * np.log(certain) + (1 - certain) * np.log1p(-certain))
        looks = [_Look("bias", score - y, both_ways=True), _Look("excess_log_loss", losses - announced)]
        if champion is not None:
            looks.append(_Look("loss_to_champion", losses - log_losses(y, champion)))
        return looks
    if task == "multiclass":
        hits, stated = top_label(y, score)
        losses = class_log_losses(y, score)
        announced = -(score * np.log(np.maximum(score, np.finfo(np.float64).eps))).sum(axis=1)
        looks = [
            _Look("overconfidence", stated - hits, both_ways=True),
            _Look("excess_log_loss", losses - announced),
        ]
        if champion is not None:
            looks.append(_Look("loss_to_champion", losses - class_log_losses(y, champion)))
        return looks
    if quantile is not None:
        losses = pinball_losses(y, score, quantile=quantile)
        looks = [
            _Look("coverage_gap", np.where(y <= score, 1.0, 0.0) - quantile, both_ways=True),
            _Look("pinball", losses),
        ]
        if champion is not None:
            looks.append(_Look("loss_to_champion", losses - pinball_losses(y, champion, quantile=quantile)))
        return looks
    looks = [_Look("bias", score - y, both_ways=True), _Look("squared_error", (score - y) ** 2)]
    if champion is not None:
        looks.append(_Look("loss_to_champion", (score - y) ** 2 - (champion - y) ** 2))
    return looks


def _blocks(n: int, terms: Terms) -> tuple[Rows, int]:
    """Give the block of each row, whose sign is turned as a whole."""
    units = units_of(n, terms.clusters, seed=terms.seed)
    return units.of_row % BLOCKS, min(units.number, BLOCKS)


def _signs(blocks: int, generator: np.random.Generator) -> Array:
    """Give turns of signs, shape (turns, blocks): all there are if few, the first without any change."""
    if 2 ** (blocks - 1) <= TURNS:
        bits = np.arange(2 ** (blocks - 1))[:, None] >> np.arange(blocks) & 1
        half = 1.0 - 2.0 * bits
        return np.concatenate([half, -half])
    drawn = generator.choice([-1.0, 1.0], size=(TURNS, blocks))
    drawn[0] = 1.0
    return drawn


def _searched(
    looks: Sequence[_Look], rows: Rows, codes: Sequence[Codes], sizes: Sequence[int], block: Rows, blocks: int
) -> list[_Candidates]:
    """Give every level of every column, and of pairs of the columns that tell most alone."""
    table = _Table.of(looks, rows, block, blocks)
    alone = [
        table.candidates((place,), code, size) for place, (code, size) in enumerate(zip(codes, sizes, strict=True))
    ]
    telling = [
        max(
            float(_turned(look, away.sum(axis=1)).max(initial=0.0)) for look, away in zip(looks, each.away, strict=True)
        )
        for each in alone
    ]
    paired = sorted(np.argsort(-np.array(telling), kind="stable")[:PAIRED_COLUMNS].tolist())
    pairs = [
        table.candidates((a, b), codes[a] * np.int32(sizes[b]) + codes[b], sizes[a] * sizes[b])
        for a, b in combinations(paired, 2)
    ]
    return [*alone, *pairs]


@dataclass(frozen=True, slots=True)
class _Table:
    """Numbers of mean 0 per look with their squares, the block of each row, and the sums and sizes of all blocks."""

    values: tuple[Array, ...]
    squares: tuple[Array, ...]
    whole: tuple[Array, ...]
    block: Codes
    sizes: Array

    @classmethod
    def of(cls, looks: Sequence[_Look], rows: Rows, block: Rows, blocks: int) -> "_Table":
        """Take the rows searched out of all."""
        values = tuple(look.values[rows] - look.values[rows].mean() for look in looks)
        return cls(
            values=values,
            squares=tuple(each**2 for each in values),
            whole=tuple(np.bincount(block, weights=each, minlength=blocks).astype(np.float64) for each in values),
            block=block.astype(np.int32),
            sizes=np.bincount(block, minlength=blocks).astype(np.float64),
        )

    def candidates(self, columns: tuple[int, ...], code: Codes, size: int) -> _Candidates:
        """Give the levels with rows enough on either side.

        Everything is taken from the mean of the rest, so that what the rest adds sums up to nothing: otherwise one bad
        block would move the mean, and all others would seem to agree with it.
        """
        blocks, n = self.sizes.size, self.block.size
        cell = code * np.int32(blocks) + self.block
        counts = np.bincount(cell, minlength=size * blocks).reshape(size, blocks).astype(np.float64)
        rows = counts.sum(axis=1)
        kept = np.flatnonzero((rows >= LEAST_ROWS) & (n - rows >= LEAST_ROWS))
        inside, outside, counts = rows[kept], n - rows[kept], counts[kept]
        found = []
        for values, squared, whole in zip(self.values, self.squares, self.whole, strict=True):
            sums = np.bincount(cell, weights=values, minlength=size * blocks).reshape(size, blocks)[kept]
            squares = np.bincount(code, weights=squared, minlength=size)[kept]
            mean, rest = sums.sum(axis=1) / inside, -sums.sum(axis=1) / outside
            spread = squares / inside - mean**2
            spread_of_rest = (squared.sum() - squares) / outside - rest**2
            error = np.sqrt(np.maximum(spread, 0) / inside + np.maximum(spread_of_rest, 0) / outside)
            here = sums - counts * rest[:, None]
            there = whole - sums - (self.sizes - counts) * rest[:, None]
            added = here / inside[:, None] - there / outside[:, None]
            found.append(added / np.where(error > 0, error, np.inf)[:, None])
        return _Candidates(columns, kept, tuple(found))


def _turned(look: _Look, distance: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    return np.abs(distance) if look.both_ways else distance


def _told(
    look: _Look,
    candidates: Sequence[_Candidates],
    names: Sequence[str],
    levels: Sequence[Levels],
    worst: Array,
    *,
    minimum_rows: int,
    terms: Terms,
    most: int,
) -> Iterator[DiscoveredSlice]:
    """Measure the slices that stand out most on all rows; of such as share most of their rows the first alone."""
    distance = np.concatenate([_turned(look, each.away[0].sum(axis=1)) for each in candidates])
    owner = np.repeat(np.arange(len(candidates)), [each.level.size for each in candidates])
    place = np.concatenate([np.arange(each.level.size) for each in candidates])
    told: list[Rows] = []
    for at in np.argsort(-distance, kind="stable")[: 20 * most]:
        if distance[at] <= 0 or len(told) == most:
            return
        of = candidates[owner[at]]
        at_levels = _unpacked(int(of.level[place[at]]), [len(levels[column].names) for column in of.columns])
        spelt = tuple(levels[column].names[level] for column, level in zip(of.columns, at_levels, strict=True))
        inside = np.logical_and.reduce(
            [levels[column].codes == level for column, level in zip(of.columns, at_levels, strict=True)]
        )
        n = int(np.count_nonzero(inside))
        same = any(np.count_nonzero(inside & other) > 0.5 * np.count_nonzero(inside | other) for other in told)
        if OTHER in spelt or same:
            continue
        told.append(inside)
        here, elsewhere = look.values[inside], look.values[~inside]
        few_days = terms.clusters is not None and np.unique(terms.clusters[inside]).size < FEW_DAYS
        middle = look.values.mean() if few_days else here.mean()  # within one day, its rows differ by less than days do
        influence = np.empty(inside.size)
        influence[inside] = (here - middle) / here.size
        influence[~inside] = (elsewhere.mean() - elsewhere) / elsewhere.size
        found = wald(
            float(here.mean() - elsewhere.mean()),
            influence=influence,
            confidence=terms.confidence,
            clusters=terms.clusters,
        )
        yield DiscoveredSlice(
            columns=tuple(names[column] for column in of.columns),
            levels=spelt,
            measure=look.measure,
            value=float(here.mean()),
            elsewhere=float(elsewhere.mean()),
            difference=found.value,
            low=found.low,
            high=found.high,
            p_value=float(np.count_nonzero(worst >= distance[at] * (1 - 1e-5)) / worst.size),
            n=n,
            small=n < minimum_rows,
        )


def _unpacked(code: int, sizes: Sequence[int]) -> list[int]:
    """Give the level in each column that a joint code stands for."""
    return [code] if len(sizes) == 1 else [code // sizes[1], code % sizes[1]]
