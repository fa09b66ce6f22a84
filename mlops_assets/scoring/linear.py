"""Scores of linear models over standardised numbers, flags of missing ones, and category levels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_assets.scoring.scorer import Array, require_width


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTerm:
    """A number, its missing values filled in, standardised, times its weights, shape (k,)."""

    column: int
    filling: float
    mean: float
    scale: float
    weights: Array

    def values(self, column: Array) -> Array:
        """Give the standardised numbers."""
        return (np.where(np.isnan(column), self.filling, column) - self.mean) / self.scale

    def of(self, column: Array) -> Array:
        """Give what the column adds to each raw score, shape (k, n)."""
        return np.asarray(self.weights[:, None] * self.values(column))


@dataclass(frozen=True, slots=True, kw_only=True)
class GapTerm:
    """Whether a number is missing, standardised, times its weights, shape (k,)."""

    column: int
    mean: float
    scale: float
    weights: Array

    def of(self, column: Array) -> Array:
        """Give what the column adds to each raw score, shape (k, n)."""
        return np.asarray(self.weights[:, None] * ((np.isnan(column) - self.mean) / self.scale))


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelTerm:
    """The level of a category: `weights`, shape (k, levels), of `codes`, ascending, a missing one last as NaN.

    A level that training never saw adds nothing.
    """

    column: int
    codes: Array
    weights: Array

    def places(self, column: Array) -> npt.NDArray[np.intp]:
        """Give the place of each row's level, or the number of levels where it is unknown."""
        known = self.codes[~np.isnan(self.codes)]
        place = np.searchsorted(known, column)
        seen = np.append(known, np.nan)[place] == column
        gap = np.isnan(column) & (known.size < self.codes.size)
        return np.where(gap, known.size, np.where(seen, place, self.codes.size))

    def of(self, column: Array) -> Array:
        """Give what the column adds to each raw score, shape (k, n)."""
        with_unknown = np.column_stack([self.weights, np.zeros(len(self.weights))])
        return np.asarray(with_unknown[:, self.places(column)])


Term = NumberTerm | GapTerm | LevelTerm


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearScorer:
    """Adds up terms, one after another, and turns the k sums of each row, shape (k, n), into scores."""

    features: int
    terms: tuple[Term, ...]
    intercept: Array
    finish: Callable[[Array], Array]

    def score(self, vectors: Array) -> Array:
        """See `Scorer.score`."""
        require_width(vectors, self.features)
        total = np.repeat(self.intercept[:, None], len(vectors), axis=1)
        for _, added in self.added(vectors):
            total += added
        return self.finish(total)

    def added(self, vectors: Array) -> Iterator[tuple[int, Array]]:
        """Give, term by term, its column and what it adds to each raw score, shape (k, n)."""
        for term in self.terms:
            yield term.column, term.of(np.ascontiguousarray(vectors[:, term.column]))
