"""Real servers for tests: found, started on sockets or free ports of their own, stopped at the end."""

import itertools
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mlops_assets.cli.ports import any_port

# --- PostgreSQL -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class PostgresServer:
    """A running PostgreSQL of this test run's own; it listens on a socket only, so no port can be taken."""

    binaries: Path
    folder: Path
    account: pwd.struct_passwd | None

    def new_database(self) -> str:
        """Make an empty database and give its URL, without a driver: `postgresql://postgres@/name?host=…`."""
        name = f"test_{uuid4().hex}"
        _run(self, "createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"


@contextmanager
def running_postgres(binaries: Path) -> Iterator[PostgresServer]:
    """Run a new, empty PostgreSQL out of `binaries`, as an unprivileged account when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # a socket's path may have 107 bytes, so a short place
    server = PostgresServer(binaries, folder, _unprivileged_account())
    try:
        if server.account:
            os.chown(folder, server.account.pw_uid, server.account.pw_gid)
        data = folder / "data"
        _run(server, "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N")
        options = f"-c listen_addresses='' -k {folder} -c fsync=off -c max_connections=50"
        _run(server, "pg_ctl", "-D", str(data), "-l", str(folder / "log"), "-w", "-o", options, "start")
        try:
            yield server
        finally:
            _run(server, "pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def postgres_binaries() -> Path | None:
    """Find the newest PostgreSQL on this machine: `MLOPS_PG_BIN`, then Debian's places, then the path."""
    places: list[Path] = []
    if named := os.environ.get("MLOPS_PG_BIN"):
        places.append(Path(named))
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_release, reverse=True)
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).resolve().parent)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def _release(binaries: Path) -> float:
    number = re.match(r"\d+(\.\d+)?", binaries.parent.name)
    return float(number.group()) if number else 0.0


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Find an account PostgreSQL consents to run as; None when we are not root and may stay who we are."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    return None


def _run(server: PostgresServer, program: str, *arguments: str) -> None:
    log = server.folder / "commands.log"
    account = server.account
    other = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    with log.open("ab") as output:  # a pipe would be kept open by the server that pg_ctl leaves behind
        done = subprocess.run(
            [server.binaries / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            check=False,
            **other,
        )
    if done.returncode:
        raise RuntimeError(f"{program} failed with {done.returncode}:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for the whole session; skips where there is none; `dev.py` installs it where it may."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install it, or name the folder of initdb and pg_ctl in MLOPS_PG_BIN")
    with running_postgres(binaries) as server:
        yield server


# --- S3 -------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3-compatible server on loopback, as a process of its own; gives its address."""
    port = any_port()
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        _wait_for(port, server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A new bucket on that server, reached as any other would be: by what stands in the environment."""
    from s3fs import S3FileSystem

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**keys, "AWS_ENDPOINT_URL": s3_server, "NO_PROXY": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    system = S3FileSystem(use_listings_cache=False)
    bucket = f"bucket-{uuid4().hex[:12]}"
    system.mkdir(bucket)
    yield Bucket(f"s3://{bucket}", system)
    S3FileSystem.clear_instance_cache()


@dataclass(frozen=True)
class Bucket:
    """A bucket by its address, and the means to put objects into it."""

    address: str
    system: Any

    def put(self, name: str, data: bytes) -> None:
        """Put an object, in place of the one of that name."""
        self.system.pipe_file(f"{self.address}/{name}", data)


def _wait_for(port: int, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the server on port {port} did not start:\n{log.read_text()[-2000:]}")


# --- Redis ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RedisServer:
    """A running Redis of this test run's own; it listens on a socket only, and keeps nothing on disk."""

    socket: Path

    def new_database(self) -> str:
        """Give the URL of a database that nobody else uses; there are some thousand of them."""
        return f"unix://{self.socket}?db={next(_DATABASES)}"


_DATABASES = itertools.count()


@contextmanager
def running_redis(program: Path) -> Iterator[RedisServer]:
    """Run a new, empty Redis."""
    folder = Path(tempfile.mkdtemp(prefix="redis-", dir="/tmp"))  # a socket's path may have 107 bytes
    server = RedisServer(folder / "socket")
    options = {"port": "0", "unixsocket": str(server.socket), "save": "", "databases": "10000", "dir": str(folder)}
    command = [str(program), *(word for name, value in options.items() for word in (f"--{name}", value))]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        give_up = time.monotonic() + 20
        while not server.socket.exists():
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"redis-server did not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)
        yield server
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def redis_program() -> Path | None:
    """Find redis-server: `MLOPS_REDIS_SERVER`, then the path."""
    found = os.environ.get("MLOPS_REDIS_SERVER") or shutil.which("redis-server")
    return Path(found) if found else None


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for the whole session; without one the tests that need it fail."""
    program = redis_program()
    if program is None:
        pytest.fail("no redis-server here: install it, or name it in MLOPS_REDIS_SERVER")
    with running_redis(program) as server:
        yield server
