"""Commands as a user types them: the programs of this environment, in a folder of the user's own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
STACK_TIMEOUT_S = 240.0
MARK = "what it came to: "
EXECUTE = f"""
import json, sys
import dagster as dg
from mlops_assets.cli.project import Project

told, project = json.loads(sys.argv[1]), Project.find()
done = project.definitions.resolve_job_def(told["job"]).execute_in_process(
    instance=project.instance,
    asset_selection=[dg.AssetKey(asset) for asset in told["assets"]],
    partition_key=told["partition"],
    raise_on_error=False,
)
made = done.get_asset_check_evaluations()
checks = {{f"{{check.asset_key.to_user_string()}}/{{check.check_name}}": check.passed for check in made}}
print({MARK!r} + json.dumps({{"success": done.success, "checks": checks}}))
"""


def environment(**settings: str) -> dict[str, str]:
    """Give an environment without any home, stack or endpoint of whoever runs the tests."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MLOPS_", "DAGSTER_", "PYTHON"))}
    path = os.pathsep.join([str(BIN), ours.get("PATH", os.defpath)])
    quiet = {"DAGSTER_DISABLE_TELEMETRY": "1", "COLUMNS": "160", "NO_COLOR": "1", "NO_PROXY": "127.0.0.1"}
    return {**ours, **quiet, "PATH": path, "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **settings}


def run(*command: str, cwd: Path, timeout_s: float = 120, **settings: str) -> str:
    """Run a command and give all it said; a command that fails is an error with its words."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


@contextmanager
def stack_up(*options: str, cwd: Path, log: Path | None = None, **settings: str) -> Iterator[None]:
    """Run `mlops up` until the block ends; the block begins once it has printed its addresses."""
    log = log or cwd / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["mlops", "up", *options], cwd=cwd, env=environment(**settings), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + STACK_TIMEOUT_S
        while "Ctrl-C" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"`mlops up` did not come up:\n{log.read_text()}")
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert process.returncode == 0, log.read_text()


@dataclass(frozen=True)
class Execution:
    """What a run of a project's job came to: whether it succeeded, and each check it made by asset and name."""

    success: bool
    checks: dict[str, bool]
    said: str


def execute(project: Path, job: str, *assets: str, partition: str | None = None, **settings: str) -> Execution:
    """Run assets of a user's project in a process of its own, as its jobs do."""
    told = json.dumps({"job": job, "assets": [asset.split("/") for asset in assets], "partition": partition})
    said = run(sys.executable, "-c", EXECUTE, told, cwd=project, **settings)
    found = json.loads(said.rpartition(MARK)[2])
    return Execution(success=found["success"], checks=found["checks"], said=said)


def says(text: str, expected: str) -> bool:
    """Tell whether each line of `expected` stands in `text`; … stands for anything within the line."""
    lines = (re.escape(line.strip()).replace("…", ".*") for line in expected.strip().splitlines())
    return all(re.search(line, text) for line in lines)
