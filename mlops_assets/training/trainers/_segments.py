"""Boosting in segments, so that a fit that was killed goes on from its last whole one and ends with the same bytes.

The text of a LightGBM model holds its trees, but neither how far bagging and feature sampling had drawn nor the score
of each row. So every segment of rounds draws from seeds of its own, derived from the seed and the segment's number, and
begins with the scores that the trees before it give. Where a segment begins, the text is all there is to know, in a fit
that was disturbed and in one that was not. A fit of one segment is the fit LightGBM does by itself.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.records import Params
from mlops_assets.training.trainer import Array

Rows = slice | npt.NDArray[Any]

SEEDS = ("data_random_seed", "bagging_seed", "feature_fraction_seed", "extra_seed", "drop_seed", "objective_seed")


def seeds_of(seed: int, segment: int = 0) -> Params:
    """Give the seeds that a segment draws from; those of the first are on record as the fit's."""
    drawn = np.random.SeedSequence([seed, segment] if segment else seed).generate_state(len(SEEDS))
    return {name: int(state >> 1) for name, state in zip(SEEDS, drawn, strict=True)}


class Growth(msgspec.Struct):
    """Trees up to the end of a whole segment: their text, how many rounds each segment ended at, a loss per round."""

    model: str = ""
    ends: list[int] = msgspec.field(default_factory=list)
    losses: list[float] = msgspec.field(default_factory=list)
    finished: bool = False

    def grow(
        self,
        params: Params,
        X: Array,
        data: Any,
        rounds: tuple[int, int],
        *,
        learnt: Rows,
        watched: tuple[Rows, Any],
        patience: int | None = None,
        ended: Callable[[], None] = lambda: None,
    ) -> Iterator[float]:
        """Grow on, and give the loss after each.

        Args:
            params: As LightGBM takes them.
            X: All rows.
            data: Those that are learnt from, as LightGBM's data set.
            rounds: How many there will be, and how many of them make a segment.
            learnt: Which rows of `X` they are.
            watched: Which rows of `X` the loss is taken on, and these rows as a data set.
            patience: Rounds without a lower loss after which to stop.
            ended: Called at the end of each segment, when this growth holds it.
        """
        from lightgbm import Booster

        most, segment = rounds
        scores = _total(self._added(X, each) for each in range(len(self.ends)))
        while not self.finished:
            if scores is not None:
                data.set_init_score(scores[learnt])
                watched[1].set_init_score(scores[watched[0]])
            drawn = seeds_of(int(params["seed"]), len(self.ends)) if self.ends else {}
            booster = Booster({**params, "num_iterations": most, **drawn}, data)
            if self.ends:
                _put_before(booster, self.model)
            booster.add_valid(watched[1], "watched")
            losses = list(self.losses)
            while not self.finished and len(losses) < min(most, len(self.losses) + segment):
                booster.update()
                losses.append(float(booster.eval_valid()[0][2]))
                yield losses[-1]
                self.finished = patience is not None and len(losses) - best_round(losses) >= patience
            self.losses, self.model = losses, _with_seeds(booster.model_to_string(num_iteration=-1), params)
            self.ends.append(int(booster.current_iteration()))
            self.finished = self.finished or len(losses) >= most
            del booster
            ended()
            if not self.finished:
                scores = _total([*([] if scores is None else [scores]), self._added(X, len(self.ends) - 1)])

    def _added(self, X: Array, segment: int) -> Array:
        """Give what the trees of a segment add to the raw score of each row."""
        from lightgbm import Booster

        begin = self.ends[segment - 1] if segment else 0
        rounds = self.ends[segment] - begin
        if not rounds:  # LightGBM found nothing to split any more; asked for 0 rounds it would take all
            return np.zeros(1)
        booster = Booster(model_str=self.model)
        return np.asarray(
            booster.predict(X, raw_score=True, start_iteration=begin, num_iteration=rounds, num_threads=1)
        )


def best_round(losses: Sequence[float]) -> int:
    """Give the number of rounds after which the loss was lowest, the first of equals.

    >>> best_round([0.7, 0.5, 0.6, 0.5])
    2
    """
    return min(range(len(losses)), key=lambda each: (losses[each] != losses[each], losses[each])) + 1


def _total(parts: Iterable[Array]) -> Array | None:
    """Add scores up, first to last: another order would give other last bits."""
    total = None
    for part in parts:
        total = part if total is None else total + part
    return total


def _put_before(booster: Any, model: str) -> None:
    """Let `booster` go on from the trees of `model`, as LightGBM does for `init_model`.

    Asked for that, LightGBM would have all of `model` predict all rows again in each segment.
    """
    from lightgbm.basic import Booster, _safe_call
    from lightgbm.libpath import _LIB

    before = Booster(model_str=model)  # a name of its own, for its handle must outlive the call
    _safe_call(_LIB.LGBM_BoosterMerge(booster._handle, before._handle))


def _with_seeds(model: str, params: Params) -> str:
    """Let the text name the seeds on record instead of those of its last segment, which follow from them."""
    trees, mark, parameters = model.partition("\nparameters:")
    for name in SEEDS:
        parameters = re.sub(rf"^\[{name}: \d+\]$", f"[{name}: {params[name]}]", parameters, flags=re.MULTILINE)
    return f"{trees}{mark}{parameters}"
