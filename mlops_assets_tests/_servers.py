"""Real servers for tests: found or installed, started on sockets or free ports of their own, stopped at the end."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

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
    """Find the newest PostgreSQL on this machine: `MLOPS_PG_BIN`, then Debian's places, then the path.

    In CI, as root, Debian's package is installed when there is none.
    """
    if found := _postgres_here():
        return found
    if os.environ.get("CI") and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", "--no-install-recommends", "postgresql"]):
            subprocess.run(["apt-get", "-q", *step], env=quiet, check=True, stdout=subprocess.DEVNULL)
        return _postgres_here()
    return None


def _postgres_here() -> Path | None:
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
    """A PostgreSQL for the whole session; skips where there is none and none may be installed."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL here: install it, or name the folder of initdb and pg_ctl in MLOPS_PG_BIN")
    with running_postgres(binaries) as server:
        yield server
