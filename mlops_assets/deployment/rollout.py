"""How a version goes live, as a pure state machine: what was seen goes in, the next state comes out.

    pending -> loading -> warming -> live
                  |          |
                  +----------+-----> failed -> rolled_back

`loading` waits for the endpoint to report the release, `warming` tries predictions on it, `rolled_back` means that the
version before it answers again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, Field, field_validator

from mlops_assets.errors import DeploymentError, UnknownNameError, examples

State = Literal["pending", "loading", "warming", "live", "rolled_back", "failed"]


class RolloutPolicy(BaseModel, frozen=True, extra="forbid"):
    """How a new version is brought to the endpoint, and when to give up and go back."""

    target: str = Field(default="local", description="Where the model is deployed to; one of the deployment targets.")
    timeout_s: float = Field(
        default=30.0, gt=0, description="How long the endpoint may take to report the new version."
    )
    poll_s: float = Field(default=0.1, gt=0, description="How often the endpoint is asked while waiting.")
    smoke_rows: int = Field(
        default=5, ge=1, description="Golden rows sent as real requests before the version counts as live."
    )

    @field_validator("target")
    @classmethod
    def _known(cls, target: str) -> str:
        from mlops_assets.deployment import TARGETS  # the targets obey this policy, so they import this file

        if target not in TARGETS:
            raise UnknownNameError("deployment target", target, known=TARGETS)
        return target


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What an endpoint says of a model: what answers, and the release it could not bring up, if any."""

    generation: int | None = None
    bundle_sha256: str | None = None
    failed_generation: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One version on its way; every method gives the rollout after what it was told, and changes nothing."""

    model: str
    version: int
    bundle_sha256: str
    generation: int
    state: State = "pending"
    reason: str = ""

    def released(self) -> "Rollout":
        """Note that the release is written, so that the endpoint will see it."""
        return self._go("loading", after=("pending",))

    def seen(self, sighting: Sighting | None, *, waited_s: float, policy: RolloutPolicy) -> "Rollout":
        """Judge what the endpoint reports after `waited_s`; None stands for an endpoint that does not answer."""
        self._must_be("loading")
        if sighting is not None:
            if sighting.failed_generation == self.generation:
                return self._fail(f"the endpoint cannot bring it up: {sighting.failure}")
            if (sighting.generation or 0) > self.generation:
                return self._fail(f"generation {sighting.generation} was released by somebody else meanwhile")
            if sighting.generation == self.generation:
                if sighting.bundle_sha256 == self.bundle_sha256:
                    return self._go("warming", after=("loading",))
                return self._fail(f"the endpoint reports bundle {sighting.bundle_sha256} under this generation")
        if waited_s >= policy.timeout_s:
            found = "does not answer" if sighting is None else f"reports generation {sighting.generation}"
            return self._fail(
                f"after {waited_s:.0f} s the endpoint still {found}. Look at its log, and see that it was started with"
                " the same home as this deployment"
            )
        return self

    def smoked(self, faults: Sequence[str]) -> "Rollout":
        """Judge the smoke predictions: live without faults, failed with any."""
        self._must_be("warming")
        if faults:
            return self._fail(f"smoke predictions failed: {examples(faults)}")
        return self._go("live", after=("warming",))

    def restored(self, version: int) -> "Rollout":
        """Note that an earlier version answers again."""
        return replace(
            self._go("rolled_back", after=("failed",)), reason=f"{self.reason}; version {version} answers again"
        )

    def _fail(self, reason: str) -> "Rollout":
        return replace(self._go("failed", after=("loading", "warming")), reason=reason)

    def _go(self, state: State, *, after: tuple[State, ...]) -> "Rollout":
        self._must_be(*after)
        return replace(self, state=state)

    def _must_be(self, *states: State) -> None:
        if self.state not in states:
            raise DeploymentError(
                f"The rollout of {self.model!r} version {self.version} is {self.state}, not {' or '.join(states)}, so"
                " this step does not apply to it.",
                state=self.state,
            )
