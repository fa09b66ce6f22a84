"""A small delay model in a home of its own, and real endpoint processes that serve it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import lightgbm
import msgspec
import numpy as np
import pyarrow as pa

from mlops_assets.features import FeatureModule, Vectorizer, build_spec
from mlops_assets.records import FeatureView, Field
from mlops_assets.stores.bundles import BundleStore
from mlops_assets.stores.online import SqliteOnlineStore
from mlops_assets.stores.releases import Release, ReleaseStore

MODEL = "late"
NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

FEATURES = """
from datetime import datetime

import numpy as np

REQUEST = {
    "carrier": str,
    "origin": str | None,
    "distance": float,
    "seats": int,
    "temp": float | None,
    "scheduled_departure": datetime,
}
FEATURES = ("carrier", "distance", "seats", "temp", "mean_delay", "wind", "log_distance", "delay_per_mile")


def departure_hour(scheduled_departure):
    return scheduled_departure.astype("datetime64[h]").astype("datetime64[us]")


def log_distance(distance):
    return np.log1p(distance)


def delay_per_mile(mean_delay, distance):
    return mean_delay / distance
"""

CARRIER_DELAYS = FeatureView(
    name="carrier_delays",
    keys=(Field(name="carrier", dtype="string"),),
    features=(Field(name="mean_delay", dtype="float64", nullable=True),),
    ttl_s=3 * 86400.0,
)
WEATHER = FeatureView(
    name="weather",
    keys=(Field(name="origin", dtype="string"), Field(name="departure_hour", dtype="timestamp")),
    features=(Field(name="wind", dtype="float64", nullable=True), Field(name="sky", dtype="string", nullable=True)),
    ttl_s=2 * 86400.0,
)
CARRIERS = ("AA", "B6", "DL", "UA")
INSTANCE = {
    "carrier": "UA",
    "origin": "EWR",
    "distance": 1400.0,
    "seats": 149,
    "temp": 21.5,
    "scheduled_departure": "2013-05-01T14:15:00Z",
}


@dataclass(frozen=True)
class TrainedModel:
    """A small booster with everything a bundle holds; `seed` makes another model of the same kind."""

    seed: int = 0
    threshold: float | None = 0.5

    @cached_property
    def module(self) -> FeatureModule:
        return FeatureModule.load(FEATURES, name=MODEL)

    @cached_property
    def inputs(self) -> dict[str, np.ndarray]:
        chance, n = np.random.default_rng(self.seed), 400
        return {
            "carrier": chance.choice(CARRIERS, n).astype(object),
            "origin": chance.choice(["EWR", "JFK"], n).astype(object),
            "distance": chance.uniform(100, 3000, n),
            "seats": chance.integers(50, 300, n).astype(float),
            "temp": np.where(chance.random(n) < 0.1, np.nan, chance.normal(15, 8, n)),
            "scheduled_departure": np.datetime64("2013-04-01", "us")
            + chance.integers(0, 30 * 24, n) * np.timedelta64(1, "h"),
            "mean_delay": chance.normal(10, 10, n),
            "wind": np.where(chance.random(n) < 0.1, np.nan, chance.uniform(0, 40, n)),
        }

    @cached_property
    def vectorizer(self) -> Vectorizer:
        return Vectorizer(build_spec(self.module, (CARRIER_DELAYS, WEATHER), self.inputs), self.module)

    @cached_property
    def booster(self) -> lightgbm.Booster:
        X = self.vectorizer.vector(self.inputs)
        y = (
            self.inputs["mean_delay"] + self.inputs["wind"].clip(0) + 5 * (self.inputs["carrier"] == "UA") > 28
        ).astype(float)
        params = {"objective": "binary", "num_threads": 1, "verbosity": -1, "deterministic": True, "seed": self.seed}
        data = lightgbm.Dataset(X, y, categorical_feature=list(self.vectorizer.categorical), params={"verbosity": -1})
        return lightgbm.train({**params, "num_leaves": 15, "learning_rate": 0.2 + self.seed / 50}, data, 30)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.booster.predict(X, num_threads=1)

    @cached_property
    def parts(self) -> dict[str, bytes]:
        rows = slice(0, 5)
        request = [
            {
                field.name: _json_value(self.inputs[field.name][row], field.dtype)
                for field in self.vectorizer.spec.request
            }
            for row in range(5)
        ]
        golden = {
            "request": request,
            "stored": {
                name: [_nullable(v) for v in self.inputs[name][rows].tolist()] for name in ("mean_delay", "wind")
            },
            "scores": self.predict(self.vectorizer.vector({k: v[rows] for k, v in self.inputs.items()})).tolist(),
        }
        meta = {"task": "binary", "threshold": self.threshold, "label": "late", "decision_rule": "score >= threshold"}
        return {
            "model.txt": self.booster.model_to_string().encode(),
            "features.py": FEATURES.encode(),
            "spec.json": msgspec.json.encode(self.vectorizer.spec),
            "profile.json": b"{}",
            "golden.json": json.dumps(golden).encode(),
            "meta.json": json.dumps(meta).encode(),
        }


@dataclass(frozen=True)
class ServingHome:
    """The stores an endpoint reads, below one folder."""

    root: Path

    @property
    def bundles(self) -> BundleStore:
        return BundleStore(self.root / "bundles")

    @property
    def releases(self) -> ReleaseStore:
        return ReleaseStore(self.root / "releases")

    @property
    def online(self) -> SqliteOnlineStore:
        return SqliteOnlineStore(self.root / "online.sqlite")

    @property
    def predictions(self) -> Path:
        return self.root / "predictions"

    def fill_online(self) -> None:
        known = [NOON - HOUR] * len(CARRIERS)
        self.online.write(
            CARRIER_DELAYS, table(CARRIER_DELAYS, known, carrier=list(CARRIERS), mean_delay=[3.0, 8.5, 2.0, 21.0])
        )
        hours = [NOON + HOUR * i for i in range(6)]
        self.online.write(
            WEATHER,
            table(
                WEATHER,
                [NOON - HOUR] * 6,
                origin=["EWR"] * 6,
                departure_hour=hours,
                wind=[5.0 * i for i in range(6)],
                sky=["clear"] * 6,
            ),
        )

    def save(self, parts: dict[str, bytes], *, model: str = MODEL) -> str:
        return self.bundles.save(model, parts)

    def release(self, sha256: str, *, model: str = MODEL) -> Release:
        """Release the next version of a model, as a deployment would."""
        release = self.next_release(sha256, model=model)
        self.releases.put(release)
        return release

    def next_release(self, sha256: str, *, model: str = MODEL) -> Release:
        now = self.releases.current(model)
        return Release(
            model=model,
            version=now.version + 1 if now else 1,
            bundle_sha256=sha256,
            previous_bundle_sha256=now.bundle_sha256 if now else None,
            previous_version=now.version if now else None,
            generation=now.generation + 1 if now else 1,
            at=NOON,
        )


def table(
    view: FeatureView, known_at: list[datetime], event_time: list[datetime] | None = None, **columns: Any
) -> pa.Table:
    """Build rows of a view; event times equal known times if not given."""
    moment = pa.timestamp("us", "UTC")
    types = {"string": pa.string(), "float64": pa.float64(), "int64": pa.int64(), "timestamp": moment}
    arrays = {field.name: pa.array(columns[field.name], types[field.dtype]) for field in (*view.keys, *view.features)}
    return pa.table(
        {**arrays, "event_time": pa.array(event_time or known_at, moment), "known_at": pa.array(known_at, moment)}
    )


class RunningEndpoint:
    """An endpoint process and a client for it."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url = process, url
        self.client = httpx.Client(base_url=url, timeout=10)

    def predict(self, *instances: dict[str, Any], model: str = MODEL, **envelope: Any) -> httpx.Response:
        envelope.setdefault("at", NOON.isoformat())
        return self.client.post(f"/models/{model}/predict", json={**envelope, "instances": list(instances)})

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)


