"""Boosting in segments, so that a fit that was killed goes on from its last whole one and ends with the same bytes.

The text of a LightGBM model holds its trees, but neither how far bagging and feature sampling had drawn nor the score
of each row. So every segment of rounds draws from seeds of its own, derived from the seed and the segment's number, and
the scores are those that the trees give, added up one after the other as they are while they grow. Where a segment
begins, the text is then all there is to know. A fit that nothing cuts off goes on with the booster it has, so segments
cost it nothing but new seeds; one that was cut off has the text predict all rows once. A fit of one segment is the fit
LightGBM does by itself.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from mlops_assets.records import Params
from mlops_assets.training.trainer import Array

Rows = slice | npt.NDArray[Any]

LOSS_DIGITS = 9  # LightGBM adds losses up per thread, so the last digits differ, and with them the best of equal rounds

SEEDS = ("data_random_seed", "bagging_seed", "feature_fraction_seed", "extra_seed", "drop_seed", "objective_seed")


def seeds_of(seed: int, segment: int = 0) -> Params:
    """Give the seeds that a segment draws from; those of the first are on record as the fit's."""
    drawn = np.random.SeedSequence([seed, segment] if segment else seed).generate_state(len(SEEDS))
    return {name: int(state >> 1) for name, state in zip(SEEDS, drawn, strict=True)}


class Growth(msgspec.Struct, forbid_unknown_fields=True):
    """Trees up to the end of a whole segment: their text, of how many segments and trees it is, a loss per round."""

    model: str = ""
    segments: int = 0
    trees: int = 0
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
        most, segment = rounds
        params = {**params, "num_iterations": most}
        booster = None
        while not self.finished:
            if booster is None:
                booster = self._begun(params, X, data, learnt=learnt, watched=watched)
            else:
                _draw_anew(booster, params, self._drawn(params))
            losses, grew = list(self.losses), True
            while not self.finished and len(losses) < min(most, len(self.losses) + segment):
                grew &= not booster.update()
                losses.append(float(f"{booster.eval_valid()[0][2]:.{LOSS_DIGITS}g}"))
                yield losses[-1]
                self.finished = patience is not None and len(losses) - best_round(losses) >= patience
            text = booster.model_to_string(num_iteration=-1)
            self.losses, self.model = losses, _with_seeds(_read_again(text) if self.segments else text, params)
            self.segments += 1
            self.trees = int(booster.current_iteration())
            self.finished = self.finished or len(losses) >= most
            ended()
            if not grew or segment % max(int(params["bagging_freq"]), 1):
                booster = None  # when to bag it tells by the rounds it counted, and one that begins now counts from 0

    def _drawn(self, params: Params) -> Params:
        """Give the seeds of the segment that begins, but for that of the bins, which are there already."""
        drawn = seeds_of(int(params["seed"]), self.segments)
        return {name: seed for name, seed in drawn.items() if name != "data_random_seed"}

    def _begun(self, params: Params, X: Array, data: Any, *, learnt: Rows, watched: tuple[Rows, Any]) -> Any:
        """Give a booster that stands where the text ends."""
        from lightgbm import Booster

        if not self.segments:
            booster = Booster(params, data)
        else:
            before = Booster(model_str=self.model)
            scores = before.predict(X, raw_score=True, num_iteration=-1, num_threads=1)
            data.set_init_score(scores[learnt])
            watched[1].set_init_score(scores[watched[0]])
            booster = Booster({**params, **self._drawn(params)}, data)
            _put_before(booster, before)
        booster.add_valid(watched[1], "watched")
        return booster


def best_round(losses: Sequence[float]) -> int:
    """Give the number of rounds after which the loss was lowest, the first of equals.

    >>> best_round([0.7, 0.5, 0.6, 0.5])
    2
    """
    return min(range(len(losses)), key=lambda each: (losses[each] != losses[each], losses[each])) + 1


def _draw_anew(booster: Any, params: Params, drawn: Params) -> None:
    """Let `booster` draw from other seeds, as one that begins now.

    LightGBM goes on with the numbers it drew for bagging unless the share of the rows changes; so for a moment it does.
    """
    share = float(params["bagging_fraction"])
    if _bags(params):
        booster.reset_parameter({"bagging_fraction": share * 0.999})
        booster.reset_parameter({"bagging_fraction": share, **drawn})
    else:
        booster.reset_parameter(drawn)


def _bags(params: Params) -> bool:
    """Say whether LightGBM draws rows; told to begin to and to stop again, it would fail."""
    of_each = min(float(params.get(f"{label}_bagging_fraction", 1)) for label in ("pos", "neg"))
    share = min(float(params["bagging_fraction"]), of_each if params["objective"] == "binary" else 1)
    return bool(params["bagging_freq"]) and share < 1


def _put_before(booster: Any, before: Any) -> None:
    """Let `booster` go on from the trees of another, as LightGBM does for `init_model`.

    Asked for that, LightGBM would have them predict the rows that are learnt from and those that are watched apart.
    """
    from lightgbm.basic import _safe_call
    from lightgbm.libpath import _LIB

    _safe_call(_LIB.LGBM_BoosterMerge(booster._handle, before._handle))


def _read_again(model: str) -> str:
    """Give the text as LightGBM writes it once it has read it, as after a kill: a tree that split nothing differs."""
    from lightgbm import Booster

    return str(Booster(model_str=model).model_to_string(num_iteration=-1))


def _with_seeds(model: str, params: Params) -> str:
    """Let the text name the seeds on record instead of those of its last segment, which follow from them."""
    trees, mark, parameters = model.partition("\nparameters:")
    for name in SEEDS:
        parameters = re.sub(rf"^\[{name}: \d+\]$", f"[{name}: {params[name]}]", parameters, flags=re.MULTILINE)
    return f"{trees}{mark}{parameters}"
