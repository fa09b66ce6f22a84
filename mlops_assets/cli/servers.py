"""The servers of the stack: how each is started, what has to answer before it, and how to tell that it answers."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

HOST: Final = "127.0.0.1"
MLFLOW_SERVER: Final = Path(__file__).with_name("mlflow_server.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the servers of a stack answer."""

    dagster: str
    mlflow: str
    endpoint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a stack runs: its home, the folder and module of the definitions, and the port of each server."""

    home: Path
    project: Path
    module: str
    code_port: int
    dagster_port: int
    mlflow_port: int
    endpoint_port: int

    @property
    def addresses(self) -> Addresses:
        """The pages and the API of this stack."""
        return Addresses(
            dagster=f"http://{HOST}:{self.dagster_port}",
            mlflow=f"http://{HOST}:{self.mlflow_port}",
            endpoint=f"http://{HOST}:{self.endpoint_port}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server: it starts when those it `needs` answer, and is asked with `answers` until it does."""

    name: str
    command: tuple[str, ...]
    cwd: Path
    answers: Callable[[], bool]
    needs: tuple[str, ...] = ()


def all_servers(site: Site) -> tuple[Server, ...]:
    """Give all servers in the order they start in."""
    return code_server(site), endpoint(site), mlflow(site), webserver(site), daemon(site)


def code_server(site: Site) -> Server:
    """Give Dagster's plain gRPC server, without the proxy that `dagster code-server` puts before it: half the memory.

    It ends when the definitions cannot be loaded. Runs are processes below it.
    """
    options = ("--use-python-environment-entry-point", "--inject-env-vars-from-instance")
    return Server(
        name="code server",
        command=(
            *(sys.executable, "-m", "dagster", "api", "grpc", "-h", HOST, "-p", str(site.code_port)),
            *("-m", site.module, "-d", str(site.project), *options),
        ),
        cwd=site.project,
        answers=lambda: serves_code(site.code_port),
    )


def endpoint(site: Site) -> Server:
    """Give the endpoint that answers prediction requests; it lives with or without a released model."""
    return Server(
        name="endpoint",
        command=(
            *(sys.executable, "-m", "mlops_assets.serving", "--home", str(site.home)),
            *("--host", HOST, "--port", str(site.endpoint_port)),
        ),
        cwd=site.project,
        answers=lambda: answers(f"{site.addresses.endpoint}/health/live"),
    )


def mlflow(site: Site) -> Server:
    """Give MLflow's pages over the runs of this home."""
    store = os.environ.get("MLOPS_MLFLOW_URI") or f"sqlite:///{site.home / 'mlflow.sqlite'}"
    artifacts = str(site.home / "mlartifacts")
    return Server(
        name="mlflow",
        command=(sys.executable, "-P", str(MLFLOW_SERVER), store, artifacts, HOST, str(site.mlflow_port)),
        cwd=site.home,
        answers=lambda: answers(f"{site.addresses.mlflow}/health"),
    )


def webserver(site: Site) -> Server:
    """Give Dagster's pages. It loads its workspace once, on start, so the code server has to answer before."""
    return Server(
        name="webserver",
        command=(
            *(sys.executable, "-m", "dagster_webserver", "-h", HOST, "-p", str(site.dagster_port)),
            *("-w", str(_workspace(site))),
        ),
        cwd=site.project,
        answers=lambda: answers(f"{site.addresses.dagster}/server_info"),
        needs=("code server",),
    )


def daemon(site: Site) -> Server:
    """Give Dagster's daemon: sensors, schedules, the run queue. The webserver tells whether it is well."""
    now = time.time()
    return Server(
        name="daemon",
        command=(sys.executable, "-m", "dagster._daemon", "run", "-w", str(_workspace(site))),
        cwd=site.project,
        answers=lambda: beats(f"{site.addresses.dagster}/graphql", since=now),
        needs=("code server",),
    )


def _workspace(site: Site) -> Path:
    """Write the workspace file that leads Dagster's servers to the code server."""
    path = site.home / "dagster" / "workspace.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    location = f"{{host: {HOST}, port: {site.code_port}, location_name: {site.module.partition('.')[0]}}}"
    path.write_text(f"load_from:\n  - grpc_server: {location}\n")
    return path


# --- asking ---------------------------------------------------------------------------------------


def answers(url: str) -> bool:
    """Tell whether a GET of `url` gives 200."""
    return _ask("GET", url) is not None


def serves_code(port: int) -> bool:
    """Tell whether a Dagster code server with its definitions loaded is behind `port`."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"{HOST}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        question = health_pb2.HealthCheckRequest(service="DagsterApi")
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(question, timeout=2)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class _DaemonStatus(msgspec.Struct, rename="camel"):
    required: bool
    healthy: bool | None
    last_heartbeat_time: float | None


def beats(graphql: str, *, since: float) -> bool:
    """Tell whether every daemon has given a sign of life since then; those of an earlier start count for minutes."""
    query = "{instance {daemonHealth {allDaemonStatuses {required healthy lastHeartbeatTime}}}}"
    if (answer := _ask("POST", graphql, body={"query": query})) is None:
        return False
    try:
        found = msgspec.json.decode(answer)["data"]["instance"]["daemonHealth"]["allDaemonStatuses"]
        statuses = msgspec.convert(found, list[_DaemonStatus])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return False  # GraphQL answers an error with 200
    return all(status.healthy and (status.last_heartbeat_time or 0) >= since for status in statuses if status.required)


def _ask(method: str, url: str, *, body: object = None) -> bytes | None:
    """Give what is answered with status 200, else None. Straight to loopback: no proxy, no TLS to be set up."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=5.0)
    try:
        content = None if body is None else msgspec.json.encode(body)
        connection.request(method, parts.path or "/", content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.read() if answer.status == HTTPStatus.OK else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
