"""The tutorial does what it says: its commands are run, its files written or compared, its outputs waited for.

A fenced block says after its language what it is: `write PATH` is saved there, `reads PATH` must be there already, and
`prints` is what the command block before it says, sooner or later; `…` stands for anything within a line.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlops_assets.cli.stack import any_port
from mlops_assets_tests._commands import run, says, stack_up

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(?P<language>\w+)(?: (?P<role>\w+)(?: (?P<path>\S+))?)?\n(?P<text>.*?)^```$", re.M | re.S)
PATIENCE_S = 180.0
SERVERS = ("dagster", "mlflow", "endpoint")
USUAL_ENDPOINT = ":8080"


@dataclass(frozen=True)
class Block:
    """A fenced block of the tutorial."""

    language: str
    role: str | None
    path: str | None
    text: str


def blocks() -> Iterator[Block]:
    for found in BLOCK.finditer(TUTORIAL.read_text()):
        yield Block(**found.groupdict())


@dataclass
class Reader:
    """Somebody who does what the tutorial says, in a folder of their own; ports are free ones instead of the usual."""

    folder: Path
    stack: ExitStack
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
            self.stack.enter_context(stack_up(*options, cwd=self.folder, MLOPS_SENSOR_INTERVAL_S="3"))
            return
        self.command = text
        # The shell says where it ended, as a terminal that stays open would remember.
        self.said, _, folder = run("bash", "-ec", f"{text}\npwd", cwd=self.folder).rstrip().rpartition("\n")
        self.folder = Path(folder)

    def wait_for(self, expected: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not says(self.said, expected):
            assert time.monotonic() < deadline, f"{self.command} said:\n{self.said}\ninstead of:\n{expected}"
            time.sleep(1)
            self.type(self.command)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorial_does_what_it_says(tmp_path):
    """From the made-up file to the second model and back, through the real servers."""
    with ExitStack() as stack:
        reader = Reader(tmp_path, stack)

        for block in blocks():
            reader.follow(block)


@pytest.mark.parametrize(("model", "role"), [("orders", "reads"), ("parcels", "write")])
def test_a_model_takes_fewer_than_sixty_lines(model, role):
    """All three files of a folder together, as they are shown."""
    files = {b.path: b.text for b in blocks() if b.role == role and b.path and f"/defs/{model}/" in b.path}

    lines = sum(len(text.splitlines()) for text in files.values())

    assert {Path(path).name for path in files} == {"defs.yaml", "features.py", "model.py"}
    assert lines < 60


def test_the_number_of_lines_in_the_text_is_right():
    """The text names the number, so it is counted."""
    shown = sum(len(b.text.splitlines()) for b in blocks() if b.role == "reads")

    assert f"{shown} lines in all" in TUTORIAL.read_text()
