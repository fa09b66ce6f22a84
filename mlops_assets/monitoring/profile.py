"""A profile: what the rows of a table look like, column by column, small enough to travel and exact under addition.

The training profile travels in the model bundle; a window of production rows is counted in the same cells. Profiles of
any two sets of rows over the same cells add up to the profile of both: days make weeks without a second look at rows.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlops_assets.digests import canonical_json
from mlops_assets.errors import MonitoringError, examples
from mlops_assets.monitoring.cells import (
    DEFAULT_BINS,
    RESOLUTION,
    Cells,
    Counts,
    LevelCells,
    Numbers,
    NumericCells,
    Values,
)

SCORE = "model score"  # no feature can be called so: features are Python names
CLASS_SCORE = "probability of "  # and then the class
FORMAT = 1  # raise it when old profiles can no longer be read


@dataclass(frozen=True, slots=True, eq=False)
class ColumnProfile:
    """One column's rows counted in its cells; `sums` is empty for a categorical column."""

    name: str
    cells: Cells
    counts: Counts
    sums: Counts

    @property
    def rows(self) -> int:
        """How many rows were counted, nulls among them."""
        return int(self.counts.sum())

    @property
    def null_share(self) -> float:
        """The share of rows that are null; 0 when there are no rows."""
        return float(self.counts[-1] / max(self.rows, 1))

    @property
    def outside_share(self) -> float:
        """The share of rows that training never saw the like of: out of range, or an unseen level."""
        return float(self.counts[self.cells.outside()].sum() / max(self.rows, 1))

    @property
    def mean(self) -> float | None:
        """The mean of a numeric column's values, those beyond the fences taken as lying on them."""
        values = self.counts[:-1].sum()
        if not isinstance(self.cells, NumericCells) or not values:
            return None
        step = (self.cells.fence_high - self.cells.fence_low) / RESOLUTION
        return float(self.cells.fence_low + step * (self.sums.sum() / values))

    def grouped(self) -> Counts:
        """Give the counts of the coarse groups: tenths of training, or common levels, rare ones, unseen; and null."""
        return np.bincount(self.cells.groups, weights=self.counts).astype(np.int64)

    def same_cells(self, other: "ColumnProfile") -> bool:
        """Tell whether the two were counted in the same cells."""
        return self.cells is other.cells or self.cells.plain() == other.cells.plain()

    def __add__(self, other: "ColumnProfile") -> "ColumnProfile":
        if self.name != other.name or not self.same_cells(other):
            raise MonitoringError(
                f"Column {self.name!r} was counted in other cells than {other.name!r}, so their counts do not add up. "
                "Count both with `count` of the same training profile.",
                column=self.name,
            )
        return ColumnProfile(self.name, self.cells, self.counts + other.counts, self.sums + other.sums)


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The columns of a set of rows, each counted in its cells.

    >>> training = Profile.of({"age": np.array([31.0, 45.0, np.nan]), "plan": np.array(["a", "b", "a"])},
    ...                       levels={"plan": ["a", "b"]})
    >>> monday, tuesday = ({"age": np.array([x]), "plan": np.array([p])} for x, p in [(99.0, "c"), (31.0, "b")])
    >>> week = training.count(monday) + training.count(tuesday)
    >>> week.rows, week.columns["age"].outside_share, week.columns["plan"].outside_share
    (2, 0.5, 0.5)
    """

    columns: dict[str, ColumnProfile]

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Values],
        *,
        levels: Mapping[str, Sequence[str]] | None = None,
        bins: int = DEFAULT_BINS,
    ) -> "Profile":
        """Choose cells from these rows, the training rows, and count them.

        Args:
            columns: Columns of the same length; null is NaN or None.
            levels: The levels of every categorical column, in code order. Their values are level names or codes.
            bins: The most cells a numeric column may have between its smallest and its largest value.
        """
        levels = levels or {}
        cells: dict[str, Cells] = {}
        for name, values in columns.items():
            if name in levels:
                cells[name] = LevelCells.choose(values, tuple(levels[name]))
            else:
                cells[name] = NumericCells.choose(values, bins=bins)
        return cls._counted(cells, columns)

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return next((column.rows for column in self.columns.values()), 0)

    def count(self, columns: Mapping[str, Values]) -> "Profile":
        """Count other rows in the same cells.

        Raises:
            MonitoringError: The columns are not those of this profile, or not of one length.
        """
        if missing := sorted(self.columns.keys() - columns.keys()):
            raise MonitoringError(
                f"Columns of the training profile are missing: {examples(missing)}. A window cannot be compared "
                "without them. Give the columns the model was trained on, and its score.",
                missing=missing,
            )
        if extra := sorted(columns.keys() - self.columns.keys()):
            raise MonitoringError(
                f"Columns are not in the training profile: {examples(extra)}. Nothing is known to compare them with. "
                "Leave them out, or profile them at training.",
                extra=extra,
            )
        return self._counted({name: column.cells for name, column in self.columns.items()}, columns)

    @classmethod
    def _counted(cls, cells: Mapping[str, Cells], columns: Mapping[str, Values]) -> "Profile":
        if len(lengths := {name: len(columns[name]) for name in cells}) and len(set(lengths.values())) > 1:
            raise MonitoringError(
                f"Columns differ in length ({examples(f'{name}: {rows}' for name, rows in lengths.items())}), so they "
                "are not the same rows. Give every column a value or a null for each row.",
                lengths=lengths,
            )
        return cls({name: ColumnProfile(name, cut, *cut.count(columns[name])) for name, cut in cells.items()})

    def empty(self) -> "Profile":
        """Give the profile of no rows in the same cells: where a sum over days starts."""
        return Profile(
            {
                name: ColumnProfile(name, column.cells, np.zeros_like(column.counts), np.zeros_like(column.sums))
                for name, column in self.columns.items()
            }
        )

    def __or__(self, other: "Profile") -> "Profile":
        """Give the columns of both, which may have counted different rows."""
        return Profile(self.columns | other.columns)

    def __add__(self, other: "Profile") -> "Profile":
        if self.columns.keys() != other.columns.keys():
            odd = sorted(self.columns.keys() ^ other.columns.keys())
            raise MonitoringError(
                f"The profiles have different columns ({examples(odd)}), so their sum would have holes. Count both "
                "with `count` of the same training profile.",
                columns=odd,
            )
        return Profile({name: column + other.columns[name] for name, column in self.columns.items()})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # large and never a key

    def to_json(self) -> bytes:
        """Give canonical JSON: the same profile always gives the same bytes, on every machine."""
        return canonical_json(
            {
                "format": FORMAT,
                "columns": [
                    {
                        "name": column.name,
                        "cells": column.cells.plain(),
                        "counts": column.counts.tolist(),
                        "sums": column.sums.tolist(),
                    }
                    for column in self.columns.values()
                ],
            }
        )

    @classmethod
    def from_json(cls, data: bytes) -> "Profile":
        """Give the profile back from `to_json`.

        Raises:
            MonitoringError: `data` is not a profile of a format this version reads.
        """
        try:
            plain = json.loads(data)
            if plain["format"] != FORMAT:
                raise ValueError(f"format {plain['format']!r}, expected {FORMAT}")
            columns = [_column(each) for each in plain["columns"]]
        except (ValueError, KeyError, TypeError) as error:
            raise MonitoringError(
                f"This is not a training profile ({type(error).__name__}: {error}), so nothing can be compared with "
                "it. Retrain the model to write a new one.",
            ) from error
        return cls({column.name: column for column in columns})


def feature_columns(names: Sequence[str], features: Numbers) -> dict[str, Values]:
    """Name the columns of a feature matrix, shape (rows, len(names))."""
    return {name: features[:, place] for place, name in enumerate(names)}


def score_columns(scores: Numbers, *, classes: Sequence[str] = ()) -> dict[str, Values]:
    """Name a model's scores.

    Of several classes the score is the probability of the most probable one, and beside it stand those of each of
    `classes`: a model may be as sure as ever of the wrong mixture.
    """
    if scores.ndim == 1:
        return {SCORE: scores}
    of_classes: dict[str, Values] = {f"{CLASS_SCORE}{name}": scores[:, place] for place, name in enumerate(classes)}
    return of_classes | {SCORE: scores.max(axis=1)}


def matrix_columns(
    names: Sequence[str], features: Numbers, scores: Numbers, *, classes: Sequence[str] = ()
) -> dict[str, Values]:
    """Name the columns of a feature matrix, and put the model's scores beside them."""
    return feature_columns(names, features) | score_columns(scores, classes=classes)


def _column(plain: dict[str, Any]) -> ColumnProfile:
    kinds: dict[str, Callable[[dict[str, Any]], Cells]] = {
        "numeric": NumericCells.from_plain,
        "categorical": LevelCells.from_plain,
    }
    cells = kinds[plain["cells"]["kind"]](plain["cells"])
    counts, sums = np.array(plain["counts"], np.int64), np.array(plain["sums"], np.int64)
    if len(counts) != len(cells.groups):
        raise ValueError(f"column {plain['name']!r} has {len(counts)} counts for {len(cells.groups)} cells")
    return ColumnProfile(plain["name"], cells, counts, sums)
