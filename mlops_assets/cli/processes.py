"""Groups of processes: started apart from us, recognised later by pid and start time, and ended whole.

Also a script, the guard of a stack: it reads groups from a pipe that only the supervisor holds open, and ends them when
the pipe closes, so that even `kill -9` of the supervisor leaves nothing behind, run workers included. Only the standard
library, and nothing of this package: the guard starts at once and stays small.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

POLL_S = 0.05
GUARD_GRACE_S = 5.0
DISMISSED = "dismissed"


class Group(NamedTuple):
    """A process that leads its own session, and everything it has started since; `started` as `/proc` counts it."""

    pid: int
    started: int


class _Stat(NamedTuple):
    state: str
    group: int
    started: int


def _stat(pid: int | str) -> _Stat | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may itself hold spaces and brackets
    return _Stat(fields[0], int(fields[2]), int(fields[19]))


def started_at(pid: int) -> int:
    """Give the start time of a process in clock ticks since boot; 0 if there is none, or no `/proc` to tell."""
    stat = _stat(pid)
    return stat.started if stat else 0


def boot_id() -> str:
    """Give what tells this boot of the machine from any other: pids and start times mean nothing across boots."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start(command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start `command` as the leader of a new session, without standard input, writing to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def is_alive(group: Group) -> bool:
    """Tell whether any process of the group is left; a stranger who was given the same pid later does not count."""
    if started_at(group.pid) not in (0, group.started):
        return False
    try:
        os.killpg(group.pid, 0)
    except (ProcessLookupError, PermissionError):  # none, or somebody else's
        return False
    if not Path("/proc/self/stat").exists():
        return True
    stats = (_stat(pid) for pid in os.listdir("/proc") if pid.isdecimal())
    return any(stat.group == group.pid and stat.state != "Z" for stat in stats if stat)  # orphans may wait to be reaped


def with_environment(name: str, value: str) -> set[Group]:
    """Give the groups of all processes that were started with that in their environment, and ours to look into."""
    mark = f"{name}={value}".encode()
    found = set()
    for pid in filter(str.isdecimal, os.listdir("/proc") if Path("/proc/self/stat").exists() else ()):
        with suppress(OSError):  # it has ended, or is somebody else's
            stat = _stat(pid)
            if stat and mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(Group(stat.group, started_at(stat.group)))
    return found


def end(groups: Iterable[Group], *, grace_s: float, reap: Callable[[], object] = lambda: None) -> None:
    """Ask the groups to end, and end by force what is left after `grace_s`. `reap` collects children of ours."""
    left = [group for group in groups if is_alive(group)]
    _signal(left, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while left and time.monotonic() < deadline:
        time.sleep(POLL_S)
        reap()
        left = [group for group in left if is_alive(group)]
    _signal(left, signal.SIGKILL)
    reap()


def _signal(groups: Iterable[Group], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError):  # ended by itself meanwhile
            os.killpg(group.pid, number)


class Guard:
    """The process that outlives the supervisor for as long as it takes to end what the supervisor had started."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, start_new_session=True, text=True
        )

    def watch(self, group: Group) -> None:
        """Add a group to what is ended should we die."""
        self._say(json.dumps(group))

    def dismiss(self) -> None:
        """Tell the guard that everything has ended in order."""
        self._say(DISMISSED)
        self.process.wait()

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # the guard was killed; the next start still finds what is left
            print(line, file=self.process.stdin, flush=True)


def _guard() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: list[Group] = []
    for line in sys.stdin:
        if line.strip() == DISMISSED:
            return
        groups.append(Group(*json.loads(line)))
    end(groups, grace_s=GUARD_GRACE_S)


if __name__ == "__main__":
    _guard()
