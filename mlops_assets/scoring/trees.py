"""Scores of decision trees, one or a forest or boosted, read from scikit-learn's own arrays."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_assets.scoring.scorer import Array, require_width

CELLS = 2**18  # rows times trees looked at together; only speed and memory hang on it

Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Nodes of all trees in one row of arrays; a leaf leads to itself.

    `values` has shape (nodes, k); a tree adds its leaf's k values. `narrow` reads numbers as float32, as scikit-learn's
    forests do.
    """

    roots: Places
    left: Places
    right: Places
    feature: Places
    threshold: Array
    missing_left: npt.NDArray[np.bool_]
    values: Array
    depth: int
    narrow: bool

    @classmethod
    def of(cls, grown: Sequence[dict[str, npt.NDArray[Any]]], *, narrow: bool) -> "Trees":
        """Join trees given as columns: left, right (below 0 in a leaf), feature, threshold, missing_left, values."""
        sizes = [len(tree["left"]) for tree in grown]
        roots = np.cumsum([0, *sizes[:-1]]).astype(np.intp)
        left, right, feature = [], [], []
        for root, size, tree in zip(roots, sizes, grown, strict=True):
            own = np.arange(size) + root
            leaf = tree["left"] < 0
            left.append(np.where(leaf, own, tree["left"] + root))
            right.append(np.where(leaf, own, tree["right"] + root))
            feature.append(np.where(leaf, 0, tree["feature"]))
        return cls(
            roots=roots,
            left=np.concatenate(left).astype(np.intp),
            right=np.concatenate(right).astype(np.intp),
            feature=np.concatenate(feature).astype(np.intp),
            threshold=np.concatenate([tree["threshold"] for tree in grown]).astype(np.float64),
            missing_left=np.concatenate([tree["missing_left"] for tree in grown]).astype(bool),
            values=np.concatenate([tree["values"] for tree in grown]).astype(np.float64),
            depth=max(_depth(tree["left"], tree["right"]) for tree in grown),
            narrow=narrow,
        )

    def leaves(self, vectors: Array) -> Array:
        """Give the value of the leaf that each row falls into, shape (n, trees, k)."""
        if self.narrow:
            with np.errstate(over="ignore"):
                vectors = vectors.astype(np.float32)
        node = np.broadcast_to(self.roots, (len(vectors), len(self.roots)))
        rows = np.arange(len(vectors))[:, None]
        for _ in range(self.depth):
            found = vectors[rows, self.feature[node]]
            to_left = np.where(np.isnan(found), self.missing_left[node], found <= self.threshold[node])
            node = np.where(to_left, self.left[node], self.right[node])
        return self.values[node]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeScorer:
    """Adds up the leaves of every tree, in the order of the trees, and turns the sums into scores.

    `start` is where the sums begin, shape (outputs,); `finish` makes scores of sums of shape (n, outputs).
    """

    features: int
    trees: Trees
    start: Array
    finish: Callable[[Array], Array]

    def score(self, vectors: Array) -> Array:
        """See `Scorer.score`."""
        require_width(vectors, self.features)
        step = max(1, CELLS // len(self.trees.roots))
        blocks = [self._sums(vectors[at : at + step]) for at in range(0, max(len(vectors), 1), step)]
        return self.finish(np.concatenate(blocks))

    def _sums(self, vectors: Array) -> Array:
        """Give the sums over all trees, one addition after another: NumPy's `sum` would pair them by their number."""
        leaves, outputs = self.trees.leaves(vectors), len(self.start)
        leaves = leaves.reshape(len(vectors), len(self.trees.roots) * leaves.shape[2] // outputs, outputs)
        first = np.broadcast_to(self.start, (len(vectors), 1, outputs))
        return np.asarray(np.add.accumulate(np.concatenate([first, leaves], axis=1), axis=1)[:, -1], dtype=np.float64)


def _depth(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> int:
    """Give how many steps lead from the root to the deepest leaf."""
    level, depth = np.array([0]), 0
    while (level := level[left[level] >= 0]).size:
        level, depth = np.concatenate([left[level], right[level]]), depth + 1
    return depth
