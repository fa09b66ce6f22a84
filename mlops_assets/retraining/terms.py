"""What may be declared about when a model is retrained."""

from pydantic import BaseModel, Field, model_validator

from mlops_assets.errors import DeclarationError


class RetrainingPolicy(BaseModel, frozen=True, extra="forbid"):
    """What calls for retraining, and what holds it back."""

    degraded_windows: int = Field(default=2, ge=1, description="Windows below the promise, of the last `of_windows`.")
    of_windows: int = Field(default=3, ge=1, description="Newest windows with enough labels that are looked at.")
    cadence_days: float | None = Field(default=30.0, gt=0, description="Refresh once the champion's data are this old.")
    events: dict[str, float] = Field(
        default_factory=dict,
        description="Business events that call for retraining, and the days of new data to wait for after each.",
    )
    score_drift: str = Field("psi_excess", description="Value of the drift report the scores are judged by.")
    score_drift_at: float | None = Field(
        default=1.0, gt=0, description="From here on the scores have drifted severely."
    )
    score_drift_windows: int = Field(default=2, ge=1, description="Newest windows that must all show it.")

    cooldown_days: float = Field(
        default=7.0, ge=0, description="Least time between two requests; doubled by each refusal."
    )
    max_cooldown_days: float = Field(default=56.0, ge=0, description="Where the doubling ends.")
    max_per_month: int = Field(default=2, ge=1, description="Most requests in any 31 days, and so in any month.")
    minimum_new_rows: int = Field(
        default=1000, ge=0, description="Labelled rows that the champion has not been trained on."
    )

    @model_validator(mode="after")
    def _obeyable(self) -> "RetrainingPolicy":
        if self.degraded_windows > self.of_windows:
            raise DeclarationError(
                f"degraded_windows is {self.degraded_windows} but only {self.of_windows} windows are looked at, so bad "
                "performance could never retrain. Raise of_windows, or lower degraded_windows."
            )
        if self.max_cooldown_days < self.cooldown_days:
            raise DeclarationError(
                f"max_cooldown_days ({self.max_cooldown_days:g}) is less than cooldown_days ({self.cooldown_days:g}), "
                "so the cooldown could not be kept. Raise the one or lower the other."
            )
        for event, days in self.events.items():
            if days < 0:
                raise DeclarationError(f"Event {event!r} waits {days:g} days for data. Give 0 or more.")
        return self
