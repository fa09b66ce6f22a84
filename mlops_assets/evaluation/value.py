"""What a model's decisions are worth to those who act on them."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from mlops_assets.errors import UnknownNameError
from mlops_assets.statistics import Array, TopScores, top_scores
from mlops_assets.statistics.inputs import finite, labels


class BusinessValue(BaseModel, frozen=True, extra="forbid"):
    """The terms of trade: how many cases can be acted on, what a right one brings and what a wrong one costs."""

    capacity_share: float = Field(
        default=0.10,
        gt=0,
        le=1,
        description="Share of decisions that can be acted on: those with the highest scores. 1 sets no limit: acted on "
        "is whatever pays.",
    )
    value_of_hit: float = Field(default=1.0, description="What acting on a case brings when it was right to.")
    cost_of_false_alarm: float = Field(default=0.0, ge=0, description="What acting on a case costs when it was not.")
    answers: Mapping[str, Mapping[str, float]] = Field(
        default={},
        description="Of several classes: what an answer brings, by the class that came and the class answered. Pairs "
        "that are left out bring nothing; a cost is below 0.",
    )
    unit: str = Field(default="points", description="What value and cost are counted in, for example EUR.")

    @property
    def pays_from(self) -> float | None:
        """The chance of a hit from which acting brings more than it costs; None where the capacity decides.

        Source: Elkan, IJCAI (2001) 973.

        >>> BusinessValue(capacity_share=1, value_of_hit=30, cost_of_false_alarm=10).pays_from
        0.25
        """
        if self.capacity_share < 1:
            return None
        return self.cost_of_false_alarm / (self.value_of_hit + self.cost_of_false_alarm) if self.value_of_hit > 0 else 1

    def worth_of(self, classes: Sequence[str]) -> Array | None:
        """Give `answers` as a table, shape (k, k), in the order of `classes`; None where nothing is declared.

        Raises:
            UnknownNameError: It names another class.

        >>> BusinessValue(answers={"late": {"late": 9, "early": -1}}).worth_of(["early", "late"]).tolist()
        [[0.0, 0.0], [-1.0, 9.0]]
        """
        if not self.answers:
            return None
        for name in (*self.answers, *(answer for each in self.answers.values() for answer in each)):
            if name not in classes:
                raise UnknownNameError("class in `value.answers`", name, known=classes)
        return np.array([[self.answers.get(came, {}).get(answer, 0.0) for answer in classes] for came in classes])

    def per_1000(self, y: npt.ArrayLike, score: npt.ArrayLike) -> float:
        """Give the value, in `unit`, of 1,000 decisions like these when the highest scores are acted on.

        >>> trade = BusinessValue(capacity_share=0.5, value_of_hit=10, cost_of_false_alarm=4)
        >>> trade.per_1000([1, 0, 1, 0], [0.9, 0.8, 0.3, 0.1])
        1500.0
        """
        return self.of(self.acted_on(y, score)) * 1000 / np.asarray(y).size

    def acted_on(self, y: npt.ArrayLike, score: npt.ArrayLike) -> TopScores:
        """Count the cases acted on and the hits among them; none may be."""
        if self.pays_from is None:
            return top_scores(y, score, share=self.capacity_share)
        happened = labels(y)
        acted = finite(score, name="score") >= self.pays_from
        return TopScores(
            int(np.count_nonzero(acted)), float(np.count_nonzero(happened & acted)), int(np.count_nonzero(happened))
        )

    def of(self, top: TopScores) -> float:
        """Give the value, in `unit`, of acting on these cases."""
        return top.hits * self.value_of_hit - (top.rows - top.hits) * self.cost_of_false_alarm
