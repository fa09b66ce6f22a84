"""Run the endpoint of one home: `python -m mlops_assets.serving --home .mlops --port 8080`.

It prints `serving on http://HOST:PORT` once it answers, and ends on SIGTERM or Ctrl-C after the requests under way.
"""

import argparse
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import uvicorn

from mlops_assets.errors import StoreError
from mlops_assets.serving.app import Endpoint
from mlops_assets.serving.live import LiveModels
from mlops_assets.serving.settings import ServingSettings
from mlops_assets.stores.bundles import BundleStore
from mlops_assets.stores.online import open_online
from mlops_assets.stores.releases import ReleaseStore

EXIT_NO_ADDRESS = 3
EXIT_NO_STORE = 4
GRACE_S = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop, and give the exit code: 0, 3 without the address, 4 without an online store."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        listener = _listen(given.host, given.port)
    except OSError as error:
        _tell(_no_address(given.host, given.port, error))
        return EXIT_NO_ADDRESS
    home: Path = given.home.absolute()
    try:
        online = open_online(home, os.environ)
    except StoreError as error:
        _tell(str(error))
        return EXIT_NO_STORE
    host, port = listener.getsockname()[:2]
    settings = ServingSettings(
        log_mode=given.log_mode,
        fsync_interval_s=given.fsync_interval,
        poll_s=given.poll,
        max_body_bytes=given.max_body,
        max_instances=given.max_instances,
    )
    live = LiveModels(ReleaseStore(home / "releases"), BundleStore(home / "bundles"), online, settings=settings)
    endpoint = Endpoint(live, home / "predictions", clock=lambda: datetime.now(UTC), settings=settings)
    config = uvicorn.Config(
        endpoint.app(),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Announcing(config, f"serving on http://{host}:{port}")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)  # uvicorn ends gracefully first, then passes the signal on to here
    server.run(sockets=[listener])
    return 0 if server.started else 1


class _Announcing(uvicorn.Server):
    """A server that says where it is once it answers."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._announcement, flush=True)  # noqa: T201


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # restart at once after a crash
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _no_address(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use by another process, so the endpoint was not started. Stop that process"
            f" (`ss -ltnp 'sport = :{port}'` shows it), or give another --port; --port 0 takes any free one."
        )
    return f"The endpoint cannot listen on {host}:{port}: {error.strerror or error}. Give another --host or --port."


def _tell(message: str) -> None:
    print(message, file=sys.stderr)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    default = ServingSettings()
    parser = argparse.ArgumentParser(prog="python -m mlops_assets.serving", description="Run the model endpoint.")
    parser.add_argument("--home", type=Path, default=Path(os.environ.get("MLOPS_HOME") or ".mlops"), metavar="DIR")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8080, help="0 takes any free one (default: 8080)")
    parser.add_argument("--log-mode", choices=("strict", "best_effort"), default=default.log_mode)
    parser.add_argument("--fsync-interval", type=float, default=default.fsync_interval_s, metavar="SECONDS")
    parser.add_argument("--poll", type=float, default=default.poll_s, metavar="SECONDS")
    parser.add_argument("--max-body", type=int, default=default.max_body_bytes, metavar="BYTES")
    parser.add_argument("--max-instances", type=int, default=default.max_instances, metavar="ROWS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
