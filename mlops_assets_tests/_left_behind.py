"""Each file of tests gives its process back as it was found; one that does not fails, and says what it left.

Signals, environment, working folder, processes and listening ports are looked at before the first and after the last
test of a file. What a fixture of the whole run made may stay until the run ends. Temporary files, which whoever is
killed leaves, go at the end with a folder of the run's own.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path
from uuid import uuid4

import pytest

PATIENCE_S = 10.0  # a process that was told to end may take a moment
MARK = "TESTED_BY"  # what we start has it in its environment, however far from us it goes
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")  # Python's own; they end with us
READ = ("MLOPS_", "DAGSTER_", "AWS_", "PYTHON", "NO_PROXY")  # of these no new one may stay; libraries set others
LISTENING = "0A"


@dataclass(frozen=True)
class Traces:
    """What can be seen of this process from outside a test."""

    signals: dict[str, object]
    settings: dict[str, str]
    folder: str
    processes: dict[int, str]
    ports: frozenset[int]

    def since(self, before: "Traces", *, allowed: "Lasting") -> list[str]:
        """Say, one line each, what has changed and was not allowed to."""
        lines = [
            f"{name} is handled by {handler!r}, before by {before.signals[name]!r}"
            for name, handler in self.signals.items()
            if handler != before.signals[name]
        ]
        for name in sorted((self.settings.keys() | before.settings.keys()) - allowed.settings):
            now, then = self.settings.get(name), before.settings.get(name)
            if now != then and (then is not None or name.startswith(READ)):
                lines.append(f"the variable {name} is {now!r}, before {then!r}")
        if self.folder != before.folder:
            lines.append(f"the working folder is {self.folder}, before {before.folder}")
        for pid in self.processes.keys() - before.processes.keys() - allowed.processes:
            lines.append(f"process {pid} runs: {self.processes[pid]}")
        lines += [f"port {port} listens" for port in sorted(self.ports - before.ports - allowed.ports)]
        return lines


@dataclass
class Lasting:
    """What fixtures of the whole run have made, and may keep until its end."""

    settings: set[str] = field(default_factory=set)
    processes: set[int] = field(default_factory=set)
    ports: set[int] = field(default_factory=set)

    def add(self, before: Traces, after: Traces) -> None:
        changed = before.settings.items() ^ after.settings.items()
        self.settings |= {name for name, _ in changed}
        self.processes |= after.processes.keys() - before.processes.keys()
        self.ports |= after.ports - before.ports


class LeftBehind:
    """The part of pytest that looks; one in each process that runs tests."""

    def __init__(self) -> None:
        self.mark = uuid4().hex
        self.temporary = Path(tempfile.mkdtemp(prefix="t-"))
        self.lasting = Lasting()
        self.file = ""
        self.before: Traces | None = None

    def begin(self) -> None:
        """Give this process a temporary folder and a mark of its own, and signals that end it in order.

        Dagster gives SIGTERM the handler that SIGINT has. Started by a script behind `&`, SIGINT is ignored: after the
        first run of Dagster's in this process everything it starts would ignore SIGTERM.
        """
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # `tmp_path` stays where it was
        os.environ |= {MARK: self.mark, "TMPDIR": str(self.temporary)}
        tempfile.tempdir = str(self.temporary)
        # after multiprocessing has removed what it keeps there, which it does at -100
        Finalize(None, shutil.rmtree, (self.temporary,), {"ignore_errors": True}, exitpriority=-200)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        if _file(item) != self.file:
            self.file, self.before = _file(item), self.look()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: "pytest.FixtureDef[object]") -> Iterator[None]:
        if fixturedef.scope != "session":
            return (yield)
        before = self.look()
        try:
            return (yield)
        finally:
            self.lasting.add(before, self.look())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        result = yield
        if nextitem is None or _file(nextitem) != self.file:
            # at the end fixtures of the whole run have put back what they had set
            left = self.left(self.lasting if nextitem else Lasting(settings=self.lasting.settings))
            if left:
                pytest.fail(f"the tests of {self.file} left behind:\n" + "\n".join(left), pytrace=False)
        return result

    def pytest_unconfigure(self) -> None:
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left(self, allowed: Lasting) -> list[str]:
        """Say what was left behind; what is about to end has the time to."""
        assert self.before is not None
        deadline = time.monotonic() + PATIENCE_S
        while True:
            left = self.look().since(self.before, allowed=allowed)
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.05)

    def look(self) -> Traces:
        return Traces(
            # the clock of pytest-timeout, which runs while we look, is not the tests' affair
            {number.name: signal.getsignal(number) for number in signal.Signals if number != signal.SIGALRM},
            {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            os.getcwd(),
            self._processes(),
            _ports(),
        )

    def _processes(self) -> dict[int, str]:
        """Give the processes that this one has started and that run: its children, theirs, and who bears its mark."""
        us, mark = os.getpid(), f"{MARK}={self.mark}".encode()
        parents = {pid: parent for pid, (state, parent) in _stats().items() if state != "Z"}
        found = {}
        for pid in parents.keys() - {us}:
            with suppress(OSError):  # it has ended meanwhile, or is somebody else's
                if _descends(pid, us, parents) or mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if not (parents[pid] == us and any(helper in command for helper in HELPERS)):
                        found[pid] = command[:200]
        return found


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _stats() -> dict[int, tuple[str, int]]:
    """Give state and parent of each process, where there is a `/proc` to tell."""
    found = {}
    for pid in os.listdir("/proc") if Path("/proc/self/stat").exists() else ():
        with suppress(OSError, ValueError):  # it has ended meanwhile, or is no process
            state, parent, *_ = Path(f"/proc/{int(pid)}/stat").read_text().rpartition(")")[2].split()
            found[int(pid)] = (state, int(parent))
    return found


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != ancestor:
        pid = parents[pid]
    return pid == ancestor


def _ports() -> frozenset[int]:
    """Give the ports on which this process itself listens."""
    ours, found = set(), set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):  # closed meanwhile
            ours.add(os.readlink(descriptor))
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == LISTENING and f"socket:[{fields[9]}]" in ours:
                    found.add(int(fields[1].rpartition(":")[2], 16))
    return frozenset(found)
