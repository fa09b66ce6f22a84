"""The supervisor: what it starts, what it says when it cannot, and that nothing outlives it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
import pytest

from mlops_assets.cli import processes
from mlops_assets.cli.ports import Ports
from mlops_assets.cli.processes import Group
from mlops_assets.cli.servers import HOST, Server, Site
from mlops_assets.cli.stack import STACK_OF, Stack, StackState, read_state
from mlops_assets.errors import StackError
from mlops_assets_tests.cli import tiny_stack
from mlops_assets_tests.cli.tiny_stack import TinyStack, tiny_servers


def eventually(true: Callable[[], bool], *, within_s: float = 15.0) -> bool:
    """Tell whether `true` becomes so in time."""
    deadline = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def groups_of(home: Path) -> dict[str, Group]:
    state = read_state(home)
    assert state is not None
    return state.groups


def none_alive(groups: dict[str, Group]) -> bool:
    return not any(processes.is_alive(group) for group in groups.values())


@contextmanager
def supervised_elsewhere(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A tiny stack under a supervisor in another process, up and running."""
    supervisor = subprocess.Popen(
        [sys.executable, tiny_stack.__file__, str(home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(tiny_stack.__file__).parents[2])},
    )
    assert supervisor.stdout is not None
    try:
        for line in supervisor.stdout:
            if line == "up\n":
                break
        yield supervisor
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()


def guard_of(supervisor: int) -> int:
    """Find the guard among the children of a supervisor."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return next(int(pid) for pid in children if "processes.py" in Path(f"/proc/{pid}/cmdline").read_text())


def test_servers_answer_inside_the_stack_and_are_gone_after_it(tmp_path):
    """Entering returns once all answer; leaving ends them and what they had started."""
    with TinyStack(tmp_path) as stack:
        status = httpx.get(stack.addresses.endpoint, trust_env=False).status_code
        groups = groups_of(tmp_path)

    assert status == 200
    assert set(groups) == {"endpoint", "daemon"}
    assert none_alive(groups)


def test_progress_names_every_server_that_answers(tmp_path):
    """One line for each, with the seconds it took."""
    lines: list[str] = []

    with TinyStack(tmp_path, say=lines.append):
        pass

    assert [line.split(" answers after ")[0] for line in lines] == ["endpoint", "daemon"]


def test_a_server_that_dies_interrupts_the_body_and_stops_the_others(tmp_path):
    """The error names the server, how it died, its last words and how to go on."""

    def replay() -> None:
        with TinyStack(tmp_path):
            os.kill(groups_of(tmp_path)["endpoint"].pid, signal.SIGKILL)
            time.sleep(30)

    with pytest.raises(StackError, match="endpoint was killed by signal 9") as caught:
        replay()

    assert caught.value.server == "endpoint"
    assert "child" in str(caught.value)  # a line of its log
    assert "run `mlops up` to continue" in str(caught.value)
    assert none_alive(groups_of(tmp_path))


def test_a_server_that_cannot_start_is_an_error_with_its_last_words(tmp_path):
    """What the server said on its way out is in the message, and what had started is stopped."""

    def servers(site: Site) -> list[Server]:
        command = (sys.executable, "-S", "-c", "raise SystemExit('the database is locked')")
        broken = Server(name="mlflow", command=command, cwd=site.home, answers=lambda: False)
        return [*tiny_servers(site), broken]

    with pytest.raises(StackError, match="the database is locked") as caught, Stack(tmp_path, servers=servers):
        pytest.fail("a stack with a dead server was entered")

    assert caught.value.exit_code == 1
    assert none_alive(groups_of(tmp_path))


def test_a_server_that_never_answers_is_named_after_the_time_limit(tmp_path, monkeypatch):
    """Waiting has an end, and its message says for whom it waited."""
    monkeypatch.setattr("mlops_assets.cli.stack.START_TIMEOUT_S", 0.5)

    def servers(site: Site) -> list[Server]:
        return [Server(name="daemon", command=("sleep", "600"), cwd=site.home, answers=lambda: False)]

    with pytest.raises(StackError, match="No answer from daemon"), Stack(tmp_path, servers=servers):
        pytest.fail("a silent stack was entered")

    assert none_alive(groups_of(tmp_path))


def test_what_is_written_of_a_stack_tells_whether_it_runs_still(tmp_path):
    """By the supervisor's pid and start time, whoever started that and in whatever group it is."""
    with supervised_elsewhere(tmp_path) as supervisor:
        state = read_state(tmp_path)
        assert state is not None
        before = state.runs
        supervisor.kill()
        supervisor.wait()

    assert (before, state.runs) == (True, False)


def test_kill_9_of_the_supervisor_leaves_nothing_behind(tmp_path):
    """The guard ends the servers and the processes they had started in turn."""
    with supervised_elsewhere(tmp_path) as supervisor:
        groups = groups_of(tmp_path)
        supervisor.kill()

        gone = eventually(lambda: none_alive(groups))

    assert gone


def test_sigterm_of_the_supervisor_is_an_orderly_end(tmp_path):
    """`wait` returns, the body goes on, and the servers are gone when the process is."""
    with supervised_elsewhere(tmp_path) as supervisor:
        groups = groups_of(tmp_path)
        supervisor.terminate()
        said, _ = supervisor.communicate(timeout=30)

    assert said.endswith("down\n")
    assert supervisor.returncode == 0
    assert none_alive(groups)


