"""Which span of decision times a model learns from, and which it is judged on."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.records import Span

Times = npt.NDArray[np.datetime64]


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cut:
    """The two spans of one training: what is learnt from and, later in time, what is held out."""

    train: Span
    holdout: Span

    def parts(self, times: Times, known_at: Times) -> tuple[Mask, Mask]:
        """Say for each row whether it is learnt from, and whether it is held out; times are UTC, without zone.

        Learnt from is only what was known when the hold-out began, as for a model that went live then. A gap alone does
        not see to that, where labels take longer to come than the gap lasts.
        """
        return inside(self.train, times) & (known_at <= _moment(self.holdout.start)), inside(self.holdout, times)


def inside(span: Span, times: Times) -> Mask:
    """Say for each of `times` (UTC, without zone) whether it lies in `span`."""
    within: Mask = (times >= _moment(span.start)) & (times < _moment(span.end))
    return within


def _moment(at: datetime) -> np.datetime64:
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


class TrainingWindow(BaseModel, frozen=True, extra="forbid"):
    """How the time before a cut-off is divided. The hold-out is always its newest part: a random one would leak."""

    kind: Literal["expanding", "sliding", "fixed"] = Field(
        default="expanding",
        description="expanding: all time since the first row; sliding: the newest `days`; fixed: the first `days`.",
    )
    days: int | None = Field(default=None, ge=1, description="Length of a sliding or fixed window.")
    holdout_days: int = Field(default=14, ge=1, description="Newest days before the cut-off, kept for the evaluation.")
    gap_days: int = Field(
        default=1,
        ge=0,
        description="Days left out between training and hold-out, so that what is held out is news to the model.",
    )
    label_delay_days: float = Field(
        default=0.0,
        ge=0,
        description="How long labels take to come: the hold-out ends as long before the cut-off, for its newest days "
        "would hold only what is known early, which may be the easy half.",
    )
    minimum_rows: int = Field(
        default=1000, ge=1, description="Labelled training rows without which no model is fitted."
    )

    @model_validator(mode="after")
    def _days_belong_to_the_kind(self) -> Self:
        if (self.days is None) != (self.kind == "expanding"):
            raise DeclarationError(
                f"A window of kind {self.kind!r} "
                + (
                    "needs `days`, its length."
                    if self.days is None
                    else "takes no `days`: it reaches to the first row."
                ),
                window_kind=self.kind,
                days=self.days,
            )
        return self

    @property
    def label_delay(self) -> timedelta:
        """How long labels take to come."""
        return timedelta(days=self.label_delay_days)

    def cut(self, cut_off: datetime, *, first: datetime) -> Cut:
        """Divide the time from `first`, the oldest decision time there is, up to the end of the hold-out, `cut_off`.

        Raises:
            TrainingError: Nothing is left to learn from, or a time has no zone.
        """
        if cut_off.tzinfo is None or first.tzinfo is None:
            raise TrainingError(
                f"The cut-off {cut_off} and the first time {first} need a time zone; without one the hold-out could "
                "shift by hours into the training window. Pass times in UTC.",
                cut_off=cut_off,
                first=first,
            )
        holdout = Span(cut_off - timedelta(days=self.holdout_days), cut_off)
        end = holdout.start - timedelta(days=self.gap_days)
        start = first
        if self.kind == "sliding":
            start = max(first, end - timedelta(days=self.days or 0))
        if self.kind == "fixed":
            end = min(end, first + timedelta(days=self.days or 0))
        if start >= end:
            raise TrainingError(
                f"From {first:%Y-%m-%d} to the cut-off {cut_off:%Y-%m-%d} nothing is left to learn from after "
                f"{self.holdout_days} days of hold-out and {self.gap_days} of gap. "
                "Wait for more history, or shorten `holdout_days`.",
                first=first,
                cut_off=cut_off,
            )
        return Cut(Span(start, end), holdout)

    def require(self, rows: int) -> None:
        """Refuse to train on fewer than `minimum_rows` rows.

        Raises:
            TrainingError: There are fewer.
        """
        if rows < self.minimum_rows:
            raise TrainingError(
                f"The training window holds {rows} labelled rows, fewer than the {self.minimum_rows} declared as "
                "`minimum_rows`; a model of so few would mostly learn noise. Wait for more, or widen the window.",
                rows=rows,
                minimum_rows=self.minimum_rows,
            )
