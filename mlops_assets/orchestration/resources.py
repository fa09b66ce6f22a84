"""What assets, sensors and schedules are given: the stores, and the time."""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import msgspec
from pydantic import Field, PrivateAttr

from mlops_assets.orchestration.tags import AS_OF_TAG
from mlops_assets.stores._atomic import write_file
from mlops_assets.stores.home import DEFAULT_HOME, Home
from mlops_assets.validation import Promise


class HomeResource(dg.ConfigurableResource[Home]):
    """The stores of this installation, below `path`; other places come from `MLOPS_*` in the environment."""

    path: str = DEFAULT_HOME
    promises: dict[str, str] = Field(
        default_factory=dict, description="For each model, as JSON, how fresh what it learns from is promised to be."
    )

    _home: Home | None = PrivateAttr(default=None)

    def open(self) -> Home:
        """Open the stores, once per process."""
        if self._home is None:
            self._home = Home(self.path, settings=os.environ)
        return self._home

    def promised(self, model: str) -> tuple[Promise, ...]:
        """Give how fresh what `model` learns from is promised to be; its own folder does not say that."""
        return msgspec.json.decode(self.promises.get(model, "[]"), type=tuple[Promise, ...])


def now(home: Home) -> datetime:
    """Tell the time: a replay's, if one is under way in this home, else the wall clock's."""
    return replay_time(home) or datetime.now(UTC)


def replay_time(home: Home) -> datetime | None:
    """Tell the time of the replay under way in this home, None if there is none."""
    try:
        return datetime.fromisoformat(_clock(home).read_text())
    except FileNotFoundError:
        return None


def set_replay_time(home: Home, time: datetime) -> None:
    """Move the clock of a replay; every sensor, schedule and asset of this home then sees that time."""
    write_file(_clock(home), time.isoformat().encode())


def _clock(home: Home) -> Path:
    return home.root / "clock"


def as_of(context: dg.AssetExecutionContext, home: Home) -> datetime:
    """Tell the cut-off of this run: the `mlops/as_of` tag if the run carries one, else the time now.

    A retried or re-executed run keeps its tags, and so its cut-off: it sees the data its first attempt saw.
    """
    tag = context.run.tags.get(AS_OF_TAG)
    return datetime.fromisoformat(tag) if tag else now(home)
