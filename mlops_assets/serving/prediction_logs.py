"""Predictions on their way into the log: a record per row, under an id that it can be asked for by."""

import logging
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from mlops_assets.errors import StoreError
from mlops_assets.serving.requests import Asked
from mlops_assets.serving.served_model import Scored, ServedModel
from mlops_assets.serving.settings import ServingSettings
from mlops_assets.stores.predictions import LoggedPrediction, PredictionLogWriter, encode_prediction

_log = logging.getLogger(__name__)


class PredictionLogs:
    """The prediction logs of an endpoint, one per model, each opened when it is first written to."""

    def __init__(self, root: str | Path, *, settings: ServingSettings) -> None:
        self._root = Path(root)
        self._settings = settings
        self._logs: dict[str, PredictionLogWriter] = {}

    def write(self, model: str, at: datetime, records: Sequence[bytes]) -> bool:
        """Log predictions and tell whether they are durable.

        Raises:
            StoreError: They could not be logged, and the log mode is `strict`.
        """
        log = self._logs.get(model)
        if log is None:
            made = PredictionLogWriter(self._root, model, fsync_interval_s=self._settings.fsync_interval_s)
            log = self._logs.setdefault(model, made)
        try:
            log.append((at - (at.utcoffset() or timedelta())).date().isoformat(), *records)
        except StoreError as error:
            if self._settings.log_mode == "strict":
                raise
            _log.error("predictions were answered without being logged: %s", error)
            return False
        return True

    def close(self) -> None:
        """Bring all of them to the disk."""
        for log in self._logs.values():
            log.close()


def records_of(
    served: ServedModel,
    asked: Asked,
    scored: Scored,
    ids: Sequence[str],
    *,
    at: datetime,
    received_at: datetime,
    latency_us: int,
) -> list[bytes]:
    """Give the log record of each prediction."""
    release = served.release
    request = zip(*(column.tolist() for column in asked.columns.values()), strict=True)
    return [
        encode_prediction(
            LoggedPrediction(
                request_id=request_id,
                at=at,
                received_at=received_at,
                model=release.model,
                version=release.version,
                bundle_sha256=release.bundle_sha256,
                generation=release.generation,
                request=dict(zip(asked.columns, row, strict=True)),
                stored=stored,
                vector=vector,
                score=score,
                probabilities=None if scored.probabilities is None else scored.probabilities[index],
                decision=None if scored.decisions is None else scored.decisions[index],
                latency_us=latency_us,
            )
        )
        for index, (request_id, row, stored, vector, score) in enumerate(
            zip(ids, request, scored.stored_rows(), scored.vectors.tolist(), scored.scores, strict=True)
        )
    ]


def request_ids(asked: Asked, received_at: datetime) -> list[str]:
    """Give each prediction its id: the caller's, numbered when there are several, or a new one that sorts by time."""
    base = asked.request_id or _new_id(received_at)
    return [base] if asked.rows == 1 else [f"{base}/{index}" for index in range(asked.rows)]


def _new_id(now: datetime) -> str:
    """Give a UUID of version 7 (RFC 9562): milliseconds first, then chance."""
    chance = int.from_bytes(os.urandom(10), "big")
    milliseconds = int(now.timestamp() * 1000)
    digits = f"{milliseconds:012x}7{chance >> 68:03x}{0x8 | (chance >> 64) & 0x3:x}{chance & (2**60 - 1):015x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
