"""A service with an HTTP interface as there are many, on loopback, with whatever goes wrong at such services."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

PAGE = 2
Fault = Callable[["_Handler"], None]


@dataclass
class Service:
    """Records by their `seen_at`, served in pages of two; each request meets the next of `faults`, if there are any."""

    url: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    service: Service

    def do_GET(self) -> None:
        self.service.asked.append(self.path)
        self.service.headers.append(dict(self.headers))
        fault = self.service.faults.pop(0) if self.service.faults else None
        return fault(self) if fault else self.reply()

    def reply(self) -> None:
        """Answer as such a service does."""
        service, parts = self.service, urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        found = [
            record for record in service.records if asked.get("from", "") <= record["seen_at"] < asked.get("to", "9999")
        ]
        style = parts.path.strip("/")
        if style == "whole":
            return self.answer(found)
        at = (int(asked["page"]) - 1) * PAGE if style == "number" else int(asked.get("cursor") or 0)
        page, rest = found[at : at + PAGE], found[at + PAGE :]
        next = urlencode({**asked, "cursor": at + PAGE})
        if style == "cursor":
            return self.answer({"data": {"items": page}, "meta": {"next": str(at + PAGE) if rest else None}})
        if style == "next_url":
            return self.answer({"data": {"items": page}, "next": f"/next_url?{next}" if rest else None})
        if style == "link":
            return self.answer(page, Link=f'</link?{next}>; rel="next", </link>; rel="first"' if rest else "")
        return self.answer(page) if style == "number" else self.answer({"error": "no such place"}, status=404)

    def answer(self, body: Any, *, status: int = 200, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response_only(status)
        for name, value in {"Date": self.date_time_string(), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def failing(status: int, **headers: str) -> Fault:
    """Answer with an error."""
    return lambda handler: handler.answer({"error": status}, status=status, **headers)


def cut(handler: _Handler) -> None:
    """Promise more than is sent, and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'[{"seen_at":')
    handler.close_connection = True


def cut_unseen(handler: _Handler) -> None:
    """Send half an answer without saying how long it is."""
    handler.protocol_version = "HTTP/1.0"
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b'[{"seen_at":')
    handler.close_connection = True


def hang_up(handler: _Handler) -> None:
    """Send nothing at all."""
    handler.close_connection = True


def first(change: Callable[[], None]) -> Fault:
    """Change something, then answer as always."""

    def then(handler: _Handler) -> None:
        change()
        handler.reply()

    return then


@contextmanager
def running_service() -> Iterator[Service]:
    """Serve until the end of the block."""
    service = Service()
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
