"""An HTTP receiver of lineage on loopback, and a strict reader of its events.

The reader builds every event anew from its JSON with the official classes, which are generated from the specification's
schemas: a field they do not have, one they need and do not get, or one of another type is an error.
"""

import inspect
import json
import sys
import threading
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attr
from openlineage.client import event_v2
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
    tags_run,
)

FACETS = {
    "schema": schema_dataset.SchemaDatasetFacet,
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    "parent": parent_run.ParentRunFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "tags": tags_run.TagsRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
}
HOLDERS = {"facets", "inputFacets", "outputFacets"}


def read_event(line: str | bytes) -> event_v2.RunEvent:
    """Give an event from its JSON, or fail with what is wrong with it."""
    return _build(event_v2.RunEvent, json.loads(line), at="event")


def _build(kind: Any, value: Any, *, at: str) -> Any:
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _build(next(a for a in arguments if a is not type(None)), value, at=at)
    if origin is list:
        assert isinstance(value, list), at
        return [_build(arguments[0], each, at=f"{at}[{n}]") for n, each in enumerate(value)]
    if origin is dict:
        assert isinstance(value, dict), at
        facets = at.rpartition(".")[2] in HOLDERS
        return {k: _build(FACETS[k] if facets else arguments[1], v, at=f"{at}.{k}") for k, v in value.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if not (isinstance(kind, type) and attr.has(kind)):
        assert kind is Any or type(value) is kind, f"{at} is {value!r} and no {kind}"
        return value
    assert isinstance(value, dict), at
    hints = _hints(kind)
    fields = {each.name: each for each in attr.fields(kind)}
    unknown, missing = value.keys() - fields.keys(), {n for n, f in fields.items() if f.default is attr.NOTHING}
    assert not unknown, f"{at} has {unknown}, which {kind.__name__} does not know"
    assert missing <= value.keys(), f"{at} lacks {missing - value.keys()}"
    built = {n: _build(hints[n], v, at=f"{at}.{n}") for n, v in value.items()}
    made = kind(**{fields[n].alias: v for n, v in built.items() if fields[n].init})
    for name in ("schemaURL", "_schemaURL"):
        if name in value:
            assert getattr(made, name) == value[name], f"{at} says it is {value[name]}"
    return made


def _hints(kind: type) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        for name, value in inspect.get_annotations(base).items():
            hints[name] = eval(value, vars(sys.modules[base.__module__])) if isinstance(value, str) else value
    return hints


@dataclass
class Receiver:
    """What came in, and with which status the next requests are answered."""

    url: str = ""
    down: bool = False
    paths: set[str] = field(default_factory=set)
    keys: set[str | None] = field(default_factory=set)
    refused: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def events(self) -> list[event_v2.RunEvent]:
        return [read_event(body) for body in self.bodies]


@contextmanager
def receiving(*, down: bool = False) -> Iterator[Receiver]:
    """Run a receiver on a free port; while `down` it answers 503."""
    state = Receiver(down=down)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if state.down:
                state.refused += 1
            else:
                state.bodies.append(body)
            state.paths.add(self.path)
            state.keys.add(self.headers.get("Authorization"))
            self.send_response(503 if state.down else 201)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
