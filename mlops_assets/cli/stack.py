"""The supervisor behind `mlops up` and `mlops demo`: it starts the servers together and leaves none of them behind.

    with Stack(home) as stack:  # returns when all of them answer
        stack.wait()            # until Ctrl-C, or until one of them dies

Each server leads a session of its own and logs to `<home>/logs/`. Whatever ends the supervisor ends them: an orderly
exit and a signal through `stop`, `kill -9` through the guard (`processes`), and should both be killed at once, the next
start through `<home>/stack.json`, by pid and start time, and through what it finds in their environment, never by name.
"""

import fcntl
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Final, Self

import msgspec

from mlops_assets.cli import processes
from mlops_assets.cli.dagster_settings import EVENTS_AT_ONCE, lay_out_dagster
from mlops_assets.cli.ports import USUAL, Ports, any_port, choose_port
from mlops_assets.cli.processes import Group, Guard
from mlops_assets.cli.servers import HOST, Addresses, Server, Site, all_servers
from mlops_assets.errors import StackError

START_TIMEOUT_S: Final = 300.0  # a busy machine of two cores takes a minute; a server that dies is noticed at once
STOP_GRACE_S: Final = 8.0
POLL_S: Final = 0.1
LOG_LINES_SHOWN: Final = 15
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STACK_OF: Final = "MLOPS_STACK_OF"  # the home, in the environment of all that a stack starts
SETTINGS: Final = {
    **EVENTS_AT_ONCE,
    "ARROW_DEFAULT_MEMORY_POOL": "system",  # its own keeps what it took, in huge pages
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # jobs over language models: eight more processes
    "OMP_NUM_THREADS": "1",  # LightGBM on shared cores is up to nine times slower with two spinning threads
    "OMP_WAIT_POLICY": "passive",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """What `stack.json` tells of a stack: who supervises it, where it answers and the processes it started."""

    boot: str
    supervisor: Group
    addresses: Addresses
    groups: dict[str, Group]

    @property
    def runs(self) -> bool:
        """Whether its supervisor still lives."""
        return self.boot == processes.boot_id() and processes.started_at(self.supervisor.pid) == self.supervisor.started


def read_state(home: Path) -> StackState | None:
    """Read what the last stack of this home left written; it may or may not run still."""
    try:
        return msgspec.json.decode((home / "stack.json").read_bytes(), type=StackState)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


class Stack:
    """Dagster's code server, webserver and daemon, MLflow's server and the endpoint, all on loopback.

    Args:
        home: Where everything rests; made if there is none.
        project: The folder user code is imported from, and whose `dagster.yaml` is used if it has one.
        module: Where the Dagster definitions are, importable from `project`.
        ports: Ports asked for; one that is in use is an error.
        say: Takes one line of progress at a time.
        servers: What to run.
        prepare: Called when nothing of an earlier stack runs any more, and nothing of this one yet.

    Raises:
        StackError: A port or the home is in use, a server died, or did not answer in time. Nothing is left running.
    """

    def __init__(
        self,
        home: str | Path,
        *,
        project: str | Path = ".",
        module: str = "mlops_assets.definitions",
        ports: Ports = USUAL,
        say: Callable[[str], None] = lambda line: None,
        servers: Callable[[Site], Sequence[Server]] = all_servers,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self.home = Path(home).absolute()
        self.project = Path(project).absolute()
        self.module = module
        self._ports = ports
        self._say = say
        self._servers = servers
        self._prepare = prepare
        self._site: Site | None = None
        self._running: dict[str, tuple[subprocess.Popen[bytes], Group]] = {}
        self._failure: StackError | None = None
        self._stopping = threading.Event()
        self._handlers: dict[signal.Signals, Any] = {}
        self._lock: IO[bytes] | None = None
        self._guard: Guard | None = None

    @property
    def addresses(self) -> Addresses:
        """Where the servers answer, once the stack has been entered."""
        if self._site is None:
            raise StackError("The stack has no addresses before it is started: use it in a `with` statement.")
        return self._site.addresses

    def __enter__(self) -> Self:
        self._lock = self._take_home()
        try:
            self._handle_signals()
            self._end_leftovers()
            self._prepare()
            self._start()
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._watch, name="stack-watch", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.stop()
        if self._failure is not None and error is not self._failure:
            raise self._failure from (None if kind is KeyboardInterrupt else error)

    def wait(self) -> None:
        """Return on Ctrl-C, SIGTERM or a closed terminal.

        Raises:
            StackError: One of the servers died.
        """
        with suppress(KeyboardInterrupt):
            self._stopping.wait()
        self.check()

    def check(self) -> None:
        """Raise the StackError of a server that has died, if one has."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End all servers within seconds, first the daemon, which would start runs; calling it again does nothing."""
        if self._lock is None:
            return
        self._stopping.set()
        groups = {name: group for name, (_, group) in self._running.items()}
        processes.end([groups.pop("daemon")] if "daemon" in groups else [], grace_s=STOP_GRACE_S, reap=self._reap)
        processes.end(groups.values(), grace_s=STOP_GRACE_S, reap=self._reap)
        self._running.clear()
        if self._guard is not None:
            self._guard.dismiss()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._lock.close()
        self._lock = None

    def _reap(self) -> None:
        for process, _ in self._running.values():
            process.poll()

    # --- starting ---------------------------------------------------------------------------------

    def _take_home(self) -> IO[bytes]:
        """Lock the home against a second stack; the lock goes with this process, however it ends."""
        try:
            (self.home / "logs").mkdir(parents=True, exist_ok=True)
            lock = (self.home / "stack.lock").open("ab")
        except OSError as error:
            raise StackError(
                f"The stack cannot keep its files in {self.home}: {error.strerror}. "
                "Choose a folder you may write to with --home.",
                home=self.home,
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            state = read_state(self.home)
            by = f" by process {state.supervisor.pid}, with Dagster at {state.addresses.dagster}" if state else ""
            raise StackError(
                f"{self.home} is in use{by}; two stacks on one home would spoil each other's runs. "
                "Stop the other one with Ctrl-C, or choose another folder with --home.",
                home=self.home,
            ) from None
        return lock

    def _handle_signals(self) -> None:
        """Turn the signals that end us into KeyboardInterrupt.

        It also gives the servers the defaults, as handlers do not survive exec: behind a shell's `&` they would ignore
        SIGINT, and Dagster would ignore SIGTERM with it.
        """
        if threading.current_thread() is threading.main_thread():
            for number in ENDING_SIGNALS:
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._stopping.is_set():
            raise KeyboardInterrupt

    def _end_leftovers(self) -> None:
        state = read_state(self.home)
        known = state.groups.values() if state and state.boot == processes.boot_id() else ()
        # A supervisor that was killed right after it had started a server did not come to write that down.
        groups = {*known, *processes.with_environment(STACK_OF, str(self.home))}
        left = [group for group in groups if processes.is_alive(group)]
        if left:
            self._say(f"ending {len(left)} servers that an earlier stack left behind")
            processes.end(left, grace_s=STOP_GRACE_S)

    def _start(self) -> None:
        self._site = Site(
            home=self.home,
            project=self.project,
            module=self.module,
            code_port=any_port(),
            dagster_port=choose_port("dagster", self._ports.dagster),
            mlflow_port=choose_port("mlflow", self._ports.mlflow),
            endpoint_port=choose_port("endpoint", self._ports.endpoint),
        )
        self._guard = Guard()
        waiting = list(self._servers(self._site))
        environment = self._environment()
        began: dict[str, float] = {}
        ready: set[str] = set()
        deadline = time.monotonic() + START_TIMEOUT_S
        while waiting:
            for server in tuple(waiting):
                if server.name not in began and ready.issuperset(server.needs):
                    began[server.name] = time.monotonic()
                    self._launch(server, environment)
                elif server.name in began and server.answers():
                    self._say(f"{server.name} answers after {time.monotonic() - began[server.name]:.1f} s")
                    ready.add(server.name)
                    waiting.remove(server)
            self._look_for_dead()
            self.check()
            if time.monotonic() > deadline:
                late = ", ".join(server.name for server in waiting)
                raise StackError(
                    f"No answer from {late} within {START_TIMEOUT_S:.0f} s. Either the machine is too busy, or the "
                    f"reason is in {self.home / 'logs'}. Run `mlops up` to try again.",
                    late=late,
                )
            time.sleep(POLL_S)

    def _environment(self) -> dict[str, str]:
        """Give the environment of the servers, and lay Dagster's home out for them."""
        dagster_home = lay_out_dagster(self.home, self.project)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        for name in ("NO_PROXY", "no_proxy"):  # gRPC would ask a proxy for the loopback address
            environment[name] = ",".join(filter(None, [environment.get(name), HOST, "localhost"]))
        environment |= SETTINGS
        environment["DAGSTER_HOME"] = str(dagster_home)
        environment["MLOPS_HOME"] = environment[STACK_OF] = str(self.home)
        environment["MLOPS_DAGSTER_URL"] = self.addresses.dagster
        environment["MLOPS_MLFLOW_URL"] = self.addresses.mlflow
        environment["MLOPS_ENDPOINT_URL"] = self.addresses.endpoint
        return environment

    def _launch(self, server: Server, environment: dict[str, str]) -> None:
        log = self._log(server.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        process = processes.start(server.command, env=environment, cwd=server.cwd, log=log)
        group = Group(process.pid, processes.started_at(process.pid))
        self._running[server.name] = (process, group)
        assert self._guard is not None
        self._guard.watch(group)
        self._write_state()

    def _write_state(self) -> None:
        state = StackState(
            boot=processes.boot_id(),
            supervisor=Group(os.getpid(), processes.started_at(os.getpid())),
            addresses=self.addresses,
            groups={name: group for name, (_, group) in self._running.items()},
        )
        new = self.home / "stack.json.new"
        new.write_bytes(msgspec.json.format(msgspec.json.encode(state)))
        new.replace(self.home / "stack.json")

    # --- watching ---------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Notice a server's death and interrupt the main thread, wherever it waits; `__exit__` then says why."""
        while self._failure is None:
            if self._stopping.wait(POLL_S):
                return
            self._look_for_dead()
        if self._handlers:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def _look_for_dead(self) -> None:
        for name, (process, _) in list(self._running.items()):
            if (code := process.poll()) is None or self._stopping.is_set():
                continue
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            log = self._log(name)
            self._failure = StackError(
                f"The {name} {how}, so the whole stack was stopped. Its last words, in {log}:\n\n"
                f"{last_lines(log)}\n\nMend what they say, if they say something, and run `mlops up` to continue.",
                server=name,
                exit_code=code,
                log=log,
            )
            return

    def _log(self, server: str) -> Path:
        return self.home / "logs" / f"{server.replace(' ', '-')}.log"


def last_lines(log: Path) -> str:
    """Give the end of a log, indented, without the colours."""
    lines = COLOUR.sub("", log.read_text(errors="replace")).splitlines()[-LOG_LINES_SHOWN:]
    return "\n".join(f"    {line}" for line in lines) or "    (nothing)"