def test_the_next_start_ends_what_a_killed_supervisor_and_guard_left(tmp_path):
    """With both killed at once the servers live on; `stack.json` finds them by pid and start time."""
    with supervised_elsewhere(tmp_path) as supervisor:
        left = groups_of(tmp_path)
        os.kill(guard_of(supervisor.pid), signal.SIGKILL)
        supervisor.kill()
        supervisor.wait()
        lived_on = processes.is_alive(left["daemon"])

        lines: list[str] = []
        with TinyStack(tmp_path, say=lines.append):
            pass

    assert lived_on
    assert lines[0] == "ending 2 servers that an earlier stack left behind"
    assert none_alive(left)


def test_the_next_start_ends_a_server_that_was_never_written_down(tmp_path):
    """A supervisor killed right after it has started one leaves it without guard and without a line in `stack.json`."""
    environment = {STACK_OF: str(tmp_path)}
    with (
        subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True) as server,
        subprocess.Popen(["sleep", "600"], env={STACK_OF: "elsewhere"}, start_new_session=True) as stranger,
    ):
        with TinyStack(tmp_path):
            ended = (server.wait(5), stranger.poll())
        stranger.kill()

    assert ended in {(-signal.SIGTERM, None), (-signal.SIGKILL, None)}  # on a busy machine it gets no time to obey


def test_what_has_to_be_prepared_is_when_nothing_runs(tmp_path):
    """After what an earlier stack left has ended, and before the first server is started."""
    with supervised_elsewhere(tmp_path) as supervisor:
        left = groups_of(tmp_path)
        os.kill(guard_of(supervisor.pid), signal.SIGKILL)
        supervisor.kill()
        supervisor.wait()
        seen: list[tuple[bool, dict[str, Group]]] = []

        with TinyStack(tmp_path, prepare=lambda: seen.append((none_alive(left), groups_of(tmp_path)))):
            started = groups_of(tmp_path)

    assert seen == [(True, left)]
    assert started != left


def test_the_next_start_spares_a_stranger_with_a_pid_of_ours(tmp_path):
    """A pid that was given to somebody else since, as its start time shows, is not ended."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        ours = Group(stranger.pid, processes.started_at(stranger.pid) - 1)
        with TinyStack(tmp_path) as stack:
            addresses = stack.addresses
        state = StackState(boot=processes.boot_id(), supervisor=ours, addresses=addresses, groups={"endpoint": ours})
        (tmp_path / "stack.json").write_bytes(msgspec.json.encode(state))

        with TinyStack(tmp_path):
            alive = stranger.poll() is None
        stranger.kill()

    assert alive


def test_a_second_stack_on_the_same_home_is_refused(tmp_path):
    """The message says who has it and where that one answers."""
    with TinyStack(tmp_path) as stack, pytest.raises(StackError, match=f"process {os.getpid()}") as caught:
        TinyStack(tmp_path).__enter__()

    assert stack.addresses.dagster in str(caught.value)


def test_a_usual_port_that_is_taken_makes_way_for_the_next(tmp_path):
    """Somebody else's server is left alone, and the address says where ours went."""
    with TinyStack(tmp_path / "first") as first, TinyStack(tmp_path / "second") as second:
        ports = [int(stack.addresses.endpoint.rpartition(":")[2]) for stack in (first, second)]

    assert ports[0] < ports[1]


def test_a_port_asked_for_that_is_taken_is_an_error(tmp_path):
    """Whoever names a port means that port."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(StackError, match=f"Port {port}.*--endpoint-port") as caught:
            TinyStack(tmp_path, ports=Ports(endpoint=port)).__enter__()

    assert caught.value.port == port


def test_a_home_that_cannot_be_written_is_an_error_that_names_the_option(tmp_path):
    """A file where the folder should be stands for every way a folder can be unusable."""
    (tmp_path / "home").write_text("")

    with pytest.raises(StackError, match="--home"):
        TinyStack(tmp_path / "home").__enter__()


def test_a_projects_own_dagster_yaml_is_the_one_used(tmp_path):
    """The package's serves projects that have none."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    with TinyStack(tmp_path / "home", project=tmp_path / "project"):
        used = (tmp_path / "home" / "dagster" / "dagster.yaml").read_text()

    assert used.startswith("telemetry: {enabled: false}\n")


def test_the_log_of_the_start_before_is_kept_once(tmp_path):
    """What a killed server said last can be read after `mlops up` has been run again."""
    with TinyStack(tmp_path):
        pass
    before = (tmp_path / "logs" / "endpoint.log").read_text()

    with TinyStack(tmp_path):
        pass

    assert (tmp_path / "logs" / "endpoint.log.1").read_text() == before


@pytest.mark.slow
def test_the_whole_stack_comes_up_and_answers_everywhere(tmp_path):
    """Dagster has loaded its code location and its daemons beat; MLflow and the endpoint answer."""
    query = "{workspaceOrError {... on Workspace {locationEntries {locationOrLoadError {__typename}}}}}"

    with Stack(tmp_path) as stack, httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.post(f"{stack.addresses.dagster}/graphql", json={"query": query}).json()
        mlflow = client.get(stack.addresses.mlflow).text
        endpoint = client.get(f"{stack.addresses.endpoint}/health/live").status_code
        groups = groups_of(tmp_path)

    (location,) = answer["data"]["workspaceOrError"]["locationEntries"]
    assert location["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    assert "MLflow" in mlflow
    assert endpoint == 200
    assert none_alive(groups)
