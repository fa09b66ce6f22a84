"""The HTTP face of the endpoint: health, metadata, predictions.

    GET  /health/live, /health/ready     is the process there; does it serve what is released
    GET  /models, /models/{model}        what is live: version, digest, generation, request fields, an example
    GET  /models/{model}/golden          the golden rows scored by this process now, beside training's scores
    POST /models/{model}/predict         {"request_id"?, "at"?, "instances": [{…}, …]}

A prediction is in the log before it is in the answer. `at` is the event time of the decision, by default the time the
request arrived. Errors are `{"error": {"code", "message", …}}`: 4xx name what to mend and never repeat values, 5xx
carry an incident id that finds the traceback in the log.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mlops_assets.errors import StoreError, UnknownNameError
from mlops_assets.records import FeatureView
from mlops_assets.serving.live import LiveModels
from mlops_assets.serving.prediction_logs import PredictionLogs, records_of, request_ids
from mlops_assets.serving.requests import Asked, RequestError
from mlops_assets.serving.served_model import ServedModel
from mlops_assets.serving.settings import ServingSettings

Clock = Callable[[], datetime]

SMOKE_HEADER = "x-smoke-test"  # predictions of a deployment's smoke test are logged apart, as model `<model>.smoke`

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Endpoint:
    """Answers requests from what is live and logs every prediction first."""

    def __init__(self, live: LiveModels, log_root: str | Path, *, clock: Clock, settings: ServingSettings) -> None:
        self.live, self.clock, self.settings = live, clock, settings
        self._logs = PredictionLogs(log_root, settings=settings)

    def app(self) -> Starlette:
        """Build the ASGI application; models come up while it starts and the log is closed when it ends."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await asyncio.to_thread(self.live.start)
            yield
            await asyncio.to_thread(self.live.stop)
            self._logs.close()

        return Starlette(
            routes=[
                Route("/models/{model}/predict", self.predict, methods=["POST"]),
                Route("/models/{model}/golden", self.golden),
                Route("/models/{model}", self.describe),
                Route("/models", self.models),
                Route("/health/live", self.alive),
                Route("/health/ready", self.ready),
            ],
            exception_handlers={RequestError: _refused, HTTPException: _http_error},
            lifespan=lifespan,
        )

    async def predict(self, request: Request) -> Response:
        """Answer POST /models/{model}/predict."""
        started = time.perf_counter_ns()
        received_at = self.clock()
        try:
            body = await self._body(request)
        except ClientDisconnect:
            return Response(status_code=499)
        served = self._served(request.path_params["model"])
        asked = served.decoder.decode(body)
        smoke = SMOKE_HEADER in request.headers
        try:
            if asked.rows <= self.settings.inline_rows:
                answer = self._answer(served, asked, received_at, started, smoke)
            else:
                answer = await asyncio.to_thread(self._answer, served, asked, received_at, started, smoke)
        except StoreError as error:
            return _incident(
                503, "store_unavailable", "No prediction was made: a store it needs is unavailable.", error
            )
        except Exception as error:  # whatever the model's own code raises is the model's fault, not the caller's
            return _incident(500, "model_failed", "The model failed on this request.", error)
        return Response(answer, media_type="application/json")

    async def describe(self, request: Request) -> Response:
        """Answer GET /models/{model}."""
        return _json(200, self._description(request.path_params["model"]))

    async def models(self, request: Request) -> Response:
        """Answer GET /models."""
        return _json(200, {"models": [self._description(model) for model in self._known()]})

    async def golden(self, request: Request) -> Response:
        """Answer GET /models/{model}/golden."""
        served = self._served(request.path_params["model"])
        scores, expected = await asyncio.to_thread(served.golden_scores), served.golden.scores
        return _json(
            200,
            {
                **_identity(served),
                "request": served.golden.request,
                "scores": scores,
                "expected": expected,
                "equal": scores == expected,
            },
        )

    async def alive(self, request: Request) -> Response:
        """Answer GET /health/live."""
        return _json(200, {"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """Answer GET /health/ready: 503 as long as a released model has no version that answers."""
        models, failures = self.live.models, self.live.failures
        state = {
            model: {
                **(_identity(models[model]) if model in models else {"model": model}),
                "serving": model in models,
                "failure": failures.get(model),
            }
            for model in self._known()
        }
        ready = all(one["serving"] for one in state.values())
        return _json(200 if ready else 503, {"status": "ready" if ready else "not ready", "models": state})

    def _answer(self, served: ServedModel, asked: Asked, received_at: datetime, started: int, smoke: bool) -> bytes:
        """Predict, log, and give the body of the response."""
        at = asked.at or received_at
        ids = request_ids(asked, received_at)
        scored = served.score(asked.columns, at, asked.rows)
        latency_us = (time.perf_counter_ns() - started) // 1000
        records = records_of(served, asked, scored, ids, at=at, received_at=received_at, latency_us=latency_us)
        durable = self._logs.write(f"{served.release.model}.smoke" if smoke else served.release.model, at, records)
        predictions: list[dict[str, Any]] = [
            {"request_id": request_id, "score": score} for request_id, score in zip(ids, scored.scores, strict=True)
        ]
        if scored.probabilities is not None:
            for prediction, found in zip(predictions, scored.probabilities, strict=True):
                prediction["class"] = served.meta.classes[found.index(prediction["score"])]
                prediction["probabilities"] = dict(zip(served.meta.classes, found, strict=True))
        if scored.decisions is not None:
            for prediction, decision in zip(predictions, scored.decisions, strict=True):
                prediction["decision"] = decision
        return _encode({"predictions": predictions, **_identity(served), "durable": durable})

    async def _body(self, request: Request) -> bytes:
        limit = self.settings.max_body_bytes
        if int(request.headers.get("content-length") or 0) > limit:
            raise _too_large(limit)
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
        return bytes(body)

    def _served(self, model: str) -> ServedModel:
        served = self.live.models.get(model)
        if served is not None:
            return served
        if failure := self.live.failures.get(model):
            raise RequestError(503, "model_not_up", f"Model {model!r} is released but not up: {failure.reason}")
        raise RequestError(404, "unknown_model", str(UnknownNameError("model", model[:100], known=self._known())))

    def _known(self) -> list[str]:
        return sorted({*self.live.models, *self.live.failures})

    def _description(self, model: str) -> dict[str, Any]:
        failure = self.live.failures.get(model)
        served = self.live.models.get(model)
        if served is None and failure is not None:
            return {"model": model, "serving": False, "failure": failure}
        served = self._served(model)
        return {
            **_identity(served),
            "serving": True,
            "failure": failure,
            "released_at": served.release.at,
            "previous_version": served.release.previous_version,
            "task": served.meta.task,
            **({"classes": served.meta.classes} if served.meta.classes else {}),
            "label": served.meta.label,
            "decision_rule": served.meta.decision_rule,
            "threshold": served.meta.threshold,
            "request": served.decoder.schema(),
            "stored_views": [_view(view) for view in served.spec.views],
            "features": [feature.name for feature in served.spec.features],
            "example": served.example(),
        }


def _identity(served: ServedModel) -> dict[str, Any]:
    release = served.release
    return {
        "model": release.model,
        "version": release.version,
        "bundle_sha256": release.bundle_sha256,
        "generation": release.generation,
    }


def _view(view: FeatureView) -> dict[str, Any]:
    return {
        "name": view.name,
        "keys": [key.name for key in view.keys],
        "features": [feature.name for feature in view.features],
        "ttl_s": view.ttl_s,
    }


def _json(status: int, content: Any) -> Response:
    return Response(_encode(content), status_code=status, media_type="application/json")


def _too_large(limit: int) -> RequestError:
    return RequestError(413, "body_too_large", f"The body is longer than {limit} bytes. Send several requests.")


def _incident(status: int, code: str, message: str, error: Exception) -> Response:
    """Log a failure under an opaque id and tell the caller only that."""
    incident = os.urandom(8).hex()
    _log.error("incident %s: %s", incident, error, exc_info=error)
    message = f"{message} The endpoint's log has the cause under incident {incident}."
    return _json(status, {"error": {"code": code, "message": message, "incident": incident}})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _json(error.status, {"error": {"code": error.code, "message": str(error), **error.facts}})


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:100]}: {error.detail}. GET /models lists what is here."
    return _json(error.status_code, {"error": {"code": "http", "message": message}})
