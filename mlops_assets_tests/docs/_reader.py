"""Somebody who does what a page says: commands are run, files written or compared, outputs waited for.

A fenced block says after its language what it is: `write PATH` is saved there, `reads PATH` must be there already, and
`prints` is what the command block before it says, sooner or later; `…` stands for anything within a line.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from mlops_assets.cli.ports import any_port
from mlops_assets_tests._commands import run, says, stack_up

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<role>\w+)(?: (?P<path>\S+))?)?\n(?P<text>.*?)^```$", re.M | re.S)
PATIENCE_S = 180.0
PAUSE_S = 3.0  # a command takes as long to start, on cores that the servers need
SERVERS = ("dagster", "mlflow", "endpoint")
USUAL_ENDPOINT = ":8080"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    role: str | None
    path: str | None
    text: str


def blocks_of(page: str) -> Iterator[Block]:
    for found in BLOCK.finditer((DOCS / page).read_text()):
        yield Block(**found.groupdict())


@dataclass
class Reader:
    """Somebody who does what a page says, in a folder of their own; ports are free ones instead of the usual."""

    folder: Path
    stack: ExitStack
    settings: dict[str, str] = field(default_factory=dict)
    patience_s: float = PATIENCE_S
    log: Path | None = None
    ports: dict[str, str] = field(default_factory=lambda: {name: str(any_port()) for name in SERVERS})
    command: str = ""
    said: str = ""

    def follow(self, block: Block) -> None:
        text = block.text.replace(USUAL_ENDPOINT, f":{self.ports['endpoint']}")
        if block.language == "sh":
            self.type(text)
        elif block.role == "write":
            (self.folder / self.place(block)).write_text(text)
        elif block.role == "reads":
            assert (self.folder / self.place(block)).read_text() == text, f"{block.path} is not what is shown"
        elif block.role == "prints":
            self.wait_for(text)
        else:
            raise AssertionError(f"nothing says what this block is for:\n{text}")

    def place(self, block: Block) -> str:
        assert block.path is not None
        return block.path

    def type(self, text: str) -> None:
        if text.startswith("mlops up"):
            self.stack.close()  # Ctrl-C
            options = (part for name, port in self.ports.items() for part in (f"--{name}-port", port))
            settings = {"MLOPS_SENSOR_INTERVAL_S": "3"} | self.settings
            self.stack.enter_context(stack_up(*options, cwd=self.folder, log=self.log, **settings))
            return
        self.command = text
        # The shell says where it ended, as a terminal that stays open would remember.
        command = ("bash", "-ec", f"{text}\npwd")
        said = run(*command, cwd=self.folder, timeout_s=max(120, self.patience_s), **self.settings)
        self.said, _, folder = said.rstrip().rpartition("\n")
        self.folder = Path(folder)

    def wait_for(self, expected: str) -> None:
        deadline = time.monotonic() + self.patience_s
        while not says(self.said, expected):
            assert time.monotonic() < deadline, f"{self.command} said:\n{self.said}\ninstead of:\n{expected}"
            time.sleep(PAUSE_S)
            self.type(self.command)
