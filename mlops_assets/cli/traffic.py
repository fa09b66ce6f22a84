"""Whoever asks for predictions during a replay, and what they saw of the endpoint."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from threading import Lock
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from mlops_assets.cli.world import World
from mlops_assets.features import FeatureModule
from mlops_assets.features.columns import as_declared
from mlops_assets.orchestration.model_declaration import ModelFolder


@dataclass
class Traffic:
    """What the client saw of the endpoint: requests sent, those sent while a release was under way, every failure."""

    requests: int = 0
    during_releases: int = 0
    failures: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def note(self, *, again: bool, failure: str | None) -> None:
        """Note a request, one that is asked again during a release, and what was wrong with its answer if anything."""
        with self._lock:
            self.requests += 1
            self.during_releases += again
            if failure:
                self.failures.append(failure)


class Client:
    """Whoever asks for a model's predictions: one request per decision, over one connection that is kept open."""

    def __init__(self, folder: ModelFolder, world: World, *, url: str, traffic: Traffic) -> None:
        about = folder.declaration.decisions
        module = FeatureModule.load(folder.features_source, name=folder.name)
        history = world.history(about.table)
        decided = pc.subtract(history[about.time], pa.scalar(about.lead, pa.duration("us")))
        order = pc.sort_indices(decided)
        self._decided = decided.take(order)
        self._keys = history[about.key].take(order)
        self._rows = as_declared(history, module.request).take(order)
        self._path = f"/models/{folder.name}/predict"
        self._address = urlsplit(url)
        self._connection: HTTPConnection | None = None
        self._traffic = traffic

    def due(self, start: datetime, end: datetime) -> list[bytes]:
        """Give the bodies of the requests for the decisions that fall due in [start, end), in order."""
        inside = pc.and_(
            pc.greater_equal(self._decided, pa.scalar(start, self._decided.type)),
            pc.less(self._decided, pa.scalar(end, self._decided.type)),
        )
        columns = (self._decided.filter(inside), self._keys.filter(inside), self._rows.filter(inside))
        return [
            msgspec.json.encode({"request_id": key, "at": at, "instances": [row]})
            for at, key, row in zip(*(column.to_pylist() for column in columns), strict=True)
        ]

    def send(self, body: bytes, *, again: bool = False) -> None:
        """Ask for a prediction, and note what came of it."""
        self._traffic.note(again=again, failure=self._ask(body))

    def _ask(self, body: bytes) -> str | None:
        try:
            if self._connection is None:
                self._connection = HTTPConnection(self._address.hostname or "", self._address.port, timeout=30)
            self._connection.request("POST", self._path, body, {"content-type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            self._connection = None
            return f"{self._path}: {type(error).__name__}: {error}"
        if answer.status != 200:
            return f"{self._path}: HTTP {answer.status}: {text[:300].decode(errors='replace')}"
        return None


def send_all(due: tuple[Client, Sequence[bytes]]) -> None:
    """Send the requests of one client, one after the other."""
    client, bodies = due
    for body in bodies:
        client.send(body)