@contextmanager
def running_endpoint(home: Path, *options: str) -> Iterator[RunningEndpoint]:
    """Run `python -m mlops_assets.serving` on a free port until the block ends."""
    command = [
        sys.executable,
        "-m",
        "mlops_assets.serving",
        "--home",
        str(home),
        "--port",
        "0",
        "--poll",
        "0.05",
        *options,
    ]
    environment = {key: value for key, value in os.environ.items() if key != "MLOPS_HOME"}
    with (home / "endpoint.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("serving on "):
                break
        else:
            raise RuntimeError((home / "endpoint.log").read_text()[-2000:])
        yield RunningEndpoint(process, line.split()[-1])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


class Load(threading.Thread):
    """Sends single-row requests one after the other until told to stop or cut off, and remembers every outcome."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        model: str = MODEL,
        instance: Mapping[str, Any] = MappingProxyType(INSTANCE),
        at: datetime = NOON,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._url, self._stopping = url, threading.Event()
        self._path = f"/models/{model}/predict"
        self._body = {"at": at.isoformat(), "instances": [dict(instance)]}
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.failures: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10) as client:
            while not self._stopping.is_set():
                request_id = f"{self.name}-{len(self.acknowledged) + len(self.failures)}"
                try:
                    answer = client.post(self._path, json={**self._body, "request_id": request_id})
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    return
                if answer.status_code == 200:
                    self.acknowledged[request_id] = answer.json()
                else:
                    self.failures.append(answer.text)

    def stop(self) -> None:
        self._stopping.set()
        self.join(10)


def _nullable(value: Any) -> Any:
    return None if isinstance(value, float) and value != value else value


def _json_value(value: Any, dtype: str) -> Any:
    if dtype == "timestamp":
        return f"{value}Z"
    if dtype == "int64":
        return int(value)
    return _nullable(value if isinstance(value, str) else float(value))
